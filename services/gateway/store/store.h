// Registrations in Redis: atomic writes, reads, pages. One object for each loop thread, with its own
// connection; all calls and callbacks on that thread. Knows nothing of HTTP, of dialects or of Kafka.
#ifndef ROLLCALL_GATEWAY_STORE_STORE_H
#define ROLLCALL_GATEWAY_STORE_STORE_H

#include "common/redis/redis.h"
#include "common/registration/registration.h"
#include "common/registration/seal.h"

struct event_base;
struct fair;
struct store;

#define STORE_SHARDS 16
unsigned store_shard(struct str account); // CRC16(account) mod 16

// Shared by the stores of a process: which Redis (by replication id) has been checked for lost writes. Writes
// over a connection to any other are refused with -EBUSY until the bus has written back what was lost.
struct store_gate {
    _Atomic uint64_t approved;   // store_replication_hash of it, 0: none yet
    _Atomic uint32_t links_away; // connections of all these stores that are not up: 0, every loop can serve
};
uint64_t store_replication_hash(struct str replication_id); // never 0

// A change that Redis has accepted, to be published. Owned by whoever gets it; freed with store_change_free.
enum store_op { STORE_OP_DESIRED, STORE_OP_REMOVE, STORE_OP_MOVED, STORE_OP_DELETED };
struct store_change {
    enum store_op op;
    uint64_t id, revision;
    char *account;
    char place[REGISTRATION_PLACE_BYTES];
    char *spec;   // JSON text; NULL for MOVED and DELETED
    char *status; // last status as JSON text, where the receiver needs it (sweep, move, DELETED: what was
                  // reported); or NULL
    bool twin;    // REMOVE: an enabled twin holds the same binding, do not send if not sent yet
    bool stray;   // DESIRED, REMOVE: status is of a former owner that was heard late
    char *traceparent;
};
void store_change_free(struct store_change *c);

struct store_params {
    struct event_base *base;
    const char *redis_url;
    const char *redis_password;
    struct redis_options redis_options;
    uint32_t wait_replicas; // ROLLCALL_REDIS_WAIT
    uint32_t wait_timeout_ms;
    struct key_ring_box *keys; // outlives it
    struct store_gate *gate;
    struct fair *fair;  // where slices of walks take their turn; outlives it. NULL: one of its own
    const char *source; // ce_source of the events it writes
    void *arg;
    void (*on_written)(
        void *arg, struct store_change *take_change); // after Redis accepted, before the caller's callback
    void (*on_events)(void *arg, unsigned shard);     // the shard's event outbox has something new
    void (*on_damaged)(void *arg); // a registration was met that cannot be read; NULL: nobody counts
};
must_use int store_new(const struct store_params *p, struct store **ret, struct error *err);
// Callbacks under way get -ENOTCONN from within. Not from within a callback of the same store.
void store_free(struct store *s);
bool store_is_up(const struct store *s);

// Where many registrations are worked on one by one, each has a turn of its account's (FAIR_LINES): `run` is
// called now or in its turn, also when the store closes; fair_give_back follows it.
struct fair_ticket;
void store_turn(struct store *s, struct fair_ticket *t, struct str account,
                void (*run)(struct fair_ticket *t));

// Answers. Codes: -ENOENT no such registration in that account (or deleted), -EEXIST the name is taken,
// -ESTALE another write came between (read again), -EALREADY an idempotency key was used for another request,
// -ENOTCONN Redis is away or refuses for now (a write under way may have been applied), -EBUSY writes wait
// for the write-back, -EBADMSG what Redis holds of it cannot be read (damaged, or of a newer version; lists
// and walks leave such ones out), -ETIMEDOUT the replicas asked for did not confirm (the write stands and is
// published), -EIO else. err is NULL when rc is 0, record is NULL when it is not. Never from within the call
// itself; what is given is borrowed during the callback.
struct store_record {
    struct registration reg;
    struct str status; // JSON text as reported; empty when there was no report yet
    bool replayed;     // a create that its idempotency key had done before: this is what it made
};
typedef void store_record_fn(void *arg, int rc, const struct store_record *record, const struct error *err);
// Ids of an account above `after`, ascending, `limit` at most: for work that goes on where it was.
typedef void store_ids_fn(void *arg, int rc, const uint64_t *ids, size_t count, const struct error *err);
void store_ids(struct store *s, struct str account, uint64_t after, size_t limit, store_ids_fn *fn,
               void *arg);

typedef void store_page_fn(void *arg, int rc, const struct store_record *records, size_t count,
                           uint64_t total, const struct error *err);

void store_get(struct store *s, struct str account, uint64_t id, store_record_fn *fn, void *arg);
// The one of that name; -ENOENT.
void store_find(struct store *s, struct str account, struct str name, store_record_fn *fn, void *arg);

// What indexes serve: exact values of a field. The fields: "username", "domain" (case-insensitive), "state"
// (as last reported, "pending" before), "name", and "label.<member>" for each member of the object "index" in
// the labels (texts; at most four), by which a dialect finds what it keeps there.
struct store_term {
    const char *field;
    struct str value;
};

// Reads the value that a record sorts by: called by walks that no index serves. NULL: absent (sorts last).
typedef char *store_sort_key_fn(const struct registration *r, bool *ret_is_number); // caller frees
// The same for an order that only the request knows.
typedef char *store_sort_key_with_fn(const void *arg, const struct registration *r, bool *ret_is_number);
struct store_query {
    struct str account;
    uint64_t offset, limit;
    bool descending;
    store_sort_key_fn *sort_key;           // NULL: by id
    store_sort_key_with_fn *sort_key_with; // in place of sort_key where not NULL
    const void *sort_arg;                  // its argument; borrowed until the answer
    const uint64_t *ids;                   // only these; NULL: all
    size_t id_count;
    // All of these must hold. The smallest index is read; one term alone, by id, is paged by rank.
    const struct store_term *terms; // borrowed until the call returns
    size_t term_count;
    // What no index serves is judged record by record, in slices that block neither Redis nor the loop.
    bool (*keep)(const void *arg, const struct store_record *record); // NULL: all
    const void *keep_arg;                                             // borrowed until the answer
    bool keep_reads_status; // record->status is filled for keep (costs a walk twice as much)
    size_t slice;           // most records that a walk gives at once; 0, or more than its own 50: those
    // store_page only: gets the page's records one by one as they come, a few in each turn of the loop, and
    // is told of the same `arg` as fn, which then gets NULL and how many there were. After an error what it
    // got is no page.
    void (*each)(void *arg, const struct store_record *record);
    bool live_only;     // only what has a live binding, by its last report
    bool without_total; // a walk may stop once the page is full; total is then what was seen
};
// The whole of an account or of what a query keeps, in ascending order of ids, slice by slice: for exports.
// `fn` gets each slice (rc 0); it ends with count 0 or an error. The next slice is read when store_walk_next
// is called (not before fn was, nor after the end); offset, limit, order and without_total are not looked at.
// The walk is its caller's until store_walk_end, after its end too; store_walk_next not after store_free.
struct store_walk;
struct store_walk *store_walk_begin(struct store *s, const struct store_query *q, store_page_fn *fn,
                                    void *arg);
void store_walk_next(struct store_walk *w);
void store_walk_end(struct store_walk *w); // at any time, once: fn is not called any more; NULL is allowed
// How many an account has; with live_only how many have a live binding.
typedef void store_count_fn(void *arg, int rc, uint64_t count, const struct error *err);
void store_count(struct store *s, struct str account, bool live_only, store_count_fn *fn, void *arg);
void store_page(struct store *s, const struct store_query *q, store_page_fn *fn, void *arg);

struct store_write_context {
    struct str traceparent; // of the request; empty
    struct str actor;       // who: user name, for the event
    // Creates only, kept for a day: the same key with the same fingerprint (of the request) gives what the
    // first made, with another one -EALREADY. Empty: none.
    struct str idempotency_key, fingerprint;
    // Version of the account's objects that the write follows from (store_account_change); NULL: any. Where
    // another one is held: -ESTALE, of a batch with failed = item_count.
    const uint64_t *objects_version;
};
// Gives the registration an id (never given twice), seals its clear secrets, writes it. reg->id is ignored.
void store_create(struct store *s, const struct registration *reg, const struct store_write_context *c,
                  store_record_fn *fn, void *arg);
// Replaces `before` (as it was read: its revision must still hold, else -ESTALE) by `after`. A clear secret
// equal to the sealed one keeps the sealed text, so a write that changes nothing makes no revision. Gives
// back what is stored now.
void store_update(struct store *s, const struct registration *before, const struct registration *after,
                  const struct store_write_context *c, store_record_fn *fn, void *arg);
// Name, listings and filters are free at once; the rest stays until the removal is proved. `revision` not 0:
// only if that is the one held, else -ESTALE. record is NULL in the answer.
void store_delete(struct store *s, struct str account, uint64_t id, uint64_t revision,
                  const struct store_write_context *c, store_record_fn *fn, void *arg);
// Raises a command counter by one with a new revision, so that the owner acts at once: refresh registers now,
// flush unregisters and registers anew, audit asks the registrar what it holds. No event: nothing was
// configured. Gives back what is stored now.
enum store_command { STORE_REFRESH, STORE_FLUSH, STORE_AUDIT };
void store_command(struct store *s, struct str account, uint64_t id, enum store_command command,
                   const struct store_write_context *c, store_record_fn *fn, void *arg);

// Many writes of one account as one: all of them or none, in one script. An id stands once at most.
#define STORE_BATCH_MAX 1000
struct store_item {
    enum { STORE_ITEM_CREATE, STORE_ITEM_UPDATE, STORE_ITEM_DELETE } kind;
    const struct registration *before; // UPDATE, DELETE: as it was read
    const struct registration *after;  // CREATE, UPDATE
};
// rc 0: records[i] is what items[i] left (of a deleted one only its id). Else `failed` is the index of the
// item at fault, or item_count where it is none of them.
typedef void store_batch_fn(void *arg, int rc, size_t failed, const struct store_record *records,
                            size_t count, const struct error *err);
// `unique`: terms that at most one registration of the account may have after the batch, else -ESTALE with
// failed = item_count: somebody else got it meanwhile.
void store_batch(struct store *s, struct str account, const struct store_item *items, size_t item_count,
                 const struct store_term *unique, size_t unique_count, const struct store_write_context *c,
                 store_batch_fn *fn, void *arg);
typedef void store_done_fn(void *arg, int rc, const struct error *err);
// Seals what record, as it was read, holds under other keys than the first of `ring`: a new revision,
// published like any other, without an event and without another time of change, since nothing was
// configured. -ESTALE: another write came between; -ENOKEY, -EBADMSG: a secret cannot be opened, nothing was
// done.
void store_reseal(struct store *s, const struct store_record *record, const struct key_ring *ring,
                  store_done_fn *fn, void *arg);
// Is every secret of it under that key? `reported`: of what was last reported as bound instead.
bool store_is_sealed_with(const struct store_record *record, const char *key_id, bool reported);
// Puts one that was written before there were indexes under its own, by its configuration and its last
// report. Where it was written since, or is gone, nothing is done.
void store_index(struct store *s, const struct store_record *record, store_done_fn *fn, void *arg);

// Takes the sealed texts of `before` where `after` has the same in clear, as store_update does. False: it has
// new ones.
must_use bool store_keep_secrets(const struct store *s, const struct registration *before,
                                 struct registration *after);

// Clear text of a sealed password; caller wipes and frees. -ENOKEY, -EBADMSG.
must_use int store_open_secret(const struct store *s, const struct registration *r, size_t credential,
                               char **ret, struct error *err);

// ---- objects of the deployment: "pops", "nodes". Few and small: read whole.
struct store_object {
    uint64_t id;
    struct str json;
};
typedef void store_objects_fn(void *arg, int rc, const struct store_object *objects, size_t count,
                              const struct error *err);
void store_objects(struct store *s, const char *kind, store_objects_fn *fn, void *arg);
void store_object_put(struct store *s, const char *kind, uint64_t id, bool create, struct str json,
                      store_done_fn *fn,
                      void *arg); // -EEXIST, -ENOENT
void store_object_delete(struct store *s, const char *kind, uint64_t id, store_done_fn *fn, void *arg);
// Whether any registration is sent from that place now.
void store_place_in_use(struct store *s, const char *place, void (*fn)(void *arg, int rc, bool used),
                        void *arg);

// ---- objects of an account: what a dialect keeps beside registrations (Ribbon's tables). JSON texts by kind
// and key. Every change raises the account's version of its objects, so whoever read several of them knows
// whether they still hold together.
struct store_account_object {
    struct str key, json;
};
// *objects in no order; of a single one count is 0 or 1.
typedef void store_account_objects_fn(void *arg, int rc, const struct store_account_object *objects,
                                      size_t count, uint64_t version, const struct error *err);
void store_account_object(struct store *s, struct str account, const char *kind, struct str key,
                          store_account_objects_fn *fn, void *arg);
void store_account_kind(struct store *s, struct str account, const char *kind, store_account_objects_fn *fn,
                        void *arg);
struct store_object_change {
    const char *kind;
    struct str key;
    struct str json; // p NULL: remove; key empty then: the whole kind
};
// Work that is accepted with a change or alone; done by services/gateway/jobs.
struct store_job {
    const char *kind;
    struct str args; // JSON
    // The account has one of this kind at most. One that waits stands for this one too, and one that is begun
    // begins again at its end, so asking again and again holds nobody up.
    bool once;
    // With `once`: one that is begun does not begin again, either.
    bool unless_there;
};
// All or nothing. `version`: that of the reads it follows from, else -ESTALE and nothing was done. `job` may
// be NULL, change_count 0 with a job.
#define STORE_ANY_VERSION UINT64_MAX
void store_account_change(struct store *s, struct str account, uint64_t version,
                          const struct store_object_change *changes, size_t change_count,
                          const struct store_job *job, store_done_fn *fn, void *arg);
// Names of the accounts that anything was ever written of, each once, in no order: also of those that have
// nothing any more, and that nobody may log in to any more. Borrowed during the callback.
typedef void store_accounts_fn(void *arg, int rc, char *const *names, size_t count, const struct error *err);
void store_accounts(struct store *s, store_accounts_fn *fn, void *arg);

// ---- values that expire: sessions, revoked tokens. In a shard that the key itself names, since who reads a
// session does not know its account yet.
typedef void store_value_fn(void *arg, int rc, struct str value, const struct error *err); // -ENOENT
void store_value_set(struct store *s, unsigned shard, const char *kind, struct str key, struct str value,
                     uint64_t lifetime_ms, store_done_fn *fn, void *arg);
// `lifetime_ms` not 0: lives so long from now.
void store_value_get(struct store *s, unsigned shard, const char *kind, struct str key, uint64_t lifetime_ms,
                     store_value_fn *fn, void *arg);
void store_value_delete(struct store *s, unsigned shard, const char *kind, struct str key, store_done_fn *fn,
                        void *arg);

// ---- jobs, for services/gateway/jobs alone.
struct store_claimed_job {
    uint64_t id;
    struct str account, kind, args, cursor;
    unsigned tries; // claims since it last got on, this one included
};
// Which shards have jobs, held or not (bit K: shard K): a claim costs a script, this look nearly nothing.
typedef void store_jobs_fn(void *arg, int rc, unsigned shards, const struct error *err);
void store_jobs_look(struct store *s, store_jobs_fn *fn, void *arg);
typedef void store_job_fn(void *arg, int rc, const struct store_claimed_job *job, const struct error *err);
// The job of a shard that has waited longest and that nobody holds (its holder has it for lease_ms); job
// NULL: none. `holder` is new for each claim, so that who held it before and is late is told so.
void store_job_claim(struct store *s, unsigned shard, const char *holder, uint64_t lease_ms, store_job_fn *fn,
                     void *arg);
// Keeps how far it got and for how long nobody else takes it (0: at once); finished removes it. -ESTALE:
// another holder has it now.
void store_job_save(struct store *s, unsigned shard, uint64_t id, const char *holder, struct str cursor,
                    uint64_t lease_ms, bool finished, store_done_fn *fn, void *arg);

#endif
