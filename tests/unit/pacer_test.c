// services/registrant/core/pacer and breaker: who may be sent when.
#include "services/registrant/core/pacer.h"

#include "common/base/rng.h"
#include "services/registrant/core/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

#define SECOND UINT64_C(1000000)
#define START  (1000 * SECOND)

struct bench {
    struct wheel wheel;
    struct pacer *pacer;
    struct pacer_target *target;
    uint64_t now;
};

static void begin(struct bench *b, uint32_t rate, uint32_t flights, uint32_t all)
{
    b->now = START;
    wheel_init(&b->wheel, b->now);
    const struct pacer_params p = {.wheel = &b->wheel,
                                   .max_in_flight = all,
                                   .limits = {.rate = rate, .in_flight = flights},
                                   .retry_after_cap_s = 86400};
    b->pacer = pacer_new(&p);
    b->target = pacer_target_get(b->pacer, STR_LIT("udp:a:0"));
}

static void end(struct bench *b)
{
    pacer_target_put(b->pacer, &b->target);
    pacer_free(b->pacer);
}

static void pass(struct bench *b, uint64_t us)
{
    struct wheel_node *node;
    b->now += us;
    while ((node = wheel_pop(&b->wheel, b->now)))
        pacer_wake(b->pacer, node, b->now);
}

static struct pacer_item *next(struct bench *b)
{
    return pacer_next(b->pacer, b->now);
}

static void wait_new(struct bench *b, struct pacer_item *item)
{
    pacer_wait(b->pacer, b->target, item, PACE_NEW, 0, b->now);
}

static struct pacer_ticket send(struct bench *b, uint64_t id)
{
    struct pacer_ticket ticket;
    assert_non_null(next(b));
    pacer_sent(b->pacer, b->target, &(struct pacer_item){0}, id, &ticket, b->now);
    return ticket;
}

static void finish(struct bench *b, struct pacer_ticket *t, enum pacer_result result)
{
    pacer_done(b->pacer, t, result, -1, b->now);
}

static void wait_staggered(struct bench *b, struct pacer_item *item)
{
    pacer_wait(b->pacer, b->target, item, PACE_STAGGERED, 0, b->now);
}

static void staggered_ones_wait_for_their_second_and_others_do_not(void **state)
{
    (void)state;
    static struct bench b;
    struct pacer_item staggered[3] = {0}, plain[3] = {0};
    begin(&b, 0, 100, 100);
    for (int i = 0; i < 3; i++)
        wait_staggered(&b, &staggered[i]);
    wait_new(&b, &plain[0]);
    assert_ptr_equal(next(&b), &staggered[0]); // in order of asking
    pacer_stagger(b.pacer, b.target, b.now);
    assert_ptr_equal(next(&b), &plain[0]);
    assert_null(next(&b));
    pass(&b, SECOND / 2);
    wait_new(&b, &plain[1]); // the target dozes: what is not staggered wakes it
    assert_ptr_equal(next(&b), &plain[1]);
    assert_null(next(&b));
    pass(&b, SECOND / 2 - 2000);
    assert_null(next(&b));
    pass(&b, 20000);
    assert_ptr_equal(next(&b), &staggered[1]);
    // It was not sent after all: the next need not wait for it.
    assert_ptr_equal(next(&b), &staggered[2]);
    assert_int_equal(pacer_waiting(b.pacer), 0);
    end(&b);
}

static void one_that_waits_for_room_is_not_held_up_by_a_dozing_registrar(void **state)
{
    (void)state;
    static struct bench b;
    struct pacer_item staggered = {0}, plain[2] = {0};
    begin(&b, 0, 1, 100);
    pacer_stagger(b.pacer, b.target, b.now);
    wait_staggered(&b, &staggered);
    assert_null(next(&b));
    wait_new(&b, &plain[0]);
    struct pacer_ticket ticket = send(&b, 1);
    wait_new(&b, &plain[1]);
    assert_null(next(&b)); // one in flight at most
    finish(&b, &ticket, PACER_ANSWERED);
    assert_ptr_equal(next(&b), &plain[1]);
    pacer_cancel(b.pacer, b.target, &staggered);
    assert_false(pacer_waits(&staggered));
    end(&b);
}

static void a_share_of_a_quarter_staggers_by_four_seconds(void **state)
{
    (void)state;
    static struct bench b;
    struct pacer_item items[2] = {0};
    begin(&b, 0, 100, 100);
    pacer_set_share(b.pacer, 0.25);
    wait_staggered(&b, &items[0]);
    wait_staggered(&b, &items[1]);
    assert_true(pacer_waits_as(b.target, &items[1], PACE_STAGGERED));
    assert_false(pacer_waits_as(b.target, &items[1], PACE_NEW));
    assert_ptr_equal(next(&b), &items[0]);
    pacer_stagger(b.pacer, b.target, b.now);
    pass(&b, 4 * SECOND - 2000);
    assert_null(next(&b));
    pass(&b, 20000);
    assert_ptr_equal(next(&b), &items[1]);
    end(&b);
}

static void a_staggered_one_changes_its_class(void **state)
{
    (void)state;
    static struct bench b;
    struct pacer_item items[3] = {0};
    begin(&b, 0, 100, 100);
    pacer_stagger(b.pacer, b.target, b.now);
    for (int i = 0; i < 3; i++)
        wait_staggered(&b, &items[i]);
    assert_null(next(&b));
    pacer_wait(b.pacer, b.target, &items[1], PACE_LIVE, 5, b.now); // as its binding was found alive
    assert_int_equal(pacer_waiting(b.pacer), 3);
    assert_ptr_equal(next(&b), &items[1]);
    assert_null(next(&b));
    pacer_cancel(b.pacer, b.target, &items[0]);
    pass(&b, SECOND + 20000);
    assert_ptr_equal(next(&b), &items[2]);
    assert_null(next(&b));
    end(&b);
}

static void classes_go_in_their_order(void **state)
{
    (void)state;
    static struct bench b;
    struct pacer_item items[6] = {0};
    begin(&b, 0, 100, 100);
    pacer_wait(b.pacer, b.target, &items[0], PACE_NEW, 0, b.now);
    pacer_wait(b.pacer, b.target, &items[1], PACE_LAPSED, 0, b.now);
    pacer_wait(b.pacer, b.target, &items[2], PACE_LIVE, 500, b.now);
    pacer_wait(b.pacer, b.target, &items[3], PACE_LIVE, 100, b.now);
    pacer_wait(b.pacer, b.target, &items[4], PACE_NEW, 0, b.now);
    pacer_wait(b.pacer, b.target, &items[5], PACE_LAPSED, 0, b.now);
    static const int order[] = {3, 2, 1, 5, 0, 4};
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        assert_ptr_equal(next(&b), &items[order[i]]);
    assert_null(next(&b));
    end(&b);
}

static void what_is_cancelled_does_not_go(void **state)
{
    (void)state;
    static struct bench b;
    enum { COUNT = 200 };
    struct pacer_item items[COUNT] = {0};
    begin(&b, 0, 1000, 1000);
    for (size_t i = 0; i < COUNT; i++)
        pacer_wait(b.pacer, b.target, &items[i], PACE_LIVE, (i * 37) % COUNT, b.now);
    for (size_t i = 0; i < COUNT; i += 2)
        pacer_cancel(b.pacer, b.target, &items[i]);
    assert_int_equal(pacer_waiting(b.pacer), COUNT / 2);
    uint64_t before = 0;
    for (size_t i = 0; i < COUNT / 2; i++) {
        struct pacer_item *item = next(&b);
        assert_non_null(item);
        size_t index = (size_t)(item - items);
        assert_int_equal(index % 2, 1);
        uint64_t order = (index * 37) % COUNT;
        assert_true(order >= before);
        before = order;
    }
    assert_null(next(&b));
    end(&b);
}

static void the_rate_and_its_share_are_kept(void **state)
{
    (void)state;
    static struct bench b;
    enum { COUNT = 400 };
    struct pacer_item items[COUNT] = {0};
    struct pacer_ticket ticket;
    begin(&b, 100, 1000, 1000);
    pacer_set_share(b.pacer, 0.25);
    for (size_t i = 0; i < COUNT; i++)
        wait_new(&b, &items[i]);
    size_t sent = 0;
    for (int ms = 0; ms < 4000; ms += 10) {
        while (next(&b)) {
            pacer_sent(b.pacer, b.target, &items[0], sent++, &ticket, b.now);
            pacer_done(b.pacer, &ticket, PACER_ANSWERED, -1, b.now);
        }
        pass(&b, 10000);
    }
    assert_in_range(sent, 97, 104);
    for (size_t i = 0; i < COUNT; i++)
        pacer_cancel(b.pacer, b.target, &items[i]);
    end(&b);
}

static void live_refreshes_raise_the_rate(void **state)
{
    (void)state;
    static struct bench b;
    begin(&b, 1, 1000, 1000);
    for (int i = 0; i < 300; i++)
        pacer_need_add(b.target, 30000); // 10 a second
    assert_int_equal(pacer_raised(b.pacer), 1);
    enum { COUNT = 100 };
    struct pacer_item items[COUNT] = {0};
    struct pacer_ticket ticket;
    for (size_t i = 0; i < COUNT; i++)
        pacer_wait(b.pacer, b.target, &items[i], PACE_LIVE, i, b.now);
    size_t sent = 0;
    for (int ms = 0; ms < 5000; ms += 10) {
        while (next(&b)) {
            pacer_sent(b.pacer, b.target, &items[0], sent++, &ticket, b.now);
            pacer_done(b.pacer, &ticket, PACER_ANSWERED, -1, b.now);
        }
        pass(&b, 10000);
    }
    assert_in_range(sent, 58, 63); // 1.2 times their need
    for (int i = 0; i < 300; i++)
        pacer_need_remove(b.target, 30000);
    assert_int_equal(pacer_raised(b.pacer), 0);
    for (size_t i = 0; i < COUNT; i++)
        pacer_cancel(b.pacer, b.target, &items[i]);
    end(&b);
}

static void caps_hold_for_the_target_and_for_all(void **state)
{
    (void)state;
    static struct bench b;
    struct pacer_item items[6] = {0};
    begin(&b, 0, 2, 3);
    struct pacer_target *other = pacer_target_get(b.pacer, STR_LIT("udp:b:0"));
    for (int i = 0; i < 3; i++)
        wait_new(&b, &items[i]);
    for (int i = 3; i < 6; i++)
        pacer_wait(b.pacer, other, &items[i], PACE_NEW, 0, b.now);
    struct pacer_ticket tickets[4];
    size_t of_other = 0;
    for (int i = 0; i < 3; i++) {
        struct pacer_item *item = next(&b);
        assert_non_null(item);
        bool others = item >= &items[3];
        of_other += others;
        pacer_sent(b.pacer, others ? other : b.target, item, (uint64_t)i, &tickets[i], b.now);
    }
    assert_in_range(of_other, 1, 2); // they take turns
    assert_null(next(&b));
    pacer_done(b.pacer, &tickets[0], PACER_ANSWERED, -1, b.now);
    assert_non_null(next(&b));
    for (int i = 0; i < 6; i++) {
        pacer_cancel(b.pacer, b.target, &items[i]);
        pacer_cancel(b.pacer, other, &items[i]);
    }
    for (int i = 1; i < 3; i++)
        pacer_done(b.pacer, &tickets[i], PACER_ANSWERED, -1, b.now);
    pacer_target_put(b.pacer, &other);
    end(&b);
}

static void a_suspect_gets_one_new_request_at_a_time(void **state)
{
    (void)state;
    static struct bench b;
    struct pacer_item items[6] = {0};
    begin(&b, 0, 100, 100);
    for (int i = 0; i < 6; i++)
        wait_new(&b, &items[i]);
    struct pacer_ticket one = send(&b, 1), two = send(&b, 2);
    pacer_unanswered(b.pacer, &one);
    struct pacer_ticket probe = send(&b, 3);
    assert_null(next(&b));
    finish(&b, &one, PACER_SILENT); // silence ends no suspicion
    assert_null(next(&b));
    pacer_heard(b.pacer, &probe, b.now); // a challenge does
    struct pacer_ticket more = send(&b, 4);
    finish(&b, &probe, PACER_ANSWERED);
    finish(&b, &two, PACER_ANSWERED);
    finish(&b, &more, PACER_ANSWERED);
    struct pacer_ticket last = send(&b, 5);
    finish(&b, &last, PACER_ANSWERED);
    last = send(&b, 6);
    finish(&b, &last, PACER_ANSWERED);
    assert_int_equal(pacer_in_flight(b.pacer), 0);
    end(&b);
}

static void silence_opens_the_breaker_and_a_probe_closes_it(void **state)
{
    (void)state;
    struct breaker b = {0};
    for (int i = 0; i < 4; i++)
        breaker_event(&b, BREAKER_SILENCE, 1, 0, 8, START);
    assert_true(breaker_allows(&b, START) == UINT32_MAX);
    breaker_event(&b, BREAKER_SILENCE, 1, 0, 8, START);
    assert_int_equal(breaker_allows(&b, START), 0);
    assert_int_equal(breaker_allows(&b, START + 3 * SECOND), 0);
    uint64_t later = START + 5 * SECOND;
    assert_int_equal(breaker_allows(&b, later), 1);
    breaker_event(&b, BREAKER_ANSWER, 1, 0, 8, later);
    assert_int_equal(breaker_allows(&b, later), 2);
    for (int i = 0; i < 7; i++)
        breaker_event(&b, BREAKER_ANSWER, 1, 0, 8, later);
    assert_true(breaker_allows(&b, later) == UINT32_MAX);
}

static void an_answer_between_silences_keeps_the_breaker_closed(void **state)
{
    (void)state;
    struct breaker b = {0};
    for (int i = 0; i < 100; i++)
        breaker_event(&b, i % 5 == 4 ? BREAKER_ANSWER : BREAKER_SILENCE, 1, 0, 8, START);
    assert_true(breaker_allows(&b, START) == UINT32_MAX);
}

static void half_of_the_last_twenty_503_of_three_registrations_open_it(void **state)
{
    (void)state;
    struct breaker two = {0}, three = {0};
    for (uint64_t i = 0; i < 20; i++)
        breaker_event(&two, BREAKER_UNAVAILABLE, i % 2, 0, 8, START);
    assert_true(breaker_allows(&two, START) == UINT32_MAX); // of two registrations only
    for (uint64_t i = 0; i < 18; i++)
        breaker_event(&three, i % 2 ? BREAKER_UNAVAILABLE : BREAKER_ANSWER, i % 3 + 1, 0, 8, START);
    assert_true(breaker_allows(&three, START) == UINT32_MAX); // nine of eighteen: not yet ten
    breaker_event(&three, BREAKER_UNAVAILABLE, 1, 0, 8, START);
    assert_int_equal(breaker_allows(&three, START), 0);
}

static void retry_after_of_a_503_opens_it_for_so_long(void **state)
{
    (void)state;
    struct breaker b = {0};
    breaker_event(&b, BREAKER_UNAVAILABLE, 1, 120 * SECOND, 8, START);
    assert_int_equal(breaker_allows(&b, START + 119 * SECOND), 0);
    assert_int_equal(breaker_allows(&b, START + 120 * SECOND), 1);
}

static void refused_nonces_teach_their_age_for_a_day(void **state)
{
    (void)state;
    static struct bench b;
    begin(&b, 0, 1, 1);
    assert_true(learned_nonce_is_worth(pacer_learned(b.target), 90000, b.now));
    learned_nonce_refused(pacer_learned(b.target), 90000, b.now);
    assert_true(learned_nonce_is_worth(pacer_learned(b.target), 90000, b.now));
    learned_nonce_refused(pacer_learned(b.target), 60000, b.now);
    assert_true(learned_nonce_is_worth(pacer_learned(b.target), 59999, b.now));
    for (int i = 1; i < 8; i++)
        assert_false(learned_nonce_is_worth(pacer_learned(b.target), 60000, b.now));
    assert_true(learned_nonce_is_worth(pacer_learned(b.target), 60000, b.now)); // now and then it is tried
    assert_true(learned_nonce_is_worth(pacer_learned(b.target), 60000, b.now + 86400 * SECOND));
    learned_nonce_refused(pacer_learned(b.target), 60000, b.now);
    learned_nonce_refused(pacer_learned(b.target), 60000, b.now);
    assert_false(learned_nonce_is_worth(pacer_learned(b.target), 60000, b.now));
    learned_nonce_accepted(pacer_learned(b.target), 60000);
    assert_true(learned_nonce_is_worth(pacer_learned(b.target), 60000, b.now));
    end(&b);
}

static void a_hard_rate_is_not_raised_but_overcommitment_is_counted(void **state)
{
    (void)state;
    static struct bench b;
    begin(&b, 1, 1000, 1000);
    pacer_target_put(b.pacer, &b.target);
    pacer_free(b.pacer);
    const struct pacer_params p = {
        .wheel = &b.wheel, .max_in_flight = 1000, .limits = {.rate = 1, .in_flight = 1000, .hard = true}};
    b.pacer = pacer_new(&p);
    b.target = pacer_target_get(b.pacer, STR_LIT("udp:a:0"));
    for (int i = 0; i < 300; i++)
        pacer_need_add(b.target, 30000); // 10 a second
    assert_int_equal(pacer_raised(b.pacer), 0);
    assert_int_equal(pacer_overcommitted(b.pacer), 1);
    enum { COUNT = 20 };
    struct pacer_item items[COUNT] = {0};
    struct pacer_ticket ticket;
    for (size_t i = 0; i < COUNT; i++)
        pacer_wait(b.pacer, b.target, &items[i], PACE_LIVE, COUNT - i, b.now);
    size_t sent = 0;
    for (int ms = 0; ms < 5000; ms += 10) {
        for (struct pacer_item *item = next(&b); item; item = next(&b)) {
            assert_ptr_equal(item, &items[COUNT - 1 - sent]); // the one that ends first
            pacer_sent(b.pacer, b.target, item, sent++, &ticket, b.now);
            pacer_done(b.pacer, &ticket, PACER_ANSWERED, -1, b.now);
        }
        pass(&b, 10000);
    }
    assert_in_range(sent, 5, 7);
    for (int i = 0; i < 300; i++)
        pacer_need_remove(b.target, 30000);
    assert_int_equal(pacer_overcommitted(b.pacer), 0);
    for (size_t i = 0; i < COUNT; i++)
        pacer_cancel(b.pacer, b.target, &items[i]);
    end(&b);
}

// ---- one address of record

static void limit_addresses(void *arg, struct str key, struct pacer_limits *limits)
{
    const uint32_t *rate = arg;
    (void)key;
    limits->aor_rate = *rate;
}

static void begin_addresses(struct bench *b, uint32_t *rate)
{
    b->now = START;
    wheel_init(&b->wheel, b->now);
    const struct pacer_params p = {.wheel = &b->wheel,
                                   .max_in_flight = 1000,
                                   .limits = {.in_flight = 1000},
                                   .arg = rate,
                                   .limits_of = limit_addresses};
    b->pacer = pacer_new(&p);
    b->target = pacer_target_get(b->pacer, STR_LIT("udp:a:0"));
}

// Ten minutes of one address that always has work, each attempt challenged or not: in no second more than the
// rate, and as many as it allows.
static void in_any_second_no_more_are_sent_for_an_address_than_its_rate(void **state)
{
    (void)state;
    static struct bench b;
    enum { COUNT = 2000, MAX_SENT = 8000 };
    static struct pacer_item items[COUNT];
    static uint64_t sent_us[MAX_SENT];
    uint32_t rate = 5;
    size_t sent = 0, begun = 0;
    struct rng rng = {7};
    memset(items, 0, sizeof(items));
    begin_addresses(&b, &rate);
    for (size_t i = 0; i < COUNT; i++) {
        items[i].aor = 77;
        wait_new(&b, &items[i]);
    }
    for (int step = 0; step < 60000 && pacer_waiting(b.pacer); step++) {
        struct pacer_item *item = next(&b);
        if (!item) {
            pass(&b, 1000 + rng_below(&rng, 20000));
            continue;
        }
        assert_ptr_equal(item, &items[begun]); // in the order of asking
        struct pacer_ticket ticket;
        pacer_sent(b.pacer, b.target, item, begun++, &ticket, b.now);
        sent_us[sent++] = b.now;
        pass(&b, rng_below(&rng, 400000));
        if (rng_below(&rng, 2)) {
            pacer_sent_again(b.pacer, &ticket, b.now);
            sent_us[sent++] = b.now;
        }
        pacer_done(b.pacer, &ticket, PACER_ANSWERED, -1, b.now);
        assert_true(sent + 2 < MAX_SENT);
    }
    assert_int_equal(begun, COUNT);
    for (size_t i = rate; i < sent; i++)
        assert_true(sent_us[i] - sent_us[i - rate] >= SECOND);
    assert_true(sent_us[sent - 1] - START < (uint64_t)sent * SECOND / 3);
    // A second later nothing is remembered.
    size_t bytes = pacer_bytes(b.pacer);
    pass(&b, SECOND + 20000);
    assert_true(pacer_bytes(b.pacer) < bytes);
    end(&b);
}

static void other_addresses_do_not_wait_for_one_that_has_to(void **state)
{
    (void)state;
    static struct bench b;
    uint32_t rate = 1;
    struct pacer_item items[4] = {{.aor = 1}, {.aor = 1}, {.aor = 2}, {.aor = 0}};
    struct pacer_ticket tickets[4];
    begin_addresses(&b, &rate);
    for (int i = 0; i < 4; i++)
        wait_new(&b, &items[i]);
    static const int order[] = {0, 2, 3};
    for (int i = 0; i < 3; i++) {
        struct pacer_item *item = next(&b);
        assert_ptr_equal(item, &items[order[i]]);
        pacer_sent(b.pacer, b.target, item, 1, &tickets[i], b.now);
    }
    assert_null(next(&b));
    assert_int_equal(pacer_waiting(b.pacer), 1);
    assert_true(pacer_waits_as(b.target, &items[1], PACE_NEW));
    for (int i = 0; i < 3; i++)
        pacer_done(b.pacer, &tickets[i], PACER_ANSWERED, -1, b.now);
    pass(&b, SECOND - 10000);
    assert_null(next(&b));
    pass(&b, 20000);
    assert_ptr_equal(next(&b), &items[1]);
    end(&b);
}

static void what_waits_for_its_address_can_be_taken_back_and_changes_its_class(void **state)
{
    (void)state;
    static struct bench b;
    uint32_t rate = 1;
    struct pacer_item items[3] = {{.aor = 1}, {.aor = 1}, {.aor = 1}};
    struct pacer_ticket ticket;
    begin_addresses(&b, &rate);
    for (int i = 0; i < 3; i++)
        wait_new(&b, &items[i]);
    pacer_sent(b.pacer, b.target, next(&b), 1, &ticket, b.now);
    assert_null(next(&b));
    pacer_cancel(b.pacer, b.target, &items[1]);
    assert_false(pacer_waits(&items[1]));
    wait_new(&b, &items[1]);
    assert_null(next(&b));
    pacer_wait(b.pacer, b.target, &items[1], PACE_LIVE, 9, b.now);
    assert_null(next(&b));
    assert_true(pacer_waits_as(b.target, &items[1], PACE_LIVE));
    pacer_done(b.pacer, &ticket, PACER_ANSWERED, -1, b.now);
    pass(&b, SECOND + 20000);
    assert_ptr_equal(next(&b), &items[1]);
    // It was not sent: the next need not wait for it.
    assert_ptr_equal(next(&b), &items[2]);
    assert_int_equal(pacer_waiting(b.pacer), 0);
    end(&b);
}

static void other_limits_free_what_waits_by_the_old_ones(void **state)
{
    (void)state;
    static struct bench b;
    uint32_t rate = 1;
    struct pacer_item items[3] = {{.aor = 1}, {.aor = 1}, {.aor = 1}};
    struct pacer_ticket ticket;
    begin_addresses(&b, &rate);
    for (int i = 0; i < 3; i++)
        wait_new(&b, &items[i]);
    pacer_sent(b.pacer, b.target, next(&b), 1, &ticket, b.now);
    assert_null(next(&b));
    rate = 0;
    pacer_limits_changed(b.pacer);
    pass(&b, SECOND + 20000);
    assert_non_null(next(&b));
    assert_non_null(next(&b));
    pacer_done(b.pacer, &ticket, PACER_ANSWERED, -1, b.now);
    end(&b);
}

// ---- what a registrar teaches

static void the_usual_grant_is_what_most_had(void **state)
{
    (void)state;
    struct learned l = {0};
    learned_grant(&l, 0);
    assert_int_equal(l.granted_s, 0);
    for (int i = 0; i < 90; i++)
        learned_grant(&l, i % 3 ? 3600 : 60 + (uint32_t)i);
    assert_int_equal(l.granted_s, 3600);
    assert_int_equal(l.granted_least_s, 60);
    for (int i = 0; i < 2000; i++) // it changes its mind
        learned_grant(&l, 300);
    assert_int_equal(l.granted_s, 300);
}

static void the_least_expiry_is_kept_for_a_day_and_an_address_that_is_too_long_is_none(void **state)
{
    (void)state;
    struct learned l = {0};
    char text[80];
    learned_min_expires(&l, 1800, START);
    assert_int_equal(learned_least_s(&l, START + 86399 * SECOND), 1800);
    assert_int_equal(learned_least_s(&l, START + 86400 * SECOND), 0);
    assert_true(learned_received(&l, STR_LIT("203.0.113.7:5060")));
    assert_false(learned_received(&l, STR_LIT("203.0.113.7:5060")));
    memset(text, 'x', sizeof(text));
    assert_false(learned_received(&l, (struct str){.p = text, .n = sizeof(text)}));
    assert_string_equal(l.received, "203.0.113.7:5060");
    assert_true(learned_received(&l, STR_NONE));
    assert_string_equal(l.received, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(staggered_ones_wait_for_their_second_and_others_do_not),
        cmocka_unit_test(one_that_waits_for_room_is_not_held_up_by_a_dozing_registrar),
        cmocka_unit_test(a_share_of_a_quarter_staggers_by_four_seconds),
        cmocka_unit_test(a_staggered_one_changes_its_class),
        cmocka_unit_test(classes_go_in_their_order),
        cmocka_unit_test(what_is_cancelled_does_not_go),
        cmocka_unit_test(the_rate_and_its_share_are_kept),
        cmocka_unit_test(live_refreshes_raise_the_rate),
        cmocka_unit_test(caps_hold_for_the_target_and_for_all),
        cmocka_unit_test(a_suspect_gets_one_new_request_at_a_time),
        cmocka_unit_test(silence_opens_the_breaker_and_a_probe_closes_it),
        cmocka_unit_test(an_answer_between_silences_keeps_the_breaker_closed),
        cmocka_unit_test(half_of_the_last_twenty_503_of_three_registrations_open_it),
        cmocka_unit_test(retry_after_of_a_503_opens_it_for_so_long),
        cmocka_unit_test(refused_nonces_teach_their_age_for_a_day),
        cmocka_unit_test(a_hard_rate_is_not_raised_but_overcommitment_is_counted),
        cmocka_unit_test(in_any_second_no_more_are_sent_for_an_address_than_its_rate),
        cmocka_unit_test(other_addresses_do_not_wait_for_one_that_has_to),
        cmocka_unit_test(what_waits_for_its_address_can_be_taken_back_and_changes_its_class),
        cmocka_unit_test(other_limits_free_what_waits_by_the_old_ones),
        cmocka_unit_test(the_usual_grant_is_what_most_had),
        cmocka_unit_test(the_least_expiry_is_kept_for_a_day_and_an_address_that_is_too_long_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
