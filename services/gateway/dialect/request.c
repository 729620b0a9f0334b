// What every HTTP API reads of a request alike: see dialect.h.
#include "common/base/encode.h"
#include "common/base/rng.h"
#include "services/gateway/dialect/dialect.h"

#include <arpa/inet.h>
#include <string.h>

#define REQUEST_ID_MAX 255

struct str dialect_traceparent(const struct http_request *r)
{
    static const char form[] = "hh-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh";
    struct str text = http_header(r, "traceparent");
    bool good = text.n == sizeof(form) - 1;
    for (size_t i = 0; good && i < text.n; i++) {
        char c = text.p[i];
        bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        good = form[i] == '-' ? c == '-' : is_hex;
    }
    return good ? text : STR_NONE;
}

struct store_write_context dialect_write_context(const struct dialect_call *c)
{
    return (struct store_write_context){
        .traceparent = dialect_traceparent(c->http),
        .actor = str_of(c->principal->username),
    };
}

struct str dialect_path(struct str path)
{
    while (path.n > 1 && path.p[0] == '/' && path.p[1] == '/')
        path = str_slice(path, 1, path.n);
    return path;
}

static bool is_loopback(struct str address)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    if (address.n == 0 || address.n >= sizeof(text))
        return false;
    memcpy(text, address.p, address.n);
    text[address.n] = '\0';
    if (inet_pton(AF_INET, text, bytes) == 1)
        return bytes[0] == 127;
    if (inet_pton(AF_INET6, text, bytes) != 1)
        return false;
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(bytes, &in6addr_loopback, 16) == 0 || (memcmp(bytes, mapped, 12) == 0 && bytes[12] == 127);
}

static bool trusts_proxy(const struct dialect_shared *shared, const struct http_request *r)
{
    return shared->trust_forwarded && is_loopback(http_peer(r));
}

struct str dialect_client(const struct dialect_shared *shared, const struct http_request *r,
                          struct buf *scratch)
{
    struct str client = http_peer(r), rest, piece;
    buf_clear(scratch);
    if (trusts_proxy(shared, r))
        http_header_list(r, "x-forwarded-for", scratch);
    rest = buf_str(scratch);
    while (str_split(&rest, ',', &piece))
        if (str_trim(piece).n && !is_loopback(str_trim(piece)))
            client = str_trim(piece);
    return client;
}

bool dialect_allows_client(const struct dialect_shared *shared, const struct http_request *r,
                           const struct principal *p)
{
    struct buf scratch cleanup(buf_done) = BUF_INIT;
    return principal_allows_ip(p, dialect_client(shared, r, &scratch));
}

const char *dialect_scheme(const struct dialect_shared *shared, const struct http_request *r)
{
    bool forwarded = trusts_proxy(shared, r) && str_ieq_cstr(http_header(r, "x-forwarded-proto"), "https");
    return forwarded || http_is_tls(r) ? "https" : "http";
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '@' || c == '.';
}

void dialect_request_id(const struct http_request *r, struct buf *out)
{
    struct str given = http_header(r, "x-request-id");
    size_t count = 0;
    for (size_t i = 0; i < given.n && count < REQUEST_ID_MAX; i++) {
        if (!is_word(given.p[i]))
            continue;
        buf_add_char(out, given.p[i]);
        count++;
    }
    if (count)
        return;
    unsigned char random[16];
    random_bytes(random, sizeof(random));
    encode_hex(out, random, sizeof(random));
}
