// What a handler can ask of a request. Everything is borrowed from evhttp's object, which lives until the
// answer.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/http/cookie.h"
#include "common/http/server.h"

#include <errno.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <sys/socket.h>

static const char *const method_names[] = {
    [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",       [HTTP_PUT] = "PUT",
    [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS", [HTTP_OTHER] = "OTHER",
};

const char *http_method_name(enum http_method m)
{
    return method_names[m];
}

void request_split_target(struct str target, bool absolute, struct str *ret_path, struct str *ret_query)
{
    struct str rest = target;
    if (absolute) {
        struct str behind_scheme = str_slice(rest, str_find(rest, ':', 0) + 3, rest.n);
        size_t authority = str_find(behind_scheme, '/', 0), query = str_find(behind_scheme, '?', 0);
        rest = str_slice(behind_scheme, authority < query ? authority : query, behind_scheme.n);
    }
    size_t mark = str_find(rest, '?', 0);
    *ret_path = mark ? str_slice(rest, 0, mark) : STR_LIT("/");
    *ret_query = str_slice(rest, mark + 1, rest.n);
}

struct http_request *request_new(struct conn *c, struct evhttp_request *evreq)
{
    struct http_request *r = mem_alloc(sizeof(*r));
    r->server = c->server;
    r->base = c->server->params.base;
    r->conn = c;
    r->evreq = evreq;
    r->method = c->head.method;
    request_split_target(str_of(evhttp_request_get_uri(evreq)), c->head.absolute, &r->path, &r->query);
    r->tls = c->server->params.tls != NULL;
    r->received_us = clock_monotonic_us();
    c->request = r;
    c->server->active_count++;
    TAILQ_INSERT_TAIL(&c->server->requests, r, in_server);
    return r;
}

void request_free(struct http_request *r)
{
    if (r->server) {
        TAILQ_REMOVE(&r->server->requests, r, in_server);
        r->server->active_count--;
        receive_discharge(r->server, &r->charged_bytes);
    }
    if (r->owns_evreq)
        evhttp_request_free(r->evreq);
    if (r->gone)
        event_free(r->gone);
    buf_done(&r->headers);
    free(r);
}

void request_tell_gone(struct http_request *r, void (*tell)(evutil_socket_t fd, short what, void *arg))
{
    if (r->gone)
        event_free(r->gone);
    r->gone = event_new(r->base, -1, 0, tell, r);
    if (!r->gone)
        abort();
    event_active(r->gone, EV_TIMEOUT, 1);
}

enum http_method http_method(const struct http_request *r)
{
    return r->method;
}

struct str http_path(const struct http_request *r)
{
    return r->path;
}

struct str http_query(const struct http_request *r)
{
    return r->query;
}

struct str http_header(const struct http_request *r, const char *name)
{
    const char *value = evhttp_find_header(evhttp_request_get_input_headers(r->evreq), name);
    return value ? str_of(value) : STR_NONE;
}

void http_header_list(const struct http_request *r, const char *name, struct buf *out)
{
    const struct evkeyval *field;
    bool first = true;
    TAILQ_FOREACH(field, evhttp_request_get_input_headers(r->evreq), next) {
        if (!str_ieq_cstr(str_of(field->key), name))
            continue;
        buf_add_cstr(out, first ? "" : ", ");
        buf_add_cstr(out, field->value);
        first = false;
    }
}

struct str http_body(const struct http_request *r)
{
    struct evbuffer *body = evhttp_request_get_input_buffer(r->evreq);
    size_t count = evbuffer_get_length(body);
    return count ? str_of_bytes(evbuffer_pullup(body, -1), count) : STR_NONE;
}

struct str http_peer(const struct http_request *r)
{
    struct str address = str_of(r->evreq->remote_host), mapped = STR_LIT("::ffff:");
    bool is_mapped = str_istarts(address, mapped) && str_has_char(address, '.');
    return is_mapped ? str_slice(address, mapped.n, address.n) : address;
}

struct str http_host(const struct http_request *r)
{
    return http_header(r, "host");
}

uint64_t http_received_us(const struct http_request *r)
{
    return r->received_us;
}

struct str http_cookie(const struct http_request *r, const char *name)
{
    const struct evkeyval *field;
    struct str value = STR_NONE;
    TAILQ_FOREACH(field, evhttp_request_get_input_headers(r->evreq), next) {
        if (str_ieq_cstr(str_of(field->key), "cookie") && cookie_find(str_of(field->value), name, &value))
            break;
    }
    return value;
}

void http_answer_late(struct http_request *r)
{
    if (r->conn)
        r->conn->answers_late = true;
}

void http_prefer(struct http_request *r, bool preferred)
{
    if (r->conn)
        conn_prefer(r->conn, preferred);
}

bool http_is_gone(const struct http_request *r)
{
    char byte;
    if (!r->conn)
        return true;
    ssize_t bytes = recv(bufferevent_getfd(r->conn->bev), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return bytes == 0 || (bytes < 0 && errno != EAGAIN && errno != EINTR);
}

bool http_is_tls(const struct http_request *r)
{
    return r->tls;
}
