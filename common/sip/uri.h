// SIP and SIPS URIs, name-addr and header parameters: parse and compare, RFC 3261 sections 19.1, 20.10
// and 25.1. Pure; borrows from the text that was parsed.
#ifndef ROLLCALL_SIP_URI_H
#define ROLLCALL_SIP_URI_H

#include "common/base/buf.h"
#include "common/base/error.h"

struct sip_uri {
    bool sips;
    struct str user;     // as written (escaped); n 0 and p NULL when there is none
    struct str password; // after ':' in userinfo
    struct str host;     // IPv6 without brackets
    bool ipv6;
    uint16_t port; // 0: none given
    struct str port_text;
    struct str params;  // ";a=b;c" with its first semicolon, or empty
    struct str headers; // after '?', or empty
};

struct sip_addr {
    struct str display; // without quotes, escapes left in
    struct sip_uri uri;
    struct str uri_text; // the URI alone
    struct str
        params; // header parameters ";q=1;expires=60", or empty. In addr-spec form all parameters are these
    bool brackets;
};

// Scheme sip or sips. 0, or -EINVAL with a sentence that names what is wrong.
must_use int sip_uri_parse(struct str text, struct sip_uri *ret, struct error *err);
// name-addr or addr-spec, as in Contact, To and Route. Not "*".
must_use int sip_addr_parse(struct str text, struct sip_addr *ret, struct error *err);
// host[:port]: a domain as registrations hold it. Bracketed or bare IPv6, IPv4 or host name.
must_use int sip_hostport_parse(struct str text, struct sip_uri *ret, struct error *err);

// Cuts the next element off a comma-separated header value (commas in quotes and <> do not count).
bool sip_list_next(struct str *rest, struct str *ret_element);
// Value of ";name=value" in a parameter string: false when absent; a flag gives an empty value. Quotes are
// kept.
bool sip_param_get(struct str params, const char *name, struct str *ret_value);

// RFC 3261 19.1.4, with escapes, case rules, default-free ports and the parameter rules there.
bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b);

// A display name as quoted-string with escapes. The text must be sip_text_is_safe.
void sip_quote(struct buf *out, struct str text);
// Escapes what may not stand in a URI's user part as is (25.1 user, plus unreserved).
void sip_escape_user(struct buf *out, struct str text);

// No CR, LF, NUL or other control character but HTAB; valid for putting into a header.
bool sip_text_is_safe(struct str text);

#endif
