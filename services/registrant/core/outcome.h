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
};

enum outcome_delay {
    DELAY_NONE,    // at once, within the same attempt
    DELAY_BACKOFF, // the registration's own shape; Retry-After lengthens it
    DELAY_SLOW,    // policy.rejected_retry_s; Retry-After lengthens it
};

struct outcome_row {
    int from, to; // status codes, inclusive
    enum outcome outcome;
    enum outcome_delay delay;
    const char *clause;
};

// Never NULL: the last row takes what no other names. Rows are searched in order.
const struct outcome_row *outcome_of(int status);

// A registrar that says our CSeq is not above the one it holds (RFC 3261 10.3 step 7; 400 and 500 in the
// field). Never answered by a higher CSeq without a fresh lease: another owner may be the one above us.
bool outcome_is_cseq_too_low(int status, struct str reason, struct str warning);

#endif
