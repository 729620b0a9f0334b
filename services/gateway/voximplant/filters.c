// See filters.h.
#include "services/gateway/voximplant/filters.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "services/gateway/voximplant/address.h"
#include "services/gateway/voximplant/answer.h"

#include <stdlib.h>
#include <strings.h>

#define COUNT_DEFAULT 20
#define COUNT_MAX     1000

// ---- reading

// "200", or "400:499", both ends included.
static bool read_range(struct str text, struct code_range *ret)
{
    size_t colon = str_find(text, ':', 0);
    if (str_to_u64(str_trim(str_slice(text, 0, colon)), &ret->low))
        return false;
    ret->high = ret->low;
    return colon == text.n || !str_to_u64(str_trim(str_slice(text, colon + 1, text.n)), &ret->high);
}

static bool read_codes(struct filters *f, const struct params *p, struct fault *fault)
{
    struct text_list texts = {.items = NULL};
    bool fits = vox_params_texts(p, "status_code", &texts, fault), good = true;
    f->codes.items = mem_array(texts.count + 1, sizeof(*f->codes.items));
    for (size_t i = 0; i < texts.count && good; i++)
        good = read_range(texts.items[i], &f->codes.items[f->codes.count++]);
    free(texts.items);
    if (!fits)
        return false;
    return good || vox_fault_set(fault, CODE_INVALID_ARGUMENTS,
                                 "The parameter 'status_code' takes codes and ranges such as 200;400:499.");
}

// A proxy is looked for by its host and port. What is no proxy matches none.
static bool read_proxies(struct filters *f, const struct params *p, struct fault *fault)
{
    struct text_list texts = {.items = NULL};
    bool fits = vox_params_texts(p, "proxy", &texts, fault);
    f->domains = mem_array(texts.count + 1, sizeof(*f->domains));
    for (size_t i = 0; i < texts.count; i++) {
        struct proxy proxy;
        bool good = !vox_proxy_parse(texts.items[i], &proxy, NULL);
        f->domains[f->domain_count++] = good ? mem_dup_cstr(proxy.domain) : str_dup(texts.items[i]);
        vox_proxy_done(&proxy);
    }
    free(texts.items);
    return fits;
}

static bool read_targets(struct filters *f, const struct params *p, struct fault *fault)
{
    for (size_t i = 0; i < TARGET_COUNT; i++) {
        const struct target_words *w = vox_target_words((enum target_kind)i);
        const char *name = w->name;
        if (i == TARGET_USER && !vox_params_get(p, name).n)
            name = "userName"; // as one SDK sends it
        if (!vox_params_texts(p, name, &f->names[i], fault) || !vox_params_ids(p, w->id, &f->ids[i], fault))
            return false;
        if (f->ids[i].count && f->names[i].count)
            return vox_fault_set(fault, CODE_ONLY_ONE_OF_PARAMETERS,
                                 "Only one of the parameters '%s' and '%s' may be given.", w->id, w->name);
    }
    return true;
}

static bool read_choices(struct filters *f, const struct params *p, struct fault *fault)
{
    return vox_params_choice(p, "deactivated", &f->deactivated, fault) &&
           vox_params_choice(p, "successful", &f->successful, fault) &&
           vox_params_choice(p, "is_persistent", &f->is_persistent, fault) &&
           vox_params_choice(p, "is_bound_to_application", &f->is_bound, fault) &&
           vox_params_choice(p, "in_progress", &f->in_progress, fault);
}

bool vox_filters_read(struct filters *ret, const struct params *p, struct fault *fault)
{
    *ret = (struct filters){.now_wall_ms = clock_wall_ms(),
                            .sip_username = vox_params_get(p, "sip_username"),
                            .count = COUNT_DEFAULT};
    bool good = read_proxies(ret, p, fault) && vox_params_id(p, "sip_registration_id", &ret->id, fault) &&
                read_choices(ret, p, fault) && read_targets(ret, p, fault) && read_codes(ret, p, fault) &&
                vox_params_count(p, "count", &ret->count, fault) &&
                vox_params_count(p, "offset", &ret->offset, fault);
    if (ret->count > COUNT_MAX)
        ret->count = COUNT_MAX;
    return good;
}

void vox_filters_done(struct filters *f)
{
    for (size_t i = 0; i < TARGET_COUNT; i++) {
        free(f->ids[i].items);
        free(f->names[i].items);
    }
    for (size_t i = 0; i < f->domain_count; i++)
        free(f->domains[i]);
    free(f->domains);
    free(f->codes.items);
    *f = (struct filters){.id = 0};
}

// ---- judging

static bool choice_holds(enum choice wanted, bool value)
{
    return wanted == CHOICE_ANY || (wanted == CHOICE_TRUE) == value;
}

static bool domain_holds(const struct filters *f, const struct registration *r)
{
    for (size_t i = 0; i < f->domain_count; i++)
        if (!strcasecmp(f->domains[i], r->domain))
            return true;
    return !f->domain_count;
}

static bool target_holds(const struct filters *f, enum target_kind kind, const struct target *t)
{
    const struct id_list *ids = &f->ids[kind];
    const struct text_list *names = &f->names[kind];
    if (ids->count)
        return vox_ids_have(ids, t->id);
    if (!names->count)
        return true;
    struct str present = t->id ? vox_catalogue_name(f->account, kind, t->id) : STR_NONE;
    return vox_target_is_set(t) && vox_texts_have(names, present.n ? present : str_of(t->name));
}

static bool code_holds(const struct filters *f, int code)
{
    for (size_t i = 0; i < f->codes.count; i++)
        if (code > 0 && f->codes.items[i].low <= (uint64_t)code && (uint64_t)code <= f->codes.items[i].high)
            return true;
    return !f->codes.count;
}

static bool facts_hold(const struct filters *f, const struct registration *r)
{
    struct facts facts cleanup(vox_facts_done);
    vox_facts_of(&facts, r);
    bool holds = choice_holds(f->deactivated, vox_model_is_deactivated(r, &facts)) &&
                 choice_holds(f->is_persistent, facts.is_persistent) &&
                 choice_holds(f->is_bound, vox_target_is_set(&facts.binding.of[TARGET_APPLICATION]));
    for (size_t i = 0; i < TARGET_COUNT && holds; i++)
        holds = target_holds(f, (enum target_kind)i, &facts.binding.of[i]);
    return holds;
}

static bool needs_status(const struct filters *f)
{
    return f->successful != CHOICE_ANY || f->in_progress != CHOICE_ANY || f->codes.count;
}

// `successful` compares with what the entry shows, so what shows none is neither true nor false.
static bool outcome_holds(const struct filters *f, const struct store_record *record)
{
    struct outcome o cleanup(vox_outcome_done);
    vox_outcome_of(&o, record, f->now_wall_ms);
    return (f->successful == CHOICE_ANY || f->successful == o.successful) &&
           choice_holds(f->in_progress, o.in_progress) && code_holds(f, o.status_code);
}

static bool keep(const void *arg, const struct store_record *record)
{
    const struct filters *f = arg;
    return (!f->sip_username.n || str_eq_cstr(f->sip_username, record->reg.username)) &&
           domain_holds(f, &record->reg) && facts_hold(f, &record->reg) &&
           (!needs_status(f) || outcome_holds(f, record));
}

// ---- asking

// Whether records must be read to tell: all but what `terms` and `id` answer whole.
static bool needs_keep(const struct filters *f)
{
    bool needs = needs_status(f) || f->deactivated != CHOICE_ANY || f->is_persistent != CHOICE_ANY ||
                 f->is_bound != CHOICE_ANY || f->domain_count > 1 || f->ids[TARGET_USER].count > 1;
    for (size_t i = 0; i < TARGET_COUNT; i++)
        needs = needs || f->names[i].count || (i != TARGET_USER && f->ids[i].count);
    return needs;
}

void vox_filters_query(const struct filters *f, struct str account, struct store_term *terms,
                       struct buf *user_key, struct store_query *ret)
{
    *ret = (struct store_query){.account = account, .offset = f->offset, .limit = f->count, .terms = terms};
    if (f->id) {
        ret->ids = &f->id;
        ret->id_count = 1;
    }
    if (f->sip_username.n)
        terms[ret->term_count++] = (struct store_term){"username", f->sip_username};
    if (f->domain_count == 1)
        terms[ret->term_count++] = (struct store_term){"domain", str_of(f->domains[0])};
    if (f->ids[TARGET_USER].count == 1) {
        const struct binding user = {.of[TARGET_USER] = {.id = f->ids[TARGET_USER].items[0]}};
        vox_binding_user_key(&user, user_key);
        terms[ret->term_count++] = (struct store_term){FACTS_USER_FIELD, buf_str(user_key)};
    }
    if (needs_keep(f) || (f->id && ret->term_count)) {
        ret->keep = keep;
        ret->keep_arg = f;
        ret->keep_reads_status = needs_status(f);
    }
}
