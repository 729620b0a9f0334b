// See record.h. A hash that cannot be read is an error that names its id, never a record left out in silence.
#include "services/gateway/store/record.h"

#include "services/gateway/store/keys.h"

#include <errno.h>

enum field {
    FIELD_ACCOUNT,
    FIELD_DELETED,
    FIELD_REVISION,
    FIELD_CREATED,
    FIELD_UPDATED,
    FIELD_REFRESH,
    FIELD_FLUSH,
    FIELD_AUDIT,
    FIELD_SPEC,
    FIELD_STATUS,
    FIELD_COUNT
};
static const char *const field_names[FIELD_COUNT] = {
    "account",     "deleted",   "revision",  "created_at", "updated_at",
    "refresh_seq", "flush_seq", "audit_seq", "spec",       "status",
};

void record_fetch(struct redis *r, struct str account, uint64_t id, bool with_status, redis_fn *fn, void *arg)
{
    struct buf key cleanup(buf_done) = BUF_INIT;
    key_registration(&key, store_shard(account), id);
    struct str argv[2 + FIELD_COUNT] = {STR_LIT("HMGET"), buf_str(&key)};
    size_t count = with_status ? FIELD_COUNT : FIELD_STATUS;
    for (size_t i = 0; i < count; i++)
        argv[2 + i] = str_of(field_names[i]);
    redis_command(r, fn, arg, 2 + count, argv);
}

static uint64_t number_at(const struct redis_value *v, enum field field)
{
    return (uint64_t)redis_int(redis_at(v, field));
}

static int read_spec(struct str text, struct registration *ret, struct error *err)
{
    struct json *spec cleanup(json_free_ptr) = NULL;
    int rc = json_parse(text, &JSON_LIMITS_DEFAULT, &spec, err);
    return rc ? rc : registration_read(spec, ret, err);
}

int record_read(const struct redis_value *v, struct str account, uint64_t id, struct store_record *ret,
                struct error *err)
{
    bool deleted = redis_type(redis_at(v, FIELD_DELETED)) != REDIS_NIL;
    if (!str_eq(redis_str(redis_at(v, FIELD_ACCOUNT)), account) || deleted)
        return error_set(err, -ENOENT, "no registration %llu in this account", (unsigned long long)id);

    struct error why;
    if (read_spec(redis_str(redis_at(v, FIELD_SPEC)), &ret->reg, &why))
        return error_set(err, -EBADMSG, "what Redis holds of registration %llu is damaged: %s",
                         (unsigned long long)id, why.text);
    if (ret->reg.id != id || !str_eq(str_of(ret->reg.account), account)) {
        registration_done(&ret->reg);
        return error_set(err, -EBADMSG, "what Redis holds of registration %llu is damaged: it is another one",
                         (unsigned long long)id);
    }
    ret->reg.revision = number_at(v, FIELD_REVISION);
    ret->reg.created_at_ms = number_at(v, FIELD_CREATED);
    ret->reg.updated_at_ms = number_at(v, FIELD_UPDATED);
    ret->reg.refresh_seq = number_at(v, FIELD_REFRESH);
    ret->reg.flush_seq = number_at(v, FIELD_FLUSH);
    ret->reg.audit_seq = number_at(v, FIELD_AUDIT);
    ret->status = redis_str(redis_at(v, FIELD_STATUS));
    return 0;
}

void record_spec(struct buf *out, const struct registration *r)
{
    struct registration configured = *r; // borrows all texts
    configured.refresh_seq = configured.flush_seq = configured.audit_seq = 0;
    registration_write(out, &configured);
}

void record_event(struct buf *out, const struct registration *r, struct str actor)
{
    struct registration open = *r; // borrows all texts
    for (size_t i = 0; i < open.credential_count; i++) {
        const struct credential *c = &r->credentials[i];
        open.credentials[i] = (struct credential){.realm = c->realm, .user = c->user};
    }
    struct buf text cleanup(buf_done) = BUF_INIT;
    registration_write(&text, &open);
    struct json_writer w = json_writer(out); // no braces: they are the drain's
    json_kv_cstr(&w, "name", r->name);
    json_kv_str(&w, "actor", actor);
    json_key(&w, "registration");
    json_put_raw(&w, buf_str(&text));
}
