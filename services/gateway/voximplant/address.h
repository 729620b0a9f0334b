// Where a registration goes, as this API writes it: `proxy` and `outbound_proxy` (contract voximplant 3.1),
// "host[:port]". Beyond the contract a transport may be said, as a URI parameter or a whole SIP URI, because
// the model knows it and the API has no other word for it.
#ifndef ROLLCALL_GATEWAY_VOXIMPLANT_ADDRESS_H
#define ROLLCALL_GATEWAY_VOXIMPLANT_ADDRESS_H

#include "common/registration/registration.h"

struct proxy {
    char *domain; // host[:port]
    enum registration_scheme scheme;
    enum registration_transport transport;
    bool says_transport; // the text named scheme or transport; else both are the defaults
};
// -EINVAL with why. Takes host[:port], host[:port];transport=tcp, sip:host…, sips:host….
must_use int vox_proxy_parse(struct str text, struct proxy *ret_init, struct error *err);
void vox_proxy_done(struct proxy *p);

// The Route for an outbound proxy: "<sip:host:port;lr>". Appends. Takes the same forms, also with a user and
// in angle brackets.
must_use int vox_route_parse(struct str text, struct buf *out, struct error *err);
// A Route without what every outbound proxy has: brackets, lr, and "sip:" where there is no user. Appends.
void vox_route_text(struct str route, struct buf *out);

#endif
