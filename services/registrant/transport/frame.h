// Where a SIP message ends in a stream (RFC 3261 18.3), and the line ends between messages (RFC 5626 4.4.1).
// Pure. Knows of a message its start line's form and its Content-Length; refuses what could be no message.
#ifndef ROLLCALL_REGISTRANT_TRANSPORT_FRAME_H
#define ROLLCALL_REGISTRANT_TRANSPORT_FRAME_H

#include "common/base/str.h"

#define FRAME_MAX_HEADER_BYTES 65536 // from the start line to the empty line
#define FRAME_MAX_BODY_BYTES   65536

// All zero: nothing came yet.
struct frame {
    size_t scanned;    // so many bytes of the message hold no end of its header
    size_t line;       // where the line begins in which the scan stopped
    size_t need_bytes; // of the whole message; 0: not known yet
    bool started;      // the start line was seen, and could be one
    bool after_crlf;   // the last piece was a line end on its own
};

enum frame_kind {
    FRAME_MORE,    // not whole yet: give the same bytes again with more at their end
    FRAME_MESSAGE, // from its start line to the end of its body
    FRAME_CRLF,    // a line end: a pong, or the first half of a ping
    FRAME_PING,    // the second half of CRLF CRLF
    FRAME_BAD      // no SIP, or beyond the limits; the stream is of no use any more
};

// The next piece of what came and was not taken yet. *ret_piece lies at the front of `bytes`, and is the
// caller's to take away before the next call; set for all but MORE and BAD.
enum frame_kind frame_next(struct frame *f, struct str bytes, struct str *ret_piece);

// Whether a message may begin so: its first line is a request's or a response's.
bool frame_is_start(struct str bytes);

#endif
