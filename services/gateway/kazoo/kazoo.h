// The dialect of Kazoo's Crossbar API: registrations under /v2 (and the 410 of /v1), with the logins that its
// SDKs call. A codec over the store: holds no state of its own but the requests under way. One object for
// each loop thread and prefix.
#ifndef ROLLCALL_GATEWAY_KAZOO_KAZOO_H
#define ROLLCALL_GATEWAY_KAZOO_KAZOO_H

#include "services/gateway/dialect/dialect.h"
#include "services/gateway/jobs/jobs.h"

#define KAZOO_PREFIX    "/v2"
#define KAZOO_PREFIX_V1 "/v1"

struct kazoo;

struct kazoo *kazoo_new(const struct dialect_shared *shared);
void kazoo_free(void *kazoo);

// Takes every request whose path is below one of the prefixes and answers it exactly once.
void kazoo_handle(void *kazoo, struct http_request *r);

// Bodies are collected here, since they may be longer than the server's own bound.
bool kazoo_takes_upload(void *kazoo, enum http_method method, struct str path);

// The flush of an account, slice by slice.
struct job_kind kazoo_flush_kind(const struct dialect_shared *shared);

#endif
