// See password_worker.h. One thread hashes; each client's answers come back through its own mailbox.
#include "services/gateway/auth/password_worker.h"

#include "common/base/mailbox.h"
#include "common/base/mem.h"

#include <crypt.h>
#include <event2/event.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE = 1024 }; // 16 of each of as many loops as there may be

struct job {
    struct password_client *client;
    char *hash;
    char *password;
    size_t password_bytes;
    password_fn *fn;
    void *arg;
    bool matches;
};

// Lives until its last job is back, so that the worker never answers into freed memory.
struct password_client {
    struct password_worker *worker;
    struct mailbox *answers;
    struct event *event;
    atomic_uint refs;   // the owner and every job under way
    bool closed;        // loop thread only, as is:
    unsigned under_way; // checks whose answers were not given yet
};

struct password_worker {
    pthread_t thread;
    struct mailbox *jobs;
    atomic_bool stopping;
};

static void job_free(struct job *j)
{
    mem_wipe(j->password, j->password_bytes);
    free(j->password);
    free(j->hash);
    free(j);
}

static void client_unref(struct password_client *c)
{
    if (atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    void *left;
    while (mailbox_pop(c->answers, &left, 1))
        job_free(left);
    mailbox_free(c->answers);
    free(c);
}

static void check(struct job *j)
{
    struct crypt_data *data = mem_alloc(sizeof(*data));
    const char *made = crypt_r(j->password, j->hash, data);
    size_t length = strlen(j->hash);
    bool whole = strlen(j->password) == j->password_bytes; // crypt would stop at a NUL
    j->matches = whole && made && strlen(made) == length && CRYPTO_memcmp(made, j->hash, length) == 0;
    mem_wipe(data, sizeof(*data));
    free(data);
}

static void *run(void *arg)
{
    struct password_worker *w = arg;
    struct pollfd wait = {.fd = mailbox_fd(w->jobs), .events = POLLIN};
    while (!atomic_load(&w->stopping)) {
        (void)poll(&wait, 1, 200);
        void *item;
        while (mailbox_pop(w->jobs, &item, 1)) {
            struct job *j = item;
            struct password_client *c = j->client;
            check(j);
            if (mailbox_push(c->answers, j))
                job_free(j); // cannot be: see password_check
            client_unref(c);
        }
    }
    return NULL;
}

struct password_worker *password_worker_start(void)
{
    struct password_worker *w = mem_alloc(sizeof(*w));
    w->jobs = mailbox_new(QUEUE);
    if (pthread_create(&w->thread, NULL, run, w) != 0)
        abort();
    return w;
}

void password_worker_stop(struct password_worker *w)
{
    atomic_store(&w->stopping, true);
    (void)pthread_join(w->thread, NULL);
    void *item;
    while (mailbox_pop(w->jobs, &item, 1)) {
        struct job *j = item;
        client_unref(j->client);
        job_free(j);
    }
    mailbox_free(w->jobs);
    free(w);
}

static void on_answers(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct password_client *c = arg;
    (void)atomic_fetch_add(&c->refs, 1); // an answer may free the client
    void *item;
    while (mailbox_pop(c->answers, &item, 1)) {
        struct job *j = item;
        c->under_way--;
        if (!c->closed)
            j->fn(j->arg, j->matches);
        job_free(j);
    }
    client_unref(c);
}

struct password_client *password_client_new(struct password_worker *w, struct event_base *base)
{
    struct password_client *c = mem_alloc(sizeof(*c));
    c->worker = w;
    c->refs = 1;
    c->answers = mailbox_new(QUEUE);
    c->event = event_new(base, mailbox_fd(c->answers), EV_READ | EV_PERSIST, on_answers, c);
    (void)event_add(c->event, NULL);
    return c;
}

void password_client_free(struct password_client *c)
{
    event_free(c->event);
    c->closed = true;
    client_unref(c);
}

// A client has no more checks under way than its mailbox holds answers: a loop that was busy meanwhile finds
// them all there.
bool password_check(struct password_client *c, const char *hash, struct str password, password_fn *fn,
                    void *arg)
{
    if (c->under_way == QUEUE)
        return false;
    struct job *j = mem_alloc(sizeof(*j));
    *j = (struct job){.client = c, .hash = mem_dup_cstr(hash), .fn = fn, .arg = arg};
    j->password = str_dup(password);
    j->password_bytes = password.n;
    (void)atomic_fetch_add(&c->refs, 1);
    if (mailbox_push(c->worker->jobs, j) == 0) {
        c->under_way++;
        return true;
    }
    (void)atomic_fetch_sub(&c->refs, 1);
    job_free(j);
    return false;
}
