// The computation of digest.h, on OpenSSL's EVP.
#include "services/registrant/core/digest.h"

#include "common/base/encode.h"
#include "common/base/mem.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

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

bool digest_is_session(enum digest_algorithm a)
{
    return a == DIGEST_MD5_SESS || a == DIGEST_SHA256_SESS || a == DIGEST_SHA512_256_SESS;
}

enum credential_ha1 digest_ha1_of(enum digest_algorithm a)
{
    return a == DIGEST_SHA256 || a == DIGEST_SHA256_SESS           ? HA1_SHA256
           : a == DIGEST_SHA512_256 || a == DIGEST_SHA512_256_SESS ? HA1_SHA512_256
                                                                   : HA1_MD5;
}

// What goes into a hash: a plain text, or one whose quoting backslashes are left out (RFC 7616 3.4, unq).
struct part {
    struct str text;
    bool quoted;
};

static struct part plain(struct str text)
{
    return (struct part){.text = text};
}

static struct part quoted(struct str text)
{
    return (struct part){.text = text, .quoted = true};
}

static int hash_part(struct digest *d, struct part part)
{
    struct str rest = part.text;
    for (;;) {
        size_t at = part.quoted ? str_find(rest, '\\', 0) : rest.n;
        if (at && !EVP_DigestUpdate(d->context, rest.p, at))
            return 0;
        if (at >= rest.n)
            return 1;
        rest = str_slice(rest, at + 1, rest.n);
        if (rest.n && !EVP_DigestUpdate(d->context, rest.p, 1)) // the escaped one, a backslash too
            return 0;
        rest = str_slice(rest, 1, rest.n);
    }
}

// Hash of the parts with ':' between them.
static int hash_joined(struct digest *d, const EVP_MD *md, const struct part *parts, size_t count,
                       struct hex *ret)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned int raw_bytes = 0;
    int ok = EVP_DigestInit_ex2(d->context, md, NULL);
    for (size_t i = 0; ok && i < count; i++) {
        if (i)
            ok = EVP_DigestUpdate(d->context, ":", 1);
        ok = ok && hash_part(d, parts[i]);
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

static struct part hex_part(const struct hex *h)
{
    return plain(hex_str(h));
}

static int hash_user(struct digest *d, const EVP_MD *md, const struct digest_input *in, struct hex *ret)
{
    if (!in->ha1.n)
        return hash_joined(
            d, md, (const struct part[]){plain(in->user), quoted(in->realm), plain(in->password)}, 3, ret);
    if (in->ha1.n > MAX_HEX)
        return -EBADMSG;
    memcpy(ret->text, in->ha1.p, in->ha1.n);
    ret->n = in->ha1.n;
    return 0;
}

// A1 (RFC 7616 3.4.2).
static int hash_a1(struct digest *d, const EVP_MD *md, const struct digest_input *in, struct hex *ret)
{
    int rc = hash_user(d, md, in, ret);
    if (rc || !digest_is_session(in->algorithm))
        return rc;
    struct hex user = *ret;
    rc = hash_joined(d, md, (const struct part[]){hex_part(&user), quoted(in->nonce), plain(in->cnonce)}, 3,
                     ret);
    mem_wipe(&user, sizeof(user));
    return rc;
}

// A2 (RFC 7616 3.4.3).
static int hash_a2(struct digest *d, const EVP_MD *md, const struct digest_input *in, struct hex *ret)
{
    const struct part head[] = {plain(in->method), plain(in->uri)};
    if (in->qop != QOP_AUTH_INT)
        return hash_joined(d, md, head, 2, ret);
    struct hex body;
    const struct part text = plain(in->body);
    int rc = hash_joined(d, md, &text, 1, &body);
    return rc ? rc : hash_joined(d, md, (const struct part[]){head[0], head[1], hex_part(&body)}, 3, ret);
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
    struct hex a1 = {.n = 0}, a2 = {.n = 0};
    char nc[8];
    int rc = hash_a1(d, md, in, &a1);
    if (!rc)
        rc = hash_a2(d, md, in, &a2);
    const struct part first = hex_part(&a1), nonce = quoted(in->nonce), last = hex_part(&a2);
    if (!rc && in->qop == QOP_NONE)
        rc = hash_joined(d, md, (const struct part[]){first, nonce, last}, 3, ret);
    else if (!rc)
        rc = hash_joined(d, md,
                         (const struct part[]){first, nonce, plain(nc_text(in->nc, nc)), plain(in->cnonce),
                                               plain(str_of(digest_qop_name(in->qop))), last},
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

// The user, or its hash after all others were made with the user itself (RFC 7616 3.4.4).
static int add_user(struct digest *d, const struct digest_input *in, struct buf *out)
{
    struct hex hash;
    if (in->userhash) {
        int rc = hash_joined(d, md_of(d, in->algorithm),
                             (const struct part[]){plain(in->user), quoted(in->realm)}, 2, &hash);
        if (!rc)
            add_quoted(out, "username", hex_str(&hash));
        return rc;
    }
    if (!str_has_char(in->user, '"') && !str_has_char(in->user, '\\')) {
        add_quoted(out, "username", in->user);
        return 0;
    }
    buf_add_cstr(out, "username=\"");
    for (size_t i = 0; i < in->user.n; i++) {
        if (in->user.p[i] == '"' || in->user.p[i] == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, in->user.p[i]);
    }
    buf_add_char(out, '"');
    return 0;
}

int digest_authorization(struct digest *d, const struct digest_input *in, struct buf *out)
{
    struct hex response;
    int rc = respond(d, in, &response);
    if (rc)
        return rc;
    buf_add_cstr(out, in->proxy ? "Proxy-Authorization: Digest " : "Authorization: Digest ");
    rc = add_user(d, in, out);
    if (rc)
        return rc;
    add_quoted(out, ", realm", in->realm);
    add_quoted(out, ", nonce", in->nonce);
    add_quoted(out, ", uri", in->uri);
    add_quoted(out, ", response", hex_str(&response));
    if (in->algorithm_given) {
        buf_add_cstr(out, ", algorithm=");
        buf_add_cstr(out, digest_algorithm_name(in->algorithm));
    }
    if (in->qop != QOP_NONE) {
        char nc[8];
        add_quoted(out, ", cnonce", in->cnonce);
        buf_add_cstr(out, ", qop=");
        buf_add_cstr(out, digest_qop_name(in->qop));
        buf_add_cstr(out, ", nc=");
        buf_add_str(out, nc_text(in->nc, nc));
    }
    if (in->opaque.p)
        add_quoted(out, ", opaque", in->opaque);
    if (in->userhash)
        buf_add_cstr(out, ", userhash=true");
    return 0;
}
