// The rt_ fields of a registration, an addition to the contract (9): see view.h.
#include "common/base/mem.h"
#include "services/gateway/ribbon/view.h"
#include "services/gateway/ribbon/xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *const names[RUNTIME_COUNT] = {
    [RUNTIME_SERVER] = "rt_Server",
    [RUNTIME_ID] = "rt_Registration",
    [RUNTIME_STATE] = "rt_State",
    [RUNTIME_SINCE] = "rt_Since",
    [RUNTIME_STATUS_CODE] = "rt_StatusCode",
    [RUNTIME_REASON] = "rt_Reason",
    [RUNTIME_GRANTED] = "rt_GrantedExpires",
    [RUNTIME_EXPIRES_AT] = "rt_ExpiresAt",
    [RUNTIME_NEXT_ACTION] = "rt_NextAction",
    [RUNTIME_ATTEMPT] = "rt_Attempt",
    [RUNTIME_TARGET] = "rt_Target",
    [RUNTIME_NODE] = "rt_Node",
};

static char *dup_number(uint64_t number)
{
    struct buf text = BUF_INIT;
    buf_add_u64(&text, number);
    return buf_steal(&text);
}

// RFC 3339 in UTC, to the second.
static char *dup_time(uint64_t wall_ms)
{
    char text[40];
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    if (!wall_ms || !gmtime_r(&seconds, &parts) ||
        !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts))
        return NULL;
    return mem_dup_cstr(text);
}

static void take_report(struct runtime *r, const struct status *s)
{
    r->text[RUNTIME_SINCE] = dup_time(s->since_wall_ms);
    r->text[RUNTIME_STATUS_CODE] = s->code ? dup_number((uint64_t)s->code) : NULL;
    r->text[RUNTIME_REASON] = mem_dup_cstr(s->reason);
    r->text[RUNTIME_GRANTED] = s->granted_s ? dup_number(s->granted_s) : NULL;
    r->text[RUNTIME_EXPIRES_AT] = dup_time(s->expires_at_wall_ms);
    r->text[RUNTIME_NEXT_ACTION] = dup_time(s->next_at_wall_ms);
    r->text[RUNTIME_ATTEMPT] = dup_number(s->attempt);
    r->text[RUNTIME_TARGET] = mem_dup_cstr(s->target);
    r->text[RUNTIME_NODE] = mem_dup_cstr(s->node);
}

void runtime_of(struct runtime *ret, const struct store_record *record, const struct row_id *server,
                uint64_t now_wall_ms)
{
    struct dialect_status status cleanup(dialect_status_done) = {.state = NULL};
    char id[ROW_ID_BYTES];
    dialect_status_of(&status, record, now_wall_ms);
    *ret = (struct runtime){.registered =
                                str_eq_cstr(str_of(status.state), status_state_name(STATE_REGISTERED))};
    if (server) {
        ret->server = *server;
        ret->text[RUNTIME_SERVER] = str_dup(row_id_text(*server, id));
    }
    ret->text[RUNTIME_ID] = dup_number(record->reg.id);
    ret->text[RUNTIME_STATE] = mem_dup_cstr(status.state);
    if (status.has_report && status.believed)
        take_report(ret, &status.report);
}

void runtime_done(struct runtime *r)
{
    for (size_t i = 0; i < RUNTIME_COUNT; i++)
        mem_free_cstr(&r->text[i]);
}

static void write_one(struct buf *out, const struct runtime *r, size_t number)
{
    char name[48];
    for (size_t i = 0; i < RUNTIME_COUNT; i++) {
        if (!r->text[i])
            continue;
        if (number)
            (void)snprintf(name, sizeof(name), "%s%zu", names[i], number);
        else
            (void)snprintf(name, sizeof(name), "%s", names[i]);
        xml_field(out, name, str_of(r->text[i]));
    }
}

void runtime_write(struct buf *out, const struct runtime *items, size_t count)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    size_t worst = 0;
    while (worst < count && items[worst].registered)
        worst++;
    buf_add_u64(&text, count);
    xml_field(out, "rt_Registrations", buf_str(&text));
    if (count)
        write_one(out, &items[worst < count ? worst : 0], 0);
    for (size_t i = 0; i < count; i++)
        write_one(out, &items[i], i + 1);
}
