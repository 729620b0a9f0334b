// Regular expressions of FromURIUserMatch (contract ribbon 6.5), with a bound on what one match may cost:
// they come from clients. Perl's syntax, which what a POSIX extended expression of 128 bytes says is nearly
// always said in too.
#ifndef ROLLCALL_GATEWAY_RIBBON_MATCH_H
#define ROLLCALL_GATEWAY_RIBBON_MATCH_H

#include "common/base/str.h"

bool match_compiles(struct str pattern);
// Whether it matches anywhere in the text; false too where it does not compile or costs too much.
bool match_text(struct str pattern, struct str text);

#endif
