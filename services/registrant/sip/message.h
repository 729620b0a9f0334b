// A SIP message as text and as sofia-sip reads it. Headers are found in the text itself, where a stranger's
// message must cost little, or be given back as it came.
#ifndef ROLLCALL_REGISTRANT_SIP_MESSAGE_H
#define ROLLCALL_REGISTRANT_SIP_MESSAGE_H

#include "common/base/buf.h"
#include "services/registrant/sip/sofia.h"

// Once before the first message_parse; any thread.
void message_library_start(void);

// NULL unless it is a whole message with the headers that every one must have (RFC 3261 8.1.1), its body as
// long as it says (18.3). A header that is none of these may be unreadable. One of some thousand headers or
// list elements is none either. Free with msg_destroy.
msg_t *message_parse(struct str text);

// Line ends and commas of its headers, a CRLF being two: sofia's time goes with the square of it.
size_t message_elements(struct str text);

// Cuts the next header, folded lines and all, off *rest, which begins after the start line; false at the end
// of the headers. Value: trimmed, its folds (7.3.1) left in.
bool message_header_next(struct str *rest, struct str *ret_name, struct str *ret_value);
struct str message_headers(struct str message); // what is after the start line

bool message_has_via(struct str message);

// Is `text` host:port, to the letter? NULL counts as empty.
bool message_is_hostport(struct str text, const char *host, const char *port);

// Appends a value on one line.
void message_add_unfolded(struct buf *out, struct str value);

#endif
