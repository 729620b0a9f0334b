// See binding.h.
#include "services/gateway/voximplant/binding.h"

#include "common/base/mem.h"
#include "common/sip/uri.h"
#include "services/gateway/voximplant/answer.h"

#include <stdlib.h>
#include <string.h>

static const struct target_words words[TARGET_COUNT] = {
    [TARGET_APPLICATION] = {"application", "application_id", "application_name", "applications",
                            CODE_INVALID_APPLICATION_ID, CODE_INVALID_APPLICATION_NAME},
    [TARGET_RULE] = {"rule", "rule_id", "rule_name", "rules", CODE_INVALID_RULE_ID, CODE_INVALID_RULE_NAME},
    [TARGET_USER] = {"user", "user_id", "user_name", "users", CODE_INVALID_USER_ID, CODE_INVALID_USER_ID},
};

const struct target_words *vox_target_words(enum target_kind kind)
{
    return &words[kind];
}

static void target_clear(struct target *t)
{
    free(t->name);
    *t = (struct target){.id = 0};
}

static void target_set(struct target *t, const struct target *from)
{
    char *name = mem_dup_cstr(from->name);
    free(t->name);
    *t = (struct target){.id = from->id, .name = name};
}

void vox_binding_done(struct binding *b)
{
    for (size_t i = 0; i < TARGET_COUNT; i++)
        target_clear(&b->of[i]);
}

void vox_binding_copy(struct binding *to, const struct binding *from)
{
    *to = (struct binding){0};
    for (size_t i = 0; i < TARGET_COUNT; i++)
        target_set(&to->of[i], &from->of[i]);
}

bool vox_target_is_set(const struct target *t)
{
    return t->id || t->name;
}

bool vox_target_equals(const struct target *a, const struct target *b)
{
    if (a->id && b->id)
        return a->id == b->id;
    return a->name && b->name && !strcmp(a->name, b->name);
}

#define NAME_BYTES_MAX 255

static bool check_name(struct str name, const char *parameter, struct fault *fault)
{
    if (name.n > NAME_BYTES_MAX)
        return vox_fault_set(fault, CODE_INVALID_ARGUMENTS,
                             "The parameter '%s' is invalid: it is longer than %d bytes.", parameter,
                             NAME_BYTES_MAX);
    if (!sip_text_is_safe(
            name)) // what is no text is kept otherwise than it came, and would not be found again
        return vox_fault_set(fault, CODE_INVALID_ARGUMENTS,
                             "The parameter '%s' is invalid: it holds control characters or is not UTF-8.",
                             parameter);
    return true;
}

static bool read_target(const struct params *p, enum target_kind kind, struct target *ret,
                        struct fault *fault)
{
    const struct target_words *w = &words[kind];
    struct str name = vox_params_get(p, w->name);
    if (!vox_params_id(p, w->id, &ret->id, fault))
        return false;
    if (ret->id && name.n)
        return vox_fault_set(fault, CODE_ONLY_ONE_OF_PARAMETERS,
                             "Only one of the parameters '%s' and '%s' may be given.", w->id, w->name);
    if (!name.n)
        return true;
    ret->name = str_dup(name);
    return check_name(name, w->name, fault);
}

// A rule by its id says which application it means; a rule's name and all of a user do not.
static bool check_application(const struct binding *b, struct fault *fault)
{
    const struct target *user = &b->of[TARGET_USER], *rule = &b->of[TARGET_RULE];
    const char *given = rule->name ? "rule_name" : user->id ? "user_id" : user->name ? "user_name" : NULL;
    if (!given || vox_target_is_set(&b->of[TARGET_APPLICATION]))
        return true;
    return vox_fault_set(fault, CODE_REQUIRED_IS_EMPTY,
                         "The parameter 'application_id' or 'application_name' is required with '%s'.",
                         given);
}

bool vox_binding_read(const struct params *p, bool needs_application, struct binding *ret,
                      struct fault *fault)
{
    *ret = (struct binding){0};
    bool good = true;
    for (size_t i = 0; i < TARGET_COUNT && good; i++)
        good = read_target(p, (enum target_kind)i, &ret->of[i], fault);
    if (good && needs_application)
        good = check_application(ret, fault);
    if (!good)
        vox_binding_done(ret);
    return good;
}

void vox_binding_merge(struct binding *held, const struct binding *asked)
{
    const struct target *application = &asked->of[TARGET_APPLICATION];
    if (vox_target_is_set(application) && !vox_target_equals(application, &held->of[TARGET_APPLICATION]))
        vox_binding_done(held);
    for (size_t i = 0; i < TARGET_COUNT; i++)
        if (vox_target_is_set(&asked->of[i]))
            target_set(&held->of[i], &asked->of[i]);
}

// An application that is asked for with a rule or a user only says whose it is.
static bool fits(const struct binding *held, const struct binding *asked)
{
    for (size_t i = 0; i < TARGET_COUNT; i++)
        if (vox_target_is_set(&asked->of[i]) && !vox_target_equals(&asked->of[i], &held->of[i]))
            return false;
    return true;
}

void vox_binding_remove(struct binding *held, const struct binding *asked)
{
    bool rule = vox_target_is_set(&asked->of[TARGET_RULE]), user = vox_target_is_set(&asked->of[TARGET_USER]);
    if (!fits(held, asked))
        return;
    if (!rule && !user)
        vox_binding_done(held);
    if (rule)
        target_clear(&held->of[TARGET_RULE]);
    if (user)
        target_clear(&held->of[TARGET_USER]);
}

void vox_binding_user_key(const struct binding *b, struct buf *out)
{
    const struct target *user = &b->of[TARGET_USER], *application = &b->of[TARGET_APPLICATION];
    if (user->id) {
        buf_addf(out, "id:%llu", (unsigned long long)user->id);
    } else if (user->name) {
        buf_addf(out, "name:%s@", user->name);
        if (application->id)
            buf_add_u64(out, application->id);
        else if (application->name)
            buf_add_cstr(out, application->name);
    }
}
