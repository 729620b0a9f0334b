// A hash of texts that strangers choose, under a key that nobody else knows: without it whoever names things
// can name thousands that fall into one bucket of a table, and each look into it then walks them all.
#ifndef ROLLCALL_BASE_KEYED_H
#define ROLLCALL_BASE_KEYED_H

#include <stddef.h>
#include <stdint.h>

// SipHash-2-4 (Aumasson, Bernstein 2012) of the bytes under a key of 16 bytes.
uint64_t hash_sip(const void *bytes, size_t count, const uint8_t *key);

// The same under a key that this process drew from the kernel when it was first asked. Any thread. For tables
// alone: another process gives another value.
uint32_t hash_keyed(const void *bytes, size_t count);

#endif
