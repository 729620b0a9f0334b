// What the registrar of the benchmarks saw, for whoever judges a run afterwards: one record of fixed size for
// each REGISTER. It judges nothing itself, and holds no text: who and which call are hashes.
#ifndef ROLLCALL_BENCH_REGISTRAR_JOURNAL_H
#define ROLLCALL_BENCH_REGISTRAR_JOURNAL_H

#include "common/base/str.h"

#include <stddef.h>
#include <stdint.h>

enum journal_kind {
    JOURNAL_CHALLENGED,
    JOURNAL_BOUND,   // all its Contacts, for granted_s
    JOURNAL_REMOVED, // at least one of its Contacts
    JOURNAL_FETCHED, // it had no Contact
};

// As it is in the file: the machine's byte order, no padding.
struct journal_record {
    uint64_t received_us; // monotonic
    uint64_t aor, call_id;
    uint32_t cseq, granted_s;
    uint32_t kind; // enum journal_kind
    uint32_t port; // that it came from
};
_Static_assert(sizeof(struct journal_record) == 40, "tests/bench/verdict.py reads it");

uint64_t journal_hash(struct str text);
// Exits the program where the file cannot be made.
void journal_open(const char *path);
// From any thread. Nothing where none is open. The records are in the file when this returns.
void journal_add(const struct journal_record *records, size_t count);

#endif
