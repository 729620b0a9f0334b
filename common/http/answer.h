// The head of an HTTP/1.1 answer as the client needs it: status and how the body is framed (RFC 9112 4, 6.3).
// And the URL that it asks. Pure.
#ifndef ROLLCALL_HTTP_ANSWER_H
#define ROLLCALL_HTTP_ANSWER_H

#include "common/base/error.h"
#include "common/base/str.h"

struct answer_head {
    int status;
    bool chunked;
    bool has_length; // neither: the body ends with the connection
    uint64_t length;
};

// `text` from the status line to the empty line, as head_scan found it: 0, or -EBADMSG.
must_use int answer_parse(struct str text, struct answer_head *ret, struct error *err);

// Parts of "http://host[:port][/path][?query]", borrowed from it; IPv6 hosts without brackets.
struct url {
    struct str host;
    struct str authority; // host and port as they stand, for the Host field
    struct str target;    // at least "/"; a query without a path is refused
    uint16_t port;
};
must_use int url_parse(const char *text, struct url *ret, struct error *err); // 0, or -EINVAL

#endif
