// Addresses and networks as allowed_ips gives them.
#ifndef ROLLCALL_GATEWAY_AUTH_NETWORKS_H
#define ROLLCALL_GATEWAY_AUTH_NETWORKS_H

#include "common/base/str.h"

// A CIDR such as 192.0.2.0/24 or a plain address of either family.
bool network_is_valid(struct str network);
bool network_has(struct str network, struct str address); // false where either is none

#endif
