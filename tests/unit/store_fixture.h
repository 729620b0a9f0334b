// A store on a real redis-server, a raw connection beside it to look at the keys, and calls that run the loop
// until the answer is there.
#ifndef ROLLCALL_TESTS_STORE_FIXTURE_H
#define ROLLCALL_TESTS_STORE_FIXTURE_H

#include "common/base/buf.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/event/base_end.h"
#include "common/redis/redis.h"
#include "services/gateway/store/keys.h"
#include "services/gateway/store/store.h"
#include "tests/unit/peer.h"

#include <stdio.h>

enum { SOON_MS = 10000, MAX_CHANGES = 256 };

#define KEY_LINE "k1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"

struct answer {
    int count; // callbacks that came
    int rc;
    struct registration reg;
    char *status;
    bool replayed;
    struct error err;
};

struct fixture {
    struct event_base *base;
    uint16_t port;
    pid_t server;
    char dir[64], url[64];
    struct key_ring_box *keys;
    struct store_gate gate;
    struct store *store;
    struct redis *raw;
    uint64_t replication_hash; // of the raw connection; 0 while down
    struct buf raw_text;
    int raw_answers;
    struct store_change *changes[MAX_CHANGES];
    size_t change_count;
    int event_count;
    unsigned event_shard;
    struct answer got;
};

static inline void fixture_on_written(void *arg, struct store_change *take_change)
{
    struct fixture *f = arg;
    assert_true(f->change_count < MAX_CHANGES);
    f->changes[f->change_count++] = take_change;
}

static inline void fixture_on_events(void *arg, unsigned shard)
{
    struct fixture *f = arg;
    f->event_count++;
    f->event_shard = shard;
}

static inline void fixture_raw_up(void *arg, struct str id)
{
    struct fixture *f = arg;
    f->replication_hash = store_replication_hash(id);
}

static inline void fixture_raw_down(void *arg, const struct error *why)
{
    (void)why;
    struct fixture *f = arg;
    f->replication_hash = 0;
}

static inline bool fixture_is_up(const void *arg)
{
    const struct fixture *f = arg;
    return f->replication_hash && store_is_up(f->store);
}

static inline bool fixture_is_answered(const void *arg)
{
    const struct fixture *f = arg;
    return f->got.count > 0;
}

static inline bool fixture_is_raw_answered(const void *arg)
{
    const struct fixture *f = arg;
    return f->raw_answers > 0;
}

static inline void fixture_start_server(struct fixture *f)
{
    char port[8], name[] = "redis-server", o1[] = "--port", o2[] = "--bind", host[] = "127.0.0.1",
                  o3[] = "--dir", o4[] = "--save", none[] = "", o5[] = "--repl-diskless-sync-delay",
                  zero[] = "0";
    (void)snprintf(port, sizeof(port), "%u", f->port);
    char *argv[] = {name, o1, port, o2, host, o3, f->dir, o4, none, o5, zero, NULL};
    f->server = peer_start(argv);
}

static inline void fixture_open_store(struct fixture *f, uint32_t wait_replicas, uint32_t wait_timeout_ms)
{
    const struct store_params params = {
        .base = f->base,
        .redis_url = f->url,
        .keys = f->keys,
        .gate = &f->gate,
        .source = "gateway-1",
        .wait_replicas = wait_replicas,
        .wait_timeout_ms = wait_timeout_ms,
        .arg = f,
        .on_written = fixture_on_written,
        .on_events = fixture_on_events,
    };
    struct error err;
    assert_int_equal(store_new(&params, &f->store, &err), 0);
    assert_true(peer_run_until(f->base, fixture_is_up, f, SOON_MS));
    f->gate.approved = f->replication_hash;
}

static inline void fixture_open_raw(struct fixture *f)
{
    const struct redis_params params = {.base = f->base,
                                        .url = f->url,
                                        .command_timeout_ms = SOON_MS,
                                        .arg = f,
                                        .on_up = fixture_raw_up,
                                        .on_down = fixture_raw_down};
    struct error err;
    assert_int_equal(redis_new(&params, &f->raw, &err), 0);
}

static inline const char *raw(struct fixture *f, const char *command);

static inline int fixture_setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct error err;
    f->base = event_base_new();
    f->port = peer_free_port();
    (void)snprintf(f->url, sizeof(f->url), "redis://127.0.0.1:%u", f->port);
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/rollcall-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    struct key_ring *ring;
    assert_int_equal(key_ring_parse(STR_LIT(KEY_LINE), &ring, &err), 0);
    f->keys = key_ring_box_new(ring);
    fixture_start_server(f);
    fixture_open_raw(f);
    fixture_open_store(f, 0, 0);
    (void)raw(f, "SET rc:{g}:seq 0 NX"); // as approve.lua does
    *state = f;
    return 0;
}

static inline void fixture_forget(struct fixture *f)
{
    for (size_t i = 0; i < f->change_count; i++)
        store_change_free(f->changes[i]);
    f->change_count = 0;
    f->event_count = 0;
    registration_done(&f->got.reg);
    free(f->got.status);
    f->got = (struct answer){0};
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    store_free(f->store);
    redis_free(f->raw);
    (void)peer_stop(f->server, SIGKILL);
    (void)rmdir(f->dir);
    fixture_forget(f);
    buf_done(&f->raw_text);
    key_ring_box_free(f->keys);
    base_end(f->base);
    free(f);
    return 0;
}

// ---- the raw connection

static inline void fixture_add_value(struct buf *out, const struct redis_value *v)
{
    if (redis_type(v) == REDIS_ARRAY) {
        for (size_t i = 0; i < redis_count(v); i++) {
            if (i)
                buf_add_char(out, ' ');
            fixture_add_value(out, redis_at(v, i));
        }
    } else if (redis_type(v) == REDIS_NIL) {
        buf_add_cstr(out, "(nil)");
    } else if (redis_type(v) == REDIS_INTEGER) {
        buf_addf(out, "%lld", (long long)redis_int(v));
    } else {
        buf_add_str(out, redis_str(v));
    }
}

static inline void fixture_on_raw(void *arg, const struct redis_value *v, const struct error *err)
{
    struct fixture *f = arg;
    buf_clear(&f->raw_text);
    if (err)
        buf_addf(&f->raw_text, "error %s", err->text);
    else
        fixture_add_value(&f->raw_text, v);
    f->raw_answers++;
}

// The answer as text, arrays with spaces between; borrowed until the next. Words of the command stand between
// spaces.
static inline const char *raw(struct fixture *f, const char *command)
{
    struct str argv[64], rest = str_of(command);
    size_t argc = 0;
    while (argc < ARRAY_LEN(argv) && str_split(&rest, ' ', &argv[argc]))
        argc++;
    f->raw_answers = 0;
    redis_command(f->raw, fixture_on_raw, f, argc, argv);
    assert_true(peer_run_until(f->base, fixture_is_raw_answered, f, SOON_MS));
    buf_add_cstr(&f->raw_text, "");
    return f->raw_text.p ? f->raw_text.p : "";
}

static inline const char *rawf(struct fixture *f, const char *fmt, ...) printf_like(2, 3);
static inline const char *rawf(struct fixture *f, const char *fmt, ...)
{
    char command[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(command, sizeof(command), fmt, args);
    va_end(args);
    return raw(f, command);
}

// ---- calls

static inline void fixture_on_record(void *arg, int rc, const struct store_record *record,
                                     const struct error *err)
{
    struct fixture *f = arg;
    f->got.count++;
    f->got.rc = rc;
    assert_true((rc == 0) == (err == NULL));
    if (err)
        f->got.err = *err;
    if (rc)
        assert_null(record);
    if (record) {
        registration_copy(&f->got.reg, &record->reg);
        f->got.status = str_dup(record->status);
        f->got.replayed = record->replayed;
    }
}

static inline int fixture_answer(struct fixture *f)
{
    assert_true(peer_run_until(f->base, fixture_is_answered, f, SOON_MS));
    assert_int_equal(f->got.count, 1);
    return f->got.rc;
}

static const struct store_write_context fixture_context = {
    .traceparent = {.p = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", .n = 55},
    .actor = {.p = "alice", .n = 5},
};

static inline int do_create(struct fixture *f, const struct registration *r)
{
    fixture_forget(f);
    store_create(f->store, r, &fixture_context, fixture_on_record, f);
    assert_int_equal(f->got.count, 0); // never from within the call
    return fixture_answer(f);
}

static inline int do_get(struct fixture *f, const char *account, uint64_t id)
{
    fixture_forget(f);
    store_get(f->store, str_of(account), id, fixture_on_record, f);
    assert_int_equal(f->got.count, 0);
    return fixture_answer(f);
}

static inline int do_update(struct fixture *f, const struct registration *before,
                            const struct registration *after)
{
    fixture_forget(f);
    store_update(f->store, before, after, &fixture_context, fixture_on_record, f);
    assert_int_equal(f->got.count, 0);
    return fixture_answer(f);
}

static inline int do_delete(struct fixture *f, const char *account, uint64_t id)
{
    fixture_forget(f);
    store_delete(f->store, str_of(account), id, 0, &fixture_context, fixture_on_record, f);
    assert_int_equal(f->got.count, 0);
    return fixture_answer(f);
}

static inline int do_refresh(struct fixture *f, const char *account, uint64_t id)
{
    fixture_forget(f);
    store_command(f->store, str_of(account), id, STORE_REFRESH, &fixture_context, fixture_on_record, f);
    assert_int_equal(f->got.count, 0);
    return fixture_answer(f);
}

// One contact, one credential with a clear secret; the caller ends it.
static inline struct registration a_registration(const char *account, const char *name)
{
    struct registration r;
    registration_init(&r);
    r.account = mem_dup_cstr(account);
    r.name = mem_dup_cstr(name);
    r.domain = mem_dup_cstr("sip.example.com");
    r.username = mem_dup_cstr("100");
    r.contacts[0] = (struct contact){.uri = mem_dup_cstr("sip:100@192.0.2.9"), .expires = REGISTRATION_UNSET};
    r.contact_count = 1;
    r.credentials[0] =
        (struct credential){.user = mem_dup_cstr("100"), .secret = mem_dup_cstr("s3cret"), .clear = true};
    r.credential_count = 1;
    return r;
}

static inline void set_text(char **field, const char *text)
{
    free(*field);
    *field = mem_dup_cstr(text);
}

// Creates it and gives what is stored; the caller ends it.
static inline struct registration created(struct fixture *f, const char *account, const char *name)
{
    struct registration r cleanup(registration_done) = a_registration(account, name), stored;
    assert_int_equal(do_create(f, &r), 0);
    registration_copy(&stored, &f->got.reg);
    return stored;
}

// "acme" has shard CRC16("acme") mod 16; the keys are built by hand here, not with keys.h.
static inline unsigned shard_of(const char *account)
{
    return hash_crc16(str_of(account)) % 16;
}

static inline void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("%s\nis not in\n%s", part, text ? text : "(nothing)");
}

static inline void assert_lacks(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("%s\nis in\n%s", part, text ? text : "(nothing)");
}

// By the clock of Redis.
static inline uint64_t now_ms(struct fixture *f)
{
    struct str micros_text = str_of(raw(f, "TIME")), seconds_text = STR_NONE;
    uint64_t seconds = 0, micros = 0;
    assert_true(str_split(&micros_text, ' ', &seconds_text));
    assert_int_equal(str_to_u64(seconds_text, &seconds), 0);
    assert_int_equal(str_to_u64(micros_text, &micros), 0);
    return seconds * 1000 + micros / 1000;
}

#endif
