// Items on their way through write.lua: gives the ids, seals, hands them over, says what came of it and
// publishes what was written. Knows no caller: single writes (write.c) and batches (batch.c) do.
#ifndef ROLLCALL_GATEWAY_STORE_WRITE_CALL_H
#define ROLLCALL_GATEWAY_STORE_WRITE_CALL_H

#include "services/gateway/store/internal.h"
#include "services/gateway/store/terms.h"

#define WRITE_CALL_SLICE 25 // items prepared or published in one turn of the loop

struct write_item {
    int kind;          // STORE_ITEM_…
    uint64_t expected; // revision; 0: create, or delete whatever it is
    struct registration
        given; // CREATE: as it came, since a secret is sealed for one id; UPDATE: as it was read
    struct registration reg;      // to be stored; once answered, what is stored. DELETE: id alone
    bool sealed;                  // UPDATE: reg's secrets; a script that is sent again finds it so
    bool quiet;                   // UPDATE: only sealed anew: nobody configured anything
    char *status;                 // as last reported, or NULL
    struct store_change *moved;   // to be published, the old place first; NULL: nothing
    struct store_change *changed; // the rest
};

struct write_call {
    struct store_write w;
    void (*answer)(struct write_call *c); // exactly once; w.err says how. What it got is freed after it
    void *arg;                            // the answer's
    char *account, *traceparent, *actor;
    char key_digest[TERMS_DIGEST_BYTES], fingerprint[TERMS_DIGEST_BYTES]; // empty: no idempotency key
    struct buf objects_version; // that the account's objects must have; empty: any
    struct buf unique;          // terms that one may have at most, one a line
    struct write_item *items;
    size_t count;

    size_t failed;     // after an error: which item, or count
    uint64_t replayed; // what the idempotency key made before; 0: nothing

    // Its own.
    size_t next; // the item that is prepared or published next
    uint64_t first_id;
    unsigned used_count;
    struct buf text; // arguments of all items one after the other,
    size_t *ends;    // and where each ends
    size_t arg_count;
};

// Its items are to be filled in: kind; of a creation `given`; of an update by write_item_update; of a
// deletion reg.id and expected.
struct write_call *write_call_new(struct store *s, struct str account, size_t item_count,
                                  const struct store_write_context *context);
void write_item_update(struct write_call *c, size_t at, const struct registration *before,
                       const struct registration *after);
void write_item_refuse(struct write_call *c, size_t at, const char *why); // -EIO
// The answer is never given from within. What was refused while it was filled in is answered with that.
void write_call_begin(struct write_call *c);
// Instead of write_call_begin: the answer is w.err.
void write_call_fail(struct write_call *c);

void write_call_on_answer(void *arg, const struct redis_value *v, const struct error *err); // write_answer.c

#endif
