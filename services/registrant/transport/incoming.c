// See incoming.h.
#include "services/registrant/transport/incoming.h"

#include "services/registrant/transport/flow.h"

#include "common/base/mem.h"
#include "common/event/timer.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define ACCEPTS_TURN 32
#define PAUSE_US     100000 // when no descriptor is left: the listener stays readable, and the loop would spin

struct incoming {
    struct transport *t;
    struct local *local;
    int fd;
    struct event *readable, *resume;
};

static bool is_one_source(const struct address *a, const struct address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, 8) == 0;
}

// Counted anew each time: they are few, and come seldom.
static bool is_crowd(const struct transport *t, const struct address *peer)
{
    const struct flow *f;
    unsigned count = 0;
    TAILQ_FOREACH(f, &t->strangers, in_strangers) {
        count += is_one_source(&f->peer, peer);
    }
    return count >= INCOMING_MAX_SOURCE;
}

// Descriptors are given out from the lowest: the last quarter of them is for what we do ourselves.
static bool has_room(const struct incoming *i, int fd)
{
    struct rlimit limit;
    return i->t->incoming_count < INCOMING_MAX_COUNT &&
           (getrlimit(RLIMIT_NOFILE, &limit) != 0 || (rlim_t)fd < limit.rlim_cur / 4 * 3);
}

// False: no more for now.
static bool accept_one(struct incoming *i)
{
    struct address peer;
    socklen_t bytes = sizeof(peer);
    int fd = accept4(i->fd, &peer.any, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
        (void)event_del(i->readable);
        timer_in_us(i->resume, PAUSE_US);
        return false;
    }
    if (fd < 0)
        return errno != EAGAIN; // that one was gone before it was accepted
    if (has_room(i, fd) && !is_crowd(i->t, &peer))
        flow_accepted(i->t, i->local, fd, &peer);
    else
        (void)close(fd);
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    for (unsigned n = 0; n < ACCEPTS_TURN && accept_one(arg); n++)
        ;
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct incoming *i = arg;
    (void)event_add(i->readable, NULL);
}

struct incoming *incoming_new(struct transport *t, struct local *local)
{
    struct incoming *i = mem_alloc(sizeof(*i));
    i->t = t;
    i->local = local;
    i->fd = local->tcp;
    local->tcp = -1;
    i->readable = event_new(t->base, i->fd, EV_READ | EV_PERSIST, on_readable, i);
    i->resume = event_new(t->base, -1, 0, on_resume, i);
    if (!i->readable || !i->resume || event_add(i->readable, NULL))
        abort();
    return i;
}

void incoming_free(struct incoming *i)
{
    if (!i)
        return;
    event_free(i->readable);
    event_free(i->resume);
    (void)close(i->fd);
    free(i);
}
