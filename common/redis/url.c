#include "common/redis/url.h"

#include "common/base/buf.h"
#include "common/base/encode.h"
#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>

enum { DEFAULT_PORT = 6379, DB_MAX = 65535 };

// RFC 3986 section 2.1; a password may hold any character but NUL that way.
static int percent_decode(struct str s, char **ret_text)
{
    struct buf out = BUF_INIT;
    buf_add_str(&out, STR_LIT(""));
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%') {
            buf_add_char(&out, s.p[i]);
            continue;
        }
        int high = i + 2 < s.n ? decode_hex_digit(s.p[i + 1]) : -1;
        int low = high >= 0 ? decode_hex_digit(s.p[i + 2]) : -1;
        if (low < 0 || (high | low) == 0) {
            buf_done(&out);
            return -EINVAL;
        }
        buf_add_char(&out, (char)(high * 16 + low));
        i += 2;
    }
    *ret_text = buf_steal(&out);
    return 0;
}

static int parse_userinfo(struct str info, struct redis_url *url)
{
    size_t colon = str_find(info, ':', 0);
    if (colon > 0 && percent_decode(str_slice(info, 0, colon), &url->user) < 0)
        return -EINVAL;
    if (colon == info.n)
        return 0;
    return percent_decode(str_slice(info, colon + 1, info.n), &url->password);
}

static int parse_port(struct str text, uint16_t *ret_port)
{
    uint64_t port;
    if (str_to_u64(text, &port) < 0 || port == 0 || port > UINT16_MAX)
        return -EINVAL;
    *ret_port = (uint16_t)port;
    return 0;
}

// host, host:port or [address]:port (RFC 3986 section 3.2.2).
static int parse_host(struct str s, struct redis_url *url, struct error *err)
{
    bool bracket = s.n && s.p[0] == '[';
    size_t end = str_find(s, bracket ? ']' : ':', 0);
    struct str host = str_slice(s, bracket ? 1 : 0, end);
    size_t after = bracket ? end + 1 : end;
    if (host.n == 0 || (bracket && end == s.n))
        return error_set(err, -EINVAL, "the Redis URL names no host");
    url->port = DEFAULT_PORT;
    if (after < s.n && (s.p[after] != ':' || parse_port(str_slice(s, after + 1, s.n), &url->port) < 0))
        return error_set(err, -EINVAL, "the port of the Redis URL is not a number from 1 to 65535");
    url->host = str_dup(host);
    return 0;
}

static int parse_tcp(struct str rest, struct redis_url *url, struct error *err)
{
    size_t slash = str_find(rest, '/', 0);
    struct str authority = str_slice(rest, 0, slash), db = str_slice(rest, slash + 1, rest.n);
    uint64_t number = 0;
    if (db.n && (str_to_u64(db, &number) < 0 || number > DB_MAX))
        return error_set(err, -EINVAL, "the database in the Redis URL is not a number from 0 to %d", DB_MAX);
    url->db = (uint32_t)number;
    // The last @ ends the user information, so that an unescaped one in a password is read as meant.
    size_t at = authority.n;
    for (size_t i = 0; i < authority.n; i++)
        if (authority.p[i] == '@')
            at = i;
    if (at == authority.n)
        return parse_host(authority, url, err);
    if (parse_userinfo(str_slice(authority, 0, at), url) < 0)
        return error_set(err, -EINVAL, "user or password in the Redis URL has a bad percent escape");
    return parse_host(str_slice(authority, at + 1, authority.n), url, err);
}

int redis_url_parse(struct str text, struct redis_url *ret, struct error *err)
{
    struct redis_url url = {0};
    int rc;
    if (str_starts(text, STR_LIT("redis://"))) {
        rc = parse_tcp(str_slice(text, sizeof("redis://") - 1, text.n), &url, err);
    } else if (str_starts(text, STR_LIT("unix:///"))) {
        url.path = str_dup(str_slice(text, sizeof("unix://") - 1, text.n));
        rc = 0;
    } else {
        rc =
            error_set(err, -EINVAL,
                      "the Redis URL is neither redis://[user[:password]@]host[:port][/db] nor unix:///path");
    }
    if (rc < 0)
        redis_url_done(&url);
    else
        *ret = url;
    return rc;
}

void redis_url_done(struct redis_url *url)
{
    if (url->password)
        mem_wipe(url->password, str_of(url->password).n);
    free(url->host);
    free(url->path);
    free(url->user);
    free(url->password);
    *url = (struct redis_url){0};
}
