// Bytes and times as text: hexadecimal, base64, UUID, RFC 3339. All pure; any thread.
#ifndef ROLLCALL_BASE_ENCODE_H
#define ROLLCALL_BASE_ENCODE_H

#include "common/base/buf.h"

void encode_hex(struct buf *out, const void *bytes, size_t count);    // lower case
int decode_hex_digit(char c);                                         // 0 … 15, or -1
void encode_base64(struct buf *out, const void *bytes, size_t count); // with padding

// Appends the bytes; accepts both alphabets, padding optional: 0, or -EINVAL with `out` unchanged in length.
must_use int decode_base64(struct buf *out, struct str text);

// A random version 4 UUID from 16 random bytes: 36 characters and a NUL.
void encode_uuid(char ret_text[37], const unsigned char bytes[16]);

#define ENCODE_TIME_BYTES 32 // of the latest that 64 bits of milliseconds reach, too
// RFC 3339 in UTC with milliseconds: 2026-11-21T23:59:01.042Z.
void encode_time(char ret_text[ENCODE_TIME_BYTES], uint64_t wall_ms);

#endif
