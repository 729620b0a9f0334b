// Password checks off the event loops: crypt(3) takes milliseconds by design.
#ifndef ROLLCALL_GATEWAY_AUTH_PASSWORD_WORKER_H
#define ROLLCALL_GATEWAY_AUTH_PASSWORD_WORKER_H

#include "common/base/str.h"

struct event_base;
struct password_worker; // one thread for the whole process

struct password_worker *password_worker_start(void);
void password_worker_stop(struct password_worker *w); // after every client of it is gone

// One for each loop thread: carries answers back to its loop.
struct password_client;
struct password_client *password_client_new(struct password_worker *w, struct event_base *base);
void password_client_free(struct password_client *c); // callbacks under way are not called any more

// Everything is copied; the copy of the password is wiped. false at once when the worker's queue is full:
// answer 503.
typedef void password_fn(void *arg, bool matches);
bool password_check(struct password_client *c, const char *hash, struct str password, password_fn *fn,
                    void *arg);

#endif
