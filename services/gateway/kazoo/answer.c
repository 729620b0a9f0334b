// See answer.h.
#include "services/gateway/kazoo/answer.h"

#include "common/base/encode.h"
#include "common/base/mem.h"
#include "services/gateway/kazoo/envelope.h"
#include "services/gateway/kazoo/routes.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

struct revision {
    EVP_MD_CTX *md5;
};

struct revision *kazoo_revision_new(void)
{
    struct revision *r = mem_alloc(sizeof *r);
    r->md5 = EVP_MD_CTX_new();
    if (!r->md5 || EVP_DigestInit_ex(r->md5, EVP_md5(), NULL) != 1)
        abort(); // memory
    return r;
}

void kazoo_revision_add(struct revision *r, struct str data)
{
    if (EVP_DigestUpdate(r->md5, data.p, data.n) != 1)
        abort();
}

void kazoo_revision_end(struct revision *r, struct buf *out)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    if (EVP_DigestFinal_ex(r->md5, digest, &bytes) != 1)
        abort();
    encode_hex(out, digest, bytes);
    EVP_MD_CTX_free(r->md5);
    free(r);
}

static void put(struct call *c, const char *name, const char *value)
{
    http_reply_header(c->call.http, name, str_of(value));
}

static void put_cors(struct call *c)
{
    put(c, "access-control-allow-origin", "*");
    put(c, "access-control-allow-methods", "GET, PUT, POST, PATCH, DELETE, OPTIONS");
    put(c, "access-control-allow-headers",
        "Content-Type, Depth, User-Agent, X-HTTP-Method-Override, X-File-Size, X-Requested-With, "
        "If-Modified-Since, X-File-Name, Cache-Control, X-Auth-Account-ID, X-Auth-Token, X-Pretty-Print, "
        "X-Request-ID, If-Match, If-None-Match, Authorization");
    put(c, "access-control-expose-headers",
        "Content-Type, X-Auth-Token, X-Request-ID, Location, Etag, ETag, X-Pretty-Print");
    put(c, "access-control-max-age", "86400");
}

void kazoo_answer_headers(struct call *c, bool is_error)
{
    put(c, "content-type", "application/json"); // without charset: one SDK compares the whole text
    http_reply_header(c->call.http, "x-request-id", buf_str(&c->request_id));
    put(c, "cache-control", "no-store");
    if (c->is_cors || is_error)
        put_cors(c);
}

static void send(struct call *c, int status, struct str json)
{
    struct buf pretty cleanup(buf_done) = BUF_INIT;
    if (c->is_pretty) {
        struct pretty p = {.depth = 0};
        kazoo_pretty_add(&p, json, &pretty);
        json = buf_str(&pretty);
    }
    http_reply(c->call.http, status, json);
    kazoo_call_free(c);
}

void kazoo_answer_data(struct call *c, int status, struct str data)
{
    struct buf body cleanup(buf_done) = BUF_INIT, revision cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&body);
    struct revision *r = kazoo_revision_new();
    kazoo_revision_add(r, data);
    kazoo_revision_end(r, &revision);
    kazoo_envelope_begin(&w, c);
    json_put_raw(&w, data);
    kazoo_envelope_end(&w, c, &(struct envelope_end){.revision = buf_str(&revision)});
    kazoo_answer_headers(c, false);
    send(c, status, buf_str(&body));
}

// The row's data with the detail in its place, as the inside of a JSON string.
static void add_data(struct buf *out, const char *data, struct str detail)
{
    struct buf quoted cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&quoted);
    size_t at = str_find_str(str_of(data), STR_LIT("%s"));
    buf_add_str(out, str_slice(str_of(data), 0, at));
    if (at == str_of(data).n)
        return;
    json_put_str(&w, detail);
    buf_add_str(out, str_slice(buf_str(&quoted), 1, quoted.n - 1));
    buf_add_cstr(out, data + at + 2);
}

static void put_wait(struct call *c, enum problem problem)
{
    char seconds[16];
    uint32_t wait_ms = problem == PROBLEM_TOO_MANY ? c->tokens_held.wait_ms : 1000;
    if (problem != PROBLEM_TOO_MANY && problem != PROBLEM_UNREACHABLE)
        return;
    (void)snprintf(seconds, sizeof seconds, "%u", wait_ms / 1000 + (wait_ms % 1000 != 0));
    put(c, "retry-after", seconds);
}

void kazoo_answer_problem(struct call *c, enum problem problem, struct str detail)
{
    const struct problem_row *row = kazoo_problem_row(problem);
    struct buf body cleanup(buf_done) = BUF_INIT, data cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&body);
    add_data(&data, row->data, detail);
    kazoo_envelope_begin(&w, c);
    json_put_raw(&w, buf_str(&data));
    kazoo_envelope_end(&w, c, &(struct envelope_end){.status = row->status, .message = row->message});
    kazoo_answer_headers(c, true);
    put_wait(c, problem);
    if (problem == PROBLEM_METHOD)
        put(c, "allow", c->resource ? c->resource->allow : "OPTIONS");
    send(c, row->status, buf_str(&body));
}

void kazoo_answer_failure(struct call *c, int rc, const struct error *err)
{
    const char *detail;
    enum dialect_failure failure = dialect_failure_of("kazoo", 0, rc, err, c->verb == HTTP_GET, &detail);
    kazoo_answer_problem(c, failure == FAILURE_UNAVAILABLE ? PROBLEM_UNREACHABLE : PROBLEM_FAULT,
                         str_of(detail));
}

void kazoo_answer_options(struct call *c)
{
    if (!c->is_cors) {
        kazoo_answer_problem(c, PROBLEM_METHOD, STR_NONE);
        return;
    }
    http_reply_header(c->call.http, "x-request-id", buf_str(&c->request_id));
    put_cors(c);
    http_reply(c->call.http, 200, STR_NONE);
    kazoo_call_free(c);
}

void kazoo_answer_stopping(struct dialect_call *call)
{
    kazoo_answer_problem(container_of(call, struct call, call), PROBLEM_UNREACHABLE,
                         STR_LIT("the gateway is stopping"));
}
