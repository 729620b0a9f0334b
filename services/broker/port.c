// See port.h.
#include "services/broker/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint16_t fixed_port;

void port_fix(uint16_t port)
{
    fixed_port = port;
}

// In the symbol table this is bind(): it takes the place of the C library's for the libraries of this process
// too, since an executable's symbols come first. In C it has another name because glibc declares bind() with
// a union that no portable definition matches.
int fixed_bind(int fd, const struct sockaddr *address, socklen_t bytes) __asm__("bind");

int fixed_bind(int fd, const struct sockaddr *address, socklen_t bytes)
{
    struct sockaddr_in fixed;
    if (fixed_port && bytes == sizeof(fixed) && address->sa_family == AF_INET) {
        memcpy(&fixed, address, sizeof(fixed));
        if (fixed.sin_port == 0)
            fixed.sin_port = htons(fixed_port);
        address = (const struct sockaddr *)(const void *)&fixed;
    }
    return (int)syscall(SYS_bind, fd, address, bytes);
}

int port_check(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    // As the library will do: connections of a broker that ran here before do not keep the port.
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    int rc =
        fixed_bind(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) < 0 ? -errno : 0;
    (void)close(fd);
    return rc;
}
