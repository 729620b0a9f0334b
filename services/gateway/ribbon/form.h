// Form bodies and query strings as clients of this dialect really send them: some do not encode at all
// (contract ribbon 1). Pure.
#ifndef ROLLCALL_GATEWAY_RIBBON_FORM_H
#define ROLLCALL_GATEWAY_RIBBON_FORM_H

#include "common/base/buf.h"

// Cuts the next pair off *rest and replaces what the buffers hold; false when *rest is spent. A broken escape
// stands for itself. '+' is a blank only in a value that an encoder may have written: one with a character in
// it that every encoder escapes (':', '@', a blank …) was not encoded, and a telephone number keeps its plus.
bool form_next(struct str *rest, struct buf *name, struct buf *value);

// Whether a body has no more pairs than anybody needs: each costs time of a loop that others wait for.
#define FORM_PAIRS_MAX 256
bool form_fits(struct str body);

// A path below the prefix in pieces; doubled and trailing slashes count for nothing.
#define PATH_PARTS_MAX 4
struct path {
    struct str parts[PATH_PARTS_MAX]; // borrowed, raw
    size_t count;
    bool too_long; // more than PATH_PARTS_MAX
};
void path_split(struct str below_prefix, struct path *ret);

#endif
