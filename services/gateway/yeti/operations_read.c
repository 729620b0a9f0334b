// The form of operations: what each is to do, and to which registration.
#include "common/base/mem.h"
#include "services/gateway/yeti/operations.h"

#include <stdio.h>

void operations_point(struct errors *e, size_t n, const char *member)
{
    (void)snprintf(e->at, sizeof(e->at), "/atomic:operations/%zu%s", n, member);
}

static bool refuse(struct errors *e, enum problem problem, struct str a)
{
    errors_add(e, problem, a, STR_NONE);
    return false;
}

static bool refuse_at(struct errors *e, size_t n, const char *member, const char *text)
{
    operations_point(e, n, member);
    return refuse(e, PROBLEM_BAD_REQUEST, str_of(text));
}

// ---- target: ref or href

struct target {
    const char *member; // that says it; NULL: not given
    struct str id, lid; // p NULL: not given; neither: the collection
    const struct relation *relation;
};

static bool read_type(const struct json *type, struct errors *e)
{
    if (!type)
        return refuse(e, PROBLEM_PARAM_MISSING, STR_LIT("type"));
    bool fits =
        json_is(type, JSON_STRING) && type_by_name(json_str(type), true) == type_of(TYPE_REGISTRATIONS);
    return fits || refuse(e, PROBLEM_INVALID_RESOURCE, json_str(type));
}

static bool read_relation(struct target *ret, struct str name, struct errors *e)
{
    ret->relation = type_relation(type_of(TYPE_REGISTRATIONS), name);
    bool good = ret->relation && !ret->relation->addition;
    return good || refuse(e, PROBLEM_PARAM_NOT_ALLOWED, name);
}

static struct str id_text(const struct json *v)
{
    return json_is(v, JSON_NUMBER) ? json_number_text(v) : json_str(v);
}

static bool read_ref(struct target *ret, const struct json *ref, size_t n, struct errors *e)
{
    const struct json *relation = json_get(ref, "relationship");
    operations_point(e, n, "/ref");
    if (!json_is(ref, JSON_OBJECT))
        return refuse(e, PROBLEM_BAD_REQUEST, STR_LIT("ref must be an object"));
    ret->id = id_text(json_get(ref, "id"));
    ret->lid = json_str(json_get(ref, "lid"));
    if (ret->id.p && ret->lid.p)
        return refuse(e, PROBLEM_BAD_REQUEST, STR_LIT("id and lid exclude each other"));
    return read_type(json_get(ref, "type"), e) && (!relation || read_relation(ret, json_str(relation), e));
}

// Scheme and host do not matter; a relative reference is taken from the address of this request.
static struct str path_of(struct str href)
{
    struct str prefix = STR_LIT(YETI_PREFIX "/");
    size_t scheme = str_find_str(href, STR_LIT("://"));
    if (scheme < href.n)
        href = str_slice(href, str_find(href, '/', scheme + 3), href.n);
    return str_starts(href, prefix) ? str_slice(href, prefix.n, href.n) : href;
}

static bool has_query(struct str href)
{
    return str_find(href, '?', 0) < href.n || str_find(href, '#', 0) < href.n;
}

static bool read_href(struct target *ret, const struct json *href, size_t n, struct errors *e)
{
    struct str parts[5] = {STR_NONE}, rest = path_of(json_str(href));
    size_t count = 0;
    operations_point(e, n, "/href");
    while (count < ARRAY_LEN(parts) && str_split(&rest, '/', &parts[count]))
        count++;
    bool is_relation = count == 4 && str_eq_cstr(parts[2], "relationships");
    if (!str_eq_cstr(parts[0], type_of(TYPE_REGISTRATIONS)->name) || count == 3 || count > 4 ||
        (count == 4 && !is_relation) || (count > 1 && !parts[1].n) || has_query(json_str(href)))
        return refuse(e, PROBLEM_BAD_REQUEST,
                      STR_LIT("href must lead to registrations, one of them or a relationship of it, "
                              "and have no query"));
    if (count > 1)
        ret->id = parts[1];
    return !is_relation || read_relation(ret, parts[3], e);
}

static bool read_target(struct target *ret, const struct json *op, size_t n, struct errors *e)
{
    const struct json *ref = json_get(op, "ref"), *href = json_get(op, "href");
    *ret = (struct target){.member = ref ? "/ref" : href ? "/href" : NULL};
    if (ref && href)
        return refuse_at(e, n, "", "ref and href exclude each other");
    return ref ? read_ref(ret, ref, n, e) : href ? read_href(ret, href, n, e) : true;
}

// ---- subjects

static struct subject *add_subject(struct operations *o)
{
    struct subject *s = &o->subjects[o->subject_count++];
    *s = (struct subject){.id = 0};
    return s;
}

static bool find_by_id(struct operations *o, struct action *a, struct str text, struct errors *e)
{
    uint64_t id = 0;
    if (str_to_u64(text, &id) || !id || id > INT64_MAX || text.p[0] == '+')
        return refuse(e, PROBLEM_NO_RECORD, text);
    HASH_FIND(hh_id, o->by_id, &id, sizeof(id), a->subject);
    if (a->subject)
        return true;
    a->subject = add_subject(o);
    a->subject->id = id;
    HASH_ADD(hh_id, o->by_id, id, sizeof(id), a->subject);
    return true;
}

static bool find_by_lid(struct operations *o, struct action *a, struct str lid, struct errors *e)
{
    HASH_FIND(hh_lid, o->by_lid, lid.p, (unsigned)lid.n, a->subject);
    return a->subject || refuse(e, PROBLEM_NO_RECORD, lid);
}

static bool make_subject(struct operations *o, struct action *a, size_t n, struct errors *e)
{
    struct subject *other = NULL;
    struct str lid = a->body.lid;
    if (lid.p)
        HASH_FIND(hh_lid, o->by_lid, lid.p, (unsigned)lid.n, other);
    if (other)
        return refuse_at(e, n, "/data/lid", "lid was given to another resource before");
    a->subject = add_subject(o);
    a->subject->lid = lid;
    if (lid.p)
        HASH_ADD_KEYPTR(hh_lid, o->by_lid, lid.p, (unsigned)lid.n, a->subject);
    return true;
}

// ---- operations

static bool read_add(struct operations *o, struct action *a, const struct target *t, const struct json *op,
                     size_t n, struct errors *e)
{
    const struct body_params params = {.type = type_of(TYPE_REGISTRATIONS), .local_ids = true};
    if (t->relation)
        return refuse_at(e, n, "/op", "a relationship to one can only be updated");
    if (t->id.p || t->lid.p)
        return refuse_at(e, n, "", "what is added has no id yet");
    operations_point(e, n, "");
    return body_read_resource(&a->body, json_get(op, "data"), &params, e) && make_subject(o, a, n, e);
}

static bool read_relink(struct operations *o, struct action *a, const struct target *t, const struct json *op,
                        size_t n, struct errors *e)
{
    struct linkage *linkage = &a->body.linkages[t->relation - type_of(TYPE_REGISTRATIONS)->relations];
    a->relation = t->relation;
    operations_point(e, n, "");
    if (!body_read_linkage(linkage, op, t->relation, e))
        return false;
    operations_point(e, n, t->member);
    return t->lid.p ? find_by_lid(o, a, t->lid, e) : find_by_id(o, a, t->id, e);
}

// Without a target the resource object says which it is.
static bool read_update(struct operations *o, struct action *a, const struct target *t, const struct json *op,
                        size_t n, struct errors *e)
{
    const struct json *data = json_get(op, "data");
    struct str id = t->member ? t->id : id_text(json_get(data, "id"));
    struct str lid = t->member ? t->lid : json_str(json_get(data, "lid"));
    const struct body_params params = {
        .type = type_of(TYPE_REGISTRATIONS), .url_id = id, .local_ids = lid.p != NULL};
    operations_point(e, n, "");
    if (!id.p && !lid.p)
        return refuse(e, PROBLEM_KEY_MISSING, STR_NONE);
    if (!body_read_resource(&a->body, data, &params, e))
        return false;
    if (lid.p && a->body.lid.p && !str_eq(lid, a->body.lid))
        return refuse(e, PROBLEM_KEY_NOT_IN_URL, a->body.lid);
    operations_point(e, n, t->member ? t->member : "/data");
    return lid.p ? find_by_lid(o, a, lid, e) : find_by_id(o, a, id, e);
}

static bool read_remove(struct operations *o, struct action *a, const struct target *t, size_t n,
                        struct errors *e)
{
    if (t->relation)
        return refuse_at(e, n, "/op", "a relationship to one can only be updated");
    if (!t->id.p && !t->lid.p)
        return refuse_at(e, n, "", "ref or href must name a resource");
    operations_point(e, n, t->member);
    return t->lid.p ? find_by_lid(o, a, t->lid, e) : find_by_id(o, a, t->id, e);
}

static bool read_one(struct operations *o, struct action *a, const struct json *op, size_t n,
                     struct errors *e)
{
    struct str code = json_str(json_get(op, "op"));
    struct target t;
    operations_point(e, n, "");
    if (!json_is(op, JSON_OBJECT))
        return refuse(e, PROBLEM_BAD_REQUEST, STR_LIT("an operation must be an object"));
    if (!code.p)
        return refuse(e, PROBLEM_PARAM_MISSING, STR_LIT("op"));
    if (!read_target(&t, op, n, e))
        return false;
    if (str_eq_cstr(code, "add")) {
        a->kind = ACTION_ADD;
        return read_add(o, a, &t, op, n, e);
    }
    if (str_eq_cstr(code, "remove")) {
        a->kind = ACTION_REMOVE;
        return read_remove(o, a, &t, n, e);
    }
    a->kind = ACTION_UPDATE;
    if (!str_eq_cstr(code, "update"))
        return refuse_at(e, n, "/op", "op must be add, update or remove");
    if (t.relation && !t.id.p && !t.lid.p)
        return refuse_at(e, n, t.member, "ref or href must name a resource");
    return t.relation ? read_relink(o, a, &t, op, n, e) : read_update(o, a, &t, op, n, e);
}

static bool refers_to_places(const struct action *a)
{
    const struct type *t = type_of(TYPE_REGISTRATIONS);
    for (size_t i = 0; i < t->relation_count; i++)
        if (a->body.linkages[i].given && t->relations[i].target != TYPE_TRANSPORT_PROTOCOLS)
            return true;
    return false;
}

bool operations_read(struct operations *o, const struct json *root, struct errors *errors)
{
    const struct json *list = json_get(root, "atomic:operations");
    size_t count = json_count(list);
    if (json_get(root, "data") || json_get(root, "included"))
        return refuse(errors, PROBLEM_PARAM_NOT_ALLOWED,
                      json_get(root, "data") ? STR_LIT("data") : STR_LIT("included"));
    if (!json_is(list, JSON_ARRAY) || !count)
        return refuse(errors, PROBLEM_PARAM_MISSING, STR_LIT("atomic:operations"));
    if (count > STORE_BATCH_MAX)
        return refuse(errors, PROBLEM_TOO_LARGE, STR_LIT("At most 1000 operations are done at once."));
    o->actions = mem_array(count, sizeof(*o->actions));
    o->subjects = mem_array(count, sizeof(*o->subjects));
    for (; o->action_count < count; o->action_count++) {
        struct action *a = &o->actions[o->action_count];
        *a = (struct action){.relation = NULL};
        if (!read_one(o, a, json_at(list, o->action_count), o->action_count, errors))
            return false;
        o->places = o->places || refers_to_places(a);
    }
    errors->at[0] = '\0';
    return true;
}

void operations_done(struct operations *o)
{
    operations_forget(o);
    HASH_CLEAR(hh_id, o->by_id);
    HASH_CLEAR(hh_lid, o->by_lid);
    buf_done(&o->text);
    free(o->actions);
    free(o->subjects);
    *o = (struct operations){.action_count = 0};
}
