// See local.h.
#include "services/registrant/transport/local.h"

#include "common/base/mem.h"
#include "services/registrant/transport/private.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/errqueue.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define UDP_BUFFER_BYTES (8 << 20) // a storm's answers wait here while this thread does something else
#define STREAM_BYTES     65536 // of each connection that others make, which the system keeps in either way
#define LISTEN_BACKLOG   64
#define PORT_TRIES       64 // of free UDP ports until one is free for TCP, too

// ---- sockets

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

// As large as the system allows; beyond its limit where we may.
static void set_buffers(int fd)
{
    set_option(fd, SOL_SOCKET, SO_RCVBUF, UDP_BUFFER_BYTES);
    set_option(fd, SOL_SOCKET, SO_SNDBUF, UDP_BUFFER_BYTES);
    set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, UDP_BUFFER_BYTES);
    set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, UDP_BUFFER_BYTES);
}

static int bound_socket(const struct address *a, int type)
{
    int family = a->any.sa_family;
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (family == AF_INET6) // so that 0.0.0.0 and :: may have the same port
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (type == SOCK_STREAM)
        set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (bind(fd, &a->any, address_bytes(a)) == 0)
        return fd;
    int rc = -errno;
    (void)close(fd);
    return rc;
}

static int open_udp(struct local *l)
{
    l->udp = bound_socket(&l->address, SOCK_DGRAM);
    if (l->udp < 0)
        return l->udp;
    set_buffers(l->udp);
    if (l->address.any.sa_family == AF_INET6)
        set_option(l->udp, IPPROTO_IPV6, IPV6_RECVERR, 1);
    else
        set_option(l->udp, IPPROTO_IP, IP_RECVERR, 1);
    socklen_t bytes = sizeof(l->address);
    return getsockname(l->udp, &l->address.any, &bytes) ? -errno : 0;
}

static int open_tcp(struct local *l)
{
    l->tcp = bound_socket(&l->address, SOCK_STREAM);
    if (l->tcp < 0)
        return l->tcp;
    set_option(l->tcp, SOL_SOCKET, SO_RCVBUF, STREAM_BYTES); // before listen(): what is accepted inherits it
    set_option(l->tcp, SOL_SOCKET, SO_SNDBUF, STREAM_BYTES);
    if (listen(l->tcp, LISTEN_BACKLOG) == 0)
        return 0;
    int rc = -errno; // another listens there, with SO_REUSEADDR like us
    close_fd(&l->tcp);
    return rc;
}

static int open_both(struct local *l)
{
    int rc = open_udp(l);
    if (!rc)
        rc = open_tcp(l);
    if (rc)
        close_fd(&l->udp);
    return rc;
}

static int open_sockets(struct local *l)
{
    const struct address wanted = l->address;
    int tries = address_port(&wanted) ? 1 : PORT_TRIES, rc = 0;
    do {
        l->address = wanted;
        rc = open_both(l);
    } while (rc == -EADDRINUSE && --tries > 0);
    return rc;
}

// ---- what to call a socket that is bound to every address

static bool is_wildcard(const struct address *a)
{
    return a->any.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr)
                                        : a->v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

// The address that the routes to the world begin at. Nothing is sent: connect() of UDP only looks it up.
static bool routed_source(int family, struct address *ret)
{
    struct address far, a;
    socklen_t bytes = sizeof(a);
    (void)address_parse(family == AF_INET6 ? STR_LIT("2001:db8::1") : STR_LIT("192.0.2.1"), 9, &far);
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool found =
        fd >= 0 && connect(fd, &far.any, address_bytes(&far)) == 0 && getsockname(fd, &a.any, &bytes) == 0;
    if (fd >= 0)
        (void)close(fd);
    if (found)
        *ret = a;
    return found;
}

// What peers can do with an address: nothing with loopback, and little with one that is good for a link only.
static int worth_of(const struct sockaddr *a)
{
    const struct address *address = (const void *)a;
    if (a->sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr)    ? 1
               : IN6_IS_ADDR_LINKLOCAL(&address->v6.sin6_addr) ? 2
                                                               : 3;
    return ntohl(address->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET ? 1 : 3;
}

// Without a route to the world: the best address of the machine.
static bool best_address(int family, struct address *ret)
{
    struct ifaddrs *all = NULL;
    int best = 0;
    if (getifaddrs(&all))
        return false;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != family || worth_of(i->ifa_addr) <= best)
            continue;
        best = worth_of(i->ifa_addr);
        memcpy(ret, i->ifa_addr, family == AF_INET6 ? sizeof(ret->v6) : sizeof(ret->v4));
    }
    freeifaddrs(all);
    return best > 0;
}

static void name_it(struct local *l)
{
    struct address shown = l->address, source;
    int family = l->address.any.sa_family;
    l->wildcard = is_wildcard(&l->address);
    if (l->wildcard && (routed_source(family, &source) || best_address(family, &source))) {
        if (family == AF_INET6)
            shown.v6.sin6_addr = source.v6.sin6_addr;
        else
            shown.v4.sin_addr = source.v4.sin_addr;
    }
    struct buf text cleanup(buf_done) = BUF_INIT;
    address_add(&text, &shown);
    memcpy(l->text, text.p, text.n < sizeof(l->text) ? text.n + 1 : 0);
}

// ---- what the settings say

// Cuts the host off the front of "host[:port]"; what is left is empty or begins with the colon.
static struct str cut_host(struct str *text)
{
    bool bracketed = text->n && text->p[0] == '[';
    size_t end = str_find(*text, bracketed ? ']' : ':', 0);
    struct str host = str_slice(*text, bracketed, end);
    if (bracketed && end == text->n)
        host = STR_NONE;
    *text = str_slice(*text, end + bracketed, text->n);
    return host;
}

// An IPv6 address in brackets or, without a port, bare.
static bool parse_hostport(struct str text, struct address *ret)
{
    uint64_t port = 0;
    if (address_parse(text, 0, ret))
        return true;
    struct str host = cut_host(&text);
    if (text.n && (text.p[0] != ':' || str_to_u64(str_slice(text, 1, text.n), &port) || port > UINT16_MAX))
        return false;
    return address_parse(host, (uint16_t)port, ret);
}

struct locals {
    struct local *all;
    size_t count;
};

static int add(struct locals *locals, struct str interface, struct str hostport, struct error *err)
{
    struct address a;
    if (!parse_hostport(hostport, &a))
        return error_set(err, -EINVAL, "\"" STR_FMT "\" is no numeric address with or without a port",
                         STR_ARG(hostport));
    if (local_find(locals->all, locals->count, interface, a.any.sa_family))
        return error_set(err, -EINVAL, "\"" STR_FMT "\" is a second address of its family",
                         STR_ARG(hostport));
    struct local l = {.interface = str_dup(interface), .address = a, .udp = -1, .tcp = -1};
    int rc = open_sockets(&l);
    if (rc) {
        free(l.interface);
        return error_set(err, rc, STR_FMT ": %s", STR_ARG(hostport), strerror(-rc));
    }
    name_it(&l);
    locals->all = mem_resize(locals->all, locals->count + 1, sizeof(l));
    locals->all[locals->count++] = l;
    return 0;
}

static int add_listen(struct locals *locals, struct str list, struct error *err)
{
    struct str piece;
    while (str_split(&list, ',', &piece)) {
        int rc = add(locals, STR_NONE, str_trim(piece), err);
        if (rc)
            return error_prefix(err, "SIP address");
    }
    return locals->count ? 0 : error_set(err, -EINVAL, "there is no SIP address to send from");
}

static int add_interfaces(struct locals *locals, struct str list, struct error *err)
{
    struct str piece;
    while (str_split(&list, ',', &piece)) {
        size_t equals = str_find(piece, '=', 0);
        struct str name = str_trim(str_slice(piece, 0, equals));
        if (equals == piece.n || name.n == 0)
            return error_set(err, -EINVAL, "SIP interface \"" STR_FMT "\" is not name=address",
                             STR_ARG(piece));
        if (add(locals, name, str_trim(str_slice(piece, equals + 1, piece.n)), err))
            return error_prefix(err, "SIP interface " STR_FMT, STR_ARG(name));
    }
    return 0;
}

int local_open(const char *listen, const char *interfaces, struct local **ret, size_t *ret_count,
               struct error *err)
{
    struct locals locals = {0};
    int rc = add_listen(&locals, str_of(listen), err);
    if (!rc)
        rc = add_interfaces(&locals, str_of(interfaces), err);
    if (rc) {
        local_close(locals.all, locals.count);
        return rc;
    }
    *ret = locals.all;
    *ret_count = locals.count;
    return 0;
}

void local_close(struct local *take_locals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        close_fd(&take_locals[i].udp);
        close_fd(&take_locals[i].tcp);
        free(take_locals[i].interface);
    }
    free(take_locals);
}

struct local *local_find(struct local *locals, size_t count, struct str interface, int family)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq_cstr(interface, locals[i].interface) &&
            (family == AF_UNSPEC || family == locals[i].address.any.sa_family))
            return &locals[i];
    return NULL;
}
