// What settings.c and settings_help.c share.
#ifndef ROLLCALL_CONFIG_SETTINGS_PRIVATE_H
#define ROLLCALL_CONFIG_SETTINGS_PRIVATE_H

#include "common/config/settings.h"

// Adds what a setting takes, with its unit: "a whole number from 1 to 3600 s", "text (host:port)".
void settings_describe(const struct setting *s, struct buf *out);

#endif
