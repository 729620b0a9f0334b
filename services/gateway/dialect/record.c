// What a record says of its registration now, and what the store's answers mean: see dialect.h.
#include "common/log/log.h"
#include "services/gateway/dialect/dialect.h"

#include <errno.h>

void dialect_status_of(struct dialect_status *ret, const struct store_record *record, uint64_t now_wall_ms)
{
    struct json *root cleanup(json_free_ptr) = NULL;
    *ret = (struct dialect_status){.state = record->status.n ? "unknown" : status_state_name(STATE_PENDING)};
    if (!record->status.n || json_parse(record->status, NULL, &root, NULL) ||
        status_read(root, &ret->report, NULL))
        return; // what nobody can read is as good as no report: the next one replaces it
    const struct status *s = &ret->report;
    ret->has_report = true;
    ret->believed = status_is_believed(s, now_wall_ms);
    ret->in_sync = s->revision == record->reg.revision;
    ret->is_bound = s->expires_at_wall_ms > now_wall_ms;
    if (ret->believed)
        ret->state = status_state_name(s->state);
}

void dialect_status_done(struct dialect_status *s)
{
    if (s->has_report)
        status_done(&s->report);
    *s = (struct dialect_status){0};
}

enum dialect_failure dialect_failure_of(const char *dialect, uint64_t id, int rc, const struct error *err,
                                        bool reads, const char **ret_detail)
{
    switch (rc) {
    case -ENOENT:
        *ret_detail = "There is no such record.";
        return FAILURE_ABSENT;
    case -EEXIST:
        *ret_detail = "The name is taken.";
        return FAILURE_CONFLICT;
    case -ENOTCONN:
        *ret_detail =
            reads ? "Redis is away." : "Redis is away; a write that was under way may have been applied.";
        return FAILURE_UNAVAILABLE;
    case -EBUSY:
        *ret_detail = "Writes wait until what Redis lost is written back.";
        return FAILURE_UNAVAILABLE;
    case -ETIMEDOUT:
        *ret_detail = "The write stands and will be acted on, but too few replicas confirmed it.";
        return FAILURE_UNAVAILABLE;
    case -ESTALE:
        *ret_detail = "Other writes to this record came between again and again.";
        return FAILURE_UNAVAILABLE;
    case -EBADMSG: // the store has logged it
        *ret_detail = err->text;
        return FAILURE_DAMAGED;
    default:
        log_line(LOG_ERROR, dialect, id, "%s", err ? err->text : "the store failed");
        *ret_detail = "An internal error was logged.";
        return FAILURE_INTERNAL;
    }
}
