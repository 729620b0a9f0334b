// services/gateway/store on a real redis-server: what a write leaves in the keys, in the changes and in the
// outbox.
#include "tests/unit/store_fixture.h"

#include <inttypes.h>

static unsigned bucket_of(uint64_t id)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)id);
    return (hash_murmur2(str_of(text)) & 0x7fffffffu) % 64;
}

static void a_create_writes_hash_indexes_due_and_event(void **state)
{
    struct fixture *f = *state;
    uint64_t before = now_ms(f);
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    uint64_t after = now_ms(f);
    unsigned s = shard_of("acme");

    assert_int_equal(r.id, 1);
    assert_in_range(r.revision, before, after);
    assert_in_range(r.created_at_ms, before, after);
    assert_int_equal(r.updated_at_ms, r.created_at_ms);
    assert_string_equal(f->got.status, "");
    char revision[32];
    (void)snprintf(revision, sizeof(revision), "%llu", (unsigned long long)r.revision);
    assert_string_equal(rawf(f, "HGET rc:{s%u}:reg:1 revision", s), revision);
    assert_string_equal(
        rawf(f, "HMGET rc:{s%u}:reg:1 account name place enabled pause deleted moved_from", s),
        "acme trunk any 1 0 (nil) (nil)");
    assert_string_equal(rawf(f, "HGET rc:{s%u}:acct:acme:names trunk", s), "1");
    assert_string_equal(rawf(f, "ZRANGE rc:{s%u}:acct:acme:ids 0 -1 WITHSCORES", s), "1 1");
    assert_string_equal(rawf(f, "SMEMBERS rc:{s%u}:at:any:%u", s, bucket_of(1)), "1");
    char bucket[8];
    (void)snprintf(bucket, sizeof(bucket), "%u", bucket_of(1));
    assert_string_equal(rawf(f, "HGET rc:{s%u}:reg:1 bucket", s), bucket);
    char digest[STORE_DIGEST_BYTES];
    key_binding_digest(&r, digest);
    assert_string_equal(rawf(f, "HGET rc:{s%u}:reg:1 binding", s), digest);
    assert_string_equal(rawf(f, "ZRANGE rc:{s%u}:acct:acme:by:binding:%s 0 -1", s, digest), "1");
    assert_int_equal(strtoull(rawf(f, "ZSCORE rc:{s%u}:due 1", s), NULL, 10), r.revision + 1000);

    assert_int_equal(f->change_count, 1);
    const struct store_change *c = f->changes[0];
    assert_int_equal(c->op, STORE_OP_DESIRED);
    assert_int_equal(c->id, 1);
    assert_int_equal(c->revision, r.revision);
    assert_string_equal(c->account, "acme");
    assert_string_equal(c->place, "any");
    assert_string_equal(c->spec, rawf(f, "HGET rc:{s%u}:reg:1 spec", s));
    assert_null(c->status);
    assert_string_equal(c->traceparent, fixture_context.traceparent.p);
    assert_int_equal(f->event_count, 1);
    assert_int_equal(f->event_shard, s);
}

static void the_event_of_a_create_names_the_actor_and_no_secret(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "a \"b\"");
    unsigned s = shard_of("acme");
    assert_string_equal(rawf(f, "XLEN rc:{s%u}:outbox", s), "1");
    const char *event = rawf(f, "XRANGE rc:{s%u}:outbox - +", s);
    char head[200];
    (void)snprintf(head, sizeof(head),
                   " type created id 1 account acme revision %llu time %llu source gateway-1 traceparent %s",
                   (unsigned long long)r.revision, (unsigned long long)r.revision,
                   fixture_context.traceparent.p);
    assert_contains(event, head);
    assert_contains(event, " data \"name\":\"a \\\"b\\\"\",\"actor\":\"alice\",\"registration\":{\"id\":1,");
    assert_contains(event, "\"user\":\"100\"");
    assert_lacks(event, "secret");
    assert_lacks(event, "sealed:");

    struct buf value cleanup(buf_done) = BUF_INIT;
    buf_addf(&value, "{%s}", strstr(event, "\"name\""));
    struct json *parsed cleanup(json_free_ptr) = NULL;
    struct error err;
    assert_int_equal(json_parse(buf_str(&value), &JSON_LIMITS_DEFAULT, &parsed, &err), 0);
}

static void ids_are_never_given_twice_even_when_the_sequence_falls_back(void **state)
{
    struct fixture *f = *state;
    struct registration one cleanup(registration_done) = created(f, "acme", "one");
    struct registration two cleanup(registration_done) = created(f, "acme", "two");
    (void)rawf(f, "ZADD rc:{s%u}:gone 1 3", shard_of("acme"));
    (void)raw(f, "SET rc:{g}:seq 0");
    struct registration next cleanup(registration_done) = created(f, "acme", "next");
    assert_int_equal(next.id, 4);
    // the secret was sealed for the id that was given in the end
    char *clear cleanup(mem_free_cstr) = NULL;
    struct error err;
    assert_int_equal(store_open_secret(f->store, &next, 0, &clear, &err), 0);
    assert_string_equal(clear, "s3cret");
}

static void a_read_gives_back_what_was_written(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    (void)rawf(f, "HSET rc:{s%u}:reg:1 status {\"state\":\"registered\"}", shard_of("acme"));
    assert_int_equal(do_get(f, "acme", 1), 0);
    assert_string_equal(f->got.status, "{\"state\":\"registered\"}");
    struct buf wrote cleanup(buf_done) = BUF_INIT, read cleanup(buf_done) = BUF_INIT;
    registration_write(&wrote, &r);
    registration_write(&read, &f->got.reg);
    assert_string_equal(wrote.p, read.p);
    assert_int_equal(f->got.reg.revision, r.revision);
    assert_int_equal(f->got.reg.created_at_ms, r.created_at_ms);
}

// An account of the same shard as "acme", so that only the account itself can tell them apart.
static void another_account_of_the_same_shard_sees_nothing(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    char other[16];
    for (unsigned i = 0;; i++) {
        (void)snprintf(other, sizeof(other), "other%u", i);
        if (shard_of(other) == shard_of("acme"))
            break;
    }
    assert_int_equal(do_get(f, other, 1), -ENOENT);
    assert_int_equal(do_delete(f, other, 1), -ENOENT);
    assert_int_equal(do_refresh(f, other, 1), -ENOENT);
    struct registration stranger cleanup(registration_done) = {0};
    registration_copy(&stranger, &r);
    set_text(&stranger.account, other);
    assert_int_equal(do_update(f, &stranger, &stranger), -ENOENT);
    assert_int_equal(do_get(f, "acme", 2), -ENOENT);
    assert_int_equal(do_get(f, "acme", 1), 0);
}

static void damaged_contents_are_an_error_not_a_crash(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    unsigned s = shard_of("acme");
    (void)rawf(f, "HSET rc:{s%u}:reg:1 spec {\"id\":1,", s);
    assert_int_equal(do_get(f, "acme", 1), -EBADMSG);
    assert_contains(f->got.err.text, "registration 1");
    (void)rawf(f, "HSET rc:{s%u}:reg:1 spec {\"id\":7,\"account\":\"acme\",\"enabled\":true}", s);
    assert_int_equal(do_get(f, "acme", 1), -EBADMSG);
    (void)rawf(f, "DEL rc:{s%u}:reg:1", s);
    (void)rawf(f, "SET rc:{s%u}:reg:1 text", s);
    assert_int_equal(do_get(f, "acme", 1), -EBADMSG);
    assert_int_equal(do_update(f, &r, &r), -EIO);
    assert_int_equal(do_delete(f, "acme", 1), -EIO);
}

static void one_that_lost_a_part_is_deleted_whole_or_not_at_all(void **state)
{
    static const char *const parts[] = {"binding", "name", "terms", "place", "created_at"};
    struct fixture *f = *state;
    unsigned s = shard_of("acme");
    for (unsigned i = 0; i < ARRAY_LEN(parts); i++) {
        struct registration r cleanup(registration_done) = created(f, "acme", parts[i]);
        (void)rawf(f, "HDEL rc:{s%u}:reg:%" PRIu64 " %s", s, r.id, parts[i]);
        int rc = do_delete(f, "acme", r.id);
        assert_string_equal(rawf(f, "HGET rc:{s%u}:reg:%" PRIu64 " deleted", s, r.id), rc ? "(nil)" : "1");
        assert_int_equal(rc, 0);
    }
}

static void an_update_that_changes_nothing_makes_no_revision_and_no_event(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    unsigned s = shard_of("acme");
    (void)rawf(f, "ZADD rc:{s%u}:due 5 1", s);
    struct registration same cleanup(registration_done) = {0};
    registration_copy(&same, &r);
    set_text(&same.credentials[0].secret, "s3cret"); // as a client sends it again, in clear
    same.credentials[0].clear = true;
    assert_int_equal(do_update(f, &r, &same), 0);
    assert_int_equal(f->got.reg.revision, r.revision);
    assert_int_equal(f->got.reg.updated_at_ms, r.updated_at_ms);
    assert_string_equal(f->got.reg.credentials[0].secret, r.credentials[0].secret);
    assert_int_equal(f->change_count, 0);
    assert_int_equal(f->event_count, 0);
    assert_string_equal(rawf(f, "XLEN rc:{s%u}:outbox", s), "1");
    assert_string_equal(rawf(f, "ZSCORE rc:{s%u}:due 1", s), "5");
}

static void an_update_raises_the_revision_even_above_a_clock_that_stands_still(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    unsigned s = shard_of("acme");
    (void)rawf(f, "HSET rc:{s%u}:reg:1 revision 9000000000000 pause 4000", s);
    r.revision = 9000000000000;
    struct registration after cleanup(registration_done) = {0};
    registration_copy(&after, &r);
    set_text(&after.display_username, "Reception");
    assert_int_equal(do_update(f, &r, &after), 0);
    assert_int_equal(f->got.reg.revision, 9000000000001);
    assert_string_equal(rawf(f, "HMGET rc:{s%u}:reg:1 revision pause", s), "9000000000001 0");
    assert_true(f->got.reg.updated_at_ms >= r.updated_at_ms);
    assert_int_equal(f->got.reg.created_at_ms, r.created_at_ms);
    assert_int_equal(f->change_count, 1);
    assert_contains(f->changes[0]->spec, "Reception");
    assert_contains(rawf(f, "XREVRANGE rc:{s%u}:outbox + - COUNT 1", s), " type updated id 1 ");
}

static void of_two_updates_of_one_reading_the_second_is_refused(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    struct registration first cleanup(registration_done) = {0}, second cleanup(registration_done) = {0};
    registration_copy(&first, &r);
    registration_copy(&second, &r);
    set_text(&first.display_username, "first");
    set_text(&second.display_username, "second");
    assert_int_equal(do_update(f, &r, &first), 0);
    assert_int_equal(do_update(f, &r, &second), -ESTALE);
    assert_int_equal(f->change_count, 0);
    assert_int_equal(do_get(f, "acme", 1), 0);
    assert_string_equal(f->got.reg.display_username, "first");
}

static void a_name_is_unique_in_its_account_only(void **state)
{
    struct fixture *f = *state;
    struct registration one cleanup(registration_done) = created(f, "acme", "one");
    struct registration two cleanup(registration_done) = created(f, "acme", "two");
    struct registration other cleanup(registration_done) = created(f, "other", "one");
    struct registration again cleanup(registration_done) = a_registration("acme", "one");
    assert_int_equal(do_create(f, &again), -EEXIST);
    assert_int_equal(f->change_count, 0);
    struct registration renamed cleanup(registration_done) = {0};
    registration_copy(&renamed, &two);
    set_text(&renamed.name, "one");
    assert_int_equal(do_update(f, &two, &renamed), -EEXIST);
    set_text(&renamed.name, "three");
    assert_int_equal(do_update(f, &two, &renamed), 0);
    assert_string_equal(rawf(f, "HGETALL rc:{s%u}:acct:acme:names", shard_of("acme")), "one 1 three 2");
    struct registration free_now cleanup(registration_done) = created(f, "acme", "two");
    assert_true(free_now.id > other.id);
}

static void registrations_without_a_name_do_not_meet(void **state)
{
    struct fixture *f = *state;
    struct registration one cleanup(registration_done) = created(f, "acme", NULL);
    struct registration two cleanup(registration_done) = created(f, "acme", NULL);
    assert_string_equal(rawf(f, "EXISTS rc:{s%u}:acct:acme:names", shard_of("acme")), "0");
    assert_int_equal(do_delete(f, "acme", one.id), 0);
    assert_int_equal(do_get(f, "acme", two.id), 0);
}

static void a_move_tells_the_old_place_and_hands_the_status_to_the_new(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    unsigned s = shard_of("acme"), b = bucket_of(1);
    (void)rawf(f, "HSET rc:{s%u}:reg:1 status {\"state\":\"registered\"}", s);
    struct registration moved cleanup(registration_done) = {0};
    registration_copy(&moved, &r);
    moved.pop = 3;
    assert_int_equal(do_update(f, &r, &moved), 0);
    assert_int_equal(f->change_count, 2);
    assert_int_equal(f->changes[0]->op, STORE_OP_MOVED);
    assert_string_equal(f->changes[0]->place, "any");
    assert_null(f->changes[0]->spec);
    assert_int_equal(f->changes[1]->op, STORE_OP_DESIRED);
    assert_string_equal(f->changes[1]->place, "pop-3");
    assert_string_equal(f->changes[1]->status, "{\"state\":\"registered\"}");
    assert_int_equal(f->changes[0]->revision, f->changes[1]->revision);
    assert_string_equal(rawf(f, "EXISTS rc:{s%u}:at:any:%u", s, b), "0");
    assert_string_equal(rawf(f, "SMEMBERS rc:{s%u}:at:pop-3:%u", s, b), "1");
    assert_string_equal(rawf(f, "HMGET rc:{s%u}:reg:1 place moved_from", s), "pop-3 any");

    // until the new place has reported: the change that told of the move may not have arrived
    struct registration later cleanup(registration_done) = {0};
    registration_done(&moved);
    registration_copy(&moved, &f->got.reg);
    registration_copy(&later, &moved);
    later.retry_delay_s = 77;
    assert_int_equal(do_update(f, &moved, &later), 0);
    assert_int_equal(f->change_count, 1);
    assert_string_equal(f->changes[0]->status, "{\"state\":\"registered\"}");

    struct registration again cleanup(registration_done) = {0}, back cleanup(registration_done) = {0};
    registration_copy(&again, &f->got.reg);
    again.node = 7;
    registration_done(&moved);
    registration_copy(&moved, &f->got.reg);
    assert_int_equal(do_update(f, &moved, &again), 0);
    assert_string_equal(rawf(f, "HMGET rc:{s%u}:reg:1 place moved_from", s), "node-7 pop-3,any");
    registration_done(&again);
    registration_copy(&again, &f->got.reg);
    registration_copy(&back, &again);
    back.node = back.pop = REGISTRATION_UNSET;
    assert_int_equal(do_update(f, &again, &back), 0);
    assert_string_equal(rawf(f, "HMGET rc:{s%u}:reg:1 place moved_from", s), "any node-7,pop-3");
    assert_int_equal(do_delete(f, "acme", 1), 0);
    assert_string_equal(f->changes[0]->status, "{\"state\":\"registered\"}");
}

static void a_delete_frees_listings_and_keeps_what_removal_needs(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "tr\"unk");
    unsigned s = shard_of("acme");
    assert_int_equal(do_delete(f, "acme", 1), 0);
    assert_int_equal(f->change_count, 1);
    const struct store_change *c = f->changes[0];
    assert_int_equal(c->op, STORE_OP_REMOVE);
    assert_true(c->revision > r.revision);
    assert_string_equal(c->place, "any");
    assert_false(c->twin);
    assert_string_equal(c->spec, rawf(f, "HGET rc:{s%u}:reg:1 spec", s));
    assert_string_equal(rawf(f, "HGET rc:{s%u}:reg:1 deleted", s), "1");
    assert_string_equal(rawf(f, "ZCARD rc:{s%u}:acct:acme:ids", s), "0");
    assert_string_equal(rawf(f, "KEYS rc:{s%u}:acct:*", s), "");
    assert_string_equal(rawf(f, "SMEMBERS rc:{s%u}:at:any:%u", s, bucket_of(1)), "1");
    // written in the millisecond of its creation it has a revision one ahead of the time
    assert_in_range(strtoull(rawf(f, "ZSCORE rc:{s%u}:due 1", s), NULL, 10), c->revision + 999,
                    c->revision + 1000);
    const char *event = rawf(f, "XREVRANGE rc:{s%u}:outbox + - COUNT 1", s);
    assert_contains(event, " type deleted id 1 account acme ");
    assert_contains(event, "data \"name\":\"tr\\\"unk\",\"actor\":\"alice\"");

    assert_int_equal(do_get(f, "acme", 1), -ENOENT);
    assert_int_equal(do_delete(f, "acme", 1), -ENOENT);
    assert_int_equal(do_refresh(f, "acme", 1), -ENOENT);
    assert_int_equal(do_update(f, &r, &r), -ENOENT);
    struct registration again cleanup(registration_done) = created(f, "acme", "tr\"unk");
    assert_int_equal(again.id, 2);
}

static void a_removal_says_whether_an_enabled_twin_holds_the_binding(void **state)
{
    struct fixture *f = *state;
    struct registration one cleanup(registration_done) = created(f, "acme", "one");
    struct registration two cleanup(registration_done) = created(f, "acme", "two");
    struct registration three cleanup(registration_done) = created(f, "acme", "three");
    struct registration off cleanup(registration_done) = {0};
    registration_copy(&off, &three);
    off.enabled = false;
    assert_int_equal(do_update(f, &three, &off), 0);
    assert_int_equal(do_delete(f, "acme", one.id), 0);
    assert_true(f->changes[0]->twin);
    assert_int_equal(do_delete(f, "acme", two.id), 0);
    assert_false(f->changes[0]->twin); // what is left is disabled
}

static void a_binding_is_told_by_address_contacts_and_target(void **state)
{
    (void)state;
    struct registration a cleanup(registration_done) = a_registration("acme", "a");
    struct registration b cleanup(registration_done) = a_registration("acme", "b");
    char first[STORE_DIGEST_BYTES], second[STORE_DIGEST_BYTES];
    a.contacts[1].uri = mem_dup_cstr("sip:100@192.0.2.10");
    b.contacts[1].uri = b.contacts[0].uri;
    b.contacts[0].uri = mem_dup_cstr("sip:100@192.0.2.10");
    a.contact_count = b.contact_count = 2;
    a.pop = 4; // the contacts say where it is, not the place
    key_binding_digest(&a, first);
    key_binding_digest(&b, second);
    assert_string_equal(first, second);
    assert_int_equal(strlen(first), 16);

    b.registrar = mem_dup_cstr("sip:192.0.2.77");
    key_binding_digest(&b, second);
    assert_string_not_equal(first, second);
    set_text(&b.registrar, NULL);
    set_text(&b.username, "101");
    key_binding_digest(&b, second);
    assert_string_not_equal(first, second);
    set_text(&b.username, "100");
    set_text(&a.contacts[0].uri, "sip:100@{local}");
    set_text(&b.contacts[1].uri, "sip:100@{local}");
    key_binding_digest(&a, first);
    key_binding_digest(&b, second);
    assert_string_not_equal(first, second); // {local} is another address in pop 4
    set_text(&a.contacts[0].uri, "sip:100@192.0.2.11");
    set_text(&b.contacts[1].uri, "sip:100@192.0.2.11");
    set_text(&a.aor, "sip:100@{local}");
    set_text(&b.aor, "sip:100@{local}");
    key_binding_digest(&a, first);
    key_binding_digest(&b, second);
    assert_string_not_equal(first, second); // and so is the AoR made of it
    b.pop = 4;
    key_binding_digest(&b, second);
    assert_string_equal(first, second);
}

static void a_refresh_raises_counter_and_revision_and_leaves_the_configuration(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    unsigned s = shard_of("acme");
    char *spec cleanup(mem_free_cstr) = mem_dup_cstr(rawf(f, "HGET rc:{s%u}:reg:1 spec", s));
    assert_int_equal(do_refresh(f, "acme", 1), 0);
    assert_int_equal(f->got.reg.refresh_seq, 1);
    assert_true(f->got.reg.revision > r.revision);
    assert_int_equal(f->got.reg.updated_at_ms, r.updated_at_ms);
    assert_int_equal(f->change_count, 1);
    assert_int_equal(f->changes[0]->op, STORE_OP_DESIRED);
    assert_contains(f->changes[0]->spec, ",\"refresh_seq\":1}");
    assert_string_equal(rawf(f, "HGET rc:{s%u}:reg:1 spec", s), spec);
    assert_string_equal(rawf(f, "XLEN rc:{s%u}:outbox", s), "1"); // no event

    // the counter survives a write, is published with it, and does not make a difference where there is none
    struct registration now cleanup(registration_done) = {0}, after cleanup(registration_done) = {0};
    registration_copy(&now, &f->got.reg);
    assert_int_equal(do_update(f, &now, &now), 0);
    assert_int_equal(f->change_count, 0);
    registration_copy(&after, &now);
    set_text(&after.display_username, "Reception");
    assert_int_equal(do_update(f, &now, &after), 0);
    assert_int_equal(f->got.reg.refresh_seq, 1);
    assert_contains(f->changes[0]->spec, "\"refresh_seq\":1");
    struct json *parsed cleanup(json_free_ptr) = NULL;
    struct error err;
    assert_int_equal(json_parse(str_of(f->changes[0]->spec), &JSON_LIMITS_DEFAULT, &parsed, &err), 0);
}

int main(void)
{
#define on_redis(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        on_redis(a_create_writes_hash_indexes_due_and_event),
        on_redis(the_event_of_a_create_names_the_actor_and_no_secret),
        on_redis(ids_are_never_given_twice_even_when_the_sequence_falls_back),
        on_redis(a_read_gives_back_what_was_written),
        on_redis(another_account_of_the_same_shard_sees_nothing),
        on_redis(damaged_contents_are_an_error_not_a_crash),
        on_redis(one_that_lost_a_part_is_deleted_whole_or_not_at_all),
        on_redis(an_update_that_changes_nothing_makes_no_revision_and_no_event),
        on_redis(an_update_raises_the_revision_even_above_a_clock_that_stands_still),
        on_redis(of_two_updates_of_one_reading_the_second_is_refused),
        on_redis(a_name_is_unique_in_its_account_only),
        on_redis(registrations_without_a_name_do_not_meet),
        on_redis(a_move_tells_the_old_place_and_hands_the_status_to_the_new),
        on_redis(a_delete_frees_listings_and_keeps_what_removal_needs),
        on_redis(a_removal_says_whether_an_enabled_twin_holds_the_binding),
        cmocka_unit_test(a_binding_is_told_by_address_contacts_and_target),
        on_redis(a_refresh_raises_counter_and_revision_and_leaves_the_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
