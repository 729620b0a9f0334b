// What the store costs on a real Redis: how many creations a second it pipelines, how fast it walks, and how
// long anybody else waits meanwhile. Processor times beside the clock's, because a machine that others use,
// too, shows its own pauses in the latter. store_bench <redis url> <registrations> [creations], the last to
// stop after these; the Redis is to be empty and the bench's own.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/redis/redis.h"
#include "services/gateway/store/store.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define IN_FLIGHT 256
#define KEY_LINE  "k1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"

struct bench {
    struct event_base *base;
    struct store *store, *other; // the other asks for one registration again and again
    struct store_gate gate;
    struct redis *raw;
    bool up, busy, probing;
    uint64_t count, started, answered, failed, seen, calls;
    uint64_t probe_us, probe_count, probe_worst_us, probe_sum_us;
    uint64_t turn_worst_us; // processor time of one turn of the loop
    uint64_t redis_us;      // processor time of Redis so far
    bool asked;
    struct store_walk *walk;
};

static void on_written(void *arg, struct store_change *take_change)
{
    (void)arg;
    store_change_free(take_change);
}

static void on_events(void *arg, unsigned shard)
{
    (void)arg, (void)shard;
}

static void on_up(void *arg, struct str id)
{
    struct bench *b = arg;
    b->up = true;
    b->gate.approved = store_replication_hash(id);
}

static void check(int rc, const char *what, const struct error *err)
{
    if (!rc)
        return;
    (void)fprintf(stderr, "%s: %s\n", what, err->text);
    exit(1);
}

static uint64_t cpu_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void turn(struct bench *b)
{
    uint64_t before_us = cpu_us();
    (void)event_base_loop(b->base, EVLOOP_ONCE);
    uint64_t took_us = cpu_us() - before_us;
    if (took_us > b->turn_worst_us)
        b->turn_worst_us = took_us;
}

static void on_info(void *arg, const struct redis_value *v, const struct error *err)
{
    struct bench *b = arg;
    double sys = 0, user = 0;
    struct str text = redis_str(v), line;
    while (!err && str_split(&text, '\n', &line)) {
        (void)sscanf(line.p, "used_cpu_sys_main_thread:%lf", &sys);
        (void)sscanf(line.p, "used_cpu_user_main_thread:%lf", &user);
    }
    b->redis_us = (uint64_t)((sys + user) * 1e6);
    b->asked = false;
}

// What Redis used of its processor since it was asked last.
static uint64_t redis_cpu_us(struct bench *b)
{
    uint64_t before_us = b->redis_us;
    b->asked = true;
    redis_commandl(b->raw, on_info, b, STR_LIT("INFO"), STR_LIT("cpu"));
    while (b->asked)
        (void)event_base_loop(b->base, EVLOOP_ONCE);
    return b->redis_us - before_us;
}

static void on_probe(void *arg, int rc, const struct store_record *record, const struct error *err);

static void probe(struct bench *b)
{
    b->probe_us = clock_monotonic_us();
    b->probing = true;
    store_get(b->other, STR_LIT("bench"), 1, on_probe, b);
}

static void on_probe(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    (void)record;
    struct bench *b = arg;
    check(rc, "a read beside it", err);
    uint64_t took_us = clock_monotonic_us() - b->probe_us;
    b->probe_count++;
    b->probe_sum_us += took_us;
    if (took_us > b->probe_worst_us)
        b->probe_worst_us = took_us;
    b->probing = false;
    if (b->busy)
        probe(b);
}

// Runs until what was started ends, with reads over the other store (of the same loop) beside it.
static uint64_t run(struct bench *b)
{
    b->probe_count = b->probe_worst_us = b->probe_sum_us = b->turn_worst_us = 0;
    (void)redis_cpu_us(b);
    uint64_t from_us = clock_monotonic_us();
    probe(b);
    while (b->busy || b->probing)
        turn(b);
    return clock_monotonic_us() - from_us;
}

static void tell(struct bench *b, const char *what, uint64_t count, uint64_t took_us)
{
    uint64_t redis_us = redis_cpu_us(b);
    printf("%-32s %8llu in %8.1f ms; processor of Redis %8.1f ms; longest turn of the loop %6llu us; %6llu "
           "reads "
           "beside it, mean %5.0f us, worst %6llu us\n",
           what, (unsigned long long)count, (double)took_us / 1e3, (double)redis_us / 1e3,
           (unsigned long long)b->turn_worst_us, (unsigned long long)b->probe_count,
           (double)b->probe_sum_us / (double)b->probe_count, (unsigned long long)b->probe_worst_us);
}

static void make(struct registration *r, uint64_t number)
{
    char text[64];
    registration_init(r);
    r->account = mem_dup_cstr("bench");
    (void)snprintf(text, sizeof(text), "reg-%llu", (unsigned long long)number);
    r->name = mem_dup_cstr(text);
    r->domain = mem_dup_cstr("sip.example.com");
    (void)snprintf(text, sizeof(text), "u%llu", (unsigned long long)number);
    r->username = mem_dup_cstr(text);
    (void)snprintf(text, sizeof(text), "sip:u%llu@192.0.2.9:5060", (unsigned long long)number);
    r->contacts[0] = (struct contact){.uri = mem_dup_cstr(text), .expires = REGISTRATION_UNSET};
    r->contact_count = 1;
    r->credentials[0] = (struct credential){
        .user = mem_dup_cstr(r->username), .secret = mem_dup_cstr("s3cret"), .clear = true};
    r->credential_count = 1;
}

static void create_one(struct bench *b);

static void on_created(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    (void)record;
    struct bench *b = arg;
    check(rc, "create", err);
    b->answered++;
    if (b->started < b->count)
        create_one(b);
    b->busy = b->answered < b->count;
}

static void create_one(struct bench *b)
{
    struct registration r cleanup(registration_done);
    make(&r, ++b->started);
    const struct store_write_context context = {.actor = STR_LIT("bench")};
    store_create(b->store, &r, &context, on_created, b);
}

static void create_all(struct bench *b)
{
    b->busy = true;
    while (b->started < IN_FLIGHT && b->started < b->count)
        create_one(b);
    (void)redis_cpu_us(b);
    uint64_t from_us = clock_monotonic_us();
    while (b->busy)
        turn(b);
    b->probe_count = 1;
    tell(b, "creations, 256 in flight", b->count, clock_monotonic_us() - from_us);
}

static void on_page(void *arg, int rc, const struct store_record *records, size_t count, uint64_t total,
                    const struct error *err)
{
    (void)records;
    struct bench *b = arg;
    check(rc, "page", err);
    b->busy = false;
    b->seen = total ? total : count;
}

static bool by_contact(const void *arg, const struct store_record *record)
{
    (void)arg;
    return str_find_str(str_of(record->reg.contacts[0].uri), STR_LIT("777")) <
           str_of(record->reg.contacts[0].uri).n;
}

static char *by_username(const struct registration *r, bool *ret_is_number)
{
    *ret_is_number = false;
    return mem_dup_cstr(r->username);
}

static void page(struct bench *b, const char *what, const struct store_query *q)
{
    b->busy = true;
    store_page(b->store, q, on_page, b);
    uint64_t took_us = run(b);
    tell(b, what, b->count, took_us);
}

static void on_slice(void *arg, int rc, const struct store_record *records, size_t count, uint64_t total,
                     const struct error *err)
{
    (void)records, (void)total;
    struct bench *b = arg;
    check(rc, "walk", err);
    b->seen += count;
    b->busy = count;
    if (count)
        store_walk_next(b->walk);
}

static void walk_all(struct bench *b)
{
    const struct store_query q = {.account = STR_LIT("bench")};
    b->seen = 0;
    b->busy = true;
    b->walk = store_walk_begin(b->store, &q, on_slice, b);
    uint64_t took_us = run(b);
    store_walk_end(b->walk);
    tell(b, "walk with records", b->seen, took_us);
}

static void on_batch(void *arg, int rc, size_t failed, const struct store_record *records, size_t count,
                     const struct error *err)
{
    (void)failed, (void)records, (void)count;
    struct bench *b = arg;
    check(rc, "batch", err);
    b->busy = false;
}

static void batch(struct bench *b)
{
    static struct registration regs[STORE_BATCH_MAX];
    static struct store_item items[STORE_BATCH_MAX];
    for (size_t i = 0; i < STORE_BATCH_MAX; i++) {
        make(&regs[i], b->count + i + 1);
        items[i] = (struct store_item){.kind = STORE_ITEM_CREATE, .after = &regs[i]};
    }
    const struct store_write_context context = {.actor = STR_LIT("bench")};
    b->busy = true;
    uint64_t from_us = cpu_us();
    store_batch(b->store, STR_LIT("bench"), items, STORE_BATCH_MAX, NULL, 0, &context, on_batch, b);
    uint64_t call_us = cpu_us() - from_us;
    uint64_t took_us = run(b);
    tell(b, "a batch of creations", STORE_BATCH_MAX, took_us);
    printf("  the call itself %llu us\n", (unsigned long long)call_us);
    for (size_t i = 0; i < STORE_BATCH_MAX; i++)
        registration_done(&regs[i]);
}

static void read_all(struct bench *b)
{
    const struct store_term user = {.field = "username", .value = STR_LIT("u77")};
    const struct store_term domain = {.field = "domain", .value = STR_LIT("sip.example.com")};
    const struct store_term pending[] = {domain, {.field = "state", .value = STR_LIT("pending")}};
    struct store_query q = {.account = STR_LIT("bench"), .offset = b->count / 2, .limit = 50};
    page(b, "a page of 50 by rank", &q);
    q.terms = &domain;
    q.term_count = 1;
    page(b, "a page of 50 by rank of a term", &q);
    q.offset = 0;
    q.terms = &user;
    page(b, "a page by a term that one has", &q);
    q.terms = pending;
    q.term_count = 2;
    page(b, "two terms that all have", &q);
    q.term_count = 0;
    q.keep = by_contact;
    page(b, "a condition over all", &q);
    q.keep = NULL;
    q.sort_key = by_username;
    page(b, "another order over all", &q);
    walk_all(b);
    batch(b);
}

static struct store *open_store(struct bench *b, const char *url, struct key_ring_box *keys)
{
    const struct store_params params = {.base = b->base,
                                        .redis_url = url,
                                        .keys = keys,
                                        .gate = &b->gate,
                                        .source = "bench",
                                        .arg = b,
                                        .on_written = on_written,
                                        .on_events = on_events};
    struct store *store;
    struct error err;
    check(store_new(&params, &store, &err), "store", &err);
    while (!store_is_up(store))
        turn(b);
    return store;
}

int main(int argc, char **argv)
{
    struct bench b = {.base = event_base_new()};
    struct key_ring *ring;
    struct error err;
    if (argc < 3 || str_to_u64(str_of(argv[2]), &b.count)) {
        (void)fprintf(stderr, "store_bench <redis url> <registrations> [creations]\n");
        return 2;
    }
    check(key_ring_parse(STR_LIT(KEY_LINE), &ring, &err), "key", &err);
    struct key_ring_box *keys = key_ring_box_new(ring);
    const struct redis_params raw = {.base = b.base, .url = argv[1], .arg = &b, .on_up = on_up};
    check(redis_new(&raw, &b.raw, &err), "redis", &err);
    while (!b.up)
        turn(&b);
    b.store = open_store(&b, argv[1], keys);
    b.other = open_store(&b, argv[1], keys);

    create_all(&b);
    if (argc == 3)
        read_all(&b);
    store_free(b.store);
    store_free(b.other);
    redis_free(b.raw);
    key_ring_box_free(keys);
    event_base_free(b.base);
    return 0;
}
