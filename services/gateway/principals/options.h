// What the command line of rollcall-principals says. One table of options; --help is printed from it.
#ifndef ROLLCALL_GATEWAY_PRINCIPALS_OPTIONS_H
#define ROLLCALL_GATEWAY_PRINCIPALS_OPTIONS_H

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdint.h>

enum subcommand { RUN_ACCOUNT, RUN_USER, RUN_KEY, RUN_API_KEY, RUN_TOKEN, RUN_CHECK, SUBCOMMAND_COUNT };

enum { OPTION_LIST_MOST = 64 };

struct options {
    enum subcommand run;
    const char *file;
    const char *name, *title, *hex_id, *realm, *phone_number, *parent;
    const char *account, *username, *id, *email, *credentials;
    const char *number, *lifetime; // digits, checked by who reads them
    bool system;
    const char *roles[OPTION_LIST_MOST], *allowed_ips[OPTION_LIST_MOST];
    size_t role_count, allowed_ip_count;
};

// Texts are borrowed from argv. 0: run it; 1: --help was asked for and is in *text; -EINVAL with the mistake.
must_use int options_read(struct options *ret, int argc, char **argv, struct buf *text, struct error *err);

#endif
