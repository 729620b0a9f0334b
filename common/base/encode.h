// Bytes as text: hexadecimal, base64, base64url, UUID. All pure; any thread.
#ifndef ROLLCALL_BASE_ENCODE_H
#define ROLLCALL_BASE_ENCODE_H

#include "common/base/buf.h"

void encode_hex(struct buf *out, const void *bytes, size_t count);       // lower case
void encode_base64(struct buf *out, const void *bytes, size_t count);    // with padding
void encode_base64url(struct buf *out, const void *bytes, size_t count); // without padding

// Appends the bytes; accepts both alphabets, padding optional: 0, or -EINVAL with `out` unchanged in length.
must_use int decode_base64(struct buf *out, struct str text);

// A random version 4 UUID from 16 random bytes: 36 characters and a NUL.
void encode_uuid(char ret_text[37], const unsigned char bytes[16]);

#endif
