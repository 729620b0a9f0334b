// The gateway as a whole: builds its parts in order, waits for signals, takes them down in the opposite
// order.
#ifndef ROLLCALL_GATEWAY_GATEWAY_H
#define ROLLCALL_GATEWAY_GATEWAY_H

#include "services/gateway/settings.h"

// Runs until SIGTERM or SIGINT; SIGHUP reads the principals and the TLS pair again. Returns the exit status
// of the process.
int gateway_run(const struct gateway_settings *settings);

#endif
