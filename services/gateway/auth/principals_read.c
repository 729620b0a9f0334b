// From the file's tree to a set: first the accounts, then users and keys, then who is below whom.
#include "common/base/encode.h"
#include "common/base/mem.h"
#include "services/gateway/auth/principals_internal.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <string.h>

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, KEY_ID_BYTES = 64 };

static const char *const no_networks[] = {NULL};

// ---- users

static int read_user(struct principals *p, const struct members *m, struct user_record *u, struct error *err)
{
    int rc = members_number(m, "id", true, &u->view.id, err);
    if (!rc)
        rc = members_read_text(m, "username", true, &u->view.username, err);
    if (!rc)
        rc = members_hash(m, "password", true, &u->view.password_hash, err);
    if (!rc)
        rc = members_hash(m, "credentials_md5", false, &u->view.credentials_md5, err);
    if (!rc)
        rc = members_hash(m, "credentials_sha", false, &u->view.credentials_sha, err);
    if (!rc)
        rc = members_roles(m, "roles", &u->view.roles, err);
    if (!rc)
        rc = members_networks(m, "allowed_ips", &u->allowed_ips, err);
    if (!rc)
        rc = principals_named_account(p, m, &u->view.account, err);
    u->view.allowed_ips = u->allowed_ips;
    return rc;
}

int principals_read_users(struct principals *p, const struct json *list, struct error *err)
{
    static const char *const known[] = {"id",    "username",    "password",        "account",
                                        "roles", "allowed_ips", "credentials_md5", "credentials_sha",
                                        NULL};
    for (size_t i = 0; i < json_count(list); i++) {
        struct members m;
        struct user_record *u = p->users[p->user_count++] = mem_alloc(sizeof(*u));
        int rc = members_open(&m, json_at(list, i), "users", i, known, err);
        if (!rc)
            rc = read_user(p, &m, u, err);
        if (rc)
            return rc;
        if (!lookup_add(&p->users_by_id, &u->view.id, sizeof(u->view.id), u))
            return members_refuse(&m, "id", err, "stands twice");
        if (!lookup_add_text(&p->users_by_username, u->view.username, u))
            return members_refuse(&m, "username", err, "stands twice");
    }
    return 0;
}

// ---- keys

static void bio_free(BIO **bio)
{
    BIO_free(*bio);
}

// Parsed here, once, because a PEM costs more to parse than a signature to check.
static int read_public_key(const struct members *m, struct key_record *k, struct error *err)
{
    struct str pem = json_str(json_get(m->object, "public_key"));
    BIO *bio cleanup(bio_free) = pem.n && pem.n < INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    k->public_key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    if (!k->public_key)
        return members_refuse(m, "public_key", err, "takes a public key in PEM (BEGIN PUBLIC KEY)");
    int bits = EVP_PKEY_get_bits(k->public_key);
    if (!EVP_PKEY_is_a(k->public_key, "RSA") || bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
        return members_refuse(m, "public_key", err, "takes an RSA key of 2048 to 8192 bits");
    return 0;
}

static int read_digest(const struct members *m, struct key_record *k, struct error *err)
{
    struct str hex = json_str(json_get(m->object, "api_key_sha256"));
    bool good = hex.n == 2 * sizeof(k->api_key_digest);
    for (size_t i = 0; good && i < sizeof(k->api_key_digest); i++) {
        int high = decode_hex_digit(hex.p[2 * i]), low = decode_hex_digit(hex.p[2 * i + 1]);
        good = high >= 0 && low >= 0;
        k->api_key_digest[i] = good ? (unsigned char)(high << 4 | low) : 0;
    }
    return good ? 0 : members_refuse(m, "api_key_sha256", err, "takes 64 hexadecimal digits");
}

static int read_key(struct principals *p, const struct members *m, struct key_record *k, struct error *err)
{
    bool is_public = json_get(m->object, "public_key"), is_api = json_get(m->object, "api_key_sha256");
    int rc = members_read_text(m, "id", true, &k->view.username, err);
    if (!rc && strlen(k->view.username) > KEY_ID_BYTES)
        rc = members_refuse(m, "id", err, "takes at most 64 bytes");
    if (!rc && is_public == is_api)
        rc = members_refuse(m, "public_key", err, "or api_key_sha256 must be given, and not both");
    if (!rc)
        rc = is_public ? read_public_key(m, k, err) : read_digest(m, k, err);
    if (!rc)
        rc = members_roles(m, "roles", &k->view.roles, err);
    if (!rc)
        rc = principals_named_account(p, m, &k->view.account, err);
    k->view.allowed_ips = no_networks;
    return rc;
}

static int index_key(struct principals *p, const struct members *m, struct key_record *k, struct error *err)
{
    if (!lookup_add_text(&p->keys_by_id, k->view.username, k))
        return members_refuse(m, "id", err, "stands twice");
    if (lookup_text(p->users_by_username, str_of(k->view.username)))
        return members_refuse(m, "id", err, "is a username too");
    if (!k->public_key && !lookup_add(&p->keys_by_digest, k->api_key_digest, API_KEY_TABLE_BYTES, k))
        return members_refuse(m, "api_key_sha256", err, "stands twice");
    return 0;
}

int principals_read_keys(struct principals *p, const struct json *list, struct error *err)
{
    static const char *const known[] = {"id", "account", "roles", "public_key", "api_key_sha256", NULL};
    for (size_t i = 0; i < json_count(list); i++) {
        struct members m;
        struct key_record *k = p->keys[p->key_count++] = mem_alloc(sizeof(*k));
        int rc = members_open(&m, json_at(list, i), "keys", i, known, err);
        if (!rc)
            rc = read_key(p, &m, k, err);
        if (!rc)
            rc = index_key(p, &m, k, err);
        if (rc)
            return rc;
    }
    return 0;
}

// ---- the whole

static int list_of(const struct members *root, const char *key, const struct json **ret, struct error *err)
{
    *ret = json_get(root->object, key);
    return *ret && !json_is(*ret, JSON_ARRAY) ? members_refuse(root, key, err, "takes an array") : 0;
}

int principals_read(struct principals *p, struct error *err)
{
    static const char *const known[] = {"accounts", "users", "keys", NULL};
    const struct json *accounts, *users, *keys;
    struct members root;
    int rc = members_open(&root, p->root, NULL, 0, known, err);
    if (rc || (rc = list_of(&root, "accounts", &accounts, err)) ||
        (rc = list_of(&root, "users", &users, err)) || (rc = list_of(&root, "keys", &keys, err)))
        return rc;
    size_t named_most = json_count(accounts) + json_count(users) + json_count(keys);
    if (!named_most)
        return error_set(err, -EINVAL, "accounts, users and keys are all empty");
    p->accounts = mem_array(named_most, sizeof(struct account_record *));
    p->users = mem_array(json_count(users) + 1, sizeof(struct user_record *));
    p->keys = mem_array(json_count(keys) + 1, sizeof(struct key_record *));
    rc = principals_read_accounts(p, accounts, err);
    if (!rc)
        rc = principals_read_users(p, users, err);
    if (!rc)
        rc = principals_read_keys(p, keys, err);
    return rc ? rc : principals_read_parents(p, accounts, err);
}
