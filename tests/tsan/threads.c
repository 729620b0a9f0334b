// C11's threads, mutexes and conditions in terms of pthread's, for builds under ThreadSanitizer only.
//
// ThreadSanitizer sees what pthread does and nothing of glibc's thrd_, mtx_ and cnd_ functions, which go past
// its interceptors. librdkafka as Debian builds it uses those: its threads would be unknown (a crash at their
// first intercepted call), and everything handed over by its queues would look unguarded. An executable's
// definitions come before the C library's, for librdkafka too. glibc says itself that the types are pthread's
// (threads.h), so nothing has to be kept beside them. It refuses what librdkafka does not call: no timed
// locks, no detached threads.
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

#define SECOND_NS 1000000000L

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "a mtx_t is made a pthread_mutex_t");
_Static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "a cnd_t is made a pthread_cond_t");
_Static_assert(sizeof(once_flag) >= sizeof(pthread_once_t), "a once_flag is made a pthread_once_t");

// ---- threads

struct entry {
    thrd_start_t run;
    void *arg;
};

static void *enter(void *arg)
{
    struct entry e = *(struct entry *)arg;
    free(arg);
    return (void *)(intptr_t)e.run(e.arg);
}

static int result_of(int error)
{
    switch (error) {
    case 0:
        return thrd_success;
    case EBUSY:
        return thrd_busy;
    case ENOMEM:
        return thrd_nomem;
    case ETIMEDOUT:
        return thrd_timedout;
    default:
        return thrd_error;
    }
}

int thrd_create(thrd_t *thread, thrd_start_t run, void *arg)
{
    struct entry *e = malloc(sizeof(*e));
    if (!e)
        return thrd_nomem;
    *e = (struct entry){.run = run, .arg = arg};
    int error = pthread_create(thread, NULL, enter, e);
    if (error)
        free(e);
    return result_of(error);
}

int thrd_join(thrd_t thread, int *ret_code)
{
    void *code = NULL;
    int error = pthread_join(thread, &code);
    if (!error && ret_code)
        *ret_code = (int)(intptr_t)code;
    return result_of(error);
}

// ---- mutexes

int mtx_init(mtx_t *mutex, int type)
{
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, type & mtx_recursive ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_NORMAL);
    int error = pthread_mutex_init((pthread_mutex_t *)mutex, &kind);
    pthread_mutexattr_destroy(&kind);
    return result_of(error);
}

void mtx_destroy(mtx_t *mutex)
{
    pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

int mtx_lock(mtx_t *mutex)
{
    return result_of(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

int mtx_trylock(mtx_t *mutex)
{
    return result_of(pthread_mutex_trylock((pthread_mutex_t *)mutex));
}

int mtx_unlock(mtx_t *mutex)
{
    return result_of(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

// ---- conditions

int cnd_init(cnd_t *condition)
{
    return result_of(pthread_cond_init((pthread_cond_t *)condition, NULL));
}

void cnd_destroy(cnd_t *condition)
{
    pthread_cond_destroy((pthread_cond_t *)condition);
}

int cnd_signal(cnd_t *condition)
{
    return result_of(pthread_cond_signal((pthread_cond_t *)condition));
}

int cnd_broadcast(cnd_t *condition)
{
    return result_of(pthread_cond_broadcast((pthread_cond_t *)condition));
}

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
    return result_of(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex));
}

int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until)
{
    return result_of(pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until));
}

// ---- once

void call_once(once_flag *flag, void (*run)(void))
{
    pthread_once((pthread_once_t *)flag, run);
}

// ---- what of pthread it does not know

// It knows the join by the wall clock alone; by another one a thread would seem to be joined by nobody.
int pthread_clockjoin_np(pthread_t thread, void **ret, clockid_t clock, const struct timespec *until)
{
    struct timespec now, by;
    (void)clock_gettime(clock, &now);
    (void)clock_gettime(CLOCK_REALTIME, &by);
    int64_t left_ns = (int64_t)(until->tv_sec - now.tv_sec) * SECOND_NS + until->tv_nsec - now.tv_nsec;
    left_ns += by.tv_nsec;
    by.tv_sec += left_ns / SECOND_NS;
    by.tv_nsec = left_ns % SECOND_NS;
    return pthread_timedjoin_np(thread, ret, &by);
}
