// See query.h. Filters are conditions.c's.
#include "services/gateway/yeti/query.h"

#include "common/base/mem.h"
#include "services/gateway/yeti/conditions.h"
#include "services/gateway/yeti/params.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_SIZE     50
#define PAGE_SIZE_MAX 1000

// A member of the query that is wrong by itself: it alone is reported.
static bool abort_with(struct errors *errors, enum problem problem, struct str a, struct str b)
{
    errors_done(errors);
    errors_add(errors, problem, a, b);
    return false;
}

// ---- fields

static bool take_field(struct fieldset *f, const struct type *t, struct str name, bool strict)
{
    const struct attribute *a = type_attribute(t, name);
    const struct relation *r = type_relation(t, name);
    if (strict && ((r && r->addition) || (a && type_attribute_is_added(t, a))))
        return false;
    if (a)
        f->attributes |= 1ull << (a - t->attributes);
    if (r)
        f->relations |= 1ull << (r - t->relations);
    return a || r || str_eq_cstr(name, "id");
}

static bool read_fields_of(struct query *q, const struct param *p, struct errors *errors)
{
    const struct type *t = type_by_name(p->key, true);
    if (!t || (q->strict && t->id == TYPE_STATUSES))
        return abort_with(errors, PROBLEM_INVALID_RESOURCE, p->key, STR_NONE);
    if (!p->value.n)
        return abort_with(errors, PROBLEM_INVALID_FIELD, STR_LIT("nil"), str_of(t->name));
    struct fieldset *f = &q->fields[t->id];
    if (!p->list)
        *f = (struct fieldset){.given = true};
    f->given = true;
    struct str rest = p->value, name;
    while (str_split(&rest, ',', &name))
        if (!take_field(f, t, name, q->strict))
            return abort_with(errors, PROBLEM_INVALID_FIELD, name, str_of(t->name));
    return true;
}

static bool read_fields(struct query *q, const struct param *p, struct errors *errors)
{
    if (!p->key.n)
        return abort_with(errors, PROBLEM_FIELDS_FORMAT, STR_NONE, STR_NONE);
    return read_fields_of(q, p, errors);
}

// ---- include

static bool read_include_path(struct query *q, struct str path, struct errors *errors)
{
    const struct type *t = q->type;
    struct str part;
    while (str_split(&path, '.', &part)) {
        const struct relation *r = type_relation(t, part);
        if (!r || (q->strict && r->addition)) {
            errors_add(errors, PROBLEM_INVALID_INCLUDE, part, str_of(t->name));
            return false;
        }
        q->include |= r->include;
        t = type_of(r->target);
    }
    return true;
}

// Only the first bad path is reported, and other members of the query beside it.
static bool read_include(struct query *q, const struct param *p, struct errors *errors)
{
    struct str rest = p->value, path;
    if (p->key.p || p->list) {
        errors_add(errors, PROBLEM_INVALID_INCLUDE, p->value, str_of(q->type->name));
        return true;
    }
    while (str_split(&rest, ',', &path))
        if (!read_include_path(q, path, errors))
            return true;
    return true;
}

// ---- sort

// Attributes may be spelled with dashes or underscores.
static const struct attribute *sort_attribute(const struct type *t, struct str name)
{
    struct buf dashed cleanup(buf_done) = BUF_INIT;
    for (size_t i = 0; i < name.n; i++)
        buf_add_char(&dashed, name.p[i] == '_' ? '-' : name.p[i]);
    const struct attribute *a = type_attribute(t, buf_str(&dashed));
    return a && !type_attribute_is_added(t, a) ? a : NULL;
}

static bool refuse_sort(struct errors *errors, const struct type *t, struct str name)
{
    struct buf underscored cleanup(buf_done) = BUF_INIT;
    for (size_t i = 0; i < name.n; i++)
        buf_add_char(&underscored, name.p[i] == '-' ? '_' : name.p[i]);
    return abort_with(errors, PROBLEM_INVALID_SORT, buf_str(&underscored), str_of(t->name));
}

// A key that stands there already decides nothing more.
static void add_sort(struct query *q, struct sort sort)
{
    for (size_t i = 0; i < q->sort_count; i++)
        if (q->sorts[i].attribute == sort.attribute || !q->sorts[i].attribute)
            return;
    if (q->sort_count < QUERY_SORTS_MAX)
        q->sorts[q->sort_count++] = sort;
}

static bool read_sort(struct query *q, const struct param *p, struct errors *errors)
{
    struct str rest = p->value, name;
    if (p->key.p || p->list)
        return refuse_sort(errors, q->type, p->value);
    q->sort_count = 0;
    while (str_split(&rest, ',', &name)) {
        struct sort sort = {.descending = name.n && name.p[0] == '-'};
        name = str_slice(name, sort.descending, name.n);
        sort.attribute = sort_attribute(q->type, name);
        if (!sort.attribute && !str_eq_cstr(name, "id"))
            return refuse_sort(errors, q->type, name);
        add_sort(q, sort);
    }
    return true;
}

// ---- page

// As Ruby's to_i: the number that the text begins with, behind blanks, or 0.
static int64_t page_number(struct str text)
{
    int64_t value = 0;
    text = str_trim(text);
    bool plus = text.n && text.p[0] == '+';
    size_t end = plus || (text.n && text.p[0] == '-');
    while (end < text.n && text.p[end] >= '0' && text.p[end] <= '9')
        end++;
    return str_to_i64(str_slice(text, plus, end), &value) == -ERANGE ? INT64_MAX : value;
}

struct page {
    int64_t number, size;
};

static void take_page(struct page *page, const struct param *p)
{
    if (!p->key.p)
        page->number = p->list ? 0 : page_number(p->value);
    else if (str_eq_cstr(p->key, "number"))
        page->number = page_number(p->value);
    else if (str_eq_cstr(p->key, "size"))
        page->size = page_number(p->value);
}

static void refuse_page(struct errors *errors, int64_t value, const char *member)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    buf_addf(&text, "%lld", (long long)value);
    errors_add(errors, PROBLEM_PAGE_VALUE, buf_str(&text), str_of(member));
}

static void check_page(struct query *q, const struct page *page, struct errors *errors)
{
    if (page->size < 1)
        refuse_page(errors, page->size, "size");
    else if (page->size > PAGE_SIZE_MAX)
        errors_add(errors, PROBLEM_PAGE_TOO_LARGE, STR_LIT("1000"), STR_NONE);
    else if (page->number < 1)
        refuse_page(errors, page->number, "number");
    q->page_number = (uint64_t)page->number;
    q->page_size = (uint64_t)page->size;
}

// ---- the whole

typedef bool reader_fn(struct query *q, const struct param *p, struct errors *errors);

// All parameters of one base, in their order.
static bool read_all(struct query *q, const char *base, reader_fn *reader, struct errors *errors)
{
    for (size_t i = 0; i < q->pairs->count; i++) {
        struct param p = param_of(&q->pairs->items[i]);
        if (str_eq_cstr(p.base, base) && !reader(q, &p, errors))
            return false;
    }
    return true;
}

static bool read_filter(struct query *q, const struct param *p, struct errors *errors)
{
    return conditions_read(q, p, errors);
}

static void read_page(struct query *q, struct errors *errors)
{
    struct page page = {.number = 1, .size = PAGE_SIZE};
    for (size_t i = 0; i < q->pairs->count; i++) {
        struct param p = param_of(&q->pairs->items[i]);
        if (str_eq_cstr(p.base, "page"))
            take_page(&page, &p);
    }
    check_page(q, &page, errors);
}

bool query_read(struct query *q, const struct type *type, enum query_scope scope, bool strict,
                const struct http_pairs *pairs, struct errors *errors)
{
    *q = (struct query){
        .type = type, .pairs = pairs, .strict = strict, .page_number = 1, .page_size = PAGE_SIZE};
    if (!read_all(q, "fields", read_fields, errors) || !read_all(q, "include", read_include, errors))
        return false;
    if (scope != QUERY_WRITE)
        (void)read_all(q, "filter", read_filter, errors); // stops at the first bad one
    if (scope == QUERY_INDEX) {
        if (!read_all(q, "sort", read_sort, errors))
            return false;
        conditions_check(q, errors);
        read_page(q, errors);
    }
    return errors->count == 0;
}

void query_done(struct query *q)
{
    conditions_done(q);
    *q = (struct query){.type = NULL};
}

bool query_shows_attribute(const struct query *q, const struct type *type, size_t index)
{
    const struct fieldset *f = &q->fields[type->id];
    uint64_t shown = f->given ? f->attributes : ~type->added_attributes;
    return shown >> index & 1;
}

bool query_shows_relation(const struct query *q, const struct type *type, size_t index)
{
    const struct fieldset *f = &q->fields[type->id];
    return !f->given || f->relations >> index & 1;
}

// ---- links

// Form encoding: as percent-encoding, with "+" for a space.
static void add_encoded(struct buf *out, const char *text)
{
    struct str rest = str_of(text), piece;
    bool first = true;
    while (str_split(&rest, ' ', &piece)) {
        if (!first)
            buf_add_char(out, '+');
        first = false;
        http_encode(out, piece);
    }
}

static char *encoded_pair(const char *name, const char *value)
{
    struct buf out = BUF_INIT;
    add_encoded(&out, name);
    buf_add_char(&out, '=');
    add_encoded(&out, value);
    return buf_steal(&out);
}

static char *encoded_number(const char *name, uint64_t value)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    buf_add_u64(&text, value);
    return encoded_pair(name, text.p);
}

static bool is_kept(struct str base)
{
    return str_eq_cstr(base, "fields") || str_eq_cstr(base, "filter") || str_eq_cstr(base, "include") ||
           str_eq_cstr(base, "sort");
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void query_page_string(struct buf *out, const struct query *q, uint64_t number)
{
    char **pairs = mem_array(q->pairs->count + 2, sizeof(*pairs));
    size_t count = 0;
    for (size_t i = 0; i < q->pairs->count; i++)
        if (is_kept(param_of(&q->pairs->items[i]).base))
            pairs[count++] = encoded_pair(q->pairs->items[i].name, q->pairs->items[i].value);
    pairs[count++] = encoded_number("page[number]", number);
    pairs[count++] = encoded_number("page[size]", q->page_size);
    qsort(pairs, count, sizeof(*pairs), compare_texts);
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_char(out, '&');
        buf_add_cstr(out, pairs[i]);
        free(pairs[i]);
    }
    free(pairs);
}
