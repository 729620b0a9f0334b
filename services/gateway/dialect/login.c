// Passwords are checked in turn: see dialect.h. One thread hashes for the whole gateway; what is given to it
// at a time is kept short, so that a flood of logins from one address costs another's only the few before it.
#include "common/base/mem.h"
#include "services/gateway/dialect/dialect.h"

#include <stdlib.h>

struct dialect_login {
    struct password_client *passwords;
    char *hash, *password;
    size_t password_bytes;
    password_fn *fn;
    void *arg;
    void (*drop)(struct dialect_call *c);
};

void dialect_login_free(struct dialect_login *l)
{
    if (!l)
        return;
    mem_wipe(l->password, l->password_bytes);
    free(l->password);
    free(l->hash);
    free(l);
}

static void end(struct dialect_call *c)
{
    dialect_login_free(c->login);
    c->login = NULL;
    c->in_password_check = false;
    fair_give_back(&c->ticket);
}

// The call is there: what waits for this ends only with it, or when the gateway stops, and then this is not
// called.
static void on_checked(void *arg, bool matches)
{
    struct dialect_call *c = arg;
    password_fn *fn = c->login->fn;
    void *fn_arg = c->login->arg;
    end(c);
    fn(fn_arg, matches);
}

static void run(struct fair_ticket *t)
{
    struct dialect_call *c = container_of(t, struct dialect_call, ticket);
    const struct dialect_login *l = c->login;
    void (*drop)(struct dialect_call *) = l->drop;
    struct str password = str_of_bytes(l->password, l->password_bytes);
    if (!fair_is_closed(t) && !http_is_gone(c->http) &&
        password_check(l->passwords, l->hash, password, on_checked, c))
        return;
    end(c);
    drop(c);
}

bool dialect_check_password(const struct dialect_shared *shared, struct dialect_call *c, const char *hash,
                            struct str password, password_fn *fn, void *arg,
                            void (*drop)(struct dialect_call *c))
{
    struct buf scratch cleanup(buf_done) = BUF_INIT;
    unsigned char network[16];
    struct str who = throttle_address(dialect_client(shared, c->http, &scratch), network);
    struct dialect_login *l = mem_alloc(sizeof(*l));
    *l = (struct dialect_login){.passwords = shared->passwords,
                                .hash = mem_dup_cstr(hash),
                                .password = str_dup(password),
                                .password_bytes = password.n,
                                .fn = fn,
                                .arg = arg,
                                .drop = drop};
    c->login = l;
    c->in_password_check = true;
    http_prefer(c->http, false);
    if (fair_ask(shared->fair, &c->ticket, FAIR_LOGINS, who, 1, run) != FAIR_FULL)
        return true; // and the call may be over
    http_answer_late(c->http);
    c->in_password_check = false;
    c->login = NULL;
    dialect_login_free(l);
    return false;
}
