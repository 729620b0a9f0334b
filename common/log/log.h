// Log lines on standard error, one write(2) a line: text for people or JSON for collectors. Only layers that
// decide log; libraries return an error instead. Never log a secret, a nonce or a whole message.
#ifndef ROLLCALL_LOG_LOG_H
#define ROLLCALL_LOG_LOG_H

#include "common/base/base.h"

#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

// Once, before threads start. `service` (for example "rollcall-gateway") must outlive the process.
void log_setup(const char *service, enum log_level max_level, int as_json);

// component: the folder, for example "publish". id: the registration that the line is about, 0 for none. Any
// thread.
void log_line(enum log_level level, const char *component, uint64_t id, const char *fmt, ...)
    printf_like(4, 5);
int log_enabled(enum log_level level);

// The same, at most once a second for each place in the code; says how many were left out.
#define log_limited(level, component, id, ...)                                                               \
    do {                                                                                                     \
        static struct log_limit limit_here;                                                                  \
        if (log_limit_pass(&limit_here, level, component))                                                   \
            log_line(level, component, id, __VA_ARGS__);                                                     \
    } while (0)
struct log_limit {
    _Atomic uint64_t next_us;
    _Atomic uint64_t left_out;
};
int log_limit_pass(struct log_limit *limit, enum log_level level, const char *component);

#endif
