// A report in the words of this API: successful, status_code, error_message, in_progress. See entry.h.
#include "common/base/mem.h"
#include "services/gateway/voximplant/entry.h"

#include <stdlib.h>

static enum choice successful(const struct dialect_status *s)
{
    if (!s->has_report || !s->believed)
        return CHOICE_ANY;
    switch (s->report.state) {
    case STATE_REGISTERED:
        return CHOICE_TRUE;
    case STATE_RETRYING:
    case STATE_REJECTED:
    case STATE_GIVEN_UP:
        return CHOICE_FALSE;
    case STATE_DISABLED:
    case STATE_PENDING:
    case STATE_REGISTERING:
    case STATE_UNREGISTERING:
    case STATE_UNREGISTERED:
        break;
    }
    return CHOICE_ANY;
}

static bool in_progress(const struct dialect_status *s, bool enabled)
{
    if (!s->has_report)
        return enabled;
    enum status_state state = s->report.state;
    bool underway = state == STATE_PENDING || state == STATE_REGISTERING || state == STATE_UNREGISTERING;
    return (s->believed && underway) || !s->in_sync;
}

// What failed without a word of the registrar's still has its code.
static char *message(const struct status *s)
{
    struct buf out = BUF_INIT;
    if (s->reason && s->reason[0])
        buf_add_cstr(&out, s->reason);
    else if (s->code)
        buf_addf(&out, "SIP status %d", s->code);
    else
        buf_add_cstr(&out, "The registration failed");
    if (s->warning && s->warning[0])
        buf_addf(&out, " (%s)", s->warning);
    return buf_steal(&out);
}

void vox_outcome_of(struct outcome *ret, const struct store_record *record, uint64_t now_wall_ms)
{
    struct dialect_status s;
    dialect_status_of(&s, record, now_wall_ms);
    uint64_t since = s.has_report ? s.report.since_wall_ms : 0, written = record->reg.updated_at_ms;
    *ret = (struct outcome){
        .successful = successful(&s),
        .in_progress = in_progress(&s, record->reg.enabled),
        .updated_s = (since > written ? since : written) / 1000,
    };
    if (ret->successful != CHOICE_ANY)
        ret->status_code = s.report.code;
    if (ret->successful == CHOICE_FALSE)
        ret->message = message(&s.report);
    dialect_status_done(&s);
}

void vox_outcome_done(struct outcome *o)
{
    free(o->message);
    *o = (struct outcome){.successful = CHOICE_ANY};
}
