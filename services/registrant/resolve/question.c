// See question.h.
#include "services/registrant/resolve/question.h"

#include "common/base/keyed_table.h"
#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

#define MAX_QUESTIONS      262144u
#define SWEEP_AT_ONCE      512u
#define SECOND_US          1000000u
#define TTL_MAX_S          86400u
#define NEGATIVE_MAX_S     300u
#define NEGATIVE_UNKNOWN_S 30u
#define FAILED_S           10u // so long is not asked again what could not be answered (RFC 2308 7)

LIST_HEAD(wait_list, question_wait);

struct question {
    UT_hash_handle hh;
    struct questions *all;
    struct wait_list waiting;
    bool asking;
    uint64_t answered_us, expires_us, used_us; // answered 0: never
    struct dns_answer answer;
    char key[]; // type, name, NUL
};

struct questions {
    struct dns *dns;
    uint64_t (*now_us)(void);
    void (*answered)(struct question_wait *w);
    struct question *table;
    struct question *sweep; // where it goes on; NULL: at the beginning
    uint64_t asked, failed;
};

struct questions *questions_new(struct dns *dns, uint64_t (*now_us)(void),
                                void (*answered)(struct question_wait *w))
{
    struct questions *all = mem_alloc(sizeof(*all));
    *all = (struct questions){.dns = dns, .now_us = now_us, .answered = answered};
    return all;
}

static void forget(struct question *q)
{
    if (q->all->sweep == q)
        q->all->sweep = q->hh.next;
    HASH_DEL(q->all->table, q);
    dns_answer_done(&q->answer);
    free(q);
}

void questions_free(struct questions *all)
{
    if (!all)
        return;
    while (all->table)
        forget(all->table);
    free(all);
}

struct question *questions_get(struct questions *all, enum dns_type type, const char *name)
{
    char key[1 + DNS_NAME_BYTES];
    size_t bytes = strlen(name) + 2;
    key[0] = (char)type;
    memcpy(key + 1, name, bytes - 1);
    struct question *q;
    HASH_FIND(hh, all->table, key, bytes, q);
    if (!q) {
        if (HASH_COUNT(all->table) >= MAX_QUESTIONS)
            return NULL;
        q = mem_alloc(sizeof(*q) + bytes);
        q->all = all;
        memcpy(q->key, key, bytes);
        HASH_ADD_KEYPTR(hh, all->table, q->key, bytes, q);
    }
    q->used_us = all->now_us();
    return q;
}

const struct dns_answer *question_answer(const struct question *q, uint64_t since_us, uint64_t now_us,
                                         uint64_t *ret_expires_us)
{
    if (!q->answered_us || (now_us >= q->expires_us && q->answered_us < since_us))
        return NULL;
    *ret_expires_us = q->expires_us;
    return &q->answer;
}

static uint32_t holds_for_s(const struct dns_answer *a)
{
    if (a->outcome == DNS_FAILED)
        return FAILED_S;
    uint32_t most = a->outcome == DNS_NONE ? NEGATIVE_MAX_S : TTL_MAX_S;
    if (a->outcome == DNS_NONE && a->ttl_s == DNS_NEGATIVE_UNKNOWN)
        return NEGATIVE_UNKNOWN_S;
    return a->ttl_s < most ? a->ttl_s : most;
}

static void on_answer(void *arg, struct dns_answer *take_answer)
{
    struct question *q = arg;
    dns_answer_done(&q->answer);
    q->answer = *take_answer;
    q->all->failed += q->answer.outcome == DNS_FAILED;
    q->asking = false;
    q->answered_us = q->all->now_us();
    q->expires_us = q->answered_us + (uint64_t)holds_for_s(&q->answer) * SECOND_US;
    // Who waits anew from inside waits for the next answer.
    struct wait_list waiting = {.lh_first = LIST_FIRST(&q->waiting)};
    if (waiting.lh_first)
        waiting.lh_first->link.le_prev = &waiting.lh_first;
    LIST_INIT(&q->waiting);
    struct question_wait *w;
    while ((w = LIST_FIRST(&waiting))) {
        question_unlink(w);
        q->all->answered(w);
    }
}

void question_wait(struct question *q, struct question_wait *w)
{
    LIST_INSERT_HEAD(&q->waiting, w, link);
    if (q->asking)
        return;
    q->asking = true;
    q->all->asked++;
    dns_ask(q->all->dns, (enum dns_type)q->key[0], q->key + 1, on_answer, q);
}

void question_unlink(struct question_wait *w)
{
    LIST_REMOVE(w, link);
}

void questions_sweep(struct questions *all, uint64_t now_us, uint64_t unused_us)
{
    struct question *q = all->sweep ? all->sweep : all->table;
    for (size_t i = 0; q && i < SWEEP_AT_ONCE; i++) {
        struct question *next = q->hh.next;
        if (!q->asking && LIST_EMPTY(&q->waiting) && now_us >= q->expires_us &&
            now_us - q->used_us > unused_us)
            forget(q);
        q = next;
    }
    all->sweep = q;
}

void questions_counts(const struct questions *all, uint64_t *ret_asked, uint64_t *ret_failed)
{
    *ret_asked = all->asked;
    *ret_failed = all->failed;
}
