// See datagram_out.h.
#include "services/registrant/transport/datagram_out.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#define RUN_COUNT  64   // what every kernel that knows runs takes
#define RUN_BYTES  1200 // of one of its datagrams: no link that IPv6 may use is too small for that
#define SEND_TRIES 8    // of one message, while what is told may be the error of another

bool datagram_out_add(struct datagram_out *o, const struct address *to, struct str bytes)
{
    if (o->count == DATAGRAM_OUT_COUNT || o->arena_used + bytes.n > sizeof(o->arena))
        return false;
    char *at = o->arena + o->arena_used;
    if (bytes.n)
        memcpy(at, bytes.p, bytes.n);
    o->bytes[o->count] = (struct iovec){.iov_base = at, .iov_len = bytes.n};
    o->to[o->count++] = *to;
    o->arena_used += bytes.n;
    return true;
}

// ---- runs

// How many from `first` on may leave as one: of one size but for the last, which may be shorter.
static unsigned run_from(const struct datagram_out *o, unsigned first)
{
    size_t size = o->bytes[first].iov_len, sum = size;
    unsigned end = first + 1;
    if (o->singly || first < o->singly_until || size == 0 || size > RUN_BYTES)
        return 1;
    while (end < o->count && end - first < RUN_COUNT && o->bytes[end].iov_len &&
           o->bytes[end].iov_len <= size && sum + o->bytes[end].iov_len <= DATAGRAM_MAX_BYTES &&
           address_equal(&o->to[first], &o->to[end])) {
        sum += o->bytes[end].iov_len;
        if (o->bytes[end++].iov_len < size)
            break;
    }
    return end - first;
}

struct control {
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(uint16_t))];
};

static void cut_at(struct msghdr *m, struct control *control, size_t size)
{
    const uint16_t segment = (uint16_t)size;
    *control = (struct control){0}; // its padding goes to the kernel, too
    m->msg_control = control->bytes;
    m->msg_controllen = sizeof(control->bytes);
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof(segment));
    memcpy(CMSG_DATA(c), &segment, sizeof(segment));
}

// What is sent by one call, from `first` on.
struct call {
    unsigned count;
    struct mmsghdr messages[DATAGRAM_OUT_COUNT];
    struct control controls[DATAGRAM_OUT_COUNT];
};

static void prepare(struct datagram_out *o, unsigned first, struct call *call)
{
    call->count = 0;
    for (unsigned run; first < o->count; first += run) {
        struct msghdr *m = &call->messages[call->count].msg_hdr;
        run = run_from(o, first);
        *m = (struct msghdr){.msg_name = &o->to[first],
                             .msg_namelen = address_bytes(&o->to[first]),
                             .msg_iov = &o->bytes[first],
                             .msg_iovlen = run};
        if (run > 1)
            cut_at(m, &call->controls[call->count], o->bytes[first].iov_len);
        call->count++;
    }
}

// ---- sending

// An error that an earlier datagram met on its way is told once, to whatever is sent next. These are not.
static bool is_its_own(int error)
{
    return error == EINVAL || error == EIO || error == EPERM;
}

static int send_call(int fd, struct call *call)
{
    int sent = -1;
    for (unsigned tries = 0; sent <= 0 && tries < SEND_TRIES; tries++) {
        sent = sendmmsg(fd, call->messages, call->count, MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS || is_its_own(errno)))
            break;
    }
    return sent;
}

static unsigned datagrams_of(const struct call *call, int sent)
{
    unsigned count = 0;
    for (int i = 0; i < sent; i++)
        count += (unsigned)call->messages[i].msg_hdr.msg_iovlen;
    return count;
}

// From *at on, as much as one call takes; false: the socket is full.
static bool send_some(struct datagram_out *o, unsigned *at, datagram_refused_fn *refused, void *arg)
{
    struct call call;
    prepare(o, *at, &call);
    int sent = send_call(o->fd, &call);
    unsigned first = datagrams_of(&call, 1);
    if (sent > 0) {
        o->singly = o->singly || *at < o->singly_until; // as it was no run it has left
        *at += datagrams_of(&call, sent);
    } else if (errno == EAGAIN || errno == ENOBUFS) {
        return false;
    } else if (first > 1) {
        o->singly_until = *at + first;
    } else {
        refused(arg, &o->to[*at], errno);
        ++*at;
    }
    return true;
}

// What has left makes room.
static void keep_from(struct datagram_out *o, unsigned first)
{
    size_t start = (size_t)((char *)o->bytes[first].iov_base - o->arena);
    memmove(o->arena, o->arena + start, o->arena_used - start);
    o->arena_used -= start;
    o->count -= first;
    for (unsigned i = 0; i < o->count; i++) {
        o->to[i] = o->to[first + i];
        o->bytes[i] = o->bytes[first + i];
        o->bytes[i].iov_base = (char *)o->bytes[i].iov_base - start;
    }
}

bool datagram_out_send(struct datagram_out *o, datagram_refused_fn *refused, void *arg)
{
    unsigned at = 0;
    bool full = false;
    while (at < o->count && !full)
        full = !send_some(o, &at, refused, arg);
    o->singly_until = 0; // datagrams of a failed run that still wait are tried as one again
    if (full && at)
        keep_from(o, at);
    if (!full)
        o->count = o->arena_used = 0;
    return !full;
}
