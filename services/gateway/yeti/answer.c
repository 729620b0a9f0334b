// See answer.h.
#include "services/gateway/yeti/answer.h"

#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/rng.h"
#include "services/gateway/yeti/media.h"

#include <openssl/sha.h>
#include <stdio.h>

#define REQUEST_ID_MAX  255
#define ETAG_DIGITS     32
#define CACHE_NO        "no-cache"
#define CACHE_PRIVATE   "max-age=0, private, must-revalidate"
#define WEAK_TAG_FORMAT "W/\"%.32s\""

static void put(struct call *c, const char *name, const char *value)
{
    http_reply_header(c->call.http, name, str_of(value));
}

static void put_fixed(struct call *c)
{
    put(c, "x-frame-options", "SAMEORIGIN");
    put(c, "x-xss-protection", "0");
    put(c, "x-content-type-options", "nosniff");
    put(c, "x-permitted-cross-domain-policies", "none");
    put(c, "referrer-policy", "strict-origin-when-cross-origin");
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '@';
}

static void put_request_id(struct call *c)
{
    char text[REQUEST_ID_MAX + 1];
    size_t count = 0;
    struct str given = http_header(c->call.http, "x-request-id");
    for (size_t i = 0; i < given.n && count < REQUEST_ID_MAX; i++)
        if (is_word(given.p[i]))
            text[count++] = given.p[i];
    text[count] = '\0';
    if (!count) {
        unsigned char random[16];
        random_bytes(random, sizeof(random));
        encode_uuid(text, random);
    }
    put(c, "x-request-id", text);
}

static void put_runtime(struct call *c)
{
    uint64_t us = clock_monotonic_us() - http_received_us(c->call.http);
    char text[40];
    (void)snprintf(text, sizeof(text), "%llu.%06llu", (unsigned long long)(us / 1000000),
                   (unsigned long long)(us % 1000000));
    put(c, "x-runtime", text);
}

struct head {
    const char *content_type; // NULL: no body
    const char *etag;         // NULL
    const char *cache_control;
    const char *retry_after; // NULL
    struct str location;
    bool vary;
};

static void put_head(struct call *c, const struct head *h)
{
    put_fixed(c);
    if (h->location.n)
        http_reply_header(c->call.http, "location", h->location);
    if (h->retry_after)
        put(c, "retry-after", h->retry_after);
    if (h->content_type)
        put(c, "content-type", h->content_type);
    if (h->vary)
        put(c, "vary", "Accept");
    if (h->etag)
        put(c, "etag", h->etag);
    put(c, "cache-control", h->cache_control);
    put_request_id(c);
    put_runtime(c);
}

static void finish(struct call *c, int status, const struct head *h, struct str body)
{
    put_head(c, h);
    http_reply(c->call.http, status, body);
    call_free(c);
}

void answer_tag(struct str body, char ret[ANSWER_TAG_BYTES])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    struct buf hex cleanup(buf_done) = BUF_INIT;
    (void)SHA256((const unsigned char *)body.p, body.n, digest);
    encode_hex(&hex, digest, ETAG_DIGITS / 2);
    (void)snprintf(ret, ANSWER_TAG_BYTES, WEAK_TAG_FORMAT, hex.p);
}

static bool is_read(const struct call *c)
{
    return http_method(c->call.http) == HTTP_GET || http_method(c->call.http) == HTTP_HEAD;
}

void answer_document(struct call *c, int status, struct str body, struct str location)
{
    char etag[ANSWER_TAG_BYTES];
    answer_tag(body, etag);
    struct head h = {.content_type = c->media ? c->media : MEDIA_DOCUMENT,
                     .etag = etag,
                     .cache_control = CACHE_PRIVATE,
                     .location = location,
                     .vary = true};
    if (is_read(c) && str_eq_cstr(http_header(c->call.http, "if-none-match"), etag)) {
        h.content_type = NULL;
        finish(c, 304, &h, STR_NONE);
        return;
    }
    finish(c, status, &h, body);
}

void answer_lines(struct call *c, struct str body)
{
    finish(c, 200, &(struct head){.content_type = MEDIA_LINES, .cache_control = CACHE_NO, .vary = true},
           body);
}

void answer_stream(struct call *c, const char *media, const struct http_stream_fns *fns)
{
    put_head(c, &(struct head){.content_type = media, .cache_control = CACHE_NO, .vary = true});
    http_stream_begin(c->call.http, 200, fns, c);
}

void answer_no_content(struct call *c)
{
    finish(c, 204, &(struct head){.cache_control = CACHE_NO, .vary = true}, STR_NONE);
}

static void send_errors(struct call *c, const char *retry_after, const char *etag)
{
    struct buf body cleanup(buf_done) = BUF_INIT;
    errors_write(&body, &c->errors);
    const struct head h = {.content_type = MEDIA_DOCUMENT,
                           .etag = etag,
                           .cache_control = CACHE_NO,
                           .retry_after = retry_after,
                           .vary = true};
    finish(c, c->errors.status, &h, buf_str(&body));
}

void answer_errors(struct call *c)
{
    send_errors(c, NULL, NULL);
}

void answer_condition_failed(struct call *c, const char *etag)
{
    errors_done(&c->errors);
    errors_add(&c->errors, PROBLEM_CONDITION, str_of(etag), STR_NONE);
    send_errors(c, NULL, etag);
}

void answer_error(struct call *c, enum problem problem, struct str a, struct str b)
{
    errors_done(&c->errors);
    errors_add(&c->errors, problem, a, b);
    send_errors(c, NULL, NULL);
}

void answer_unauthorized(struct call *c)
{
    finish(c, 401, &(struct head){.content_type = "text/html", .cache_control = CACHE_NO}, STR_NONE);
}

void answer_json(struct call *c, int status, struct str body)
{
    char etag[ANSWER_TAG_BYTES];
    bool good = status < 300;
    if (good)
        answer_tag(body, etag);
    const struct head h = {.content_type = "application/json; charset=utf-8",
                           .etag = good ? etag : NULL,
                           .cache_control = good ? CACHE_PRIVATE : CACHE_NO};
    finish(c, status, &h, body);
}

void answer_no_record(struct call *c)
{
    struct buf id cleanup(buf_done) = BUF_INIT;
    if (c->id)
        buf_add_u64(&id, c->id);
    else
        buf_add_str(&id, buf_str(&c->id_text));
    answer_error(c, PROBLEM_NO_RECORD, buf_str(&id), STR_NONE);
}

void answer_unavailable(struct call *c, const char *detail)
{
    errors_done(&c->errors);
    errors_add(&c->errors, PROBLEM_UNAVAILABLE, str_of(detail), STR_NONE);
    send_errors(c, "1", NULL);
}

void answer_too_many(struct call *c, struct throttle_answer why, const char *detail)
{
    char seconds[16];
    (void)snprintf(seconds, sizeof(seconds), "%u", why.wait_ms / 1000 + 1);
    errors_done(&c->errors);
    errors_add(&c->errors, PROBLEM_TOO_MANY, str_of(detail), STR_NONE);
    send_errors(c, seconds, NULL);
}

void answer_failure(struct call *c, int rc, const struct error *err)
{
    const char *detail;
    switch (dialect_failure_of("yeti", c->id, rc, err, is_read(c), &detail)) {
    case FAILURE_ABSENT:
        answer_no_record(c);
        return;
    case FAILURE_UNAVAILABLE:
        answer_unavailable(c, detail);
        return;
    case FAILURE_DAMAGED:
        answer_error(c, PROBLEM_DAMAGED, str_of(detail), STR_NONE);
        return;
    case FAILURE_CONFLICT: // of a name: told where the name stands
    case FAILURE_INTERNAL:
        answer_error(c, PROBLEM_INTERNAL, STR_NONE, STR_NONE);
    }
}
