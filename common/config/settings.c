// The environment to a struct, row by row of the table; see settings.h. Prints nothing, and no sentence made
// here holds the value of a secret.
#include "common/config/settings_private.h"

#include "common/base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX            "ROLLCALL_"
#define FILE_SUFFIX       "_FILE"
#define NAME_BYTES        96 // longer names are compared by their beginning
#define SHOWN_BYTES       64 // of a value or a name in a sentence
#define SECRET_FILE_BYTES (64u * 1024)

static const struct {
    const char *text;
    bool value;
} booleans[] = {
    {"true", true}, {"false", false}, {"yes", true}, {"no", false},
    {"on", true},   {"off", false},   {"1", true},   {"0", false},
};

static void *place_of(const struct setting *s, void *target)
{
    return (char *)target + s->offset;
}

// Text from outside, for a sentence: cut, and nothing but printable ASCII.
struct shown {
    char text[SHOWN_BYTES + 4];
};

static struct shown shown(struct str text)
{
    struct shown s = {{0}};
    size_t n = 0;
    for (; n < text.n && n < SHOWN_BYTES; n++)
        s.text[n] = text.p[n] >= ' ' && text.p[n] <= '~' ? text.p[n] : '?';
    if (n < text.n)
        memcpy(s.text + n, "...", 4);
    return s;
}

// The value of an environment entry "NAME=value" when its name is `name` + `suffix`, else NULL.
static const char *value_in(const char *entry, const char *name, const char *suffix)
{
    size_t name_n = strlen(name), suffix_n = strlen(suffix);
    if (strncmp(entry, name, name_n) != 0 || strncmp(entry + name_n, suffix, suffix_n) != 0 ||
        entry[name_n + suffix_n] != '=')
        return NULL;
    return entry + name_n + suffix_n + 1;
}

// NULL when unset or empty: what a compose file passes on of an unset variable is the empty text.
static const char *look_up(char *const *environment, const char *name, const char *suffix)
{
    for (; *environment; environment++) {
        const char *value = value_in(*environment, name, suffix);
        if (value)
            return *value ? value : NULL;
    }
    return NULL;
}

// Levenshtein's distance, one row of the matrix at a time.
static size_t edit_distance(struct str a, struct str b)
{
    size_t row[NAME_BYTES + 1];
    a = str_slice(a, 0, NAME_BYTES);
    b = str_slice(b, 0, NAME_BYTES);
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 0; i < a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b.n; j++) {
            size_t best = diagonal + (a.p[i] != b.p[j]);
            diagonal = row[j + 1];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j + 1] + 1 < best)
                best = row[j + 1] + 1;
            row[j + 1] = best;
        }
    }
    return row[b.n];
}

static const char *nearest_name(const struct setting *table, size_t count, struct str name)
{
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(name, str_of(table[i].name));
        if (distance < least) {
            least = distance;
            nearest = table[i].name;
        }
    }
    return nearest;
}

static bool is_known(const struct setting *table, size_t count, const char *entry)
{
#if ROLLCALL_FAULT_POINTS
    if (value_in(entry, "ROLLCALL_FAULT_POINT", "")) // read where the point stands: common/base/fault.h
        return true;
#endif
    for (size_t i = 0; i < count; i++) {
        if (value_in(entry, table[i].name, ""))
            return true;
        if (table[i].type == SETTING_SECRET && value_in(entry, table[i].name, FILE_SUFFIX))
            return true;
    }
    return false;
}

static int refuse_unknown(const struct setting *table, size_t count, char *const *environment,
                          struct error *err)
{
    for (; *environment; environment++) {
        const char *entry = *environment;
        if (strncmp(entry, PREFIX, strlen(PREFIX)) != 0 || is_known(table, count, entry))
            continue;
        struct str name = str_of_bytes(entry, strcspn(entry, "="));
        const char *nearest = nearest_name(table, count, name);
        return error_set(err, -EINVAL, "%s is not a setting%s%s", shown(name).text,
                         nearest ? "; the nearest is " : "", nearest ? nearest : "");
    }
    return 0;
}

static int bad_value(const struct setting *s, const char *value, struct error *err)
{
    struct buf takes = BUF_INIT;
    settings_describe(s, &takes);
    int rc = error_set(err, -EINVAL, "%s is \"%s\"; it takes %s", s->name, shown(str_of(value)).text,
                       buf_str(&takes).p);
    buf_done(&takes);
    return rc;
}

static int set_int(const struct setting *s, const char *value, int64_t *place, struct error *err)
{
    int64_t number;
    if (str_to_i64(str_of(value), &number) || number < s->min || number > s->max)
        return bad_value(s, value, err);
    *place = number;
    return 0;
}

static int set_bool(const struct setting *s, const char *value, bool *place, struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(booleans); i++) {
        if (str_ieq_cstr(str_of(value), booleans[i].text)) {
            *place = booleans[i].value;
            return 0;
        }
    }
    return bad_value(s, value, err);
}

static int set_choice(const struct setting *s, const char *value, int *place, struct error *err)
{
    for (int i = 0; s->choices[i]; i++) {
        if (strcmp(value, s->choices[i]) == 0) {
            *place = i;
            return 0;
        }
    }
    return bad_value(s, value, err);
}

static int set_value(const struct setting *s, const char *value, void *place, struct error *err)
{
    switch (s->type) {
    case SETTING_STRING:
    case SETTING_SECRET:
        *(char **)place = mem_dup_cstr(value);
        return 0;
    case SETTING_INT:
        return set_int(s, value, place, err);
    case SETTING_BOOL:
        return set_bool(s, value, place, err);
    case SETTING_CHOICE:
        return set_choice(s, value, place, err);
    }
    assert(!"a setting's type");
    return -EINVAL;
}

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

// Reads at most size - 1 bytes; -errno, or their count.
static ssize_t read_small_file(const char *path, char *out, size_t size)
{
    int fd cleanup(close_fd) = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t n = 0;
    while (n < size) {
        ssize_t got = read(fd, out + n, size - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return (ssize_t)n;
        n += (size_t)got;
    }
    return -EFBIG;
}

static int set_from_file(const struct setting *s, const char *path, char **place, struct error *err)
{
    char *content = mem_alloc(SECRET_FILE_BYTES);
    ssize_t n = read_small_file(path, content, SECRET_FILE_BYTES);
    int rc = 0;
    if (n > 0 && content[n - 1] == '\n')
        n--;
    if (n < 0)
        rc = error_set(err, -EINVAL, "%s" FILE_SUFFIX ": cannot read \"%s\": %s", s->name,
                       shown(str_of(path)).text, strerror((int)-n));
    else if (n == 0)
        rc = error_set(err, -EINVAL, "%s" FILE_SUFFIX ": \"%s\" is empty", s->name, shown(str_of(path)).text);
    else if (memchr(content, '\0', (size_t)n))
        rc = error_set(err, -EINVAL, "%s" FILE_SUFFIX ": \"%s\" holds a NUL", s->name,
                       shown(str_of(path)).text);
    else
        *place = mem_dup_bytes(content, (size_t)n);
    mem_wipe(content, SECRET_FILE_BYTES);
    free(content);
    return rc;
}

static int load_row(const struct setting *s, char *const *environment, void *target, struct error *err)
{
    const char *value = look_up(environment, s->name, "");
    const char *path = s->type == SETTING_SECRET ? look_up(environment, s->name, FILE_SUFFIX) : NULL;
    if (value && path)
        return error_set(err, -EINVAL, "%s and %s" FILE_SUFFIX " are both set; give one", s->name, s->name);
    if (path)
        return set_from_file(s, path, place_of(s, target), err);
    if (!value)
        value = s->fallback;
    if (value)
        return set_value(s, value, place_of(s, target), err);
    if (s->required)
        return error_set(err, -EINVAL, "%s must be set: %s", s->name, s->help);
    return 0;
}

int settings_load(const struct setting *table, size_t count, char *const *environment, void *target,
                  struct error *err)
{
    int rc = refuse_unknown(table, count, environment, err);
    for (size_t i = 0; i < count && !rc; i++)
        rc = load_row(&table[i], environment, target, err);
    if (rc)
        settings_done(table, count, target);
    return rc;
}

void settings_done(const struct setting *table, size_t count, void *target)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].type != SETTING_STRING && table[i].type != SETTING_SECRET)
            continue;
        char **text = place_of(&table[i], target);
        if (*text && table[i].type == SETTING_SECRET)
            mem_wipe(*text, strlen(*text));
        mem_free_cstr(text);
    }
}
