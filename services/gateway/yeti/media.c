// See media.h.
#include "services/gateway/yeti/media.h"

#include "services/gateway/yeti/answer.h"
#include "services/gateway/yeti/routes.h"

static const char atomic_uri[] = "https://jsonapi.org/ext/atomic";

// Cuts off what stands before the next `separator` that is not within quotes; false at the end.
static bool cut(struct str *rest, char separator, struct str *ret)
{
    bool quoted = false;
    size_t end = 0;
    if (!rest->p)
        return false;
    for (; end < rest->n && (quoted || rest->p[end] != separator); end++)
        quoted ^= rest->p[end] == '"';
    *ret = str_trim(str_slice(*rest, 0, end));
    *rest = end < rest->n ? str_slice(*rest, end + 1, rest->n) : STR_NONE;
    return true;
}

static struct str unquoted(struct str text)
{
    bool is_quoted = text.n >= 2 && text.p[0] == '"' && text.p[text.n - 1] == '"';
    return is_quoted ? str_slice(text, 1, text.n - 1) : text;
}

// What the parameters of a JSON:API media type say.
struct parameters {
    bool foreign;     // others than ext and profile
    bool weighted;    // q, which only Accept has
    bool atomic;      // ext has the atomic operations
    bool unsupported; // ext has something else
};

static void read_extensions(struct parameters *p, struct str list)
{
    struct str uri;
    while (cut(&list, ' ', &uri)) {
        bool is_atomic = str_eq_cstr(uri, atomic_uri);
        p->atomic = p->atomic || is_atomic;
        p->unsupported = p->unsupported || (uri.n && !is_atomic);
    }
}

static struct parameters read_parameters(struct str rest)
{
    struct parameters p = {.foreign = false};
    struct str parameter;
    while (cut(&rest, ';', &parameter)) {
        size_t equals = str_find(parameter, '=', 0);
        struct str name = str_trim(str_slice(parameter, 0, equals));
        struct str value = unquoted(str_trim(str_slice(parameter, equals + 1, parameter.n)));
        if (str_ieq_cstr(name, "ext"))
            read_extensions(&p, value);
        else if (str_ieq_cstr(name, "q"))
            p.weighted = true;
        else if (name.n && !str_ieq_cstr(name, "profile"))
            p.foreign = true;
    }
    return p;
}

static bool is_atomic_type(struct str text)
{
    struct str type;
    if (!cut(&text, ';', &type) || !str_ieq_cstr(type, MEDIA_DOCUMENT))
        return false;
    struct parameters p = read_parameters(text);
    return p.atomic && !p.unsupported && !p.foreign && !p.weighted;
}

static bool is_lines_type(struct str text)
{
    struct str type;
    return cut(&text, ';', &type) &&
           (str_ieq_cstr(type, MEDIA_LINES) || str_ieq_cstr(type, "application/ndjson") ||
            str_ieq_cstr(type, "application/jsonl"));
}

// One entry of Accept. JSON:API without an extension names the same documents to most clients.
static bool fits(struct str entry, bool atomic)
{
    struct str type, rest = entry;
    if (!cut(&rest, ';', &type))
        return false;
    if (str_eq_cstr(type, "*/*") || str_ieq_cstr(type, "application/*"))
        return true;
    if (!atomic)
        return is_lines_type(type);
    struct parameters p = read_parameters(rest);
    return str_ieq_cstr(type, MEDIA_DOCUMENT) && !p.foreign && !p.unsupported;
}

static bool accepts(struct str accept, bool atomic)
{
    struct str entry;
    if (!str_trim(accept).n)
        return true;
    while (cut(&accept, ',', &entry))
        if (fits(entry, atomic))
            return true;
    return false;
}

// A body that is packed (RFC 9110, 8.4) would be read as what it is not.
static bool is_plain(struct call *c)
{
    struct str coding = str_trim(http_header(c->call.http, "content-encoding"));
    if (!coding.n || str_ieq_cstr(coding, "identity"))
        return true;
    answer_error(c, PROBLEM_OTHER_CODING, coding, STR_NONE);
    return false;
}

bool media_passes(struct call *c)
{
    struct buf accept cleanup(buf_done) = BUF_INIT;
    struct str type = http_header(c->call.http, "content-type");
    bool atomic = c->route->flags & ROUTE_ATOMIC;
    struct str wanted = atomic ? STR_LIT(MEDIA_ATOMIC) : STR_LIT(MEDIA_LINES);
    http_header_list(c->call.http, "accept", &accept);
    if (c->route->flags & ROUTE_UPLOAD && !(atomic ? is_atomic_type(type) : is_lines_type(type))) {
        answer_error(c, PROBLEM_OTHER_TYPE, wanted, type);
        return false;
    }
    if (c->route->flags & ROUTE_UPLOAD && !is_plain(c))
        return false;
    if (!accepts(buf_str(&accept), atomic)) {
        answer_error(c, PROBLEM_OTHER_ACCEPT, wanted, buf_str(&accept));
        return false;
    }
    return true;
}
