// services/registrant/core/pacer and aor_rate: how often one address of record is spoken of to a registrar.
#include "tests/unit/pacer_fixture.h"

#include "common/base/rng.h"

#include <string.h>

static void limit_addresses(void *arg, struct str key, struct pacer_limits *limits)
{
    const uint32_t *rate = arg;
    (void)key;
    limits->aor_rate = *rate;
}

static void begin_addresses(struct bench *b, uint32_t *rate)
{
    begin_with(b, (struct pacer_params){.max_in_flight = 1000,
                                        .limits = {.in_flight = 1000},
                                        .arg = rate,
                                        .limits_of = limit_addresses});
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

// Of three for one address the first is under way, and the others wait for their second.
static struct pacer_ticket first_of_three(struct bench *b, uint32_t *rate, struct pacer_item items[3])
{
    struct pacer_ticket ticket;
    begin_addresses(b, rate);
    for (int i = 0; i < 3; i++)
        wait_new(b, &items[i]);
    pacer_sent(b->pacer, b->target, next(b), 1, &ticket, b->now);
    assert_null(next(b));
    return ticket;
}

static void what_waits_for_its_address_can_be_taken_back_and_changes_its_class(void **state)
{
    (void)state;
    static struct bench b;
    uint32_t rate = 1;
    struct pacer_item items[3] = {{.aor = 1}, {.aor = 1}, {.aor = 1}};
    struct pacer_ticket ticket = first_of_three(&b, &rate, items);
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
    struct pacer_ticket ticket = first_of_three(&b, &rate, items);
    rate = 0;
    pacer_limits_changed(b.pacer);
    pass(&b, SECOND + 20000);
    assert_non_null(next(&b));
    assert_non_null(next(&b));
    pacer_done(b.pacer, &ticket, PACER_ANSWERED, -1, b.now);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_any_second_no_more_are_sent_for_an_address_than_its_rate),
        cmocka_unit_test(other_addresses_do_not_wait_for_one_that_has_to),
        cmocka_unit_test(what_waits_for_its_address_can_be_taken_back_and_changes_its_class),
        cmocka_unit_test(other_limits_free_what_waits_by_the_old_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
