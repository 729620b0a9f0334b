// What the registrant's transport itself costs: processor time for a message sent and one received, and what
// connections cost that nobody uses. Its peer is a process of its own on loopback that answers everything.
//   transport_bench udp|tcp [messages 1000000] [under way 500]
//   transport_bench idle [connections 10000] [seconds 20] [ping every so many seconds 100]
#include "services/registrant/transport/transport.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_BYTES 620 // a challenged REGISTER's
#define BATCH         64

static const char answer[] =
    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK0123456789abcdef;rport=5060;"
    "received=127.0.0.1\r\nFrom: <sip:user000001@bench.example.com>;tag=0123456789\r\n"
    "To: <sip:user000001@bench.example.com>;tag=9876543210\r\nCall-ID: 0123456789abcdef0123456789abcdef\r\n"
    "CSeq: 2 REGISTER\r\nContact: <sip:user000001@127.0.0.1:5060>;expires=3600\r\nContent-Length: 0\r\n\r\n";

// ---- the peer

static void answer_datagrams(int fd)
{
    static char in[BATCH][2048];
    static struct mmsghdr m[BATCH];
    static struct iovec iov[BATCH];
    static struct address from[BATCH];
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            iov[i] = (struct iovec){.iov_base = in[i], .iov_len = sizeof(in[i])};
            m[i].msg_hdr = (struct msghdr){
                .msg_name = &from[i], .msg_namelen = sizeof(from[i]), .msg_iov = &iov[i], .msg_iovlen = 1};
        }
        int count = recvmmsg(fd, m, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < count; i++) {
            memcpy(in[i], answer, sizeof(answer) - 1);
            iov[i].iov_len = sizeof(answer) - 1;
        }
        for (int sent = 0, n; sent < count && (n = sendmmsg(fd, m + sent, (unsigned)(count - sent), 0)) > 0;)
            sent += n;
    }
}

static void answer_stream(int fd)
{
    static char in[REQUEST_BYTES * BATCH], out[sizeof(answer) * BATCH];
    size_t have = 0;
    ssize_t n;
    int peer = accept(fd, NULL, NULL);
    while ((n = recv(peer, in, sizeof(in), 0)) > 0) {
        size_t bytes = 0;
        for (have += (size_t)n; have >= REQUEST_BYTES; have -= REQUEST_BYTES, bytes += sizeof(answer) - 1)
            memcpy(out + bytes, answer, sizeof(answer) - 1);
        for (size_t sent = 0; sent < bytes && (n = send(peer, out + sent, bytes - sent, 0)) > 0;)
            sent += (size_t)n;
    }
}

// Accepts what comes and answers pings.
static void answer_pings(int listener)
{
    struct epoll_event events[BATCH];
    char bytes[2048];
    int loop = epoll_create1(EPOLL_CLOEXEC);
    (void)epoll_ctl(loop, EPOLL_CTL_ADD, listener,
                    &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
    for (;;) {
        int n = epoll_wait(loop, events, BATCH, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                fd = accept(listener, NULL, NULL);
                (void)epoll_ctl(loop, EPOLL_CTL_ADD, fd,
                                &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
            } else if (recv(fd, bytes, sizeof(bytes), 0) == 4) {
                (void)!send(fd, "\r\n", 2, MSG_NOSIGNAL);
            }
        }
    }
}

static int open_peer(const char *host, int type, struct address *ret_at)
{
    struct address a;
    socklen_t bytes = sizeof(a);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), size = 4 << 20;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (!address_parse(str_of(host), 0, &a) || bind(fd, &a.any, sizeof(a.v4)) ||
        (type == SOCK_STREAM && listen(fd, 4096)) || getsockname(fd, &a.any, &bytes)) {
        perror("bind");
        exit(2);
    }
    *ret_at = a;
    return fd;
}

// True in the child.
static bool split(pid_t *ret)
{
    *ret = fork();
    if (*ret == 0)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    return *ret == 0;
}

// ---- what is measured

struct bench {
    struct transport *t;
    struct endpoint to;
    uint64_t left, answered, lost;
    char request[REQUEST_BYTES + 1];
};

static void send_one(struct bench *b)
{
    uint32_t flow;
    if (b->left && transport_send(b->t, &b->to, str_of_bytes(b->request, REQUEST_BYTES), &flow) == 0)
        b->left--;
}

static void on_message(void *arg, const struct transport_path *path, struct str message)
{
    struct bench *b = arg;
    b->answered++;
    send_one(b);
}

static void on_unreachable(void *arg, const struct address *to, const char *cause)
{
    (void)fprintf(stderr, "unreachable: %s\n", cause);
}

static void on_flow_lost(void *arg, uint32_t flow, bool was_up, const char *cause)
{
    struct bench *b = arg;
    b->lost++;
}

static const struct transport_ops ops = {
    .message = on_message, .unreachable = on_unreachable, .flow_lost = on_flow_lost};

static uint64_t cpu_us(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000u +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static struct event_base *open_transport(struct bench *b, const struct transport_times *times)
{
    struct error err;
    struct event_base *base = event_base_new();
    const struct transport_params p = {
        .base = base, .listen = "127.0.0.1", .times = times, .ops = &ops, .arg = b};
    if (transport_new(&p, &b->t, &err)) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(2);
    }
    return base;
}

// Datagrams that are lost are not sent again, so a turn in which nothing comes for a second is the end.
static void on_silence(evutil_socket_t fd, short what, void *arg)
{
    *(bool *)arg = true;
}

static void exchange(struct bench *b, struct event_base *base, uint64_t count, uint64_t under_way)
{
    const struct timeval second = {.tv_sec = 1};
    bool silent = false;
    struct event *silence = event_new(base, -1, 0, on_silence, &silent);
    b->left = count;
    for (uint64_t i = 0; i < under_way; i++)
        send_one(b);
    uint64_t cpu = cpu_us(), wall = clock_monotonic_us();
    transport_flush(b->t);
    while (b->answered < count && !silent) {
        (void)event_add(silence, &second);
        (void)event_base_loop(base, EVLOOP_ONCE);
        transport_flush(b->t);
    }
    cpu = cpu_us() - cpu;
    wall = clock_monotonic_us() - wall;
    (void)printf("%llu messages sent, %llu answers: %.2f us of processor each, %.0f a second\n",
                 (unsigned long long)(count - b->left), (unsigned long long)b->answered,
                 (double)cpu / (double)b->answered, (double)b->answered * 1e6 / (double)wall);
    event_free(silence);
}

static int bench_messages(bool tcp, uint64_t count, uint64_t under_way)
{
    struct bench b = {0};
    struct address at;
    pid_t peer;
    int fd = open_peer("127.0.0.1", tcp ? SOCK_STREAM : SOCK_DGRAM, &at);
    if (split(&peer)) {
        if (tcp)
            answer_stream(fd);
        else
            answer_datagrams(fd);
        return 0;
    }
    struct event_base *base = open_transport(&b, NULL);
    b.to = (struct endpoint){.kind = tcp ? TRANSPORT_TCP : TRANSPORT_UDP, .address = at};
    int n = snprintf(b.request, sizeof(b.request),
                     "REGISTER sip:bench.example.com SIP/2.0\r\nContent-Length: 0\r\nX: ");
    memset(b.request + n, 'x', REQUEST_BYTES - (size_t)n);
    memcpy(b.request + REQUEST_BYTES - 4, "\r\n\r\n", 4);
    exchange(&b, base, count, under_way);
    transport_free(b.t);
    event_base_free(base);
    (void)kill(peer, SIGKILL);
    return 0;
}

// As many endpoints as there are addresses of loopback.
static void connect_all(struct bench *b, struct event_base *base, uint16_t port, uint64_t count)
{
    uint32_t flow;
    for (uint64_t i = 0; i < count; i++) {
        char host[32];
        (void)snprintf(host, sizeof(host), "127.1.%u.%u", (unsigned)(i / 250), (unsigned)(i % 250 + 1));
        b->to = (struct endpoint){.kind = TRANSPORT_TCP};
        (void)address_parse(str_of(host), port, &b->to.address);
        if (transport_send(b->t, &b->to, str_of_bytes(b->request, REQUEST_BYTES), &flow) == 0)
            transport_keep_alive(b->t, &b->to, 0, &flow);
        if (i % 64 == 0)
            (void)event_base_loop(base, EVLOOP_NONBLOCK);
    }
    while (transport_stats(b->t).connections + b->lost < count)
        (void)event_base_loop(base, EVLOOP_ONCE);
}

static size_t resident_kib(void)
{
    size_t pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%zu %zu", &pages, &resident) != 2)
        abort();
    (void)fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

static int bench_idle(uint64_t count, uint64_t seconds, uint32_t ping_s)
{
    struct bench b = {0};
    struct address at;
    pid_t peer;
    struct transport_times times = transport_times_default();
    int fd = open_peer("0.0.0.0", SOCK_STREAM, &at);
    if (split(&peer)) {
        answer_pings(fd);
        return 0;
    }
    times.ping_max_ms = ping_s * 1000;
    times.ping_min_ms = ping_s * 800;
    struct event_base *base = open_transport(&b, &times);
    size_t before_kib = resident_kib();
    connect_all(&b, base, address_port(&at), count);
    const struct timeval wait = {.tv_sec = (time_t)seconds};
    bool over = false;
    struct event *end = event_new(base, -1, 0, on_silence, &over);
    uint64_t cpu = cpu_us(), pongs = transport_stats(b.t).pongs;
    (void)event_add(end, &wait);
    while (!over)
        (void)event_base_loop(base, EVLOOP_ONCE);
    cpu = cpu_us() - cpu;
    struct transport_stats stats = transport_stats(b.t);
    (void)printf("%llu connections (%llu lost), %llu pongs in %llu s: %.3f %% of a core, %.0f bytes each\n",
                 (unsigned long long)stats.connections, (unsigned long long)b.lost,
                 (unsigned long long)(stats.pongs - pongs), (unsigned long long)seconds,
                 (double)cpu / 1e4 / (double)seconds,
                 (double)(resident_kib() - before_kib) * 1024 / (double)count);
    event_free(end);
    transport_free(b.t);
    event_base_free(base);
    (void)kill(peer, SIGKILL);
    return 0;
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const char *what = argc > 1 ? argv[1] : "";
    uint64_t second = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t third = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    uint64_t fourth = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
    if (strcmp(what, "udp") == 0 || strcmp(what, "tcp") == 0)
        return bench_messages(what[0] == 't', second ? second : 1000000, third ? third : 500);
    if (strcmp(what, "idle") == 0)
        return bench_idle(second ? second : 10000, third ? third : 20, fourth ? (uint32_t)fourth : 100);
    (void)fprintf(stderr,
                  "transport_bench udp|tcp [messages] [under way] | idle [connections] [seconds] [ping s]\n");
    return 2;
}
