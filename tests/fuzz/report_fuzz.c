// Records of a status topic: the first line is the key, the second the place that the topic is of, the rest
// the value. What is taken becomes arguments for Redis that hold together, what is refused says why.
#include "services/gateway/publish/report.h"
#include "tests/fuzz/target.h"

#include <string.h>

#define NOW_MS UINT64_C(1795255201337)

static void check_arguments(struct report *r, const struct kafka_record *record)
{
    const struct report_waits waits = {.grace_ms = 15000, .ack_wait_ms = 1000, .source = "gateway-1"};
    struct str args[REPORT_ARGS];
    uint64_t id;
    report_args(r, &waits, args);
    HOLDS(str_to_u64(args[0], &id) == 0 && id == r->status.id && str_eq(args[0], record->key));
    HOLDS(str_eq(args[8], record->value));
    for (size_t i = 0; i < REPORT_ARGS; i++)
        HOLDS(args[i].p || !args[i].n);
    // What the world may see is JSON, and holds no more than was reported.
    struct json *shown cleanup(json_free_ptr) = NULL;
    HOLDS(json_parse(args[9], &(struct json_limits){.max_bytes = 8u << 20, .max_depth = 64}, &shown, NULL) ==
          0);
    HOLDS(!report_is_above(r, r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str value = str_of_bytes(data, size), key = STR_NONE, place = STR_NONE;
    struct report *report = NULL;
    struct error err = {0};
    (void)str_split(&value, '\n', &key);
    (void)str_split(&value, '\n', &place);
    if (place.n >= sizeof(report->status.place)) // topics have no such names
        return 0;
    const struct kafka_record record = {.topic = "rollcall.status", .key = key, .value = value};
    if (report_read(&record, place, NOW_MS, &report, &err)) {
        HOLDS(!report && err.code < 0 && err.text[0] && !strchr(err.text, '\n'));
        return 0;
    }
    check_arguments(report, &record);
    report_free(report);
    return 0;
}
