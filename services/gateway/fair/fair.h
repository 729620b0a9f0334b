// Fair turns at what a loop has one of: its thread and its connection to Redis. Each account has a bounded
// part of it under way; what it asks beyond that waits in a queue of its own, and accounts are served in
// turn. So another's request waits behind a few of a flood's and not behind all. Somebody of whom something
// waits while others ask also rests between one thing and the next, in proportion to what the last one took:
// a flood leaves the loop, Redis and its disk idle for a part of the time, and another's request mostly waits
// behind nothing. An account that is alone may have more under way and never rests; nor does one that asks
// for one thing after the other. Knows nothing of HTTP. Loop thread only.
#ifndef ROLLCALL_GATEWAY_FAIR_FAIR_H
#define ROLLCALL_GATEWAY_FAIR_FAIR_H

#include "common/base/str.h"

#include <stdint.h>
#include <sys/queue.h>

struct company;
struct event_base;
struct fair;
struct fair_party;

// Requests end within a few answers of Redis. Bulk goes on for as long as its client sends or reads, so it
// has a lane of its own: else a few slow exports would keep their own account from everything else. Logins
// wait for the thread that hashes, and their party is the client's address: nobody is known yet. Slices are
// what lists, walks and exports consist of: some records read at once; lines are those of imports, and
// registrations of jobs.
enum fair_lane { FAIR_REQUESTS, FAIR_BULK, FAIR_LOGINS, FAIR_SLICES, FAIR_LINES, FAIR_LANES };

struct fair_limits {
    unsigned share; // most that one party has under way while others ask
    unsigned alone; // while none other waits here, or asked within a second (company.h)
    unsigned all;   // of all parties
    unsigned queue; // tickets of one party that wait
    // How long a party rests of which something waits while others ask: so many percent of what the ticket
    // that ended took, for each unit of its cost. A list does not: its slices have.
    unsigned rest_percent;
    struct company *company; // whom the party is alone among; outlives it
};
// What a request costs, in the measure of fair_limits.
enum { FAIR_READ = 1, FAIR_WRITE = 2, FAIR_LIST = 4 };

struct fair_params {
    struct event_base *base;
    struct fair_limits limits[FAIR_LANES];
    uint64_t (*now_us)(void); // monotonic
    void *arg;
    // A ticket had to wait (by +1), waits no longer (-1), or was refused (0). NULL: nobody counts.
    void (*on_wait)(void *arg, enum fair_lane lane, int change);
};
struct fair *fair_new(const struct fair_params *p);
void fair_free(struct fair *f); // all tickets are back; NULL is allowed
// What waits is run now, to be ended: fair_is_closed says so. Nothing waits from then on.
void fair_close(struct fair *f);

// Embedded in what asks, zeroed.
struct fair_ticket {
    TAILQ_ENTRY(fair_ticket) link;
    struct fair *fair;
    struct fair_party *party;
    enum fair_lane lane;
    enum { FAIR_NONE, FAIR_WAITS, FAIR_RUNS } state;
    unsigned cost;
    uint64_t begun_us;
    void (*run)(struct fair_ticket *t);
};

enum fair_answer {
    FAIR_BEGUN,  // `run` was called
    FAIR_QUEUED, // it will be called from the loop
    FAIR_FULL    // too many of this party wait already, or it is closed; the ticket is as before
};
must_use enum fair_answer fair_ask(struct fair *f, struct fair_ticket *t, enum fair_lane lane, struct str who,
                                   unsigned cost, void (*run)(struct fair_ticket *t));
bool fair_is_closed(const struct fair_ticket *t);
bool fair_is_alone(const struct fair_ticket *t); // of one that runs: as fair_limits.alone
void fair_give_back(struct fair_ticket *t);      // whatever its state

#endif
