// A table from bytes to a record, for many of them.
#ifndef ROLLCALL_GATEWAY_AUTH_LOOKUP_H
#define ROLLCALL_GATEWAY_AUTH_LOOKUP_H

#include "common/base/str.h"

struct lookup; // NULL is the empty table

void *lookup_find(const struct lookup *table, const void *key, size_t bytes); // NULL: none
// The key is borrowed for as long as the table lives. False: something stands under it already.
must_use bool lookup_add(struct lookup **table, const void *key, size_t bytes, void *record);
void lookup_clear(struct lookup **table); // not the records

void *lookup_text(const struct lookup *table, struct str key);
must_use bool lookup_add_text(struct lookup **table, const char *key, void *record);

#endif
