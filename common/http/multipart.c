// multipart/form-data (RFC 7578, RFC 2046 5.1.1) into pairs. Pure. Refuses what would have to be guessed: a
// body without its last delimiter, a part without a name, a transfer encoding (RFC 7578 4.7), NUL, since
// values are C strings.
#include "common/base/mem.h"
#include "common/http/pairs.h"

#include <errno.h>
#include <string.h>

#define BOUNDARY_MAX 70

// ---- a header field's value with parameters: token *( ";" name "=" ( token / quoted-string ) )

// A quoted string from behind its opening quote: 0 with *ret_next behind the closing one.
static int read_quoted(struct str s, size_t at, struct buf *out, size_t *ret_next)
{
    for (; at < s.n && s.p[at] != '"'; at++) {
        // senders escape these two alone; a lone backslash is one
        if (s.p[at] == '\\' && at + 1 < s.n && (s.p[at + 1] == '"' || s.p[at + 1] == '\\'))
            at++;
        buf_add_char(out, s.p[at]);
    }
    *ret_next = at + 1;
    return at < s.n ? 0 : -EINVAL;
}

// The parameter that starts at *at, and *at behind it: 0 with its name and value.
static int read_parameter(struct str s, size_t *at, struct str *ret_name, struct buf *value)
{
    size_t semicolon = str_find(s, ';', *at), equals = str_find(str_slice(s, 0, semicolon), '=', *at);
    buf_clear(value);
    if (equals == semicolon) {
        *ret_name = str_trim(str_slice(s, *at, semicolon));
        *at = semicolon + 1;
        return 0;
    }
    *ret_name = str_trim(str_slice(s, *at, equals));
    size_t from = equals + 1;
    while (from < s.n && (s.p[from] == ' ' || s.p[from] == '\t'))
        from++;
    if (from < s.n && s.p[from] == '"') {
        int rc = read_quoted(s, from + 1, value, &from);
        *at = str_find(s, ';', from) + 1;
        return rc;
    }
    buf_add_str(value, str_trim(str_slice(s, from, semicolon)));
    *at = semicolon + 1;
    return 0;
}

// The value of a parameter into *out: 0, -ENOENT, or -EINVAL for a quote that is never closed.
static int find_parameter(struct str field, const char *wanted, struct buf *out)
{
    for (size_t at = str_find(field, ';', 0) + 1; at < field.n;) {
        struct str name;
        int rc = read_parameter(field, &at, &name, out);
        if (rc || str_ieq_cstr(name, wanted))
            return rc;
    }
    return -ENOENT;
}

struct str http_media_type(struct str content_type)
{
    return str_trim(str_slice(content_type, 0, str_find(content_type, ';', 0)));
}

// ---- delimiters

struct parts {
    struct str body;
    struct buf delimiter; // "--" boundary
    size_t at;            // just behind the present delimiter line
    bool last;            // that was the closing one
};

// A delimiter whose boundary ends at `at` goes on with "--" or with blanks up to the end of its line.
static bool ends_delimiter(struct parts *p, size_t at)
{
    struct str rest = str_slice(p->body, at, p->body.n);
    if (str_starts(rest, STR_LIT("--"))) {
        p->last = true;
        return true;
    }
    size_t blanks = 0;
    while (blanks < rest.n && (rest.p[blanks] == ' ' || rest.p[blanks] == '\t'))
        blanks++;
    p->at = at + blanks + 2;
    return str_starts(str_slice(rest, blanks, rest.n), STR_LIT("\r\n"));
}

// The bytes up to the next delimiter line, without the line end that belongs to it; false when there is none.
static bool next_delimiter(struct parts *p, struct str *ret_before)
{
    struct str delimiter = buf_str(&p->delimiter);
    size_t begin = p->at;
    // the delimiter's line end may be that of the line before, or be the beginning of the body
    for (size_t from = begin; from < p->body.n;) {
        struct str rest = str_slice(p->body, from, p->body.n);
        size_t found = from + str_find_str(rest, delimiter);
        if (found >= p->body.n)
            return false;
        bool at_line_start = found == 0 ||
                             (found >= begin + 2 && !memcmp(p->body.p + found - 2, "\r\n", 2)) ||
                             (found == begin && begin >= 2);
        if (at_line_start && ends_delimiter(p, found + delimiter.n)) {
            *ret_before = str_slice(p->body, begin, found >= begin + 2 ? found - 2 : found);
            return true;
        }
        from = found + 1;
    }
    return false;
}

// ---- a part

struct part {
    struct buf name;
    bool named, latin1;
};

static void part_done(struct part *p)
{
    buf_done(&p->name);
}

static int take_disposition(struct part *p, struct str value)
{
    p->named = str_ieq_cstr(http_media_type(value), "form-data") && !find_parameter(value, "name", &p->name);
    return p->named ? 0 : -EINVAL;
}

static int take_type(struct part *p, struct str value)
{
    struct buf charset cleanup(buf_done) = BUF_INIT;
    int rc = find_parameter(value, "charset", &charset);
    p->latin1 = !rc && str_ieq_cstr(buf_str(&charset), "iso-8859-1");
    return rc == -EINVAL ? rc : 0;
}

static int take_encoding(struct part *p, struct str value)
{
    return str_ieq_cstr(value, "7bit") || str_ieq_cstr(value, "8bit") || str_ieq_cstr(value, "binary")
               ? 0
               : -EINVAL;
}

static const struct {
    const char *name;
    int (*take)(struct part *p, struct str value);
} part_fields[] = {
    {"content-disposition", take_disposition},
    {"content-type", take_type},
    {"content-transfer-encoding", take_encoding},
};

static int take_field(struct part *p, struct str line)
{
    size_t colon = str_find(line, ':', 0);
    struct str name = str_slice(line, 0, colon), value = str_trim(str_slice(line, colon + 1, line.n));
    for (size_t i = 0; i < ARRAY_LEN(part_fields); i++)
        if (str_ieq_cstr(name, part_fields[i].name))
            return part_fields[i].take(p, value);
    return 0;
}

// One library's default for text parts; what it cannot say it has made a question mark already.
static char *latin1_dup(struct str value)
{
    struct buf out = BUF_INIT;
    buf_add(&out, "", 0);
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (c >= 0x80)
            buf_add_char(&out, (char)(0xc0 | c >> 6));
        buf_add_char(&out, (char)(c < 0x80 ? c : 0x80 | (c & 0x3f)));
    }
    return buf_steal(&out);
}

static int take_part(struct http_pairs *pairs, struct str part, struct error *err)
{
    struct part p cleanup(part_done) = {.named = false};
    struct str rest = part, line;
    int rc = 0;
    while (!rc && str_split(&rest, '\n', &line) && str_trim(line).n)
        rc = take_field(&p, str_trim(line));
    if (rc || !p.named || str_has_char(buf_str(&p.name), '\0') || str_has_char(rest, '\0'))
        return error_set(err, -EINVAL, "part %zu of the form is not a named text", pairs->count + 1);
    struct http_pair *pair = pairs_add(pairs, err);
    if (!pair)
        return -E2BIG;
    pair->value = p.latin1 ? latin1_dup(rest) : str_dup(rest);
    pair->name = buf_steal(&p.name);
    return 0;
}

static int take_parts(struct parts *p, struct http_pairs *pairs, struct error *err)
{
    struct str part;
    if (!p->body.n)
        return 0;
    bool found = next_delimiter(p, &part); // what stands before the first one means nothing
    int rc = 0;
    while (found && !p->last && !rc && (found = next_delimiter(p, &part)))
        rc = take_part(pairs, part, err);
    return found ? rc : error_set(err, -EINVAL, "the form does not end with its boundary");
}

int http_multipart_parse(struct str content_type, struct str body, struct http_pairs *ret, struct error *err)
{
    struct parts p = {.body = body};
    struct buf boundary cleanup(buf_done) = BUF_INIT;
    if (!str_ieq_cstr(http_media_type(content_type), "multipart/form-data") ||
        find_parameter(content_type, "boundary", &boundary) || !boundary.n || boundary.n > BOUNDARY_MAX)
        return error_set(err, -EINVAL, "the content type is not multipart/form-data with a boundary");
    buf_add_cstr(&p.delimiter, "--");
    buf_add_str(&p.delimiter, buf_str(&boundary));
    struct http_pairs pairs = {.items = NULL};
    int rc = take_parts(&p, &pairs, err);
    buf_done(&p.delimiter);
    if (rc)
        http_pairs_done(&pairs);
    else
        *ret = pairs;
    return rc;
}
