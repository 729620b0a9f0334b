// The SIP thread around its agent: lease, queues, ports, its end.
#include "tests/unit/sip_fixture.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "services/registrant/sip/outbox.h"
#include "tests/unit/name_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
// cmocka needs the headers above it
#include <cmocka.h>

// ---- outbox

static struct sip_notice *report(void)
{
    struct sip_notice *n = mem_alloc(sizeof(*n));
    n->kind = SIP_REPORT;
    return n;
}

static void a_full_outbox_holds_credits_back_and_drops_nothing(void **state)
{
    struct outbox *o = outbox_new(4);
    assert_int_equal(outbox_credit(o, 10), 4);
    assert_true(outbox_is_blocked(o)); // six are held
    assert_int_equal(outbox_credit(o, 0), 0);
    for (int i = 0; i < 4; i++)
        outbox_put(o, report());
    struct sip_notice *closed = report();
    closed->kind = SIP_CLOSED; // needs no credit: waits
    outbox_put(o, closed);
    assert_int_equal(outbox_credit(o, 0), 0);

    struct sip_notice *got[8];
    assert_int_equal(outbox_take(o, got, 3), 3);
    for (int i = 0; i < 3; i++)
        sip_notice_free(got[i]);
    assert_true(outbox_is_blocked(o));
    assert_int_equal(outbox_credit(o, 0), 2); // four places, two taken
    assert_int_equal(outbox_take(o, got, 8), 2);
    assert_int_equal(got[1]->kind, SIP_CLOSED);
    sip_notice_free(got[0]);
    sip_notice_free(got[1]);
    assert_int_equal(outbox_credit(o, 0), 2);
    assert_int_equal(outbox_credit(o, 0), 0);
    outbox_free(o);
}

// ---- lease, queues, end

static size_t leases_awaited;

static bool was_told_leases(const struct fake_seen *s)
{
    return s->lease_count >= leases_awaited;
}

// The nth lease that the engine was told, from 1.
static enum engine_lease lease_told(size_t nth)
{
    leases_awaited = nth;
    struct fake_seen seen = fixture_until(was_told_leases);
    return seen.leases[nth - 1];
}

static void post_lease_for(struct fixture *f, enum engine_lease lease, uint64_t lasts_us)
{
    struct sip_command *c = sip_command_new(SIP_LEASE, 0);
    c->lease = lease;
    c->proved_us = clock_monotonic_us();
    c->until_us = lasts_us ? c->proved_us + lasts_us : 0;
    fixture_post(f, c);
}

static void post_lease(struct fixture *f, enum engine_lease lease)
{
    post_lease_for(f, lease, 0);
}

static void standing_still_ends_the_lease_until_a_proof_asked_for_later(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){.stall_ms = 100});
    struct timespec quiet = {.tv_nsec = 250000000}; // idle for longer than that is no stall
    (void)nanosleep(&quiet, NULL);
    assert_int_equal(lease_told(1), LEASE_EXPIRED); // nobody has vouched for it yet
    fake_stand_still_once(300);
    fixture_wish(f, (struct wish){0});
    post_lease(f, LEASE_FRESH); // asked for while it stands still: proves nothing
    assert_int_equal(lease_told(2), LEASE_STALLED);
    post_lease(f, LEASE_EXPIRED); // no proof either
    post_lease(f, LEASE_FRESH);
    assert_int_equal(lease_told(3), LEASE_FRESH);
    post_lease(f, LEASE_EXPIRED);
    assert_int_equal(lease_told(4), LEASE_EXPIRED);
    fixture_finish(f);
}

static bool was_parked(const struct fake_seen *s)
{
    return s->parked_count > 0;
}

static void assert_nothing_is_repeated(struct fixture *f) // which would be half a second after it was sent
{
    static struct sip_message repeated;
    assert_false(sip_peer_receive(&f->peer, &repeated, 1200));
}

static void what_was_under_way_is_not_repeated_after_standing_still(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){.stall_ms = 100});
    static struct sip_message m;
    fixture_wish_sent(f, (struct wish){0}, &m);
    fake_stand_still_once(300);
    fixture_post(f, sip_command_new(SIP_DESIRED, 0));
    assert_nothing_is_repeated(f);
    sip_peer_answer(&f->peer, &m, "200 OK", ""); // an answer is believed all the same
    assert_int_equal(fixture_answer(1).status, 200);
    fixture_finish(f);
}

static void what_waited_for_dns_is_not_sent_after_standing_still(void **state)
{
    static const struct name_record record = {"reg.test", "A", 60, "127.0.0.1"};
    static struct sip_message m;
    struct name_server dns;
    struct event_base *base = event_base_new();
    name_server_open(&dns, base, &record, 1); // answers when this thread lets it
    struct fixture *f =
        fixture_start(true, (struct sip_thread_params){.stall_ms = 100, .resolv_conf = dns.resolv_conf});
    char registrar[64];
    (void)snprintf(registrar, sizeof(registrar), "sip:user@reg.test:%u", f->peer.port);
    fixture_wish(f, (struct wish){.registrar = registrar});
    fake_stand_still_once(300);
    fixture_post(f, sip_command_new(SIP_DESIRED, 0));
    assert_int_equal(lease_told(2), LEASE_STALLED);
    while (!dns.asked)
        (void)event_base_loop(base, EVLOOP_ONCE);
    assert_false(sip_peer_receive(&f->peer, &m, 300));
    struct fake_answer a = fixture_answer(1);
    assert_int_equal(a.status, 503);
    assert_true(a.local);
    assert_string_equal(a.reason, "the process stood still before it was sent");
    fixture_finish(f);
    name_server_close(&dns);
    event_base_free(base);
}

// A listener whose queue is full lets nobody connect; ret_first: who is in it.
static uint16_t full_listener(int *ret_listener, int ret_first[2])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);
    *ret_listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(*ret_listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(*ret_listener, 0), 0);
    assert_int_equal(getsockname(*ret_listener, (struct sockaddr *)&at, &n), 0);
    for (size_t i = 0; i < 2; i++) {
        ret_first[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(ret_first[i], (struct sockaddr *)&at, sizeof(at));
    }
    return ntohs(at.sin_port);
}

static void what_waited_for_a_connection_is_not_sent_after_standing_still(void **state)
{
    int listener, first[2];
    char registrar[64], byte;
    (void)snprintf(registrar, sizeof(registrar), "sip:user@127.0.0.1:%u", full_listener(&listener, first));
    struct fixture *f = fixture_start(true, (struct sip_thread_params){.stall_ms = 100});
    fixture_wish(f, (struct wish){.registrar = registrar, .transport = TRANSPORT_TCP});
    fake_stand_still_once(300);
    fixture_post(f, sip_command_new(SIP_DESIRED, 0));
    assert_int_equal(lease_told(2), LEASE_STALLED);
    struct pollfd ready = {.fd = listener, .events = POLLIN};
    while (poll(&ready, 1, 1500) == 1) { // its SYN is repeated within a second
        int fd = accept(listener, NULL, NULL);
        struct pollfd sent = {.fd = fd, .events = POLLIN};
        bool ours = poll(&sent, 1, 300) == 1 && recv(fd, &byte, 1, 0) == 1;
        (void)close(fd);
        assert_false(ours);
    }
    struct fake_answer a = fixture_answer(1);
    assert_int_equal(a.status, 503);
    assert_string_equal(a.reason, "the process stood still before it was sent");
    fixture_finish(f);
    (void)close(listener);
    for (size_t i = 0; i < 2; i++)
        (void)close(first[i]);
}

static void what_the_engine_forgot_is_not_repeated(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    fixture_wish_sent(f, (struct wish){0}, &m);
    fixture_post(f, sip_command_new(SIP_SHARD_PARK, 0));
    (void)fixture_until(was_parked);
    assert_nothing_is_repeated(f);
    sip_peer_answer(&f->peer, &m, "200 OK", "");
    fixture_counted(f, offsetof(struct sip_stats, stray), 1);
    struct fake_seen seen;
    fake_seen(&seen);
    assert_int_equal(seen.answer_count, 0);
    fixture_finish(f);
}

static void a_proof_that_is_not_repeated_runs_out(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){.stall_ms = 5000});
    assert_int_equal(lease_told(1), LEASE_EXPIRED);
    post_lease_for(f, LEASE_FRESH, 100000);
    assert_int_equal(lease_told(2), LEASE_FRESH);
    assert_int_equal(lease_told(3), LEASE_EXPIRED);
    post_lease_for(f, LEASE_FRESH, 1); // it was over before it was heard of
    assert_int_equal(lease_told(4), LEASE_EXPIRED);
    fixture_finish(f);
}

static bool burst_was_obeyed(const struct fake_seen *s)
{
    return s->desired_count == 20000;
}

static void a_burst_of_commands_does_not_starve_sip(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){.max_queue = 1024});
    static struct sip_message m;
    for (int i = 0; i < 20000; i++)
        fixture_post(f, sip_command_new(SIP_DESIRED, 0));
    fixture_ask(f, "OPTIONS", "", "");
    assert_true(sip_peer_receive(&f->peer, &m, PEER_DEADLINE_MS));
    assert_memory_equal(m.text, "SIP/2.0 200 ", 12);
    (void)fixture_until(burst_was_obeyed);
    fixture_finish(f);
}

static void reports_come_out_by_credit(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    struct sip_command *c = sip_command_new(SIP_CREDIT, 0);
    c->credit = 1;
    fixture_post(f, c);
    for (size_t i = 1; i <= 2; i++) {
        fixture_wish_sent(f, (struct wish){0}, &m);
        sip_peer_answer(&f->peer, &m, "200 OK", "");
        (void)fixture_answers(i);
    }
    struct pollfd fd = {.fd = sip_thread_fd(f->thread), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, PEER_DEADLINE_MS), 1);
    struct sip_notice *n[4];
    assert_int_equal(sip_thread_notices(f->thread, n, 4), 1);
    assert_int_equal(n[0]->kind, SIP_REPORT);
    assert_int_equal(n[0]->id, 1);
    assert_string_equal(n[0]->account, "a");
    assert_int_equal(n[0]->value[0], '{');
    assert_int_equal(strlen(n[0]->value), n[0]->value_bytes);
    sip_notice_free(n[0]);
    fixture_finish(f);
}

static void stopping_closes_every_shard_first(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    for (uint32_t shard = 5; shard < 8; shard++)
        fixture_post(f, sip_command_new(SIP_SHARD_LOAD, shard));
    fixture_post(f, sip_command_new(SIP_STOP, 0));
    enum sip_notice_kind kinds[8] = {0};
    size_t count = 0;
    while (count == 0 || (kinds[count - 1] != SIP_STOPPED && count < 8)) {
        struct pollfd fd = {.fd = sip_thread_fd(f->thread), .events = POLLIN};
        assert_int_equal(poll(&fd, 1, PEER_DEADLINE_MS), 1);
        struct sip_notice *n;
        while (count < 8 && sip_thread_notices(f->thread, &n, 1)) {
            kinds[count++] = n->kind;
            sip_notice_free(n);
        }
    }
    assert_int_equal(count, 4);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(kinds[i], SIP_CLOSED);
    sip_thread_join(f->thread);
    sip_peer_close(&f->peer);
    free(f);
}

static void a_listen_address_that_cannot_be_had_is_an_error(void **state)
{
    static const char *const bad[] = {"", "no such host", "192.0.2.77:5060", "127.0.0.1:99999"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct sip_thread_params p = {.policy = engine_policy_default(), .listen = bad[i]};
        struct sip_thread *t = NULL;
        struct error err = {0};
        assert_true(sip_thread_start(&p, &t, &err) < 0);
        assert_null(t);
        assert_true(strlen(err.text) > 10);
    }
}

static void port_0_takes_a_free_one_for_each_thread(void **state)
{
    struct sip_thread *t[2];
    struct error err = {0};
    for (unsigned i = 0; i < 2; i++) {
        struct sip_thread_params p = {.policy = engine_policy_default(), .listen = "127.0.0.1:0", .index = i};
        assert_int_equal(sip_thread_start(&p, &t[i], &err), 0);
        assert_int_equal(strncmp(sip_thread_listens_on(t[i]), "127.0.0.1:", 10), 0);
    }
    assert_string_not_equal(sip_thread_listens_on(t[0]), sip_thread_listens_on(t[1]));
    for (unsigned i = 0; i < 2; i++)
        sip_thread_join(t[i]);
}

static void waiting_costs_next_to_nothing(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    // Sparse traffic is where a loop that spins to its next timer shows.
    struct fake_seen seen, before;
    for (size_t i = 1; i <= 20; i++) {
        fixture_wish_sent(f, (struct wish){0}, &m);
        sip_peer_answer(&f->peer, &m, "200 OK", "");
        (void)fixture_answers(i);
        struct timespec pause = {.tv_nsec = 50000000};
        (void)nanosleep(&pause, NULL);
        if (i == 1) // what its start costs is no matter
            fake_seen(&before);
    }
    fake_seen(&seen);
    double used = seen.cpu_s - before.cpu_s;
    print_message("19 registrations in a second: %.1f ms of CPU\n", used * 1e3);
    assert_true(used < 0.05);
    fixture_finish(f);
}

static void ipv6_is_written_in_brackets(void **state)
{
    struct sip_thread_params p = {.policy = engine_policy_default(), .listen = "[::1]"};
    struct sip_thread *t = NULL;
    if (sip_thread_start(&p, &t, NULL) != 0)
        skip(); // a machine without IPv6
    assert_memory_equal(sip_thread_listens_on(t), "[::1]:", 6);
    assert_true(atoi(sip_thread_listens_on(t) + 6) > 0);
    sip_thread_join(t);
}

static void two_threads_have_a_port_each(void **state)
{
    char listen[64];
    // A pair of ports that were free a moment ago; another process may take one.
    for (uint16_t port = 20000; port < 60000; port += 997) {
        struct sip_thread *threads[2] = {NULL};
        (void)snprintf(listen, sizeof(listen), "127.0.0.1:%u", port);
        size_t started = 0;
        for (unsigned i = 0; i < 2; i++) {
            struct sip_thread_params p = {.index = i, .policy = engine_policy_default(), .listen = listen};
            started += sip_thread_start(&p, &threads[i], NULL) == 0;
        }
        if (started == 2) {
            char expected[64];
            (void)snprintf(expected, sizeof(expected), "127.0.0.1:%u", port + 1u);
            assert_string_equal(sip_thread_listens_on(threads[0]), listen);
            assert_string_equal(sip_thread_listens_on(threads[1]), expected);
        }
        for (unsigned i = 0; i < 2; i++)
            sip_thread_join(threads[i]);
        if (started == 2)
            return;
    }
    fail_msg("no two free ports");
}

static void a_thread_may_have_an_address_of_each_family_and_named_ones(void **state)
{
    struct sip_thread_params p = {.policy = engine_policy_default(),
                                  .listen = "127.0.0.1, [::1]:0",
                                  .interfaces = "a=127.0.0.2,b=127.0.0.3:0"};
    struct sip_thread *t = NULL;
    struct error err = {0};
    if (sip_thread_start(&p, &t, &err) != 0)
        fail_msg("%s", err.text);
    assert_memory_equal(sip_thread_listens_on(t), "127.0.0.1:", 10);
    sip_thread_join(t);
}

static void a_bad_interface_is_an_error_that_names_it(void **state)
{
    static const char *const bad[] = {"127.0.0.1", "=127.0.0.1", "a=", "a=no such host", "a=127.0.0.1:99999"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct sip_thread_params p = {
            .policy = engine_policy_default(), .listen = "127.0.0.1", .interfaces = bad[i]};
        struct sip_thread *t = NULL;
        struct error err = {0};
        assert_true(sip_thread_start(&p, &t, &err) < 0);
        assert_true(strlen(err.text) > 10);
    }
}

static void settings_of_tls_that_cannot_be_had_are_an_error(void **state)
{
    struct sip_thread_params p = {
        .policy = engine_policy_default(), .listen = "127.0.0.1", .tls.ca_file = "/nonexistent.pem"};
    struct sip_thread *t = NULL;
    struct error err = {0};
    assert_true(sip_thread_start(&p, &t, &err) < 0);
    assert_non_null(strstr(err.text, "/nonexistent.pem"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_outbox_holds_credits_back_and_drops_nothing),
        cmocka_unit_test(standing_still_ends_the_lease_until_a_proof_asked_for_later),
        cmocka_unit_test(what_was_under_way_is_not_repeated_after_standing_still),
        cmocka_unit_test(what_waited_for_dns_is_not_sent_after_standing_still),
        cmocka_unit_test(what_waited_for_a_connection_is_not_sent_after_standing_still),
        cmocka_unit_test(what_the_engine_forgot_is_not_repeated),
        cmocka_unit_test(a_proof_that_is_not_repeated_runs_out),
        cmocka_unit_test(a_burst_of_commands_does_not_starve_sip),
        cmocka_unit_test(reports_come_out_by_credit),
        cmocka_unit_test(stopping_closes_every_shard_first),
        cmocka_unit_test(a_listen_address_that_cannot_be_had_is_an_error),
        cmocka_unit_test(port_0_takes_a_free_one_for_each_thread),
        cmocka_unit_test(waiting_costs_next_to_nothing),
        cmocka_unit_test(ipv6_is_written_in_brackets),
        cmocka_unit_test(two_threads_have_a_port_each),
        cmocka_unit_test(a_thread_may_have_an_address_of_each_family_and_named_ones),
        cmocka_unit_test(a_bad_interface_is_an_error_that_names_it),
        cmocka_unit_test(settings_of_tls_that_cannot_be_had_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
