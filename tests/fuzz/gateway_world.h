// A whole gateway in the fuzzer's process, on a real redis-server and the embedded broker, and what its
// clients are known by. Started once; any error of the start ends the process.
#ifndef ROLLCALL_TESTS_FUZZ_GATEWAY_WORLD_H
#define ROLLCALL_TESTS_FUZZ_GATEWAY_WORLD_H

#include "common/base/buf.h"

enum client { CLIENT_YETI, CLIENT_VOXIMPLANT, CLIENT_KAZOO, CLIENT_RIBBON, CLIENT_NONE };

// Starts it where it does not run yet.
void world_start(void);
// Takes away what requests made: registrations, jobs, pops, nodes. Sessions stay.
void world_clean(void);

// By its path, the client whose dialect a request is for.
enum client world_client_of(struct str target);
// The header line (with its end) or the parameter of the query by which that client is known.
struct str world_credential(enum client c);
// Logs in again: a request has ended the session.
void world_log_in(enum client c);

// Sends the bytes over a connection of its own and appends all that comes until the gateway closes it. Aborts
// where nothing comes for two minutes.
void world_exchange(struct str request, struct buf *out);

#endif
