// The computation of digest.h, on OpenSSL's EVP.
#include "services/registrant/core/digest.h"

#include "common/base/encode.h"
#include "common/base/mem.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define MAX_HEX 64

struct digest {
    EVP_MD_CTX *context;
    EVP_MD *md5, *sha256, *sha512_256; // NULL where OpenSSL refuses it
};

struct hex {
    char text[MAX_HEX];
    size_t n;
};

static const struct {
    enum digest_algorithm algorithm;
    const char *name;
} algorithms[] = {
    {DIGEST_MD5, "MD5"},
    {DIGEST_MD5_SESS, "MD5-sess"},
    {DIGEST_SHA256, "SHA-256"},
    {DIGEST_SHA256_SESS, "SHA-256-sess"},
    {DIGEST_SHA512_256, "SHA-512-256"},
    {DIGEST_SHA512_256_SESS, "SHA-512-256-sess"},
};

const char *digest_algorithm_name(enum digest_algorithm a)
{
    return (size_t)a < ARRAY_LEN(algorithms) ? algorithms[a].name : NULL;
}

enum digest_algorithm digest_algorithm_of(struct str name)
{
    if (!name.n)
        return DIGEST_MD5;
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
        if (str_ieq_cstr(name, algorithms[i].name))
            return algorithms[i].algorithm;
    return DIGEST_UNKNOWN;
}

const char *digest_qop_name(enum digest_qop q)
{
    return q == QOP_AUTH ? "auth" : q == QOP_AUTH_INT ? "auth-int" : NULL;
}

struct digest *digest_new(void)
{
    struct digest *d = mem_alloc(sizeof(*d));
    d->context = EVP_MD_CTX_new();
    if (!d->context)
        abort();
    d->md5 = EVP_MD_fetch(NULL, "MD5", NULL);
    d->sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    d->sha512_256 = EVP_MD_fetch(NULL, "SHA2-512/256", NULL);
    return d;
}

void digest_free(struct digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->context);
    EVP_MD_free(d->md5);
    EVP_MD_free(d->sha256);
    EVP_MD_free(d->sha512_256);
    free(d);
}

static const EVP_MD *md_of(const struct digest *d, enum digest_algorithm a)
{
    switch (a) {
    case DIGEST_MD5:
    case DIGEST_MD5_SESS:
        return d->md5;
    case DIGEST_SHA256:
    case DIGEST_SHA256_SESS:
        return d->sha256;
    case DIGEST_SHA512_256:
    case DIGEST_SHA512_256_SESS:
        return d->sha512_256;
    case DIGEST_UNKNOWN:
        break;
    }
    return NULL;
}

static bool is_session(enum digest_algorithm a)
{
    return a == DIGEST_MD5_SESS || a == DIGEST_SHA256_SESS || a == DIGEST_SHA512_256_SESS;
}

// Hash of the pieces with ':' between them.
static int hash_joined(struct digest *d, const EVP_MD *md, const struct str *pieces, size_t count,
                       struct hex *ret)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned int raw_bytes = 0;
    int ok = EVP_DigestInit_ex2(d->context, md, NULL);
    for (size_t i = 0; ok && i < count; i++) {
        if (i)
            ok = EVP_DigestUpdate(d->context, ":", 1);
        if (ok && pieces[i].n)
            ok = EVP_DigestUpdate(d->context, pieces[i].p, pieces[i].n);
    }
    if (!ok || !EVP_DigestFinal_ex(d->context, raw, &raw_bytes) || raw_bytes * 2 > MAX_HEX)
        return -ENOTSUP;
    for (unsigned int i = 0; i < raw_bytes; i++) {
        ret->text[2 * i] = digits[raw[i] >> 4];
        ret->text[2 * i + 1] = digits[raw[i] & 15];
    }
    ret->n = raw_bytes * 2;
    return 0;
}

static struct str hex_str(const struct hex *h)
{
    return (struct str){.p = h->text, .n = h->n};
}

// A1 (RFC 7616 3.4.2).
static int hash_a1(struct digest *d, const EVP_MD *md, const struct digest_input *in, struct hex *ret)
{
    int rc = hash_joined(d, md, (const struct str[]){in->user, in->realm, in->password}, 3, ret);
    if (rc || !is_session(in->algorithm))
        return rc;
    struct hex plain = *ret;
    rc = hash_joined(d, md, (const struct str[]){hex_str(&plain), in->nonce, in->cnonce}, 3, ret);
    mem_wipe(&plain, sizeof(plain));
    return rc;
}

// A2 (RFC 7616 3.4.3).
static int hash_a2(struct digest *d, const EVP_MD *md, const struct digest_input *in, struct hex *ret)
{
    if (in->qop != QOP_AUTH_INT)
        return hash_joined(d, md, (const struct str[]){in->method, in->uri}, 2, ret);
    struct hex body;
    int rc = hash_joined(d, md, &in->body, 1, &body);
    return rc ? rc : hash_joined(d, md, (const struct str[]){in->method, in->uri, hex_str(&body)}, 3, ret);
}

static struct str nc_text(uint32_t nc, char ret[8])
{
    for (int i = 7; i >= 0; i--, nc >>= 4)
        ret[i] = "0123456789abcdef"[nc & 15];
    return (struct str){.p = ret, .n = 8};
}

static int respond(struct digest *d, const struct digest_input *in, struct hex *ret)
{
    const EVP_MD *md = md_of(d, in->algorithm);
    if (!md)
        return -ENOTSUP;
    struct hex a1, a2;
    char nc[8];
    int rc = hash_a1(d, md, in, &a1);
    if (!rc)
        rc = hash_a2(d, md, in, &a2);
    if (!rc && in->qop == QOP_NONE)
        rc = hash_joined(d, md, (const struct str[]){hex_str(&a1), in->nonce, hex_str(&a2)}, 3, ret);
    else if (!rc)
        rc = hash_joined(d, md,
                         (const struct str[]){hex_str(&a1), in->nonce, nc_text(in->nc, nc), in->cnonce,
                                              str_of(digest_qop_name(in->qop)), hex_str(&a2)},
                         6, ret);
    mem_wipe(&a1, sizeof(a1));
    return rc;
}

int digest_response(struct digest *d, const struct digest_input *in, struct buf *out)
{
    struct hex response;
    int rc = respond(d, in, &response);
    if (!rc)
        buf_add_str(out, hex_str(&response));
    return rc;
}

static void add_quoted(struct buf *out, const char *name, struct str value)
{
    buf_add_cstr(out, name);
    buf_add(out, "=\"", 2);
    buf_add_str(out, value);
    buf_add_char(out, '"');
}

static void add_user(struct buf *out, struct str user)
{
    buf_add_cstr(out, "username=\"");
    for (size_t i = 0; i < user.n; i++) {
        if (user.p[i] == '"' || user.p[i] == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, user.p[i]);
    }
    buf_add_char(out, '"');
}

int digest_authorization(struct digest *d, const struct digest_input *in, struct buf *out)
{
    struct hex response;
    int rc = respond(d, in, &response);
    if (rc)
        return rc;
    buf_add_cstr(out, in->proxy ? "Proxy-Authorization: Digest " : "Authorization: Digest ");
    add_user(out, in->user);
    add_quoted(out, ", realm", in->realm);
    add_quoted(out, ", nonce", in->nonce);
    add_quoted(out, ", uri", in->uri);
    add_quoted(out, ", response", hex_str(&response));
    if (in->algorithm_given) {
        buf_add_cstr(out, ", algorithm=");
        buf_add_cstr(out, digest_algorithm_name(in->algorithm));
    }
    if (in->qop != QOP_NONE || is_session(in->algorithm))
        add_quoted(out, ", cnonce", in->cnonce);
    if (in->qop != QOP_NONE) {
        char nc[8];
        buf_add_cstr(out, ", qop=");
        buf_add_cstr(out, digest_qop_name(in->qop));
        buf_add_cstr(out, ", nc=");
        buf_add_str(out, nc_text(in->nc, nc));
    }
    if (in->opaque.p)
        add_quoted(out, ", opaque", in->opaque);
    return 0;
}
