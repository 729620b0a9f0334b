// The network of the fault suite: wire [--seed N] NAME … makes a machine of each name (the first one is where
// it is started itself, in a network namespace that the caller made) with the addresses 10.77.0.1, 10.77.0.2
// …, and carries IPv4 packets between them as it is told, one command a line:
//
//     link FROM TO [cut] [loss=‰] [delay=µs] [jitter=µs] [late=‰] [late_by=µs] [twice=‰] [rate=bytes/s]
//     claim NAME ADDRESS     the address belongs to that machine from now on, whoever had it
//     counts                 what became of the packets
//
// `link` says all that holds in that direction. Each command is answered by one line: `ok`, or `error …`. It
// prints `node NAME ADDRESS PID/fd/N` for each machine, which nsenter(1) takes as /proc/…, then `ready`, and
// ends with its input. It refuses the network of the machine itself: whatever it makes would be seen there.
#include "common/base/base.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tests/faults/wire_node.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define MAX_NODES     32
#define MAX_ALIASES   8
#define PACKET_BYTES  65536
#define BURST         64    // packets of one machine in a turn
#define QUEUE_PACKETS 20000 // of one direction; what comes beyond is lost, as in any network
#define FIRST_ADDRESS 0x0a4d0001u
#define LINE_BYTES    512

struct packet {
    STAILQ_ENTRY(packet) next;
    uint64_t due_us;
    size_t length;
    unsigned char bytes[];
};

STAILQ_HEAD(packets, packet);

struct fate { // of what goes from one machine to another
    uint64_t cut, loss, delay, jitter, late, late_by, twice, rate;
};

struct link {
    struct fate fate;
    struct packets in_order, late; // both by time
    uint64_t last_due_us, last_late_us;
    size_t held;
};

static struct wire {
    struct node nodes[MAX_NODES];
    size_t node_count;
    struct link links[MAX_NODES][MAX_NODES];
    struct {
        uint32_t address;
        size_t node;
    } aliases[MAX_ALIASES];
    size_t alias_count;
    struct rng rng;
    uint64_t carried, lost, doubled, overtaken, overflown, strange;
} wire;

static bool chance(uint64_t per_mille)
{
    return per_mille && rng_below(&wire.rng, 1000) < per_mille;
}

// ---- packets

static void deliver(size_t to, const unsigned char *bytes, size_t length)
{
    if (write(wire.nodes[to].tun_fd, bytes, length) == (ssize_t)length)
        wire.carried++;
    else
        wire.overflown++;
}

static void hold(struct link *link, struct packets *queue, uint64_t due_us, const unsigned char *bytes,
                 size_t length)
{
    if (link->held >= QUEUE_PACKETS) {
        wire.overflown++;
        return;
    }
    struct packet *packet = mem_alloc(sizeof *packet + length);
    packet->due_us = due_us;
    packet->length = length;
    memcpy(packet->bytes, bytes, length);
    STAILQ_INSERT_TAIL(queue, packet, next);
    link->held++;
}

static uint64_t later_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void send_once(struct link *link, size_t to, const unsigned char *bytes, size_t length)
{
    const struct fate *f = &link->fate;
    uint64_t now = clock_monotonic_us(), wait = f->delay + (f->jitter ? rng_below(&wire.rng, f->jitter) : 0);
    if (chance(f->late)) {
        wire.overtaken++;
        link->last_late_us = later_of(link->last_late_us, now + wait + f->late_by);
        hold(link, &link->late, link->last_late_us, bytes, length);
        return;
    }
    if (!wait && !f->rate && STAILQ_EMPTY(&link->in_order)) {
        deliver(to, bytes, length);
        return;
    }
    uint64_t busy = f->rate ? length * 1000000 / f->rate : 0;
    link->last_due_us = later_of(link->last_due_us + busy, now + wait);
    hold(link, &link->in_order, link->last_due_us, bytes, length);
}

static size_t node_of(uint32_t address)
{
    for (size_t i = 0; i < wire.alias_count; i++)
        if (wire.aliases[i].address == address)
            return wire.aliases[i].node;
    uint32_t number = ntohl(address) - FIRST_ADDRESS;
    return number < wire.node_count ? number : MAX_NODES;
}

static void carry(size_t from, const unsigned char *bytes, size_t length)
{
    uint32_t address;
    if (length < 20 || bytes[0] >> 4 != 4) { // IPv6 looks for neighbours here, who do not exist
        wire.strange++;
        return;
    }
    memcpy(&address, bytes + 16, sizeof address);
    size_t to = node_of(address);
    if (to == MAX_NODES) {
        wire.strange++;
        return;
    }
    struct link *link = &wire.links[from][to];
    if (link->fate.cut || chance(link->fate.loss)) {
        wire.lost++;
        return;
    }
    send_once(link, to, bytes, length);
    if (chance(link->fate.twice)) {
        wire.doubled++;
        send_once(link, to, bytes, length);
    }
}

static void read_node(size_t from)
{
    static unsigned char bytes[PACKET_BYTES];
    for (int i = 0; i < BURST; i++) {
        ssize_t length = read(wire.nodes[from].tun_fd, bytes, sizeof bytes);
        if (length <= 0)
            return;
        carry(from, bytes, (size_t)length);
    }
}

// Sends what is due of a queue; gives the time of the next one, UINT64_MAX where it is empty.
static uint64_t release(struct link *link, struct packets *queue, size_t to, uint64_t now)
{
    struct packet *packet;
    while ((packet = STAILQ_FIRST(queue)) && packet->due_us <= now) {
        STAILQ_REMOVE_HEAD(queue, next);
        link->held--;
        if (link->fate.cut)
            wire.lost++;
        else
            deliver(to, packet->bytes, packet->length);
        free(packet);
    }
    return packet ? packet->due_us : UINT64_MAX;
}

static uint64_t release_all(void)
{
    uint64_t next = UINT64_MAX, now = clock_monotonic_us();
    for (size_t from = 0; from < wire.node_count; from++) {
        for (size_t to = 0; to < wire.node_count; to++) {
            struct link *link = &wire.links[from][to];
            if (!link->held)
                continue;
            uint64_t in_order = release(link, &link->in_order, to, now),
                     late = release(link, &link->late, to, now);
            next = next < in_order ? next : in_order;
            next = next < late ? next : late;
        }
    }
    return next;
}

// ---- commands

static size_t node_named(const char *name)
{
    for (size_t i = 0; name && i < wire.node_count; i++)
        if (!strcmp(wire.nodes[i].name, name))
            return i;
    return MAX_NODES;
}

static bool read_fate(struct fate *fate, char **words)
{
    const struct {
        const char *name;
        uint64_t *value;
    } members[] = {{"cut", &fate->cut},       {"loss", &fate->loss}, {"delay", &fate->delay},
                   {"jitter", &fate->jitter}, {"late", &fate->late}, {"late_by", &fate->late_by},
                   {"twice", &fate->twice},   {"rate", &fate->rate}};
    for (char *word; (word = strtok_r(NULL, " ", words));) {
        char *value = strchr(word, '=');
        if (value)
            *value++ = '\0';
        size_t i = 0;
        while (i < ARRAY_LEN(members) && strcmp(members[i].name, word) != 0)
            i++;
        if (i == ARRAY_LEN(members))
            return false;
        *members[i].value = value ? strtoull(value, NULL, 10) : 1;
    }
    return true;
}

static const char *do_link(char **words)
{
    size_t from = node_named(strtok_r(NULL, " ", words)), to = node_named(strtok_r(NULL, " ", words));
    struct fate fate = {0};
    if (from == MAX_NODES || to == MAX_NODES)
        return "error no such machine";
    if (!read_fate(&fate, words))
        return "error no such fate";
    wire.links[from][to].fate = fate;
    return "ok";
}

static const char *do_claim(char **words)
{
    size_t node = node_named(strtok_r(NULL, " ", words)), i = 0;
    const char *text = strtok_r(NULL, " ", words);
    struct in_addr address;
    if (node == MAX_NODES || !text || !inet_pton(AF_INET, text, &address))
        return "error no such machine, or no address";
    while (i < wire.alias_count && wire.aliases[i].address != address.s_addr)
        i++;
    if (i == MAX_ALIASES)
        return "error too many addresses";
    if (i < wire.alias_count && node_alias(&wire.nodes[wire.aliases[i].node], address.s_addr, false))
        return "error its former machine keeps it";
    if (node_alias(&wire.nodes[node], address.s_addr, true))
        return "error it cannot be given";
    wire.aliases[i].address = address.s_addr;
    wire.aliases[i].node = node;
    wire.alias_count += i == wire.alias_count;
    return "ok";
}

static const char *do_counts(char **words)
{
    static char text[LINE_BYTES];
    snprintf(text, sizeof text,
             "{\"carried\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"doubled\":%" PRIu64 ",\"overtaken\":%" PRIu64
             ",\"overflown\":%" PRIu64 ",\"strange\":%" PRIu64 "}",
             wire.carried, wire.lost, wire.doubled, wire.overtaken, wire.overflown, wire.strange);
    return text;
}

static void obey(char *line)
{
    static const struct {
        const char *name;
        const char *(*act)(char **words);
    } commands[] = {{"link", do_link}, {"claim", do_claim}, {"counts", do_counts}};
    char *words = NULL, *name = strtok_r(line, " ", &words);
    const char *answer = "error no such command";
    for (size_t i = 0; name && i < ARRAY_LEN(commands); i++)
        if (!strcmp(commands[i].name, name))
            answer = commands[i].act(&words);
    puts(answer);
}

// Obeys every whole line; false: the input ended.
static bool read_commands(void)
{
    static char held[LINE_BYTES];
    static size_t length;
    ssize_t got = read(STDIN_FILENO, held + length, sizeof held - 1 - length);
    if (got <= 0)
        return false;
    length += (size_t)got;
    held[length] = '\0';
    for (char *end; (end = strchr(held, '\n'));) {
        *end = '\0';
        size_t rest = length - (size_t)(end + 1 - held);
        obey(held);
        memmove(held, end + 1, rest + 1);
        length = rest;
    }
    return length < sizeof held - 1; // a longer line is nobody's command
}

// ---- life

static bool open_nodes(char *const *names, size_t count)
{
    if (!count || count > MAX_NODES)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (node_open(&wire.nodes[i], names[i], htonl(FIRST_ADDRESS + (uint32_t)i), i == 0)) {
            fprintf(stderr, "wire: %s: %s\n", names[i], strerror(errno));
            return false;
        }
        char text[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, &wire.nodes[i].address, text, sizeof text);
        printf("node %s %s %d/fd/%d\n", names[i], text, (int)getpid(), wire.nodes[i].namespace_fd);
        for (size_t j = 0; j < count; j++) {
            STAILQ_INIT(&wire.links[i][j].in_order);
            STAILQ_INIT(&wire.links[i][j].late);
        }
    }
    wire.node_count = count;
    puts("ready");
    return true;
}

static void run(void)
{
    struct pollfd polled[MAX_NODES + 1] = {{.fd = STDIN_FILENO, .events = POLLIN}};
    for (size_t i = 0; i < wire.node_count; i++)
        polled[i + 1] = (struct pollfd){.fd = wire.nodes[i].tun_fd, .events = POLLIN};
    while (true) {
        uint64_t next = release_all(), now = clock_monotonic_us(), wait = next > now ? next - now : 0;
        struct timespec time = {.tv_sec = (time_t)(wait / 1000000), .tv_nsec = (long)(wait % 1000000) * 1000};
        if (ppoll(polled, wire.node_count + 1, next == UINT64_MAX ? NULL : &time, NULL) < 0 && errno != EINTR)
            return;
        if (polled[0].revents && !read_commands())
            return;
        for (size_t i = 0; i < wire.node_count; i++)
            if (polled[i + 1].revents)
                read_node(i);
    }
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    int first = 1;
    if (argc > 2 && !strcmp(argv[1], "--seed")) {
        wire.rng.state = strtoull(argv[2], NULL, 10);
        first = 3;
    }
    if (node_is_on_the_machine()) {
        fputs("wire: this is the machine's own network; start it in a namespace (unshare --net)\n", stderr);
        return 1;
    }
    if (!open_nodes(argv + first, (size_t)(argc - first)))
        return 1;
    run();
    return 0;
}
