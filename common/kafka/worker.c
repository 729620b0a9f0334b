// See worker.h.
#include "common/kafka/worker.h"

#include "common/base/mailbox.h"
#include "common/base/mem.h"

#include <event2/event.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

struct kafka_worker {
    pthread_t thread;
    atomic_bool stopping;
    // One job at a time is with the thread, so neither mailbox is ever full.
    struct mailbox *to_thread;
    struct mailbox *to_loop;
    struct event *finished;
    bool busy;
    STAILQ_HEAD(, kafka_job) waiting;
};

static struct kafka_job quit; // its address is the message

static void wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    (void)poll(&p, 1, -1);
}

static void *thread_main(void *arg)
{
    struct kafka_worker *w = arg;
    for (;;) {
        void *item;
        if (mailbox_pop(w->to_thread, &item, 1) == 0) {
            wait_readable(mailbox_fd(w->to_thread));
            continue;
        }
        if (item == &quit)
            return NULL;
        struct kafka_job *job = item;
        job->run(job);
        if (mailbox_push(w->to_loop, job) < 0)
            abort();
    }
}

static void start_next(struct kafka_worker *w)
{
    struct kafka_job *job = STAILQ_FIRST(&w->waiting);
    if (!job || w->busy)
        return;
    STAILQ_REMOVE_HEAD(&w->waiting, link);
    w->busy = true;
    if (mailbox_push(w->to_thread, job) < 0)
        abort();
}

static void take_finished(struct kafka_worker *w)
{
    void *item;
    while (mailbox_pop(w->to_loop, &item, 1) > 0) {
        struct kafka_job *job = item;
        w->busy = false;
        start_next(w); // the thread works on while `done` runs here
        job->done(job, true);
    }
}

static void on_finished(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    take_finished(arg);
}

struct kafka_worker *kafka_worker_new(struct event_base *base)
{
    struct kafka_worker *w = mem_alloc(sizeof(*w));
    STAILQ_INIT(&w->waiting);
    w->to_thread = mailbox_new(2); // a job and the order to quit
    w->to_loop = mailbox_new(1);
    w->finished = event_new(base, mailbox_fd(w->to_loop), EV_READ | EV_PERSIST, on_finished, w);
    if (!w->finished || event_add(w->finished, NULL) < 0)
        abort();
    if (pthread_create(&w->thread, NULL, thread_main, w) != 0)
        abort();
    return w;
}

void kafka_worker_post(struct kafka_worker *w, struct kafka_job *take_job)
{
    take_job->stopping = &w->stopping;
    STAILQ_INSERT_TAIL(&w->waiting, take_job, link);
    start_next(w);
}

void kafka_worker_free(struct kafka_worker *w)
{
    if (!w)
        return;
    STAILQ_HEAD(, kafka_job) left = STAILQ_HEAD_INITIALIZER(left);
    STAILQ_CONCAT(&left, &w->waiting);
    atomic_store(&w->stopping, true);
    if (mailbox_push(w->to_thread, &quit) < 0)
        abort();
    (void)pthread_join(w->thread, NULL);
    event_free(w->finished);
    take_finished(w);
    struct kafka_job *job;
    while ((job = STAILQ_FIRST(&left))) {
        STAILQ_REMOVE_HEAD(&left, link);
        job->done(job, false);
    }
    mailbox_free(w->to_thread);
    mailbox_free(w->to_loop);
    free(w);
}
