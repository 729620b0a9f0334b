// See body.h.
#include "services/gateway/yeti/body.h"

#include "services/gateway/yeti/coerce.h"

#include <errno.h>

// A value as it is printed in an error: text as it is, all else as JSON.
static void add_text(struct buf *out, const struct json *v)
{
    if (json_is(v, JSON_STRING))
        buf_add_str(out, json_str(v));
    else
        json_write_value(out, v);
}

static bool refuse(struct errors *errors, enum problem problem, const struct json *v)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    if (v)
        add_text(&text, v);
    errors_add(errors, problem, buf_str(&text), STR_NONE);
    return false;
}

static bool refuse_name(struct errors *errors, enum problem problem, struct str name)
{
    errors_add(errors, problem, name, STR_NONE);
    return false;
}

// Yeti answers 500 to shapes it does not expect; here they are named like a failed validation.
static bool refuse_shape(struct errors *errors, enum pointer pointer, const char *name)
{
    errors_add_invalid(errors, pointer, name, MESSAGE_INVALID);
    return false;
}

static bool is_absent(const struct json *v)
{
    return !v || json_is(v, JSON_NULL);
}

// ---- linkage

// An integer literal as text or number; far out of range is an id that nobody has.
static bool read_id(const struct json *v, int64_t *ret)
{
    struct str text = json_is(v, JSON_NUMBER) ? json_number_text(v) : str_trim(json_str(v));
    int rc = text.n ? str_to_i64(text, ret) : -EINVAL;
    if (rc == -ERANGE || (!rc && *ret <= 0))
        *ret = INT64_MAX;
    return rc != -EINVAL;
}

static bool read_identifier(struct linkage *ret, const struct json *data, const struct relation *r,
                            struct errors *errors)
{
    const struct json *type = json_get(data, "type"), *id = json_get(data, "id");
    if (is_absent(data))
        return true;
    if (!json_is(data, JSON_OBJECT) || json_count(data) != 2 || !type || !id)
        return refuse(errors, PROBLEM_LINKS_OBJECT, NULL);
    if (json_is(id, JSON_NULL))
        return true;
    if (!json_is(type, JSON_STRING) || type_by_name(json_str(type), true) != type_of(r->target))
        return refuse(errors, PROBLEM_TYPE_MISMATCH, type);
    if (!read_id(id, &ret->id))
        return refuse(errors, PROBLEM_INVALID_ID, id);
    return true;
}

static bool read_linkage(struct linkage *ret, const struct json *v, const struct relation *r,
                         struct errors *errors)
{
    *ret = (struct linkage){.given = true};
    if (is_absent(v))
        return true;
    if (json_is(v, JSON_ARRAY))
        return refuse(errors, PROBLEM_LINKS_OBJECT, NULL);
    if (!json_is(v, JSON_OBJECT))
        return refuse_shape(errors, POINTER_RELATIONSHIP, r->name);
    return read_identifier(ret, json_get(v, "data"), r, errors);
}

bool body_read_linkage(struct linkage *ret, const struct json *root, const struct relation *relation,
                       struct errors *errors)
{
    *ret = (struct linkage){.given = true};
    if (!root || !json_get(root, "data"))
        return refuse_name(errors, PROBLEM_PARAM_MISSING, STR_LIT("data"));
    return read_identifier(ret, json_get(root, "data"), relation, errors);
}

// ---- members of data

static bool is_empty_array(const struct json *v)
{
    return json_is(v, JSON_ARRAY) && !json_count(v);
}

static bool check_attribute_name(const struct body_params *p, struct str name, struct errors *errors)
{
    const struct relation *r = type_relation(p->type, name);
    const struct attribute *a = type_attribute(p->type, name);
    if (r && !r->addition)
        return refuse_shape(errors, POINTER_ATTRIBUTE, r->name);
    bool known = a && a->coerce && !(p->strict && type_attribute_is_added(p->type, a));
    return known || refuse_name(errors, PROBLEM_PARAM_NOT_ALLOWED, name);
}

static bool read_attributes(struct body *b, const struct json *v, const struct body_params *p,
                            struct errors *errors)
{
    if (is_empty_array(v))
        return true;
    if (!json_is(v, JSON_OBJECT))
        return refuse_shape(errors, POINTER_MEMBER, "attributes");
    for (size_t i = 0; i < json_count(v); i++)
        if (!check_attribute_name(p, json_key_at(v, i), errors))
            return false;
    b->attributes = v;
    return true;
}

static bool check_relations(const struct json *v, const struct type *t, struct errors *errors)
{
    if (!json_is(v, JSON_OBJECT))
        return refuse_shape(errors, POINTER_MEMBER, "relationships");
    for (size_t i = 0; i < json_count(v); i++) {
        const struct relation *r = type_relation(t, json_key_at(v, i));
        if (!r || r->addition)
            return refuse_name(errors, PROBLEM_PARAM_NOT_ALLOWED, json_key_at(v, i));
    }
    return true;
}

static bool check_member(struct body *b, struct str name, const struct json *v, const struct body_params *p,
                         struct errors *errors)
{
    bool may_have_id = p->url_id.p || p->client_ids;
    if (str_eq_cstr(name, "attributes"))
        return read_attributes(b, v, p, errors);
    if (str_eq_cstr(name, "relationships"))
        return check_relations(v, p->type, errors);
    if (str_eq_cstr(name, "id") && may_have_id) {
        b->id = v;
        return true;
    }
    if (str_eq_cstr(name, "lid") && p->local_ids && json_is(v, JSON_STRING)) {
        b->lid = json_str(v);
        return true;
    }
    return str_eq_cstr(name, "type") || refuse_name(errors, PROBLEM_PARAM_NOT_ALLOWED, name);
}

// All names first, in their order; then what the relationships hold.
static bool read_members(struct body *b, const struct json *data, const struct body_params *p,
                         struct errors *errors)
{
    const struct json *relations = json_get(data, "relationships");
    for (size_t i = 0; i < json_count(data); i++)
        if (!check_member(b, json_key_at(data, i), json_at(data, i), p, errors))
            return false;
    for (size_t i = 0; i < json_count(relations); i++) {
        const struct relation *r = type_relation(p->type, json_key_at(relations, i));
        if (!read_linkage(&b->linkages[r - p->type->relations], json_at(relations, i), r, errors))
            return false;
    }
    return true;
}

// ---- the resource object

static bool check_key(const struct json *id, struct str url_id, struct errors *errors)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    if (is_absent(id))
        return refuse(errors, PROBLEM_KEY_MISSING, NULL);
    add_text(&text, id);
    return str_eq(buf_str(&text), url_id) || refuse_name(errors, PROBLEM_KEY_NOT_IN_URL, buf_str(&text));
}

static bool check_type(const struct json *type, const struct type *wanted, struct errors *errors)
{
    if (is_absent(type))
        return refuse_name(errors, PROBLEM_PARAM_MISSING, STR_LIT("type"));
    bool fits = json_is(type, JSON_STRING) && type_by_name(json_str(type), true) == wanted;
    return fits || refuse(errors, PROBLEM_INVALID_RESOURCE, type);
}

bool body_read(struct body *ret, const struct json *root, const struct body_params *p, struct errors *errors)
{
    return body_read_resource(ret, json_get(root, "data"), p, errors);
}

bool body_read_resource(struct body *ret, const struct json *data, const struct body_params *p,
                        struct errors *errors)
{
    bool is_hollow = json_is(data, JSON_OBJECT) || json_is(data, JSON_ARRAY);
    *ret = (struct body){.attributes = NULL};
    if (is_absent(data) || (is_hollow && !json_count(data)))
        return refuse_name(errors, PROBLEM_PARAM_MISSING, STR_LIT("data"));
    if (!json_is(data, JSON_OBJECT))
        return refuse(errors, PROBLEM_DATA_FORMAT, NULL);
    if (p->url_id.p && !check_key(json_get(data, "id"), p->url_id, errors))
        return false;
    return check_type(json_get(data, "type"), p->type, errors) && read_members(ret, data, p, errors);
}
