// See restore.h.
#include "services/gateway/publish/restore.h"

#include "common/base/mem.h"
#include "common/json/json.h"
#include "services/gateway/publish/message.h"
#include "services/gateway/store/terms.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORM_VERSION 1

int restore_verdict_parse(struct str name, enum restore_verdict *ret)
{
    static const char *const names[] = {"restored", "held", "buried"};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_cstr(name, names[i])) {
            *ret = i;
            return 0;
        }
    }
    return -EINVAL;
}

int restore_read(const struct kafka_record *record, struct str topic_place, struct restore **ret,
                 struct error *err)
{
    struct json *root cleanup(json_free_ptr) = NULL;
    int rc = json_parse(record->value, &JSON_LIMITS_DEFAULT, &root, err);
    if (rc)
        return rc;
    uint64_t id = json_u64_or(json_get(root, "id"), 0), key;
    if (json_u64_or(json_get(root, "v"), FORM_VERSION) > FORM_VERSION)
        return error_set(err, -EINVAL, "a newer form than %d", FORM_VERSION);
    if (!id || str_to_u64(record->key, &key) || key != id)
        return error_set(err, -EINVAL, "the key is not the id");
    struct str op = json_str(json_get(root, "op"));
    if (!str_eq_cstr(op, "desired") && !str_eq_cstr(op, "remove"))
        return -ENOENT;
    struct restore *r = mem_alloc(sizeof(*r));
    r->id = id;
    r->revision = json_u64_or(json_get(root, "revision"), 0);
    r->created_ms = r->revision;
    r->value = str_dup(record->value);
    memcpy(r->place, topic_place.p, topic_place.n < sizeof(r->place) ? topic_place.n : sizeof(r->place) - 1);
    *ret = r;
    return 0;
}

struct restore *restore_of(const struct store_change *c)
{
    if (!c->spec || (c->op != STORE_OP_DESIRED && c->op != STORE_OP_REMOVE))
        return NULL;
    struct store_change plain = *c;
    if (c->stray) // that is what a former owner said
        plain.status = NULL;
    struct buf value = BUF_INIT;
    message_write_change(&value, &plain);
    struct restore *r = mem_alloc(sizeof(*r));
    r->id = c->id;
    r->revision = r->created_ms = c->revision;
    memcpy(r->place, c->place, sizeof(r->place));
    r->value = buf_steal(&value);
    return r;
}

struct restore *restore_copy(const struct restore *r)
{
    struct restore *copy = mem_alloc(sizeof(*copy));
    *copy = *r;
    copy->value = mem_dup_cstr(r->value);
    return copy;
}

void restore_free(struct restore *r)
{
    if (!r)
        return;
    free(r->value);
    free(r);
}

static void add(struct restore_args *a, struct str text)
{
    a->argv[a->argc++] = text;
}

static void add_number(struct restore_args *a, size_t slot, uint64_t value)
{
    (void)snprintf(a->numbers[slot], sizeof(a->numbers[slot]), "%" PRIu64, value);
    add(a, str_of(a->numbers[slot]));
}

static void add_status(struct restore_args *a)
{
    const struct status *s = &a->last;
    add(a, buf_str(&a->last_text));
    add(a, str_of(status_state_name(s->state)));
    add_number(a, 9, s->revision);
    add_number(a, 10, s->epoch);
    add_number(a, 11, s->seq);
    add(a, str_of(s->place));
    add_number(a, 12, status_bound_until_ms(s));
}

static int read_parts(struct restore_args *a, const struct json *root, struct error *err)
{
    int rc = registration_read(json_get(root, "spec"), &a->reg, err);
    if (rc)
        return rc;
    struct str account = json_str(json_get(root, "account"));
    if (!account.n) {
        registration_done(&a->reg);
        return error_set(err, -EINVAL, "no account");
    }
    a->account = str_dup(account);
    const struct json *last = json_get(root, "status");
    a->has_last = json_is(last, JSON_OBJECT) && !status_read(last, &a->last, NULL);
    if (a->has_last)
        json_write_value(&a->last_text, last);
    return 0;
}

int restore_args(const struct restore *r, uint32_t grace_ms, uint32_t seed, struct restore_args *ret_init,
                 struct error *err)
{
    struct restore_args *a = ret_init;
    *a = (struct restore_args){0};
    struct json *root cleanup(json_free_ptr) = NULL;
    int rc = json_parse(str_of(r->value), &JSON_LIMITS_DEFAULT, &root, err);
    if (!rc)
        rc = read_parts(a, root, err);
    if (rc)
        return rc;
    const uint64_t counters[] = {a->reg.refresh_seq, a->reg.flush_seq, a->reg.audit_seq};
    a->reg.refresh_seq = a->reg.flush_seq = a->reg.audit_seq = 0; // they stand beside the stored text
    registration_write(&a->spec, &a->reg);
    key_binding_digest(&a->reg, a->digest);
    terms_of(&a->terms, &a->reg);
    bool removed = str_eq_cstr(json_str(json_get(root, "op")), "remove");
    add_number(a, 0, r->id);
    add(a, str_of(a->account));
    add_number(a, 1, r->revision);
    add(a, removed ? STR_LIT("1") : STR_LIT("0"));
    add(a, str_of(a->reg.name));
    add(a, str_of(r->place));
    add_number(a, 2, key_bucket(r->id));
    add(a, a->reg.enabled ? STR_LIT("1") : STR_LIT("0"));
    add(a, str_of(a->digest));
    add(a, buf_str(&a->spec));
    for (size_t i = 0; i < ARRAY_LEN(counters); i++)
        add_number(a, 3 + i, counters[i]);
    add_number(a, 6, grace_ms);
    add_number(a, 7, seed);
    add_number(a, 8, r->created_ms);
    add(a, buf_str(&a->terms));
    if (a->has_last)
        add_status(a);
    return 0;
}

void restore_args_done(struct restore_args *a)
{
    registration_done(&a->reg);
    if (a->has_last)
        status_done(&a->last);
    free(a->account);
    buf_done(&a->spec);
    buf_done(&a->terms);
    buf_done(&a->last_text);
}
