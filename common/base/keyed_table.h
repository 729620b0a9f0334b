// uthash for tables whose keys are texts of strangers: buckets by hash_keyed, and out of memory aborts. A
// walk over a table goes in the order in which its members were added, so the key changes nothing that is
// seen.
#ifndef ROLLCALL_BASE_KEYED_TABLE_H
#define ROLLCALL_BASE_KEYED_TABLE_H

#ifdef UTHASH_H
#error "uthash.h was included before, with another hash"
#endif

#include "common/base/keyed.h"

#include <stdlib.h>

#define uthash_fatal(msg)                    abort()
#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = hash_keyed(keyptr, keylen))
#include <uthash.h>

#endif
