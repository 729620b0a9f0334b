// GET registrations/count: how many live bindings an account has, or all accounts together (contract 5).
#include "common/base/mem.h"
#include "services/gateway/kazoo/answer.h"
#include "services/gateway/kazoo/handlers.h"

#include <stdlib.h>

struct counting {
    size_t next_account; // of all, where the system asks
    uint64_t sum;
};

static void next_account(struct call *c);

static void answer_sum(struct call *c)
{
    const struct counting *n = c->work;
    struct buf data cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&data);
    json_begin_object(&w);
    json_kv_u64(&w, "count", n->sum);
    json_end_object(&w);
    kazoo_answer_data(c, 200, buf_str(&data));
}

static void on_count(void *arg, int rc, uint64_t count, const struct error *err)
{
    struct call *c = arg;
    struct counting *n = c->work;
    n->sum += count;
    if (rc)
        kazoo_answer_failure(c, rc, err);
    else if (c->call.account)
        answer_sum(c);
    else
        next_account(c);
}

static void next_account(struct call *c)
{
    struct counting *n = c->work;
    const struct principals *all = dialect_principals(&c->call, c->kazoo->shared);
    if (n->next_account == principals_account_count(all)) {
        answer_sum(c);
        return;
    }
    const struct account *a = principals_account_at(all, n->next_account++);
    store_count(kazoo_call_store(c), str_of(a->name), true, on_count, c);
}

void kazoo_count_run(struct call *c)
{
    c->work = mem_alloc(sizeof(struct counting));
    c->work_free = free;
    if (c->call.account)
        store_count(kazoo_call_store(c), str_of(c->call.account->name), true, on_count, c);
    else
        next_account(c);
}
