// What Redis holds of registrations beside their hashes, as sorted lines, and how it differs from what a test
// expects.
#ifndef ROLLCALL_TESTS_STORE_LINES_H
#define ROLLCALL_TESTS_STORE_LINES_H

#include "common/base/encode.h"
#include "tests/unit/store_fixture.h"

// "<hex of key> <hex of member>[ value]"; of a registration's hash its terms alone, or "-".
static const char dump_script[] =
    "local function hex(s) return (string.gsub(s, '.', function(c) return string.format('%02x', "
    "string.byte(c)) end)) end "
    "local out = {} "
    "for _, pattern in ipairs({'rc:{s*}:acct:*', 'rc:{s*}:at:*', 'rc:{s*}:reg:*'}) do "
    "for _, key in ipairs(redis.call('KEYS', pattern)) do "
    "local kind = redis.call('TYPE', key).ok "
    "if string.find(key, ':reg:') then "
    "out[#out + 1] = hex(key) .. ' ' .. hex(redis.call('HGET', key, 'terms') or '-') "
    "elseif kind == 'hash' then local h = redis.call('HGETALL', key) "
    "for i = 1, #h, 2 do out[#out + 1] = hex(key) .. ' ' .. hex(h[i]) .. ' ' .. h[i + 1] end "
    "elseif kind == 'zset' then local z = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') "
    "for i = 1, #z, 2 do out[#out + 1] = hex(key) .. ' ' .. hex(z[i]) .. ' ' .. z[i + 1] end "
    "else for _, member in ipairs(redis.call('SMEMBERS', key)) do "
    "out[#out + 1] = hex(key) .. ' ' .. hex(member) end end end end "
    "table.sort(out) return table.concat(out, '\\n')";

enum { LINES_MAX = 32000 };

struct lines {
    char *items[LINES_MAX];
    size_t count;
};

static inline void add_hex(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        buf_addf(out, "%02x", (unsigned char)text.p[i]);
}

// Ends the key; value may be empty.
static inline void add_line(struct lines *l, struct buf *take_key, struct str member, const char *value)
{
    struct buf line = BUF_INIT;
    add_hex(&line, buf_str(take_key));
    buf_add_char(&line, ' ');
    add_hex(&line, member);
    if (*value) {
        buf_add_char(&line, ' ');
        buf_add_cstr(&line, value);
    }
    buf_done(take_key);
    assert_true(l->count < ARRAY_LEN(l->items));
    l->items[l->count++] = buf_steal(&line);
}

static inline int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline void print_line(const char *who, struct str line)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    size_t at = 0;
    for (int part = 0; part < 2 && at < line.n; part++, at++) {
        for (; at + 1 < line.n && line.p[at] != ' '; at += 2)
            buf_add_char(&text, (char)(decode_hex_digit(line.p[at]) * 16 + decode_hex_digit(line.p[at + 1])));
        buf_add_char(&text, ' ');
    }
    buf_add_str(&text, str_slice(line, at < line.n ? at : line.n, line.n));
    print_message("only %s: " STR_FMT "\n", who, STR_ARG(buf_str(&text)));
}

static inline void print_difference(struct str expected, struct str held)
{
    struct str a = STR_NONE, b = STR_NONE;
    bool more_a = str_split(&expected, '\n', &a), more_b = str_split(&held, '\n', &b);
    while (more_a || more_b) {
        char *x cleanup(mem_free_cstr) = str_dup(a), *y cleanup(mem_free_cstr) = str_dup(b);
        int order = !more_a ? 1 : !more_b ? -1 : strcmp(x, y);
        if (order < 0)
            print_line("expected", a);
        if (order > 0)
            print_line("in Redis", b);
        if (order <= 0)
            more_a = str_split(&expected, '\n', &a);
        if (order >= 0)
            more_b = str_split(&held, '\n', &b);
    }
}

// Sorts and frees them.
static inline void lines_join(struct lines *l, struct buf *out)
{
    qsort(l->items, l->count, sizeof(l->items[0]), by_text);
    for (size_t i = 0; i < l->count; i++) {
        buf_addf(out, "%s%s", i ? "\n" : "", l->items[i]);
        free(l->items[i]);
    }
    l->count = 0;
}

// Whether Redis holds those lines and no others; prints where it does not. Frees the lines.
static inline bool lines_are_held(struct fixture *f, struct lines *l)
{
    struct buf expected cleanup(buf_done) = BUF_INIT;
    lines_join(l, &expected);
    const struct str argv[] = {STR_LIT("EVAL"), str_of(dump_script), STR_LIT("0")};
    f->raw_answers = 0;
    redis_command(f->raw, fixture_on_raw, f, ARRAY_LEN(argv), argv);
    assert_true(peer_run_until(f->base, fixture_is_raw_answered, f, SOON_MS));
    if (str_eq(buf_str(&expected), buf_str(&f->raw_text)))
        return true;
    print_difference(buf_str(&expected), buf_str(&f->raw_text));
    return false;
}

#endif
