// See errors.h.
#include "services/gateway/yeti/errors.h"

#include "common/json/json.h"

#include <stdio.h>

static const struct row {
    int status;
    const char *code, *title, *detail;
} rows[] = {
    [PROBLEM_INVALID_RESOURCE] = {400, "101", "Invalid resource", "{a} is not a valid resource."},
    [PROBLEM_FILTER_NOT_ALLOWED] = {400, "102", "Filter not allowed", "{a} is not allowed."},
    [PROBLEM_INVALID_ID] = {400, "103", "Invalid field value", "{a} is not a valid value for id."},
    [PROBLEM_INVALID_FIELD] = {400, "104", "Invalid field", "{a} is not a valid field for {b}."},
    [PROBLEM_PARAM_NOT_ALLOWED] = {400, "105", "Param not allowed", "{a} is not allowed."},
    [PROBLEM_PARAM_MISSING] = {400, "106", "Missing Parameter", "The required parameter, {a}, is missing."},
    [PROBLEM_FILTER_VALUE] = {400, "107", "Invalid filter value", "{a} is not a valid value for {b}."},
    [PROBLEM_KEY_MISSING] = {400, "109", "A key is required", "The resource object does not contain a key."},
    [PROBLEM_KEY_NOT_IN_URL] = {400, "110", "Key is not included in URL",
                                "The URL does not support the key {a}"},
    [PROBLEM_INVALID_INCLUDE] = {400, "112", "Invalid field", "{a} is not a valid relationship of {b}"},
    [PROBLEM_INVALID_SORT] = {400, "114", "Invalid sort criteria",
                              "{a} is not a valid sort criteria for {b}"},
    [PROBLEM_LINKS_OBJECT] = {400, "115", "Invalid Links Object", "Data is not a valid Links Object."},
    [PROBLEM_TYPE_MISMATCH] = {400, "116", "Type Mismatch", "{a} is not a valid type for this operation."},
    [PROBLEM_PAGE_VALUE] = {400, "118", "Invalid page value",
                            "{a} is not a valid value for {b} page parameter."},
    [PROBLEM_PAGE_TOO_LARGE] = {400, "118", "Invalid page value", "size exceeds maximum page size of {a}."},
    [PROBLEM_FIELDS_FORMAT] = {400, "119", "Invalid field format", "Fields must specify a type."},
    [PROBLEM_FILTER_SYNTAX] = {400, "120", "Invalid filters syntax",
                               "{a} is not a valid syntax for filtering."},
    [PROBLEM_DATA_FORMAT] = {400, "122", "Invalid data format", "Data must be a hash."},
    [PROBLEM_BAD_REQUEST] = {400, "400", "Bad Request", "{a}"},
    [PROBLEM_LOGIN] = {401, "401", "Authentication failed", "{a}"},
    [PROBLEM_FORBIDDEN] = {403, "403", "Forbidden", "{a}"},
    [PROBLEM_NO_RECORD] = {404, "404", "Record not found",
                           "The record identified by {a} could not be found."},
    [PROBLEM_NO_ROUTE] = {404, "404", "Not found", "There is no {a} {b}."},
    [PROBLEM_NOT_ACCEPTABLE] = {406, "406", "Not acceptable",
                                "All requests must use the 'application/vnd.api+json' Accept without media "
                                "type parameters. This request specified '{a}'."},
    [PROBLEM_CONDITION] = {412, "412", "Precondition failed",
                           "The record as it is now has the entity tag {a}."},
    [PROBLEM_TOO_LARGE] = {413, "413", "Payload too large", "{a}"},
    [PROBLEM_MEDIA_TYPE] = {415, "415", "Unsupported media type",
                            "All requests that create or update must use the 'application/vnd.api+json' "
                            "Content-Type. This request specified '{a}'."},
    [PROBLEM_OTHER_TYPE] = {415, "415", "Unsupported media type",
                            "This path takes '{a}'. This request specified '{b}'."},
    [PROBLEM_OTHER_CODING] = {415, "415", "Unsupported media type",
                              "This path takes a body without Content-Encoding. This request specified "
                              "'{a}'."},
    [PROBLEM_OTHER_ACCEPT] = {406, "406", "Not acceptable",
                              "This path answers with '{a}'. This request specified '{b}'."},
    [PROBLEM_KEY_SPENT] = {404, "404", "Record not found", "What {a} made before could not be found."},
    [PROBLEM_KEY_REUSED] = {422, "422", "Idempotency key reused",
                            "{a} was given with another request before."},
    [PROBLEM_TOO_MANY] = {429, "429", "Too Many Requests", "{a}"},
    [PROBLEM_INTERNAL] = {500, "500", "Internal Server Error", "Internal Server Error"},
    [PROBLEM_DAMAGED] = {500, "500", "Internal Server Error", "{a}"},
    [PROBLEM_UNAVAILABLE] = {503, "503", "Service Unavailable", "{a}"},
};

static const char *const pointers[] = {
    [POINTER_ATTRIBUTE] = "/data/attributes/",
    [POINTER_RELATIONSHIP] = "/data/relationships/",
    [POINTER_MEMBER] = "/data/",
    [POINTER_RECORD] = "/data",
};

void errors_done(struct errors *e)
{
    buf_done(&e->entries);
    *e = ERRORS_INIT;
}

static void add_detail(struct buf *out, const char *pattern, struct str a, struct str b)
{
    for (const char *p = pattern; *p; p++) {
        bool is_slot = p[0] == '{' && (p[1] == 'a' || p[1] == 'b') && p[2] == '}';
        if (!is_slot) {
            buf_add_char(out, *p);
            continue;
        }
        buf_add_str(out, p[1] == 'a' ? a : b);
        p += 2;
    }
}

static struct json_writer next_entry(struct errors *e, int status)
{
    if (e->count++)
        buf_add_char(&e->entries, ',');
    else
        e->status = status;
    return json_writer(&e->entries);
}

// source NULL: the entry has none.
static void add_row(struct errors *e, const struct row *row, struct str detail, const char *source,
                    struct str value)
{
    char status[12];
    (void)snprintf(status, sizeof(status), "%d", row->status);
    struct json_writer w = next_entry(e, row->status);
    json_begin_object(&w);
    json_kv_cstr(&w, "title", row->title);
    json_kv_str(&w, "detail", detail);
    json_kv_cstr(&w, "code", row->code);
    if (source) {
        json_key(&w, "source");
        json_begin_object(&w);
        json_kv_str(&w, source, value);
        json_end_object(&w);
    }
    json_kv_cstr(&w, "status", status);
    json_end_object(&w);
}

void errors_add(struct errors *e, enum problem problem, struct str a, struct str b)
{
    struct buf detail cleanup(buf_done) = BUF_INIT;
    add_detail(&detail, rows[problem].detail, a, b);
    add_row(e, &rows[problem], buf_str(&detail), e->at[0] ? "pointer" : NULL, str_of(e->at));
}

void errors_add_header(struct errors *e, enum problem problem, struct str a, const char *header)
{
    struct buf detail cleanup(buf_done) = BUF_INIT;
    add_detail(&detail, rows[problem].detail, a, STR_NONE);
    add_row(e, &rows[problem], buf_str(&detail), "header", str_of(header));
}

void errors_add_invalid(struct errors *e, enum pointer pointer, const char *name, const char *message)
{
    struct buf detail cleanup(buf_done) = BUF_INIT, source cleanup(buf_done) = BUF_INIT;
    buf_add_cstr(&source, e->at);
    buf_add_cstr(&source, pointers[pointer]);
    if (pointer != POINTER_RECORD) {
        buf_add_cstr(&source, name);
        buf_add_cstr(&detail, name);
        buf_add_cstr(&detail, " - ");
    }
    buf_add_cstr(&detail, message);
    const struct row invalid = {422, "100", message, NULL};
    add_row(e, &invalid, buf_str(&detail), "pointer", buf_str(&source));
}

void errors_write(struct buf *out, const struct errors *e)
{
    buf_add_cstr(out, "{\"errors\":[");
    buf_add_str(out, buf_str(&e->entries));
    buf_add_cstr(out, "]}");
}
