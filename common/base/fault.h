// Places where a test stops the process dead, to see what a crash exactly there leaves behind, or makes
// happen what no test can bring about from outside. Compiled in only with -Dfault_points=true; then
// ROLLCALL_FAULT_POINT names the one that is armed. Otherwise nothing is left of it.
#ifndef ROLLCALL_BASE_FAULT_H
#define ROLLCALL_BASE_FAULT_H

#include <stdbool.h>

#if ROLLCALL_FAULT_POINTS

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void fault_point(const char *name)
{
    const char *armed = getenv("ROLLCALL_FAULT_POINT");
    if (armed && strcmp(armed, name) == 0)
        _exit(137); // as after SIGKILL: no handler, no flush
}
#define FAULT_POINT(name) fault_point(name)

// Once for each time that the test makes the file: ROLLCALL_FAULT_POINT is "name=path of the file".
static inline bool fault_asked(const char *name)
{
    const char *armed = getenv("ROLLCALL_FAULT_POINT");
    size_t n = strlen(name);
    return armed && strncmp(armed, name, n) == 0 && armed[n] == '=' && unlink(armed + n + 1) == 0;
}
#define FAULT_ASKED(name) fault_asked(name)

#else
#define FAULT_POINT(name) ((void)0)
#define FAULT_ASKED(name) false
#endif

#endif
