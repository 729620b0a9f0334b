// See key_ring.h. The sentences about a file name its line and never what stands in it.
#include "common/registration/key_ring_private.h"

#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/base/present.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX_BYTES 65536

bool key_id_is_good(struct str id)
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

const struct ring_key *key_ring_find(const struct key_ring *ring, struct str id)
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

static int add_line(struct key_ring *ring, struct str line, unsigned number, struct error *err)
{
    size_t end = 0;
    while (end < line.n && line.p[end] != ' ' && line.p[end] != '\t')
        end++;
    struct str id = str_slice(line, 0, end), hex = str_trim(str_slice(line, end, line.n));
    struct ring_key *key = &ring->keys[ring->count];
    if (!key_id_is_good(id))
        return error_set(err, -EINVAL, "line %u: a key id is 1 to %d of A-Z a-z 0-9 _ -", number,
                         KEY_ID_BYTES);
    if (key_ring_find(ring, id))
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
    atomic_init(&ring->refs, 1);
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
    if (!ring || atomic_fetch_sub(&ring->refs, 1) != 1)
        return;
    EVP_CIPHER_free(ring->cipher);
    mem_wipe(ring, sizeof(*ring));
    free(ring);
}

int key_ring_load_again(const char *path, const struct key_ring *present, struct key_ring **ret,
                        struct error *err)
{
    struct key_ring *next;
    int rc = key_ring_load(path, &next, err);
    if (rc)
        return rc;
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): 0 is said of a ring alone
    for (size_t i = 0; !rc && i < next->count; i++) {
        const struct ring_key *key = key_ring_find(present, str_of(next->keys[i].id));
        if (key && CRYPTO_memcmp(key->bytes, next->keys[i].bytes, KEY_BYTES) != 0)
            rc = error_set(err, -EINVAL, "%s: key %s is another one than before; give it another id", path,
                           key->id);
    }
    if (rc)
        key_ring_free(next);
    else
        *ret = next;
    return rc;
}

struct key_ring *key_ring_ref(struct key_ring *ring)
{
    if (ring)
        (void)atomic_fetch_add(&ring->refs, 1);
    return ring;
}

const char *key_ring_first(const struct key_ring *ring)
{
    return ring->keys[0].id;
}

void key_ring_names(const struct key_ring *ring, struct buf *out)
{
    for (size_t i = 0; i < ring->count; i++)
        buf_addf(out, "%s%s", i ? ", " : "", ring->keys[i].id);
}

int key_ring_say_missing(struct str id, struct error *err)
{
    return error_set(err, -ENOKEY, "key %.*s missing", (int)id.n, id.p);
}

bool key_ring_tells_missing(struct str sentence)
{
    struct str begin = STR_LIT("key "), end = STR_LIT(" missing");
    return sentence.n > begin.n + end.n && str_starts(sentence, begin) &&
           str_eq(str_slice(sentence, sentence.n - end.n, sentence.n), end);
}

int key_ring_turn(const struct key_ring *ring, struct str first, struct key_ring **ret, struct error *err)
{
    const struct ring_key *key = key_ring_find(ring, first);
    if (!key)
        return key_ring_say_missing(first, err);
    struct key_ring *turned = mem_alloc(sizeof(*turned));
    atomic_init(&turned->refs, 1);
    turned->cipher = ring->cipher;
    must(EVP_CIPHER_up_ref(turned->cipher) == 1);
    turned->keys[turned->count++] = *key;
    for (size_t i = 0; i < ring->count; i++)
        if (&ring->keys[i] != key)
            turned->keys[turned->count++] = ring->keys[i];
    *ret = turned;
    return 0;
}

// ---- the present ring

struct key_ring_box {
    struct present ring;
};

struct key_ring_box *key_ring_box_new(struct key_ring *take_first)
{
    struct key_ring_box *box = mem_alloc(sizeof(*box));
    present_init(&box->ring, take_first);
    return box;
}

void key_ring_box_free(struct key_ring_box *box)
{
    if (!box)
        return;
    key_ring_free(present_done(&box->ring));
    free(box);
}

static void ref(void *ring)
{
    (void)key_ring_ref(ring);
}

struct key_ring *key_ring_box_get(struct key_ring_box *box)
{
    return present_get(&box->ring, ref);
}

void key_ring_box_swap(struct key_ring_box *box, struct key_ring *take_next)
{
    key_ring_free(present_swap(&box->ring, take_next));
}
