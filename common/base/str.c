// See str.h.
#include "common/base/str.h"

#include "common/base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

struct str str_of_bytes(const void *bytes, size_t count)
{
    return (struct str){.p = bytes, .n = count};
}

char *str_dup(struct str s)
{
    return mem_dup_bytes(s.p, s.n);
}

bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_ieq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

bool str_starts(struct str s, struct str prefix)
{
    return str_eq(str_slice(s, 0, prefix.n), prefix);
}

bool str_istarts(struct str s, struct str prefix)
{
    return str_ieq(str_slice(s, 0, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && str_eq(str_slice(s, s.n - suffix.n, s.n), suffix);
}

int str_cmp(struct str a, struct str b)
{
    size_t shared = a.n < b.n ? a.n : b.n;
    int order = shared ? memcmp(a.p, b.p, shared) : 0;
    if (order)
        return order;
    return (a.n > b.n) - (a.n < b.n);
}

bool str_has_char(struct str s, char c)
{
    return str_find(s, c, 0) < s.n;
}

size_t str_find(struct str s, char c, size_t from)
{
    if (from >= s.n)
        return s.n;
    const char *hit = memchr(s.p + from, c, s.n - from);
    return hit ? (size_t)(hit - s.p) : s.n;
}

size_t str_find_str(struct str s, struct str needle)
{
    if (needle.n == 0)
        return 0;
    const char *hit = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return hit ? (size_t)(hit - s.p) : s.n;
}

struct str str_slice(struct str s, size_t from, size_t to)
{
    if (to > s.n)
        to = s.n;
    if (from > to)
        from = to;
    return (struct str){.p = s.p ? s.p + from : NULL, .n = to - from};
}

struct str str_trim(struct str s)
{
    while (s.n && isspace((unsigned char)s.p[0]))
        s = str_slice(s, 1, s.n);
    while (s.n && isspace((unsigned char)s.p[s.n - 1]))
        s.n--;
    return s;
}

bool str_split(struct str *rest, char sep, struct str *ret_piece)
{
    if (!rest->p)
        return false;
    size_t end = str_find(*rest, sep, 0);
    if (end == rest->n) {
        bool any = rest->n > 0;
        *ret_piece = *rest;
        *rest = STR_NONE;
        return any;
    }
    *ret_piece = str_slice(*rest, 0, end);
    *rest = str_slice(*rest, end + 1, rest->n);
    return true;
}

int str_to_u64(struct str s, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (s.n == 0)
        return -EINVAL;
    for (size_t i = 0; i < s.n; i++) {
        // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): with a length there are bytes
        if (s.p[i] < '0' || s.p[i] > '9')
            return -EINVAL;
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value))
            return -ERANGE;
    }
    *ret_value = value;
    return 0;
}

int str_to_i64(struct str s, int64_t *ret_value)
{
    bool negative = s.n && s.p[0] == '-';
    uint64_t magnitude;
    int rc = str_to_u64(negative ? str_slice(s, 1, s.n) : s, &magnitude);
    if (rc)
        return rc;
    if (magnitude > (uint64_t)INT64_MAX)
        return -ERANGE;
    *ret_value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return 0;
}
