// See params.h.
#include "services/gateway/voximplant/params.h"

#include "common/base/mem.h"
#include "services/gateway/voximplant/answer.h"

#include <stdlib.h>

#define LIST_MAX 1000 // each registration that is looked at is compared with all of them

void vox_params_done(struct params *p)
{
    http_pairs_done(&p->body);
    http_pairs_done(&p->query);
}

// The last one that is not empty.
static struct str find(const struct http_pairs *pairs, const char *name)
{
    struct str found = STR_NONE;
    for (size_t i = 0; i < pairs->count; i++)
        if (str_eq_cstr(str_of(pairs->items[i].name), name) && pairs->items[i].value[0])
            found = str_of(pairs->items[i].value);
    return found;
}

struct str vox_params_get(const struct params *p, const char *name)
{
    struct str found = find(&p->body, name);
    return found.n ? found : find(&p->query, name);
}

bool vox_params_clears(const struct params *p, const char *name)
{
    return !vox_params_get(p, name).n && (http_pairs_get(&p->body, name) || http_pairs_get(&p->query, name));
}

static bool read_id(struct str text, const char *name, uint64_t *ret, struct fault *fault)
{
    if (str_to_u64(str_trim(text), ret) || !*ret || *ret > INT64_MAX)
        return vox_fault_set(fault, CODE_INVALID_ARGUMENTS, "The parameter '%s' takes a positive integer.",
                             name);
    return true;
}

bool vox_params_id(const struct params *p, const char *name, uint64_t *ret, struct fault *fault)
{
    struct str text = vox_params_get(p, name);
    return !text.n || read_id(text, name, ret, fault);
}

bool vox_params_count(const struct params *p, const char *name, uint64_t *ret, struct fault *fault)
{
    struct str text = vox_params_get(p, name);
    if (text.n && (str_to_u64(str_trim(text), ret) || *ret > INT64_MAX))
        return vox_fault_set(fault, CODE_INVALID_ARGUMENTS,
                             "The parameter '%s' takes an integer of 0 or more.", name);
    return true;
}

bool vox_params_choice(const struct params *p, const char *name, enum choice *ret, struct fault *fault)
{
    struct str text = str_trim(vox_params_get(p, name));
    if (!text.n)
        return true;
    bool yes = str_ieq_cstr(text, "true") || str_eq_cstr(text, "1");
    bool no = str_ieq_cstr(text, "false") || str_eq_cstr(text, "0");
    if (!yes && !no)
        return vox_fault_set(fault, CODE_INVALID_ARGUMENTS, "The parameter '%s' takes true or false.", name);
    *ret = yes ? CHOICE_TRUE : CHOICE_FALSE;
    return true;
}

bool vox_params_flag(const struct params *p, const char *name, bool *ret, struct fault *fault)
{
    enum choice choice = CHOICE_ANY;
    if (!vox_params_choice(p, name, &choice, fault))
        return false;
    if (choice != CHOICE_ANY)
        *ret = choice == CHOICE_TRUE;
    return true;
}

static bool is_any(struct str text)
{
    return str_ieq_cstr(str_trim(text), "any") || str_ieq_cstr(str_trim(text), "all");
}

bool vox_params_texts(const struct params *p, const char *name, struct text_list *ret, struct fault *fault)
{
    struct str rest = vox_params_get(p, name), piece;
    if (is_any(rest))
        return true;
    while (str_split(&rest, ';', &piece)) {
        piece = str_trim(piece);
        if (!piece.n)
            continue;
        if (ret->count == LIST_MAX)
            return vox_fault_set(fault, CODE_INVALID_ARGUMENTS, "The parameter '%s' takes at most %d values.",
                                 name, LIST_MAX);
        ret->items = mem_resize(ret->items, ret->count + 1, sizeof(*ret->items));
        ret->items[ret->count++] = piece;
    }
    return true;
}

bool vox_params_ids(const struct params *p, const char *name, struct id_list *ret, struct fault *fault)
{
    struct text_list texts = {.items = NULL};
    bool good = vox_params_texts(p, name, &texts, fault);
    ret->items = mem_array(texts.count + 1, sizeof(*ret->items));
    for (size_t i = 0; i < texts.count && good; i++)
        good = read_id(texts.items[i], name, &ret->items[ret->count++], fault);
    free(texts.items);
    return good;
}

bool vox_ids_have(const struct id_list *l, uint64_t id)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i] == id)
            return true;
    return false;
}

bool vox_texts_have(const struct text_list *l, struct str text)
{
    for (size_t i = 0; i < l->count; i++)
        if (str_eq(l->items[i], text))
            return true;
    return false;
}
