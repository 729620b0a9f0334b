// Who may use the API: one JSON file of accounts, users, keys and roles for all dialects
// (ROLLCALL_PRINCIPALS_FILE). A loaded set is immutable; a reload makes a new one and swaps it in.
#ifndef ROLLCALL_GATEWAY_AUTH_PRINCIPALS_H
#define ROLLCALL_GATEWAY_AUTH_PRINCIPALS_H

#include "common/base/error.h"
#include "common/base/str.h"
#include "common/json/json.h"

#include <stdint.h>

struct principals;

// An account that only a user or a key names exists too, with nothing but its name and what follows from it.
struct account {
    const char *name;             // what registrations are kept under
    const char *title;            // shown to people; the name where none is given
    uint64_t number;              // Voximplant's account_id; 0: none
    const char *hex_id;           // Kazoo's: 32 hex digits, given or the first of SHA-256 over the name
    const char *realm;            // Kazoo's account_realm; NULL
    const char *phone_number;     // NULL
    const struct account *parent; // NULL
    bool is_system;               // Kazoo's superduper admin: sees all accounts
    const struct json *settings;  // the account's object in the file: a dialect reads its own member of it
};
// Whether `a` is `ancestor` or below it.
bool account_is_within(const struct account *a, const struct account *ancestor);

// The names of Voximplant's roles, which are the finest of the four dialects.
enum role {
    ROLE_OWNER,
    ROLE_ADMIN,
    ROLE_DEVELOPER,
    ROLE_SUPERVISOR,
    ROLE_ACCOUNTANT,
    ROLE_SUPPORT,
    ROLE_COUNT
};
#define ROLE_BIT(role) (1u << (role))
enum role role_of(struct str name); // ROLE_COUNT: none has that name

// What a role may do in the dialects that have no table of their own: everybody reads; owner, admin and
// developer write registrations; owner and admin write the deployment's objects (pops, nodes).
enum permission { MAY_READ, MAY_WRITE, MAY_DEPLOY };

// A user, or a key of an account.
struct principal {
    uint64_t id;          // users: stable number, the subject of Yeti's tokens; keys: 0
    const char *username; // keys: the key's id
    const struct account *account;
    unsigned roles;                 // bits; a file that gives none means owner
    const char *password_hash;      // users: crypt(3); keys: NULL
    const char *credentials_md5;    // users: crypt(3) over hex md5("user:password") (Kazoo); NULL
    const char *credentials_sha;    // the same of sha1; NULL
    const char *const *allowed_ips; // CIDR or address, NULL-terminated; empty: any
};
bool principal_may(const struct principal *p, enum permission what);

// A bad file is refused whole: -EINVAL with what is wrong and where (line of the file, and the
// path of the member where it is JSON).
must_use int principals_load(const char *path, struct principals **ret, struct error *err);
void principals_unref(struct principals *p); // NULL is allowed

const struct principal *principals_by_username(const struct principals *p, struct str username); // NULL: none
const struct principal *principals_by_id(const struct principals *p, uint64_t id);
// The key that an API key's text belongs to (the file holds its SHA-256); takes as long for a wrong one.
const struct principal *principals_by_api_key(const struct principals *p, struct str api_key);
// The API key of that id, as a session token names it; NULL: none, or a public key.
const struct principal *principals_api_key(const struct principals *p, struct str id);
size_t principals_user_count(const struct principals *p);
const struct principal *principals_user_at(const struct principals *p, size_t index);

const struct account *principals_account(const struct principals *p, struct str name); // NULL: none
const struct account *principals_account_by_number(const struct principals *p, uint64_t number);
const struct account *principals_account_by_hex_id(const struct principals *p, struct str hex_id);
const struct account *principals_account_by_title(const struct principals *p, struct str title);
const struct account *principals_account_by_realm(const struct principals *p, struct str realm);
const struct account *principals_account_by_phone(const struct principals *p, struct str phone_number);
size_t principals_account_count(const struct principals *p);
const struct account *principals_account_at(const struct principals *p, size_t index);

// A hash to check the password of an unknown user against, so that it takes as long as that of a known one.
// Whether it matches means nothing.
const char *principals_decoy_hash(const struct principals *p);
bool principal_allows_ip(const struct principal *p, struct str address);

// Where all threads find the present set.
struct principals_box;
struct principals_box *principals_box_new(struct principals *take_first);
void principals_box_free(struct principals_box *box);
struct principals *principals_box_get(struct principals_box *box); // a reference; any thread
void principals_box_swap(struct principals_box *box, struct principals *take_next);

#endif
