// See conditions.h.
#include "services/gateway/yeti/conditions.h"

#include "common/base/mem.h"
#include "services/gateway/yeti/coerce.h"

#include <stdlib.h>
#include <string.h>

#define BIT(family) (1u << (family))
#define VALUES      (BIT(FILTER_TEXT) | BIT(FILTER_NUMBER) | BIT(FILTER_KEY))

static const struct {
    const char *suffix;
    enum operation operation;
    unsigned families; // that have it
    bool list;         // takes any number of values
} operations[] = {
    {"eq", OPERATION_EQ, VALUES | BIT(FILTER_FLAG), false},
    {"not_eq", OPERATION_NOT_EQ, VALUES | BIT(FILTER_FLAG), false},
    {"in", OPERATION_IN, VALUES, true},
    {"not_in", OPERATION_NOT_IN, VALUES, true},
    {"cont", OPERATION_CONT, BIT(FILTER_TEXT), false},
    {"start", OPERATION_START, BIT(FILTER_TEXT), false},
    {"end", OPERATION_END, BIT(FILTER_TEXT), false},
    {"cont_any", OPERATION_CONT_ANY, BIT(FILTER_TEXT), true},
    {"gt", OPERATION_GT, BIT(FILTER_NUMBER), false},
    {"gteq", OPERATION_GTEQ, BIT(FILTER_NUMBER), false},
    {"lt", OPERATION_LT, BIT(FILTER_NUMBER), false},
    {"lteq", OPERATION_LTEQ, BIT(FILTER_NUMBER), false},
};

// ---- reading

static bool match_operation(const struct filter *f, struct str suffix, enum operation *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        if (!(operations[i].families & BIT(f->family)) || !str_eq_cstr(suffix, operations[i].suffix))
            continue;
        *ret = operations[i].operation;
        return true;
    }
    return false;
}

static bool match(const struct filter *f, struct str name, enum operation *ret)
{
    struct str own = str_of(f->name);
    *ret = OPERATION_IN;
    if (f->family == FILTER_ID || f->family == FILTER_EXACT)
        return str_eq(name, own);
    return str_starts(name, own) && name.n > own.n && name.p[own.n] == '_' &&
           match_operation(f, str_slice(name, own.n + 1, name.n), ret);
}

static const struct filter *find_filter(const struct query *q, struct str name, enum operation *ret)
{
    const struct type *t = q->type;
    for (size_t i = 0; i < t->filter_count; i++)
        if (!(q->strict && t->filters[i].addition) && match(&t->filters[i], name, ret))
            return &t->filters[i];
    return NULL;
}

static void add_value(struct texts *values, struct str value)
{
    values->items = mem_resize(values->items, values->count + 1, sizeof(char *));
    values->items[values->count++] = str_dup(value);
}

// One CSV line: "a,b" in quotes is one value, "" in them a quote.
static void add_line(struct texts *values, struct str line)
{
    struct buf value cleanup(buf_done) = BUF_INIT;
    bool quoted = false;
    for (size_t i = 0; i < line.n; i++) {
        char c = line.p[i];
        bool escaped = quoted && c == '"' && i + 1 < line.n && line.p[i + 1] == '"';
        if (c == ',' && !quoted) {
            add_value(values, buf_str(&value));
            buf_clear(&value);
        } else if (c == '"' && !escaped) {
            quoted = !quoted;
        } else {
            buf_add_char(&value, c);
            i += escaped;
        }
    }
    if (line.n)
        add_value(values, buf_str(&value));
}

// The condition that repeated parameters of one list go into.
static struct condition *same_condition(struct query *q, const struct filter *f, enum operation operation)
{
    for (size_t i = 0; i < q->condition_count; i++)
        if (q->conditions[i].filter == f && q->conditions[i].operation == operation)
            return &q->conditions[i];
    q->conditions = mem_resize(q->conditions, q->condition_count + 1, sizeof(*q->conditions));
    struct condition *c = &q->conditions[q->condition_count++];
    *c = (struct condition){.filter = f, .operation = operation};
    return c;
}

bool conditions_read(struct query *q, const struct param *p, struct errors *errors)
{
    if (!p->key.p) {
        errors_add(errors, PROBLEM_FILTER_SYNTAX, p->value, STR_NONE);
        return false;
    }
    struct buf name cleanup(buf_done) = BUF_INIT;
    for (size_t i = 0; i < p->key.n; i++) {
        buf_add_char(&name, p->key.p[i] == '-' ? '_' : p->key.p[i]);
        if (p->key.p[i] == '.') // of a path only the last part is the filter's name
            buf_clear(&name);
    }
    enum operation operation;
    bool is_path = str_has_char(p->key, '.');
    const struct filter *f = is_path ? NULL : find_filter(q, buf_str(&name), &operation);
    if (!f) {
        errors_add(errors, PROBLEM_FILTER_NOT_ALLOWED, buf_str(&name), STR_NONE);
        return false;
    }
    struct condition *c = same_condition(q, f, operation);
    if (!p->list)
        texts_done(&c->values);
    if (p->list)
        add_value(&c->values, p->value);
    else
        add_line(&c->values, p->value);
    return true;
}

static bool takes_list(enum operation operation)
{
    for (size_t i = 0; i < ARRAY_LEN(operations); i++)
        if (operations[i].operation == operation)
            return operations[i].list;
    return true;
}

static const char *suffix_of(enum operation operation)
{
    for (size_t i = 0; i < ARRAY_LEN(operations); i++)
        if (operations[i].operation == operation)
            return operations[i].suffix;
    return "";
}

static bool takes_values(const struct condition *c)
{
    bool good = takes_list(c->operation) || c->values.count == 1;
    for (size_t i = 0; good && c->filter->takes && i < c->values.count; i++)
        good = c->filter->takes(str_of(c->values.items[i]));
    return good;
}

void conditions_check(const struct query *q, struct errors *errors)
{
    for (size_t i = 0; i < q->condition_count; i++) {
        const struct condition *c = &q->conditions[i];
        if (takes_values(c))
            continue;
        struct buf given cleanup(buf_done) = BUF_INIT, name cleanup(buf_done) = BUF_INIT;
        for (size_t v = 0; v < c->values.count; v++)
            buf_addf(&given, "%s%s", v ? "," : "", c->values.items[v]);
        buf_addf(&name, "%s_%s", c->filter->name, suffix_of(c->operation));
        errors_add(errors, PROBLEM_FILTER_VALUE, buf_str(&given), buf_str(&name));
        return;
    }
}

void conditions_done(struct query *q)
{
    for (size_t i = 0; i < q->condition_count; i++)
        texts_done(&q->conditions[i].values);
    free(q->conditions);
    q->conditions = NULL;
    q->condition_count = 0;
}

// ---- judging

static bool text_holds(const struct condition *c, struct str text, struct str value)
{
    switch (c->operation) {
    case OPERATION_CONT:
    case OPERATION_CONT_ANY:
        for (size_t i = 0; i + value.n <= text.n; i++)
            if (str_ieq(str_slice(text, i, i + value.n), value))
                return true;
        return false;
    case OPERATION_START:
        return str_istarts(text, value);
    case OPERATION_END:
        return value.n <= text.n && str_ieq(str_slice(text, text.n - value.n, text.n), value);
    case OPERATION_IN:
    case OPERATION_EQ:
    case OPERATION_NOT_IN:
    case OPERATION_NOT_EQ:
    case OPERATION_GT:
    case OPERATION_GTEQ:
    case OPERATION_LT:
    case OPERATION_LTEQ:
        break;
    }
    return c->filter->folded ? str_ieq(text, value) : str_eq(text, value);
}

static bool number_holds(enum operation operation, int64_t number, int64_t value)
{
    switch (operation) {
    case OPERATION_GT:
        return number > value;
    case OPERATION_GTEQ:
        return number >= value;
    case OPERATION_LT:
        return number < value;
    case OPERATION_LTEQ:
        return number <= value;
    case OPERATION_IN:
    case OPERATION_EQ:
    case OPERATION_NOT_IN:
    case OPERATION_NOT_EQ:
    case OPERATION_CONT:
    case OPERATION_CONT_ANY:
    case OPERATION_START:
    case OPERATION_END:
        break;
    }
    return number == value;
}

static int64_t number_at(const struct condition *c, const void *member)
{
    return c->filter->kind == KIND_INTEGER ? ((const struct integer *)member)->value
                                           : *(const int64_t *)member;
}

static bool value_holds(const struct condition *c, const void *member, const char *value)
{
    int64_t number = 0;
    if (c->filter->kind == KIND_TEXT)
        return text_holds(c, str_of(*(char *const *)member), str_of(value));
    if (c->filter->kind == KIND_FLAG)
        return *(const bool *)member == !coerce_says_no(str_of(value));
    return str_to_i64(str_of(value), &number) == 0 &&
           number_holds(c->operation, number_at(c, member), number);
}

static bool is_null(const struct condition *c, const void *member)
{
    switch (c->filter->kind) {
    case KIND_TEXT:
        return !*(char *const *)member;
    case KIND_INTEGER:
        return !((const struct integer *)member)->set;
    case KIND_ID:
        return !*(const int64_t *)member;
    case KIND_FLAG:
    case KIND_TEXTS:
    case KIND_TIME:
    case KIND_JSON:
        break;
    }
    return false;
}

// As in SQL, nothing holds of null, "not" neither.
static bool condition_holds(const struct condition *c, const void *item)
{
    const void *member = (const char *)item + c->filter->offset;
    bool negated = c->operation == OPERATION_NOT_EQ || c->operation == OPERATION_NOT_IN;
    if (is_null(c, member))
        return false;
    for (size_t i = 0; i < c->values.count; i++)
        if (value_holds(c, member, c->values.items[i]))
            return !negated;
    return negated;
}

bool conditions_hold(const struct query *q, const void *item)
{
    for (size_t i = 0; i < q->condition_count; i++)
        if (!q->conditions[i].indexed && !condition_holds(&q->conditions[i], item))
            return false;
    return true;
}

// ---- what the store's indexes serve

size_t conditions_terms(struct query *q, struct store_term terms[CONDITIONS_TERMS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < q->condition_count && count < CONDITIONS_TERMS_MAX; i++) {
        struct condition *c = &q->conditions[i];
        bool exact = c->operation == OPERATION_EQ || c->operation == OPERATION_IN;
        c->indexed = c->filter->index && exact && c->values.count == 1;
        if (c->indexed)
            terms[count++] =
                (struct store_term){.field = c->filter->index, .value = str_of(c->values.items[0])};
    }
    return count;
}

bool conditions_judge(const struct query *q, size_t offset)
{
    for (size_t i = 0; i < q->condition_count; i++) {
        const struct condition *c = &q->conditions[i];
        bool judged = !c->indexed && c->filter->family != FILTER_ID;
        if (judged && (offset == CONDITIONS_ANY || c->filter->offset == offset))
            return true;
    }
    return false;
}

uint64_t *conditions_ids(const struct query *q, size_t *ret_count)
{
    *ret_count = 0;
    for (size_t i = 0; i < q->condition_count; i++) {
        const struct condition *c = &q->conditions[i];
        if (c->filter->family != FILTER_ID)
            continue;
        uint64_t *ids = mem_array(c->values.count + 1, sizeof(*ids));
        for (size_t v = 0; v < c->values.count; v++)
            if (str_to_u64(str_of(c->values.items[v]), &ids[*ret_count]) == 0)
                (*ret_count)++;
        return ids;
    }
    return NULL;
}
