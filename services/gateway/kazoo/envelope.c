// See envelope.h. What is undefined is left out, never null.
#include "services/gateway/kazoo/envelope.h"

#include "common/base/clock.h"

#include <time.h>

#define VERSION "5.0.0" // of the API that is spoken

void kazoo_envelope_begin(struct json_writer *w, const struct call *c)
{
    json_begin_object(w);
    if (c->token.n)
        json_kv_str(w, "auth_token", buf_str(&c->token));
    json_key(w, "data");
}

static void put_timestamp(struct json_writer *w)
{
    char text[24];
    struct tm utc;
    time_t now = (time_t)(clock_wall_ms() / 1000);
    (void)gmtime_r(&now, &utc);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    json_kv_cstr(w, "timestamp", text);
}

static void put_tokens(struct json_writer *w, const struct call *c)
{
    json_key(w, "tokens");
    json_begin_object(w);
    json_kv_u64(w, "consumed", c->cost);
    json_kv_u64(w, "remaining", c->tokens->remaining);
    json_end_object(w);
}

void kazoo_envelope_end(struct json_writer *w, const struct call *c, const struct envelope_end *end)
{
    if (end->status) {
        struct buf status cleanup(buf_done) = BUF_INIT;
        buf_add_u64(&status, (uint64_t)end->status);
        json_kv_str(w, "error", buf_str(&status));
        json_kv_cstr(w, "message", end->message);
    }
    json_kv_cstr(w, "node", c->kazoo->node);
    json_kv_str(w, "request_id", buf_str(&c->request_id));
    if (end->revision.n)
        json_kv_str(w, "revision", end->revision);
    json_kv_cstr(w, "status", end->status ? "error" : "success");
    put_timestamp(w);
    if (c->tokens && c->tokens->remaining != UINT32_MAX) // no limit, no bucket
        put_tokens(w, c);
    if (c->is_authenticated)
        json_kv_cstr(w, "version", VERSION);
    json_end_object(w);
}

static void new_line(const struct pretty *p, struct buf *out)
{
    buf_add_char(out, '\n');
    for (unsigned i = 0; i < p->depth; i++)
        buf_add_cstr(out, "    ");
}

static void add_in_string(struct pretty *p, char c, struct buf *out)
{
    buf_add_char(out, c);
    if (p->escaped)
        p->escaped = false;
    else if (c == '\\')
        p->escaped = true;
    else if (c == '"')
        p->in_string = false;
}

static void add_closing(struct pretty *p, char c, struct buf *out)
{
    p->depth--;
    if (!p->opened)
        new_line(p, out);
    p->opened = false;
    buf_add_char(out, c);
}

static void add_char(struct pretty *p, char c, struct buf *out)
{
    if (c == '}' || c == ']') {
        add_closing(p, c, out);
        return;
    }
    if (p->opened)
        new_line(p, out);
    p->opened = c == '{' || c == '[';
    p->depth += p->opened;
    p->in_string = c == '"';
    buf_add_char(out, c);
    if (c == ',')
        new_line(p, out);
    if (c == ':')
        buf_add_char(out, ' ');
}

void kazoo_pretty_add(struct pretty *p, struct str json, struct buf *out)
{
    for (size_t i = 0; i < json.n; i++) {
        if (p->in_string)
            add_in_string(p, json.p[i], out);
        else
            add_char(p, json.p[i], out);
    }
}
