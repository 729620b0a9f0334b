// Opens the listening sockets; refuses an address that it would have to guess.
#include "common/http/http.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096 // the kernel caps it at net.core.somaxconn

// "host:port", "[v6]:port", ":port", "*:port" into host (empty: any) and port.
static int split_address(const char *address, char *host, size_t host_size, char *port, size_t port_size)
{
    const char *colon = strrchr(address, ':');
    size_t port_count = colon ? strlen(colon + 1) : 0;
    if (!port_count || port_count >= port_size)
        return -EINVAL;
    size_t count = (size_t)(colon - address);
    if (count >= 2 && address[0] == '[' && colon[-1] == ']') {
        address++;
        count -= 2;
    } else if (memchr(address, ':', count)) {
        return -EINVAL;
    }
    if (count >= host_size)
        return -EINVAL;
    memcpy(host, address, count);
    host[count] = '\0';
    if (!strcmp(host, "*"))
        host[0] = '\0';
    memcpy(port, colon + 1, port_count + 1);
    return 0;
}

static int set_options(int fd, bool shared, int family)
{
    const int on = 1, off = 0;
    int rc = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (!rc && shared)
        rc = setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (!rc && family == AF_INET6)
        rc = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    // inherited by the accepted ones, so that no answer waits for an acknowledgement
    return rc ? rc : setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static int open_socket(const struct addrinfo *ai, bool shared)
{
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (set_options(fd, shared, ai->ai_family) || bind(fd, ai->ai_addr, ai->ai_addrlen) ||
        listen(fd, BACKLOG)) {
        int code = -errno;
        (void)close(fd);
        return code;
    }
    return fd;
}

static uint16_t bound_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name = {0};
    socklen_t size = sizeof(name);
    (void)getsockname(fd, &name.any, &size);
    return ntohs(name.any.sa_family == AF_INET6 ? name.v6.sin6_port : name.v4.sin_port);
}

int http_listen(const char *address, bool shared, int *ret_fd, uint16_t *ret_port, struct error *err)
{
    char host[256], port[8];
    uint64_t number;
    if (split_address(address, host, sizeof(host), port, sizeof(port)) || str_to_u64(str_of(port), &number) ||
        number > UINT16_MAX)
        return error_set(err, -EINVAL, "\"%s\" is not host:port", address);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(host[0] ? host : NULL, port, &hints, &found);
    if (rc)
        return error_set(err, -EADDRNOTAVAIL, "%s: %s", address, gai_strerror(rc));
    int fd = -EADDRNOTAVAIL;
    for (const struct addrinfo *ai = found; ai && fd < 0; ai = ai->ai_next)
        fd = open_socket(ai, shared);
    freeaddrinfo(found);
    if (fd < 0)
        return error_set(err, fd, "cannot listen on %s: %s", address, strerror(-fd));
    *ret_fd = fd;
    if (ret_port)
        *ret_port = bound_port(fd);
    return 0;
}
