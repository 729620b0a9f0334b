// DNS questions over sofia's sresolv, driven by libevent: asks, repeats, goes to the next name server. Keeps
// no answer (that is question.h's) and decides nothing about SIP. Everything on the thread of its loop.
#ifndef ROLLCALL_REGISTRANT_RESOLVE_DNS_H
#define ROLLCALL_REGISTRANT_RESOLVE_DNS_H

#include "common/base/error.h"
#include "services/registrant/resolve/message.h"

struct event_base;
struct dns;

// resolv_conf NULL: the system's. It is looked at before a question, once in some seconds, and read again
// when it has changed.
must_use int dns_new(struct event_base *base, const char *resolv_conf, uint64_t (*now_us)(void),
                     struct dns **ret, struct error *err);
void dns_free(struct dns *d);   // what is asked is never answered; NULL is allowed
void dns_reload(struct dns *d); // the file is read again now; what is under way is asked anew

// Called once, from the loop, never from inside a function of this header. The answer becomes the callee's
// (dns_answer_done).
typedef void dns_fn(void *arg, struct dns_answer *take_answer);

// name: as dns_name leaves it. Some hundred are asked at once, the others wait their turn.
void dns_ask(struct dns *d, enum dns_type type, const char *name, dns_fn *fn, void *arg);

#endif
