// See fair.h. Deficit round robin over the parties of a lane that have something waiting.
#include "services/gateway/dialect/fair.h"

#include "common/base/hash.h"
#include "common/base/keyed_table.h" // addresses are of the clients' choosing
#include "common/base/mem.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>

#define QUANTUM        4 // what a turn gives a party
#define OTHERS_US      1000000
#define STARTS_AT_ONCE 16 // in one turn of the loop

// What a party has in one lane.
struct standing {
    struct fair_party *party;
    unsigned under_way, waiting, deficit;
    TAILQ_HEAD(, fair_ticket) tickets;
    TAILQ_ENTRY(standing) in_ring; // while something waits
};

// There while it has a ticket.
struct fair_party {
    char *name; // any bytes: of an IPv6 client the network
    uint32_t hash;
    size_t ticket_count;
    struct standing lanes[FAIR_LANES];
    UT_hash_handle hh;
};

struct lane {
    unsigned under_way;
    TAILQ_HEAD(, standing) ring;
};

// Who asked, and when last. A collision of hashes makes two parties one here, which does little harm.
struct asked {
    uint32_t who;
    uint64_t at_us; // 0: nobody did
};

struct fair {
    struct fair_params params;
    struct fair_party *parties;
    struct lane lanes[FAIR_LANES];
    struct asked last, other; // two different parties: who asked last, and who did before that one
    struct event *turn;
    bool closed;
};

static void on_turn(evutil_socket_t fd, short what, void *arg);

struct fair *fair_new(const struct fair_params *p)
{
    struct fair *f = mem_alloc(sizeof *f);
    f->params = *p;
    for (int i = 0; i < FAIR_LANES; i++)
        TAILQ_INIT(&f->lanes[i].ring);
    f->turn = event_new(p->base, -1, 0, on_turn, f);
    if (!f->turn)
        abort();
    return f;
}

void fair_free(struct fair *f)
{
    if (!f)
        return;
    assert(!f->parties);
    event_free(f->turn);
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

static void note(struct fair *f, uint32_t who, uint64_t now_us)
{
    if (f->last.who != who)
        f->other = f->last;
    f->last = (struct asked){.who = who, .at_us = now_us};
}

static bool is_alone(const struct fair *f, uint32_t who, uint64_t now_us)
{
    const struct asked *someone = f->last.who == who ? &f->other : &f->last;
    return !someone->at_us || now_us - someone->at_us >= OTHERS_US;
}

// ---- turns

static bool has_room(const struct fair *f, const struct fair_ticket *t, bool alone)
{
    const struct fair_limits *limits = &f->params.limits[t->lane];
    const struct standing *own = &t->party->lanes[t->lane];
    unsigned most = alone ? limits->alone : limits->share;
    bool fits = !own->under_way || own->under_way + t->cost <= most;
    return fits && (!f->lanes[t->lane].under_way || f->lanes[t->lane].under_way + t->cost <= limits->all);
}

static void begin(struct fair_ticket *t)
{
    t->state = FAIR_RUNS;
    t->party->lanes[t->lane].under_way += t->cost;
    t->fair->lanes[t->lane].under_way += t->cost;
    t->run(t);
}

static void leave_queue(struct fair_ticket *t)
{
    struct fair *f = t->fair;
    struct standing *own = &t->party->lanes[t->lane];
    TAILQ_REMOVE(&own->tickets, t, link);
    if (!--own->waiting) {
        TAILQ_REMOVE(&f->lanes[t->lane].ring, own, in_ring);
        own->deficit = 0;
    }
    f->params.on_wait(f->params.arg, t->lane, -1);
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

// The next ticket whose turn it is and for which there is room; NULL: none.
static struct fair_ticket *next_of(struct fair *f, enum fair_lane lane, uint64_t now_us)
{
    const struct standing *first = NULL;
    struct standing *s;
    while ((s = TAILQ_FIRST(&f->lanes[lane].ring)) && s != first) {
        struct fair_ticket *t = TAILQ_FIRST(&s->tickets);
        bool room = has_room(f, t, is_alone(f, s->party->hash, now_us));
        if (room && s->deficit >= t->cost) {
            s->deficit -= t->cost;
            return t;
        }
        TAILQ_REMOVE(&f->lanes[lane].ring, s, in_ring);
        TAILQ_INSERT_TAIL(&f->lanes[lane].ring, s, in_ring);
        if (room) {
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

enum fair_answer fair_ask(struct fair *f, struct fair_ticket *t, enum fair_lane lane, struct str who,
                          unsigned cost, void (*run)(struct fair_ticket *t))
{
    uint64_t now_us = f->params.now_us();
    uint32_t hash = hash_murmur2(who);
    note(f, hash, now_us);
    struct fair_party *p = party_of(f, who, hash);
    struct standing *own = &p->lanes[lane];
    *t = (struct fair_ticket){.fair = f, .party = p, .lane = lane, .cost = cost, .run = run};
    bool full = own->waiting >= f->params.limits[lane].queue;
    bool begins = !own->waiting && has_room(f, t, is_alone(f, hash, now_us));
    if (full || f->closed) {
        f->params.on_wait(f->params.arg, lane, 0);
        *t = (struct fair_ticket){.state = FAIR_NONE};
        let_go(f, p);
        return FAIR_FULL;
    }
    p->ticket_count++;
    if (begins) {
        begin(t);
        return FAIR_BEGUN;
    }
    t->state = FAIR_WAITS;
    TAILQ_INSERT_TAIL(&own->tickets, t, link);
    if (!own->waiting++)
        TAILQ_INSERT_TAIL(&f->lanes[lane].ring, own, in_ring);
    f->params.on_wait(f->params.arg, lane, 1);
    return FAIR_QUEUED;
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
        p->lanes[t->lane].under_way -= t->cost;
        f->lanes[t->lane].under_way -= t->cost;
        if (!TAILQ_EMPTY(&f->lanes[t->lane].ring) && !f->closed)
            event_active(f->turn, EV_TIMEOUT, 0);
    }
    *t = (struct fair_ticket){.state = FAIR_NONE};
    p->ticket_count--;
    let_go(f, p);
}
