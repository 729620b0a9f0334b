// AES-256-GCM over OpenSSL. A sealed text opens only for the account, registration, field and realm it was
// made for, so moving it elsewhere in the store gains nothing. Keeps no clear text and no key outside the
// ring.
#include "common/registration/seal.h"

#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/base/rng.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES        32
#define KEY_ID_BYTES     32
#define NONCE_BYTES      12
#define TAG_BYTES        16
#define KEYS_MAX         64
#define FILE_MAX_BYTES   65536
#define SEALED_PREFIX    STR_LIT("sealed:")
#define SECRET_MAX_BYTES (1u << 20) // far above any; keeps lengths within OpenSSL's int

struct ring_key {
    char id[KEY_ID_BYTES + 1];
    unsigned char bytes[KEY_BYTES];
};

struct key_ring {
    EVP_CIPHER *cipher; // fetched once: fetching costs more than sealing
    size_t count;
    struct ring_key keys[KEYS_MAX];
};

// ---- key ring

static bool is_key_id(struct str id)
{
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                    c == '-';
        if (!good)
            return false;
    }
    return id.n >= 1 && id.n <= KEY_ID_BYTES;
}

static const struct ring_key *find_key(const struct key_ring *ring, struct str id)
{
    for (size_t i = 0; i < ring->count; i++)
        if (str_eq_cstr(id, ring->keys[i].id))
            return &ring->keys[i];
    return NULL;
}

static bool read_key_bytes(struct str hex, unsigned char ret[KEY_BYTES])
{
    if (hex.n != 2 * KEY_BYTES)
        return false;
    for (size_t i = 0; i < KEY_BYTES; i++) {
        int high = decode_hex_digit(hex.p[2 * i]), low = decode_hex_digit(hex.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

// The sentences name the line and never what stands in it.
static int add_line(struct key_ring *ring, struct str line, unsigned number, struct error *err)
{
    size_t end = 0;
    while (end < line.n && line.p[end] != ' ' && line.p[end] != '\t')
        end++;
    struct str id = str_slice(line, 0, end), hex = str_trim(str_slice(line, end, line.n));
    struct ring_key *key = &ring->keys[ring->count];
    if (!is_key_id(id))
        return error_set(err, -EINVAL, "line %u: a key id is 1 to %d of A-Z a-z 0-9 _ -", number,
                         KEY_ID_BYTES);
    if (find_key(ring, id))
        return error_set(err, -EINVAL, "line %u: key %.*s is there already", number, (int)id.n, id.p);
    if (ring->count == KEYS_MAX)
        return error_set(err, -EINVAL, "line %u: more than %d keys", number, KEYS_MAX);
    if (!read_key_bytes(hex, key->bytes))
        return error_set(err, -EINVAL, "line %u: a key id is followed by %d hex digits", number,
                         2 * KEY_BYTES);
    memcpy(key->id, id.p, id.n);
    ring->count++;
    return 0;
}

int key_ring_parse(struct str text, struct key_ring **ret, struct error *err)
{
    struct key_ring *ring = mem_alloc(sizeof(*ring));
    unsigned number = 0;
    int rc = 0;
    for (struct str line; !rc && str_split(&text, '\n', &line);) {
        number++;
        line = str_trim(line);
        if (line.n && line.p[0] != '#')
            rc = add_line(ring, line, number, err);
    }
    if (!rc && !ring->count)
        rc = error_set(err, -EINVAL, "there is no key in the key ring");
    if (!rc && !(ring->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL)))
        rc = error_set(err, -EINVAL, "OpenSSL has no AES-256-GCM");
    if (rc) {
        key_ring_free(ring);
        return rc;
    }
    *ret = ring;
    return 0;
}

static void close_file(FILE **file)
{
    if (*file)
        (void)fclose(*file);
}

int key_ring_load(const char *path, struct key_ring **ret, struct error *err)
{
    FILE *file cleanup(close_file) = fopen(path, "re");
    if (!file)
        return error_set(err, -EINVAL, "%s: %s", path, strerror(errno));
    setvbuf(file, NULL, _IONBF, 0); // no copy of the keys in stdio's buffer
    char *text = mem_alloc(FILE_MAX_BYTES + 1);
    size_t count = fread(text, 1, FILE_MAX_BYTES + 1, file);
    int rc;
    if (ferror(file))
        rc = error_set(err, -EINVAL, "cannot be read");
    else if (count > FILE_MAX_BYTES)
        rc = error_set(err, -EINVAL, "is longer than %d bytes", FILE_MAX_BYTES);
    else
        rc = key_ring_parse(str_of_bytes(text, count), ret, err);
    mem_wipe(text, FILE_MAX_BYTES + 1);
    free(text);
    return rc ? (err ? error_prefix(err, "%s", path) : rc) : 0;
}

void key_ring_free(struct key_ring *ring)
{
    if (!ring)
        return;
    EVP_CIPHER_free(ring->cipher);
    mem_wipe(ring, sizeof(*ring));
    free(ring);
}

// ---- sealing

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

// With valid arguments these calls fail only for want of memory.
static void must(bool done)
{
    if (!done)
        abort();
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
    return is_key_id(*ret_id);
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
    const struct ring_key *key = find_key(o->ring, id);
    if (!key)
        return error_set(err, -ENOKEY, "key %.*s missing", (int)id.n, id.p);
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
