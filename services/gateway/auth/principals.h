// Who may use the API: one JSON file of users, accounts and password hashes for all dialects
// (ROLLCALL_PRINCIPALS_FILE). A loaded set is immutable; a reload makes a new one and swaps it in.
#ifndef ROLLCALL_GATEWAY_AUTH_PRINCIPALS_H
#define ROLLCALL_GATEWAY_AUTH_PRINCIPALS_H

#include "common/base/error.h"
#include "common/base/str.h"

#include <stdint.h>

struct principals;

struct principal {
    uint64_t id; // stable number: the subject of Yeti tokens
    const char *username;
    const char *password_hash; // crypt(3)
    const char *account;
    const char *const *allowed_ips; // CIDR or address, NULL-terminated; empty: any
};

// A bad file is refused whole: -EINVAL with what is wrong and where.
must_use int principals_load(const char *path, struct principals **ret, struct error *err);
void principals_unref(struct principals *p); // NULL is allowed

const struct principal *principals_by_username(const struct principals *p, struct str username); // NULL: none
const struct principal *principals_by_id(const struct principals *p, uint64_t id);
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
