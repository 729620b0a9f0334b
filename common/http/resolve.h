// A host name to addresses without blocking the loop. Loop thread only.
#ifndef ROLLCALL_HTTP_RESOLVE_H
#define ROLLCALL_HTTP_RESOLVE_H

#include "common/base/error.h"
#include "common/base/str.h"

#include <sys/socket.h>

struct event_base;
struct resolve;

// `on_done` runs once, never from within this call; `err` is NULL when there is at least one address.
struct resolve *resolve_start(struct event_base *base, struct str host, uint16_t port,
                              void (*on_done)(void *arg, const struct error *err), void *arg);
// The addresses one after the other, borrowed until resolve_free.
bool resolve_next(struct resolve *r, const struct sockaddr **ret_address, socklen_t *ret_size);
void resolve_free(struct resolve *r); // also while it is under way; NULL is allowed

#endif
