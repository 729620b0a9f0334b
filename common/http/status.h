// Reason phrases, and the error document that the server answers with where no handler is asked. Pure.
#ifndef ROLLCALL_HTTP_STATUS_H
#define ROLLCALL_HTTP_STATUS_H

#include "common/base/buf.h"

const char *status_phrase(int status); // never NULL; "Unknown" for a number not in RFC 9110 or RFC 6585

bool status_has_body(int status); // not 1xx, 204 and 304 (RFC 9110 6.4.1)

// {"errors":[{"title":…,"detail":…,"code":…,"status":…}]}; title and detail are the server's own plain
// sentences.
void status_write_error(struct buf *out, int status, const char *title, const char *detail);

#endif
