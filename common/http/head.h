// The head of an HTTP/1.1 request: where it ends, and what it says about framing, persistence and method
// (RFC 9112). Pure, and stricter than evhttp: whatever passes here evhttp reads the same way. Header fields
// that have no bearing on framing are checked for form and left to evhttp.
#ifndef ROLLCALL_HTTP_HEAD_H
#define ROLLCALL_HTTP_HEAD_H

#include "common/base/buf.h"
#include "common/http/http.h"

// Looks for the empty line, in pieces of any size. Starts zeroed.
struct head_scan {
    size_t seen;  // bytes looked at, up to and with the empty line
    size_t blank; // of these, empty lines in front of the request line (RFC 9112 2.2)
    size_t line;  // bytes of the present line
    char last;    // byte before the next one
};

enum head_found {
    HEAD_MORE,  // no end yet
    HEAD_WHOLE, // `seen` is just behind the empty line
    HEAD_BROKEN // a line feed without its carriage return
};

enum head_found head_scan(struct head_scan *s, struct str piece);

struct head {
    enum http_method method;
    unsigned minor; // HTTP/1.<minor>, 0 or 1
    bool absolute;  // target in absolute-form
    bool close;     // the connection does not outlive this request
    bool chunked;
    bool expect_continue; // the client waits for a 100 before it sends the body
    bool has_length;
    uint64_t length; // of the body; UINT64_MAX for a number past any limit
};

// `text` from the request line to the empty line. 0, or the status to refuse it with and in *ret_why the
// reason, a constant sentence.
must_use int head_parse(struct str text, struct head *ret, const char **ret_why);

// The same head with another framing: this length, for a body that was decoded or is delivered apart.
void head_rewrite(struct buf *out, struct str text, uint64_t length);

#endif
