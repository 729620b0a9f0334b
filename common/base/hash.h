// The hashes that a protocol or a layout prescribes. All pure; any thread.
#ifndef ROLLCALL_BASE_HASH_H
#define ROLLCALL_BASE_HASH_H

#include "common/base/str.h"

uint16_t hash_crc16(struct str s);   // CRC-16/XMODEM, as Redis Cluster uses it
uint32_t hash_murmur2(struct str s); // as Kafka's Java client partitions keys (seed 0x9747b28c)
uint64_t hash_u64(uint64_t value);   // a mixer for table slots

// Partition of a record key among `count` partitions, as Java clients choose it.
uint32_t hash_partition(struct str key, uint32_t count);

#endif
