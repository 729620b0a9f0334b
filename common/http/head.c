// See head.h.
#include "common/http/head.h"

#include <string.h>

static bool is_token(char c) // RFC 9110 5.6.2
{
    switch (c) {
    case '"':
    case '(':
    case ')':
    case ',':
    case '/':
    case ':':
    case ';':
    case '<':
    case '=':
    case '>':
    case '?':
    case '@':
    case '[':
    case '\\':
    case ']':
    case '{':
    case '}':
        return false;
    default:
        return c > ' ' && c < 0x7f;
    }
}

static bool is_target(char c) // '#' never goes over the wire
{
    return c > ' ' && c < 0x7f && c != '#';
}

static bool is_value(char c) // visible, space, tab and obs-text
{
    return (unsigned char)c >= ' ' ? c != 0x7f : c == '\t';
}

static bool all_are(struct str s, bool (*is)(char c))
{
    for (size_t i = 0; i < s.n; i++)
        if (!is(s.p[i]))
            return false;
    return true;
}

enum head_found head_scan(struct head_scan *s, struct str piece)
{
    for (size_t at = 0; at < piece.n;) {
        const char *from = piece.p + at, *lf = memchr(from, '\n', piece.n - at);
        size_t count = lf ? (size_t)(lf - from) : piece.n - at;
        if (count)
            s->last = from[count - 1];
        s->line += count;
        s->seen += count + (lf != NULL);
        if (!lf)
            return HEAD_MORE;
        if (s->last != '\r')
            return HEAD_BROKEN;
        bool empty = s->line == 1;
        if (empty && s->seen != s->blank + 2)
            return HEAD_WHOLE;
        if (empty)
            s->blank = s->seen;
        s->line = 0;
        s->last = '\n';
        at += count + 1;
    }
    return HEAD_MORE;
}

// ---- parsing

struct parse {
    struct head *head;
    const char *why;
    unsigned hosts, encodings, connections;
    unsigned seen; // of single_fields, a bit each
    bool keep_alive;
};

static int refuse(struct parse *p, int status, const char *why)
{
    p->why = why;
    return status;
}

// RFC 3986 3.2.2 and 3.2.3, without telling names, addresses and ports apart: links repeat it.
static bool is_host(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c && strchr("-._~!$&'()*+,;=%:[]", c));
}

static int take_host(struct parse *p, struct str value)
{
    if (++p->hosts > 1)
        return refuse(p, 400, "More than one Host");
    return all_are(value, is_host) ? 0 : refuse(p, 400, "Host is not a host");
}

// evhttp looks at the first Connection field alone and only for its beginning, so of an HTTP/1.0 client only
// that counts as a wish to stay.
static int take_connection(struct parse *p, struct str value)
{
    if (!p->connections++)
        p->keep_alive = str_istarts(value, STR_LIT("keep-alive"));
    struct str option;
    while (str_split(&value, ',', &option))
        if (str_ieq_cstr(str_trim(option), "close"))
            p->head->close = true;
    return 0;
}

static int take_length(struct parse *p, struct str value)
{
    if (p->head->has_length)
        return refuse(p, 400, "More than one Content-Length");
    p->head->has_length = true;
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] < '0' || value.p[i] > '9')
            return refuse(p, 400, "Content-Length is not a number");
    if (!value.n)
        return refuse(p, 400, "Content-Length is not a number");
    if (value.n > 18 || str_to_u64(value, &p->head->length))
        p->head->length = UINT64_MAX;
    return 0;
}

static int take_encoding(struct parse *p, struct str value)
{
    if (++p->encodings > 1)
        return refuse(p, 400, "More than one Transfer-Encoding");
    p->head->chunked = true;
    return str_ieq_cstr(value, "chunked") ? 0 : refuse(p, 501, "The only transfer coding here is chunked");
}

static int take_expect(struct parse *p, struct str value)
{
    p->head->expect_continue = true;
    return str_ieq_cstr(value, "100-continue") ? 0
                                               : refuse(p, 417, "The only expectation here is 100-continue");
}

#define NAME(text)                                                                                           \
    {                                                                                                        \
        .p = (text), .n = sizeof(text) - 1                                                                   \
    }

// The fields that frame the message or rule the connection; all others are the handler's.
static const struct {
    struct str name;
    int (*take)(struct parse *p, struct str value);
} framing_fields[] = {
    {NAME("host"), take_host},
    {NAME("connection"), take_connection},
    {NAME("content-length"), take_length},
    {NAME("transfer-encoding"), take_encoding},
    {NAME("expect"), take_expect},
};

// Fields that say who asks and what the body is, none of them a list (RFC 9110 5.3). Of two, what stands
// before us might have believed the other.
static const struct str single_fields[] = {
    NAME("authorization"),   NAME("cookie"),
    NAME("content-type"),    NAME("x-auth-token"),
    NAME("x-csrf-token"),    NAME("x-auth-account-id"),
    NAME("idempotency-key"), NAME("x-http-method-override"),
};

static int take_single(struct parse *p, struct str name)
{
    for (unsigned i = 0; i < ARRAY_LEN(single_fields); i++) {
        if (!str_ieq(name, single_fields[i]))
            continue;
        if (p->seen & 1u << i)
            return refuse(p, 400, "A header field that may stand once stands twice");
        p->seen |= 1u << i;
    }
    return 0;
}

static int take_field(struct parse *p, struct str line)
{
    size_t colon = str_find(line, ':', 0);
    struct str name = str_slice(line, 0, colon), value = str_slice(line, colon + 1, line.n);
    if (colon == line.n || !name.n || !all_are(name, is_token))
        return refuse(p, 400, "A header field has no proper name");
    if (!all_are(value, is_value))
        return refuse(p, 400, "A header field holds a control character");
    for (size_t i = 0; i < ARRAY_LEN(framing_fields); i++) {
        if (!str_ieq(name, framing_fields[i].name))
            continue;
        // evhttp skips spaces in front of a value, but no tabs
        if (str_has_char(value, '\t'))
            return refuse(p, 400, "A tab in a header field that frames the message");
        return framing_fields[i].take(p, str_trim(value));
    }
    return take_single(p, name);
}

static int take_method(struct parse *p, struct str method)
{
    if (!method.n || !all_are(method, is_token))
        return refuse(p, 400, "The request line has no proper method");
    for (int m = HTTP_GET; m < HTTP_OTHER; m++) {
        if (str_eq_cstr(method, http_method_name((enum http_method)m))) {
            p->head->method = (enum http_method)m;
            return 0;
        }
    }
    p->head->method = HTTP_OTHER;
    return str_eq_cstr(method, "TRACE") ? 0 : refuse(p, 501, "This method is not known here");
}

static int take_target(struct parse *p, struct str target)
{
    if (!target.n || !all_are(target, is_target))
        return refuse(p, 400, "The request target is not a path");
    if (str_find_str(target, STR_LIT("%00")) != target.n)
        return refuse(p, 400, "The request target holds a NUL");
    p->head->absolute = str_istarts(target, STR_LIT("http://")) || str_istarts(target, STR_LIT("https://"));
    bool asterisk = p->head->method == HTTP_OPTIONS && str_eq_cstr(target, "*");
    if (target.p[0] != '/' && !p->head->absolute && !asterisk)
        return refuse(p, 400, "The request target is not a path");
    return 0;
}

static int take_version(struct parse *p, struct str version)
{
    if (version.n != 8 || !str_starts(version, STR_LIT("HTTP/")) || version.p[6] != '.')
        return refuse(p, 400, "The request line has no proper version");
    if (version.p[5] != '1' || (version.p[7] != '0' && version.p[7] != '1'))
        return refuse(p, 505, "The versions spoken here are HTTP/1.1 and HTTP/1.0");
    p->head->minor = version.p[7] == '1';
    return 0;
}

static int take_request_line(struct parse *p, struct str line)
{
    size_t first = str_find(line, ' ', 0), second = str_find(line, ' ', first + 1);
    if (second >= line.n)
        return refuse(p, 400, "The request line is not method, target and version");
    int status = take_method(p, str_slice(line, 0, first));
    if (!status)
        status = take_target(p, str_slice(line, first + 1, second));
    return status ? status : take_version(p, str_slice(line, second + 1, line.n));
}

// What no single line shows (RFC 9112 3.2, 6.1, 6.3).
static int check_whole(struct parse *p)
{
    struct head *h = p->head;
    if (h->minor && !p->hosts)
        return refuse(p, 400, "Host is missing");
    if (h->chunked && h->has_length)
        return refuse(p, 400, "Content-Length beside Transfer-Encoding");
    if (h->chunked && !h->minor)
        return refuse(p, 400, "Transfer-Encoding in HTTP/1.0");
    if ((h->method == HTTP_HEAD || h->method == HTTP_OTHER) && (h->chunked || h->length))
        return refuse(p, 400, "This method has no body");
    h->expect_continue = h->expect_continue && h->minor;
    // evhttp takes every absolute-form for a proxy's, whose connections it does not keep
    h->close = h->close || h->absolute || (!h->minor && !p->keep_alive);
    return 0;
}

// Cuts the next line off; without its CRLF. `text` ends in an empty line.
static struct str next_line(struct str *text)
{
    struct str line;
    (void)str_split(text, '\n', &line);
    return str_slice(line, 0, line.n - 1);
}

int head_parse(struct str text, struct head *ret, const char **ret_why)
{
    struct head head = {.method = HTTP_OTHER};
    struct parse p = {.head = &head};
    int status = take_request_line(&p, next_line(&text));
    for (struct str line; !status && (line = next_line(&text)).n;)
        status = take_field(&p, line);
    if (!status)
        status = check_whole(&p);
    if (status)
        *ret_why = p.why;
    else
        *ret = head;
    return status;
}

void head_rewrite(struct buf *out, struct str text, uint64_t length)
{
    static const char *const dropped[] = {"content-length", "transfer-encoding", "expect", "trailer"};
    for (struct str line; (line = next_line(&text)).n;) {
        struct str name = str_slice(line, 0, str_find(line, ':', 0));
        bool drop = false;
        for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
            drop = drop || str_ieq_cstr(name, dropped[i]);
        if (drop)
            continue;
        buf_add_str(out, line);
        buf_add_cstr(out, "\r\n");
    }
    buf_add_cstr(out, "content-length: ");
    buf_add_u64(out, length);
    buf_add_cstr(out, "\r\n\r\n");
}
