// services/registrant/core/pacer: who may be sent when.
#include "tests/unit/pacer_fixture.h"

static void begin(struct bench *b, uint32_t rate, uint32_t flights, uint32_t all)
{
    begin_with(b, (struct pacer_params){.max_in_flight = all,
                                        .limits = {.rate = rate, .in_flight = flights},
                                        .retry_after_cap_s = 86400});
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
    struct registrar_view view;
    pacer_target_view(b.target, b.now, &view);
    assert_int_equal(view.in_flight, 0);
    end(&b);
}

static void room_that_a_suspect_leaves_unused_is_the_next_ones(void **state)
{
    (void)state;
    static struct bench b;
    const struct str keys[] = {STR_LIT("udp:s:0"), STR_LIT("udp:t:0"), STR_LIT("udp:u:0")};
    struct pacer_target *targets[3];
    struct pacer_item items[3] = {0};
    struct pacer_ticket tickets[3];
    begin(&b, 0, 100, 4); // one request to suspects at a time
    for (size_t i = 0; i < 3; i++) {
        targets[i] = pacer_target_get(b.pacer, keys[i]);
        pacer_sent(b.pacer, targets[i], &items[i], i, &tickets[i], b.now);
        pacer_unanswered(b.pacer, &tickets[i]);
        if (i < 2)
            finish(&b, &tickets[i], PACER_SILENT);
    }
    for (size_t i = 0; i < 2; i++)
        pacer_wait(b.pacer, targets[i], &items[i], PACE_NEW, 0, b.now);
    assert_null(next(&b)); // the third has the room
    finish(&b, &tickets[2], PACER_SILENT);
    pacer_cancel(b.pacer, targets[0], &items[0]); // whose turn it would be
    assert_ptr_equal(next(&b), &items[1]);
    for (size_t i = 0; i < 3; i++)
        pacer_target_put(b.pacer, &targets[i]);
    end(&b);
}

static void a_hard_rate_is_not_raised_but_overcommitment_is_counted(void **state)
{
    (void)state;
    static struct bench b;
    begin_with(&b, (struct pacer_params){.max_in_flight = 1000,
                                         .limits = {.rate = 1, .in_flight = 1000, .hard = true}});
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
        cmocka_unit_test(room_that_a_suspect_leaves_unused_is_the_next_ones),
        cmocka_unit_test(a_hard_rate_is_not_raised_but_overcommitment_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
