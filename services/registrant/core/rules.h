// Limits of registrars by pattern, as the operator writes them: one line each, "<host pattern> key=value …
// [hard]", '*' for any characters, '#' begins a comment; the first that matches a registrar's host wins.
// Keys: rate (REGISTERs a second, fractions allowed; 0: no limit), in_flight, aor_rate (a second for one
// address of record; 0: no limit), expires_min (the least expiry to ask for, s). Pure; reads no file.
#ifndef ROLLCALL_REGISTRANT_CORE_RULES_H
#define ROLLCALL_REGISTRANT_CORE_RULES_H

#include "common/base/error.h"
#include "services/registrant/core/pacer.h"

struct rules; // immutable

// 0, or -EINVAL with line number and cause. Borrows nothing of `text`.
must_use int rules_parse(struct str text, struct rules **ret, struct error *err);
void rules_free(struct rules *rules); // NULL is allowed

struct rule; // of the rules, and as long as they
// The one for a host, without regard to case; NULL: none. rules may be NULL.
const struct rule *rules_find(const struct rules *rules, struct str host);
// Changes what the rule names and leaves the rest.
void rule_apply(const struct rule *rule, struct pacer_limits *limits);

// host of a pacer's key (transport:host:port), without brackets.
struct str rules_host_of(struct str key);

#endif
