// See report.h.
#include "services/gateway/publish/report.h"

#include "common/base/mem.h"
#include "common/sip/uri.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORM_VERSION   1
#define NEXT_IN_MAX_MS (8ull * 24 * 3600 * 1000) // above the longest lifetime that a registrant takes

int report_verdict_parse(struct str name, enum report_verdict *ret)
{
    static const char *const names[] = {"ok",     "moving", "removed", "stale",  "elsewhere",
                                        "buried", "twin",   "past",    "orphan", "stray"};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_cstr(name, names[i])) {
            *ret = i;
            return 0;
        }
    }
    return -EINVAL;
}

// A returned Contact changes at every refresh (expires); its URI is what tells another binding.
static char *contact_uri(const char *contact)
{
    struct sip_addr addr;
    struct error err;
    if (sip_addr_parse(str_of(contact), &addr, &err))
        return mem_dup_cstr(contact);
    return str_dup(addr.uri_text);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void write_contacts(struct buf *out, const struct status_list *l)
{
    char *uris[STATUS_MAX_LIST];
    for (size_t i = 0; i < l->count; i++)
        uris[i] = contact_uri(l->items[i]);
    qsort(uris, l->count, sizeof(uris[0]), by_text);
    for (size_t i = 0; i < l->count; i++) {
        if (i)
            buf_add_char(out, '\n');
        buf_add_cstr(out, uris[i]);
        free(uris[i]);
    }
}

static bool is_alive(const struct status *s, uint64_t now_wall_ms)
{
    if (s->expires_at_wall_ms > now_wall_ms || (s->has_bound && s->bound.expires_at_wall_ms > now_wall_ms))
        return true;
    return s->state != STATE_UNREGISTERED && s->state != STATE_DISABLED;
}

static int check(const struct kafka_record *r, struct str topic_place, struct status *s, struct error *err)
{
    uint64_t key;
    if (str_to_u64(r->key, &key) || key != s->id || !s->id)
        return error_set(err, -EINVAL, "the key is not the id");
    if (!s->account || !s->account[0])
        return error_set(err, -EINVAL, "no account");
    if (!s->place[0])
        memcpy(s->place, topic_place.p, topic_place.n);
    if (!str_eq_cstr(topic_place, s->place))
        return error_set(err, -EINVAL, "it says place %s", s->place);
    return 0;
}

static int read_status(const struct kafka_record *r, struct status *ret, struct error *err)
{
    struct json *root cleanup(json_free_ptr) = NULL;
    int rc = json_parse(r->value, &JSON_LIMITS_DEFAULT, &root, err);
    if (rc)
        return rc;
    if (json_u64_or(json_get(root, "v"), FORM_VERSION) > FORM_VERSION)
        return error_set(err, -EINVAL, "a newer form than %d", FORM_VERSION);
    return status_read(root, ret, err);
}

static void derive(struct report *r, const struct kafka_record *record, uint64_t now_wall_ms)
{
    const struct status *s = &r->status;
    r->value = str_dup(record->value);
    r->recorded_ms = record->timestamp_ms > 0 ? record->timestamp_ms : (int64_t)now_wall_ms;
    r->alive = is_alive(s, now_wall_ms);
    struct json_writer w = json_writer(&r->public_value);
    status_write_public(&w, s);
    write_contacts(&r->contacts, &s->contacts);
    if (s->has_bound)
        key_binding_digest(&s->bound.sent, r->digest);
    uint64_t next_in = s->next_in_ms < NEXT_IN_MAX_MS ? s->next_in_ms : NEXT_IN_MAX_MS;
    const uint64_t values[] = {s->id, s->epoch, s->seq, s->revision, next_in, (uint64_t)r->recorded_ms};
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        (void)snprintf(r->numbers[i], sizeof(r->numbers[i]), "%" PRIu64, values[i]);
    (void)snprintf(r->numbers[8], sizeof(r->numbers[8]), "%" PRIu64, status_bound_until_ms(s));
    (void)snprintf(r->numbers[9], sizeof(r->numbers[9]), "%" PRIu64,
                   s->has_bound ? s->bound.last_sent_wall_ms : 0);
}

int report_read(const struct kafka_record *record, struct str topic_place, uint64_t now_wall_ms,
                struct report **ret, struct error *err)
{
    struct report *r = mem_alloc(sizeof(*r));
    int rc = read_status(record, &r->status, err);
    if (rc) {
        free(r); // a failed read leaves nothing to free in the status
        return rc;
    }
    rc = check(record, topic_place, &r->status, err);
    if (rc) {
        report_free(r);
        return rc;
    }
    derive(r, record, now_wall_ms);
    *ret = r;
    return 0;
}

void report_free(struct report *r)
{
    if (!r)
        return;
    status_done(&r->status);
    free(r->value);
    buf_done(&r->public_value);
    buf_done(&r->contacts);
    free(r);
}

void report_args(struct report *r, const struct report_waits *waits, struct str ret[REPORT_ARGS])
{
    const struct status *s = &r->status;
    (void)snprintf(r->numbers[6], sizeof(r->numbers[6]), "%" PRIu32, waits->grace_ms);
    (void)snprintf(r->numbers[7], sizeof(r->numbers[7]), "%" PRIu32, waits->ack_wait_ms);
    const struct str args[REPORT_ARGS] = {
        str_of(r->numbers[0]),
        str_of(s->account),
        str_of(s->place),
        str_of(r->numbers[1]),
        str_of(r->numbers[2]),
        str_of(r->numbers[3]),
        str_of(status_state_name(s->state)),
        str_of(r->numbers[4]),
        str_of(r->value),
        buf_str(&r->public_value),
        str_of(s->removed == PROOF_NONE ? "" : status_proof_name(s->removed)),
        buf_str(&r->contacts),
        r->alive ? STR_LIT("1") : STR_LIT("0"),
        str_of(r->numbers[5]),
        str_of(r->digest),
        str_of(r->numbers[6]),
        str_of(r->numbers[7]),
        str_of(waits->source),
        str_of(r->numbers[8]),
        str_of(r->numbers[9]),
    };
    memcpy(ret, args, sizeof(args));
}

bool report_is_above(const struct report *a, const struct report *b)
{
    const struct status *x = &a->status, *y = &b->status;
    return x->epoch > y->epoch || (x->epoch == y->epoch && x->seq > y->seq);
}
