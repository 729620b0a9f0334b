// Batches, idempotency keys, conditional deletions and commands of services/gateway/store on a real
// redis-server.
#include "tests/unit/store_fixture.h"

enum { MAX_ITEMS = 1100 };

struct batch {
    struct fixture *f;
    struct store_item items[MAX_ITEMS];
    size_t count;
    int answers, rc;
    size_t failed, given;
    uint64_t ids[MAX_ITEMS], revisions[MAX_ITEMS];
    char name[32]; // of the last record
};

static void on_batch(void *arg, int rc, size_t failed, const struct store_record *records, size_t count,
                     const struct error *err)
{
    struct batch *b = arg;
    b->answers++;
    b->rc = rc;
    b->failed = failed;
    b->given = count;
    assert_true((rc == 0) == (err == NULL));
    for (size_t i = 0; i < count; i++) {
        b->ids[i] = records[i].reg.id;
        b->revisions[i] = records[i].reg.revision;
        const char *name = records[i].reg.name;
        (void)snprintf(b->name, sizeof(b->name), "%s", name ? name : "");
    }
}

static bool is_answered(const void *arg)
{
    const struct batch *b = arg;
    return b->answers > 0;
}

static void add(struct batch *b, int kind, const struct registration *before,
                const struct registration *after)
{
    b->items[b->count++] = (struct store_item){.kind = kind, .before = before, .after = after};
}

static int run_as(struct batch *b, const struct store_term *unique, size_t unique_count,
                  const struct store_write_context *context)
{
    fixture_forget(b->f);
    b->answers = 0;
    store_batch(b->f->store, STR_LIT("acme"), b->items, b->count, unique, unique_count, context, on_batch, b);
    assert_int_equal(b->answers, 0); // never from within the call
    assert_true(peer_run_until(b->f->base, is_answered, b, SOON_MS));
    assert_int_equal(b->answers, 1);
    b->count = 0;
    return b->rc;
}

static int run_unique(struct batch *b, const struct store_term *unique, size_t unique_count)
{
    return run_as(b, unique, unique_count, &fixture_context);
}

static int run(struct batch *b)
{
    return run_unique(b, NULL, 0);
}

static struct registration renamed(const struct registration *from, const char *name)
{
    struct registration r;
    registration_copy(&r, from);
    set_text(&r.name, name);
    return r;
}

static const char *names(struct fixture *f, const char *name)
{
    return rawf(f, "HGET rc:{s%u}:acct:acme:names %s", store_shard(STR_LIT("acme")), name);
}

static const char *event_count(struct fixture *f)
{
    return rawf(f, "XLEN rc:{s%u}:outbox", store_shard(STR_LIT("acme")));
}

static void writes_of_all_kinds_are_done_as_single_ones_would_be(void **state)
{
    struct batch b = {.f = *state};
    struct registration one cleanup(registration_done) = created(b.f, "acme", "one");
    struct registration two cleanup(registration_done) = created(b.f, "acme", "two");
    struct registration fresh cleanup(registration_done) = a_registration("acme", "three");
    struct registration changed cleanup(registration_done) = renamed(&two, "second");
    add(&b, STORE_ITEM_DELETE, &one, NULL);
    add(&b, STORE_ITEM_UPDATE, &two, &changed);
    add(&b, STORE_ITEM_CREATE, NULL, &fresh);
    assert_int_equal(run(&b), 0);
    assert_int_equal(b.given, 3);
    assert_int_equal(b.ids[0], one.id);
    assert_int_equal(b.ids[1], two.id);
    assert_true(b.revisions[1] > two.revision);
    assert_int_equal(b.ids[2], two.id + 1);
    assert_string_equal(b.name, "three");

    assert_int_equal(b.f->change_count, 3);
    assert_int_equal(b.f->changes[0]->op, STORE_OP_REMOVE);
    assert_true(b.f->changes[0]->twin); // the three hold one binding
    assert_int_equal(b.f->changes[1]->op, STORE_OP_DESIRED);
    assert_int_equal(b.f->changes[1]->revision, b.revisions[1]);
    assert_non_null(strstr(b.f->changes[2]->spec, "\"three\""));
    assert_null(strstr(b.f->changes[2]->spec, "s3cret"));
    assert_int_equal(b.f->event_count, 1);
    assert_string_equal(event_count(b.f), "5");
    assert_int_equal(do_get(b.f, "acme", one.id), -ENOENT);
    assert_int_equal(do_get(b.f, "acme", two.id), 0);
    assert_string_equal(b.f->got.reg.name, "second");
    assert_string_equal(names(b.f, "one"), "(nil)");
}

static void one_that_fails_undoes_all(void **state)
{
    struct batch b = {.f = *state};
    struct registration one cleanup(registration_done) = created(b.f, "acme", "one");
    struct registration two cleanup(registration_done) = created(b.f, "acme", "two");
    struct registration fresh cleanup(registration_done) = a_registration("acme", "three");
    struct registration stale cleanup(registration_done) = renamed(&two, "second");
    two.revision--;
    add(&b, STORE_ITEM_DELETE, &one, NULL);
    add(&b, STORE_ITEM_CREATE, NULL, &fresh);
    add(&b, STORE_ITEM_UPDATE, &two, &stale);
    assert_int_equal(run(&b), -ESTALE);
    assert_int_equal(b.failed, 2);
    assert_int_equal(b.f->change_count, 0);
    assert_int_equal(b.f->event_count, 0);
    assert_string_equal(event_count(b.f), "2");
    assert_string_equal(names(b.f, "three"), "(nil)");
    assert_int_equal(do_get(b.f, "acme", one.id), 0);

    two.id = 999;
    add(&b, STORE_ITEM_CREATE, NULL, &fresh);
    add(&b, STORE_ITEM_DELETE, &two, NULL);
    assert_int_equal(run(&b), -ENOENT);
    assert_int_equal(b.failed, 1);
    add(&b, STORE_ITEM_DELETE, &one, NULL);
    add(&b, STORE_ITEM_DELETE, &one, NULL);
    assert_int_equal(run(&b), -EIO);
    assert_int_equal(b.failed, 1);
    assert_int_equal(do_get(b.f, "acme", one.id), 0);
}

static void names_are_unique_over_what_is_there_afterwards(void **state)
{
    struct batch b = {.f = *state};
    struct registration one cleanup(registration_done) = created(b.f, "acme", "one");
    struct registration two cleanup(registration_done) = created(b.f, "acme", "two");
    struct registration as_two cleanup(registration_done) = renamed(&one, "two");
    struct registration as_one cleanup(registration_done) = renamed(&two, "one");
    add(&b, STORE_ITEM_UPDATE, &one, &as_two); // they swap
    add(&b, STORE_ITEM_UPDATE, &two, &as_one);
    assert_int_equal(run(&b), 0);
    assert_string_equal(names(b.f, "one"), "2");
    assert_string_equal(names(b.f, "two"), "1");

    struct registration fresh cleanup(registration_done) = a_registration("acme", "two");
    as_two.revision = b.revisions[0];
    add(&b, STORE_ITEM_CREATE, NULL, &fresh); // freed later in the same batch
    add(&b, STORE_ITEM_DELETE, &as_two, NULL);
    assert_int_equal(run(&b), 0);
    assert_string_equal(names(b.f, "two"), "3");

    struct registration again cleanup(registration_done) = a_registration("acme", "new");
    add(&b, STORE_ITEM_CREATE, NULL, &again);
    add(&b, STORE_ITEM_CREATE, NULL, &again);
    assert_int_equal(run(&b), -EEXIST);
    assert_int_equal(b.failed, 1);
    add(&b, STORE_ITEM_CREATE, NULL, &fresh);
    assert_int_equal(run(&b), -EEXIST);
    assert_int_equal(b.failed, 0);
    assert_string_equal(names(b.f, "new"), "(nil)");
}

static void a_unique_term_is_had_once_afterwards(void **state)
{
    struct batch b = {.f = *state};
    struct registration one cleanup(registration_done) = created(b.f, "acme", "one"); // user 100
    struct registration fresh cleanup(registration_done) = a_registration("acme", "two");
    const struct store_term unique[] = {{.field = "username", .value = STR_LIT("100")},
                                        {.field = "name", .value = STR_LIT("two")}};
    add(&b, STORE_ITEM_CREATE, NULL, &fresh);
    assert_int_equal(run_unique(&b, unique, 2), -ESTALE);
    assert_int_equal(b.failed, 1); // none of them
    assert_string_equal(names(b.f, "two"), "(nil)");
    add(&b, STORE_ITEM_CREATE, NULL, &fresh);
    add(&b, STORE_ITEM_DELETE, &one, NULL);
    assert_int_equal(run_unique(&b, unique, 2), 0);
    assert_string_equal(names(b.f, "two"), "3"); // the refused one used up an id
}

static void a_batch_that_follows_from_objects_is_refused_once_they_were_changed(void **state)
{
    struct batch b = {.f = *state};
    const uint64_t none = 0, first = 7;
    struct store_write_context context = fixture_context;
    struct registration fresh cleanup(registration_done) = a_registration("acme", "one");
    (void)rawf(b.f, "SET rc:{s%u}:acct:acme:obj-version 7", store_shard(STR_LIT("acme")));
    context.objects_version = &none;
    add(&b, STORE_ITEM_CREATE, NULL, &fresh);
    assert_int_equal(run_as(&b, NULL, 0, &context), -ESTALE);
    assert_int_equal(b.failed, 1); // none of them
    assert_string_equal(names(b.f, "one"), "(nil)");
    context.objects_version = &first;
    add(&b, STORE_ITEM_CREATE, NULL, &fresh);
    assert_int_equal(run_as(&b, NULL, 0, &context), 0);
    assert_string_equal(names(b.f, "one"), "2"); // the refused one used up an id
}

static void an_update_that_changes_nothing_is_part_of_a_batch_in_silence(void **state)
{
    struct batch b = {.f = *state};
    struct registration one cleanup(registration_done) = created(b.f, "acme", "one");
    add(&b, STORE_ITEM_UPDATE, &one, &one);
    assert_int_equal(run(&b), 0);
    assert_int_equal(b.revisions[0], one.revision);
    assert_int_equal(b.f->change_count, 0);
    assert_string_equal(event_count(b.f), "1");
}

static void a_batch_that_cannot_be_is_refused(void **state)
{
    struct batch b = {.f = *state};
    struct registration fresh cleanup(registration_done) = a_registration("other", "x");
    assert_int_equal(run(&b), 0); // nothing is nothing
    assert_int_equal(b.given, 0);
    add(&b, STORE_ITEM_CREATE, NULL, &fresh);
    assert_int_equal(run(&b), -EIO); // of another account
    assert_int_equal(b.failed, 0);
    for (size_t i = 0; i <= STORE_BATCH_MAX; i++)
        add(&b, STORE_ITEM_CREATE, NULL, &fresh);
    assert_int_equal(run(&b), -EIO);
    assert_int_equal(b.failed, STORE_BATCH_MAX + 1);
}

// The fixture keeps a few changes only.
static void count_change(void *arg, struct store_change *take_change)
{
    struct fixture *f = arg;
    f->change_count++;
    assert_non_null(take_change->spec);
    store_change_free(take_change);
}

static void a_full_batch_goes_through_as_one(void **state)
{
    static struct batch b;
    b = (struct batch){.f = *state};
    struct fixture *f = b.f;
    static struct registration many[STORE_BATCH_MAX];
    store_free(f->store);
    const struct store_params params = {.base = f->base,
                                        .redis_url = f->url,
                                        .keys = f->keys,
                                        .gate = &f->gate,
                                        .source = "gateway-1",
                                        .arg = f,
                                        .on_written = count_change,
                                        .on_events = fixture_on_events};
    struct error err;
    assert_int_equal(store_new(&params, &f->store, &err), 0);
    assert_true(peer_run_until(f->base, fixture_is_up, f, SOON_MS));
    for (size_t i = 0; i < STORE_BATCH_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "n%zu", i);
        many[i] = a_registration("acme", name);
        add(&b, STORE_ITEM_CREATE, NULL, &many[i]);
    }
    assert_int_equal(run(&b), 0);
    assert_int_equal(b.given, STORE_BATCH_MAX);
    assert_int_equal(f->change_count, STORE_BATCH_MAX);
    assert_string_equal(names(f, "n999"), "1000");
    f->change_count = 0;
    for (size_t i = 0; i < STORE_BATCH_MAX; i++)
        registration_done(&many[i]);
}

// After a fail-over the sequence may give ids again that are in use.
static void ids_in_use_are_passed_over(void **state)
{
    struct batch b = {.f = *state};
    struct registration one cleanup(registration_done) = created(b.f, "acme", "one");
    struct registration two cleanup(registration_done) = created(b.f, "acme", "two");
    struct registration three cleanup(registration_done) = a_registration("acme", "three");
    struct registration four cleanup(registration_done) = a_registration("acme", "four");
    (void)raw(b.f, "SET rc:{g}:seq 0");
    add(&b, STORE_ITEM_CREATE, NULL, &three);
    add(&b, STORE_ITEM_CREATE, NULL, &four);
    assert_int_equal(run(&b), 0);
    assert_int_equal(b.ids[0], two.id + 1);
    assert_int_equal(b.ids[1], two.id + 2);
    char *secret;
    struct error err;
    assert_int_equal(do_get(b.f, "acme", b.ids[1]), 0); // sealed for the id that it got in the end
    assert_int_equal(store_open_secret(b.f->store, &b.f->got.reg, 0, &secret, &err), 0);
    assert_string_equal(secret, "s3cret");
    free(secret);
}

static void a_secret_changes_in_a_batch_whose_ids_are_asked_for_again(void **state)
{
    struct batch b = {.f = *state};
    struct registration one cleanup(registration_done) = created(b.f, "acme", "one");
    struct registration changed cleanup(registration_done) = renamed(&one, "one");
    struct registration fresh cleanup(registration_done) = a_registration("acme", "two");
    set_text(&changed.credentials[0].secret, "another");
    changed.credentials[0].clear = true;
    (void)raw(b.f, "SET rc:{g}:seq 0");
    add(&b, STORE_ITEM_UPDATE, &one, &changed);
    add(&b, STORE_ITEM_CREATE, NULL, &fresh);
    assert_int_equal(run(&b), 0);
    assert_int_equal(b.ids[1], one.id + 1);
    assert_int_equal(do_get(b.f, "acme", one.id), 0);
    char *secret cleanup(mem_free_cstr) = NULL;
    struct error err;
    assert_int_equal(store_open_secret(b.f->store, &b.f->got.reg, 0, &secret, &err), 0);
    assert_string_equal(secret, "another");
}

static void a_batch_that_no_replica_confirmed_stands_and_says_so(void **state)
{
    struct batch b = {.f = *state};
    struct registration one cleanup(registration_done) = a_registration("acme", "one");
    store_free(b.f->store);
    fixture_open_store(b.f, 1, 50);
    add(&b, STORE_ITEM_CREATE, NULL, &one);
    assert_int_equal(run(&b), -ETIMEDOUT);
    assert_int_equal(b.failed, 1); // none of them
    assert_int_equal(b.f->change_count, 1);
    assert_string_equal(names(b.f, "one"), "1");
}

static void a_batch_under_way_is_answered_when_its_store_is_freed(void **state)
{
    struct batch b = {.f = *state};
    struct fixture *f = b.f;
    struct registration one cleanup(registration_done) = a_registration("acme", "");
    for (size_t i = 0; i < 200; i++) // so many that it is prepared over several turns
        add(&b, STORE_ITEM_CREATE, NULL, &one);
    store_batch(f->store, STR_LIT("acme"), b.items, b.count, NULL, 0, &fixture_context, on_batch, &b);
    for (int turn = 0; turn < 3; turn++)
        (void)event_base_loop(f->base, EVLOOP_ONCE);
    store_free(f->store);
    f->store = NULL;
    assert_int_equal(b.answers, 1);
    if (b.rc)
        assert_int_equal(b.rc, -ENOTCONN);
}

// ---- idempotency keys

static int create_with_key(struct fixture *f, const struct registration *r, const char *key,
                           const char *print)
{
    struct store_write_context context = fixture_context;
    context.idempotency_key = str_of(key);
    context.fingerprint = str_of(print);
    fixture_forget(f);
    store_create(f->store, r, &context, fixture_on_record, f);
    assert_int_equal(f->got.count, 0);
    return fixture_answer(f);
}

static void a_key_gives_what_it_made_before(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = a_registration("acme", "one");
    assert_int_equal(create_with_key(f, &r, "key", "print"), 0);
    assert_false(f->got.replayed);
    assert_int_equal(create_with_key(f, &r, "key", "print"), 0);
    assert_true(f->got.replayed);
    assert_int_equal(f->got.reg.id, 1);
    assert_string_equal(f->got.reg.name, "one");
    assert_int_equal(f->change_count, 0);
    assert_string_equal(event_count(f), "1");
    assert_int_equal(create_with_key(f, &r, "key", "another"), -EALREADY);
    assert_int_equal(create_with_key(f, &r, "another", "print"), -EEXIST); // a refusal is not kept
    assert_int_equal(do_delete(f, "acme", 1), 0);
    assert_int_equal(create_with_key(f, &r, "another", "print"), 0);
    assert_int_equal(create_with_key(f, &r, "key", "print"), -ENOENT); // what it made is gone
}

static void a_key_holds_for_its_account_and_a_day(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = a_registration("acme", "one");
    struct registration other cleanup(registration_done) = a_registration("other", "one");
    assert_int_equal(create_with_key(f, &r, "key", "print"), 0);
    unsigned shard = store_shard(STR_LIT("acme"));
    char key[128];
    (void)snprintf(key, sizeof(key), "%s", rawf(f, "KEYS rc:{s%u}:idem:acme:*", shard));
    long long left = strtoll(rawf(f, "PTTL %s", key), NULL, 10);
    assert_true(left > 86390000 && left <= 86400000);
    assert_int_equal(create_with_key(f, &other, "key", "else"), 0);
    assert_false(f->got.replayed);
}

// ---- conditional deletions and commands

static void a_deletion_may_ask_for_a_revision(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "one");
    fixture_forget(f);
    store_delete(f->store, STR_LIT("acme"), r.id, r.revision - 1, &fixture_context, fixture_on_record, f);
    assert_int_equal(fixture_answer(f), -ESTALE);
    assert_int_equal(f->change_count, 0);
    assert_int_equal(do_get(f, "acme", r.id), 0);
    fixture_forget(f);
    store_delete(f->store, STR_LIT("acme"), r.id, r.revision, &fixture_context, fixture_on_record, f);
    assert_int_equal(fixture_answer(f), 0);
    assert_int_equal(f->changes[0]->op, STORE_OP_REMOVE);
}

static int do_command(struct fixture *f, uint64_t id, enum store_command command)
{
    fixture_forget(f);
    store_command(f->store, STR_LIT("acme"), id, command, &fixture_context, fixture_on_record, f);
    assert_int_equal(f->got.count, 0);
    return fixture_answer(f);
}

static void each_command_has_a_counter_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "one");
    assert_int_equal(do_command(f, r.id, STORE_FLUSH), 0);
    assert_int_equal(f->got.reg.flush_seq, 1);
    assert_int_equal(f->got.reg.audit_seq, 0);
    assert_int_equal(f->got.reg.refresh_seq, 0);
    assert_non_null(strstr(f->changes[0]->spec, "\"flush_seq\":1"));
    assert_int_equal(do_command(f, r.id, STORE_AUDIT), 0);
    assert_int_equal(do_command(f, r.id, STORE_AUDIT), 0);
    assert_int_equal(f->got.reg.flush_seq, 1);
    assert_int_equal(f->got.reg.audit_seq, 2);
    assert_true(f->got.reg.revision > r.revision);
    assert_non_null(strstr(f->changes[0]->spec, "\"audit_seq\":2"));
    assert_string_equal(event_count(f), "1");
    assert_int_equal(do_command(f, 999, STORE_FLUSH), -ENOENT);
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        STORE_TEST(writes_of_all_kinds_are_done_as_single_ones_would_be),
        STORE_TEST(one_that_fails_undoes_all),
        STORE_TEST(names_are_unique_over_what_is_there_afterwards),
        STORE_TEST(a_unique_term_is_had_once_afterwards),
        STORE_TEST(a_batch_that_follows_from_objects_is_refused_once_they_were_changed),
        STORE_TEST(an_update_that_changes_nothing_is_part_of_a_batch_in_silence),
        STORE_TEST(a_batch_that_cannot_be_is_refused),
        STORE_TEST(a_full_batch_goes_through_as_one),
        STORE_TEST(ids_in_use_are_passed_over),
        STORE_TEST(a_secret_changes_in_a_batch_whose_ids_are_asked_for_again),
        STORE_TEST(a_batch_that_no_replica_confirmed_stands_and_says_so),
        STORE_TEST(a_batch_under_way_is_answered_when_its_store_is_freed),
        STORE_TEST(a_key_gives_what_it_made_before),
        STORE_TEST(a_key_holds_for_its_account_and_a_day),
        STORE_TEST(a_deletion_may_ask_for_a_revision),
        STORE_TEST(each_command_has_a_counter_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
