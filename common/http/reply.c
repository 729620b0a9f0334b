// Answers with a body of known length. The header is written here and not by evhttp, which would add Date and
// Content-Type and send a body after HEAD.
#include "common/http/server.h"
#include "common/http/status.h"

#include <stdio.h>
#include <string.h>

#define RETRY_AFTER_S 1

// Fields that the server alone decides on.
static bool is_own_field(struct str name)
{
    return str_ieq_cstr(name, "content-length") || str_ieq_cstr(name, "transfer-encoding") ||
           str_ieq_cstr(name, "connection");
}

void http_reply_header(struct http_request *r, const char *name, struct str value)
{
    if (is_own_field(str_of(name)))
        return;
    buf_add_cstr(&r->headers, name);
    buf_add_cstr(&r->headers, ": ");
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] != '\r' && value.p[i] != '\n' && value.p[i])
            buf_add_char(&r->headers, value.p[i]);
    buf_add_cstr(&r->headers, "\r\n");
}

// Without a body there is none to describe.
static void add_fields_of_no_body(struct buf *out, struct str headers)
{
    struct str line;
    while (str_split(&headers, '\n', &line)) {
        if (str_istarts(line, STR_LIT("content-type:")))
            continue;
        buf_add_str(out, line);
        buf_add_char(out, '\n');
    }
}

struct str reply_head(struct http_server *s, int status, struct str headers, const char *connection,
                      struct str framing)
{
    struct buf *out = &s->scratch;
    buf_clear(out);
    buf_add_cstr(out, "HTTP/1.1 ");
    buf_add_u64(out, (uint64_t)status);
    buf_add_char(out, ' ');
    buf_add_cstr(out, status_phrase(status));
    buf_add_cstr(out, "\r\n");
    if (status_has_body(status))
        buf_add_str(out, headers);
    else
        add_fields_of_no_body(out, headers);
    if (connection) {
        buf_add_cstr(out, "connection: ");
        buf_add_cstr(out, connection);
        buf_add_cstr(out, "\r\n");
    }
    if (status_has_body(status))
        buf_add_str(out, framing);
    buf_add_cstr(out, "\r\n");
    return buf_str(out);
}

const char *reply_connection(struct conn *c)
{
    if (upload_is_due(c))
        (void)bufferevent_enable(c->bev, EV_READ); // to throw away
    if (upload_is_due(c) || (c->server->stopping && !c->head.close))
        c->after = AFTER_LINGER;
    else
        c->after = c->head.close ? AFTER_CLOSE : AFTER_NEXT;
    if (c->after != AFTER_NEXT)
        return "close";
    return c->head.minor ? NULL : "keep-alive";
}

static struct str length_line(char *line, size_t size, size_t length)
{
    int count = snprintf(line, size, "content-length: %zu\r\n", length);
    return str_of_bytes(line, (size_t)count);
}

static void answer(struct conn *c, struct http_request *r, int status, struct str body)
{
    char line[48];
    struct str head = reply_head(c->server, status, buf_str(&r->headers), reply_connection(c),
                                 length_line(line, sizeof(line), body.n));
    bool with_body = status_has_body(status) && r->method != HTTP_HEAD;
    struct str sent = with_body ? body : STR_NONE;
    c->request = NULL;
    if (c->answers_late && !c->server->stopping) {
        conn_hold_back(c, head, sent);
        return;
    }
    (void)conn_write(c, head, sent);
    c->state = CONN_WRITING;
}

void http_reply(struct http_request *r, int status, struct str body)
{
    struct conn *c = r->conn;
    if (c)
        answer(c, r, status, body);
    request_free(r);
    if (c)
        conn_run(c);
}

void reply_error(struct conn *c, int status, const char *why)
{
    const struct http_server_params *p = &c->server->params;
    struct buf body = BUF_INIT, type = BUF_INIT;
    (p->write_error ? p->write_error : status_write_error)(&body, status, status_phrase(status), why);
    buf_addf(&type, "content-type: %s\r\n", p->error_type ? p->error_type : "application/json");
    if (status == 503)
        buf_addf(&type, "retry-after: %d\r\n", RETRY_AFTER_S);
    char line[48];
    struct str head =
        reply_head(c->server, status, buf_str(&type), "close", length_line(line, sizeof(line), body.n));
    (void)conn_write(c, head, buf_str(&body));
    buf_done(&body);
    buf_done(&type);
}
