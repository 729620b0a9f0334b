// See kazoo.h. The order of checks is the contract's (3): version, body, then access.c.
#include "services/gateway/kazoo/kazoo.h"

#include "common/base/encode.h"
#include "common/base/mem.h"
#include "services/gateway/kazoo/access.h"
#include "services/gateway/kazoo/answer.h"
#include "services/gateway/kazoo/request.h"
#include "services/gateway/kazoo/routes.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define BODY_BYTES_MAX ((size_t)8000000) // of one request: the contract's

// 22 characters: base64 of an MD5, in the alphabet of URLs and without its padding.
static void make_node(struct kazoo *k)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    struct buf text cleanup(buf_done) = BUF_INIT;
    struct str name = k->shared->node;
    if (EVP_Digest(name.p, name.n, digest, &bytes, EVP_md5(), NULL) != 1)
        abort(); // memory
    encode_base64(&text, digest, bytes);
    for (size_t i = 0; i < sizeof k->node - 1; i++)
        k->node[i] = text.p[i] == '+' ? '-' : text.p[i] == '/' ? '_' : text.p[i];
}

struct kazoo *kazoo_new(const struct dialect_shared *shared)
{
    struct kazoo *k = mem_alloc(sizeof *k);
    k->shared = shared;
    make_node(k);
    dialect_calls_init(&k->calls, k, free);
    return k;
}

void kazoo_free(void *kazoo)
{
    struct kazoo *k = kazoo;
    dialect_calls_close(&k->calls, kazoo_answer_stopping);
}

static bool is_version_1(const struct http_request *r)
{
    return str_starts(dialect_path(http_path(r)), STR_LIT(KAZOO_PREFIX_V1));
}

bool kazoo_takes_upload(void *kazoo, enum http_method method, struct str path)
{
    (void)kazoo, (void)method;
    return !str_starts(path, STR_LIT(KAZOO_PREFIX_V1));
}

static void run(struct call *c)
{
    if (kazoo_request_read(c))
        kazoo_access_run(c);
}

static void on_data(void *arg, struct str bytes)
{
    struct call *c = arg;
    if (bytes.n > BODY_BYTES_MAX - c->body.n) {
        kazoo_answer_problem(c, PROBLEM_TOO_LONG, STR_NONE);
        return;
    }
    buf_add_str(&c->body, bytes);
    if (!http_upload_hold(c->call.http, c->body.n))
        kazoo_answer_problem(c, PROBLEM_UNREACHABLE, STR_LIT("too many bodies are on their way"));
}

static void on_end(void *arg)
{
    run(arg);
}

static void on_gone(void *arg)
{
    kazoo_call_free(arg);
}

static bool has_upload(enum http_method method)
{
    return method == HTTP_POST || method == HTTP_PUT || method == HTTP_PATCH;
}

static bool is_cors(const struct http_request *r)
{
    return http_header(r, "origin").n || http_header(r, "access-control-request-method").n ||
           http_header(r, "access-control-request-headers").n;
}

void kazoo_handle(void *kazoo, struct http_request *r)
{
    static const struct http_upload_fns upload = {.on_data = on_data, .on_end = on_end, .on_gone = on_gone};
    struct kazoo *k = kazoo;
    struct call *c = mem_alloc(sizeof *c);
    dialect_call_begin(&k->calls, &c->call, r);
    c->kazoo = k;
    c->verb = http_method(r);
    c->is_cors = is_cors(r);
    dialect_request_id(r, &c->request_id);
    if (is_version_1(r)) {
        kazoo_answer_problem(c, PROBLEM_GONE, STR_NONE);
        return;
    }
    kazoo_routes_match(c);
    if (c->verb == HTTP_OPTIONS)
        kazoo_answer_options(c);
    else if (has_upload(c->verb))
        http_upload_begin(r, &upload, c);
    else
        run(c);
}
