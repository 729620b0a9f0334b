// How the parsers of this folder collect the pairs that http.h hands out. Not for anyone outside it.
#ifndef ROLLCALL_HTTP_PAIRS_H
#define ROLLCALL_HTTP_PAIRS_H

#include "common/http/http.h"

// An empty pair at the end, valid until the next call; NULL with *err (-E2BIG) when there are enough already.
struct http_pair *pairs_add(struct http_pairs *p, struct error *err);

#endif
