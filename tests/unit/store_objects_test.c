// Objects of an account, values that expire and records of jobs, on a real redis-server.
#include "tests/unit/store_fixture.h"

#define ACME STR_LIT("acme")

// What the last read gave: "key=json;" in the order of keys.
struct reading {
    struct fixture *f;
    int count, rc;
    uint64_t version;
    struct buf text;
};

static bool is_read(const void *arg)
{
    return ((const struct reading *)arg)->count > 0;
}

static int by_key(const void *a, const void *b)
{
    return str_cmp(((const struct store_account_object *)a)->key,
                   ((const struct store_account_object *)b)->key);
}

static void on_objects(void *arg, int rc, const struct store_account_object *objects, size_t count,
                       uint64_t version, const struct error *err)
{
    struct reading *r = arg;
    assert_true((rc == 0) == (err == NULL));
    r->count++;
    r->rc = rc;
    r->version = version;
    buf_clear(&r->text);
    struct store_account_object *sorted = mem_array(count + 1, sizeof *sorted);
    for (size_t i = 0; i < count; i++)
        sorted[i] = objects[i];
    qsort(sorted, count, sizeof *sorted, by_key);
    for (size_t i = 0; i < count; i++)
        buf_addf(&r->text, STR_FMT "=" STR_FMT ";", STR_ARG(sorted[i].key), STR_ARG(sorted[i].json));
    buf_add_cstr(&r->text, "");
    free(sorted);
}

static void reading_done(struct reading *r)
{
    buf_done(&r->text);
}

static void wait_for(struct reading *r)
{
    assert_int_equal(r->count, 0); // never from within the call
    assert_true(peer_run_until(r->f->base, is_read, r, SOON_MS));
    assert_int_equal(r->count, 1);
}

static const char *text_of(const struct reading *r)
{
    return r->text.p ? r->text.p : "";
}

// The reading holds the text; the caller ends it.
static struct reading kind_of(struct fixture *f, struct str account, const char *kind)
{
    struct reading r = {.f = f};
    store_account_kind(f->store, account, kind, on_objects, &r);
    wait_for(&r);
    assert_int_equal(r.rc, 0);
    return r;
}

static struct reading object_of(struct fixture *f, struct str account, const char *kind, struct str key)
{
    struct reading r = {.f = f};
    store_account_object(f->store, account, kind, key, on_objects, &r);
    wait_for(&r);
    assert_int_equal(r.rc, 0);
    return r;
}

static void on_done(void *arg, int rc, const struct error *err)
{
    struct fixture *f = arg;
    assert_true((rc == 0) == (err == NULL));
    f->got.count++;
    f->got.rc = rc;
}

static int change(struct fixture *f, uint64_t version, const struct store_object_change *changes,
                  size_t count, const struct store_job *job)
{
    fixture_forget(f);
    store_account_change(f->store, ACME, version, changes, count, job, on_done, f);
    assert_int_equal(f->got.count, 0);
    return fixture_answer(f);
}

static const struct store_object_change two_rows[] = {
    {"ribbon.table", {.p = "1", .n = 1}, {.p = "{\"a\":1}", .n = 7}},
    {"ribbon.row", {.p = "1/2", .n = 3}, {.p = "{\"b\":2}", .n = 7}},
};

static void objects_are_kept_by_account_kind_and_key(void **state)
{
    struct fixture *f = *state;
    struct reading none cleanup(reading_done) = kind_of(f, ACME, "ribbon.table");
    assert_string_equal(text_of(&none), "");
    assert_int_equal(none.version, 0);
    assert_int_equal(change(f, 0, two_rows, 2, NULL), 0);

    struct reading all cleanup(reading_done) = kind_of(f, ACME, "ribbon.table");
    assert_string_equal(text_of(&all), "1={\"a\":1};");
    struct reading one cleanup(reading_done) = object_of(f, ACME, "ribbon.row", STR_LIT("1/2"));
    assert_string_equal(text_of(&one), "1/2={\"b\":2};");
    assert_int_equal(one.version, all.version);
    assert_true(all.version > 0);
    struct reading absent cleanup(reading_done) = object_of(f, ACME, "ribbon.row", STR_LIT("1/3"));
    assert_string_equal(text_of(&absent), "");
    assert_int_equal(absent.version, all.version);
    struct reading other cleanup(reading_done) = kind_of(f, STR_LIT("acme2"), "ribbon.table");
    assert_string_equal(text_of(&other), "");
    assert_string_equal(rawf(f, "HGET rc:{s%u}:acct:acme:obj:ribbon.row 1/2", shard_of("acme")), "{\"b\":2}");
}

static void every_change_raises_the_version_even_above_a_clock_that_stands_still(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(change(f, STORE_ANY_VERSION, two_rows, 1, NULL), 0);
    (void)rawf(f, "SET rc:{s%u}:acct:acme:obj-version 9007199254740000", shard_of("acme"));
    assert_int_equal(change(f, UINT64_C(9007199254740000), two_rows, 1, NULL), 0);
    struct reading after cleanup(reading_done) = kind_of(f, ACME, "ribbon.table");
    assert_int_equal(after.version, UINT64_C(9007199254740001));
}

static void a_change_that_follows_from_an_old_reading_changes_nothing(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(change(f, 0, two_rows, 2, NULL), 0);
    const struct store_object_change late[] = {{"ribbon.table", STR_LIT("1"), STR_LIT("{\"late\":1}")},
                                               {"ribbon.row", STR_NONE, STR_NONE}};
    const struct store_job job = {.kind = "test", .args = STR_LIT("{}")};
    assert_int_equal(change(f, 0, late, 2, &job), -ESTALE);
    struct reading table cleanup(reading_done) = kind_of(f, ACME, "ribbon.table");
    struct reading rows cleanup(reading_done) = kind_of(f, ACME, "ribbon.row");
    assert_string_equal(text_of(&table), "1={\"a\":1};");
    assert_string_equal(text_of(&rows), "1/2={\"b\":2};");
    assert_string_equal(rawf(f, "EXISTS rc:{s%u}:jobs", shard_of("acme")), "0");
}

static void a_key_or_a_whole_kind_is_removed(void **state)
{
    struct fixture *f = *state;
    const struct store_object_change three[] = {{"k", STR_LIT("a"), STR_LIT("1")},
                                                {"k", STR_LIT("b"), STR_LIT("2")},
                                                {"other", STR_LIT("a"), STR_LIT("3")}};
    assert_int_equal(change(f, STORE_ANY_VERSION, three, 3, NULL), 0);
    const struct store_object_change one_less[] = {{"k", STR_LIT("a"), STR_NONE}};
    assert_int_equal(change(f, STORE_ANY_VERSION, one_less, 1, NULL), 0);
    struct reading rest cleanup(reading_done) = kind_of(f, ACME, "k");
    assert_string_equal(text_of(&rest), "b=2;");
    const struct store_object_change none_left[] = {{"k", STR_NONE, STR_NONE}};
    assert_int_equal(change(f, rest.version, none_left, 1, NULL), 0);
    struct reading none cleanup(reading_done) = kind_of(f, ACME, "k");
    struct reading other cleanup(reading_done) = kind_of(f, ACME, "other");
    assert_string_equal(text_of(&none), "");
    assert_string_equal(text_of(&other), "a=3;");
}

static void what_stands_in_an_object_is_kept_byte_by_byte(void **state)
{
    struct fixture *f = *state;
    const struct store_object_change odd[] = {
        {"k", STR_LIT("a b\r\n*1"), STR_LIT("{\"t\":\"\\u0000 \xc3\xa4\r\n$-1\"}")}};
    assert_int_equal(change(f, STORE_ANY_VERSION, odd, 1, NULL), 0);
    struct reading back cleanup(reading_done) = object_of(f, ACME, "k", odd[0].key);
    assert_string_equal(text_of(&back), "a b\r\n*1={\"t\":\"\\u0000 \xc3\xa4\r\n$-1\"};");
}

// ---- values

struct value {
    struct fixture *f;
    int count, rc;
    char *text;
};

static void on_value(void *arg, int rc, struct str value, const struct error *err)
{
    struct value *v = arg;
    assert_true((rc == 0) == (err == NULL));
    v->count++;
    v->rc = rc;
    v->text = str_dup(value);
}

static bool is_given(const void *arg)
{
    return ((const struct value *)arg)->count > 0;
}

static int get_value(struct fixture *f, const char *key, uint64_t lifetime_ms, char *ret_text, size_t bytes)
{
    struct value v = {.f = f};
    store_value_get(f->store, 3, "session", str_of(key), lifetime_ms, on_value, &v);
    assert_int_equal(v.count, 0);
    assert_true(peer_run_until(f->base, is_given, &v, SOON_MS));
    assert_int_equal(v.count, 1);
    (void)snprintf(ret_text, bytes, "%s", v.text);
    free(v.text);
    return v.rc;
}

static int set_value(struct fixture *f, const char *key, const char *text, uint64_t lifetime_ms)
{
    fixture_forget(f);
    store_value_set(f->store, 3, "session", str_of(key), str_of(text), lifetime_ms, on_done, f);
    assert_int_equal(f->got.count, 0);
    return fixture_answer(f);
}

static void a_value_lives_for_its_time_and_a_reading_may_prolong_it(void **state)
{
    struct fixture *f = *state;
    char text[32];
    assert_int_equal(set_value(f, "abc", "{\"u\":1}", 60000), 0);
    assert_in_range(strtoull(raw(f, "PTTL rc:{s3}:session:abc"), NULL, 10), 50000, 60000);
    assert_int_equal(get_value(f, "abc", 0, text, sizeof text), 0);
    assert_string_equal(text, "{\"u\":1}");
    assert_in_range(strtoull(raw(f, "PTTL rc:{s3}:session:abc"), NULL, 10), 50000, 60000);
    assert_int_equal(get_value(f, "abc", 600000, text, sizeof text), 0);
    assert_in_range(strtoull(raw(f, "PTTL rc:{s3}:session:abc"), NULL, 10), 500000, 600000);
}

static bool is_expired(const void *arg)
{
    struct value *v = (struct value *)(uintptr_t)arg;
    if (v->count && v->rc == -ENOENT)
        return true;
    if (v->count) {
        free(v->text);
        v->text = NULL;
        v->count = 0;
        store_value_get(v->f->store, 3, "session", STR_LIT("short"), 0, on_value, v);
    }
    return false;
}

static void a_value_that_expired_or_was_deleted_is_absent(void **state)
{
    struct fixture *f = *state;
    char text[32];
    assert_int_equal(get_value(f, "never", 1000, text, sizeof text), -ENOENT);
    assert_int_equal(set_value(f, "short", "x", 30), 0);
    struct value v = {.f = f, .count = 1, .text = mem_dup_cstr("")};
    assert_true(peer_run_until(f->base, is_expired, &v, SOON_MS));
    free(v.text);

    assert_int_equal(set_value(f, "abc", "x", 60000), 0);
    fixture_forget(f);
    store_value_delete(f->store, 3, "session", STR_LIT("abc"), on_done, f);
    assert_int_equal(f->got.count, 0);
    assert_int_equal(fixture_answer(f), 0);
    assert_int_equal(get_value(f, "abc", 0, text, sizeof text), -ENOENT);
}

// ---- records of jobs

struct claim {
    struct fixture *f;
    int count, rc;
    uint64_t id; // 0: none
    unsigned tries;
    char account[16], kind[16], args[32], cursor[16];
};

static void copy_text(char *to, size_t bytes, struct str text)
{
    (void)snprintf(to, bytes, STR_FMT, STR_ARG(text));
}

static void on_job(void *arg, int rc, const struct store_claimed_job *job, const struct error *err)
{
    struct claim *c = arg;
    assert_true((rc == 0) == (err == NULL));
    c->count++;
    c->rc = rc;
    if (!job)
        return;
    c->id = job->id;
    c->tries = job->tries;
    copy_text(c->account, sizeof c->account, job->account);
    copy_text(c->kind, sizeof c->kind, job->kind);
    copy_text(c->args, sizeof c->args, job->args);
    copy_text(c->cursor, sizeof c->cursor, job->cursor);
}

static bool is_claimed(const void *arg)
{
    return ((const struct claim *)arg)->count > 0;
}

static struct claim claim(struct fixture *f, const char *holder)
{
    struct claim c = {.f = f};
    store_job_claim(f->store, shard_of("acme"), holder, 60000, on_job, &c);
    assert_int_equal(c.count, 0);
    assert_true(peer_run_until(f->base, is_claimed, &c, SOON_MS));
    assert_int_equal(c.count, 1);
    return c;
}

static int save(struct fixture *f, uint64_t id, const char *holder, const char *cursor, uint64_t lease_ms,
                bool finished)
{
    fixture_forget(f);
    store_job_save(f->store, shard_of("acme"), id, holder, str_of(cursor), lease_ms, finished, on_done, f);
    assert_int_equal(f->got.count, 0);
    return fixture_answer(f);
}

static void accept_job(struct fixture *f, const char *args)
{
    const struct store_job job = {.kind = "flush", .args = str_of(args)};
    assert_int_equal(change(f, STORE_ANY_VERSION, NULL, 0, &job), 0);
}

static void a_change_and_its_job_are_accepted_together(void **state)
{
    struct fixture *f = *state;
    const struct store_job job = {.kind = "ribbon.table", .args = STR_LIT("{\"table\":1}")};
    assert_int_equal(change(f, 0, two_rows, 2, &job), 0);
    struct claim c = claim(f, "gw-1");
    assert_int_equal(c.rc, 0);
    assert_int_equal(c.id, 1);
    assert_int_equal(c.tries, 1);
    assert_string_equal(c.account, "acme");
    assert_string_equal(c.kind, "ribbon.table");
    assert_string_equal(c.args, "{\"table\":1}");
    assert_string_equal(c.cursor, "");
    struct reading rows cleanup(reading_done) = kind_of(f, ACME, "ribbon.row");
    assert_string_equal(text_of(&rows), "1/2={\"b\":2};");
}

static void a_job_alone_leaves_the_version_as_it_was(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(change(f, 0, two_rows, 1, NULL), 0);
    struct reading before cleanup(reading_done) = kind_of(f, ACME, "ribbon.table");
    accept_job(f, "{}");
    struct reading after cleanup(reading_done) = kind_of(f, ACME, "ribbon.table");
    assert_int_equal(after.version, before.version);
}

static void a_job_has_one_holder_at_a_time(void **state)
{
    struct fixture *f = *state;
    accept_job(f, "{}");
    assert_int_equal(claim(f, "gw-1").id, 1);
    assert_int_equal(claim(f, "gw-2").id, 0);
    // the lease of a holder that died is over
    (void)rawf(f, "ZADD rc:{s%u}:jobs 1 1", shard_of("acme"));
    struct claim second = claim(f, "gw-2");
    assert_int_equal(second.id, 1);
    assert_int_equal(second.tries, 2);
    assert_int_equal(save(f, 1, "gw-1", "9", 0, false), -ESTALE);
    assert_int_equal(save(f, 1, "gw-1", "", 0, true), -ESTALE);
    assert_int_equal(save(f, 1, "gw-2", "5", 0, false), 0);
    struct claim third = claim(f, "gw-3");
    assert_string_equal(third.cursor, "5");
    assert_int_equal(third.tries, 1); // it got on
    assert_int_equal(save(f, 1, "gw-3", "5", 0, true), 0);
    assert_int_equal(claim(f, "gw-1").id, 0);
    assert_string_equal(rawf(f, "EXISTS rc:{s%u}:jobs rc:{s%u}:job:1", shard_of("acme"), shard_of("acme")),
                        "0");
    assert_int_equal(save(f, 1, "gw-3", "5", 0, true), -ESTALE);
}

static void the_job_that_waited_longest_comes_first(void **state)
{
    struct fixture *f = *state;
    accept_job(f, "1");
    accept_job(f, "2");
    (void)rawf(f, "ZADD rc:{s%u}:jobs 1 1 2 2", shard_of("acme"));
    assert_string_equal(claim(f, "gw-1").args, "1");
    assert_int_equal(save(f, 1, "gw-1", "c", 0, false), 0); // one slice of it: it is the other's turn
    assert_string_equal(claim(f, "gw-1").args, "2");
    assert_string_equal(claim(f, "gw-1").args, "1");
}

static void a_job_whose_hash_was_lost_does_not_hold_up_the_next(void **state)
{
    struct fixture *f = *state;
    accept_job(f, "1");
    accept_job(f, "2");
    (void)rawf(f, "DEL rc:{s%u}:job:1", shard_of("acme"));
    assert_string_equal(claim(f, "gw-1").args, "2");
    assert_string_equal(rawf(f, "ZRANGE rc:{s%u}:jobs 0 -1", shard_of("acme")), "2");
}

struct looked {
    int count, rc;
    unsigned shards;
};

static void on_shards(void *arg, int rc, unsigned shards, const struct error *err)
{
    struct looked *l = arg;
    assert_true((rc == 0) == (err == NULL));
    l->count++;
    l->rc = rc;
    l->shards = shards;
}

static bool has_looked(const void *arg)
{
    return ((const struct looked *)arg)->count > 0;
}

static void a_look_says_which_shards_have_jobs(void **state)
{
    struct fixture *f = *state;
    struct looked before = {0}, after = {0};
    store_jobs_look(f->store, on_shards, &before);
    assert_int_equal(before.count, 0);
    assert_true(peer_run_until(f->base, has_looked, &before, SOON_MS));
    assert_int_equal(before.rc, 0);
    assert_int_equal(before.shards, 0);
    accept_job(f, "{}");
    store_jobs_look(f->store, on_shards, &after);
    assert_true(peer_run_until(f->base, has_looked, &after, SOON_MS));
    assert_int_equal(after.shards, 1u << shard_of("acme"));
    assert_int_equal(after.count, 1);
}

static void writes_wait_for_the_gate_and_readings_do_not(void **state)
{
    struct fixture *f = *state;
    accept_job(f, "{}");
    assert_int_equal(set_value(f, "abc", "x", 60000), 0);
    f->gate.approved = 1;
    char text[32];
    assert_int_equal(change(f, STORE_ANY_VERSION, two_rows, 2, NULL), -EBUSY);
    assert_int_equal(set_value(f, "abc", "y", 60000), -EBUSY);
    assert_int_equal(claim(f, "gw-1").rc, -EBUSY);
    assert_int_equal(save(f, 1, "gw-1", "", 0, true), -EBUSY);
    assert_int_equal(get_value(f, "abc", 0, text, sizeof text), 0);
    assert_string_equal(text, "x");
    struct reading none cleanup(reading_done) = kind_of(f, ACME, "ribbon.table");
    assert_string_equal(text_of(&none), "");
}

static void a_store_freed_with_calls_under_way_answers_each_once(void **state)
{
    struct fixture *f = *state;
    struct reading r = {.f = f};
    struct value v = {.f = f};
    struct claim c = {.f = f};
    struct looked l = {0};
    const struct store_job job = {.kind = "test", .args = STR_LIT("{}")};
    fixture_forget(f);
    store_account_kind(f->store, ACME, "k", on_objects, &r);
    store_value_get(f->store, 3, "session", STR_LIT("abc"), 0, on_value, &v);
    store_job_claim(f->store, 3, "gw-1", 1000, on_job, &c);
    store_jobs_look(f->store, on_shards, &l);
    store_account_change(f->store, ACME, STORE_ANY_VERSION, two_rows, 2, &job, on_done, f);
    store_value_set(f->store, 3, "session", STR_LIT("abc"), STR_LIT("x"), 1000, on_done, f);
    store_job_save(f->store, 3, 1, "gw-1", STR_NONE, 0, true, on_done, f);
    store_free(f->store);
    f->store = NULL;
    assert_int_equal(r.count, 1);
    assert_int_equal(r.rc, -ENOTCONN);
    assert_int_equal(v.count, 1);
    assert_int_equal(c.count, 1);
    assert_int_equal(l.count, 1);
    assert_int_equal(l.rc, -ENOTCONN);
    assert_int_equal(f->got.count, 3);
    reading_done(&r);
    free(v.text);
}

int main(void)
{
#define on_redis(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        on_redis(objects_are_kept_by_account_kind_and_key),
        on_redis(every_change_raises_the_version_even_above_a_clock_that_stands_still),
        on_redis(a_change_that_follows_from_an_old_reading_changes_nothing),
        on_redis(a_key_or_a_whole_kind_is_removed),
        on_redis(what_stands_in_an_object_is_kept_byte_by_byte),
        on_redis(a_value_lives_for_its_time_and_a_reading_may_prolong_it),
        on_redis(a_value_that_expired_or_was_deleted_is_absent),
        on_redis(a_change_and_its_job_are_accepted_together),
        on_redis(a_job_alone_leaves_the_version_as_it_was),
        on_redis(a_job_has_one_holder_at_a_time),
        on_redis(the_job_that_waited_longest_comes_first),
        on_redis(a_job_whose_hash_was_lost_does_not_hold_up_the_next),
        on_redis(a_look_says_which_shards_have_jobs),
        on_redis(writes_wait_for_the_gate_and_readings_do_not),
        on_redis(a_store_freed_with_calls_under_way_answers_each_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
