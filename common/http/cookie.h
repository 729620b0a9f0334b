// A value out of a Cookie field. Pure.
#ifndef ROLLCALL_HTTP_COOKIE_H
#define ROLLCALL_HTTP_COOKIE_H

#include "common/base/str.h"

// The first cookie of that name (case counts), borrowed and without the quotes around it; false when there is
// none. RFC 6265 4.2.1, and also one or several Set-Cookie values, joined by commas, sent back as they came.
bool cookie_find(struct str field, const char *name, struct str *ret_value);

#endif
