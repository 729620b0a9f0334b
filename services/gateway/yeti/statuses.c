// See statuses.h.
#include "services/gateway/yeti/statuses.h"

#include "common/base/mem.h"
#include "services/gateway/dialect/dialect.h"
#include "services/gateway/yeti/coerce.h"
#include "services/gateway/yeti/document.h"

#include <stdlib.h>

#define AT(member) offsetof(struct status_item, member)

// What a report says comes first, in the order in which last-report repeats it.
static const struct attribute attributes[] = {
    {"state", KIND_TEXT, AT(state), NULL},
    {"yeti-state", KIND_TEXT, AT(yeti_state), NULL},
    {"since", KIND_TIME, AT(since), NULL},
    {"code", KIND_INTEGER, AT(code), NULL},
    {"reason", KIND_TEXT, AT(reason), NULL},
    {"warning", KIND_TEXT, AT(warning), NULL},
    {"retry-after", KIND_INTEGER, AT(retry_after), NULL},
    {"initiator", KIND_TEXT, AT(initiator), NULL},
    {"attempt", KIND_INTEGER, AT(attempt), NULL},
    {"granted-expires", KIND_INTEGER, AT(granted_expires), NULL},
    {"expires-at", KIND_TIME, AT(expires_at), NULL},
    {"next-action-at", KIND_TIME, AT(next_action_at), NULL},
    {"contacts", KIND_TEXTS, AT(contacts), NULL},
    {"service-route", KIND_TEXTS, AT(service_route), NULL},
    {"path", KIND_TEXTS, AT(path), NULL},
    {"associated-uris", KIND_TEXTS, AT(associated_uris), NULL},
    {"foreign-contacts", KIND_INTEGER, AT(foreign_contacts), NULL},
    {"audited-at", KIND_TIME, AT(audited_at), NULL},
    {"pub-gruu", KIND_TEXT, AT(pub_gruu), NULL},
    {"temp-gruu", KIND_TEXT, AT(temp_gruu), NULL},
    {"outbound", KIND_JSON, AT(outbound), NULL},
    {"flow-timer", KIND_INTEGER, AT(flow_timer), NULL},
    {"target", KIND_TEXT, AT(target), NULL},
    {"local-address", KIND_TEXT, AT(local_address), NULL},
    {"received-address", KIND_TEXT, AT(received_address), NULL},
    {"round-trip-time-us", KIND_INTEGER, AT(round_trip_time), NULL},
    {"node", KIND_TEXT, AT(node), NULL},
    {"applied-revision", KIND_INTEGER, AT(applied_revision), NULL},
    {"revision", KIND_INTEGER, AT(revision), NULL},
    {"in-sync", KIND_FLAG, AT(in_sync), NULL},
    {"last-report", KIND_JSON, AT(last_report), NULL},
};
#define REPORTED_COUNT (ARRAY_LEN(attributes) - 3)

static const struct type type = {
    .id = TYPE_STATUSES,
    .name = "registration-statuses",
    .attributes = attributes,
    .attribute_count = ARRAY_LEN(attributes),
};

const struct type *statuses_type(void)
{
    return &type;
}

void status_item_done(struct status_item *s)
{
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
        void *at = (char *)s + attributes[i].offset;
        if (attributes[i].kind == KIND_TEXT || attributes[i].kind == KIND_JSON)
            free(*(char **)at);
        else if (attributes[i].kind == KIND_TEXTS)
            texts_done(at);
    }
    *s = (struct status_item){0};
}

static struct integer positive(int64_t value)
{
    return (struct integer){.set = value > 0, .value = value};
}

static struct texts texts_of(const struct status_list *l)
{
    struct texts t = {.items = mem_array(l->count + 1, sizeof(char *)), .count = l->count};
    for (size_t i = 0; i < l->count; i++)
        t.items[i] = mem_dup_cstr(l->items[i]);
    return t;
}

static void take_cause(struct status_item *ret, const struct status *s)
{
    ret->code = positive(s->code);
    ret->reason = mem_dup_cstr(s->reason);
    ret->warning = mem_dup_cstr(s->warning);
    ret->retry_after =
        (struct integer){.set = s->retry_after_s != REGISTRATION_UNSET, .value = s->retry_after_s};
    if (s->code || s->reason)
        ret->initiator = mem_dup_cstr(s->by_local ? "local" : "remote");
}

static void take_flow(struct status_item *ret, const struct status *s)
{
    ret->foreign_contacts = (struct integer){.set = true, .value = s->foreign};
    ret->audited_at = s->audited_at_wall_ms;
    ret->pub_gruu = mem_dup_cstr(s->pub_gruu);
    ret->temp_gruu = mem_dup_cstr(s->temp_gruu);
    ret->outbound = mem_dup_cstr(s->outbound ? "true" : "false");
    ret->flow_timer = positive(s->flow_timer_s);
    ret->received_address = mem_dup_cstr(s->received);
}

static void take_report(struct status_item *ret, const struct status *s, uint64_t now_wall_ms)
{
    ret->state = mem_dup_cstr(status_state_name(s->state));
    ret->yeti_state = mem_dup_cstr(yeti_state_name(status_yeti_state(s, now_wall_ms)));
    ret->since = s->since_wall_ms;
    take_cause(ret, s);
    ret->attempt = (struct integer){.set = true, .value = s->attempt};
    ret->granted_expires = positive(s->granted_s);
    ret->expires_at = s->expires_at_wall_ms;
    ret->next_action_at = s->next_at_wall_ms;
    ret->contacts = texts_of(&s->contacts);
    ret->service_route = texts_of(&s->service_route);
    ret->path = texts_of(&s->path);
    ret->associated_uris = texts_of(&s->associated);
    take_flow(ret, s);
    ret->target = mem_dup_cstr(s->target);
    ret->local_address = mem_dup_cstr(s->local);
    ret->round_trip_time = positive(s->rtt_us);
    ret->node = mem_dup_cstr(s->node);
    ret->applied_revision = (struct integer){.set = true, .value = (int64_t)s->revision};
}

// Nothing is known: Yeti's name for what waits for an answer.
static void take_nothing(struct status_item *ret, const char *state)
{
    ret->state = mem_dup_cstr(state);
    ret->yeti_state = mem_dup_cstr(yeti_state_name(YETI_PENDING));
}

static char *report_json(const struct status_item *s)
{
    struct buf out = BUF_INIT;
    struct json_writer w = json_writer(&out);
    json_begin_object(&w);
    for (size_t i = 0; i < REPORTED_COUNT; i++) {
        json_key(&w, attributes[i].name);
        document_put_value(&w, attributes[i].kind, (const char *)s + attributes[i].offset);
    }
    json_end_object(&w);
    return buf_steal(&out);
}

// What a report that ran out says is not repeated as if it were so now.
static void doubt(struct status_item *s)
{
    char *last_report = report_json(s);
    status_item_done(s);
    take_nothing(s, "unknown");
    s->last_report = last_report;
}

void status_item_of(struct status_item *ret, const struct store_record *record, uint64_t now_wall_ms)
{
    struct dialect_status status cleanup(dialect_status_done);
    *ret = (struct status_item){.id = 0};
    dialect_status_of(&status, record, now_wall_ms);
    if (status.has_report)
        take_report(ret, &status.report, now_wall_ms);
    else
        take_nothing(ret, status.state);
    if (status.has_report && !status.believed)
        doubt(ret);
    ret->in_sync = status.in_sync;
    ret->id = (int64_t)record->reg.id;
    ret->revision = (struct integer){.set = true, .value = (int64_t)record->reg.revision};
}
