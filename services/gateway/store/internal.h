// What the files of the store share: the object, calls put off to the next loop turn, writes and their
// commit.
#ifndef ROLLCALL_GATEWAY_STORE_INTERNAL_H
#define ROLLCALL_GATEWAY_STORE_INTERNAL_H

#include "common/redis/redis.h"
#include "services/gateway/fair/fair.h"
#include "services/gateway/store/store.h"

#include <sys/queue.h>

struct event;

#define STORE_DAMAGED_KEPT 256

// One connection and which Redis it leads to.
struct store_link {
    struct redis *redis;
    struct store_gate *gate;
    uint64_t replication_hash; // 0 while down
};

// Runs on the next loop turn, or from store_free: an answer must not come from within the call that asked.
struct store_later {
    STAILQ_ENTRY(store_later) link;
    void (*run)(struct store_later *l);
};
STAILQ_HEAD(store_laters, store_later);

// One write. Its owner embeds it, fills s, send and finish, and hands it to store_write_begin.
struct store_write {
    STAILQ_ENTRY(store_write) link;
    struct store_later later;
    struct store *s;
    void (*send)(
        struct store_write *w); // gives the script to Redis; its callback ends in store_write_answered
    void (*finish)(struct store_write *w); // exactly once: tells the caller and frees
    struct error err;                      // code 0: it stands
};
STAILQ_HEAD(store_writes, store_write);

struct store {
    struct store_params params; // the strings in it are not kept, but source
    char *source;
    struct store_link reads;
    struct store_link waits; // only where replicas are asked for: WAIT blocks its connection
    struct redis_script write, raise, object, index, ids_take;
    struct redis_script account_read, account_change, job_claim, job_save;
    struct event *turn;
    struct store_laters later;
    struct store_writes held, committing; // see commit.c
    size_t unanswered;                    // of those committing
    struct company *own_company;          // where it was given no fair turns
    struct fair *own_fair, *fair;
    uint64_t damaged[STORE_DAMAGED_KEPT]; // ids that were told of last
    size_t damaged_next;
    bool closing;
};

// What Redis holds of it cannot be read: counted, and logged unless it was one of the last that were.
void store_damaged(struct store *s, uint64_t id, const struct error *why);

void store_run_later(struct store *s, struct store_later *l, void (*run)(struct store_later *l));

// What reads many records does it slice by slice, each in a turn of its own (FAIR_SLICES): however many walk,
// whoever does not waits behind a few slices only. `run` is called now or in its turn, also when the store
// closes; fair_give_back follows it.
void store_slice_begin(struct store *s, struct fair_ticket *t, struct str account,
                       void (*run)(struct fair_ticket *t));
// How many records are read in this turn: fewer while others ask, who wait behind all of them.
size_t store_slice_records(const struct fair_ticket *t);
#define STORE_SLICE_RECORDS 25 // at most

// 0, or why nothing may be written over this connection now: -ENOTCONN, -EBUSY.
must_use int store_writable(const struct store *s, struct error *err);
struct redis *store_writer(struct store *s); // the connection that writes go over

// Error of a lost or refused command as the store's codes: a Redis that refuses for now counts as away.
int store_error(struct error *ret, const struct error *from_redis);

// commit.c
void store_write_begin(struct store_write *w);    // send is called now, or once the commit under way is over
void store_write_answered(struct store_write *w); // Redis has answered the script; w->err says how
void store_write_fail(struct store_write *w);     // finish on the next turn with w->err, nothing was sent
void store_commit_close(struct store *s);         // those still held get -ENOTCONN

#endif
