// Reading the members of one object of the principals file. Each error is -EINVAL and begins with the path of
// the member, such as users[3].roles[0].
#ifndef ROLLCALL_GATEWAY_AUTH_MEMBERS_H
#define ROLLCALL_GATEWAY_AUTH_MEMBERS_H

#include "common/base/error.h"
#include "common/json/json.h"

enum { MEMBER_TEXT_BYTES = 255 };

struct members {
    const struct json *object;
    char where[32]; // "users[3]"; empty: the root
};

// `list` NULL: the root itself. An element that is no object is refused, and a member that is not among
// `known` (NULL-terminated) is refused by name: a misspelt one must not silently mean its default.
must_use int members_open(struct members *ret, const struct json *object, const char *list, size_t index,
                          const char *const *known, struct error *err);

// A text of 1 to 255 bytes without control characters, borrowed from the tree. Absent: *ret stays NULL, and
// is an error where needed.
must_use int members_read_text(const struct members *m, const char *key, bool needed, const char **ret,
                               struct error *err);
// A crypt(3) hash that this machine can check.
must_use int members_hash(const struct members *m, const char *key, bool needed, const char **ret,
                          struct error *err);
// 1 to 2^53 - 1, which every JSON reader takes. Absent: 0, and an error where needed.
must_use int members_number(const struct members *m, const char *key, bool needed, uint64_t *ret,
                            struct error *err);
must_use int members_read_flag(const struct members *m, const char *key, bool *ret, struct error *err);
// Bits of enum role; absent: the owner's.
must_use int members_roles(const struct members *m, const char *key, unsigned *ret, struct error *err);
// A NULL-terminated list of texts, the list owned and the texts borrowed; absent: empty.
must_use int members_networks(const struct members *m, const char *key, const char ***ret, struct error *err);

// The member's path and what is wrong with it, as the others say it.
int members_refuse(const struct members *m, const char *key, struct error *err, const char *what);

#endif
