// See company.h. Two different ones are kept: who asked last, and who did before that one.
#include "services/gateway/fair/company.h"

#include "common/base/mem.h"

#include <pthread.h>
#include <stdlib.h>

#define OTHERS_US 1000000

struct asked {
    uint32_t who;
    uint64_t at_us; // 0: nobody did
};

struct company {
    pthread_mutex_t mutex;
    struct asked last, other;
};

struct company *company_new(void)
{
    struct company *c = mem_alloc(sizeof *c);
    if (pthread_mutex_init(&c->mutex, NULL))
        abort();
    return c;
}

void company_free(struct company *c)
{
    if (!c)
        return;
    (void)pthread_mutex_destroy(&c->mutex);
    free(c);
}

void company_note(struct company *c, uint32_t who, uint64_t now_us)
{
    (void)pthread_mutex_lock(&c->mutex);
    if (c->last.who != who)
        c->other = c->last;
    c->last = (struct asked){.who = who, .at_us = now_us};
    (void)pthread_mutex_unlock(&c->mutex);
}

bool company_is_alone(struct company *c, uint32_t who, uint64_t now_us)
{
    (void)pthread_mutex_lock(&c->mutex);
    struct asked someone = c->last.who == who ? c->other : c->last;
    (void)pthread_mutex_unlock(&c->mutex);
    // another thread may have looked at its clock a little later
    return !someone.at_us || (now_us > someone.at_us && now_us - someone.at_us >= OTHERS_US);
}
