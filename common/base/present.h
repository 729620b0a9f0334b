// The present one of something that is replaced whole while others use it: a ring of keys, the principals, a
// certificate. Whoever takes it has a reference of its own and goes on with that, whatever comes next. Any
// thread. Refuses to know what it is: how it is referenced and let go is its owner's.
#ifndef ROLLCALL_BASE_PRESENT_H
#define ROLLCALL_BASE_PRESENT_H

#include <pthread.h>

struct present {
    pthread_mutex_t lock;
    void *held; // one reference
};

void present_init(struct present *p, void *take_first);
void *present_done(struct present *p); // gives what it held, which the caller lets go
// `ref` takes a reference for the caller, so that nobody lets it go in between.
void *present_get(struct present *p, void (*ref)(void *held));
void *present_swap(struct present *p, void *take_next); // gives the former one, which the caller lets go

#endif
