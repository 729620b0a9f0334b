// Decodes the chunked transfer coding (RFC 9112 7.1) in pieces of any size, for request bodies and for
// answers that the client reads. Pure; says what each run of bytes is and moves none. Extensions and trailers
// are skipped, never merged into the header.
#ifndef ROLLCALL_HTTP_CHUNKED_H
#define ROLLCALL_HTTP_CHUNKED_H

#include "common/base/str.h"

// Starts zeroed.
struct chunked {
    int state;
    unsigned digits;
    uint64_t left;  // bytes of the present chunk still to come
    size_t framing; // bytes of the present size line or of the trailer section
    bool line_empty;
};

enum chunked_run {
    CHUNKED_DATA,    // body
    CHUNKED_FRAMING, // to be dropped
    CHUNKED_END,     // to be dropped; the body is complete
    CHUNKED_BROKEN
};

// What the first *ret_count (at least 1) bytes of a non-empty `piece` are.
enum chunked_run chunked_next(struct chunked *c, struct str piece, size_t *ret_count);

#endif
