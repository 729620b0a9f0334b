// Which addresses may be sent to: what an operator allows and denies, as networks of either family. Of all
// that an address is in, the longest one decides, and of two as long the denial. In none of them it is
// allowed, unless something is named as allowed: then only that is.
#ifndef ROLLCALL_REGISTRANT_TRANSPORT_NETWORKS_H
#define ROLLCALL_REGISTRANT_TRANSPORT_NETWORKS_H

#include "common/base/error.h"
#include "services/registrant/transport/address.h"

struct networks; // immutable: any thread

// Each text: "192.0.2.0/24, 2001:db8::/32, 198.51.100.7", or NULL. *ret is NULL where both name nothing:
// everything is allowed. -EINVAL with the sentence and the word that is no network.
must_use int networks_new(const char *allow, const char *deny, struct networks **ret, struct error *err);
void networks_free(struct networks *n); // NULL is allowed

enum network_verdict {
    NETWORK_ALLOWED,
    NETWORK_DENIED,     // by a denial
    NETWORK_NOT_ALLOWED // in no network that is allowed
};
// n NULL: NETWORK_ALLOWED. An IPv4 address within an IPv6 one (::ffff:0:0/96) is judged as what it is;
// 0.0.0.0 and ::, which lead to this machine, as 127.0.0.1 and ::1, too.
enum network_verdict networks_judge(const struct networks *n, const struct address *a);

#endif
