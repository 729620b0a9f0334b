// See datagram.h.
#include "services/registrant/transport/datagram.h"

#include "services/registrant/transport/datagram_out.h"

#include "common/base/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/errqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_COUNT 32
// Each begins elsewhere in its page than its neighbours, or the few lines of cache that one offset of a page
// maps to would have to hold all of them.
#define READ_STRIDE  (65536 + 17 * 64)
#define READ_BATCHES 8   // a turn: others want theirs, too
#define ERRORS_TURN  64  // read from the error queue before datagrams have their turn again
#define MAX_REFUSED  256 // that wait to be told of

// A datagram that the system refused at once.
struct refused {
    struct address to;
    int error;
};

struct datagram {
    int fd;
    struct local *local;
    struct datagram_batch *batch;
    struct event *readable, *writable;
    const struct datagram_ops *ops;
    void *arg;
    struct datagram_out out;
    unsigned refused_count;
    struct refused refused[MAX_REFUSED];
};

struct datagram_batch {
    struct mmsghdr in[READ_COUNT];
    struct iovec bytes[READ_COUNT];
    struct address from[READ_COUNT];
    char buffers[READ_COUNT][READ_STRIDE]; // pages that no datagram reaches are never touched
};

struct datagram_batch *datagram_batch_new(void)
{
    struct datagram_batch *b = mem_alloc(sizeof(*b));
    for (unsigned i = 0; i < READ_COUNT; i++) {
        b->bytes[i] = (struct iovec){.iov_base = b->buffers[i], .iov_len = DATAGRAM_MAX_BYTES};
        b->in[i].msg_hdr = (struct msghdr){.msg_name = &b->from[i], .msg_iov = &b->bytes[i], .msg_iovlen = 1};
    }
    return b;
}

void datagram_batch_free(struct datagram_batch *b)
{
    free(b);
}

// ---- errors

// Sending and receiving tell, once, of an error that any earlier datagram met; whose it was is in the queue
// of errors. ICMP's "fragmentation needed" is the kernel's to heed: the retransmission will fit.
static bool read_error(struct datagram *d)
{
    char control[256], bytes[1];
    struct address to = {0};
    struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    struct msghdr m = {.msg_name = &to,
                       .msg_namelen = sizeof(to),
                       .msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    if (recvmsg(d->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        bool is_error = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
                        (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
        struct sock_extended_err e;
        if (!is_error)
            continue;
        memcpy(&e, CMSG_DATA(c), sizeof(e));
        if (e.ee_errno != EMSGSIZE && m.msg_namelen)
            d->ops->undelivered(d->arg, d->local, &to, (int)e.ee_errno);
    }
    return true;
}

static void read_errors(struct datagram *d)
{
    for (unsigned i = 0; i < ERRORS_TURN && read_error(d); i++)
        ;
}

static void tell_refused(struct datagram *d)
{
    struct refused all[MAX_REFUSED];
    unsigned count = d->refused_count;
    memcpy(all, d->refused, count * sizeof(all[0]));
    d->refused_count = 0; // telling may send, and be refused again
    for (unsigned i = 0; i < count; i++)
        d->ops->undelivered(d->arg, d->local, &all[i].to, all[i].error);
}

// ---- receiving

// How many came; −1: none, and there may be errors.
static int read_batch(struct datagram *d)
{
    struct datagram_batch *b = d->batch;
    for (unsigned i = 0; i < READ_COUNT; i++)
        b->in[i].msg_hdr.msg_namelen = sizeof(b->from[i]);
    int count = recvmmsg(d->fd, b->in, READ_COUNT, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++)
        d->ops->received(d->arg, d->local, &b->from[i], str_of_bytes(b->buffers[i], b->in[i].msg_len));
    return count;
}

// While an error waits the loop calls again and again, so it is enough to look for errors when nothing came.
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct datagram *d = arg;
    if (d->refused_count)
        tell_refused(d);
    for (unsigned i = 0; i < READ_BATCHES; i++) {
        int count = read_batch(d);
        if (count < 0)
            read_errors(d);
        if (count < READ_COUNT)
            return;
    }
}

// ---- sending

static void on_refused(void *arg, const struct address *to, int error)
{
    struct datagram *d = arg;
    if (d->refused_count < MAX_REFUSED)
        d->refused[d->refused_count++] = (struct refused){.to = *to, .error = error};
    event_active(d->readable, EV_READ, 0);
}

void datagram_flush(struct datagram *d)
{
    if (d->out.count && !datagram_out_send(&d->out, on_refused, d))
        (void)event_add(d->writable, NULL);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    datagram_flush(arg);
}

int datagram_send(struct datagram *d, const struct address *to, struct str bytes)
{
    if (bytes.n > DATAGRAM_MAX_BYTES)
        return -EMSGSIZE;
    if (datagram_out_add(&d->out, to, bytes))
        return 0;
    datagram_flush(d);
    (void)!datagram_out_add(&d->out, to, bytes);
    return 0;
}

// ---- the socket

struct datagram *datagram_new(struct event_base *base, struct local *local, struct datagram_batch *batch,
                              const struct datagram_ops *ops, void *arg)
{
    struct datagram *d = mem_alloc(sizeof(*d));
    d->fd = d->out.fd = local->udp;
    local->udp = -1;
    d->local = local;
    d->batch = batch;
    d->ops = ops;
    d->arg = arg;
    d->readable = event_new(base, d->fd, EV_READ | EV_PERSIST, on_readable, d);
    d->writable = event_new(base, d->fd, EV_WRITE, on_writable, d);
    if (!d->readable || !d->writable || event_add(d->readable, NULL))
        abort();
    return d;
}

void datagram_free(struct datagram *d)
{
    if (!d)
        return;
    event_free(d->readable);
    event_free(d->writable);
    (void)close(d->fd);
    free(d);
}
