// See present.h.
#include "common/base/present.h"

void present_init(struct present *p, void *take_first)
{
    (void)pthread_mutex_init(&p->lock, NULL);
    p->held = take_first;
}

void *present_done(struct present *p)
{
    (void)pthread_mutex_destroy(&p->lock);
    return p->held;
}

void *present_get(struct present *p, void (*ref)(void *held))
{
    (void)pthread_mutex_lock(&p->lock);
    void *held = p->held;
    ref(held);
    (void)pthread_mutex_unlock(&p->lock);
    return held;
}

void *present_swap(struct present *p, void *take_next)
{
    (void)pthread_mutex_lock(&p->lock);
    void *former = p->held;
    p->held = take_next;
    (void)pthread_mutex_unlock(&p->lock);
    return former;
}
