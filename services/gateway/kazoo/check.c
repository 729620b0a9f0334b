// See check.h.
#include "services/gateway/kazoo/check.h"

#include "common/base/mem.h"
#include "services/gateway/kazoo/answer.h"

#include <stdlib.h>

struct work {
    struct check check;
    char *name, *credentials;
    size_t at;                     // of the users
    const struct principal *tried; // NULL: nobody, for the time that it takes
    bool has_tried;
};

static void work_free(void *arg)
{
    struct work *w = arg;
    mem_wipe(w->credentials, w->check.credentials.n);
    free(w->credentials);
    free(w->name);
    free(w);
}

static const char *hash_of(const struct work *w, const struct principal *p)
{
    return w->check.is_sha ? p->credentials_sha : p->credentials_md5;
}

// The next of the account's users who has such credentials.
static const struct principal *next_user(struct call *c)
{
    struct work *w = c->work;
    const struct principals *all = dialect_principals(&c->call, c->kazoo->shared);
    for (; w->check.account && w->at < principals_user_count(all); w->at++) {
        const struct principal *p = principals_user_at(all, w->at);
        if (p->account != w->check.account || !hash_of(w, p))
            continue;
        w->at++;
        return p;
    }
    return NULL;
}

// An account is one, by whichever of its names and in whatever case of it it is tried.
static struct str counted_name(const struct check *check)
{
    return check->account ? str_of(check->account->name) : check->name;
}

static void finish(struct call *c, const struct principal *p)
{
    struct work *w = c->work;
    void (*done)(struct call *, const struct principal *) = w->check.done;
    if (!p)
        dialect_login_failed(c->kazoo->shared, c->call.http, counted_name(&w->check));
    work_free(w);
    c->work = NULL;
    done(c, p);
}

static void try_next(struct call *c);

static void on_checked(void *arg, bool matches)
{
    struct call *c = arg;
    struct work *w = c->work;
    if (matches && w->tried)
        finish(c, w->tried);
    else
        try_next(c);
}

static void try_next(struct call *c)
{
    struct work *w = c->work;
    w->tried = next_user(c);
    if (!w->tried && w->has_tried) {
        finish(c, NULL);
        return;
    }
    const char *hash = w->tried ? hash_of(w, w->tried)
                                : principals_decoy_hash(dialect_principals(&c->call, c->kazoo->shared));
    w->has_tried = true;
    if (!dialect_check_password(c->kazoo->shared, &c->call, hash, w->check.credentials, on_checked, c,
                                kazoo_answer_stopping))
        kazoo_answer_problem(c, PROBLEM_UNREACHABLE, STR_LIT("too many logins are being checked"));
}

static void fold(char *text)
{
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'F')
            *text = (char)(*text - 'A' + 'a');
}

void kazoo_check_credentials(struct call *c, const struct check *check)
{
    struct throttle_answer may = dialect_throttle_login(c->kazoo->shared, c->call.http, counted_name(check));
    if (!may.passes) {
        c->tokens_held = may;
        kazoo_answer_problem(c, PROBLEM_TOO_MANY, STR_NONE);
        return;
    }
    struct work *w = mem_alloc(sizeof *w);
    w->check = *check;
    w->name = str_dup(check->name);
    w->credentials = str_dup(check->credentials);
    fold(w->credentials);
    w->check.name = str_of_bytes(w->name, check->name.n);
    w->check.credentials = str_of_bytes(w->credentials, check->credentials.n);
    c->work = w;
    c->work_free = work_free;
    try_next(c);
}
