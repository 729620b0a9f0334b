// See route.h. A walk goes from the beginning each time that all it waited for has been answered, until it
// waits for nothing more: answers that came since it began hold for it whatever their TTL.
#include "services/registrant/resolve/route.h"

#include "common/base/hash.h"
#include "common/base/mem.h"

#include <stdio.h>
#include <string.h>

#define SIP_PORT     5060u
#define SIPS_PORT    5061u
#define MAX_SERVICES 4u   // of NAPTR
#define MAX_TARGETS  32u  // of one SRV answer
#define MAX_LOOKS    160u // questions of one walk

static const char stale_text[] = "the DNS servers do not answer; what they said last is used on";

struct walk {
    struct route *route;
    struct resolver *r;
    uint64_t now_us, expires_us;
    struct candidate list[ORDER_MAX_TARGETS];
    size_t count, looks;
    bool waits;      // for an answer
    bool refused;    // SRV says that there is no such service here
    bool by_naptr;   // NAPTR led here
    const char *why; // static; what failed, else NULL
    char failed_name[DNS_NAME_BYTES];
};

static void failed(struct walk *w, const char *why, const char *name)
{
    if (w->why)
        return;
    w->why = why;
    (void)snprintf(w->failed_name, sizeof(w->failed_name), "%s", name);
}

static void wait_for(struct walk *w, struct question *q)
{
    struct question_wait *wait = mem_alloc(sizeof(*wait));
    wait->waiter = w->route;
    LIST_INSERT_HEAD(&w->route->waits, wait, mine);
    w->route->wait_count++;
    w->waits = true;
    question_wait(q, wait);
}

// NULL: not known yet, or not to be known. A failure is told by its outcome.
static const struct dns_answer *look(struct walk *w, enum dns_type type, const char *name)
{
    static const struct dns_answer none = {.outcome = DNS_FAILED};
    struct question *q = ++w->looks <= MAX_LOOKS ? questions_get(w->r->questions, type, name) : NULL;
    if (!q) {
        failed(w, "there are too many names to ask for", name);
        return &none;
    }
    uint64_t expires_us;
    const struct dns_answer *a = question_answer(q, w->route->began_us, w->now_us, &expires_us);
    if (!a) {
        wait_for(w, q);
        return NULL;
    }
    if (expires_us < w->expires_us)
        w->expires_us = expires_us;
    return a;
}

static void add(struct walk *w, struct candidate c, const struct address *address, uint16_t port)
{
    c.target.address = *address;
    if (address->any.sa_family == AF_INET)
        c.target.address.v4.sin_port = htons(port);
    else
        c.target.address.v6.sin6_port = htons(port);
    for (size_t i = 0; i < w->count; i++)
        if (w->list[i].target.transport == c.target.transport &&
            address_equal(&w->list[i].target.address, &c.target.address))
            return;
    if (w->count < ORDER_MAX_TARGETS)
        w->list[w->count++] = c;
}

static bool can_send_from(const struct walk *w, const struct address *a)
{
    return a->any.sa_family == AF_INET ? w->r->ipv4 : w->r->ipv6;
}

// Addresses of one family by DNS. True: there are some.
static bool add_family(struct walk *w, struct candidate c, enum dns_type type, const char *host,
                       uint16_t port, bool *ret_failed)
{
    const struct dns_answer *a = look(w, type, host);
    *ret_failed = a && a->outcome == DNS_FAILED;
    for (size_t i = 0; a && i < a->count; i++)
        add(w, c, &a->records[i].address, port);
    return a && a->count;
}

// RFC 3263 4.2, the end of every way: A and AAAA. The hosts file comes first; some write a number into SRV.
static void add_host(struct walk *w, struct candidate c, const char *host, uint16_t port)
{
    struct address known[ORDER_MAX_TARGETS];
    size_t n = address_parse(str_of(host), 0, &known[0])
                   ? 1
                   : hosts_find(w->r->hosts, str_of(host), known, ORDER_MAX_TARGETS);
    for (size_t i = 0; i < n; i++)
        if (can_send_from(w, &known[i]))
            add(w, c, &known[i], port);
    if (n)
        return;
    bool failed4 = false, failed6 = false, found = false;
    if (w->r->ipv4)
        found = add_family(w, c, DNS_A, host, port, &failed4);
    if (w->r->ipv6)
        found = add_family(w, c, DNS_AAAA, host, port, &failed6) || found;
    // Not every server knows AAAA: that spoils nothing where there is an A.
    if (failed4 || (failed6 && !found))
        failed(w, "the DNS servers do not answer for", host);
}

// RFC 2782. True: the name has SRV records, of whatever use.
static bool add_srv(struct walk *w, const char *name, enum registration_transport transport, uint32_t rank)
{
    const struct dns_answer *a = look(w, DNS_SRV, name);
    if (a && a->outcome == DNS_FAILED)
        failed(w, "the DNS servers do not answer for", name);
    if (!a || a->outcome != DNS_FOUND)
        return false;
    for (size_t i = 0; i < a->count && i < MAX_TARGETS; i++) {
        const struct dns_record *srv = &a->records[i];
        if (!*srv->name) { // "." is how a domain says that it does not have the service
            w->refused = true;
            continue;
        }
        struct candidate c = {.target.transport = transport,
                              .rank = rank + srv->first,
                              .weight = srv->second,
                              .group = order_hash(str_of(srv->name), srv->port)};
        add_host(w, c, srv->name, srv->port);
    }
    return true;
}

static bool add_service(struct walk *w, enum registration_transport transport, uint32_t rank)
{
    static const char *const prefixes[] = {
        [TRANSPORT_UDP] = "_sip._udp.", [TRANSPORT_TCP] = "_sip._tcp.", [TRANSPORT_TLS] = "_sips._tcp."};
    char text[DNS_NAME_BYTES + 16], name[DNS_NAME_BYTES];
    (void)snprintf(text, sizeof(text), "%s" STR_FMT, prefixes[transport], STR_ARG(route_host(w->route)));
    return dns_name(str_of(text), name) && add_srv(w, name, transport, rank);
}

// RFC 3263 4.1: with sips only TLS; a transport that was asked for is kept to; UDP is the model's "not
// chosen".
static bool takes_service(const struct walk *w, enum registration_transport service)
{
    if (w->route->sips)
        return service == TRANSPORT_TLS;
    if (w->route->transport != TRANSPORT_UDP)
        return service == w->route->transport;
    return service != TRANSPORT_TLS || w->r->tls;
}

// Those of the lowest order that has one we can use (RFC 3403 4.1: no others then), by preference. Their
// count.
static size_t choose_services(const struct walk *w, const struct dns_answer *a,
                              const struct dns_record *ret[MAX_SERVICES])
{
    size_t n = 0;
    for (size_t i = 0; i < a->count; i++) {
        const struct dns_record *s = &a->records[i];
        if (!takes_service(w, s->transport) || (n && s->first > ret[0]->first))
            continue;
        if (n && s->first < ret[0]->first)
            n = 0;
        if (n == MAX_SERVICES && s->second >= ret[n - 1]->second)
            continue;
        size_t at = n < MAX_SERVICES ? n++ : MAX_SERVICES - 1;
        for (; at > 0 && s->second < ret[at - 1]->second; at--)
            ret[at] = ret[at - 1];
        ret[at] = s;
    }
    return n;
}

// True: NAPTR led to SRV records. The services after the first serve when its targets fail.
static bool add_naptr(struct walk *w, const char *host)
{
    const struct dns_record *services[MAX_SERVICES];
    const struct dns_answer *a = look(w, DNS_NAPTR, host);
    if (a && a->outcome == DNS_FAILED && w->route->by_naptr)
        failed(w, "the DNS servers do not answer for",
               host); // it had some: nothing else may take their place
    if (!a || a->outcome != DNS_FOUND)
        return false;
    size_t count = choose_services(w, a, services);
    bool found = false;
    for (size_t i = 0; i < count; i++)
        found = add_srv(w, services[i]->name, services[i]->transport, (uint32_t)i << 16) || found;
    w->by_naptr = found;
    return found;
}

// RFC 3263 4.1: without NAPTR the SRV of a transport; where none was chosen, of each that we speak.
static bool add_services(struct walk *w)
{
    const struct route *route = w->route;
    if (add_service(w, route->transport, 0) || w->waits || w->why)
        return true;
    if (route->transport_given || route->sips || route->transport != TRANSPORT_UDP)
        return false;
    if (add_service(w, TRANSPORT_TCP, 0) || w->waits || w->why)
        return true;
    return w->r->tls && (add_service(w, TRANSPORT_TLS, 0) || w->waits || w->why);
}

static void run(struct walk *w)
{
    const struct route *route = w->route;
    const char *host = route_host(route).p;
    struct candidate c = {.target.transport = route->transport};
    if (route->port) {
        add_host(w, c, host, route->port);
        return;
    }
    bool found = !route->transport_given && add_naptr(w, host);
    if (found || w->waits || w->why)
        return;
    if (!add_services(w))
        add_host(w, c, host, route->transport == TRANSPORT_TLS ? SIPS_PORT : SIP_PORT);
}

// ---- what comes of a walk

static uint64_t set_of(const struct candidate *list, size_t count)
{
    uint64_t sum = count;
    for (size_t i = 0; i < count; i++)
        sum += order_target_hash(&list[i].target);
    return sum ? sum : 1;
}

static void keep_list(struct route *route, const struct walk *w)
{
    route->list = mem_resize(route->list, w->count, sizeof(*w->list));
    memcpy(route->list, w->list, w->count * sizeof(*w->list));
    route->count = w->count;
    route->by_naptr = w->by_naptr;
    uint64_t set = set_of(w->list, w->count);
    if (route->told_set && route->told_set != set)
        resolver_tell(route);
    route->told_set = set;
}

static void keep_none(struct route *route, const struct walk *w)
{
    struct buf text = BUF_INIT;
    if (w->why)
        buf_addf(&text, "%s %s", w->why, w->failed_name);
    else if (w->refused && !w->count)
        buf_addf(&text, STR_FMT " does not offer this service (SRV)", STR_ARG(route_host(route)));
    else
        buf_addf(&text, "no address for " STR_FMT, STR_ARG(route_host(route)));
    free(route->list);
    route->list = NULL;
    route->count = 0;
    route->cause = buf_steal(&text);
}

static bool still_serves(const struct route *route, uint64_t now_us)
{
    return route->count && now_us < route->good_until_us + ROUTE_STALE_US;
}

static void conclude(struct route *route, const struct walk *w)
{
    bool was_stale = route->stale;
    route->stale = w->why && still_serves(route, w->now_us);
    route->resolver->stale += (uint64_t)route->stale - (uint64_t)was_stale;
    if (route->stale) {
        route->expires_us = w->now_us + ROUTE_RETRY_US;
        return;
    }
    free(route->cause);
    route->cause = NULL;
    route->expires_us = w->expires_us;
    route->good_until_us = w->expires_us;
    route->generation = route->resolver->generation;
    if (w->count)
        keep_list(route, w);
    else
        keep_none(route, w);
}

void route_give(const struct route *route, uint64_t affinity, uint64_t now_us, resolve_fn *fn, void *arg)
{
    struct resolver *r = route->resolver;
    struct resolve_target targets[ORDER_MAX_TARGETS];
    bool aside[ORDER_MAX_TARGETS];
    struct resolve_answer answer = {.targets = targets, .count = route->count};
    answer.cause = !route->count ? route->cause : route->stale || route->impatient ? stale_text : NULL;
    for (size_t i = 0; i < route->count; i++)
        aside[i] = aside_has(r->aside, &route->list[i].target, now_us);
    order_targets(route->list, route->count, hash_u64(affinity ^ r->seed), aside, targets, &answer.usable);
    fn(arg, &answer);
}

// Everybody who asked before this; a caller may ask again, or cancel another, from inside.
static void answer_all(struct route *route, uint64_t now_us)
{
    uint64_t round = route->round++;
    struct resolve_request *q;
    while ((q = TAILQ_FIRST(&route->requests)) && q->round <= round) {
        TAILQ_REMOVE(&route->requests, q, link);
        route_give(route, q->affinity, now_us, q->fn, q->arg);
        free(q);
    }
}

void route_unlink(struct route *route)
{
    struct question_wait *w;
    while ((w = LIST_FIRST(&route->waits))) {
        LIST_REMOVE(w, mine);
        question_unlink(w);
        free(w);
    }
    route->wait_count = 0;
    if (route->walking)
        TAILQ_REMOVE(&route->resolver->walking, route, walk_link);
    route->walking = false;
}

static void step(struct route *route, uint64_t now_us)
{
    struct walk w = {.route = route, .r = route->resolver, .now_us = now_us};
    w.expires_us = now_us + 86400 * SECOND_US;
    run(&w);
    if (w.waits)
        return;
    route_unlink(route);
    route->impatient = false;
    conclude(route, &w);
    uint64_t least = now_us + ROUTE_REFRESH_US;
    resolver_schedule(route, route->expires_us > least ? route->expires_us : least);
    answer_all(route, now_us);
}

void route_walk(struct route *route, uint64_t now_us)
{
    if (route->walking)
        return;
    route->walking = true;
    route->began_us = now_us;
    route->impatient =
        route->stale && still_serves(route, now_us); // nobody waits for DNS that failed last time
    TAILQ_INSERT_TAIL(&route->resolver->walking, route, walk_link);
    step(route, now_us);
}

void route_answered(struct question_wait *w)
{
    struct route *route = w->waiter;
    LIST_REMOVE(w, mine);
    free(w);
    if (--route->wait_count == 0)
        step(route, route->resolver->now_us());
}

void route_lose_patience(struct route *route, uint64_t now_us)
{
    if (route->impatient || !still_serves(route, now_us))
        return;
    route->impatient = true;
    answer_all(route, now_us);
}
