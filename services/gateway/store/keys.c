// See keys.h. Must agree with proto/redis-keys.md and with what the scripts put together themselves.
#include "services/gateway/store/keys.h"

#include "common/base/encode.h"
#include "common/base/hash.h"
#include "services/gateway/store/store.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned store_shard(struct str account)
{
    return hash_crc16(account) % STORE_SHARDS;
}

void key_shard(struct buf *out, unsigned shard, const char *rest)
{
    buf_add_cstr(out, "rc:{s");
    buf_add_u64(out, shard);
    buf_add_cstr(out, "}:");
    buf_add_cstr(out, rest);
}

void key_registration(struct buf *out, unsigned shard, uint64_t id)
{
    key_shard(out, shard, "reg:");
    buf_add_u64(out, id);
}

void key_account(struct buf *out, struct str account, const char *rest)
{
    key_shard(out, store_shard(account), "acct:");
    buf_add_str(out, account);
    buf_add_char(out, ':');
    buf_add_cstr(out, rest);
}

void key_at(struct buf *out, unsigned shard, const char *place, unsigned bucket)
{
    key_shard(out, shard, "at:");
    buf_add_cstr(out, place);
    buf_add_char(out, ':');
    buf_add_u64(out, bucket);
}

void key_global(struct buf *out, const char *rest)
{
    buf_add_cstr(out, "rc:{g}:");
    buf_add_cstr(out, rest);
}

unsigned key_bucket(uint64_t id)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)id);
    return hash_partition(str_of_bytes(text, (size_t)n), STORE_BUCKETS);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_part(struct buf *out, const char *text)
{
    buf_add_cstr(out, text ? text : "");
    buf_add_char(out, '\0');
}

static void add_contacts(struct buf *out, const struct registration *r)
{
    char *uris[REGISTRATION_MAX_CONTACTS];
    for (size_t i = 0; i < r->contact_count; i++)
        uris[i] = r->contacts[i].uri;
    qsort(uris, r->contact_count, sizeof uris[0], by_text);
    for (size_t i = 0; i < r->contact_count; i++)
        add_part(out, uris[i]);
}

static void add_target(struct buf *out, const struct registration *r)
{
    char place[REGISTRATION_PLACE_BYTES] = "";
    bool local = r->aor && strstr(r->aor, "{local}");
    for (size_t i = 0; i < r->contact_count; i++)
        local = local || strstr(r->contacts[i].uri, "{local}");
    if (local)
        registration_place(r, place);
    add_part(out, place); // the same text is another Contact, or another AoR, at another place
    add_part(out, registration_scheme_name(r->scheme));
    add_part(out, r->domain);
    add_part(out, r->registrar);
    for (size_t i = 0; i < r->route_count; i++)
        add_part(out, r->route_set[i]);
}

void key_binding_digest(const struct registration *r, char ret[STORE_DIGEST_BYTES])
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    registration_aor(&text, r);
    buf_add_char(&text, '\0');
    add_contacts(&text, r);
    buf_add_char(&text, '\1'); // ends the contacts, however many
    add_target(&text, r);

    unsigned char hash[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)text.p, text.n, hash);
    struct buf hex cleanup(buf_done) = BUF_INIT;
    encode_hex(&hex, hash, (STORE_DIGEST_BYTES - 1) / 2);
    memcpy(ret, hex.p, STORE_DIGEST_BYTES);
}
