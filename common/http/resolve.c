// See resolve.h. The C library's own lookup, on a thread that lives as long as it takes: it knows nsswitch,
// hosts and search lists, and its result is the only thing that passes between the threads.
#include "common/http/resolve.h"

#include "common/base/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

// Shared with the thread; whoever lets go last frees it.
struct lookup {
    atomic_int holders;
    char *host;
    char port[8];
    int done_fd;          // readable once there is an answer
    atomic_bool answered; // hands `result` and `found` over
    int result;
    struct addrinfo *found;
};

struct resolve {
    struct lookup *lookup;
    void (*on_done)(void *arg, const struct error *err);
    void *arg;
    struct event *done;
    struct addrinfo *next;
};

static void let_go(struct lookup *l)
{
    if (atomic_fetch_sub(&l->holders, 1) > 1)
        return;
    if (l->found)
        freeaddrinfo(l->found);
    if (l->done_fd >= 0)
        (void)close(l->done_fd);
    free(l->host);
    free(l);
}

static void look_up(struct lookup *l, int flags)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    const uint64_t one = 1;
    l->result = getaddrinfo(l->host, l->port, &hints, &l->found);
    if (flags & AI_NUMERICHOST && l->result)
        return;
    atomic_store(&l->answered, true);
    if (write(l->done_fd, &one, sizeof(one)) != sizeof(one))
        abort();
}

static void *thread_main(void *arg)
{
    look_up(arg, 0);
    let_go(arg);
    return NULL;
}

// Signals stay with the threads that expect them.
static int start_thread(struct lookup *l)
{
    sigset_t all, before;
    pthread_t thread;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_fetch_add(&l->holders, 1);
    int rc = pthread_create(&thread, NULL, thread_main, l);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc)
        atomic_fetch_sub(&l->holders, 1);
    else
        (void)pthread_detach(thread);
    return rc;
}

static void on_done(evutil_socket_t fd, short what, void *arg)
{
    struct resolve *r = arg;
    struct lookup *l = r->lookup;
    struct error err;
    if (!atomic_load(&l->answered))
        l->result = EAI_AGAIN; // there was no thread to ask
    r->next = l->found;
    if (l->result)
        error_set(&err, -EADDRNOTAVAIL, "cannot find %s: %s", l->host, gai_strerror(l->result));
    r->on_done(r->arg, l->result ? &err : NULL);
}

struct resolve *resolve_start(struct event_base *base, struct str host, uint16_t port,
                              void (*done)(void *arg, const struct error *err), void *arg)
{
    struct resolve *r = mem_alloc(sizeof(*r));
    struct lookup *l = r->lookup = mem_alloc(sizeof(*l));
    atomic_init(&l->holders, 1);
    l->host = str_dup(host);
    (void)snprintf(l->port, sizeof(l->port), "%u", port);
    l->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->on_done = done;
    r->arg = arg;
    r->done = event_new(base, l->done_fd, l->done_fd < 0 ? 0 : EV_READ, on_done, r);
    if (!r->done || event_add(r->done, NULL))
        abort();
    if (l->done_fd >= 0)
        look_up(l, AI_NUMERICHOST);
    if (l->done_fd < 0 || (!atomic_load(&l->answered) && start_thread(l)))
        event_active(r->done, EV_READ, 1); // out of descriptors or threads
    return r;
}

bool resolve_next(struct resolve *r, const struct sockaddr **ret_address, socklen_t *ret_size)
{
    if (!r->next)
        return false;
    *ret_address = r->next->ai_addr;
    *ret_size = r->next->ai_addrlen;
    r->next = r->next->ai_next;
    return true;
}

void resolve_free(struct resolve *r)
{
    if (!r)
        return;
    event_free(r->done);
    let_go(r->lookup);
    free(r);
}
