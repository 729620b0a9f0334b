// Operations one after the other, in memory: what each leaves is what the next one finds.
#include "services/gateway/yeti/coerce.h"
#include "services/gateway/yeti/operations.h"
#include "services/gateway/yeti/registrations.h"
#include "services/gateway/yeti/validate.h"

#include <string.h>

static void name_subject(struct operations *o, struct subject *s)
{
    HASH_ADD_KEYPTR(hh_name, o->by_name, s->now.name, (unsigned)strlen(s->now.name), s);
}

static void unname_subject(struct operations *o, struct subject *s)
{
    HASH_DELETE(hh_name, o->by_name, s);
}

// Names of registrations that no operation is about are the store's to judge.
static bool is_taken(const struct operations *o, const struct subject *s, const char *name)
{
    struct subject *other;
    HASH_FIND(hh_name, o->by_name, name, (unsigned)strlen(name), other);
    return other && other != s;
}

void operations_refuse_name(struct call *c, size_t n)
{
    operations_point(&c->errors, n, "");
    errors_add_invalid(&c->errors, POINTER_ATTRIBUTE, attribute_at(ATTRIBUTE_NAME)->name, MESSAGE_TAKEN);
}

static void show(struct call *c, struct action *a, const struct registration *r)
{
    const struct credential *first = &r->credentials[0];
    bool is_clear = c->yeti->params.clear_passwords && r->credential_count && first->clear && first->secret;
    values_done(&a->shown);
    if (is_clear)
        values_of(&a->shown, r, first->secret);
    else
        registrations_values(c, r, &a->shown);
    a->shows = true;
}

// What the action makes of the registration; `r` is what was there before, or new.
static bool make(struct call *c, struct action *a, size_t n, struct draft *d, struct registration *r)
{
    operations_point(&c->errors, n, "");
    draft_apply(d, &a->body, !c->yeti->params.clear_passwords);
    return draft_check(d, c->pops_loaded ? &c->pops : NULL, c->nodes_loaded ? &c->nodes : NULL, &c->errors) &&
           draft_to(d, r, &c->errors);
}

static bool put(struct call *c, struct operations *o, size_t n, struct registration *take_made)
{
    struct action *a = &o->actions[n];
    struct subject *s = a->subject;
    bool renamed = !s->lives || strcmp(s->now.name, take_made->name) != 0;
    if (renamed && is_taken(o, s, take_made->name)) {
        registration_done(take_made);
        operations_refuse_name(c, n);
        return false;
    }
    if (s->lives)
        unname_subject(o, s);
    registration_done(&s->now);
    s->now = *take_made;
    s->lives = true;
    s->named_by = renamed ? n : s->named_by;
    name_subject(o, s);
    if (!a->relation)
        show(c, a, &s->now);
    return true;
}

static bool add(struct call *c, struct operations *o, size_t n)
{
    struct draft d cleanup(draft_done) = {.has_password = false};
    struct registration made;
    registration_init(&made);
    made.account = str_dup(call_account(c));
    values_init(&d.values);
    if (make(c, &o->actions[n], n, &d, &made))
        return put(c, o, n, &made);
    registration_done(&made);
    return false;
}

static bool update(struct call *c, struct operations *o, size_t n)
{
    const struct registration *now = &o->actions[n].subject->now;
    struct draft d cleanup(draft_done);
    struct registration made;
    draft_of(&d, now);
    registration_copy(&made, now);
    if (make(c, &o->actions[n], n, &d, &made))
        return put(c, o, n, &made);
    registration_done(&made);
    return false;
}

static bool refuse_absent(struct call *c, const struct subject *s, size_t n)
{
    struct buf id cleanup(buf_done) = BUF_INIT;
    if (s->id)
        buf_add_u64(&id, s->id);
    else
        buf_add_str(&id, s->lid);
    operations_point(&c->errors, n, "");
    errors_add(&c->errors, PROBLEM_NO_RECORD, buf_str(&id), STR_NONE);
    return false;
}

static bool apply(struct call *c, struct operations *o, size_t n)
{
    struct subject *s = o->actions[n].subject;
    if (o->actions[n].kind == ACTION_ADD)
        return add(c, o, n);
    if (!s->lives)
        return refuse_absent(c, s, n);
    if (o->actions[n].kind == ACTION_UPDATE)
        return update(c, o, n);
    unname_subject(o, s);
    s->lives = false;
    return true;
}

bool operations_apply(struct call *c, struct operations *o)
{
    for (size_t i = 0; i < o->subject_count; i++)
        if (o->subjects[i].lives)
            name_subject(o, &o->subjects[i]);
    for (size_t n = 0; n < o->action_count; n++)
        if (!apply(c, o, n))
            return false;
    c->errors.at[0] = '\0';
    return true;
}

void operations_forget(struct operations *o)
{
    HASH_CLEAR(hh_name, o->by_name);
    for (size_t i = 0; i < o->subject_count; i++) {
        struct subject *s = &o->subjects[i];
        registration_done(&s->before);
        registration_done(&s->now);
        s->before = s->now = (struct registration){.id = 0};
        s->existed = s->lives = false;
    }
    for (size_t i = 0; i < o->action_count; i++) {
        values_done(&o->actions[i].shown);
        o->actions[i].shows = false;
    }
}
