// See dns.h. sresolv sends, repeats and matches; it is not trusted with what comes from the network: each
// datagram is read by message.c first and only a sound one reaches it (a name that points to itself would
// hang it), and what the answer says is taken from there. It gets no chance to swap its name servers under
// questions that are under way (fewer than before would crash it): a changed file makes a new resolver, and
// so does a while without questions, for a new port and new ids.
#include "services/registrant/resolve/dns.h"

#include "common/base/mem.h"
#include "common/event/timer.h"
#include "services/registrant/resolve/dns_tcp.h"
#include "services/registrant/resolve/file_seen.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <sofia-resolv/sres.h>
#include <sofia-resolv/sres_async.h>
#include <sofia-resolv/sres_cache.h>
#include <sofia-resolv/sres_record.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_IN_FLIGHT  256u
#define TICK_US        250000
#define GIVE_UP_US     8000000u // sresolv itself repeats for a minute
#define CONF_LOOK_US   2000000u
#define MAX_LET_GO     1024u
#define RENEW_US       10000000u
#define SLOW_US        500000u // an answer that took a repetition
#define MAX_DATAGRAM   1460u   // what sresolv takes and, with EDNS, asks for
#define CACHE_FAR_WALL ((time_t)1 << 40)

struct dns_query {
    TAILQ_ENTRY(dns_query) link;
    struct dns *dns;
    sres_query_t *query; // while sresolv has it
    struct dns_tcp *tcp; // while the whole answer is fetched by TCP
    enum dns_type type;
    char *name;
    char *alias; // that sresolv follows by itself, with a question of its own; else NULL
    uint64_t asked_us, sent_us;
    unsigned refusals;        // name servers that could not answer
    struct dns_answer answer; // once it is done
    dns_fn *fn;
    void *arg;
};
TAILQ_HEAD(query_list, dns_query);

struct dns {
    struct event_base *base;
    uint64_t (*now_us)(void);
    char *resolv_conf;
    sres_resolver_t *sres;
    sres_cache_t *cache;
    uint64_t cleanings;
    struct event *sockets[SRES_MAX_NAMESERVERS + 1];
    struct event *tick, *deliver;
    struct query_list waiting, sent, done;
    size_t in_flight;
    struct stat seen;    // of resolv.conf
    unsigned servers;    // in it
    int copy;            // of it, for sresolv
    unsigned let_go;     // questions that are over, but not for sresolv
    uint64_t looked_us;  // at resolv.conf
    uint64_t renewed_us; // the resolver
    uint64_t heard_us;   // an answer of any kind
    bool used, slow;     // the resolver has been asked; a name server made it wait
    bool renew;          // at the next question
    // The datagram that is being handed to sresolv.
    const uint8_t *datagram;
    size_t datagram_bytes;
    evutil_socket_t datagram_fd;
};

static const char *conf_path(const struct dns *d)
{
    return d->resolv_conf ? d->resolv_conf : "/etc/resolv.conf";
}

static bool took_refusal(struct dns *d, const uint8_t *bytes, size_t count);
static void note_alias(struct dns *d, const uint8_t *bytes, size_t count);

// ---- sockets

static void discard(evutil_socket_t fd)
{
    char byte;
    (void)!recv(fd, &byte, 1, MSG_DONTWAIT);
}

// ICMP errors wait in a queue of the socket: sresolv asks the next name server.
static void take_errors(struct dns *d, evutil_socket_t fd)
{
    for (int i = 0; i < 32 && sres_resolver_error(d->sres, fd) > 0; i++)
        ;
}

static void readable(evutil_socket_t fd, short what, void *arg)
{
    struct dns *d = arg;
    uint8_t bytes[MAX_DATAGRAM];
    ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0) {
        take_errors(d, fd);
        return;
    }
    struct dns_answer answer;
    bool truncated;
    if (got == 0 || (size_t)got > sizeof(bytes) ||
        !dns_message_read(bytes, (size_t)got, DNS_A, &answer, &truncated)) {
        discard(fd);
        return;
    }
    dns_answer_done(&answer);
    if (took_refusal(d, bytes, (size_t)got)) {
        discard(fd);
        return;
    }
    note_alias(d, bytes, (size_t)got);
    d->datagram = bytes;
    d->datagram_bytes = (size_t)got;
    d->datagram_fd = fd;
    (void)sres_resolver_receive(d->sres, fd);
    d->datagram = NULL;
}

static int add_socket(struct dns *d, sres_socket_t fd)
{
    if (evutil_make_socket_nonblocking(fd) != 0 || evutil_make_socket_closeonexec(fd) != 0)
        return -1;
    for (size_t i = 0; i < sizeof(d->sockets) / sizeof(d->sockets[0]); i++) {
        if (d->sockets[i])
            continue;
        d->sockets[i] = event_new(d->base, fd, EV_READ | EV_PERSIST, readable, d);
        if (!d->sockets[i])
            abort();
        return event_add(d->sockets[i], NULL);
    }
    return -1;
}

static void drop_socket(struct dns *d, sres_socket_t fd)
{
    for (size_t i = 0; i < sizeof(d->sockets) / sizeof(d->sockets[0]); i++) {
        if (!d->sockets[i] || event_get_fd(d->sockets[i]) != fd)
            continue;
        event_free(d->sockets[i]);
        d->sockets[i] = NULL;
    }
}

static int update_sockets(sres_async_t *async, sres_socket_t new_socket, sres_socket_t old_socket)
{
    struct dns *d = (struct dns *)(void *)async;
    if (old_socket != -1)
        drop_socket(d, old_socket);
    return new_socket != -1 ? add_socket(d, new_socket) : 0;
}

// ---- questions

static void finish(struct dns_query *q)
{
    TAILQ_INSERT_TAIL(&q->dns->done, q, link);
    event_active(q->dns->deliver, 0, 0);
}

static void leave_flight(struct dns_query *q)
{
    TAILQ_REMOVE(&q->dns->sent, q, link);
    q->dns->in_flight--;
}

static void fetched(void *arg, struct dns_answer *take_answer)
{
    struct dns_query *q = arg;
    q->tcp = NULL;
    q->dns->heard_us = q->dns->now_us();
    // Where TCP is shut out, what came by UDP is better than nothing.
    if (take_answer->outcome != DNS_FAILED || !q->answer.count) {
        dns_answer_done(&q->answer);
        q->answer = *take_answer;
    }
    leave_flight(q);
    finish(q);
}

// What was cut off is fetched by TCP from the same server (RFC 7766 5). False: it cannot be.
static bool fetch_whole(struct dns *d, struct dns_query *q)
{
    struct address server;
    socklen_t size = sizeof(server);
    if (getpeername(d->datagram_fd, &server.any, &size) != 0)
        return false;
    q->tcp = dns_tcp_ask(d->base, &server, q->type, q->name, fetched, q);
    return q->tcp != NULL;
}

// sresolv keeps every record that it has seen; nothing here reads them, and old ones would get into its
// following of aliases.
static void empty_cache(struct dns *d)
{
    sres_cache_clean(d->cache, CACHE_FAR_WALL + (time_t)(++d->cleanings) * 2 * SRES_CACHE_TIMER_INTERVAL);
}

// sresolv compares the id and no more. An error may come without the question.
static bool is_about(const struct dns *d, const struct dns_query *q)
{
    enum dns_type type;
    char name[DNS_NAME_BYTES];
    if (!dns_message_question(d->datagram, d->datagram_bytes, &type, name))
        return q->answer.outcome == DNS_FAILED;
    return type == q->type && (strcmp(name, q->name) == 0 || (q->alias && strcmp(name, q->alias) == 0));
}

static void answered(sres_context_t *context, sres_query_t *query, sres_record_t **answers)
{
    struct dns_query *q = (struct dns_query *)(void *)context;
    struct dns *d = q->dns;
    bool truncated = false;
    if (answers)
        sres_free_answers(d->sres, answers);
    empty_cache(d);
    q->query = NULL;
    uint64_t now = d->now_us();
    if (!d->datagram || !dns_message_read(d->datagram, d->datagram_bytes, q->type, &q->answer, &truncated)) {
        q->answer = (struct dns_answer){.outcome = DNS_FAILED};
        d->slow = true;
    } else {
        d->heard_us = now;
        d->slow = d->slow || now - q->sent_us > SLOW_US;
    }
    if (d->datagram && !is_about(d, q)) {
        dns_answer_done(&q->answer);
        truncated = false;
    }
    if (truncated && fetch_whole(d, q))
        return;
    if (truncated && !q->answer.count)
        q->answer.outcome = DNS_FAILED;
    leave_flight(q);
    finish(q);
}

// What nobody waits for any more, but sresolv still repeats.
static void dropped(sres_context_t *context, sres_query_t *query, sres_record_t **answers)
{
    struct dns *d = (struct dns *)(void *)context;
    d->let_go--;
    if (answers)
        sres_free_answers(d->sres, answers);
    empty_cache(d);
}

// sresolv goes on repeating it, to nobody.
static void let_go(struct dns_query *q)
{
    if (!q->query)
        return;
    sres_query_bind(q->query, dropped, (sres_context_t *)(void *)q->dns);
    q->query = NULL;
    q->dns->let_go++;
}

static struct dns_query *find_sent(struct dns *d, enum dns_type type, const char *name)
{
    struct dns_query *q;
    TAILQ_FOREACH(q, &d->sent, link) {
        if (q->query && q->type == type && strcmp(q->name, name) == 0)
            return q;
    }
    return NULL;
}

static void note_alias(struct dns *d, const uint8_t *bytes, size_t count)
{
    enum dns_type type;
    char name[DNS_NAME_BYTES], alias[DNS_NAME_BYTES];
    if (!dns_message_alias(bytes, count, alias) || !dns_message_question(bytes, count, &type, name))
        return;
    struct dns_query *q = find_sent(d, type, name);
    if (!q)
        return;
    free(q->alias);
    q->alias = mem_dup_cstr(alias);
}

// One of several servers fails or refuses: sresolv asks the next one at once, but then the first again,
// without end and without a pause. So each question gets as many of these answers as there are servers, and
// is over then. True: sresolv must not see it.
static bool took_refusal(struct dns *d, const uint8_t *bytes, size_t count)
{
    enum dns_type type;
    char name[DNS_NAME_BYTES];
    unsigned code = bytes[3] & 15u;
    bool refusal = code == ns_r_servfail || code == ns_r_notimpl || code == ns_r_refused;
    if (!refusal || d->servers < 2)
        return false;
    struct dns_query *q = dns_message_question(bytes, count, &type, name) ? find_sent(d, type, name) : NULL;
    if (q && ++q->refusals < d->servers)
        return false;
    bool truncated;
    if (!q || d->let_go >= MAX_LET_GO || !dns_message_read(bytes, count, type, &q->answer, &truncated))
        return true;
    d->heard_us = d->now_us();
    let_go(q);
    leave_flight(q);
    finish(q);
    return true;
}

static void fail(struct dns_query *q)
{
    if (!q->answer.count) // else it is what came before TCP was tried
        dns_answer_done(&q->answer);
    finish(q);
}

static void free_query(struct dns_query *q)
{
    dns_tcp_cancel(q->tcp);
    dns_answer_done(&q->answer);
    free(q->name);
    free(q->alias);
    free(q);
}

// ---- the resolver

static void close_resolver(struct dns *d)
{
    if (!d->sres)
        return;
    sres_resolver_unref(d->sres); // its questions go with it, unanswered
    sres_cache_unref(d->cache);
    if (d->copy >= 0)
        (void)close(d->copy);
    d->sres = NULL;
    d->cache = NULL;
    d->copy = -1;
}

// sresolv looks at its file before questions and swaps its name servers under those that are under way, which
// crashes it when there are fewer than before. So it gets a copy that never changes.
static void copy_conf(struct dns *d)
{
    FILE *from = fopen(conf_path(d), "re");
    char line[1025];
    d->servers = 0;
    d->copy = memfd_create("resolv.conf", MFD_CLOEXEC);
    while (from && fgets(line, sizeof(line), from)) {
        d->servers += str_starts(str_trim(str_of(line)), STR_LIT("nameserver"));
        if (d->copy >= 0)
            (void)!write(d->copy, line, strlen(line));
    }
    if (from)
        (void)fclose(from);
    if (d->servers > SRES_MAX_NAMESERVERS)
        d->servers = SRES_MAX_NAMESERVERS;
}

static sres_resolver_t *open_resolver(const struct dns *d)
{
    char path[32];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", d->copy);
    bool usable = d->copy >= 0 && access(path, R_OK) == 0;
    // Options can only be given by the file: as arguments they end in an assertion of the library.
    return sres_resolver_new_with_cache(usable ? path : conf_path(d), d->cache, NULL);
}

// Questions of the old resolver are asked anew, before those that wait.
static void renew(struct dns *d, uint64_t now)
{
    struct dns_query *q, *next;
    for (q = TAILQ_LAST(&d->sent, query_list); q; q = next) {
        next = TAILQ_PREV(q, query_list, link);
        if (q->tcp)
            continue;
        leave_flight(q);
        q->query = NULL;
        TAILQ_INSERT_HEAD(&d->waiting, q, link);
    }
    close_resolver(d);
    d->renewed_us = now;
    d->renew = d->used = d->slow = false;
    (void)file_seen_changed(&d->seen, conf_path(d));
    copy_conf(d);
    d->let_go = 0;
    d->cache = sres_cache_new(0);
    d->sres = d->cache ? open_resolver(d) : NULL;
    if (!d->sres)
        abort(); // out of memory: a file that is absent or senseless is no error
    (void)sres_resolver_set_async(d->sres, update_sockets, (sres_async_t *)(void *)d, 0);
}

static void keep_current(struct dns *d, uint64_t now)
{
    if (now - d->looked_us >= CONF_LOOK_US) {
        d->looked_us = now;
        d->renew |= file_seen_changed(&d->seen, conf_path(d));
    }
    if (!d->in_flight && d->used && !d->slow && now - d->renewed_us >= RENEW_US)
        d->renew = true;
    if (d->renew)
        renew(d, now);
}

static void send_one(struct dns *d, struct dns_query *q, uint64_t now)
{
    char rooted[DNS_NAME_BYTES + 1];
    (void)snprintf(rooted, sizeof(rooted), "%s.", q->name);
    TAILQ_REMOVE(&d->waiting, q, link);
    q->sent_us = now;
    q->refusals = 0;
    d->used = true;
    q->query = sres_query(d->sres, answered, (sres_context_t *)(void *)q, (uint16_t)q->type, rooted);
    if (!q->query) {
        fail(q);
        return;
    }
    TAILQ_INSERT_TAIL(&d->sent, q, link);
    d->in_flight++;
}

static void run_tick(struct dns *d)
{
    if (!event_pending(d->tick, EV_TIMEOUT, NULL))
        timer_in_us(d->tick, TICK_US);
}

static void send_waiting(struct dns *d)
{
    uint64_t now = d->now_us();
    while (d->in_flight < MAX_IN_FLIGHT && !TAILQ_EMPTY(&d->waiting)) {
        keep_current(d, now);
        send_one(d, TAILQ_FIRST(&d->waiting), now);
    }
    if (d->in_flight || !TAILQ_EMPTY(&d->waiting))
        run_tick(d);
}

void dns_ask(struct dns *d, enum dns_type type, const char *name, dns_fn *fn, void *arg)
{
    struct dns_query *q = mem_alloc(sizeof(*q));
    *q = (struct dns_query){
        .dns = d, .type = type, .name = mem_dup_cstr(name), .asked_us = d->now_us(), .fn = fn, .arg = arg};
    TAILQ_INSERT_TAIL(&d->waiting, q, link);
    send_waiting(d);
}

static void give_up(struct dns *d, uint64_t now)
{
    struct dns_query *q, *next;
    for (q = TAILQ_FIRST(&d->sent); q; q = next) {
        next = TAILQ_NEXT(q, link);
        if (now - q->sent_us < GIVE_UP_US)
            break;
        let_go(q);
        dns_tcp_cancel(q->tcp);
        q->tcp = NULL;
        d->slow = true;
        leave_flight(q);
        fail(q);
    }
    // Those that wait are not held up by servers that say nothing at all.
    if (now - d->heard_us < GIVE_UP_US)
        return;
    while ((q = TAILQ_FIRST(&d->waiting)) && now - q->asked_us >= GIVE_UP_US) {
        TAILQ_REMOVE(&d->waiting, q, link);
        fail(q);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct dns *d = arg;
    sres_resolver_timer(d->sres, 0);
    give_up(d, d->now_us());
    send_waiting(d);
}

static void on_deliver(evutil_socket_t fd, short what, void *arg)
{
    struct dns *d = arg;
    struct dns_query *q;
    while ((q = TAILQ_FIRST(&d->done))) {
        TAILQ_REMOVE(&d->done, q, link);
        struct dns_answer answer = q->answer;
        q->answer = (struct dns_answer){.outcome = DNS_FAILED};
        q->fn(q->arg, &answer);
        free_query(q);
    }
    send_waiting(d);
}

void dns_reload(struct dns *d)
{
    d->renew = true;
    if (d->in_flight)
        renew(d, d->now_us());
    send_waiting(d);
}

int dns_new(struct event_base *base, const char *resolv_conf, uint64_t (*now_us)(void), struct dns **ret,
            struct error *err)
{
    struct dns *d = mem_alloc(sizeof(*d));
    *d = (struct dns){
        .base = base, .now_us = now_us, .resolv_conf = resolv_conf ? mem_dup_cstr(resolv_conf) : NULL};
    TAILQ_INIT(&d->waiting);
    TAILQ_INIT(&d->sent);
    TAILQ_INIT(&d->done);
    d->tick = evtimer_new(base, on_tick, d);
    d->deliver = event_new(base, -1, 0, on_deliver, d);
    if (!d->tick || !d->deliver) {
        dns_free(d);
        return error_set(err, -ENOMEM, "cannot make the events of the resolver");
    }
    renew(d, d->now_us());
    *ret = d;
    return 0;
}

void dns_free(struct dns *d)
{
    if (!d)
        return;
    struct query_list *lists[] = {&d->waiting, &d->sent, &d->done};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct dns_query *q;
        while ((q = TAILQ_FIRST(lists[i]))) {
            TAILQ_REMOVE(lists[i], q, link);
            free_query(q);
        }
    }
    close_resolver(d);
    if (d->tick)
        event_free(d->tick);
    if (d->deliver)
        event_free(d->deliver);
    free(d->resolv_conf);
    free(d);
}
