// See envelope.h.
#include "services/gateway/ribbon/envelope.h"

#include "common/log/log.h"

#include <stdarg.h>
#include <stdio.h>

void envelope_headers(struct call *c)
{
    // With a charset, because clients of PowerShell take text without one for Latin-1.
    http_reply_header(c->call.http, "content-type", STR_LIT("text/xml; charset=utf-8"));
    http_reply_header(c->call.http, "cache-control", STR_LIT("no-store"));
}

static void send(struct call *c, unsigned status, struct str body)
{
    envelope_headers(c);
    http_reply(c->call.http, (int)status, body);
    ribbon_call_free(c);
}

void envelope_document(struct call *c, struct str body)
{
    send(c, 200, body);
}

void envelope_done(struct call *c)
{
    struct buf body cleanup(buf_done) = BUF_INIT;
    xml_begin(&body, c->ribbon->params.layout, 200);
    xml_end_status(&body);
    xml_end(&body);
    envelope_document(c, buf_str(&body));
}

static void join(struct buf *out, va_list texts)
{
    const char *text;
    for (bool first = true; (text = va_arg(texts, const char *)); first = false) {
        if (!first)
            buf_add_char(out, '|');
        for (; *text; text++)
            buf_add_char(out, *text == '|' ? '/' : *text); // it ends a token
    }
}

static void answer_code(struct call *c, unsigned http_code, unsigned app_code, struct str params)
{
    struct buf body cleanup(buf_done) = BUF_INIT;
    xml_begin(&body, c->ribbon->params.layout, http_code);
    xml_end_status_error(&body, buf_str(&c->href), app_code, params);
    xml_end(&body);
    send(c, c->ribbon->params.status_200 ? 200 : http_code, buf_str(&body));
}

void envelope_app(struct call *c, unsigned app_code, ...)
{
    struct buf params cleanup(buf_done) = BUF_INIT;
    va_list texts;
    va_start(texts, app_code);
    join(&params, texts);
    va_end(texts);
    answer_code(c, app_code_http(app_code), app_code, buf_str(&params));
}

void envelope_app_http(struct call *c, unsigned http_code, unsigned app_code, ...)
{
    struct buf params cleanup(buf_done) = BUF_INIT;
    va_list texts;
    va_start(texts, app_code);
    join(&params, texts);
    va_end(texts);
    answer_code(c, http_code, app_code, buf_str(&params));
}

struct str envelope_id_text(struct row_id id, char ret[ROW_ID_BYTES])
{
    if (id.table)
        return row_id_text(id, ret);
    int n = snprintf(ret, ROW_ID_BYTES, "%llu", (unsigned long long)id.row);
    return (struct str){.p = ret, .n = (size_t)n};
}

void envelope_refused(struct call *c, unsigned app_code)
{
    char id[ROW_ID_BYTES];
    if (app_code == APP_MISSING)
        envelope_app(c, app_code, NULL);
    else
        envelope_app(c, app_code, c->resource->name, envelope_id_text(c->id, id).p, NULL);
}

void envelope_absent(struct call *c)
{
    char id[ROW_ID_BYTES];
    unsigned http_code = http_method(c->call.http) == HTTP_DELETE ? c->ribbon->params.delete_absent : 404;
    envelope_app_http(c, http_code, APP_ABSENT, envelope_id_text(c->id, id).p, c->resource->name, NULL);
}

void envelope_table_absent(struct call *c)
{
    char id[ROW_ID_BYTES];
    envelope_app(c, APP_ABSENT, envelope_id_text((struct row_id){.row = c->id.table}, id).p,
                 c->resource->parent, NULL);
}

void envelope_failure(struct call *c, int rc, const struct error *err)
{
    const char *detail;
    bool reads = http_method(c->call.http) == HTTP_GET || http_method(c->call.http) == HTTP_HEAD;
    switch (dialect_failure_of("ribbon", 0, rc, err, reads, &detail)) {
    case FAILURE_ABSENT:
        envelope_absent(c);
        return;
    case FAILURE_CONFLICT:
        envelope_refused(c, APP_RANGE);
        return;
    case FAILURE_UNAVAILABLE:
        envelope_app_http(c, 503, APP_FAILURE, detail, NULL);
        return;
    case FAILURE_DAMAGED:
        envelope_app(c, APP_FAILURE, detail, NULL);
        return;
    case FAILURE_INTERNAL:
        break;
    }
    envelope_app(c, APP_INTERNAL, NULL);
}

void envelope_stopping(struct dialect_call *c)
{
    envelope_app_http(container_of(c, struct call, call), 503, APP_FAILURE, "The gateway is stopping.", NULL);
}

// ---- resources

static void write_fields(struct call *c, struct buf *out, const struct fieldset *v)
{
    for (size_t i = 0; i < c->resource->field_count; i++) {
        const struct field *f = &c->resource->fields[i];
        struct str text = fieldset_text(v, i);
        xml_field(out, f->name, f->kind == FIELD_SECRET && text.n ? STR_LIT(SECRET_MASK) : text);
    }
}

static void write_item(struct call *c, struct buf *out, struct row_id id, struct str href,
                       const struct fieldset *v, const struct runtime *runtime, size_t runtime_count)
{
    char text[ROW_ID_BYTES];
    xml_item_begin(out, c->resource->name, envelope_id_text(id, text), href);
    if (c->runtime)
        runtime_write(out, runtime, runtime_count);
    else
        write_fields(c, out, v);
    xml_item_end(out, c->resource->name);
}

void envelope_item(struct call *c, const struct fieldset *v, const struct runtime *runtime,
                   size_t runtime_count)
{
    struct buf body cleanup(buf_done) = BUF_INIT;
    xml_begin(&body, c->ribbon->params.layout, 200);
    xml_end_status(&body);
    write_item(c, &body, c->id, buf_str(&c->href), v, runtime, runtime_count);
    xml_end(&body);
    envelope_document(c, buf_str(&body));
}

void envelope_list_begin(struct call *c, struct buf *out)
{
    xml_begin(out, c->ribbon->params.layout, 200);
    xml_end_status(out);
    xml_list_begin(out, c->resource->name, buf_str(&c->href));
}

void envelope_list_add(struct call *c, struct buf *out, uint64_t id, const struct fieldset *v,
                       const struct runtime *runtime, size_t runtime_count)
{
    struct buf href cleanup(buf_done) = BUF_INIT;
    struct row_id row = {c->id.table, id};
    char text[ROW_ID_BYTES];
    buf_add_str(&href, buf_str(&c->href));
    buf_add_char(&href, '/');
    buf_add_u64(&href, id);
    if (c->details)
        write_item(c, out, row, buf_str(&href), v, runtime, runtime_count);
    else
        xml_link(out, c->resource->name, envelope_id_text(row, text), buf_str(&href));
}

void envelope_list_end(struct call *c, struct buf *out)
{
    xml_list_end(out, c->resource->name);
    xml_end(out);
}
