// Registrations in Redis: atomic writes, reads, pages. One object for each loop thread, with its own
// connection; all calls and callbacks on that thread. Knows nothing of HTTP, of dialects or of Kafka.
#ifndef ROLLCALL_GATEWAY_STORE_STORE_H
#define ROLLCALL_GATEWAY_STORE_STORE_H

#include "common/registration/registration.h"
#include "common/registration/seal.h"

struct event_base;
struct store;

#define STORE_SHARDS 16
unsigned store_shard(struct str account); // CRC16(account) mod 16

// Shared by the stores of a process: which Redis (by replication id) has been checked for lost writes. Writes
// over a connection to any other are refused with -EBUSY until the bus has written back what was lost (design
// section 4).
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
    char *traceparent;
};
void store_change_free(struct store_change *c);

struct store_params {
    struct event_base *base;
    const char *redis_url;
    const char *redis_password;
    uint32_t wait_replicas; // ROLLCALL_REDIS_WAIT
    uint32_t wait_timeout_ms;
    const struct key_ring *ring;
    struct store_gate *gate;
    const char *source; // ce_source of the events it writes
    void *arg;
    void (*on_written)(
        void *arg, struct store_change *take_change); // after Redis accepted, before the caller's callback
    void (*on_events)(void *arg, unsigned shard);     // the shard's event outbox has something new
};
must_use int store_new(const struct store_params *p, struct store **ret, struct error *err);
// Callbacks under way get -ENOTCONN from within. Not from within a callback of the same store.
void store_free(struct store *s);
bool store_is_up(const struct store *s);

// Answers. Codes: -ENOENT no such registration in that account (or deleted), -EEXIST the name is taken,
// -ESTALE another write came between (read again), -ENOTCONN Redis is away or refuses for now (a write under
// way may have been applied), -EBUSY writes wait for the write-back, -ETIMEDOUT the replicas asked for did
// not confirm (the write stands and is published), -EIO else. err is NULL when rc is 0, record is NULL when
// it is not. Never from within the call itself; what is given is borrowed during the callback.
struct store_record {
    struct registration reg;
    struct str status; // JSON text as reported; empty when there was no report yet
};
typedef void store_record_fn(void *arg, int rc, const struct store_record *record, const struct error *err);
typedef void store_page_fn(void *arg, int rc, const struct store_record *records, size_t count,
                           uint64_t total, const struct error *err);

void store_get(struct store *s, struct str account, uint64_t id, store_record_fn *fn, void *arg);

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
};
void store_page(struct store *s, const struct store_query *q, store_page_fn *fn, void *arg);

struct store_write_context {
    struct str traceparent; // of the request; empty
    struct str actor;       // who: user name, for the event
};
// Gives the registration an id (never given twice), seals its clear secrets, writes it. reg->id is ignored.
void store_create(struct store *s, const struct registration *reg, const struct store_write_context *c,
                  store_record_fn *fn, void *arg);
// Replaces `before` (as it was read: its revision must still hold, else -ESTALE) by `after`. A clear secret
// equal to the sealed one keeps the sealed text, so a write that changes nothing makes no revision. Gives
// back what is stored now.
void store_update(struct store *s, const struct registration *before, const struct registration *after,
                  const struct store_write_context *c, store_record_fn *fn, void *arg);
// Name, listings and filters are free at once; the rest stays until the removal is proved. record is NULL in
// the answer.
void store_delete(struct store *s, struct str account, uint64_t id, const struct store_write_context *c,
                  store_record_fn *fn, void *arg);
// Raises refresh_seq by one with a new revision, so that the owner registers at once. No event: nothing was
// configured. Gives back what is stored now.
void store_refresh(struct store *s, struct str account, uint64_t id, const struct store_write_context *c,
                   store_record_fn *fn, void *arg);
// Clear text of a sealed secret; caller wipes and frees. -ENOKEY, -EBADMSG.
must_use int store_open_secret(const struct store *s, const struct registration *r, size_t credential,
                               char **ret, struct error *err);

// ---- objects of the deployment: "pops", "nodes". Few and small: read whole.
struct store_object {
    uint64_t id;
    struct str json;
};
typedef void store_objects_fn(void *arg, int rc, const struct store_object *objects, size_t count,
                              const struct error *err);
typedef void store_done_fn(void *arg, int rc, const struct error *err);
void store_objects(struct store *s, const char *kind, store_objects_fn *fn, void *arg);
void store_object_put(struct store *s, const char *kind, uint64_t id, bool create, struct str json,
                      store_done_fn *fn,
                      void *arg); // -EEXIST, -ENOENT
void store_object_delete(struct store *s, const char *kind, uint64_t id, store_done_fn *fn, void *arg);
// Whether any registration is sent from that place now.
void store_place_in_use(struct store *s, const char *place, void (*fn)(void *arg, int rc, bool used),
                        void *arg);

#endif
