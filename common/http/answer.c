// See answer.h.
#include "common/http/answer.h"

#include <errno.h>

static int take_field(struct answer_head *h, struct str line, struct error *err)
{
    size_t colon = str_find(line, ':', 0);
    struct str name = str_slice(line, 0, colon), value = str_trim(str_slice(line, colon + 1, line.n));
    if (str_ieq_cstr(name, "transfer-encoding")) {
        h->chunked = str_ieq_cstr(value, "chunked");
        return h->chunked ? 0 : error_set(err, -EBADMSG, "unknown transfer coding " STR_FMT, STR_ARG(value));
    }
    if (!str_ieq_cstr(name, "content-length"))
        return 0;
    uint64_t length;
    if (str_to_u64(value, &length) || (h->has_length && h->length != length))
        return error_set(err, -EBADMSG, "Content-Length is " STR_FMT, STR_ARG(value));
    h->has_length = true;
    h->length = length;
    return 0;
}

int answer_parse(struct str text, struct answer_head *ret, struct error *err)
{
    struct answer_head head = {.status = 0};
    struct str line;
    uint64_t status;
    (void)str_split(&text, '\n', &line);
    if (!str_starts(line, STR_LIT("HTTP/1.")) || line.n < 12 || str_to_u64(str_slice(line, 9, 12), &status) ||
        status < 100)
        return error_set(err, -EBADMSG, "the answer does not begin with an HTTP/1 status line");
    head.status = (int)status;
    int rc = 0;
    while (!rc && str_split(&text, '\n', &line) && line.n > 1)
        rc = take_field(&head, line, err);
    if (!rc)
        *ret = head;
    return rc;
}

static int take_authority(struct str authority, struct url *ret)
{
    struct str port = STR_NONE;
    ret->authority = authority;
    size_t end = str_find(authority, ']', 0);
    size_t colon = str_find(authority, ':', end < authority.n ? end : 0);
    ret->host = str_slice(authority, 0, colon);
    if (colon < authority.n)
        port = str_slice(authority, colon + 1, authority.n);
    if (end < authority.n)
        ret->host = str_slice(authority, 1, end);
    uint64_t number = 80;
    if ((port.n && str_to_u64(port, &number)) || !number || number > UINT16_MAX || !ret->host.n)
        return -EINVAL;
    ret->port = (uint16_t)number;
    return 0;
}

int url_parse(const char *text, struct url *ret, struct error *err)
{
    static const struct str scheme = {.p = "http://", .n = 7};
    struct str all = str_of(text), rest = str_slice(all, scheme.n, all.n);
    bool plain = str_istarts(all, scheme);
    for (size_t i = 0; i < all.n; i++)
        plain = plain && all.p[i] > ' ' && all.p[i] < 0x7f;
    size_t slash = str_find(rest, '/', 0);
    if (!plain || str_find(rest, '?', 0) < slash || take_authority(str_slice(rest, 0, slash), ret))
        return error_set(err, -EINVAL, "\"%s\" is not http://host:port/path", text);
    ret->target = slash < rest.n ? str_slice(rest, slash, rest.n) : STR_LIT("/");
    return 0;
}
