// See transaction.h. A slot keeps its buffers when it is free, so that a transaction allocates nothing.
#include "services/registrant/sip/transaction.h"

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/rng.h"

#include <stdlib.h>
#include <string.h>

#define T1_US         500000u
#define T2_US         4000000u
#define MAGIC_BYTES   (sizeof(BRANCH_MAGIC) - 1)
#define SLOT_DIGITS   8
#define SECRET_DIGITS 16
_Static_assert(BRANCH_BYTES == MAGIC_BYTES + SLOT_DIGITS + SECRET_DIGITS, "a branch is these three");

void transactions_init(struct transactions *all, uint64_t now_us)
{
    memset(all, 0, sizeof(*all));
    wheel_init(&all->timers, now_us);
}

static void release(struct transaction *t)
{
    resolve_cancel(t->resolving);
    buf_done(&t->names);
    buf_done(&t->text);
    buf_done(&t->wire);
    buf_done(&t->cause);
    free(t);
}

void transactions_done(struct transactions *all)
{
    for (uint32_t i = 0; i < all->slot_count; i++)
        release(all->slots[i]);
    free(all->slots);
    memset(all, 0, sizeof(*all));
}

static void add_slot(struct transactions *all)
{
    if (all->slot_count % 64 == 0)
        all->slots = mem_resize(all->slots, all->slot_count + 64, sizeof(struct transaction *));
    struct transaction *t = mem_alloc(sizeof(*t));
    t->slot = all->slot_count;
    all->slots[all->slot_count++] = t;
    LIST_INSERT_HEAD(&all->idle, t, link);
}

// A branch must tell nothing of the next one, which goes to another registrar.
static uint64_t secret(struct transactions *all)
{
    if (!all->random_left) {
        random_bytes(all->random, sizeof(all->random));
        all->random_left = ARRAY_LEN(all->random);
    }
    return all->random[--all->random_left];
}

struct transaction *transaction_new(struct transactions *all, uint64_t give_up_us)
{
    if (LIST_EMPTY(&all->idle))
        add_slot(all);
    struct transaction *t = LIST_FIRST(&all->idle);
    LIST_REMOVE(t, link);
    t->state = TRANSACTION_RESOLVING;
    t->secret = secret(all);
    t->resolving = NULL;
    t->local = NULL;
    t->flow = 0;
    t->by_size = t->provisional = t->another_target = false;
    t->unreadable = 0;
    t->resend_us = UINT64_MAX;
    t->give_up_us = give_up_us;
    wheel_set(&all->timers, &t->timer, give_up_us);
    all->under_way++;
    return t;
}

void transaction_free(struct transactions *all, struct transaction *t)
{
    transaction_leave(all, t);
    t->state = TRANSACTION_FREE;
    LIST_INSERT_HEAD(&all->idle, t, link);
    all->under_way--;
}

// ---- branches

static void add_hex(char **at, uint64_t value, unsigned digits)
{
    while (digits)
        *(*at)++ = "0123456789abcdef"[value >> 4 * --digits & 15];
}

static bool read_hex(struct str text, uint64_t *ret)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 16;
        if (digit > 15)
            return false;
        value = value << 4 | digit;
    }
    *ret = value;
    return true;
}

void transaction_branch(const struct transaction *t, char ret[BRANCH_BYTES])
{
    char *at = ret;
    memcpy(at, BRANCH_MAGIC, MAGIC_BYTES);
    at += MAGIC_BYTES;
    add_hex(&at, t->slot, SLOT_DIGITS);
    add_hex(&at, t->secret, SECRET_DIGITS);
}

struct transaction *transaction_find(const struct transactions *all, struct str branch)
{
    uint64_t slot, told;
    if (branch.n != BRANCH_BYTES || memcmp(branch.p, BRANCH_MAGIC, MAGIC_BYTES) != 0 ||
        !read_hex(str_slice(branch, MAGIC_BYTES, MAGIC_BYTES + SLOT_DIGITS), &slot) ||
        !read_hex(str_slice(branch, MAGIC_BYTES + SLOT_DIGITS, branch.n), &told) || slot >= all->slot_count)
        return NULL;
    struct transaction *t = all->slots[slot];
    return t->state == TRANSACTION_WAITING && t->secret == told ? t : NULL;
}

// ---- waiting

static struct transaction_list *waiters_of(struct transactions *all, const struct address *address,
                                           uint32_t flow)
{
    uint64_t key = flow;
    if (!flow && address->any.sa_family == AF_INET)
        key = (uint64_t)address->v4.sin_addr.s_addr << 16 | address->v4.sin_port;
    else if (!flow)
        key = hash_murmur2(str_of_bytes(&address->v6.sin6_addr, sizeof(address->v6.sin6_addr))) ^
              address->v6.sin6_port;
    return &all->waiters[hash_u64(key) % TRANSACTION_WAITERS];
}

static void set_timer(struct transactions *all, struct transaction *t)
{
    wheel_set(&all->timers, &t->timer, t->resend_us < t->give_up_us ? t->resend_us : t->give_up_us);
}

void transaction_sent(struct transactions *all, struct transaction *t, uint64_t now_us)
{
    t->state = TRANSACTION_WAITING;
    t->interval_us = T1_US;
    t->resend_us = t->to.kind == TRANSPORT_UDP ? now_us + T1_US : UINT64_MAX;
    LIST_INSERT_HEAD(waiters_of(all, &t->to.address, t->flow), t, link);
    set_timer(all, t);
}

void transaction_proceeds(struct transaction *t)
{
    t->provisional = true;
    t->interval_us = T2_US;
}

void transaction_hush(struct transactions *all, struct transaction *t)
{
    t->resend_us = UINT64_MAX;
    set_timer(all, t);
}

void transaction_leave(struct transactions *all, struct transaction *t)
{
    if (t->state == TRANSACTION_WAITING || t->state == TRANSACTION_FINISHED)
        LIST_REMOVE(t, link);
    t->state = TRANSACTION_RESOLVING;
    wheel_clear(&all->timers, &t->timer);
}

void transactions_waiting_for(struct transactions *all, const struct address *address, uint32_t flow,
                              struct transaction_list *ret_init)
{
    LIST_INIT(ret_init);
    struct transaction *t, *next;
    for (t = LIST_FIRST(waiters_of(all, address, flow)); t; t = next) {
        next = LIST_NEXT(t, link);
        if (t->flow != flow || (!flow && !address_equal(&t->to.address, address)))
            continue;
        LIST_REMOVE(t, link);
        LIST_INSERT_HEAD(ret_init, t, link);
    }
}

// ---- time

enum transaction_due transactions_due(struct transactions *all, uint64_t now_us, struct transaction **ret)
{
    struct wheel_node *node = wheel_pop(&all->timers, now_us);
    if (!node)
        return TRANSACTION_NOTHING_DUE;
    struct transaction *t = container_of(node, struct transaction, timer);
    *ret = t;
    if (now_us >= t->give_up_us)
        return TRANSACTION_GIVE_UP;
    t->interval_us = t->provisional || t->interval_us * 2 > T2_US ? T2_US : t->interval_us * 2;
    t->resend_us = now_us + t->interval_us;
    set_timer(all, t);
    return TRANSACTION_REPEAT;
}

uint64_t transactions_next_us(const struct transactions *all)
{
    return all->under_way ? wheel_next_us(&all->timers) : UINT64_MAX;
}
