// The lines of a scenario file, one function each (README.md in this folder).
#ifndef ROLLCALL_TESTS_SCENARIO_STEPS_H
#define ROLLCALL_TESTS_SCENARIO_STEPS_H

#include "tests/scenario/world.h"

#define SCENARIO_WALL_MS UINT64_C(1767225600000) // 2026-01-01

struct words {
    char *items[MAX_WORDS];
    size_t count;
};

// "key=value" or "key~value" among words from `from`: its value, or NULL.
const char *words_value(const struct words *words, size_t from, const char *key, char op);
bool words_has(const struct words *words, size_t from, const char *word);
uint64_t words_number(struct world *w, const char *text);
// "90", "90s", "2m", "1h", "500ms" in microseconds
uint64_t words_time_us(struct world *w, const char *text);
// "7" or "1..100"
void words_ids(struct world *w, const char *text, uint64_t *ret_first, uint64_t *ret_last);

typedef void step_fn(struct world *w, const struct words *words);

// steps_want.c
step_fn step_set, step_want, step_remove, step_moved, step_buried, step_snapshot;
// steps_answer.c
step_fn step_answer, step_timeout, step_unreachable, step_answer_all, step_automatic;
bool steps_answer_automatically(struct world *w); // true when something was answered
// steps_expect.c
step_fn step_expect;
// runner.c
void step_run(struct world *w, const struct words *words);

#endif
