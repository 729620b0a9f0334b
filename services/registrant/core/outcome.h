// What a final answer to REGISTER means: one table from status code to outcome, with the clause it follows.
#ifndef ROLLCALL_REGISTRANT_CORE_OUTCOME_H
#define ROLLCALL_REGISTRANT_CORE_OUTCOME_H

#include "common/base/str.h"

enum outcome {
    OUTCOME_ACCEPTED,  // look into it for our contacts
    OUTCOME_CHALLENGE, // answer it and send again at once
    OUTCOME_REDIRECT,  // send again at once to its Contact
    OUTCOME_TOO_BRIEF, // send again at once with a longer expiry
    OUTCOME_REJECTED,  // asking again soon would not help: only slowly
    OUTCOME_RETRY,     // back off and try again
    // The next target of RFC 3263 4.3 at once, where there is one; else back off.
    OUTCOME_NEXT_TARGET,
    OUTCOME_BAD_EXTENSION, // send again at once without the option tags that it names, where they can be
                           // spared
    OUTCOME_NO_OUTBOUND,   // send again at once without RFC 5626
};

// Of an attempt that ends with it, having found no way on.
enum outcome_delay {
    DELAY_BACKOFF, // the registration's own shape, or RFC 5626 4.5's; Retry-After lengthens it
    DELAY_SLOW,    // policy.rejected_retry_s; Retry-After lengthens it
};

struct outcome_row {
    int from, to; // status codes, inclusive
    enum outcome outcome;
    enum outcome_delay delay;
    const char *clause;
    const char *reason; // our own words where the answer's tell too little; NULL: the answer's
};

// Never NULL: the last row takes what no other names. Rows are searched in order. local: made by the stack,
// 408 for silence, 503 for an error of the transport, and 403 for an address that may not be sent to.
const struct outcome_row *outcome_of(int status, bool local);

// A registrar that says our CSeq is not above the one it holds (RFC 3261 10.3 step 7; 400 and 500 in the
// field). Never answered by a higher CSeq without a fresh lease: another owner may be the one above us.
bool outcome_is_cseq_too_low(int status, struct str reason, struct str warning);

#endif
