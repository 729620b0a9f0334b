// How a loaded set lies in memory: for principals.c, what reads the file, and the tokens. No dialect includes
// it.
#ifndef ROLLCALL_GATEWAY_AUTH_PRINCIPALS_INTERNAL_H
#define ROLLCALL_GATEWAY_AUTH_PRINCIPALS_INTERNAL_H

#include "services/gateway/auth/lookup.h"
#include "services/gateway/auth/members.h"
#include "services/gateway/auth/principals.h"

#include <openssl/evp.h>
#include <stdatomic.h>

#define SHA256_BYTES        32
#define API_KEY_TABLE_BYTES 8 // of the digest: two keys that share them are refused

struct account_record {
    struct account view;               // its texts lie in the file's tree
    char *folded_title, *folded_realm; // ASCII lower case: what the tables hold
    char hex_id[33];
    struct account_record *parent;
    bool stands_in_file, title_given, reaches_a_root;
};

struct user_record {
    struct principal view;
    const char **allowed_ips; // the view's
};

// Holds a public key or the digest of an API key, never both.
struct key_record {
    struct principal view;
    EVP_PKEY *public_key; // NULL: an API key
    unsigned char api_key_digest[SHA256_BYTES];
};

struct principals {
    atomic_uint refs;
    struct json *root; // all texts and the accounts' settings lie in it
    size_t account_count, user_count, key_count;
    struct account_record **accounts; // those of the file first, in its order
    struct user_record **users;
    struct key_record **keys;
    struct lookup *by_name, *by_number, *by_hex_id, *by_title, *by_realm, *by_phone;
    struct lookup *users_by_username, *users_by_id;
    struct lookup *keys_by_id, *keys_by_digest;
};

// Fills a zeroed set from the tree that it already holds: 0, or -EINVAL with the member's path.
must_use int principals_read(struct principals *p, struct error *err);

// The steps of it. The arrays have room for all that the file can name.
must_use int principals_read_accounts(struct principals *p, const struct json *list, struct error *err);
must_use int principals_read_users(struct principals *p, const struct json *list, struct error *err);
must_use int principals_read_keys(struct principals *p, const struct json *list, struct error *err);
must_use int principals_read_parents(struct principals *p, const struct json *list, struct error *err);
// The account that "account" names; where none has that name it exists from now on.
must_use int principals_named_account(struct principals *p, const struct members *m,
                                      const struct account **ret, struct error *err);

// The key of that id with its public half; NULL where there is none or it is an API key.
const struct key_record *principals_public_key(const struct principals *p, struct str id);

char *fold_dup(struct str text); // ASCII lower case; caller frees
void digest_sha256(struct str text, unsigned char ret[SHA256_BYTES]);

#endif
