// See resolve.h. The table of next hops, the wheel that asks again when a TTL ends, and the way in: a known
// answer costs one look-up and no memory.
#include "services/registrant/resolve/resolve.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "services/registrant/resolve/route.h"

#include <errno.h>
#include <string.h>

#define KEY_MAX         2048u
#define WALKS_PER_TICK  2000u
#define WHOLE_SECOND_US SECOND_US

static const char bad_name[] = "the host is neither a name nor a number";

// ---- the wheel

static void unschedule(struct route *route)
{
    if (route->due_us)
        LIST_REMOVE(route, slot);
    route->due_us = 0;
}

void resolver_schedule(struct route *route, uint64_t due_us)
{
    struct resolver *r = route->resolver;
    unschedule(route);
    uint64_t soonest = (r->ticked_s + 1) * WHOLE_SECOND_US;
    uint64_t latest = route->transient ? 0 : route->used_us + ROUTE_IN_USE_US + WHOLE_SECOND_US;
    due_us = due_us > latest ? latest : due_us;
    route->due_us = due_us > soonest ? due_us : soonest;
    LIST_INSERT_HEAD(&r->slots[route->due_us / WHOLE_SECOND_US % ROUTE_SLOTS], route, slot);
}

static void forget(struct route *route)
{
    struct resolver *r = route->resolver;
    r->stale -= route->stale;
    route_unlink(route);
    unschedule(route);
    if (route->told)
        TAILQ_REMOVE(&r->changes, route, change_link);
    struct resolve_request *q;
    while ((q = TAILQ_FIRST(&route->requests))) {
        TAILQ_REMOVE(&route->requests, q, link);
        free(q);
    }
    HASH_DEL(r->routes, route);
    free(route->list);
    free(route->cause);
    free(route);
}

static bool known(const struct route *route, uint64_t now_us)
{
    return now_us < route->expires_us && route->generation == route->resolver->generation;
}

// *walks: of this turn, and how many would have been too much for it: those are spread over the next seconds.
static void run_due(struct route *route, uint64_t now_us, size_t *walks)
{
    bool unused = route->transient || now_us - route->used_us > ROUTE_IN_USE_US;
    if (!route->walking && unused)
        forget(route);
    else if (route->walking || known(route, now_us))
        resolver_schedule(route, route->expires_us);
    else if (!route->count) // whoever wants it asks; there is nothing that could change
        resolver_schedule(route, UINT64_MAX);
    else if (++*walks <= WALKS_PER_TICK)
        route_walk(route, now_us);
    else
        resolver_schedule(route, now_us + *walks / WALKS_PER_TICK * WHOLE_SECOND_US);
}

// What is not of this round of the wheel stays.
static void run_slot(struct resolver *r, uint64_t second, uint64_t now_us, size_t *walks)
{
    struct route_slot slot = {.lh_first = LIST_FIRST(&r->slots[second % ROUTE_SLOTS])};
    if (slot.lh_first)
        slot.lh_first->slot.le_prev = &slot.lh_first;
    LIST_INIT(&r->slots[second % ROUTE_SLOTS]);
    struct route *route;
    while ((route = LIST_FIRST(&slot))) {
        if (route->due_us / WHOLE_SECOND_US > second) {
            LIST_REMOVE(route, slot);
            LIST_INSERT_HEAD(&r->slots[second % ROUTE_SLOTS], route, slot);
        } else {
            unschedule(route);
            run_due(route, now_us, walks);
        }
    }
}

static void refresh_hosts(struct resolver *r)
{
    if (!hosts_refresh(r->hosts))
        return;
    r->generation++;
    for (struct route *route = r->routes; route; route = route->hh.next)
        if (!route->walking)
            resolver_schedule(route, 0);
}

void resolver_tick(struct resolver *r)
{
    uint64_t now_us = r->now_us(), now_s = now_us / WHOLE_SECOND_US;
    refresh_hosts(r);
    if (now_s - r->ticked_s > ROUTE_SLOTS)
        r->ticked_s = now_s - ROUTE_SLOTS;
    size_t walks = 0;
    while (r->ticked_s < now_s)
        run_slot(r, ++r->ticked_s, now_us, &walks);
    struct route *route, *next;
    for (route = TAILQ_FIRST(&r->walking); route; route = next) {
        next = TAILQ_NEXT(route, walk_link);
        if (now_us - route->began_us < ROUTE_PATIENCE_US)
            break;
        route_lose_patience(route, now_us);
    }
    questions_sweep(r->questions, now_us, ROUTE_IN_USE_US);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    resolver_tick(arg);
}

// ---- changes

void resolver_tell(struct route *route)
{
    struct resolver *r = route->resolver;
    if (route->told)
        return;
    r->changed_sets++;
    route->told = true;
    TAILQ_INSERT_TAIL(&r->changes, route, change_link);
    event_active(r->tell, 0, 0);
}

static void on_tell(evutil_socket_t fd, short what, void *arg)
{
    struct resolver *r = arg;
    struct route *route;
    while ((route = TAILQ_FIRST(&r->changes))) {
        TAILQ_REMOVE(&r->changes, route, change_link);
        route->told = false;
        struct resolve_target targets[ORDER_MAX_TARGETS];
        bool aside[ORDER_MAX_TARGETS] = {false};
        size_t usable;
        order_targets(route->list, route->count, 0, aside, targets, &usable);
        if (r->changed && route->count)
            r->changed(r->arg, route_registrar(route), targets, route->count);
    }
}

// ---- the way in

static uint16_t default_port(enum registration_transport t)
{
    return t == TRANSPORT_TLS ? 5061 : 5060;
}

static void give_none(const char *cause, resolve_fn *fn, void *arg)
{
    struct resolve_answer answer = {.cause = cause};
    fn(arg, &answer);
}

// A number needs no DNS (RFC 3263 4.2).
static void give_number(struct resolver *r, enum registration_transport transport,
                        const struct address *address, resolve_fn *fn, void *arg)
{
    bool v4 = address->any.sa_family == AF_INET;
    if (v4 ? !r->ipv4 : !r->ipv6) {
        give_none(v4 ? "nothing is sent by IPv4 here" : "nothing is sent by IPv6 here", fn, arg);
        return;
    }
    struct resolve_target target = {.transport = transport, .address = *address};
    struct resolve_answer answer = {.targets = &target, .count = 1};
    answer.usable = !aside_has(r->aside, &target, r->now_us());
    fn(arg, &answer);
}

// Bytes of the key, or 0: no such name can be.
static size_t write_key(const struct resolve_query *q, enum registration_transport transport,
                        char key[KEY_MAX], size_t *ret_host_bytes)
{
    if (!dns_name(q->host, key + ROUTE_KEY_HEAD))
        return 0;
    size_t host = strlen(key + ROUTE_KEY_HEAD), at = ROUTE_KEY_HEAD + host + 1;
    size_t registrar = q->registrar.n < KEY_MAX - at ? q->registrar.n : KEY_MAX - at;
    key[0] = (char)transport;
    key[1] = q->transport_given;
    key[2] = q->sips;
    memcpy(key + 3, &q->port, sizeof(q->port));
    if (registrar)
        memcpy(key + at, q->registrar.p, registrar);
    *ret_host_bytes = host;
    return at + registrar;
}

static struct route *route_new(struct resolver *r, const struct resolve_query *q,
                               enum registration_transport transport, const char *key, size_t key_bytes,
                               size_t host_bytes)
{
    struct route *route = mem_alloc(sizeof(*route) + key_bytes);
    route->resolver = r;
    route->transient = HASH_COUNT(r->routes) >= ROUTE_MAX;
    route->port = q->port;
    route->transport = transport;
    route->transport_given = q->transport_given;
    route->sips = q->sips;
    route->key_bytes = key_bytes;
    route->host_bytes = host_bytes;
    memcpy(route->key, key, key_bytes);
    TAILQ_INIT(&route->requests);
    LIST_INIT(&route->waits);
    HASH_ADD_KEYPTR(hh, r->routes, route->key, key_bytes, route);
    return route;
}

static struct resolve_request *enqueue(struct route *route, uint64_t affinity, resolve_fn *fn, void *arg)
{
    struct resolve_request *q = mem_alloc(sizeof(*q));
    *q = (struct resolve_request){
        .route = route, .round = route->round, .affinity = affinity, .fn = fn, .arg = arg};
    TAILQ_INSERT_TAIL(&route->requests, q, link);
    return q;
}

static struct resolve_request *find_by_route(struct route *route, uint64_t affinity, resolve_fn *fn,
                                             void *arg)
{
    struct resolver *r = route->resolver;
    uint64_t now_us = r->now_us();
    route->used_us = now_us;
    if (!known(route, now_us) && !route->impatient) {
        route_walk(route, now_us);
        if (route->walking && !route->impatient)
            return enqueue(route, affinity, fn, arg);
    }
    route_give(route, affinity, now_us, fn, arg);
    return NULL;
}

struct resolve_request *resolver_find(struct resolver *r, const struct resolve_query *q, resolve_fn *fn,
                                      void *arg)
{
    enum registration_transport transport = q->sips ? TRANSPORT_TLS : q->transport;
    struct address number;
    if (transport == TRANSPORT_WS) {
        give_none("WebSocket is not spoken here", fn, arg);
        return NULL;
    }
    if (address_parse(q->host, q->port ? q->port : default_port(transport), &number)) {
        give_number(r, transport, &number, fn, arg);
        return NULL;
    }
    char key[KEY_MAX];
    size_t host_bytes = 0, bytes = write_key(q, transport, key, &host_bytes);
    if (!bytes) {
        give_none(bad_name, fn, arg);
        return NULL;
    }
    struct route *route;
    HASH_FIND(hh, r->routes, key, bytes, route);
    if (!route)
        route = route_new(r, q, transport, key, bytes, host_bytes);
    return find_by_route(route, q->affinity, fn, arg);
}

void resolve_cancel(struct resolve_request *request)
{
    if (!request)
        return;
    TAILQ_REMOVE(&request->route->requests, request, link);
    free(request);
}

void resolver_set_aside(struct resolver *r, const struct resolve_target *t, uint32_t for_s)
{
    uint64_t now_us = r->now_us();
    aside_put(r->aside, t, now_us + for_s * SECOND_US, now_us);
}

void resolver_take_back(struct resolver *r, const struct resolve_target *t)
{
    aside_remove(r->aside, t);
}

struct resolver_stats resolver_stats(const struct resolver *r)
{
    struct resolver_stats s = {.names = HASH_COUNT(r->routes), .stale = r->stale, .changes = r->changed_sets};
    questions_counts(r->questions, &s.questions, &s.failures);
    return s;
}

// ---- life

void resolver_reload(struct resolver *r)
{
    dns_reload(r->dns);
    refresh_hosts(r);
}

int resolver_new(const struct resolver_params *p, struct resolver **ret, struct error *err)
{
    struct resolver *r = mem_alloc(sizeof(*r));
    r->base = p->base;
    r->ipv4 = p->ipv4;
    r->ipv6 = p->ipv6;
    r->tls = p->tls;
    r->changed = p->changed;
    r->arg = p->arg;
    r->seed = p->seed;
    r->now_us = p->now_us ? p->now_us : clock_monotonic_us;
    r->ticked_s = r->now_us() / WHOLE_SECOND_US;
    TAILQ_INIT(&r->walking);
    TAILQ_INIT(&r->changes);
    r->aside = aside_new();
    r->hosts = hosts_new(p->hosts_file ? p->hosts_file : "/etc/hosts");
    r->tick = event_new(p->base, -1, EV_PERSIST, on_tick, r);
    r->tell = event_new(p->base, -1, 0, on_tell, r);
    struct timeval second = {.tv_sec = 1};
    int rc = r->tick && r->tell && event_add(r->tick, &second) == 0
                 ? dns_new(p->base, p->resolv_conf, r->now_us, &r->dns, err)
                 : error_set(err, -ENOMEM, "cannot make the events of the resolver");
    if (rc) {
        resolver_free(r);
        return rc;
    }
    r->questions = questions_new(r->dns, r->now_us, route_answered);
    *ret = r;
    return 0;
}

void resolver_free(struct resolver *r)
{
    if (!r)
        return;
    while (r->routes)
        forget(r->routes);
    questions_free(r->questions);
    dns_free(r->dns);
    hosts_free(r->hosts);
    aside_free(r->aside);
    if (r->tick)
        event_free(r->tick);
    if (r->tell)
        event_free(r->tell);
    free(r);
}
