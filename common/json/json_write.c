// Tree or values to compact JSON text. Escapes by hand, because a run of plain bytes is then one copy.
// Refuses to check that calls are balanced: that is the caller's code, and its tests parse what it wrote.
#include "common/json/json_tree.h"

#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" // U+FFFD

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void add_escaped(struct buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char short_forms[] = "\"\"\\\\\nn\rr\tt\bb\ff"; // pairs of character and letter
    for (size_t i = 0; i < sizeof(short_forms) - 1; i += 2) {
        if ((unsigned char)short_forms[i] == c) {
            buf_add(out, (char[]){'\\', short_forms[i + 1]}, 2);
            return;
        }
    }
    buf_add(out, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
}

static void add_quoted(struct buf *out, struct str text)
{
    buf_add_char(out, '"');
    size_t from = 0, at = 0; // [from, at) goes out as it is
    while (at < text.n) {
        unsigned char c = (unsigned char)text.p[at];
        size_t length = is_plain(c) ? 1
                        : c >= 0x80 ? json_utf8_length((const unsigned char *)text.p + at, text.n - at)
                                    : 0;
        if (length) {
            at += length;
            continue;
        }
        buf_add(out, text.p + from, at - from);
        if (c >= 0x80)
            buf_add_cstr(out, REPLACEMENT);
        else
            add_escaped(out, c);
        from = ++at;
    }
    if (at > from)
        buf_add(out, text.p + from, at - from);
    buf_add_char(out, '"');
}

struct json_writer json_writer(struct buf *out)
{
    return (struct json_writer){.out = out};
}

// What stands before a value: a comma, or nothing right after a bracket or a key.
static void separate(struct json_writer *w)
{
    if (w->comma)
        buf_add_char(w->out, ',');
    w->comma = true;
}

static void begin(struct json_writer *w, char bracket)
{
    separate(w);
    buf_add_char(w->out, bracket);
    w->comma = false;
}

static void end(struct json_writer *w, char bracket)
{
    buf_add_char(w->out, bracket);
    w->comma = true;
}

void json_begin_object(struct json_writer *w)
{
    begin(w, '{');
}

void json_end_object(struct json_writer *w)
{
    end(w, '}');
}

void json_begin_array(struct json_writer *w)
{
    begin(w, '[');
}

void json_end_array(struct json_writer *w)
{
    end(w, ']');
}

void json_key_str(struct json_writer *w, struct str key)
{
    separate(w);
    add_quoted(w->out, key);
    buf_add_char(w->out, ':');
    w->comma = false;
}

void json_key(struct json_writer *w, const char *key)
{
    json_key_str(w, str_of(key));
}

void json_put_str(struct json_writer *w, struct str text)
{
    separate(w);
    add_quoted(w->out, text);
}

void json_put_cstr(struct json_writer *w, const char *text)
{
    if (text)
        json_put_str(w, str_of(text));
    else
        json_put_null(w);
}

void json_put_i64(struct json_writer *w, int64_t value)
{
    separate(w);
    if (value < 0)
        buf_add_char(w->out, '-');
    buf_add_u64(w->out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void json_put_u64(struct json_writer *w, uint64_t value)
{
    separate(w);
    buf_add_u64(w->out, value);
}

void json_put_bool(struct json_writer *w, bool value)
{
    json_put_raw(w, value ? STR_LIT("true") : STR_LIT("false"));
}

void json_put_null(struct json_writer *w)
{
    json_put_raw(w, STR_LIT("null"));
}

void json_put_raw(struct json_writer *w, struct str json_text)
{
    separate(w);
    buf_add_str(w->out, json_text);
}

void json_kv_str(struct json_writer *w, const char *key, struct str text)
{
    json_key(w, key);
    json_put_str(w, text);
}

void json_kv_cstr(struct json_writer *w, const char *key, const char *text)
{
    json_key(w, key);
    json_put_cstr(w, text);
}

void json_kv_i64(struct json_writer *w, const char *key, int64_t value)
{
    json_key(w, key);
    json_put_i64(w, value);
}

void json_kv_u64(struct json_writer *w, const char *key, uint64_t value)
{
    json_key(w, key);
    json_put_u64(w, value);
}

void json_kv_bool(struct json_writer *w, const char *key, bool value)
{
    json_key(w, key);
    json_put_bool(w, value);
}

static void put_value(struct json_writer *w, const struct json *v)
{
    switch (json_type(v)) {
    case JSON_NULL:
        json_put_null(w);
        break;
    case JSON_BOOL:
        json_put_bool(w, v->truth);
        break;
    case JSON_NUMBER:
        json_put_raw(w, json_number_text(v));
        break;
    case JSON_STRING:
        json_put_str(w, json_str(v));
        break;
    case JSON_ARRAY:
        json_begin_array(w);
        for (uint32_t i = 0; i < v->n; i++)
            put_value(w, &v->items[i]);
        json_end_array(w);
        break;
    case JSON_OBJECT:
        json_begin_object(w);
        for (uint32_t i = 0; i < v->n; i++) {
            json_key_str(w, json_key_at(v, i));
            put_value(w, &v->items[i]);
        }
        json_end_object(w);
        break;
    }
}

void json_write_value(struct buf *out, const struct json *v)
{
    struct json_writer w = json_writer(out);
    put_value(&w, v);
}
