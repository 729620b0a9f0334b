// A service's settings: environment variables described by one table, from which defaults, limits, errors and
// --help all come.
#ifndef ROLLCALL_CONFIG_SETTINGS_H
#define ROLLCALL_CONFIG_SETTINGS_H

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdint.h>

enum setting_type {
    SETTING_STRING, // char *; NULL when unset and without default
    SETTING_SECRET, // char *; never printed; NAME_FILE reads it from a file instead (last newline dropped)
    SETTING_INT,    // int64_t, within min … max
    SETTING_BOOL,   // bool; true/false/yes/no/on/off/1/0
    SETTING_CHOICE, // int: index into choices
};

struct setting {
    const char *name; // "ROLLCALL_…"
    enum setting_type type;
    const char *fallback;       // text as it would stand in the environment; NULL: unset
    const char *unit;           // "s", "ms", "bytes", "…"; NULL
    const char *help;           // one sentence
    size_t offset;              // in the target struct
    int64_t min, max;           // SETTING_INT
    const char *const *choices; // SETTING_CHOICE, NULL-terminated
    bool required;
};

// Fills *target (zeroed by the caller) from `environment` (as environ). A ROLLCALL_ variable that is not in
// the table is refused, with the nearest name; so is a bad value, with what the setting takes. A variable
// that is empty counts as unset. 0 or -EINVAL with one sentence; then *target owns nothing.
must_use int settings_load(const struct setting *table, size_t count, char *const *environment, void *target,
                           struct error *err);
void settings_done(const struct setting *table, size_t count, void *target);

// The text of --help: name, what it takes, default, unit, sentence for each row.
void settings_help(const struct setting *table, size_t count, const char *service, const char *summary,
                   struct buf *out);

// What every main does: handles --help, --version and stray arguments, loads, and prints errors to standard
// error. 0: go on; else *ret_exit is the exit status (0 after --help and --version, 2 after a mistake).
must_use int settings_main(const struct setting *table, size_t count, const char *service,
                           const char *summary, int argc, char **argv, void *target, int *ret_exit);

#endif
