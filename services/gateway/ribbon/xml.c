// See xml.h.
#include "services/gateway/ribbon/xml.h"

#define REPLACEMENT "\xef\xbf\xbd" // U+FFFD for what XML 1.0 cannot hold at all (2.2)

// Length of the well-formed UTF-8 sequence at `i` that is an XML character, 0 where there is none.
static size_t sequence_bytes(struct str s, size_t i)
{
    const unsigned char *p = (const unsigned char *)s.p + i;
    size_t left = s.n - i;
    size_t n = p[0] < 0x80             ? 1
               : (p[0] & 0xe0) == 0xc0 ? 2
               : (p[0] & 0xf0) == 0xe0 ? 3
               : (p[0] & 0xf8) == 0xf0 ? 4
                                       : 0;
    if (!n || n > left)
        return 0;
    uint32_t point = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (size_t k = 1; k < n; k++) {
        if ((p[k] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (p[k] & 0x3fu);
    }
    static const uint32_t shortest[] = {0, 0, 0x80, 0x800, 0x10000};
    bool is_char = point >= 0x20 || point == '\t' || point == '\n' || point == '\r';
    bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
    return point < shortest[n] || point > 0x10ffff || !is_char || is_surrogate || (point & 0xfffe) == 0xfffe
               ? 0
               : n;
}

static void add_escaped(struct buf *out, struct str text)
{
    for (size_t i = 0, n; i < text.n; i += n ? n : 1) {
        n = sequence_bytes(text, i);
        const char *entity = !n                  ? REPLACEMENT
                             : text.p[i] == '&'  ? "&amp;"
                             : text.p[i] == '<'  ? "&lt;"
                             : text.p[i] == '>'  ? "&gt;"
                             : text.p[i] == '"'  ? "&quot;"
                             : text.p[i] == '\t' ? "&#9;"
                             : text.p[i] == '\n' ? "&#10;"
                             : text.p[i] == '\r' ? "&#13;"
                                                 : NULL;
        if (entity)
            buf_add_cstr(out, entity);
        else
            buf_add(out, text.p + i, n);
    }
}

static void add_attribute(struct buf *out, const char *name, struct str value)
{
    buf_add_char(out, ' ');
    buf_add_cstr(out, name);
    buf_add_cstr(out, "=\"");
    add_escaped(out, value);
    buf_add_char(out, '"');
}

void xml_begin(struct buf *out, enum xml_layout layout, unsigned http_code)
{
    if (layout == XML_LEGACY)
        buf_add_char(out, '\n');
    buf_add_cstr(out, "<?xml version=\"1.0\"?>\n<root>\n<status>\n<http_code>");
    buf_add_u64(out, http_code);
    buf_add_cstr(out, "</http_code>\n");
}

void xml_end_status(struct buf *out)
{
    buf_add_cstr(out, "</status>\n");
}

void xml_end_status_error(struct buf *out, struct str href, unsigned app_code, struct str params)
{
    buf_add_cstr(out, "<app_status");
    add_attribute(out, "href", href);
    buf_add_cstr(out, ">\n<app_status_entry code=\"");
    buf_add_u64(out, app_code);
    buf_add_char(out, '"');
    add_attribute(out, "params", params);
    buf_add_cstr(out, "/>\n</app_status>\n");
    xml_end_status(out);
}

void xml_end(struct buf *out)
{
    buf_add_cstr(out, "</root>\n");
}

static void add_open(struct buf *out, const char *resource, const char *suffix, struct str id,
                     struct str href)
{
    buf_add_char(out, '<');
    buf_add_cstr(out, resource);
    buf_add_cstr(out, suffix);
    if (id.p)
        add_attribute(out, "id", id);
    add_attribute(out, "href", href);
}

static void add_close(struct buf *out, const char *name, const char *suffix)
{
    buf_add_cstr(out, "</");
    buf_add_cstr(out, name);
    buf_add_cstr(out, suffix);
    buf_add_cstr(out, ">\n");
}

void xml_item_begin(struct buf *out, const char *resource, struct str id, struct str href)
{
    add_open(out, resource, "", id, href);
    buf_add_cstr(out, ">\n");
}

void xml_field(struct buf *out, const char *name, struct str value)
{
    buf_add_char(out, '<');
    buf_add_cstr(out, name);
    buf_add_char(out, '>');
    add_escaped(out, value);
    add_close(out, name, "");
}

void xml_item_end(struct buf *out, const char *resource)
{
    add_close(out, resource, "");
}

void xml_list_begin(struct buf *out, const char *resource, struct str href)
{
    add_open(out, resource, "_list", STR_NONE, href);
    buf_add_cstr(out, ">\n");
}

void xml_link(struct buf *out, const char *resource, struct str id, struct str href)
{
    add_open(out, resource, "_pk", id, href);
    buf_add_cstr(out, "/>\n");
}

void xml_list_end(struct buf *out, const char *resource)
{
    add_close(out, resource, "_list");
}
