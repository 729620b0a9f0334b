// Client transactions in simulated time: what is repeated when (RFC 3261 17.1.2), and who finds them.
#include "services/registrant/sip/transaction.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
// cmocka needs the headers above it
#include <cmocka.h>

#define SECOND   1000000u
#define START_US (UINT64_C(3600) * SECOND)
#define TICK_US  (1u << WHEEL_TICK_BITS)

// The resolver of a transaction that was never resolved.
void resolve_cancel(struct resolve_request *request)
{
    assert_null(request);
}

static struct transactions all;

static int set_up(void **state)
{
    transactions_init(&all, START_US);
    return 0;
}

static int take_down(void **state)
{
    transactions_done(&all);
    return 0;
}

static struct transaction *sent_to(const char *host, enum registration_transport kind, uint32_t flow)
{
    struct transaction *t = transaction_new(&all, START_US + 32 * SECOND);
    assert_true(address_parse(str_of(host), 5060, &t->to.address));
    t->to.kind = kind;
    t->flow = flow;
    transaction_sent(&all, t, START_US);
    return t;
}

// When the next thing is due, in milliseconds from the start, and what it is.
static enum transaction_due next_due(struct transaction *expected, uint64_t *ret_ms)
{
    struct transaction *t = NULL;
    for (uint64_t at_us; (at_us = transactions_next_us(&all)) != UINT64_MAX;) {
        enum transaction_due due = transactions_due(&all, at_us, &t);
        if (due == TRANSACTION_NOTHING_DUE)
            continue;
        assert_ptr_equal(t, expected);
        *ret_ms = (at_us - START_US) / 1000;
        return due;
    }
    return TRANSACTION_NOTHING_DUE;
}

static void a_datagram_is_repeated_ever_more_slowly_until_timer_f(void **state)
{
    static const uint64_t expected_ms[] = {500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500};
    struct transaction *t = sent_to("192.0.2.1", TRANSPORT_UDP, 0);
    uint64_t at_ms = 0;
    for (size_t i = 0; i < ARRAY_LEN(expected_ms); i++) {
        assert_int_equal(next_due(t, &at_ms), TRANSACTION_REPEAT);
        assert_in_range(at_ms, expected_ms[i], expected_ms[i] + (i + 1) * TICK_US / 1000 + 1);
    }
    assert_int_equal(next_due(t, &at_ms), TRANSACTION_GIVE_UP);
    assert_in_range(at_ms, 32000, 32000 + TICK_US / 1000);
}

static void a_provisional_answer_slows_it_to_t2(void **state)
{
    struct transaction *t = sent_to("192.0.2.1", TRANSPORT_UDP, 0);
    uint64_t at_ms = 0, before_ms = 0;
    transaction_proceeds(t);
    assert_int_equal(next_due(t, &before_ms), TRANSACTION_REPEAT); // what was set already
    assert_in_range(before_ms, 500, 510);
    for (int i = 0; i < 3; i++, before_ms = at_ms) {
        assert_int_equal(next_due(t, &at_ms), TRANSACTION_REPEAT);
        assert_in_range(at_ms - before_ms, 4000, 4010);
    }
}

static void a_stream_repeats_nothing(void **state)
{
    struct transaction *t = sent_to("192.0.2.1", TRANSPORT_TCP, 7);
    uint64_t at_ms = 0;
    assert_int_equal(next_due(t, &at_ms), TRANSACTION_GIVE_UP);
    assert_in_range(at_ms, 32000, 32010);
}

static struct str branch_of(const struct transaction *t, char bytes[BRANCH_BYTES])
{
    transaction_branch(t, bytes);
    return str_of_bytes(bytes, BRANCH_BYTES);
}

static void an_answer_finds_its_transaction_by_its_branch_alone(void **state)
{
    struct transaction *t[100];
    char branch[BRANCH_BYTES];
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        t[i] = sent_to("192.0.2.1", TRANSPORT_UDP, 0);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        assert_ptr_equal(transaction_find(&all, branch_of(t[i], branch)), t[i]);
    assert_int_equal(all.under_way, 100);
}

static void a_branch_that_is_off_by_any_character_finds_nothing(void **state)
{
    struct transaction *t = sent_to("192.0.2.1", TRANSPORT_UDP, 0);
    char branch[BRANCH_BYTES + 1];
    for (size_t i = 0; i < BRANCH_BYTES; i++)
        for (int c = 1; c < 256; c++) {
            (void)branch_of(t, branch);
            if ((char)c == branch[i])
                continue;
            branch[i] = (char)c;
            assert_null(transaction_find(&all, str_of_bytes(branch, BRANCH_BYTES)));
        }
    (void)branch_of(t, branch);
    branch[BRANCH_BYTES] = '0';
    assert_null(transaction_find(&all, str_of_bytes(branch, BRANCH_BYTES + 1)));
    assert_null(transaction_find(&all, str_of_bytes(branch, BRANCH_BYTES - 1)));
    assert_null(transaction_find(&all, STR_NONE));
}

static void a_finished_one_is_found_no_more_and_its_slot_gets_another_branch(void **state)
{
    char before[BRANCH_BYTES], after[BRANCH_BYTES];
    struct transaction *t = sent_to("192.0.2.1", TRANSPORT_UDP, 0);
    struct str old = branch_of(t, before);
    transaction_free(&all, t);
    assert_null(transaction_find(&all, old));
    assert_true(transactions_next_us(&all) == UINT64_MAX);
    assert_ptr_equal(sent_to("192.0.2.1", TRANSPORT_UDP, 0), t);
    assert_null(transaction_find(&all, old));
    assert_memory_not_equal(branch_of(t, after).p, before, BRANCH_BYTES);
}

static size_t count(struct transaction_list *list)
{
    size_t n = 0;
    struct transaction *t;
    LIST_FOREACH(t, list, link)
        n++;
    return n;
}

static void only_who_waits_for_that_address_or_flow_is_told_of_it(void **state)
{
    struct transaction_list told;
    struct address a, other_port;
    struct transaction *first = sent_to("192.0.2.1", TRANSPORT_UDP, 0);
    (void)sent_to("192.0.2.2", TRANSPORT_UDP, 0);
    (void)sent_to("192.0.2.1", TRANSPORT_TCP, 3);
    (void)sent_to("192.0.2.1", TRANSPORT_TCP, 4);
    struct transaction *v6 = sent_to("2001:db8::1", TRANSPORT_UDP, 0);
    assert_true(address_parse(str_of("192.0.2.1"), 5060, &a));
    assert_true(address_parse(str_of("192.0.2.1"), 5061, &other_port));
    transactions_waiting_for(&all, &other_port, 0, &told);
    assert_int_equal(count(&told), 0);
    transactions_waiting_for(&all, &a, 0, &told);
    assert_int_equal(count(&told), 1);
    assert_ptr_equal(LIST_FIRST(&told), first);
    transaction_free(&all, first);
    assert_int_equal(count(&told), 0);
    transactions_waiting_for(&all, NULL, 4, &told);
    assert_int_equal(count(&told), 1);
    transaction_free(&all, LIST_FIRST(&told));
    transactions_waiting_for(&all, &v6->to.address, 0, &told);
    assert_ptr_equal(LIST_FIRST(&told), v6);
    transaction_free(&all, v6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_datagram_is_repeated_ever_more_slowly_until_timer_f, set_up,
                                        take_down),
        cmocka_unit_test_setup_teardown(a_provisional_answer_slows_it_to_t2, set_up, take_down),
        cmocka_unit_test_setup_teardown(a_stream_repeats_nothing, set_up, take_down),
        cmocka_unit_test_setup_teardown(an_answer_finds_its_transaction_by_its_branch_alone, set_up,
                                        take_down),
        cmocka_unit_test_setup_teardown(a_branch_that_is_off_by_any_character_finds_nothing, set_up,
                                        take_down),
        cmocka_unit_test_setup_teardown(a_finished_one_is_found_no_more_and_its_slot_gets_another_branch,
                                        set_up, take_down),
        cmocka_unit_test_setup_teardown(only_who_waits_for_that_address_or_flow_is_told_of_it, set_up,
                                        take_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
