// AES-256-GCM over OpenSSL. A sealed text opens only for the account, registration, field and realm it was
// made for, so moving it elsewhere in the store gains nothing. Keeps no clear text and no key outside the
// ring.
#include "common/registration/seal.h"

#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/registration/key_ring_private.h"

#include <errno.h>
#include <string.h>

#define NONCE_BYTES      12
#define TAG_BYTES        16
#define SEALED_PREFIX    STR_LIT("sealed:")
#define SECRET_MAX_BYTES (1u << 20) // far above any; keeps lengths within OpenSSL's int

// account, id, field and realm with a NUL between them: no two contexts give the same bytes, because none of
// them can hold a NUL.
static void add_context(struct buf *out, const struct seal_context *c)
{
    buf_add_str(out, c->account);
    buf_add_char(out, '\0');
    buf_add_u64(out, c->id);
    buf_add_char(out, '\0');
    buf_add_cstr(out, c->field);
    buf_add_char(out, '\0');
    buf_add_str(out, c->realm);
}

static void free_cipher_context(EVP_CIPHER_CTX **c)
{
    EVP_CIPHER_CTX_free(*c);
}

// box: nonce, then room for the ciphertext, then for the tag
static void encrypt(const struct key_ring *ring, struct str aad, struct str clear, unsigned char *box)
{
    EVP_CIPHER_CTX *c cleanup(free_cipher_context) = EVP_CIPHER_CTX_new();
    unsigned char *body = box + NONCE_BYTES, *tag = body + clear.n;
    int written;
    must(c && EVP_EncryptInit_ex2(c, ring->cipher, ring->keys[0].bytes, box, NULL) == 1);
    must(EVP_EncryptUpdate(c, NULL, &written, (const unsigned char *)aad.p, (int)aad.n) == 1);
    must(!clear.n || EVP_EncryptUpdate(c, body, &written, (const unsigned char *)clear.p, (int)clear.n) == 1);
    must(EVP_EncryptFinal_ex(c, tag, &written) == 1);
    must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag) == 1);
}

static void add_sealed(struct buf *out, struct str id, const void *box, size_t bytes)
{
    buf_add_str(out, SEALED_PREFIX);
    buf_add_str(out, id);
    buf_add_char(out, ':');
    encode_base64(out, box, bytes);
}

void seal_text(const struct key_ring *ring, const struct seal_context *context, struct str secret,
               struct buf *out)
{
    must(secret.n <= SECRET_MAX_BYTES);
    struct buf aad cleanup(buf_done) = BUF_INIT;
    size_t box_bytes = NONCE_BYTES + secret.n + TAG_BYTES;
    unsigned char *box = mem_alloc(box_bytes);
    add_context(&aad, context);
    random_bytes(box, NONCE_BYTES);
    encrypt(ring, buf_str(&aad), secret, box);
    add_sealed(out, str_of(ring->keys[0].id), box, box_bytes);
    free(box);
}

bool seal_is_sealed(struct str text)
{
    return str_starts(text, SEALED_PREFIX);
}

struct str seal_key_of(struct str sealed)
{
    struct str rest = str_slice(sealed, SEALED_PREFIX.n, sealed.n), id;
    bool has_one = seal_is_sealed(sealed) && str_split(&rest, ':', &id) && key_id_is_good(id);
    return has_one ? id : STR_LIT("");
}

struct seal_opener {
    const struct key_ring *ring;
    EVP_CIPHER_CTX *context;
    const struct ring_key *key; // that the context is set to; NULL: none yet
    struct buf box, aad, clear;
};

// Writes as many bytes as the box has between nonce and tag. OpenSSL compares the tag in constant time.
static bool decrypt(struct seal_opener *o, const struct ring_key *key, unsigned char *clear)
{
    EVP_CIPHER_CTX *c = o->context;
    unsigned char *nonce = (unsigned char *)o->box.p, *body = nonce + NONCE_BYTES;
    size_t count = o->box.n - NONCE_BYTES - TAG_BYTES;
    int written;
    if (o->key == key) // its schedule stands
        must(EVP_DecryptInit_ex2(c, NULL, NULL, nonce, NULL) == 1);
    else
        must(EVP_DecryptInit_ex2(c, o->ring->cipher, key->bytes, nonce, NULL) == 1);
    o->key = key;
    must(EVP_DecryptUpdate(c, NULL, &written, (const unsigned char *)o->aad.p, (int)o->aad.n) == 1);
    must(!count || EVP_DecryptUpdate(c, clear, &written, body, (int)count) == 1);
    must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, body + count) == 1);
    return EVP_DecryptFinal_ex(c, clear + count, &written) == 1;
}

// Key id and box of a text or of its packed form; the box goes to `out`. False: it is neither.
static bool take_apart(struct str sealed, struct str *ret_id, struct buf *out)
{
    struct str rest = str_slice(sealed, SEALED_PREFIX.n, sealed.n);
    bool packed = sealed.n && (unsigned char)sealed.p[0] <= KEY_ID_BYTES;
    if (packed) {
        size_t end = 1 + (size_t)sealed.p[0];
        *ret_id = sealed.n < end ? STR_NONE : str_slice(sealed, 1, end);
        buf_add_str(out, str_slice(sealed, end, sealed.n));
    } else if (!seal_is_sealed(sealed) || !str_split(&rest, ':', ret_id) || rest.n > 2 * SECRET_MAX_BYTES) {
        return false;
    } else if (decode_base64(out, rest)) {
        buf_clear(out); // it shows below that it is damaged
    }
    return key_id_is_good(*ret_id);
}

bool seal_pack(struct str sealed, struct buf *out)
{
    struct buf box cleanup(buf_done) = BUF_INIT;
    struct str id;
    if (!seal_is_sealed(sealed) || !take_apart(sealed, &id, &box) || !box.n)
        return false;
    buf_add_char(out, (char)id.n);
    buf_add_str(out, id);
    buf_add_str(out, buf_str(&box));
    return true;
}

void seal_unpack(struct str packed, struct buf *out)
{
    struct buf box cleanup(buf_done) = BUF_INIT;
    struct str id;
    if (take_apart(packed, &id, &box))
        add_sealed(out, id, box.p, box.n);
}

static int open_box(struct seal_opener *o, const struct ring_key *key, const struct seal_context *context,
                    struct buf *out, struct error *err)
{
    size_t count = o->box.n - NONCE_BYTES - TAG_BYTES;
    buf_clear(&o->aad);
    add_context(&o->aad, context);
    buf_clear(&o->clear);
    buf_add(&o->clear, o->box.p, count); // room for as many
    bool genuine = decrypt(o, key, (unsigned char *)o->clear.p);
    if (genuine)
        buf_add(out, o->clear.p, count);
    mem_wipe(o->clear.p, count);
    return genuine ? 0
                   : error_set(err, -EBADMSG, "a sealed secret is damaged, or was sealed for something else");
}

struct seal_opener *seal_opener_new(const struct key_ring *ring)
{
    struct seal_opener *o = mem_alloc(sizeof(*o));
    *o = (struct seal_opener){
        .ring = ring, .context = EVP_CIPHER_CTX_new(), .box = BUF_INIT, .aad = BUF_INIT, .clear = BUF_INIT};
    must(o->context != NULL);
    return o;
}

void seal_opener_free(struct seal_opener *o)
{
    if (!o)
        return;
    EVP_CIPHER_CTX_free(o->context); // wipes the key's schedule
    buf_done(&o->box);
    buf_done(&o->aad);
    buf_done(&o->clear);
    free(o);
}

int seal_opener_open(struct seal_opener *o, const struct seal_context *context, struct str sealed,
                     struct buf *out, struct error *err)
{
    struct str id;
    buf_clear(&o->box);
    if (!take_apart(sealed, &id, &o->box))
        return error_set(err, -EBADMSG, "a secret is not in sealed form");
    const struct ring_key *key = key_ring_find(o->ring, id);
    if (!key)
        return key_ring_say_missing(id, err);
    if (o->box.n < NONCE_BYTES + TAG_BYTES)
        return error_set(err, -EBADMSG, "a sealed secret is damaged");
    return open_box(o, key, context, out, err);
}

int seal_open(const struct key_ring *ring, const struct seal_context *context, struct str sealed,
              struct buf *out, struct error *err)
{
    struct seal_opener *o = seal_opener_new(ring);
    int rc = seal_opener_open(o, context, sealed, out, err);
    seal_opener_free(o);
    return rc;
}
