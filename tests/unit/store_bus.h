// What the bus does to the store's keys, by the scripts that it runs: reports of registrants, and changes
// that are written back after a fail-over.
#ifndef ROLLCALL_TESTS_STORE_BUS_H
#define ROLLCALL_TESTS_STORE_BUS_H

#include "common/base/clock.h"
#include "services/gateway/publish/report.h"
#include "services/gateway/publish/restore.h"
#include "services/gateway/store/scripts.h"
#include "tests/unit/store_fixture.h"

// What the script answers, as raw() gives it.
static inline const char *bus_run(struct fixture *f, struct str script, struct str key,
                                  const struct str *args, size_t count)
{
    struct redis_script run;
    struct str argv[40] = {key};
    assert_true(count < ARRAY_LEN(argv));
    memcpy(argv + 1, args, count * sizeof(*args));
    redis_script_init(&run, "of the bus", script);
    f->raw_answers = 0;
    redis_script(f->raw, &run, fixture_on_raw, f, 1, 1 + count, argv);
    assert_true(peer_run_until(f->base, fixture_is_raw_answered, f, SOON_MS));
    buf_add_cstr(&f->raw_text, "");
    return f->raw_text.p;
}

static inline const char *bus_apply(struct fixture *f, struct str script, const char *account, uint64_t id,
                                    const struct str *args, size_t count)
{
    struct buf key cleanup(buf_done) = BUF_INIT;
    key_registration(&key, store_shard(str_of(account)), id);
    return bus_run(f, script, buf_str(&key), args, count);
}

struct bus_report {
    uint64_t id;
    const char *account, *place;
    enum status_state state;
    uint64_t bound_until_ms; // 0: nothing is bound
    enum status_proof removed;
};

static inline void bus_status(struct status *ret_init, const struct bus_report *r)
{
    static uint64_t seq;
    status_init(ret_init);
    ret_init->id = r->id;
    ret_init->account = mem_dup_cstr(r->account);
    (void)snprintf(ret_init->place, sizeof(ret_init->place), "%s", r->place);
    ret_init->epoch = 1;
    ret_init->seq = ++seq;
    ret_init->revision = UINT32_MAX * 1000ull; // whatever is held is applied
    ret_init->state = r->state;
    ret_init->expires_at_wall_ms = r->bound_until_ms;
    ret_init->next_in_ms = 60000;
    ret_init->removed = r->removed;
}

// What report.lua answers, as raw() gives it.
static inline const char *bus_report(struct fixture *f, const struct bus_report *told)
{
    struct status s;
    struct report *r;
    struct error err;
    bus_status(&s, told);
    struct buf value cleanup(buf_done) = BUF_INIT, key cleanup(buf_done) = BUF_INIT;
    status_write(&value, &s);
    buf_add_u64(&key, told->id);
    const struct kafka_record record = {.key = buf_str(&key), .value = buf_str(&value)};
    assert_int_equal(report_read(&record, str_of(told->place), clock_wall_ms(), &r, &err), 0);
    const struct report_waits waits = {.grace_ms = 1000, .ack_wait_ms = 1000, .source = "gateway-1"};
    struct str args[REPORT_ARGS];
    report_args(r, &waits, args);
    const char *answer = bus_apply(f, script_report(), told->account, told->id, args, REPORT_ARGS);
    report_free(r);
    status_done(&s);
    return answer;
}

// What the changes topic holds of a registration; `spec` and `status` (may be empty) are JSON texts.
struct bus_lost {
    uint64_t id, revision;
    const char *account, *place;
    const char *op; // "desired", "remove"
    struct str spec, status;
};

static inline const char *bus_restore(struct fixture *f, const struct bus_lost *l)
{
    struct buf value cleanup(buf_done) = BUF_INIT, key cleanup(buf_done) = BUF_INIT;
    buf_addf(&value,
             "{\"v\":1,\"op\":\"%s\",\"id\":%llu,\"account\":\"%s\",\"revision\":%llu,\"spec\":", l->op,
             (unsigned long long)l->id, l->account, (unsigned long long)l->revision);
    buf_add_str(&value, l->spec);
    if (l->status.n) {
        buf_add_cstr(&value, ",\"status\":");
        buf_add_str(&value, l->status);
    }
    buf_add_cstr(&value, "}");
    buf_add_u64(&key, l->id);
    const struct kafka_record record = {.key = buf_str(&key), .value = buf_str(&value)};
    struct restore *lost;
    struct restore_args args;
    struct error err;
    assert_int_equal(restore_read(&record, str_of(l->place), &lost, &err), 0);
    assert_int_equal(restore_args(lost, 1000, 1, &args, &err), 0);
    const char *answer = bus_apply(f, script_restore(), l->account, l->id, args.argv, args.argc);
    restore_args_done(&args);
    restore_free(lost);
    return answer;
}

// What Redis holds in one of its databases over what it holds in another.
static inline void bus_copy_database(struct fixture *f, int from, int to)
{
    char script[256];
    (void)snprintf(script, sizeof(script),
                   "redis.call('SELECT', %d) redis.call('FLUSHDB') redis.call('SELECT', %d) "
                   "for _, k in ipairs(redis.call('KEYS', '*')) do redis.call('COPY', k, k, 'DB', %d) end "
                   "redis.call('SELECT', 0) return 'copied'",
                   to, from, to);
    const struct str argv[] = {STR_LIT("EVAL"), str_of(script), STR_LIT("0")};
    f->raw_answers = 0;
    redis_command(f->raw, fixture_on_raw, f, ARRAY_LEN(argv), argv);
    assert_true(peer_run_until(f->base, fixture_is_raw_answered, f, SOON_MS));
    buf_add_cstr(&f->raw_text, "");
    assert_string_equal(f->raw_text.p, "copied");
}

#endif
