// A SIP registrar for measuring what is in front of it: UDP only, no state, hundreds of thousands of answers
// a second. A REGISTER without credentials is challenged; one with them, whatever they are, is answered with
// its Contacts and the lifetime of --expires. Refuses to check a digest: that would be measured too, and the
// registrars that check are elsewhere (tests/peers, Kamailio).
#include "common/base/base.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "tests/bench/registrar_journal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH          64
#define MAX_PORTS      64
#define DATAGRAM_BYTES 4096

static struct settings {
    unsigned port, ports, expires_s, spread_s;
    const char *address, *algorithm, *nonce;
    bool challenge;
} settings = {.ports = 1,
              .expires_s = 3600,
              .address = "127.0.0.1",
              .algorithm = "MD5",
              .nonce = "5b9d0c7e1f3a",
              .challenge = true};

static struct counts {
    _Atomic uint64_t requests, challenged, accepted, removed, others, unsent, first_us, last_us;
} counts;

struct port {
    int fd;
    pthread_t thread;
    char in[BATCH][DATAGRAM_BYTES];
    char out[BATCH][DATAGRAM_BYTES];
};

// ---- one request

struct request {
    struct str vias[8], contacts[8];
    size_t via_count, contact_count;
    struct str from, to, call_id, cseq, expires, authorization;
};

static void take_header(struct request *r, struct str name, struct str value)
{
    if (str_ieq_cstr(name, "Via") && r->via_count < ARRAY_LEN(r->vias))
        r->vias[r->via_count++] = value;
    else if (str_ieq_cstr(name, "Contact") && r->contact_count < ARRAY_LEN(r->contacts))
        r->contacts[r->contact_count++] = value;
    else if (str_ieq_cstr(name, "From"))
        r->from = value;
    else if (str_ieq_cstr(name, "To"))
        r->to = value;
    else if (str_ieq_cstr(name, "Call-ID"))
        r->call_id = value;
    else if (str_ieq_cstr(name, "CSeq"))
        r->cseq = value;
    else if (str_ieq_cstr(name, "Expires"))
        r->expires = value;
    else if (str_ieq_cstr(name, "Authorization"))
        r->authorization = value;
}

static void parse(struct str text, struct request *ret)
{
    struct str line;
    *ret = (struct request){.via_count = 0};
    (void)str_split(&text, '\n', &line);
    while (str_split(&text, '\n', &line) && line.n > 1) {
        size_t colon = str_find(line, ':', 0);
        take_header(ret, str_slice(line, 0, colon), str_trim(str_slice(line, colon + 1, line.n)));
    }
}

static bool asks_for_removal(struct str contact, struct str expires)
{
    size_t at = str_find_str(contact, STR_LIT(";expires="));
    struct str own = at < contact.n ? str_slice(contact, at + 9, contact.n) : expires;
    return own.n && own.p[0] == '0';
}

// ---- its answer

static void add(char *out, size_t *n, const char *text, size_t bytes)
{
    if (*n + bytes > DATAGRAM_BYTES)
        return;
    memcpy(out + *n, text, bytes);
    *n += bytes;
}

static void add_line(char *out, size_t *n, const char *name, struct str value, const char *end)
{
    add(out, n, name, strlen(name));
    add(out, n, value.p, value.n);
    add(out, n, end, strlen(end));
}

static void add_contacts(const struct request *r, struct journal_record *note, char *out, size_t *n)
{
    char end[48];
    note->kind = r->contact_count ? JOURNAL_BOUND : JOURNAL_FETCHED;
    note->granted_s = settings.expires_s + (settings.spread_s ? note->aor % (settings.spread_s + 1) : 0);
    (void)snprintf(end, sizeof(end), ";expires=%u\r\n", note->granted_s);
    for (size_t i = 0; i < r->contact_count; i++) {
        if (asks_for_removal(r->contacts[i], r->expires)) {
            counts.removed++;
            note->kind = JOURNAL_REMOVED;
            continue;
        }
        struct str own = str_slice(r->contacts[i], 0, str_find_str(r->contacts[i], STR_LIT(";expires=")));
        add_line(out, n, "Contact: ", own, end);
    }
}

static uint32_t number_of(struct str cseq)
{
    uint64_t number;
    return str_to_u64(str_slice(cseq, 0, str_find(cseq, ' ', 0)), &number) ? 0 : (uint32_t)number;
}

static size_t answer(struct str text, struct journal_record *note, char *out)
{
    struct request r;
    size_t n = 0;
    if (!str_starts(text, STR_LIT("REGISTER "))) {
        counts.others++;
        return 0;
    }
    counts.requests++;
    parse(text, &r);
    *note = (struct journal_record){.aor = journal_hash(r.to),
                                    .call_id = journal_hash(r.call_id),
                                    .cseq = number_of(r.cseq),
                                    .kind = JOURNAL_CHALLENGED};
    bool challenge = settings.challenge && !r.authorization.n;
    const char *status = challenge ? "SIP/2.0 401 Unauthorized\r\n" : "SIP/2.0 200 OK\r\n";
    add(out, &n, status, strlen(status));
    for (size_t i = 0; i < r.via_count; i++)
        add_line(out, &n, "Via: ", r.vias[i], "\r\n");
    add_line(out, &n, "From: ", r.from, "\r\n");
    add_line(out, &n, "To: ", r.to, ";tag=b\r\n");
    add_line(out, &n, "Call-ID: ", r.call_id, "\r\n");
    add_line(out, &n, "CSeq: ", r.cseq, "\r\n");
    if (challenge) {
        char line[256];
        int bytes =
            snprintf(line, sizeof(line),
                     "WWW-Authenticate: Digest realm=\"bench\", nonce=\"%s\", algorithm=%s, qop=\"auth\"\r\n",
                     settings.nonce, settings.algorithm);
        add(out, &n, line, (size_t)bytes);
        counts.challenged++;
    } else {
        add_contacts(&r, note, out, &n);
        counts.accepted++;
    }
    add(out, &n, "Content-Length: 0\r\n\r\n", 21);
    return n;
}

// ---- sockets

static void note_time(void)
{
    uint64_t now = clock_monotonic_us(), none = 0;
    (void)atomic_compare_exchange_strong(&counts.first_us, &none, now);
    atomic_store(&counts.last_us, now);
}

static void serve_batch(struct port *p)
{
    struct mmsghdr in[BATCH] = {0}, out[BATCH] = {0};
    struct journal_record notes[BATCH];
    struct iovec in_iov[BATCH], out_iov[BATCH];
    struct sockaddr_in from[BATCH];
    for (size_t i = 0; i < BATCH; i++) {
        in_iov[i] = (struct iovec){.iov_base = p->in[i], .iov_len = DATAGRAM_BYTES};
        in[i].msg_hdr = (struct msghdr){
            .msg_name = &from[i], .msg_namelen = sizeof(from[i]), .msg_iov = &in_iov[i], .msg_iovlen = 1};
    }
    int got = recvmmsg(p->fd, in, BATCH, MSG_WAITFORONE, NULL);
    unsigned answers = 0;
    uint64_t now_us = clock_monotonic_us();
    for (int i = 0; i < got; i++) {
        size_t n = answer(str_of_bytes(p->in[i], in[i].msg_len), &notes[answers], p->out[i]);
        if (!n)
            continue;
        notes[answers].received_us = now_us;
        notes[answers].port = ntohs(from[i].sin_port);
        out_iov[answers] = (struct iovec){.iov_base = p->out[i], .iov_len = n};
        out[answers].msg_hdr = in[i].msg_hdr;
        out[answers].msg_hdr.msg_iov = &out_iov[answers];
        answers++;
    }
    if (got > 0)
        note_time();
    journal_add(notes, answers);
    int sent = answers ? sendmmsg(p->fd, out, answers, 0) : 0;
    counts.unsent += answers - (unsigned)(sent > 0 ? sent : 0);
}

static void *serve(void *arg)
{
    for (;;)
        serve_batch(arg);
    return NULL;
}

// The first may be any port; the others follow it.
static int open_port(unsigned port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), bytes = 16 << 20;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    if (fd < 0 || inet_pton(AF_INET, settings.address, &at.sin_addr) != 1 ||
        bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
        (void)fprintf(stderr, "registrar: cannot open %s:%u: %s\n", settings.address, port, strerror(errno));
        exit(1);
    }
    return fd;
}

static unsigned port_of(int fd)
{
    struct sockaddr_in at = {0};
    socklen_t n = sizeof(at);
    return getsockname(fd, (struct sockaddr *)&at, &n) == 0 ? ntohs(at.sin_port) : 0;
}

static void print_counts(void)
{
    uint64_t us = counts.last_us - counts.first_us;
    (void)printf("{\"requests\":%llu,\"challenged\":%llu,\"accepted\":%llu,\"removed\":%llu,\"others\":%llu,"
                 "\"unsent\":%llu,\"first_us\":%llu,\"last_us\":%llu,\"requests_per_s\":%.0f}\n",
                 (unsigned long long)counts.requests, (unsigned long long)counts.challenged,
                 (unsigned long long)counts.accepted, (unsigned long long)counts.removed,
                 (unsigned long long)counts.others, (unsigned long long)counts.unsent,
                 (unsigned long long)counts.first_us, (unsigned long long)counts.last_us,
                 us ? (double)counts.requests * 1e6 / (double)us : 0.0);
    (void)fflush(stdout);
}

static void usage(void)
{
    (void)puts("registrar [--address 127.0.0.1] [--port 0] [--ports 1] [--expires 3600]\n"
               "          [--spread 0] [--journal FILE] [--algorithm MD5] [--no-challenge]\n"
               "Each address of record is always granted the same: --expires, and up to --spread more.\n"
               "One thread a port. The first line printed is \"listening <address> <first> <last>\".\n"
               "SIGUSR1 prints the counts as JSON, SIGTERM and SIGINT print them and end it.");
}

static void parse_options(int argc, char **argv)
{
    static const struct option options[] = {{"address", required_argument, NULL, 'a'},
                                            {"port", required_argument, NULL, 'p'},
                                            {"ports", required_argument, NULL, 'n'},
                                            {"expires", required_argument, NULL, 'e'},
                                            {"spread", required_argument, NULL, 's'},
                                            {"journal", required_argument, NULL, 'j'},
                                            {"algorithm", required_argument, NULL, 'g'},
                                            {"no-challenge", no_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        unsigned number = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;
        if (c == 'a')
            settings.address = optarg;
        else if (c == 'p')
            settings.port = number;
        else if (c == 'n' && number >= 1 && number <= MAX_PORTS)
            settings.ports = number;
        else if (c == 'e')
            settings.expires_s = number;
        else if (c == 's')
            settings.spread_s = number;
        else if (c == 'j')
            journal_open(optarg);
        else if (c == 'g')
            settings.algorithm = optarg;
        else if (c == 'c')
            settings.challenge = false;
        else {
            usage();
            exit(c == 'h' ? 0 : 2);
        }
    }
}

int main(int argc, char **argv)
{
    static struct port ports[MAX_PORTS];
    sigset_t signals;
    parse_options(argc, argv);
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGUSR1);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    ports[0].fd = open_port(settings.port);
    unsigned first = port_of(ports[0].fd);
    for (unsigned i = 1; i < settings.ports; i++)
        ports[i].fd = open_port(first + i);
    for (unsigned i = 0; i < settings.ports; i++)
        if (pthread_create(&ports[i].thread, NULL, serve, &ports[i]) != 0)
            return 1;
    (void)printf("listening %s %u %u\n", settings.address, first, first + settings.ports - 1);
    (void)fflush(stdout);
    for (int got = 0; got != SIGTERM && got != SIGINT;) {
        if (sigwait(&signals, &got) == 0)
            print_counts();
    }
    return 0;
}
