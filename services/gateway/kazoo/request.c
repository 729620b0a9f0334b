// See request.h.
#include "services/gateway/kazoo/request.h"

#include "services/gateway/kazoo/answer.h"

#define VALUES_MAX 10000 // of an envelope, which is read before anybody knows whose it is

static const enum http_method verbs[] = {HTTP_GET, HTTP_PUT, HTTP_POST, HTTP_PATCH, HTTP_DELETE};

// JSON, said or not; a form is tried as JSON too, since tools forget to say what they send.
static bool is_json(const struct call *c)
{
    struct str type = http_media_type(http_header(c->call.http, "content-type"));
    return !type.n || str_ieq_cstr(type, "application/json") ||
           str_ieq_cstr(type, "application/x-www-form-urlencoded");
}

static bool read_envelope(struct call *c, struct error *err)
{
    const struct json_limits limits = {.max_bytes = SIZE_MAX, .max_depth = 64, .max_values = VALUES_MAX};
    struct str body = c->body.n ? buf_str(&c->body) : http_body(c->call.http);
    if (!str_trim(body).n || !is_json(c))
        return true;
    return json_parse(body, &limits, &c->envelope, err) == 0;
}

static void take_credential(struct call *c, enum presented kind, struct str token)
{
    c->presented = kind;
    buf_add_str(&c->token, token);
}

static void take_authorization(struct call *c, struct str text)
{
    static const struct {
        struct str scheme;
        enum presented kind;
    } schemes[] = {{{"Bearer ", 7}, PRESENTED_TOKEN}, {{"Basic ", 6}, PRESENTED_BASIC}};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (!str_istarts(text, schemes[i].scheme))
            continue;
        take_credential(c, schemes[i].kind, str_trim(str_slice(text, schemes[i].scheme.n, text.n)));
        return;
    }
    take_credential(c, PRESENTED_UNKNOWN, text);
}

// The first of these that is there.
static void find_credential(struct call *c)
{
    struct str header = str_trim(http_header(c->call.http, "x-auth-token"));
    struct str value = kazoo_call_value(c, "auth_token");
    if (header.n || value.n) {
        take_credential(c, PRESENTED_TOKEN, header.n ? header : value);
        return;
    }
    header = str_trim(http_header(c->call.http, "authorization"));
    value = kazoo_call_value(c, "authorization");
    if (header.n || value.n)
        take_authorization(c, header.n ? header : value);
}

// POST stands for the verb that it names.
static void read_verb(struct call *c)
{
    struct str verb = kazoo_call_value(c, "verb");
    for (size_t i = 0; c->verb == HTTP_POST && i < ARRAY_LEN(verbs); i++) {
        if (!str_ieq_cstr(verb, http_method_name(verbs[i])))
            continue;
        c->verb = verbs[i];
        return;
    }
}

bool kazoo_request_read(struct call *c)
{
    struct error err;
    if (http_pairs_parse(http_query(c->call.http), &c->query, NULL))
        c->query = (struct http_pairs){.items = NULL}; // unknown parameters are ignored, and so is this
    bool is_read = read_envelope(c, &err);
    bool is_object = !c->envelope || json_is(c->envelope, JSON_OBJECT);
    c->data = is_object ? kazoo_call_member(c, "data") : NULL;
    bool has_data = !c->data || json_is(c->data, JSON_OBJECT) || json_is(c->data, JSON_ARRAY);
    c->is_pretty = str_ieq_cstr(http_header(c->call.http, "x-pretty-print"), "true") ||
                   str_ieq_cstr(kazoo_call_value(c, "pretty_print"), "true");
    find_credential(c);
    read_verb(c);
    if (!is_read)
        kazoo_answer_problem(c, PROBLEM_BAD_JSON, str_of(err.text));
    else if (!is_object || !has_data)
        kazoo_answer_problem(c, PROBLEM_BAD_ENVELOPE, is_object ? STR_LIT("data") : STR_LIT("json"));
    return is_read && is_object && has_data;
}
