// See rules.h.
#include "services/registrant/core/rules.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_VALUE     1000000 // of any key
#define MAX_VALUE_LEN 15

enum key { RATE, IN_FLIGHT, AOR_RATE, EXPIRES_MIN, HARD, KEYS };

static const struct {
    const char *name;
    bool fraction;
    double least;
} keys[] = {
    [RATE] = {"rate", true, 0},          [IN_FLIGHT] = {"in_flight", false, 1},
    [AOR_RATE] = {"aor_rate", false, 0}, [EXPIRES_MIN] = {"expires_min", false, 0},
    [HARD] = {"hard", false, 0}, // without a value
};

struct rule {
    char *pattern;
    bool given[KEYS];
    double values[KEYS];
};

struct rules {
    size_t count;
    struct rule *items;
};

void rules_free(struct rules *rules)
{
    if (!rules)
        return;
    for (size_t i = 0; i < rules->count; i++)
        free(rules->items[i].pattern);
    free(rules->items);
    free(rules);
}

// ---- reading

static struct str take_word(struct str *rest)
{
    *rest = str_trim(*rest);
    size_t n = 0;
    while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
        n++;
    struct str word = str_slice(*rest, 0, n);
    *rest = str_slice(*rest, n, rest->n);
    return word;
}

// Digits, and a point where fractions are allowed; nothing that strtod takes beyond.
static bool read_number(struct str text, bool fraction, double *ret)
{
    char copy[MAX_VALUE_LEN + 1];
    unsigned points = 0;
    if (!text.n || text.n > MAX_VALUE_LEN || text.p[0] == '.')
        return false;
    for (size_t i = 0; i < text.n; i++) {
        points += text.p[i] == '.';
        if (text.p[i] != '.' && (text.p[i] < '0' || text.p[i] > '9'))
            return false;
    }
    if (points > fraction)
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    *ret = strtod(copy, NULL);
    return true;
}

static int key_of(struct str name)
{
    for (int i = 0; i < KEYS; i++)
        if (str_eq_cstr(name, keys[i].name))
            return i;
    return -1;
}

static int read_word(struct rule *rule, struct str word, struct error *err)
{
    size_t equals = str_find(word, '=', 0);
    struct str name = str_slice(word, 0, equals), value = str_slice(word, equals + 1, word.n);
    int key = key_of(name);
    if (key < 0)
        return error_set(err, -EINVAL, "unknown key \"" STR_FMT "\"", STR_ARG(name));
    if (rule->given[key])
        return error_set(err, -EINVAL, "%s is given twice", keys[key].name);
    rule->given[key] = true;
    if (key == HARD)
        return equals == word.n ? 0 : error_set(err, -EINVAL, "hard takes no value");
    if (equals == word.n)
        return error_set(err, -EINVAL, "%s needs a value", keys[key].name);
    double number;
    if (!read_number(value, keys[key].fraction, &number) || number < keys[key].least || number > MAX_VALUE)
        return error_set(err, -EINVAL, "%s is not %s from %g to %d: \"" STR_FMT "\"", keys[key].name,
                         keys[key].fraction ? "a number" : "a whole number", keys[key].least, MAX_VALUE,
                         STR_ARG(value));
    rule->values[key] = number;
    return 0;
}

static bool has_pattern(const struct rules *rules, struct str pattern)
{
    for (size_t i = 0; i < rules->count; i++)
        if (str_ieq_cstr(pattern, rules->items[i].pattern))
            return true;
    return false;
}

static int read_line(struct rules *rules, struct str line, struct error *err)
{
    struct str rest = str_trim(str_slice(line, 0, str_find(line, '#', 0)));
    if (!rest.n)
        return 0;
    struct str pattern = take_word(&rest);
    if (str_has_char(pattern, '='))
        return error_set(err, -EINVAL, "a line begins with a host pattern");
    if (has_pattern(rules, pattern))
        return error_set(err, -EINVAL, "\"" STR_FMT "\" has a line already", STR_ARG(pattern));
    rules->items = mem_resize(rules->items, rules->count + 1, sizeof(*rules->items));
    struct rule *rule = &rules->items[rules->count++];
    *rule = (struct rule){.pattern = str_dup(pattern)};
    for (struct str word = take_word(&rest); word.n; word = take_word(&rest)) {
        int rc = read_word(rule, word, err);
        if (rc)
            return rc;
    }
    return 0;
}

int rules_parse(struct str text, struct rules **ret, struct error *err)
{
    struct rules *rules = mem_alloc(sizeof(*rules));
    struct str line;
    for (unsigned number = 1; str_split(&text, '\n', &line); number++) {
        int rc = read_line(rules, line, err);
        if (rc) {
            rules_free(rules);
            (void)error_prefix(err, "line %u", number);
            return rc;
        }
    }
    *ret = rules;
    return 0;
}

// ---- finding

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

// The last '*' takes one more character whenever what follows it does not fit: no pattern costs more than
// pattern times host.
static bool matches(const char *pattern, struct str host)
{
    const char *star = NULL;
    size_t at = 0, star_at = 0;
    while (at < host.n) {
        if (*pattern == '*') {
            star = pattern++;
            star_at = at;
        } else if (*pattern && lower(*pattern) == lower(host.p[at])) {
            pattern++;
            at++;
        } else if (star) {
            pattern = star + 1;
            at = ++star_at;
        } else
            return false;
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

const struct rule *rules_find(const struct rules *rules, struct str host)
{
    for (size_t i = 0; rules && i < rules->count; i++)
        if (matches(rules->items[i].pattern, host))
            return &rules->items[i];
    return NULL;
}

void rule_apply(const struct rule *rule, struct pacer_limits *limits)
{
    if (rule->given[RATE])
        limits->rate = rule->values[RATE];
    if (rule->given[IN_FLIGHT])
        limits->in_flight = (uint32_t)rule->values[IN_FLIGHT];
    if (rule->given[AOR_RATE])
        limits->aor_rate = (uint32_t)rule->values[AOR_RATE];
    if (rule->given[EXPIRES_MIN])
        limits->expires_min_s = (uint32_t)rule->values[EXPIRES_MIN];
    if (rule->given[HARD])
        limits->hard = true;
}

struct str rules_host_of(struct str key)
{
    size_t from = str_find(key, ':', 0) + 1, to = key.n;
    while (to > from && key.p[to - 1] != ':')
        to--;
    struct str host = str_slice(key, from, to > from ? to - 1 : key.n);
    if (host.n > 1 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = str_slice(host, 1, host.n - 1);
    return host;
}
