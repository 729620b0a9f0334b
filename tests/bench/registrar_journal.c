// See registrar_journal.h.
#include "tests/bench/registrar_journal.h"

#include "common/base/hash.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int journal = -1;

uint64_t journal_hash(struct str text)
{
    uint64_t h = 14695981039346656037u; // FNV-1a, then spread
    for (size_t i = 0; i < text.n; i++)
        h = (h ^ (unsigned char)text.p[i]) * 1099511628211u;
    return hash_u64(h);
}

void journal_open(const char *path)
{
    journal = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (journal >= 0)
        return;
    perror(path);
    exit(1);
}

// One write for a batch: the kernel keeps appends whole and in order.
void journal_add(const struct journal_record *records, size_t count)
{
    size_t bytes = count * sizeof(*records);
    if (journal < 0 || !count || write(journal, records, bytes) == (ssize_t)bytes)
        return;
    perror("registrar: journal");
    exit(1);
}
