// Namespaces, devices and addresses, by ioctl(2): nothing that a machine would have to have installed.
#include "tests/faults/wire_node.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEVICE      "wire0"
#define MTU         1500
#define QUEUE       4096 // packets that wait while the wire is busy
#define OWN_NETWORK "/proc/self/ns/net"

int node_is_on_the_machine(void)
{
    struct if_nameindex *all = if_nameindex();
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), found = !all || fd < 0;
    for (struct if_nameindex *i = all; i && i->if_index && !found; i++) {
        struct ifreq request = {0};
        snprintf(request.ifr_name, sizeof request.ifr_name, "%s", i->if_name);
        found =
            strcmp(i->if_name, "lo") != 0 && !ioctl(fd, SIOCGIFFLAGS, &request) && request.ifr_flags & IFF_UP;
    }
    if (all)
        if_freenameindex(all);
    close(fd);
    return found;
}

static void put_address(struct ifreq *request, uint32_t address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = address};
    memcpy(&request->ifr_addr, &in, sizeof in);
}

static int set_flags(int socket_fd, const char *device, int set, int clear)
{
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
    if (ioctl(socket_fd, SIOCGIFFLAGS, &request))
        return -1;
    request.ifr_flags = (short)((request.ifr_flags | set) & ~clear);
    return ioctl(socket_fd, SIOCSIFFLAGS, &request);
}

static int set_address(int socket_fd, const char *device, uint32_t address)
{
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
    put_address(&request, address);
    if (ioctl(socket_fd, SIOCSIFADDR, &request))
        return -1;
    put_address(&request, htonl(0xffffff00));
    return ioctl(socket_fd, SIOCSIFNETMASK, &request);
}

static int set_number(int socket_fd, unsigned long what, int number)
{
    struct ifreq request = {.ifr_name = DEVICE};
    request.ifr_mtu = number; // the same place as ifr_qlen
    return ioctl(socket_fd, what, &request);
}

static int configure(const struct node *node)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int failed = set_flags(fd, "lo", IFF_UP, 0) || set_number(fd, SIOCSIFMTU, MTU) ||
                 set_number(fd, SIOCSIFTXQLEN, QUEUE) || set_address(fd, DEVICE, node->address) ||
                 set_flags(fd, DEVICE, IFF_UP | IFF_RUNNING, 0);
    close(fd);
    return failed ? -1 : 0;
}

static int open_tun(void)
{
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq request = {.ifr_name = DEVICE, .ifr_flags = IFF_TUN | IFF_NO_PI};
    if (fd >= 0 && ioctl(fd, TUNSETIFF, &request)) {
        close(fd);
        return -1;
    }
    return fd;
}

int node_open(struct node *node, const char *name, uint32_t address, int here)
{
    int before = open(OWN_NETWORK, O_RDONLY | O_CLOEXEC);
    if (before < 0 || (!here && unshare(CLONE_NEWNET)))
        return -1;
    *node = (struct node){.address = address, .namespace_fd = open(OWN_NETWORK, O_RDONLY | O_CLOEXEC)};
    snprintf(node->name, sizeof node->name, "%s", name);
    node->tun_fd = open_tun();
    if (node->tun_fd < 0 || configure(node))
        return -1;
    int failed = setns(before, CLONE_NEWNET);
    close(before);
    return failed;
}

int node_alias(const struct node *node, uint32_t address, int add)
{
    int before = open(OWN_NETWORK, O_RDONLY | O_CLOEXEC);
    if (before < 0 || setns(node->namespace_fd, CLONE_NEWNET))
        return -1;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int failed = add ? set_address(fd, DEVICE ":1", address) : set_flags(fd, DEVICE ":1", 0, IFF_UP);
    close(fd);
    failed |= setns(before, CLONE_NEWNET);
    close(before);
    return failed ? -1 : 0;
}
