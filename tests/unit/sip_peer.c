// See sip_peer.h. Refuses to parse SIP: tests look at the text itself.
#include "tests/unit/sip_peer.h"

#include "common/base/clock.h"
#include "common/base/str.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

// Port 0: any. -1 when the port is taken.
static int bound_socket(int type, uint16_t *port)
{
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof(at);
    int one = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &n) != 0) {
        (void)close(fd);
        return -1;
    }
    *port = ntohs(at.sin_port);
    return fd;
}

// A UDP port whose number somebody else has for TCP is given back.
static bool try_open(struct sip_peer *p, bool with_tcp)
{
    *p = (struct sip_peer){.listener = -1, .stream = -1};
    p->udp = bound_socket(SOCK_DGRAM, &p->port);
    if (p->udp >= 0 && with_tcp)
        p->listener = bound_socket(SOCK_STREAM, &p->port);
    if (p->udp >= 0 && (!with_tcp || (p->listener >= 0 && listen(p->listener, 8) == 0)))
        return true;
    sip_peer_close(p);
    return false;
}

void sip_peer_open(struct sip_peer *p, bool with_tcp)
{
    for (int tries = 0; tries < 50; tries++)
        if (try_open(p, with_tcp))
            return;
    abort();
}

void sip_peer_close(struct sip_peer *p)
{
    (void)close(p->udp);
    if (p->listener >= 0)
        (void)close(p->listener);
    if (p->stream >= 0)
        (void)close(p->stream);
}

static bool is_whole(const struct sip_message *m)
{
    return m->bytes >= 4 && memcmp(m->text + m->bytes - 4, "\r\n\r\n", 4) == 0;
}

static void receive_some(struct sip_peer *p, struct sip_message *m, const struct pollfd fds[3])
{
    if (fds[0].revents) {
        socklen_t n = sizeof(p->from);
        ssize_t got = recvfrom(p->udp, m->text, sizeof(m->text) - 1, 0, (struct sockaddr *)&p->from, &n);
        m->bytes = got > 0 ? (size_t)got : 0;
        m->over_tcp = false;
    } else if (fds[2].revents) {
        ssize_t got = recv(p->stream, m->text + m->bytes, sizeof(m->text) - 1 - m->bytes, 0);
        m->over_tcp = true;
        if (got > 0) {
            m->bytes += (size_t)got;
        } else {
            (void)close(p->stream);
            p->stream = -1;
        }
    } else if (fds[1].revents && p->stream < 0) {
        p->stream = accept(p->listener, NULL, NULL);
    }
    m->text[m->bytes] = '\0';
}

bool sip_peer_receive(struct sip_peer *p, struct sip_message *ret, int deadline_ms)
{
    uint64_t by_us = clock_monotonic_us() + (uint64_t)deadline_ms * 1000;
    ret->bytes = 0;
    for (uint64_t now; (now = clock_monotonic_us()) < by_us;) {
        struct pollfd fds[3] = {{.fd = p->udp, .events = POLLIN},
                                {.fd = p->stream < 0 ? p->listener : -1, .events = POLLIN},
                                {.fd = p->stream, .events = POLLIN}};
        if (poll(fds, 3, (int)((by_us - now) / 1000) + 1) > 0)
            receive_some(p, ret, fds);
        if (is_whole(ret))
            return true;
    }
    return false;
}

static const char *find_header(const char *from, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = strstr(from, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':')
            return line;
    }
    return NULL;
}

const char *sip_header(const struct sip_message *m, const char *name)
{
    static char value[4096];
    const char *line = find_header(m->text, name);
    if (!line)
        return "";
    const char *text = line + strlen(name) + 1;
    text += strspn(text, " ");
    (void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(text, "\r"), text);
    return value;
}

size_t sip_header_count(const struct sip_message *m, const char *name)
{
    size_t count = 0;
    for (const char *at = m->text; (at = find_header(at, name)); count++)
        ;
    return count;
}

void sip_peer_answer(struct sip_peer *p, const struct sip_message *request, const char *status,
                     const char *lines)
{
    static const char *const copied[] = {"Via", "From", "Call-ID", "CSeq"};
    char text[16384];
    int n =
        snprintf(text, sizeof(text), "SIP/2.0 %s\r\nTo: %s;tag=peer\r\n", status, sip_header(request, "To"));
    for (size_t i = 0; i < ARRAY_LEN(copied); i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%s: %s\r\n", copied[i],
                      sip_header(request, copied[i]));
    n += snprintf(text + n, sizeof(text) - (size_t)n, "%sContent-Length: 0\r\n\r\n", lines);
    if (request->over_tcp)
        (void)!send(p->stream, text, (size_t)n, MSG_NOSIGNAL);
    else
        (void)!sendto(p->udp, text, (size_t)n, 0, (struct sockaddr *)&p->from, sizeof(p->from));
}

void sip_peer_send(struct sip_peer *p, uint16_t to_port, const char *text)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(to_port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    (void)!sendto(p->udp, text, strlen(text), 0, (struct sockaddr *)&to, sizeof(to));
}
