// What every fuzz target gives: libFuzzer's entry, and properties that must hold whatever comes in.
#ifndef ROLLCALL_TESTS_FUZZ_TARGET_H
#define ROLLCALL_TESTS_FUZZ_TARGET_H

#include "common/base/str.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A broken property stops the fuzzer.
#define HOLDS(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            abort();                                                                                         \
    } while (0)

#endif
