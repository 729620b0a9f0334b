// See change.h.
#include "services/registrant/shard/change.h"

#include <errno.h>

static const struct json_limits limits = {.max_bytes = 1u << 20, .max_depth = 16};

static int read_op(const struct json *root, enum desired_op *ret, struct error *err)
{
    static const struct {
        const char *name;
        enum desired_op op;
    } ops[] = {{"desired", DESIRED_KEEP},
               {"remove", DESIRED_REMOVE},
               {"moved", DESIRED_MOVED},
               {"deleted", DESIRED_BURIED}};
    struct str name = json_str(json_get(root, "op"));
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        if (str_eq_cstr(name, ops[i].name)) {
            *ret = ops[i].op;
            return 0;
        }
    }
    return error_set(err, -EINVAL, "op \"" STR_FMT "\" is not known", STR_ARG(name));
}

static int check_version(const struct json *root, struct error *err)
{
    const struct json *v = json_get(root, "v");
    int64_t version = 1;
    if (v && json_i64(v, &version))
        return error_set(err, -EINVAL, "the version is no number that this program knows");
    return version > 1
               ? error_set(err, -EINVAL, "version %lld is newer than this program knows", (long long)version)
               : 0;
}

static int check_key(struct str key, uint64_t id, struct error *err)
{
    uint64_t from_key;
    if (!key.p)
        return 0;
    if (str_to_u64(key, &from_key) || from_key != id)
        return error_set(err, -EINVAL, "the key is not the id %llu", (unsigned long long)id);
    return 0;
}

static int fill(struct sip_command *c, const struct json *root, struct str key, struct error *err)
{
    int rc = check_version(root, err);
    if (!rc)
        rc = read_op(root, &c->op, err);
    if (!rc && json_u64(json_get(root, "id"), &c->id))
        rc = error_set(err, -EINVAL, "id is not an integer");
    if (!rc)
        rc = check_key(key, c->id, err);
    if (rc)
        return rc;
    c->revision = json_u64_or(json_get(root, "revision"), 0);
    c->twin = json_bool(json_get(root, "twin"), false);
    c->stray = json_bool(json_get(root, "stray"), false);
    const struct json *spec = json_get(root, "spec"), *status = json_get(root, "status");
    if (json_is(spec, JSON_OBJECT)) {
        rc = registration_read(spec, &c->reg, err);
        c->has_reg = rc == 0;
        c->reg.revision = c->revision;
        if (!rc && c->reg.id != c->id)
            rc = error_set(err, -EINVAL, "spec is of another id than %llu", (unsigned long long)c->id);
    } else if (c->op == DESIRED_KEEP || c->op == DESIRED_REMOVE) {
        rc = error_set(err, -EINVAL, "spec is missing");
    }
    if (!rc && json_is(status, JSON_OBJECT)) {
        rc = status_read(status, &c->last, err);
        c->has_last = rc == 0;
        if (rc && c->op == DESIRED_KEEP)
            return 0; // what is wanted is known: bound anew is better than not at all
        if (!rc && c->last.id != c->id)
            rc = error_set(err, -EINVAL, "status is of another id than %llu", (unsigned long long)c->id);
    }
    return rc;
}

int change_read(struct str json, struct str key, bool snapshot, struct sip_command **ret, struct error *err)
{
    struct json *root cleanup(json_free_ptr) = NULL;
    int rc = json_parse(json, &limits, &root, err);
    if (rc)
        return rc;
    struct sip_command *c = sip_command_new(SIP_DESIRED, 0);
    c->snapshot = snapshot;
    rc = fill(c, root, key, err);
    if (rc) {
        sip_command_free(c);
        return rc;
    }
    *ret = c;
    return 0;
}

bool change_is_closing(struct str json, uint64_t *ret_count)
{
    struct json *root cleanup(json_free_ptr) = NULL;
    if (json.n > 64 || json_parse(json, &limits, &root, NULL))
        return false;
    return json_count(root) == 1 && json_u64(json_get(root, "count"), ret_count) == 0;
}
