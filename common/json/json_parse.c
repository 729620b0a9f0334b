// Text to tree: yajl's events build the nodes, and this file adds what yajl does not refuse. Says where and
// why in plain words; yajl's own sentences never leave.
#include "common/json/json_tree.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#define NO_CONTAINER  UINT32_MAX
#define FEW_MEMBERS   16u // up to here comparing every pair is faster than sorting
#define FIRST_PENDING 64u

// Values of containers still open wait in `pending`, each container before its children; closing one moves
// its children to the arena side by side. While open, a container's n is the index of the one around it.
struct builder {
    struct json_document *document;
    yajl_handle yajl;
    struct json *pending;
    uint32_t count, size;
    uint32_t open; // index of the innermost open container
    unsigned depth, max_depth;
    uint32_t values, max_values;
    const char *key; // of the value that comes next
    uint32_t key_n;
    size_t behind; // offset after the last value, key or bracket
    int rc;
    struct error *err;
};

static struct json *push(struct builder *b, enum json_type type)
{
    if (b->count == b->size) {
        b->size = b->size ? b->size * 2 : FIRST_PENDING;
        b->pending = mem_resize(b->pending, b->size, sizeof(*b->pending));
    }
    struct json *v = &b->pending[b->count++];
    *v = (struct json){.key = b->key, .key_n = b->key_n, .type = (uint8_t)type};
    b->key = NULL;
    b->key_n = 0;
    b->behind = yajl_get_bytes_consumed(b->yajl);
    v->behind = (uint32_t)b->behind;
    return v;
}

// 1, or 0 where the value just pushed is one too many.
static int taken(struct builder *b)
{
    if (!b->max_values || ++b->values <= b->max_values)
        return 1;
    b->rc = error_set(b->err, -E2BIG, "more than %u values at byte %zu", b->max_values,
                      yajl_get_bytes_consumed(b->yajl));
    return 0;
}

static int push_text(struct builder *b, enum json_type type, const void *bytes, size_t count)
{
    struct json *v = push(b, type);
    v->text = json_document_text(b->document, bytes, count);
    v->n = (uint32_t)count;
    return taken(b);
}

static int on_null(void *ctx)
{
    (void)push(ctx, JSON_NULL);
    return taken(ctx);
}

static int on_bool(void *ctx, int truth)
{
    push(ctx, JSON_BOOL)->truth = truth != 0;
    return taken(ctx);
}

static int on_number(void *ctx, const char *text, size_t count)
{
    return push_text(ctx, JSON_NUMBER, text, count);
}

static int on_string(void *ctx, const unsigned char *text, size_t count)
{
    return push_text(ctx, JSON_STRING, text, count);
}

static int on_key(void *ctx, const unsigned char *text, size_t count)
{
    struct builder *b = ctx;
    if (count && memchr(text, '\0', count)) {
        b->rc = error_set(b->err, -EINVAL, "a NUL in the key that ends at byte %zu",
                          yajl_get_bytes_consumed(b->yajl));
        return 0;
    }
    b->key = json_document_text(b->document, text, count);
    b->key_n = (uint32_t)count;
    b->behind = yajl_get_bytes_consumed(b->yajl);
    return 1;
}

static int open_container(struct builder *b, enum json_type type)
{
    if (b->depth == b->max_depth) {
        b->rc = error_set(b->err, -E2BIG, "nested deeper than %u levels at byte %zu", b->max_depth,
                          yajl_get_bytes_consumed(b->yajl) - 1);
        return 0;
    }
    push(b, type)->n = b->open;
    b->open = b->count - 1;
    b->depth++;
    return taken(b);
}

static int on_start_object(void *ctx)
{
    return open_container(ctx, JSON_OBJECT);
}

static int on_start_array(void *ctx)
{
    return open_container(ctx, JSON_ARRAY);
}

static int on_end(void *ctx)
{
    struct builder *b = ctx;
    struct json *container = &b->pending[b->open];
    uint32_t outer = container->n;
    uint32_t count = b->count - b->open - 1;
    container->items = count ? json_document_nodes(b->document, container + 1, count) : NULL;
    container->n = count;
    b->count = b->open + 1;
    b->open = outer;
    b->depth--;
    b->behind = yajl_get_bytes_consumed(b->yajl);
    return 1;
}

static int compare_keys(const void *a, const void *b)
{
    const struct json *const *left = a;
    const struct json *const *right = b;
    return str_cmp(str_of_bytes((*left)->key, (*left)->key_n), str_of_bytes((*right)->key, (*right)->key_n));
}

// A peer chooses the keys, so the bound for many members must not depend on them: sorted, not hashed.
static const struct json *twice_among_many(const struct json *members, uint32_t count)
{
    const struct json **sorted = mem_array(count, sizeof(struct json *));
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = &members[i];
    qsort(sorted, count, sizeof(struct json *), compare_keys);
    const struct json *twice = NULL;
    for (uint32_t i = 1; i < count && !twice; i++) {
        if (compare_keys(&sorted[i - 1], &sorted[i]) == 0)
            twice = sorted[i];
    }
    free(sorted);
    return twice;
}

static const struct json *twice_among_few(const struct json *members, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (members[i].key_n == members[j].key_n &&
                memcmp(members[i].key, members[j].key, members[i].key_n) == 0)
                return &members[i];
        }
    }
    return NULL;
}

// A key for a log line or an HTTP answer: short, and nothing but printable ASCII.
static void key_for_people(const struct json *member, char *out, size_t size)
{
    size_t n = 0;
    for (; n < member->key_n && n < size - 1; n++)
        out[n] = member->key[n] >= ' ' && member->key[n] <= '~' ? member->key[n] : '?';
    out[n] = '\0';
}

static int on_end_object(void *ctx)
{
    struct builder *b = ctx;
    const struct json *members = &b->pending[b->open] + 1;
    uint32_t count = b->count - b->open - 1;
    const struct json *twice =
        count <= FEW_MEMBERS ? twice_among_few(members, count) : twice_among_many(members, count);
    if (twice) {
        char key[48];
        key_for_people(twice, key, sizeof(key));
        b->rc = error_set(b->err, -EINVAL, "the key \"%s\" stands twice in the object that ends at byte %zu",
                          key, yajl_get_bytes_consumed(b->yajl) - 1);
        return 0;
    }
    return on_end(ctx);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_bool,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_object,
    .yajl_map_key = on_key,
    .yajl_end_map = on_end_object,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end,
};

// yajl does not check what its allocator returns.
static void *memory_new(void *ctx, size_t size)
{
    (void)ctx;
    return mem_resize(NULL, 1, size);
}

static void *memory_resize(void *ctx, void *memory, size_t size)
{
    (void)ctx;
    return mem_resize(memory, 1, size);
}

static void memory_free(void *ctx, void *memory)
{
    (void)ctx;
    free(memory);
}

// Where the offence is, which yajl's own offset does not always say.
enum place {
    HERE,        // where yajl stands: on the byte that does not fit
    JUST_READ,   // the byte before that
    AFTER_VALUE, // the first byte after the last value or key
    AFTER_COMMA, // the same, behind a comma
};

// yajl's words and ours, the first match counts.
static const struct {
    const char *theirs, *ours;
    enum place place;
} causes[] = {
    {"trailing garbage", "something follows the value", AFTER_VALUE},
    {"probable comment", "comments are not JSON", HERE},
    {"'\\' occurs before", "unknown escape in a string", HERE},
    {"invalid (non-hex)", "\\u without four hexadecimal digits", HERE},
    {"invalid character inside string", "unescaped control character in a string", HERE},
    {"after the minus sign", "a number lacks its digits after the minus sign", HERE},
    {"after the decimal point", "a number lacks its digits after the decimal point", HERE},
    {"after the exponent", "a number lacks its digits after the exponent", HERE},
    {"invalid object key", "a key must be a string", AFTER_COMMA},
    {"separated by a colon", "a colon is missing", AFTER_VALUE},
    {"inside map", "a comma or } is missing", AFTER_VALUE},
    {"after array element", "a comma or ] is missing", AFTER_VALUE},
    {"invalid string in json text", "misspelt true, false or null", HERE},
    {"", "unexpected character", JUST_READ},
};

static size_t skip_space(struct str text, size_t at)
{
    while (at < text.n && strchr(" \t\r\n", text.p[at]) && text.p[at])
        at++;
    return at;
}

static size_t locate(const struct builder *b, struct str text, enum place place, size_t yajl_at)
{
    size_t after = skip_space(text, b->behind);
    switch (place) {
    case HERE:
        break;
    case JUST_READ:
        return yajl_at ? yajl_at - 1 : 0;
    case AFTER_VALUE:
        return after;
    case AFTER_COMMA:
        return after < text.n && text.p[after] == ',' ? skip_space(text, after + 1) : after;
    }
    return yajl_at;
}

static int syntax_error(struct builder *b, struct str text, bool at_end)
{
    unsigned char *theirs = yajl_get_error(b->yajl, 0, NULL, 0);
    size_t i = 0;
    while (!strstr((const char *)theirs, causes[i].theirs))
        i++; // the last row matches everything
    bool premature = strstr((const char *)theirs, "premature EOF") != NULL;
    yajl_free_error(b->yajl, theirs);
    if (premature)
        return error_set(b->err, -EINVAL, "the text ends too early, at byte %zu", text.n);
    size_t yajl_at = at_end ? text.n : yajl_get_bytes_consumed(b->yajl);
    return error_set(b->err, -EINVAL, "%s at byte %zu", causes[i].ours,
                     locate(b, text, causes[i].place, yajl_at));
}

static int run_yajl(struct builder *b, struct str text)
{
    yajl_alloc_funcs memory = {.malloc = memory_new, .realloc = memory_resize, .free = memory_free};
    b->yajl = yajl_alloc(&callbacks, &memory, b);
    (void)yajl_config(b->yajl, yajl_dont_validate_strings, 1); // json_text_check() has
    yajl_status status = yajl_parse(b->yajl, (const unsigned char *)text.p, text.n);
    // yajl takes the beginning of a string or word behind the value for white space.
    bool has_value = b->count > 0 && b->open == NO_CONTAINER;
    size_t rest = has_value ? skip_space(text, b->behind) : text.n;
    bool at_end = status == yajl_status_ok; // a last number or word ends only there
    if (at_end)
        status = yajl_complete_parse(b->yajl);
    int rc = 0;
    if (status == yajl_status_error)
        rc = syntax_error(b, text, at_end);
    else if (status == yajl_status_client_canceled)
        rc = b->rc;
    else if (rest < text.n)
        rc = error_set(b->err, -EINVAL, "something follows the value at byte %zu", rest);
    yajl_free(b->yajl);
    return rc;
}

static int build(struct str text, const struct json_limits *limits, struct json **ret, struct error *err)
{
    struct builder b = {.document = json_document_new(text.n * 2 + 256),
                        .open = NO_CONTAINER,
                        .max_depth = limits->max_depth,
                        .max_values = limits->max_values,
                        .err = err};
    int rc = run_yajl(&b, text);
    if (rc) {
        json_free(&b.document->root);
    } else {
        b.document->root = b.pending[0];
        *ret = &b.document->root;
    }
    free(b.pending);
    return rc;
}

int json_parse(struct str text, const struct json_limits *limits, struct json **ret, struct error *err)
{
    struct json_limits within = limits ? *limits : JSON_LIMITS_DEFAULT;
    if (within.max_bytes >= UINT32_MAX)
        within.max_bytes = UINT32_MAX - 1; // a node counts in 32 bits
    if (text.n > within.max_bytes)
        return error_set(err, -E2BIG, "%zu bytes where at most %zu are allowed", text.n, within.max_bytes);
    if (str_trim(text).n == 0)
        return error_set(err, -EINVAL, "the text is empty");
    int rc = json_text_check(text, err);
    return rc ? rc : build(text, &within, ret, err);
}
