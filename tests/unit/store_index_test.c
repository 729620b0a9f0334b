// The indexes of an account in services/gateway/store, and the pages that they serve, on a real redis-server:
// kept by writes, deletions, reports and by what is written back after a fail-over.
#include "services/gateway/store/terms.h"
#include "tests/unit/store_bus.h"
#include "tests/unit/store_pages.h"

#define HOUR_MS (3600 * 1000ull)

// A registration of user and domain; labels NULL: none.
static uint64_t add(struct fixture *f, const char *name, const char *user, const char *domain,
                    const char *labels)
{
    struct registration r cleanup(registration_done) = a_registration("acme", name);
    set_text(&r.username, user);
    set_text(&r.domain, domain);
    set_text(&r.labels, labels);
    assert_int_equal(do_create(f, &r), 0);
    return f->got.reg.id;
}

#define QUERY(...)                                                                                           \
    {                                                                                                        \
        .account = STR_LIT("acme"), .limit = 100, .terms = (struct store_term[]){__VA_ARGS__},               \
        .term_count = sizeof((struct store_term[]){__VA_ARGS__}) / sizeof(struct store_term)                 \
    }
#define TERM(name, text)                                                                                     \
    {                                                                                                        \
        .field = (name), .value = STR_LIT(text)                                                              \
    }

// What the account holds under one term, "1 2 3".
static const char *under(struct fixture *f, const char *term)
{
    return rawf(f, "ZRANGE rc:{s%u}:acct:acme:by:%s 0 -1", store_shard(STR_LIT("acme")), term);
}

static const char *keys(struct fixture *f)
{
    return rawf(f, "KEYS rc:{s%u}:acct:acme:*", store_shard(STR_LIT("acme")));
}

// ---- what reports and the write-back do, by the scripts that the bus runs

static const char *report(struct fixture *f, uint64_t id, enum status_state state, uint64_t bound_for_ms,
                          enum status_proof removed)
{
    const struct bus_report told = {.id = id,
                                    .account = "acme",
                                    .place = "any",
                                    .state = state,
                                    .bound_until_ms = bound_for_ms ? clock_wall_ms() + bound_for_ms : 0,
                                    .removed = removed};
    return bus_report(f, &told);
}

// With the last status where `state` is not negative.
static void restore(struct fixture *f, const struct registration *r, const char *op, uint64_t revision,
                    int state)
{
    struct buf spec cleanup(buf_done) = BUF_INIT, status cleanup(buf_done) = BUF_INIT;
    registration_write(&spec, r);
    if (state >= 0) {
        const struct bus_report told = {.id = r->id,
                                        .account = "acme",
                                        .place = "any",
                                        .state = (enum status_state)state,
                                        .bound_until_ms = clock_wall_ms() + HOUR_MS};
        struct status s;
        bus_status(&s, &told);
        status_write(&status, &s);
        status_done(&s);
    }
    const struct bus_lost lost = {.id = r->id,
                                  .revision = revision,
                                  .account = "acme",
                                  .place = "any",
                                  .op = op,
                                  .spec = buf_str(&spec),
                                  .status = buf_str(&status)};
    assert_string_equal(bus_restore(f, &lost), "restored");
}

// ---- by configuration

static void a_registration_is_found_by_user_domain_and_labels(void **state)
{
    struct fixture *f = *state;
    const char *labels = "{\"index\":{\"table\":\"7\",\"n\":5,\"row\":\"a:b\"},\"other\":{\"x\":\"y\"}}";
    uint64_t a = add(f, "a", "100", "SIP.Example.com", labels);
    uint64_t b = add(f, "b", "100", "other.example.com", NULL);
    uint64_t c = add(f, "c", "101", "sip.example.COM", "{\"index\":{\"table\":\"7\"}}");

    struct store_query by_user = QUERY(TERM("username", "100"));
    struct page p = page_of(f, &by_user);
    assert_page(&p, a, b);
    assert_int_equal(p.total, 2);
    struct store_query by_domain = QUERY(TERM("domain", "sIp.example.com"));
    p = page_of(f, &by_domain);
    assert_page(&p, a, c);
    struct store_query by_label = QUERY(TERM("label.table", "7"));
    p = page_of(f, &by_label);
    assert_page(&p, a, c);
    struct store_query by_row = QUERY(TERM("label.row", "a:b"));
    p = page_of(f, &by_row);
    assert_page(&p, a);
    struct store_query by_name = QUERY(TERM("name", "b"));
    p = page_of(f, &by_name);
    assert_page(&p, b);
    struct store_query none = QUERY(TERM("username", "10"));
    p = page_of(f, &none);
    assert_int_equal(p.rc, 0);
    assert_int_equal(p.total, 0);
}

static void one_term_pages_by_rank_both_ways(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++)
        (void)add(f, "", i == 1 ? "x" : "100", "d", NULL);
    struct store_query q = QUERY(TERM("username", "100"));
    q.offset = 1;
    q.limit = 2;
    struct page p = page_of(f, &q);
    assert_page(&p, 3, 4);
    assert_int_equal(p.total, 4);
    q.descending = true;
    p = page_of(f, &q);
    assert_page(&p, 4, 3);
}

static void all_terms_must_hold(void **state)
{
    struct fixture *f = *state;
    uint64_t a = add(f, "a", "100", "one", NULL), b = add(f, "b", "100", "two", NULL);
    (void)add(f, "c", "101", "two", NULL);
    struct store_query q = QUERY(TERM("username", "100"), TERM("domain", "two"));
    struct page p = page_of(f, &q);
    assert_page(&p, b);
    assert_int_equal(p.total, 1);
    struct store_query named = QUERY(TERM("name", "a"), TERM("domain", "one"));
    p = page_of(f, &named);
    assert_page(&p, a);
    struct store_query misnamed = QUERY(TERM("name", "a"), TERM("domain", "two"));
    p = page_of(f, &misnamed);
    assert_int_equal(p.total, 0);
    struct store_query two_names = QUERY(TERM("name", "a"), TERM("name", "b"));
    p = page_of(f, &two_names);
    assert_int_equal(p.total, 0);
    const uint64_t ids[] = {a, 999};
    struct store_query listed = QUERY(TERM("username", "100"));
    listed.ids = ids;
    listed.id_count = 2;
    p = page_of(f, &listed);
    assert_page(&p, a);
    assert_int_equal(p.total, 1);
}

static void long_and_odd_values_are_found_by_their_digest(void **state)
{
    struct fixture *f = *state;
    char user[300];
    memset(user, 'u', sizeof(user) - 1);
    user[sizeof(user) - 1] = '\0';
    uint64_t a = add(f, "a", user, "d", "{\"index\":{\"k\":\"two\\nlines\"}}");
    user[sizeof(user) - 2] = 'v';
    (void)add(f, "b", user, "d", "{\"index\":{\"k\":\"two\"}}");
    user[sizeof(user) - 2] = 'u';
    struct store_query q = {.account = STR_LIT("acme"),
                            .limit = 9,
                            .terms = &(struct store_term){.field = "username", .value = str_of(user)},
                            .term_count = 1};
    struct page p = page_of(f, &q);
    assert_page(&p, a);
    struct store_query lines = QUERY(TERM("label.k", "two\nlines"));
    p = page_of(f, &lines);
    assert_page(&p, a);
}

static void four_labels_are_indexed_and_no_more(void **state)
{
    (void)state;
    struct registration r cleanup(registration_done) = a_registration("acme", "a");
    set_text(&r.labels,
             "{\"index\":{\"a\":\"1\",\"bad:name\":\"1\",\"b\":\"\",\"c\":\"3\",\"d\":\"4\",\"e\":\"5\","
             "\"f\":\"6\"}}");
    struct buf terms cleanup(buf_done) = BUF_INIT;
    terms_of(&terms, &r);
    assert_string_equal(terms.p,
                        "username:100\ndomain:sip.example.com\nlabel.a:1\nlabel.c:3\nlabel.d:4\nlabel.e:5");
}

static void a_change_moves_between_indexes_and_a_deletion_leaves_none(void **state)
{
    struct fixture *f = *state;
    uint64_t id = add(f, "a", "100", "one", "{\"index\":{\"t\":\"1\"}}");
    struct registration before cleanup(registration_done) = {0}, after cleanup(registration_done) = {0};
    registration_copy(&before, &f->got.reg);
    registration_copy(&after, &before);
    set_text(&after.username, "200");
    set_text(&after.labels, "{\"index\":{\"t\":\"2\"}}");
    assert_int_equal(do_update(f, &before, &after), 0);
    assert_string_equal(under(f, "username:100"), "");
    assert_string_equal(under(f, "label.t:1"), "");
    assert_string_equal(under(f, "username:200"), "1");
    assert_string_equal(under(f, "label.t:2"), "1");
    assert_string_equal(under(f, "domain:one"), "1");
    assert_string_equal(under(f, "state:pending"), "1");
    (void)report(f, id, STATE_RETRYING, HOUR_MS, PROOF_NONE);
    assert_int_equal(do_delete(f, "acme", id), 0);
    assert_string_equal(keys(f), "");
    (void)report(f, id, STATE_UNREGISTERING, HOUR_MS,
                 PROOF_NONE); // what it goes on reporting lists it no more
    assert_string_equal(keys(f), "");
    assert_true(!strncmp(report(f, id, STATE_UNREGISTERED, 0, PROOF_ANSWERED), "removed", 7));
    assert_string_equal(keys(f), "");
}

// ---- by what was reported

static void a_state_is_the_last_reported_and_pending_before(void **state)
{
    struct fixture *f = *state;
    uint64_t a = add(f, "a", "1", "d", NULL), b = add(f, "b", "2", "d", NULL),
             c = add(f, "c", "3", "d", NULL);
    (void)report(f, b, STATE_REGISTERED, HOUR_MS, PROOF_NONE);
    (void)report(f, c, STATE_REJECTED, 0, PROOF_NONE);
    struct store_query pending = QUERY(TERM("state", "pending")), rejected = QUERY(TERM("state", "rejected"));
    struct store_query registered = QUERY(TERM("state", "registered"));
    struct page p = page_of(f, &pending);
    assert_page(&p, a);
    p = page_of(f, &rejected);
    assert_page(&p, c);
    p = page_of(f, &registered);
    assert_page(&p, b);
    assert_int_equal(p.total, 1);
    (void)report(f, b, STATE_RETRYING, HOUR_MS, PROOF_NONE);
    (void)report(f, c, STATE_REGISTERED, HOUR_MS, PROOF_NONE);
    p = page_of(f, &registered);
    assert_page(&p, c);
    p = page_of(f, &rejected);
    assert_int_equal(p.total, 0);
    struct store_query both = QUERY(TERM("state", "registered"), TERM("username", "3"));
    p = page_of(f, &both);
    assert_page(&p, c);
    struct store_query twice = QUERY(TERM("state", "registered"), TERM("state", "registered"));
    p = page_of(f, &twice);
    assert_page(&p, c);
    assert_int_equal(p.total, 1);
    struct store_query two_states = QUERY(TERM("state", "registered"), TERM("state", "pending"));
    p = page_of(f, &two_states);
    assert_int_equal(p.total, 0);
    struct store_query neither = QUERY(TERM("state", "registered"), TERM("username", "2"));
    p = page_of(f, &neither);
    assert_int_equal(p.total, 0);
}

struct counted {
    int count;
    uint64_t value;
};

static void on_count(void *arg, int rc, uint64_t count, const struct error *err)
{
    struct counted *c = arg;
    assert_int_equal(rc, 0);
    assert_null(err);
    c->count++;
    c->value = count;
}

static bool is_counted(const void *arg)
{
    const struct counted *c = arg;
    return c->count > 0;
}

static uint64_t count_of(struct fixture *f, bool live_only)
{
    struct counted c = {0};
    store_count(f->store, STR_LIT("acme"), live_only, on_count, &c);
    assert_int_equal(c.count, 0);
    assert_true(peer_run_until(f->base, is_counted, &c, SOON_MS));
    return c.value;
}

static void live_is_what_has_a_binding_that_has_not_run_out(void **state)
{
    struct fixture *f = *state;
    uint64_t a = add(f, "a", "1", "d", NULL), b = add(f, "b", "2", "d", NULL),
             c = add(f, "c", "3", "d", NULL), d = add(f, "d", "4", "d", NULL);
    (void)report(f, a, STATE_REGISTERED, HOUR_MS, PROOF_NONE);
    (void)report(f, b, STATE_RETRYING, HOUR_MS, PROOF_NONE); // the older binding still lives
    (void)report(f, c, STATE_REGISTERED, 1, PROOF_NONE);     // runs out at once
    (void)report(f, d, STATE_REGISTERED, HOUR_MS, PROOF_NONE);
    (void)report(f, d, STATE_DISABLED, 0, PROOF_ANSWERED);
    for (uint64_t until = clock_wall_ms() + 5; clock_wall_ms() < until;) // so that it has run out
        (void)raw(f, "PING");
    struct store_query q = {.account = STR_LIT("acme"), .limit = 10, .live_only = true};
    struct page p = page_of(f, &q);
    assert_page(&p, a, b);
    assert_int_equal(p.total, 2);
    assert_int_equal(count_of(f, true), 2);
    assert_int_equal(count_of(f, false), 4);
    q.terms = (struct store_term[]){TERM("username", "2")};
    q.term_count = 1;
    p = page_of(f, &q);
    assert_page(&p, b);
    q.descending = true;
    q.terms = NULL;
    q.term_count = 0;
    p = page_of(f, &q);
    assert_page(&p, b, a);
}

static void what_is_written_back_is_found_again(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "a");
    struct registration older cleanup(registration_done) = {0};
    registration_copy(&older, &r);
    (void)raw(f, "FLUSHALL");
    restore(f, &older, "desired", 2000, STATE_RETRYING);
    struct store_query q = QUERY(TERM("username", "100"), TERM("state", "retrying"));
    q.live_only = true;
    struct page p = page_of(f, &q);
    assert_page(&p, r.id);

    set_text(&r.username, "200"); // over what Redis holds of an older revision, with an older report
    restore(f, &r, "desired", 3000, STATE_REGISTERED);
    assert_string_equal(under(f, "username:100"), "");
    struct store_query moved = QUERY(TERM("username", "200"), TERM("state", "registered"));
    moved.live_only = true;
    p = page_of(f, &moved);
    assert_page(&p, r.id);

    restore(f, &r, "remove", 4000, -1);
    assert_string_equal(keys(f), "");
}

static void what_was_never_reported_is_written_back_as_pending(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "a");
    (void)raw(f, "FLUSHALL");
    restore(f, &r, "desired", 2000, -1);
    assert_string_equal(under(f, "state:pending"), "1");
    assert_string_equal(under(f, "domain:sip.example.com"), "1");
    (void)report(f, r.id, STATE_REGISTERED, HOUR_MS, PROOF_NONE);
    assert_string_equal(under(f, "state:pending"), "");
    assert_int_equal(count_of(f, true), 1);
}

// ---- by name, and what no index serves

static void a_registration_is_found_by_its_name(void **state)
{
    struct fixture *f = *state;
    uint64_t a = add(f, "alpha", "1", "d", NULL);
    fixture_forget(f);
    store_find(f->store, STR_LIT("acme"), STR_LIT("alpha"), fixture_on_record, f);
    assert_int_equal(f->got.count, 0);
    assert_int_equal(fixture_answer(f), 0);
    assert_int_equal(f->got.reg.id, a);
    fixture_forget(f);
    store_find(f->store, STR_LIT("acme"), STR_LIT("beta"), fixture_on_record, f);
    assert_int_equal(fixture_answer(f), -ENOENT);
    fixture_forget(f);
    store_find(f->store, STR_LIT("other"), STR_LIT("alpha"), fixture_on_record, f);
    assert_int_equal(fixture_answer(f), -ENOENT);
}

static bool odd_delay(const void *arg, const struct store_record *record)
{
    size_t *calls = (size_t *)(uintptr_t)arg;
    ++*calls;
    assert_int_equal(record->status.n, 0);
    return record->reg.retry_delay_s % 2;
}

static bool reported_as_x(const void *arg, const struct store_record *record)
{
    (void)arg;
    return str_eq_cstr(record->status, "{\"x\":1}");
}

static void a_condition_is_judged_record_by_record(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 7; i++) {
        struct registration r cleanup(registration_done) = a_registration("acme", "");
        r.retry_delay_s = 10 - i; // 10 9 8 7 6 5 4
        set_text(&r.username, i < 5 ? "100" : "200");
        assert_int_equal(do_create(f, &r), 0);
    }
    size_t calls = 0;
    struct store_query q = {.account = STR_LIT("acme"), .limit = 2, .keep = odd_delay, .keep_arg = &calls};
    struct page p = page_of(f, &q);
    assert_page(&p, 2, 4);
    assert_int_equal(p.total, 3);
    q.offset = 2;
    q.limit = 9;
    p = page_of(f, &q);
    assert_page(&p, 6);
    q.offset = 0;
    q.sort_key = by_delay;
    p = page_of(f, &q);
    assert_page(&p, 6, 4, 2);
    q.sort_key = NULL;
    q.descending = true;
    p = page_of(f, &q);
    assert_page(&p, 6, 4, 2);
    calls = 0;
    q.terms = (struct store_term[]){TERM("username", "200")};
    q.term_count = 1;
    p = page_of(f, &q);
    assert_page(&p, 6);
    assert_int_equal(calls, 2); // the index left two to judge
}

static void a_condition_may_read_the_status(void **state)
{
    struct fixture *f = *state;
    (void)add(f, "a", "1", "d", NULL);
    (void)add(f, "b", "2", "d", NULL);
    (void)rawf(f, "HSET rc:{s%u}:reg:2 status {\"x\":1}", store_shard(STR_LIT("acme")));
    struct store_query q = {
        .account = STR_LIT("acme"), .limit = 9, .keep = reported_as_x, .keep_reads_status = true};
    struct page p = page_of(f, &q);
    assert_page(&p, 2);
    assert_string_equal(p.statuses[0], "{\"x\":1}");
}

static bool any(const void *arg, const struct store_record *record)
{
    (void)record;
    size_t *calls = (size_t *)(uintptr_t)arg;
    ++*calls;
    return true;
}

// More than a slice of 200, so that it can stop.
static void without_a_total_a_full_page_ends_the_walk(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 250; i++)
        (void)add(f, "", "100", "d", NULL);
    size_t calls = 0;
    struct store_query q = {
        .account = STR_LIT("acme"), .limit = 3, .keep = any, .keep_arg = &calls, .without_total = true};
    struct page p = page_of(f, &q);
    assert_page(&p, 1, 2, 3);
    assert_int_equal(calls, 200);
    q.without_total = false;
    calls = 0;
    (void)page_of(f, &q);
    assert_int_equal(calls, 250);
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_registration_is_found_by_user_domain_and_labels),
        STORE_TEST(one_term_pages_by_rank_both_ways),
        STORE_TEST(all_terms_must_hold),
        STORE_TEST(long_and_odd_values_are_found_by_their_digest),
        cmocka_unit_test(four_labels_are_indexed_and_no_more),
        STORE_TEST(a_change_moves_between_indexes_and_a_deletion_leaves_none),
        STORE_TEST(a_state_is_the_last_reported_and_pending_before),
        STORE_TEST(live_is_what_has_a_binding_that_has_not_run_out),
        STORE_TEST(what_is_written_back_is_found_again),
        STORE_TEST(what_was_never_reported_is_written_back_as_pending),
        STORE_TEST(a_registration_is_found_by_its_name),
        STORE_TEST(a_condition_is_judged_record_by_record),
        STORE_TEST(a_condition_may_read_the_status),
        STORE_TEST(without_a_total_a_full_page_ends_the_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
