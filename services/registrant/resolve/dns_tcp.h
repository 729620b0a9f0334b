// One DNS question over TCP, for an answer that was too large for a datagram (RFC 7766). One connection a
// question: that is rare enough.
#ifndef ROLLCALL_REGISTRANT_RESOLVE_DNS_TCP_H
#define ROLLCALL_REGISTRANT_RESOLVE_DNS_TCP_H

#include "services/registrant/resolve/message.h"

struct event_base;
struct dns_tcp;

// As dns_fn: called once, from the loop.
typedef void dns_tcp_fn(void *arg, struct dns_answer *take_answer);

// NULL: no socket, fn is not called.
struct dns_tcp *dns_tcp_ask(struct event_base *base, const struct address *server, enum dns_type type,
                            const char *name, dns_tcp_fn *fn, void *arg);
void dns_tcp_cancel(struct dns_tcp *t); // fn is not called; NULL is allowed

#endif
