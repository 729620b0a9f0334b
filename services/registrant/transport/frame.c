// See frame.h.
#include "services/registrant/transport/frame.h"

#include <string.h>

// A response's first line begins with it, a request's ends with it.
static const struct str version = {.p = "SIP/2.0", .n = 7};

static bool is_start_line(struct str line)
{
    line = str_trim(line);
    if (str_istarts(line, version))
        return line.n > version.n && line.p[version.n] == ' ';
    return line.n > version.n && line.p[line.n - version.n - 1] == ' ' &&
           str_ieq(str_slice(line, line.n - version.n, line.n), version);
}

bool frame_is_start(struct str bytes)
{
    return is_start_line(str_slice(bytes, 0, str_find(bytes, '\n', 0)));
}

// What a method or "SIP" may begin with (RFC 3261 25.1 token).
static bool may_begin(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c && strchr("-.!%*_+`'~", c));
}

// ---- Content-Length

static bool is_length_name(struct str name)
{
    name = str_trim(name);
    return str_ieq_cstr(name, "l") || str_ieq_cstr(name, "Content-Length");
}

// Cuts the next header field off *rest with the lines that continue it (7.3.1).
static struct str next_field(struct str *rest)
{
    size_t end = str_find(*rest, '\n', 0);
    while (end + 1 < rest->n && (rest->p[end + 1] == ' ' || rest->p[end + 1] == '\t'))
        end = str_find(*rest, '\n', end + 1);
    struct str field = str_slice(*rest, 0, end);
    *rest = str_slice(*rest, end + 1, rest->n);
    return field;
}

// Without one there is no body: what follows must then be a message of its own. Two that differ are how
// messages are smuggled.
static bool body_length(struct str header, size_t *ret)
{
    uint64_t length = 0, value;
    bool found = false;
    (void)next_field(&header);
    while (header.n) {
        struct str field = next_field(&header);
        size_t colon = str_find(field, ':', 0);
        if (colon == field.n || !is_length_name(str_slice(field, 0, colon)))
            continue;
        if (str_to_u64(str_trim(str_slice(field, colon + 1, field.n)), &value) ||
            value > FRAME_MAX_BODY_BYTES || (found && value != length))
            return false;
        length = value;
        found = true;
    }
    *ret = length;
    return true;
}

// ---- messages

enum scan { SCAN_MORE, SCAN_DONE, SCAN_BAD };

// Looks for the empty line in what was not looked at before; sets f->need_bytes when it is there.
static enum scan scan_header(struct frame *f, struct str bytes)
{
    const char *end;
    while (f->scanned < bytes.n && (end = memchr(bytes.p + f->scanned, '\n', bytes.n - f->scanned))) {
        struct str line = str_slice(bytes, f->line, (size_t)(end - bytes.p));
        f->scanned = f->line = (size_t)(end - bytes.p) + 1;
        if (f->scanned > FRAME_MAX_HEADER_BYTES)
            return SCAN_BAD;
        if (!f->started && !is_start_line(line))
            return SCAN_BAD;
        f->started = true;
        if (line.n == 0 || (line.n == 1 && line.p[0] == '\r')) {
            size_t body;
            if (!body_length(str_slice(bytes, 0, f->line), &body))
                return SCAN_BAD;
            f->need_bytes = f->line + body;
            return SCAN_DONE;
        }
    }
    f->scanned = bytes.n;
    return f->scanned > FRAME_MAX_HEADER_BYTES ? SCAN_BAD : SCAN_MORE;
}

static enum frame_kind next_message(struct frame *f, struct str bytes, struct str *ret_piece)
{
    if (!may_begin(bytes.p[0]))
        return FRAME_BAD;
    if (!f->need_bytes) {
        enum scan found = scan_header(f, bytes);
        if (found != SCAN_DONE)
            return found == SCAN_BAD ? FRAME_BAD : FRAME_MORE;
    }
    if (bytes.n < f->need_bytes)
        return FRAME_MORE;
    *ret_piece = str_slice(bytes, 0, f->need_bytes);
    *f = (struct frame){0};
    return FRAME_MESSAGE;
}

static enum frame_kind next_line_end(struct frame *f, struct str bytes, struct str *ret_piece)
{
    size_t n = bytes.p[0] == '\r' ? 2 : 1;
    if (bytes.n < n)
        return FRAME_MORE;
    if (bytes.p[n - 1] != '\n')
        return FRAME_BAD;
    *ret_piece = str_slice(bytes, 0, n);
    f->after_crlf = !f->after_crlf;
    return f->after_crlf ? FRAME_CRLF : FRAME_PING;
}

enum frame_kind frame_next(struct frame *f, struct str bytes, struct str *ret_piece)
{
    if (bytes.n == 0)
        return FRAME_MORE;
    if (bytes.p[0] == '\r' || bytes.p[0] == '\n')
        return next_line_end(f, bytes, ret_piece);
    return next_message(f, bytes, ret_piece);
}
