// services/registrant/core with a registrar that is dead: its 100 000 registrations cost next to nothing and
// leave those of others as punctual as they were. In simulated time; what is counted is work, not seconds.
#include "services/registrant/core/engine.h"

#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs setjmp.h, stdarg.h and stdlib.h
#include <cmocka.h>

#define DEAD       100000
#define LIVING     1000
#define GRANTED_S  600
#define SECOND_US  UINT64_C(1000000)
#define TIMEOUT_US (32 * SECOND_US)
#define MAX_OPEN   4096
#define WALL_MS    UINT64_C(1767225600000)

struct open {
    uint64_t token, due_us;
    char contact[64];
};

struct bench {
    struct engine *engine;
    struct moment now;
    bool dead;                                         // dead.example does not answer
    struct open answers[MAX_OPEN], timeouts[MAX_OPEN]; // rings, in the order of time
    size_t answer_head, answer_count, timeout_head, timeout_count;
    uint64_t to_dead, to_living, turns, reports;
    uint64_t last_us[LIVING + 1]; // when a living one was sent, by id
    uint64_t longest_us;          // between two of these
};

static void put(struct open *ring, size_t head, size_t *count, const struct open *one)
{
    assert_true(*count < MAX_OPEN);
    ring[(head + (*count)++) % MAX_OPEN] = *one;
}

static void note_living(struct bench *b, struct str to)
{
    const char *user = memmem(to.p, to.n, ":u", 2);
    uint64_t id = strtoull(user + 2, NULL, 10), gap_us = b->now.us - b->last_us[id];
    if (b->last_us[id] && gap_us > b->longest_us)
        b->longest_us = gap_us;
    b->last_us[id] = b->now.us;
    b->to_living++;
}

static int on_send(void *arg, const struct sip_request *r, uint64_t token)
{
    struct bench *b = arg;
    bool dead = memmem(r->request_uri.p, r->request_uri.n, "dead", 4) != NULL;
    struct open one = {.token = token, .due_us = b->now.us + TIMEOUT_US};
    (void)snprintf(one.contact, sizeof(one.contact), STR_FMT, STR_ARG(r->contacts[0]));
    b->to_dead += dead;
    if (!dead)
        note_living(b, r->to);
    if (dead && b->dead)
        put(b->timeouts, b->timeout_head, &b->timeout_count, &one);
    else
        put(b->answers, b->answer_head, &b->answer_count, &one);
    return 0;
}

static void on_report(void *arg, uint32_t shard, const struct status *status)
{
    struct bench *b = arg;
    (void)shard;
    (void)status;
    b->reports++;
}

static void on_closed(void *arg, uint32_t shard)
{
    (void)arg;
    (void)shard;
}

static struct str on_local(void *arg, enum registration_transport transport, struct str interface,
                           struct str host)
{
    (void)arg;
    (void)transport;
    (void)interface;
    (void)host;
    return STR_NONE;
}

static const struct engine_ops ops = {
    .send = on_send, .report = on_report, .closed = on_closed, .local_hostport = on_local};

static struct bench *begin(void)
{
    struct bench *b = mem_alloc(sizeof(*b));
    b->now = (struct moment){.us = 1000 * SECOND_US, .wall_ms = WALL_MS + 1000000};
    const struct engine_params p = {.ops = &ops, .ops_arg = b, .policy = engine_policy_default(), .seed = 1};
    b->engine = engine_new(&p, b->now);
    engine_credit(b->engine, UINT32_MAX, b->now);
    engine_shard_load(b->engine, 1, "any");
    return b;
}

static void want(struct bench *b, uint64_t id, const char *domain)
{
    struct registration r;
    char text[64];
    registration_init(&r);
    r.id = id;
    r.account = mem_dup_cstr("acme");
    (void)snprintf(text, sizeof(text), "u%llu", (unsigned long long)id);
    r.name = mem_dup_cstr(text);
    r.username = mem_dup_cstr(text);
    r.domain = mem_dup_cstr(domain);
    (void)snprintf(text, sizeof(text), "<sip:u%llu@192.0.2.9:5060>", (unsigned long long)id);
    r.contacts[0] = (struct contact){.uri = mem_dup_cstr(text), .expires = REGISTRATION_UNSET};
    r.contact_count = 1;
    r.expires = GRANTED_S;
    const struct desired d = {.op = DESIRED_KEEP, .reg = &r, .id = id, .revision = 1};
    engine_desired(b->engine, 1, &d, b->now);
    registration_done(&r);
}

static void answer(struct bench *b, const struct open *to, int status)
{
    struct sip_answer a = {.status = status,
                           .reason = STR_LIT("so it is"),
                           .local = status != 200,
                           .retry_after_s = -1,
                           .min_expires_s = -1,
                           .expires_s = -1,
                           .contact_count = status == 200};
    a.contacts[0] = (struct sip_answer_contact){.text = str_of(to->contact), .expires = GRANTED_S};
    engine_answer(b->engine, to->token, &a, b->now);
}

static struct open take(struct open *ring, size_t *head, size_t *count)
{
    struct open one = ring[*head];
    *head = (*head + 1) % MAX_OPEN;
    --*count;
    return one;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

// Answers come at once, time-outs in time.
static bool hear(struct bench *b)
{
    bool any = b->answer_count > 0;
    while (b->answer_count) {
        struct open one = take(b->answers, &b->answer_head, &b->answer_count);
        answer(b, &one, 200);
    }
    while (b->timeout_count && b->timeouts[b->timeout_head].due_us <= b->now.us) {
        struct open one = take(b->timeouts, &b->timeout_head, &b->timeout_count);
        answer(b, &one, 408);
        any = true;
    }
    return any;
}

static void run(struct bench *b, uint64_t seconds)
{
    uint64_t to_us = b->now.us + seconds * SECOND_US;
    for (;;) {
        uint64_t next = engine_tick(b->engine, b->now);
        b->turns++;
        if (hear(b))
            continue;
        if (b->timeout_count)
            next = earlier(next, b->timeouts[b->timeout_head].due_us);
        if (next > to_us)
            break;
        b->now.us = next > b->now.us ? next : b->now.us + 1000;
        b->now.wall_ms = WALL_MS + b->now.us / 1000;
    }
    b->now.us = to_us;
    b->now.wall_ms = WALL_MS + b->now.us / 1000;
}

static void want_all(struct bench *b, uint64_t dead)
{
    for (uint64_t id = 1; id <= LIVING; id++)
        want(b, id, "living.example");
    for (uint64_t id = LIVING + 1; id <= LIVING + dead; id++)
        want(b, id, "dead.example");
    engine_shard_open(b->engine, 1, 1, 1, b->now);
}

// Of one hour.
struct work {
    uint64_t turns, to_dead, to_living, reports;
};

static struct work hour(struct bench *b)
{
    const struct work before = {b->turns, b->to_dead, b->to_living, b->reports};
    run(b, 3600);
    return (struct work){b->turns - before.turns, b->to_dead - before.to_dead,
                         b->to_living - before.to_living, b->reports - before.reports};
}

static void end(struct bench *b)
{
    engine_free(b->engine);
    free(b);
}

static void a_dead_registrar_costs_next_to_nothing_and_delays_nobody(void **state)
{
    (void)state;
    struct bench *alone = begin(), *beside = begin();
    beside->dead = true;
    want_all(alone, 0);
    want_all(beside, DEAD);
    run(alone, 600);
    run(beside, 600);
    struct work without = hour(alone), with = hour(beside);
    // Everyone of the living is on time: a lifetime less 15 %, at the latest.
    assert_in_range(with.to_living, without.to_living * 95 / 100, without.to_living * 105 / 100);
    assert_true(beside->longest_us <= GRANTED_S * SECOND_US * 85 / 100 + 20000);
    // A probe each 4 s and its time-out; its registrations were reported once, and are not looked at again.
    assert_in_range(with.to_dead, 50, 150);
    assert_true(with.reports < without.reports + 300);
    assert_true(with.turns < without.turns + 3600);
    end(alone);
    end(beside);
}

static void a_registrar_that_dies_costs_each_binding_its_end_and_comes_back_by_itself(void **state)
{
    (void)state;
    struct bench *b = begin();
    want_all(b, DEAD);
    run(b, 1);
    assert_int_equal(engine_stats(b->engine).bound, LIVING + DEAD);
    b->dead = true;
    uint64_t reports = b->reports;
    run(b, 1200);
    assert_int_equal(engine_stats(b->engine).bound, LIVING);
    // That it is retrying or held back, and no more.
    assert_true(b->reports - reports < 2 * DEAD);
    struct work after = hour(b);
    assert_in_range(after.to_dead, 50, 150);
    assert_true(after.turns < 40 * LIVING);
    assert_true(after.reports < 10 * LIVING);
    b->dead = false;
    run(b, 60);
    assert_int_equal(engine_stats(b->engine).bound, LIVING + DEAD);
    assert_true(b->longest_us <= GRANTED_S * SECOND_US * 85 / 100 + 20000);
    end(b);
}

static void the_largest_of_many_registrars_are_found_a_few_at_a_time(void **state)
{
    (void)state;
    enum { REGISTRARS = 1300, SHOWN = 3 };
    struct bench *b = begin();
    struct registrar_view items[SHOWN];
    struct registrar_ranking ranking = {.items = items, .max = SHOWN};
    uint64_t id = 0;
    for (unsigned k = 1; k <= REGISTRARS; k++) {
        char domain[32];
        (void)snprintf(domain, sizeof(domain), "r%u.dead", k);
        // Three are large, wherever they stand; a few of the others have two.
        unsigned count = k == 700 ? 9 : k == 20 ? 8 : k == 1290 ? 7 : k % 100 ? 1 : 2;
        for (; count; count--)
            want(b, ++id, domain);
    }
    engine_shard_open(b->engine, 1, 1, 1, b->now);
    unsigned calls = 1;
    while (!engine_registrars(b->engine, b->now, &ranking))
        calls++;
    assert_in_range(calls, 2, 10);
    assert_int_equal(ranking.count, SHOWN);
    assert_string_equal(items[0].name, "udp:r700.dead:0");
    assert_string_equal(items[1].name, "udp:r20.dead:0");
    assert_string_equal(items[2].name, "udp:r1290.dead:0");
    assert_int_equal(items[0].registrations, 9);
    assert_int_equal(ranking.rest.registrars, REGISTRARS - SHOWN);
    assert_int_equal(ranking.rest.registrations, id - 9 - 8 - 7);
    // Registrars that come and go between two steps do not disturb it.
    assert_false(engine_registrars(b->engine, b->now, &ranking));
    for (uint64_t gone = 1; gone <= id; gone++) {
        const struct desired d = {.op = DESIRED_MOVED, .id = gone, .revision = 2};
        engine_desired(b->engine, 1, &d, b->now);
    }
    want(b, id + 1, "last.dead");
    run(b, 62); // those whose request was under way are kept until their last word has arrived
    while (!engine_registrars(b->engine, b->now, &ranking))
        ;
    while (!engine_registrars(b->engine, b->now, &ranking))
        ;
    assert_int_equal(ranking.count, 1);
    assert_string_equal(items[0].name, "udp:last.dead:0");
    assert_int_equal(ranking.rest.registrars, 0);
    end(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_registrar_costs_next_to_nothing_and_delays_nobody),
        cmocka_unit_test(a_registrar_that_dies_costs_each_binding_its_end_and_comes_back_by_itself),
        cmocka_unit_test(the_largest_of_many_registrars_are_found_a_few_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
