// What the subcommands of rollcall-principals do.
#ifndef ROLLCALL_GATEWAY_PRINCIPALS_COMMANDS_H
#define ROLLCALL_GATEWAY_PRINCIPALS_COMMANDS_H

#include "services/gateway/principals/options.h"

// Appends what is to be printed. `environment` as environ: the token's secret. 0, or a code and the cause.
must_use int command_run(const struct options *o, char *const *environment, struct buf *out,
                         struct error *err);

#endif
