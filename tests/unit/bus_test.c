// services/gateway/publish on a real redis-server and the embedded broker: what is published, what a report
// changes, what heals. One world for all tests of this file: each uses an account of its own.
#include "tests/unit/bus_fixture.h"

static uint64_t due_of(struct world *w, const struct registration *r)
{
    return strtoull(rawf(w->f, "ZSCORE rc:{s%u}:due %" PRIu64, shard_of(r->account), r->id), NULL, 10);
}

static const char *field_of(struct world *w, const struct registration *r, const char *name)
{
    return rawf(w->f, "HGET rc:{s%u}:reg:%" PRIu64 " %s", shard_of(r->account), r->id, name);
}

static void expect_field(struct world *w, const struct registration *r, const char *name, const char *value)
{
    expect_redis(w, value, "HGET rc:{s%u}:reg:%" PRIu64 " %s", shard_of(r->account), r->id, name);
}

// Created and published.
static struct registration published(struct world *w, const char *account, const char *name)
{
    struct registration r = created(w->f, account, name);
    world_post(w);
    (void)expect(w, "changes.any", "change.desired", r.id, 1);
    return r;
}

static size_t count_of(struct world *w, const char *topic, const char *type, uint64_t id)
{
    size_t n = 0;
    while (world_find(w, topic, type, id, n))
        n++;
    return n;
}

static void assert_in_text(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("%s\nis not in\n%s", part, text);
}

// ---- publishing

static void a_write_is_published_at_once_as_a_cloud_event(void **state)
{
    struct world *w = *state;
    uint64_t swept = metric(w, BUS_SWEPT, 0);
    struct registration r cleanup(registration_done) = created(w->f, "publish", "trunk");
    char *spec cleanup(mem_free_cstr) = mem_dup_cstr(field_of(w, &r, "spec"));
    world_post(w);
    struct seen *s = expect(w, "changes.any", "change.desired", r.id, 1);
    assert_int_equal(metric(w, BUS_SWEPT, 0), swept); // it was not the sweep

    assert_int_equal(json_u64_or(json_get(s->value, "v"), 0), 1);
    assert_int_equal(json_u64_or(json_get(s->value, "id"), 0), r.id);
    assert_true(str_eq_cstr(json_str(json_get(s->value, "account")), "publish"));
    assert_int_equal(json_u64_or(json_get(s->value, "revision"), 0), r.revision);
    assert_true(str_eq_cstr(json_str(json_get(s->value, "op")), "desired"));
    assert_null(json_get(s->value, "status"));
    struct buf seen_spec cleanup(buf_done) = BUF_INIT;
    json_write_value(&seen_spec, json_get(s->value, "spec"));
    assert_string_equal(seen_spec.p, spec);
    char subject[48];
    (void)snprintf(subject, sizeof(subject), "ce_subject=%" PRIu64 "\n", r.id);
    assert_in_text(s->headers, "ce_specversion=1.0\n");
    assert_in_text(s->headers, "ce_source=gateway-1\n");
    assert_in_text(s->headers, subject);
    assert_in_text(s->headers, "content-type=application/json\n");
    assert_in_text(s->headers, "traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n");
    assert_in_text(s->headers, "ce_time=20");
}

static void the_acknowledgement_lets_due_wait_for_the_report(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = published(w, "acked", "trunk");
    uint64_t end_us = clock_monotonic_us() + SOON_MS * UINT64_C(1000);
    while (due_of(w, &r) <= r.revision + 2000 && clock_monotonic_us() < end_us)
        ;
    assert_in_range(due_of(w, &r), r.revision + REPORT_WAIT_MS, now_ms(w->f) + REPORT_WAIT_MS);
    assert_int_equal(count_of(w, "changes.any", "change.desired", r.id), 1);
}

// ---- reports

static void an_applied_report_moves_due_to_the_next_action_and_is_an_event(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = published(w, "report", "trunk");
    uint64_t before = now_ms(w->f);
    report_state(w, &r, 100, 1, STATE_REGISTERED);
    expect_field(w, &r, "state", "registered");
    assert_in_range(due_of(w, &r), before + 3000000 + GRACE_MS, now_ms(w->f) + 3000000 + GRACE_MS);
    char revision[24];
    (void)snprintf(revision, sizeof(revision), "%" PRIu64, r.revision);
    assert_string_equal(field_of(w, &r, "applied"), revision);
    assert_string_equal(field_of(w, &r, "epoch"), "100");

    struct seen *first = expect(w, "events", "registration.created", r.id, 1);
    struct seen *then = expect(w, "events", "registration.registered", r.id, 1);
    assert_true(first < then); // in the order they were read
    assert_string_not_equal(first->ce_id, then->ce_id);
    assert_null(json_get(then->value, "previous_state"));
    const struct json *status = json_get(then->value, "status");
    assert_true(str_eq_cstr(json_str(json_get(status, "state")), "registered"));
    assert_null(json_get(status, "epoch"));
    assert_null(json_get(status, "bound"));

    report_state(w, &r, 100, 2, STATE_RETRYING);
    struct seen *lost = expect(w, "events", "registration.retrying", r.id, 1);
    assert_true(str_eq_cstr(json_str(json_get(lost->value, "previous_state")), "registered"));
    expect_redis(w, "0", "XLEN rc:{s%u}:outbox", shard_of("report"));
}

static void a_silent_report_leaves_due(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = published(w, "silent", "trunk");
    report_state(w, &r, 100, 1, STATE_DISABLED); // next_in 0
    expect_redis(w, "(nil)", "ZSCORE rc:{s%u}:due %" PRIu64, shard_of("silent"), r.id);
    expect_field(w, &r, "state", "disabled");
}

static void a_report_not_above_the_held_pair_changes_nothing(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = published(w, "stale", "trunk");
    report_state(w, &r, 100, 5, STATE_REGISTERED);
    expect_field(w, &r, "state", "registered");
    uint64_t stale = metric(w, BUS_REPORTS, 3);
    report_state(w, &r, 100, 5, STATE_REJECTED);
    expect_metric(w, BUS_REPORTS, 3, stale + 1);
    report_state(w, &r, 99, 9, STATE_REJECTED);
    expect_metric(w, BUS_REPORTS, 3, stale + 2);
    assert_string_equal(field_of(w, &r, "state"), "registered");
    assert_int_equal(count_of(w, "events", "registration.rejected", r.id), 0);
    report_state(w, &r, 101, 1, STATE_REJECTED); // a new owner begins its own sequence
    expect_field(w, &r, "state", "rejected");
}

static void a_report_behind_is_answered_with_the_present_revision_and_the_last_status(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = published(w, "behind", "trunk");
    struct registration next cleanup(registration_done);
    registration_copy(&next, &r);
    set_text(&next.contacts[0].uri, "sip:200@192.0.2.9");
    assert_int_equal(do_update(w->f, &r, &next), 0);
    uint64_t present = w->f->got.reg.revision;
    world_post(w);
    (void)expect(w, "changes.any", "change.desired", r.id, 2);
    report_state(w, &r, 100, 1, STATE_REGISTERED); // r is the revision before
    struct seen *answer = expect(w, "changes.any", "change.desired", r.id, 3);
    assert_int_equal(json_u64_or(json_get(answer->value, "revision"), 0), present);
    const struct json *status = json_get(answer->value, "status");
    assert_int_equal(json_u64_or(json_get(status, "revision"), 0), r.revision);
    assert_int_equal(json_u64_or(json_get(status, "epoch"), 0), 100);
}

static void other_contacts_at_the_registrar_are_a_rebound_and_other_expires_are_not(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = published(w, "rebound", "trunk");
    static const char *const contacts[] = {"<sip:100@192.0.2.9>;expires=3600",
                                           "<sip:100@192.0.2.9>;expires=3550",
                                           "<sip:100@192.0.2.10>;expires=3600"};
    for (size_t i = 0; i < ARRAY_LEN(contacts); i++) {
        struct status s = a_report(&r, 100, i + 1, STATE_REGISTERED);
        s.contacts.items[s.contacts.count++] = mem_dup_cstr(contacts[i]);
        report(w, &s);
        char seq[8];
        (void)snprintf(seq, sizeof(seq), "%zu", i + 1);
        expect_field(w, &r, "seq", seq);
    }
    (void)expect(w, "events", "registration.rebound", r.id, 1);
    assert_int_equal(count_of(w, "events", "registration.rebound", r.id), 1);
    assert_int_equal(count_of(w, "events", "registration.registered", r.id), 1);
}

static void an_orphan_is_counted_and_left_alone(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = a_registration("orphan", "trunk");
    r.id = 999000111;
    r.revision = 5;
    uint64_t orphans = metric(w, BUS_REPORTS, 8),
             published_before = metric(w, BUS_PUBLISHED, STORE_OP_DELETED);
    report_state(w, &r, 100, 1, STATE_REGISTERED);
    expect_metric(w, BUS_REPORTS, 8, orphans + 1);
    assert_string_equal(rawf(w->f, "EXISTS rc:{s%u}:reg:%" PRIu64, shard_of("orphan"), r.id), "0");
    assert_int_equal(metric(w, BUS_PUBLISHED, STORE_OP_DELETED), published_before);
}

static void what_cannot_be_read_is_skipped_and_the_rest_applied(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = published(w, "poison", "trunk");
    uint64_t poison = metric(w, BUS_POISON, 0);
    send_record(w, "any", r.id, STR_LIT("{not json"));
    send_record(w, "any", r.id, STR_LIT("{\"v\":1,\"id\":1}"));
    send_record(w, "any", r.id, STR_LIT("{\"v\":99}"));
    report_state(w, &r, 100, 1, STATE_REGISTERED);
    expect_field(w, &r, "state", "registered");
    expect_metric(w, BUS_POISON, 0, poison + 3);
}

// ---- deletion

static struct status removed_report(const struct registration *r, uint64_t revision, enum status_proof proof)
{
    struct status s = a_report(r, 100, 9, STATE_UNREGISTERED);
    s.revision = revision;
    s.removed = proof;
    return s;
}

static void a_proved_deletion_leaves_only_a_grave(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = published(w, "grave", "trunk");
    unsigned s = shard_of("grave");
    report_state(w, &r, 100, 1, STATE_REGISTERED);
    expect_field(w, &r, "state", "registered");
    assert_int_equal(do_delete(w->f, "grave", r.id), 0);
    uint64_t revision = w->f->changes[0]->revision;
    world_post(w);
    struct seen *remove = expect(w, "changes.any", "change.remove", r.id, 1);
    assert_non_null(json_get(remove->value, "spec"));
    assert_null(json_get(remove->value, "twin"));

    // a proof for an older revision proves nothing
    struct status early = removed_report(&r, r.revision, PROOF_ANSWERED);
    early.seq = 2;
    report(w, &early);
    (void)expect(w, "changes.any", "change.remove", r.id, 2);
    assert_string_equal(field_of(w, &r, "deleted"), "1");

    struct status proved = removed_report(&r, revision, PROOF_LAPSED);
    report(w, &proved);
    struct seen *event = expect(w, "events", "registration.removed", r.id, 1);
    assert_true(str_eq_cstr(json_str(json_get(event->value, "proof")), "lapsed"));
    char pattern[64];
    (void)snprintf(pattern, sizeof(pattern), "rc:{s%u}:reg:*", s);
    assert_string_equal(rawf(w->f, "KEYS %s", pattern), "");
    assert_string_equal(rawf(w->f, "ZSCORE rc:{s%u}:due %" PRIu64, s, r.id), "(nil)");
    assert_string_equal(rawf(w->f, "SISMEMBER rc:{s%u}:at:any:%u %" PRIu64, s, key_bucket(r.id), r.id), "0");
    assert_string_not_equal(rawf(w->f, "ZSCORE rc:{s%u}:gone %" PRIu64, s, r.id), "(nil)");
    assert_string_equal(rawf(w->f, "KEYS rc:{s%u}:acct:grave:*", s), "");
}

static void a_proved_deletion_of_one_that_lost_a_part_leaves_a_grave_too(void **state)
{
    struct world *w = *state;
    unsigned s = shard_of("partly");
    struct registration r cleanup(registration_done) = published(w, "partly", "trunk");
    assert_int_equal(do_delete(w->f, "partly", r.id), 0);
    (void)rawf(w->f, "HDEL rc:{s%u}:reg:%" PRIu64 " bucket binding", s, r.id);
    uint64_t revision = strtoull(rawf(w->f, "HGET rc:{s%u}:reg:%" PRIu64 " revision", s, r.id), NULL, 10);
    struct status proved = removed_report(&r, revision, PROOF_ANSWERED);
    report(w, &proved);
    expect_redis(w, "0", "EXISTS rc:{s%u}:reg:%" PRIu64, s, r.id);
    expect_redis(w, "(nil)", "ZSCORE rc:{s%u}:due %" PRIu64, s, r.id);
    assert_string_not_equal(rawf(w->f, "ZSCORE rc:{s%u}:gone %" PRIu64, s, r.id), "(nil)");
}

static void life_under_a_grave_is_answered_by_deleted_with_what_was_reported(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = a_registration("buried", "trunk");
    r.id = 999000222;
    r.revision = 5;
    (void)rawf(w->f, "ZADD rc:{s%u}:gone 1000 %" PRIu64, shard_of("buried"), r.id);
    report_state(w, &r, 100, 7, STATE_REGISTERED);
    struct seen *s = expect(w, "changes.any", "change.deleted", r.id, 1);
    assert_int_equal(json_u64_or(json_get(s->value, "revision"), 1), 0);
    assert_int_equal(json_u64_or(json_get(json_get(s->value, "status"), "seq"), 0), 7);

    uint64_t past = metric(w, BUS_REPORTS, 7);
    report_state(w, &r, 100, 8, STATE_UNREGISTERED); // no life in it
    expect_metric(w, BUS_REPORTS, 7, past + 1);
    (void)rawf(w->f, "ZADD rc:{s%u}:gone 9999999999999 %" PRIu64, shard_of("buried"), r.id);
    report_state(w, &r, 100, 9, STATE_REGISTERED); // told before the burial
    expect_metric(w, BUS_REPORTS, 7, past + 2);
    assert_int_equal(count_of(w, "changes.any", "change.deleted", r.id), 1);
}

static void life_under_a_grave_that_a_twin_holds_is_told_as_a_twin(void **state)
{
    struct world *w = *state;
    struct registration twin cleanup(registration_done) = published(w, "heir", "twin");
    struct status s = a_report(&twin, 100, 1, STATE_REGISTERED);
    s.id = 999000333;
    s.has_bound = true;
    registration_copy(&s.bound.sent, &twin);
    (void)rawf(w->f, "ZADD rc:{s%u}:gone 1000 999000333", shard_of("heir"));
    report(w, &s);
    const struct seen *told = expect(w, "changes.any", "change.deleted", 999000333, 1);
    assert_true(json_bool(json_get(told->value, "twin"), false));
    expect_field(w, &twin, "refresh_seq", "(nil)");
}

static void an_answered_unbind_raises_the_twin(void **state)
{
    struct world *w = *state;
    struct registration old cleanup(registration_done) = published(w, "twins", "old");
    struct registration twin cleanup(registration_done) = published(w, "twins", "twin");
    report_state(w, &twin, 100, 1, STATE_REGISTERED);
    expect_field(w, &twin, "state", "registered");
    assert_int_equal(do_delete(w->f, "twins", old.id), 0);
    uint64_t revision = w->f->changes[0]->revision;
    assert_true(w->f->changes[0]->twin);
    world_post(w);
    struct status proved = removed_report(&old, revision, PROOF_ANSWERED);
    report(w, &proved);
    struct seen *s = expect(w, "changes.any", "change.desired", twin.id, 2);
    assert_int_equal(json_u64_or(json_get(json_get(s->value, "spec"), "refresh_seq"), 0), 1);
    assert_true(json_u64_or(json_get(s->value, "revision"), 0) > twin.revision);
    expect_field(w, &twin, "refresh_seq", "1");
}

static void a_twin_of_what_merely_lapsed_is_not_raised(void **state)
{
    struct world *w = *state;
    struct registration old cleanup(registration_done) = published(w, "lapsed", "old");
    struct registration twin cleanup(registration_done) = published(w, "lapsed", "twin");
    assert_int_equal(do_delete(w->f, "lapsed", old.id), 0);
    uint64_t revision = w->f->changes[0]->revision;
    world_post(w);
    struct status proved = removed_report(&old, revision, PROOF_TWIN);
    report(w, &proved);
    (void)expect(w, "events", "registration.removed", old.id, 1);
    expect_field(w, &twin, "refresh_seq", "(nil)");
}

static void a_disabled_one_whose_unbind_was_answered_raises_the_twin_once(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = published(w, "disabled", "off");
    struct registration twin cleanup(registration_done) = published(w, "disabled", "twin");
    report_state(w, &r, 100, 1, STATE_REGISTERED);
    expect_field(w, &r, "state", "registered");
    struct registration off cleanup(registration_done);
    registration_copy(&off, &r);
    off.enabled = false;
    assert_int_equal(do_update(w->f, &r, &off), 0);
    off.revision = w->f->got.reg.revision;
    world_post(w);
    for (uint64_t seq = 2; seq < 4; seq++) { // a report may be told again
        struct status s = a_report(&off, 100, seq, STATE_DISABLED);
        s.removed = PROOF_ANSWERED;
        report(w, &s);
        expect_field(w, &r, "seq", seq == 2 ? "2" : "3");
    }
    expect_field(w, &twin, "refresh_seq", "1");
    (void)expect(w, "changes.any", "change.desired", twin.id, 2);
    assert_string_equal(rawf(w->f, "ZSCORE rc:{s%u}:due %" PRIu64, shard_of("disabled"), r.id), "(nil)");
}

static void a_binding_that_an_update_left_is_bound_again_by_its_twin(void **state)
{
    struct world *w = *state;
    struct registration copy cleanup(registration_done) = published(w, "edited", "copy");
    struct registration twin cleanup(registration_done) = published(w, "edited", "original");
    report_state(w, &copy, 100, 1, STATE_REGISTERED);
    expect_field(w, &copy, "state", "registered");
    struct registration edited cleanup(registration_done);
    registration_copy(&edited, &copy);
    set_text(&edited.contacts[0].uri, "sip:other@192.0.2.9");
    assert_int_equal(do_update(w->f, &copy, &edited), 0);
    edited.revision = w->f->got.reg.revision;
    world_post(w);
    report_state(w, &edited, 100, 2, STATE_RETRYING); // the old binding may still be there
    expect_field(w, &copy, "state", "retrying");
    assert_string_equal(field_of(w, &twin, "refresh_seq"), "(nil)");
    for (uint64_t seq = 3; seq < 5; seq++) { // once is enough
        report_state(w, &edited, 100, seq, STATE_REGISTERED);
        expect_field(w, &copy, "seq", seq == 3 ? "3" : "4");
    }
    expect_field(w, &twin, "refresh_seq", "1");
    (void)expect(w, "changes.any", "change.desired", twin.id, 2);
    assert_string_equal(field_of(w, &copy, "refresh_seq"), "(nil)");
    assert_string_equal(field_of(w, &copy, "left"), "(nil)");
}

// ---- moving

static void a_move_is_told_to_both_places_until_the_new_one_reports(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = published(w, "move", "trunk");
    report_state(w, &r, 5000, 1, STATE_REGISTERED);
    expect_field(w, &r, "reporter", "any");
    struct registration next cleanup(registration_done);
    registration_copy(&next, &r);
    next.node = 7;
    assert_int_equal(do_update(w->f, &r, &next), 0);
    next.revision = w->f->got.reg.revision;
    world_post(w);
    (void)expect(w, "changes.any", "change.moved", r.id, 1);
    (void)expect(w, "changes.node-7", "change.desired", r.id, 1);
    assert_string_equal(field_of(w, &r, "moved_from"), "any");

    // the old owner had a report under way: it is kept, and told again to let go
    report_state(w, &r, 5000, 2, STATE_RETRYING);
    expect_field(w, &r, "seq", "2");
    (void)expect(w, "changes.any", "change.moved", r.id, 2);

    // the new owner's epoch is lower and says nothing about the other place's
    report_state(w, &next, 40, 1, STATE_REGISTERED);
    expect_field(w, &r, "reporter", "node-7");
    assert_string_equal(field_of(w, &r, "moved_from"), "(nil)");
    assert_string_equal(field_of(w, &r, "state"), "registered");

    // from now on the old place is only told
    report_state(w, &r, 6000, 3, STATE_REJECTED);
    (void)expect(w, "changes.any", "change.moved", r.id, 3);
    assert_string_equal(field_of(w, &r, "state"), "registered");
}

// ---- what a former owner bound

static void report_of_former(struct world *w, const struct registration *r, uint64_t epoch,
                             const char *contact, uint64_t sent_ms)
{
    static uint64_t seq = 9;
    struct status s = a_report(r, epoch, ++seq, STATE_REGISTERED);
    s.has_bound = true;
    registration_copy(&s.bound.sent, r);
    set_text(&s.bound.sent.contacts[0].uri, contact);
    s.bound.last_sent_wall_ms = sent_ms;
    report(w, &s);
}

static void expect_stray(struct world *w, const char *topic, const struct registration *r, size_t nth,
                         uint64_t epoch)
{
    const struct seen *s = expect(w, topic, "change.desired", r->id, nth);
    assert_true(json_bool(json_get(s->value, "stray"), false));
    assert_int_equal(json_u64_or(json_get(s->value, "revision"), 0), r->revision);
    assert_int_equal(json_u64_or(json_get(json_get(s->value, "status"), "epoch"), 0), epoch);
}

static void what_an_owner_sent_after_its_successor_had_begun_is_told_to_that(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = published(w, "split", "trunk");
    uint64_t began = clock_wall_ms(), before = began - 60000, stale = metric(w, BUS_REPORTS, 3);
    char *wanted cleanup(mem_free_cstr) = mem_dup_cstr(r.contacts[0].uri);
    report_state(w, &r, began, 1, STATE_REGISTERED);
    expect_field(w, &r, "seq", "1");
    report_of_former(w, &r, before, "sip:old@192.0.2.9", began - 1); // whoever took over knew of it
    expect_metric(w, BUS_REPORTS, 3, stale + 1);                     // two in one batch would be one
    report_of_former(w, &r, before, wanted, began + 1);              // as it should be
    expect_metric(w, BUS_REPORTS, 3, stale + 2);
    report_of_former(w, &r, before, "sip:old@192.0.2.9", began + 1);
    expect_metric(w, BUS_REPORTS, 9, 1);
    expect_stray(w, "changes.any", &r, 2, before);
    assert_string_equal(field_of(w, &r, "seq"), "1");
}

static void what_a_former_place_still_has_bound_is_told_to_the_new_one(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = published(w, "strays", "trunk");
    report_state(w, &r, 5000, 1, STATE_REGISTERED);
    expect_field(w, &r, "reporter", "any");
    struct registration next cleanup(registration_done);
    registration_copy(&next, &r);
    next.node = 7;
    set_text(&next.contacts[0].uri, "sip:new@192.0.2.9");
    assert_int_equal(do_update(w->f, &r, &next), 0);
    next.revision = w->f->got.reg.revision;
    world_post(w);
    (void)expect(w, "changes.node-7", "change.desired", r.id, 1);
    report_state(w, &next, 40, 1, STATE_REGISTERED);
    expect_field(w, &r, "reporter", "node-7");
    report_of_former(w, &r, 6000, "sip:100@192.0.2.9", clock_wall_ms());
    (void)expect(w, "changes.any", "change.moved", r.id, 2);
    expect_stray(w, "changes.node-7", &next, 2, 6000);
    assert_string_equal(field_of(w, &r, "reporter"), "node-7");
}

// ---- healing

static void a_write_whose_gateway_died_before_publishing_is_swept(void **state)
{
    struct world *w = *state;
    world_wait_until_heard(w, NULL);
    struct registration r cleanup(registration_done) = created(w->f, "sweep", "trunk"); // never posted
    uint64_t swept = metric(w, BUS_SWEPT, 0);
    struct seen *s = expect(w, "changes.any", "change.desired", r.id, 1);
    assert_int_equal(json_u64_or(json_get(s->value, "revision"), 0), r.revision);
    expect_metric(w, BUS_SWEPT, 0, swept + 1);
    assert_string_equal(field_of(w, &r, "pause"), "1000");
    uint64_t end_us = clock_monotonic_us() + SOON_MS * UINT64_C(1000);
    while (due_of(w, &r) < r.revision + REPORT_WAIT_MS && clock_monotonic_us() < end_us)
        ; // acknowledged
    assert_true(due_of(w, &r) >= r.revision + REPORT_WAIT_MS);
}

static void who_stays_silent_is_asked_with_doubling_pauses_until_it_reports(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = published(w, "pause", "trunk");
    report_state(w, &r, 100, 1, STATE_REGISTERED);
    expect_field(w, &r, "state", "registered");
    // its next action and the grace are over, and it says nothing
    (void)rawf(w->f, "ZADD rc:{s%u}:due 1 %" PRIu64, shard_of("pause"), r.id);
    struct seen *first = expect(w, "changes.any", "change.desired", r.id, 2);
    assert_non_null(json_get(first->value, "status"));
    (void)expect(w, "changes.any", "change.desired", r.id, 3);
    expect_field(w, &r, "pause", "2000");
    (void)expect(w, "changes.any", "change.desired", r.id, 4);
    expect_field(w, &r, "pause", "4000");
    report_state(w, &r, 100, 2, STATE_REGISTERED);
    expect_field(w, &r, "pause", "0");
    assert_true(due_of(w, &r) > now_ms(w->f) + 3000000);
}

static void while_reports_lag_nothing_is_swept(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = published(w, "lag", "trunk");
    uint64_t braked = metric(w, BUS_BRAKED, 3);
    struct status s = a_report(&r, 100, 1, STATE_REGISTERED);
    struct buf value cleanup(buf_done) = BUF_INIT;
    status_write(&value, &s);
    send_record_at(w, "status.any", s.id, buf_str(&value), clock_wall_ms() - 5000);
    status_done(&s);
    expect_field(w, &r, "state", "registered");
    expect_metric(w, BUS_BRAKED, 3, braked + 3);
    // and is again once the lag is over
    (void)rawf(w->f, "ZADD rc:{s%u}:due 1 %" PRIu64, shard_of("lag"), r.id);
    (void)expect(w, "changes.any", "change.desired", r.id, 2);
}

static void a_due_without_its_registration_is_dropped(void **state)
{
    struct world *w = *state;
    (void)raw(w->f, "ZADD rc:{s3}:due 1 888777");
    expect_redis(w, "(nil)", "ZSCORE rc:{s3}:due 888777");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_is_published_at_once_as_a_cloud_event),
        cmocka_unit_test(the_acknowledgement_lets_due_wait_for_the_report),
        cmocka_unit_test(an_applied_report_moves_due_to_the_next_action_and_is_an_event),
        cmocka_unit_test(a_silent_report_leaves_due),
        cmocka_unit_test(a_report_not_above_the_held_pair_changes_nothing),
        cmocka_unit_test(a_report_behind_is_answered_with_the_present_revision_and_the_last_status),
        cmocka_unit_test(other_contacts_at_the_registrar_are_a_rebound_and_other_expires_are_not),
        cmocka_unit_test(an_orphan_is_counted_and_left_alone),
        cmocka_unit_test(what_cannot_be_read_is_skipped_and_the_rest_applied),
        cmocka_unit_test(a_proved_deletion_leaves_only_a_grave),
        cmocka_unit_test(a_proved_deletion_of_one_that_lost_a_part_leaves_a_grave_too),
        cmocka_unit_test(life_under_a_grave_is_answered_by_deleted_with_what_was_reported),
        cmocka_unit_test(life_under_a_grave_that_a_twin_holds_is_told_as_a_twin),
        cmocka_unit_test(an_answered_unbind_raises_the_twin),
        cmocka_unit_test(a_disabled_one_whose_unbind_was_answered_raises_the_twin_once),
        cmocka_unit_test(a_twin_of_what_merely_lapsed_is_not_raised),
        cmocka_unit_test(a_binding_that_an_update_left_is_bound_again_by_its_twin),
        cmocka_unit_test(a_move_is_told_to_both_places_until_the_new_one_reports),
        cmocka_unit_test(what_an_owner_sent_after_its_successor_had_begun_is_told_to_that),
        cmocka_unit_test(what_a_former_place_still_has_bound_is_told_to_the_new_one),
        cmocka_unit_test(a_write_whose_gateway_died_before_publishing_is_swept),
        cmocka_unit_test(who_stays_silent_is_asked_with_doubling_pauses_until_it_reports),
        cmocka_unit_test(while_reports_lag_nothing_is_swept),
        cmocka_unit_test(a_due_without_its_registration_is_dropped),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
