// Query string and body as parameters, in every form that a client of this API sends (contract voximplant 1).
#include "common/base/mem.h"
#include "common/json/json.h"
#include "services/gateway/voximplant/answer.h"
#include "services/gateway/voximplant/params.h"

#include <errno.h>
#include <string.h>

#define JSON_DEPTH  4
#define MEMBERS_MAX 256 // as in the other forms
#define VALUES_MAX  10000

// A value of a JSON body as a form would have it. False: it has no such form.
static bool value_text(const struct json *v, struct buf *out)
{
    switch (json_type(v)) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        buf_add_cstr(out, json_bool(v, false) ? "true" : "false");
        return true;
    case JSON_NUMBER:
        buf_add_str(out, json_number_text(v));
        return true;
    case JSON_STRING:
        buf_add_str(out, json_str(v));
        return !memchr(out->p ? out->p : "", 0, out->n);
    case JSON_ARRAY:
        for (size_t i = 0; i < json_count(v); i++) {
            if (json_is(json_at(v, i), JSON_ARRAY) || json_is(json_at(v, i), JSON_OBJECT))
                return false;
            if (i)
                buf_add_char(out, ';');
            if (!value_text(json_at(v, i), out))
                return false;
        }
        return true;
    case JSON_OBJECT:
        break;
    }
    return false;
}

// A null member is absent, and so are members of a shape that no parameter has.
static void take_members(struct http_pairs *ret, const struct json *root)
{
    ret->items = mem_array(json_count(root) + 1, sizeof(*ret->items));
    for (size_t i = 0; i < json_count(root); i++) {
        struct buf text = BUF_INIT;
        const struct json *value = json_at(root, i);
        if (json_is(value, JSON_NULL) || !value_text(value, &text)) {
            buf_done(&text);
            continue;
        }
        ret->items[ret->count++] =
            (struct http_pair){.name = str_dup(json_key_at(root, i)), .value = buf_steal(&text)};
    }
}

static int read_json(struct str body, struct http_pairs *ret, struct error *err)
{
    struct json *root cleanup(json_free_ptr) = NULL;
    const struct json_limits limits = {
        .max_bytes = JSON_LIMITS_DEFAULT.max_bytes, .max_depth = JSON_DEPTH, .max_values = VALUES_MAX};
    if (!str_trim(body).n)
        return 0;
    int rc = json_parse(body, &limits, &root, err);
    if (rc)
        return rc;
    if (!json_is(root, JSON_OBJECT))
        return error_set(err, -EINVAL, "the JSON is no object");
    if (json_count(root) > MEMBERS_MAX)
        return error_set(err, -E2BIG, "more than %d parameters", MEMBERS_MAX);
    take_members(ret, root);
    return 0;
}

static int read_body(const struct http_request *r, struct http_pairs *ret, struct error *err)
{
    struct str body = http_body(r), type = http_header(r, "content-type"), media = http_media_type(type);
    if (!body.n)
        return 0;
    if (str_ieq_cstr(media, "multipart/form-data"))
        return http_multipart_parse(type, body, ret, err);
    if (str_ieq_cstr(media, "application/json"))
        return read_json(body, ret, err);
    if (!media.n || str_ieq_cstr(media, "application/x-www-form-urlencoded"))
        return http_pairs_parse(body, ret, err);
    return error_set(err, -EINVAL,
                     "it is neither multipart/form-data nor application/x-www-form-urlencoded nor "
                     "application/json");
}

bool vox_params_read(struct params *ret, const struct http_request *r, struct fault *fault)
{
    struct error err;
    if (http_pairs_parse(http_query(r), &ret->query, &err))
        return vox_fault_set(fault, CODE_INVALID_ARGUMENTS, "The query string cannot be read: %s.", err.text);
    if (read_body(r, &ret->body, &err))
        return vox_fault_set(fault, CODE_INVALID_ARGUMENTS, "The request body cannot be read: %s.", err.text);
    return true;
}
