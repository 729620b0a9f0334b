// The registrant as a whole: builds its parts in order, waits for signals, hands over and takes them down.
#ifndef ROLLCALL_REGISTRANT_REGISTRANT_H
#define ROLLCALL_REGISTRANT_REGISTRANT_H

#include "services/registrant/settings.h"

// Runs until SIGTERM or SIGINT, then hands over without unregistering. Returns the exit status of the
// process.
int registrant_run(const struct registrant_settings *settings);

#endif
