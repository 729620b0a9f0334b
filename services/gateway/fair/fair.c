// See fair.h. Deficit round robin over the parties of a lane that have something waiting.
#include "services/gateway/fair/fair.h"

#include "common/base/hash.h"
#include "common/base/keyed_table.h" // addresses are of the clients' choosing
#include "common/base/mem.h"
#include "services/gateway/fair/company.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define QUANTUM        4     // what a turn gives a party
#define STARTS_AT_ONCE 16    // in one turn of the loop
#define TOOK_MOST_US   10000 // what took longer waited most of that time, as for a Redis that is away

// What a party has in one lane.
struct standing {
    struct fair_party *party;
    unsigned under_way, waiting, deficit;
    uint64_t rest_until_us;
    TAILQ_HEAD(, fair_ticket) tickets;
    TAILQ_ENTRY(standing) in_ring; // while something waits
};

// There while it has a ticket.
struct fair_party {
    char *name; // any bytes: of an IPv6 client the network
    uint32_t hash;
    size_t ticket_count, waiting; // in all lanes
    struct standing lanes[FAIR_LANES];
    UT_hash_handle hh;
};

struct lane {
    unsigned under_way;
    bool is_full; // somebody waits for nothing but room
    TAILQ_HEAD(, standing) ring;
};

struct fair {
    struct fair_params params;
    struct fair_party *parties;
    struct lane lanes[FAIR_LANES];
    struct event *turn;
    // When the first party that rests may go on. libevent's own timers go by the millisecond, in which a
    // hundred requests are served.
    int timer_fd;
    struct event *timer;
    uint64_t timer_us; // when it fires; 0: it is not set
    bool closed;
};

static void on_turn(evutil_socket_t fd, short what, void *arg);
static void on_timer(evutil_socket_t fd, short what, void *arg);

struct fair *fair_new(const struct fair_params *p)
{
    struct fair *f = mem_alloc(sizeof *f);
    f->params = *p;
    for (int i = 0; i < FAIR_LANES; i++)
        TAILQ_INIT(&f->lanes[i].ring);
    f->turn = event_new(p->base, -1, 0, on_turn, f);
    f->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    f->timer = event_new(p->base, f->timer_fd, EV_READ | EV_PERSIST, on_timer, f);
    if (!f->turn || f->timer_fd < 0 || !f->timer || event_add(f->timer, NULL))
        abort();
    return f;
}

void fair_free(struct fair *f)
{
    if (!f)
        return;
    assert(!f->parties);
    event_free(f->turn);
    event_free(f->timer);
    (void)close(f->timer_fd);
    free(f);
}

// ---- parties

static struct fair_party *party_of(struct fair *f, struct str who, uint32_t hash)
{
    struct fair_party *p = NULL;
    HASH_FIND(hh, f->parties, who.p, who.n, p);
    if (p)
        return p;
    p = mem_alloc(sizeof *p);
    p->name = str_dup(who);
    p->hash = hash;
    for (int i = 0; i < FAIR_LANES; i++) {
        p->lanes[i].party = p;
        TAILQ_INIT(&p->lanes[i].tickets);
    }
    HASH_ADD_KEYPTR(hh, f->parties, p->name, who.n, p);
    return p;
}

static void let_go(struct fair *f, struct fair_party *p)
{
    if (p->ticket_count)
        return;
    HASH_DEL(f->parties, p);
    free(p->name);
    free(p);
}

// ---- turns

static bool fits(unsigned under_way, unsigned cost, unsigned most)
{
    return !under_way || under_way + cost <= most;
}

// Another of whom something waits has asked, however long ago: Redis may stand still for longer than a
// second.
static bool is_alone(const struct fair *f, const struct fair_ticket *t, uint64_t now_us)
{
    struct company *company = f->params.limits[t->lane].company;
    for (int i = 0; i < FAIR_LANES; i++) {
        const struct standing *s = TAILQ_FIRST(&f->lanes[i].ring);
        if (s && f->params.limits[i].company == company && (s->party != t->party || TAILQ_NEXT(s, in_ring)))
            return false;
    }
    return company_is_alone(company, t->party->hash, now_us);
}

static void wake_at(struct fair *f, uint64_t at_us, uint64_t now_us)
{
    if (f->timer_us && f->timer_us <= at_us)
        return;
    uint64_t wait_us = at_us - now_us;
    const struct itimerspec wait = {
        .it_value = {.tv_sec = (time_t)(wait_us / 1000000), .tv_nsec = (long)(wait_us % 1000000) * 1000}};
    f->timer_us = at_us;
    (void)timerfd_settime(f->timer_fd, 0, &wait, NULL);
}

// Where it may not, what it waits for will lead to on_turn.
static bool may_begin(struct fair *f, const struct fair_ticket *t, uint64_t now_us)
{
    const struct fair_limits *limits = &f->params.limits[t->lane];
    const struct standing *own = &t->party->lanes[t->lane];
    bool alone = is_alone(f, t, now_us);
    if (!fits(own->under_way, t->cost, alone ? limits->alone : limits->share))
        return false;
    if (!alone && t->party->waiting && own->rest_until_us > now_us) {
        wake_at(f, own->rest_until_us, now_us);
        return false;
    }
    bool room = fits(f->lanes[t->lane].under_way, t->cost, limits->all);
    f->lanes[t->lane].is_full = f->lanes[t->lane].is_full || !room;
    return room;
}

static void begin(struct fair_ticket *t)
{
    t->state = FAIR_RUNS;
    t->begun_us = t->fair->params.now_us();
    t->party->lanes[t->lane].under_way += t->cost;
    t->fair->lanes[t->lane].under_way += t->cost;
    t->run(t);
}

static void tell(const struct fair *f, enum fair_lane lane, int change)
{
    if (f->params.on_wait)
        f->params.on_wait(f->params.arg, lane, change);
}

static void leave_queue(struct fair_ticket *t)
{
    struct fair *f = t->fair;
    struct standing *own = &t->party->lanes[t->lane];
    TAILQ_REMOVE(&own->tickets, t, link);
    t->party->waiting--;
    if (!--own->waiting) {
        TAILQ_REMOVE(&f->lanes[t->lane].ring, own, in_ring);
        own->deficit = 0;
    }
    tell(f, t->lane, -1);
}

void fair_close(struct fair *f)
{
    f->closed = true;
    for (int i = 0; i < FAIR_LANES; i++) {
        struct standing *s;
        while ((s = TAILQ_FIRST(&f->lanes[i].ring))) {
            struct fair_ticket *t = TAILQ_FIRST(&s->tickets);
            leave_queue(t);
            begin(t);
        }
    }
}

bool fair_is_closed(const struct fair_ticket *t)
{
    return t->fair->closed;
}

bool fair_is_alone(const struct fair_ticket *t)
{
    return is_alone(t->fair, t, t->fair->params.now_us());
}

// The next ticket whose turn it is and that may begin; NULL: none.
static struct fair_ticket *next_of(struct fair *f, enum fair_lane lane, uint64_t now_us)
{
    const struct standing *first = NULL;
    struct standing *s;
    f->lanes[lane].is_full = false;
    while ((s = TAILQ_FIRST(&f->lanes[lane].ring)) && s != first) {
        struct fair_ticket *t = TAILQ_FIRST(&s->tickets);
        bool may = may_begin(f, t, now_us);
        if (may && s->deficit >= t->cost) {
            s->deficit -= t->cost;
            return t;
        }
        TAILQ_REMOVE(&f->lanes[lane].ring, s, in_ring);
        TAILQ_INSERT_TAIL(&f->lanes[lane].ring, s, in_ring);
        if (may) {
            s->deficit += QUANTUM;
            first = NULL; // its turn comes again
        } else if (!first) {
            first = s;
        }
    }
    return NULL;
}

static bool turn_lane(struct fair *f, enum fair_lane lane, uint64_t now_us)
{
    for (int i = 0; i < STARTS_AT_ONCE; i++) {
        struct fair_ticket *t = f->closed ? NULL : next_of(f, lane, now_us);
        if (!t)
            return false;
        leave_queue(t);
        begin(t);
    }
    return true;
}

// Not from within what gave a ticket back, whose caller may be in the middle of freeing.
static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct fair *f = arg;
    bool more = false;
    uint64_t now_us = f->params.now_us();
    for (int i = 0; i < FAIR_LANES; i++)
        more = turn_lane(f, (enum fair_lane)i, now_us) || more;
    if (more)
        event_active(f->turn, EV_TIMEOUT, 0);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct fair *f = arg;
    uint64_t count;
    (void)!read(fd, &count, sizeof count);
    f->timer_us = 0;
    on_turn(fd, what, f);
}

enum fair_answer fair_ask(struct fair *f, struct fair_ticket *t, enum fair_lane lane, struct str who,
                          unsigned cost, void (*run)(struct fair_ticket *t))
{
    uint64_t now_us = f->params.now_us();
    uint32_t hash = hash_murmur2(who);
    company_note(f->params.limits[lane].company, hash, now_us);
    struct fair_party *p = party_of(f, who, hash);
    struct standing *own = &p->lanes[lane];
    *t = (struct fair_ticket){.fair = f, .party = p, .lane = lane, .cost = cost, .run = run};
    bool full = own->waiting >= f->params.limits[lane].queue;
    if (full || f->closed) {
        tell(f, lane, 0);
        *t = (struct fair_ticket){.state = FAIR_NONE};
        let_go(f, p);
        return FAIR_FULL;
    }
    p->ticket_count++;
    // Room that was given back just now is for who waits for it.
    bool others = f->lanes[lane].is_full && !TAILQ_EMPTY(&f->lanes[lane].ring);
    if (!own->waiting && !others && may_begin(f, t, now_us)) {
        begin(t);
        return FAIR_BEGUN;
    }
    t->state = FAIR_WAITS;
    p->waiting++;
    TAILQ_INSERT_TAIL(&own->tickets, t, link);
    if (!own->waiting++)
        TAILQ_INSERT_TAIL(&f->lanes[lane].ring, own, in_ring);
    tell(f, lane, 1);
    return FAIR_QUEUED;
}

// Also where nothing waits now: what its client asks for meanwhile will.
static void rest(struct fair_ticket *t)
{
    struct fair *f = t->fair;
    uint64_t now_us = f->params.now_us(), took_us = now_us - t->begun_us;
    took_us = took_us < TOOK_MOST_US ? took_us : TOOK_MOST_US;
    unsigned cost = t->cost < FAIR_LIST ? t->cost : 0;
    uint64_t until_us = now_us + took_us * cost * f->params.limits[t->lane].rest_percent / 100;
    struct standing *own = &t->party->lanes[t->lane];
    own->rest_until_us = until_us > own->rest_until_us ? until_us : own->rest_until_us;
}

void fair_give_back(struct fair_ticket *t)
{
    struct fair *f = t->fair;
    struct fair_party *p = t->party;
    if (t->state == FAIR_NONE)
        return;
    if (t->state == FAIR_WAITS) {
        leave_queue(t);
    } else {
        rest(t);
        p->lanes[t->lane].under_way -= t->cost;
        f->lanes[t->lane].under_way -= t->cost;
        if (!TAILQ_EMPTY(&f->lanes[t->lane].ring) && !f->closed)
            event_active(f->turn, EV_TIMEOUT, 0);
    }
    *t = (struct fair_ticket){.state = FAIR_NONE};
    p->ticket_count--;
    let_go(f, p);
}
