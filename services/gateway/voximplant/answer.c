// See answer.h. Envelopes are contract voximplant 6.
#include "services/gateway/voximplant/answer.h"

#include "common/json/json.h"
#include "services/gateway/voximplant/methods.h"

#include <stdarg.h>
#include <stdio.h>

static void reply(struct call *c, int status, struct str body)
{
    http_reply_header(c->base.http, "content-type", STR_LIT("application/json"));
    http_reply_header(c->base.http, "cache-control", STR_LIT("no-store"));
    http_reply(c->base.http, status, body);
    vox_call_free(c);
}

void vox_answer_json(struct call *c, struct str body)
{
    reply(c, 200, body);
}

void vox_answer_done(struct call *c)
{
    reply(c, 200, STR_LIT("{\"result\":1}"));
}

static void put_error(struct json_writer *w, const struct fault *f)
{
    json_begin_object(w);
    json_kv_i64(w, "code", f->code);
    json_kv_cstr(w, "msg", f->text);
    json_end_object(w);
}

// Both forms that clients look for; no `result`, which some would walk over.
static void reply_fault(struct call *c, int status, const struct fault *f)
{
    struct buf body cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&body);
    json_begin_object(&w);
    json_key(&w, "error");
    put_error(&w, f);
    json_key(&w, "errors");
    json_begin_array(&w);
    put_error(&w, f);
    json_end_array(&w);
    json_end_object(&w);
    reply(c, status, buf_str(&body));
}

static void write_fault(struct fault *f, enum code code, const char *fmt, va_list args) printf_like(3, 0);
static void write_fault(struct fault *f, enum code code, const char *fmt, va_list args)
{
    f->code = code;
    (void)vsnprintf(f->text, sizeof(f->text), fmt, args);
}

bool vox_fault_set(struct fault *f, enum code code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    write_fault(f, code, fmt, args);
    va_end(args);
    return false;
}

void vox_answer_fault(struct call *c, const struct fault *f)
{
    reply_fault(c, 200, f);
}

void vox_answer_error(struct call *c, enum code code, const char *fmt, ...)
{
    struct fault f;
    va_list args;
    va_start(args, fmt);
    write_fault(&f, code, fmt, args);
    va_end(args);
    reply_fault(c, 200, &f);
}

static void refuse_unknown(struct call *c)
{
    vox_answer_error(c, CODE_INVALID_REGISTRATION_ID,
                     "There is no SIP registration with the sip_registration_id '%llu'.",
                     (unsigned long long)c->id);
}

void vox_answer_failure(struct call *c, int rc, const struct error *err)
{
    const char *detail;
    bool reads = c->method && c->method->reads;
    switch (dialect_failure_of("voximplant", c->id, rc, err, reads, &detail)) {
    case FAILURE_ABSENT:
        refuse_unknown(c);
        return;
    case FAILURE_CONFLICT: // of names, which this dialect makes itself
    case FAILURE_UNAVAILABLE:
        vox_answer_error(c, CODE_DB, "%s", detail);
        return;
    case FAILURE_DAMAGED:
    case FAILURE_INTERNAL:
        break;
    }
    vox_answer_error(c, CODE_INTERNAL, "%s", detail);
}

void vox_answer_not_allowed(struct call *c)
{
    struct fault f;
    (void)vox_fault_set(&f, CODE_INVALID_ARGUMENTS, "The API answers GET and POST.");
    http_reply_header(c->base.http, "allow", STR_LIT("GET, HEAD, POST"));
    reply_fault(c, 405, &f);
}
