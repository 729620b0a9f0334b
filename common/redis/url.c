// See url.h.
#include "common/redis/url.h"

#include "common/base/buf.h"
#include "common/base/encode.h"
#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { REDIS_PORT = 6379, SENTINEL_PORT = 26379, DB_MAX = 65535 };

static const struct {
    const char *scheme;
    enum redis_kind kind;
    bool tls;
} schemes[] = {
    {"redis://", REDIS_ONE, false},
    {"rediss://", REDIS_ONE, true},
    {"redis-sentinel://", REDIS_SENTINEL, false},
    {"rediss-sentinel://", REDIS_SENTINEL, true},
    {"redis-cluster://", REDIS_CLUSTER, false},
    {"rediss-cluster://", REDIS_CLUSTER, true},
};

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
static int parse_address(struct str s, struct redis_url *url, struct error *err)
{
    bool bracket = s.n && s.p[0] == '[';
    size_t end = str_find(s, bracket ? ']' : ':', 0);
    struct str host = str_slice(s, bracket ? 1 : 0, end);
    size_t after = bracket ? end + 1 : end;
    uint16_t port = url->kind == REDIS_SENTINEL ? SENTINEL_PORT : REDIS_PORT;
    if (host.n == 0 || (bracket && end == s.n))
        return error_set(err, -EINVAL, "the Redis URL names no host");
    if (after < s.n && (s.p[after] != ':' || parse_port(str_slice(s, after + 1, s.n), &port) < 0))
        return error_set(err, -EINVAL, "the port of the Redis URL is not a number from 1 to 65535");
    url->addresses = mem_resize(url->addresses, url->address_count + 1, sizeof(*url->addresses));
    url->addresses[url->address_count++] = (struct redis_address){.host = str_dup(host), .port = port};
    return 0;
}

static int parse_addresses(struct str list, struct redis_url *url, struct error *err)
{
    if (url->kind == REDIS_ONE)
        return parse_address(list, url, err);
    struct str one;
    int rc = list.n ? 0 : error_set(err, -EINVAL, "the Redis URL names no host");
    while (!rc && str_split(&list, ',', &one))
        rc = parse_address(str_trim(one), url, err);
    return rc;
}

static int parse_db(struct str text, struct redis_url *url, struct error *err)
{
    uint64_t number = 0;
    if (text.n && (str_to_u64(text, &number) < 0 || number > DB_MAX))
        return error_set(err, -EINVAL, "the database in the Redis URL is not a number from 0 to %d", DB_MAX);
    if (number && url->kind == REDIS_CLUSTER)
        return error_set(err, -EINVAL, "a Redis Cluster has database 0 only");
    url->db = (uint32_t)number;
    return 0;
}

// What follows the authority: the database, and before it the master's name where Sentinel is asked.
static int parse_path(struct str path, struct redis_url *url, struct error *err)
{
    if (url->kind != REDIS_SENTINEL)
        return parse_db(path, url, err);
    size_t slash = str_find(path, '/', 0);
    struct str master = str_slice(path, 0, slash);
    if (!master.n || percent_decode(master, &url->master) < 0)
        return error_set(err, -EINVAL, "the Redis URL does not name the master that Sentinel is asked for");
    return parse_db(str_slice(path, slash + 1, path.n), url, err);
}

static int parse_tcp(struct str rest, struct redis_url *url, struct error *err)
{
    size_t slash = str_find(rest, '/', 0);
    struct str authority = str_slice(rest, 0, slash);
    int rc = parse_path(str_slice(rest, slash + 1, rest.n), url, err);
    if (rc)
        return rc;
    // The last @ ends the user information, so that an unescaped one in a password is read as meant.
    size_t at = authority.n;
    for (size_t i = 0; i < authority.n; i++)
        if (authority.p[i] == '@')
            at = i;
    if (at == authority.n)
        return parse_addresses(authority, url, err);
    if (parse_userinfo(str_slice(authority, 0, at), url) < 0)
        return error_set(err, -EINVAL, "user or password in the Redis URL has a bad percent escape");
    return parse_addresses(str_slice(authority, at + 1, authority.n), url, err);
}

static int parse(struct str text, struct redis_url *url, struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        struct str scheme = str_of(schemes[i].scheme);
        if (!str_starts(text, scheme))
            continue;
        url->kind = schemes[i].kind;
        url->tls = schemes[i].tls;
        return parse_tcp(str_slice(text, scheme.n, text.n), url, err);
    }
    if (!str_starts(text, STR_LIT("unix:///")))
        return error_set(err, -EINVAL,
                         "the Redis URL is none of redis://[user[:password]@]host[:port][/db], unix:///path, "
                         "redis-sentinel://host[:port],…/master and redis-cluster://host[:port],… (rediss… "
                         "for TLS)");
    url->path = str_dup(str_slice(text, sizeof("unix://") - 1, text.n));
    return 0;
}

int redis_url_parse(struct str text, struct redis_url *ret, struct error *err)
{
    struct redis_url url = {0};
    int rc = parse(text, &url, err);
    if (rc < 0)
        redis_url_done(&url);
    else
        *ret = url;
    return rc;
}

void redis_url_done(struct redis_url *url)
{
    if (url->password)
        mem_wipe(url->password, strlen(url->password));
    for (size_t i = 0; i < url->address_count; i++)
        free(url->addresses[i].host);
    free(url->addresses);
    free(url->path);
    free(url->master);
    free(url->user);
    free(url->password);
    *url = (struct redis_url){0};
}
