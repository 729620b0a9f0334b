// Borrowed text: a pointer and a length, not owned and not NUL-terminated. Whoever hands one out says until
// when it lives. Parsing helpers here never read past the end and never allocate unless the name says `dup`.
#ifndef ROLLCALL_BASE_STR_H
#define ROLLCALL_BASE_STR_H

#include "common/base/base.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p; // may be NULL only when n is 0
    size_t n;
};

#define STR_LIT(text) ((struct str){.p = (text), .n = sizeof(text) - 1})
#define STR_NONE      ((struct str){.p = NULL, .n = 0})
#define STR_FMT       "%.*s" // with STR_ARG, for printf
#define STR_ARG(s)    (int)(s).n, ((s).p ? (s).p : "")

struct str str_of_bytes(const void *bytes, size_t count);
char *str_dup(struct str s); // caller frees

bool str_eq(struct str a, struct str b);
bool str_ieq(struct str a, struct str b); // ASCII case folded
// With a literal: its length is known when this is compiled, and most comparisons end with that.
static inline struct str str_of(const char *text) // NULL gives the empty string
{
    return (struct str){.p = text, .n = text ? strlen(text) : 0};
}
static inline bool str_eq_cstr(struct str a, const char *b)
{
    struct str other = str_of(b);
    return a.n == other.n && str_eq(a, other);
}
static inline bool str_ieq_cstr(struct str a, const char *b)
{
    struct str other = str_of(b);
    return a.n == other.n && str_ieq(a, other);
}
bool str_starts(struct str s, struct str prefix);
bool str_istarts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
int str_cmp(struct str a, struct str b); // like memcmp, shorter first
bool str_has_char(struct str s, char c);

// Index of the first c at or after `from`, or s.n when there is none.
size_t str_find(struct str s, char c, size_t from);
size_t str_find_str(struct str s, struct str needle); // index, or s.n

struct str str_slice(struct str s, size_t from, size_t to); // both clamped
struct str str_trim(struct str s);                          // ASCII white space off both ends

// Cuts the next piece before `sep` off *rest; false when *rest is spent. "a,,b" gives "a", "", "b"; "" gives
// nothing.
bool str_split(struct str *rest, char sep, struct str *ret_piece);

// Whole text is a decimal number with optional '-': 0, or -EINVAL, or -ERANGE.
must_use int str_to_i64(struct str s, int64_t *ret_value);
must_use int str_to_u64(struct str s, uint64_t *ret_value);

#endif
