// Client transactions of REGISTER (RFC 3261 17.1.2): their branches, their timers, and who waits for what.
// Refuses to send: it says what is due, the agent does it. One thread.
#ifndef ROLLCALL_REGISTRANT_SIP_TRANSACTION_H
#define ROLLCALL_REGISTRANT_SIP_TRANSACTION_H

#include "common/base/buf.h"
#include "services/registrant/core/wheel.h"
#include "services/registrant/resolve/resolve.h"
#include "services/registrant/transport/transport.h"

#include <sys/queue.h>

enum transaction_state {
    TRANSACTION_FREE,
    TRANSACTION_RESOLVING, // the resolver will call
    TRANSACTION_WAITING,   // sent (RFC 3261: Trying, and Proceeding once `provisional`)
    TRANSACTION_FINISHED   // failed inside agent_send: to be answered in the next turn
};

LIST_HEAD(transaction_list, transaction);

struct transaction {
    struct wheel_node timer;
    LIST_ENTRY(transaction)
    link; // of the free, of those that wait for the same address or flow, of the finished
    enum transaction_state state;
    struct agent *agent;
    uint32_t slot;
    uint64_t secret; // of its branch
    uint64_t token;

    struct buf names;           // the texts that query and to point into
    struct resolve_query query; // what the next hop asks for
    struct str name;            // whom its certificate must be for
    struct resolve_request *resolving;
    struct resolve_target target; // what it chose
    size_t usable;                // how many there were that were not set aside, that one among them
    struct endpoint to;           // the same, but for the transport where `by_size`
    const char *local;            // host:port that it was sent from; the transport's
    uint32_t flow;                // 0: a datagram

    struct buf text; // the request without its Via, and where that belongs
    size_t via_at;
    struct buf wire; // as it was sent
    bool by_size;    // over TCP only because no datagram should be as large (RFC 3261 18.1.1)
    bool provisional;
    unsigned unreadable;                         // answers that came for it
    uint64_t resend_us, interval_us, give_up_us; // timers E (UINT64_MAX: reliable transport) and F

    int failure; // status and reason of an answer of our own
    struct buf cause;
    bool another_target; // of that answer
};

#define TRANSACTION_WAITERS 256 // lists by what is waited for

struct transactions {
    struct transaction **slots;
    uint32_t slot_count;
    uint64_t under_way;
    struct transaction_list idle, waiters[TRANSACTION_WAITERS];
    struct wheel timers;
    uint64_t random[32]; // for secrets, from the kernel
    unsigned random_left;
};

void transactions_init(struct transactions *all, uint64_t now_us);
void transactions_done(struct transactions *all); // cancels what is being resolved

// In state RESOLVING, to be given up at that time.
struct transaction *transaction_new(struct transactions *all, uint64_t give_up_us);
void transaction_free(struct transactions *all, struct transaction *t);

// The RFC's cookie (8.1.1.7), its slot and its secret.
#define BRANCH_MAGIC "z9hG4bK"
#define BRANCH_BYTES 31
void transaction_branch(const struct transaction *t, char ret[BRANCH_BYTES]); // no NUL
// Who waits for an answer with that branch, or NULL: what was not told cannot be guessed.
struct transaction *transaction_find(const struct transactions *all, struct str branch);

// It was sent to `to` by `flow`: timer E begins on UDP.
void transaction_sent(struct transactions *all, struct transaction *t, uint64_t now_us);
// A provisional answer came: repeated every T2 (17.1.2.2).
void transaction_proceeds(struct transaction *t);
// It is not repeated any more, and given up in its time.
void transaction_hush(struct transactions *all, struct transaction *t);
// No longer among those that wait; the timers stop.
void transaction_leave(struct transactions *all, struct transaction *t);

// What is due: repeat it (its next time is set), or give it up.
enum transaction_due { TRANSACTION_NOTHING_DUE, TRANSACTION_REPEAT, TRANSACTION_GIVE_UP };
enum transaction_due transactions_due(struct transactions *all, uint64_t now_us, struct transaction **ret);
uint64_t transactions_next_us(const struct transactions *all);

// Moves those that wait for that address by datagram, or by that flow, to *ret_init.
void transactions_waiting_for(struct transactions *all, const struct address *address, uint32_t flow,
                              struct transaction_list *ret_init);

#endif
