// See catalogue.h.
#include "services/gateway/voximplant/catalogue.h"

#include "common/base/mem.h"
#include "services/gateway/voximplant/answer.h"

#include <stdlib.h>

static const struct json *own(const struct account *a)
{
    return json_get(a->settings, "voximplant");
}

static const struct json *applications(const struct account *a)
{
    const struct json *list = json_get(own(a), vox_target_words(TARGET_APPLICATION)->list);
    return json_is(list, JSON_ARRAY) ? list : NULL;
}

// The member of a list that `t` names, by id where it has one.
static const struct json *find(const struct json *list, const struct target *t)
{
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *item = json_at(list, i);
        bool hit = t->id ? json_u64_or(json_get(item, "id"), 0) == t->id
                         : t->name && str_eq_cstr(json_str(json_get(item, "name")), t->name);
        if (hit)
            return item;
    }
    return NULL;
}

// The same over all applications; *ret_application is the one that has it.
static const struct json *find_anywhere(const struct json *list, enum target_kind kind,
                                        const struct target *t, const struct json **ret_application)
{
    for (size_t i = 0; i < json_count(list); i++) {
        *ret_application = json_at(list, i);
        const struct json *item = find(json_get(*ret_application, vox_target_words(kind)->list), t);
        if (item)
            return item;
    }
    return NULL;
}

static void take(struct target *t, const struct json *item)
{
    struct str name = json_str(json_get(item, "name"));
    t->id = json_u64_or(json_get(item, "id"), 0);
    free(t->name);
    t->name = name.n ? str_dup(name) : NULL;
}

static bool unknown(enum target_kind kind, const struct target *t, struct fault *fault)
{
    const struct target_words *w = vox_target_words(kind);
    if (t->id)
        return vox_fault_set(fault, w->bad_id, "The parameter '%s' is invalid: there is no %s %llu.", w->id,
                             w->kind, (unsigned long long)t->id);
    return vox_fault_set(fault, w->bad_name, "The parameter '%s' is invalid: there is no %s '%.100s'.",
                         w->name, w->kind, t->name);
}

// A rule or a user: of the application where one is given, else of any.
static bool resolve_part(const struct json *list, enum target_kind kind, struct binding *asked,
                         struct fault *fault)
{
    struct target *t = &asked->of[kind], *application = &asked->of[TARGET_APPLICATION];
    const struct json *owner = NULL, *item;
    if (!vox_target_is_set(t))
        return true;
    bool within = vox_target_is_set(application);
    item = within ? find(json_get(find(list, application), vox_target_words(kind)->list), t)
                  : find_anywhere(list, kind, t, &owner);
    if (!item && within && kind == TARGET_USER && find_anywhere(list, kind, t, &owner))
        return vox_fault_set(fault, CODE_USER_NOT_BOUND_TO_THE_APPLICATION,
                             "The user is not bound to the application '%.100s'.", application->name);
    if (!item)
        return unknown(kind, t, fault);
    take(t, item);
    if (!within && kind == TARGET_RULE)
        take(application, owner);
    return true;
}

bool vox_catalogue_resolve(const struct account *a, struct binding *asked, struct fault *fault)
{
    const struct json *list = applications(a);
    struct target *application = &asked->of[TARGET_APPLICATION];
    if (!list)
        return true;
    if (vox_target_is_set(application)) {
        const struct json *item = find(list, application);
        if (!item)
            return unknown(TARGET_APPLICATION, application, fault);
        take(application, item);
    }
    return resolve_part(list, TARGET_RULE, asked, fault) && resolve_part(list, TARGET_USER, asked, fault);
}

struct str vox_catalogue_name(const struct account *a, enum target_kind kind, uint64_t id)
{
    const struct target t = {.id = id};
    const struct json *list = applications(a), *owner;
    const struct json *item =
        kind == TARGET_APPLICATION ? find(list, &t) : find_anywhere(list, kind, &t, &owner);
    return json_str(json_get(item, "name"));
}

// `form` has 0 where a digit must stand. Clients refuse dates of another form.
static struct str text_of_form(const struct json *v, struct str form)
{
    struct str text = json_str(v);
    bool good = text.n == form.n;
    for (size_t i = 0; good && i < text.n; i++)
        good = form.p[i] == '0' ? text.p[i] >= '0' && text.p[i] <= '9' : text.p[i] == form.p[i];
    return good ? text : STR_NONE;
}

static struct str or_else(struct str text, struct str otherwise)
{
    return text.n ? text : otherwise;
}

struct terms vox_catalogue_terms(const struct account *a)
{
    const struct json *o = own(a), *price = json_get(o, "subscription_price");
    struct str balance = json_number_text(json_get(o, "balance"));
    struct terms t = {
        .currency = or_else(json_str(json_get(o, "currency")), STR_LIT("USD")),
        .balance = or_else(balance, STR_LIT("0")),
        .frozen = json_bool(json_get(o, "frozen"), false),
        .subscription_price = or_else(or_else(json_str(price), json_number_text(price)), STR_LIT("0.00")),
        .next_renewal = text_of_form(json_get(o, "next_subscription_renewal"), STR_LIT("0000-00-00")),
        .purchase_date = text_of_form(json_get(o, "purchase_date"), STR_LIT("0000-00-00 00:00:00")),
        .max_registrations = json_u64_or(json_get(o, "max_registrations"), 0),
    };
    char *price_text cleanup(mem_free_cstr) = str_dup(t.subscription_price);
    t.too_poor = balance.n && json_double_or(json_get(o, "balance"), 0) < strtod(price_text, NULL);
    return t;
}
