// See log.h. Each line is made whole before it is written, so that lines of several threads never mix. What a
// peer sent may stand in a message: nothing in it can begin a new line or steer a terminal.
#include "common/log/log.h"

#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/json/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_BYTES    2048
#define CUT_MARK         "…"
#define LIMIT_PERIOD_US  1000000u
#define SERVICE_FALLBACK "rollcall"

// Written by log_setup() only, before there are threads.
static const char *service_name = SERVICE_FALLBACK;
static enum log_level highest_level = LOG_INFO;
static int writes_json;

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    return (size_t)level < ARRAY_LEN(names) ? names[level] : "unknown";
}

void log_setup(const char *service, enum log_level max_level, int as_json)
{
    service_name = service;
    highest_level = max_level;
    writes_json = as_json;
}

int log_enabled(enum log_level level)
{
    return level <= highest_level;
}

// Control characters as \n or \x1b; those that UTF-8 writes as C2 80 … C2 9F steer terminals too.
static void add_visible(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        unsigned char next = i + 1 < text.n ? (unsigned char)text.p[i + 1] : 0;
        if (c == '\n')
            buf_add_cstr(out, "\\n");
        else if (c == '\r')
            buf_add_cstr(out, "\\r");
        else if (c == '\t')
            buf_add_cstr(out, "\\t");
        else if (c < 0x20 || c == 0x7f)
            buf_addf(out, "\\x%02x", c);
        else if (c == 0xc2 && next >= 0x80 && next <= 0x9f)
            buf_addf(out, "\\x%02x", (unsigned char)text.p[++i]);
        else
            buf_add_char(out, (char)c);
    }
}

static void add_text_line(struct buf *out, enum log_level level, const char *component, uint64_t id,
                          struct str message)
{
    char now[ENCODE_TIME_BYTES];
    encode_time(now, clock_wall_ms());
    buf_addf(out, "%s %s %s %s ", now, level_name(level), service_name, component);
    if (id)
        buf_addf(out, "id=%" PRIu64 " ", id);
    add_visible(out, message);
}

static void add_json_line(struct buf *out, enum log_level level, const char *component, uint64_t id,
                          struct str message)
{
    char now[ENCODE_TIME_BYTES];
    encode_time(now, clock_wall_ms());
    struct json_writer w = json_writer(out);
    json_begin_object(&w);
    json_kv_cstr(&w, "time", now);
    json_kv_cstr(&w, "level", level_name(level));
    json_kv_cstr(&w, "service", service_name);
    json_kv_cstr(&w, "component", component);
    if (id)
        json_kv_u64(&w, "id", id);
    json_kv_str(&w, "message", message);
    json_end_object(&w);
}

// Cuts inside no UTF-8 sequence and says that it cut.
static size_t cut(char *message, size_t size)
{
    size_t n = size - sizeof(CUT_MARK);
    while (n > 0 && ((unsigned char)message[n] & 0xc0) == 0x80)
        n--;
    memcpy(message + n, CUT_MARK, sizeof(CUT_MARK));
    return n + sizeof(CUT_MARK) - 1;
}

void log_line(enum log_level level, const char *component, uint64_t id, const char *fmt, ...)
{
    if (!log_enabled(level))
        return;
    int errno_of_caller = errno;
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    int printed = vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    size_t n = printed < 0 ? 0 : (size_t)printed;
    if (n >= sizeof(message))
        n = cut(message, sizeof(message));

    struct buf line cleanup(buf_done) = BUF_INIT;
    (writes_json ? add_json_line : add_text_line)(&line, level, component, id, str_of_bytes(message, n));
    buf_add_char(&line, '\n');
    // A log that cannot be written has nobody to be told to.
    ssize_t ignored = write(STDERR_FILENO, line.p, line.n);
    (void)ignored;
    errno = errno_of_caller;
}

int log_limit_pass(struct log_limit *limit, enum log_level level, const char *component)
{
    if (!log_enabled(level))
        return 0;
    uint64_t now = clock_monotonic_us();
    uint64_t next = atomic_load_explicit(&limit->next_us, memory_order_relaxed);
    if (now < next || !atomic_compare_exchange_strong(&limit->next_us, &next, now + LIMIT_PERIOD_US)) {
        atomic_fetch_add_explicit(&limit->left_out, 1, memory_order_relaxed);
        return 0;
    }
    uint64_t left_out = atomic_exchange(&limit->left_out, 0);
    if (left_out)
        log_line(level, component, 0, "left out %" PRIu64 " lines like the next", left_out);
    return 1;
}
