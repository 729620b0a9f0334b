// Requests of the four dialects, served by a whole gateway: routes, query strings, headers and bodies of
// every kind. The input holds requests with "---" lines between them, each a line "METHOD target", lines of
// headers, an empty line and a body; "{id}" stands for the last id that an answer gave. Framing is added here
// (it has targets of its own), and so are credentials where the input brings none. Every request has one
// answer whose header and body are well formed, whatever was asked, and none says that the gateway is broken.
#include "common/json/json.h"
#include "tests/fuzz/gateway_world.h"
#include "tests/fuzz/target.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define REQUESTS_MAX 6

static char last_id[24] = "1";

// ---- the request

static bool names_framing(struct str line)
{
    static const char *const names[] = {"content-length", "transfer-encoding", "connection", "host",
                                        "expect",         "proxy-connection"};
    struct str rest = line, name = STR_NONE;
    (void)str_split(&rest, ':', &name);
    if (!name.n || !rest.p)
        return true; // what is no header would be answered 400 and nothing else would be tried
    for (size_t i = 0; i < name.n; i++)
        if (!isalnum((unsigned char)name.p[i]) && name.p[i] != '-')
            return true;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_ieq_cstr(name, names[i]))
            return true;
    return false;
}

static struct str next_line(struct str *rest)
{
    struct str line = STR_NONE;
    (void)str_split(rest, '\n', &line);
    return line.n && line.p[line.n - 1] == '\r' ? str_slice(line, 0, line.n - 1) : line;
}

static void add_with_id(struct buf *out, struct str text)
{
    for (size_t at; (at = str_find_str(text, STR_LIT("{id}"))) < text.n;) {
        buf_add_str(out, str_slice(text, 0, at));
        buf_add_cstr(out, last_id);
        text = str_slice(text, at + 4, text.n);
    }
    buf_add_str(out, text);
}

static bool brings_credentials(struct str head)
{
    static const char *const names[] = {
        "authorization:", "x-auth-token:", "cookie:", "api_key=", "auth_token="};
    struct buf lower cleanup(buf_done) = BUF_INIT;
    for (size_t i = 0; i < head.n; i++)
        buf_add_char(&lower, (char)tolower((unsigned char)head.p[i]));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_find_str(buf_str(&lower), str_of(names[i])) < lower.n)
            return true;
    return false;
}

static enum client write_request(struct buf *out, struct str text)
{
    struct str rest = text, line = next_line(&rest), method = STR_NONE, target = line;
    struct buf headers cleanup(buf_done) = BUF_INIT, body cleanup(buf_done) = BUF_INIT;
    (void)str_split(&target, ' ', &method);
    enum client client = world_client_of(target);
    for (struct str header; (header = next_line(&rest)).n;)
        if (!names_framing(header)) {
            add_with_id(&headers, header);
            buf_add_cstr(&headers, "\r\n");
        }
    add_with_id(&body, rest);
    bool brings = brings_credentials(str_slice(text, 0, (size_t)(text.n - rest.n)));
    buf_add_str(out, method);
    buf_add_char(out, ' ');
    add_with_id(out, target);
    if (client == CLIENT_VOXIMPLANT && !brings) {
        buf_add_char(out, str_has_char(target, '?') ? '&' : '?');
        buf_add_str(out, world_credential(client));
    }
    buf_addf(out, " HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %zu\r\n", body.n);
    if (client != CLIENT_VOXIMPLANT && !brings)
        buf_add_str(out, world_credential(client));
    buf_add_str(out, buf_str(&headers));
    buf_add_cstr(out, "\r\n");
    buf_add_str(out, buf_str(&body));
    return client;
}

// ---- the answer

// A broken property stops the fuzzer, and the answer is shown.
static void hold(bool holds, const char *what, struct str answer)
{
    if (holds)
        return;
    (void)fprintf(stderr, "%s does not hold of:\n" STR_FMT "\n", what, STR_ARG(answer));
    abort();
}
#define ANSWER_HOLDS(condition, answer) hold((condition), #condition, (answer))

// A header that the gateway does not give has come in by a text of the request.
static void check_header(struct str line)
{
    static const char *const names[] = {"access-control-allow-headers",
                                        "access-control-allow-methods",
                                        "access-control-allow-origin",
                                        "access-control-expose-headers",
                                        "access-control-max-age",
                                        "accept",
                                        "accept-patch",
                                        "allow",
                                        "cache-control",
                                        "connection",
                                        "content-disposition",
                                        "content-encoding",
                                        "content-language",
                                        "content-length",
                                        "content-type",
                                        "date",
                                        "etag",
                                        "expires",
                                        "last-modified",
                                        "link",
                                        "location",
                                        "pragma",
                                        "referrer-policy",
                                        "retry-after",
                                        "server",
                                        "set-cookie",
                                        "strict-transport-security",
                                        "transfer-encoding",
                                        "vary",
                                        "www-authenticate",
                                        "x-auth-token",
                                        "x-content-type-options",
                                        "x-frame-options",
                                        "x-permitted-cross-domain-policies",
                                        "x-request-id",
                                        "x-runtime",
                                        "x-xss-protection",
                                        "x-ratelimit-remaining",
                                        "x-ratelimit-limit",
                                        "idempotency-replayed",
                                        "idempotent-replayed",
                                        "client-ip",
                                        "x-rate-limit-tokens-remaining"};
    struct str rest = line, name = STR_NONE;
    HOLDS(str_split(&rest, ':', &name));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_ieq_cstr(name, names[i]))
            return;
    ANSWER_HOLDS(!"a header of the gateway's", line);
}

static void check_json(struct str body)
{
    static const struct json_limits limits = {.max_bytes = 8u << 20, .max_depth = 64};
    struct json *root cleanup(json_free_ptr) = NULL;
    if (body.n)
        ANSWER_HOLDS(json_parse(body, &limits, &root, NULL) == 0, body);
}

static void check_lines(struct str body)
{
    for (struct str line; str_split(&body, '\n', &line);)
        check_json(line);
}

// Elements are closed in the order in which they were opened, and text breaks out of none.
static void check_xml(struct str body)
{
    size_t depth = 0;
    for (size_t i = 0; i < body.n; i++) {
        ANSWER_HOLDS(body.p[i] != '\0', body);
        if (body.p[i] != '<')
            continue;
        size_t end = i;
        while (end < body.n && body.p[end] != '>')
            ANSWER_HOLDS(body.p[++end] != '<', body);
        ANSWER_HOLDS(end < body.n, body);
        if (body.p[i + 1] == '/') {
            ANSWER_HOLDS(depth > 0, body);
            depth--;
        } else if (body.p[i + 1] != '?' && body.p[end - 1] != '/') {
            depth++;
        }
        i = end;
    }
    ANSWER_HOLDS(depth == 0, body);
}

static void keep_id(struct str body)
{
    static const char *const marks[] = {"\"id\":\"", "\"sip_registration_id\":", "href=\""};
    for (size_t m = 0; m < ARRAY_LEN(marks); m++) {
        size_t at = str_find_str(body, str_of(marks[m])), n = 0;
        at = at < body.n ? at + strlen(marks[m]) : body.n;
        while (at + n < body.n && isdigit((unsigned char)body.p[at + n]) && n + 1 < sizeof(last_id))
            n++;
        if (!n)
            continue;
        memcpy(last_id, body.p + at, n);
        last_id[n] = '\0';
        return;
    }
}

static bool is_session_over(struct str answer)
{
    return str_find_str(answer, STR_LIT("401")) < answer.n;
}

static void check_answer(struct str answer)
{
    size_t end = str_find_str(answer, STR_LIT("\r\n\r\n"));
    ANSWER_HOLDS(end < answer.n && str_starts(answer, STR_LIT("HTTP/1.")), answer);
    struct str head = str_slice(answer, 0, end), body = str_slice(answer, end + 4, answer.n), line;
    bool is_json = false, is_lines = false, is_xml = false, is_chunked = false;
    ANSWER_HOLDS(memcmp(answer.p + strlen("HTTP/1.1 "), "500", 3) != 0, answer);
    (void)str_split(&head, '\n', &line);
    while (str_split(&head, '\n', &line)) {
        check_header(line);
        is_lines = is_lines || str_find_str(line, STR_LIT("ndjson")) < line.n;
        is_json = is_json || str_find_str(line, STR_LIT("json")) < line.n;
        is_xml = is_xml || str_find_str(line, STR_LIT("xml")) < line.n;
        is_chunked = is_chunked || str_find_str(line, STR_LIT("chunked")) < line.n;
    }
    keep_id(body);
    if (is_chunked)
        return;
    if (is_xml)
        check_xml(body);
    else if (is_lines)
        check_lines(body);
    else if (is_json)
        check_json(body);
}

// ---- the whole

static struct str next_request(struct str *rest)
{
    const struct str mark = STR_LIT("\n---\n");
    size_t at = str_find_str(*rest, mark);
    struct str one = str_slice(*rest, 0, at < rest->n ? at : rest->n);
    *rest = at < rest->n ? str_slice(*rest, at + mark.n, rest->n) : STR_NONE;
    return one;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_of_bytes(data, size);
    bool stale[CLIENT_NONE + 1] = {false};
    world_start();
    for (int i = 0; i < REQUESTS_MAX && rest.n; i++) {
        struct buf request cleanup(buf_done) = BUF_INIT, answer cleanup(buf_done) = BUF_INIT;
        enum client c = write_request(&request, next_request(&rest));
        world_exchange(buf_str(&request), &answer);
        check_answer(buf_str(&answer));
        stale[c] = stale[c] || is_session_over(buf_str(&answer));
    }
    world_clean();
    for (int c = 0; c < CLIENT_NONE; c++)
        if (stale[c])
            world_log_in((enum client)c);
    return 0;
}
