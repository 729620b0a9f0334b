// services/registrant/core under random changes, losses and answers, against a registrar that keeps bindings:
// whatever happens, no two requests of a registration are in flight, CSeq rises, what is reported as bound is
// bound, what is reported as removed is gone, and without a lease nothing is bound that was not asked for
// before; and once the registrar answers everything, no binding lapses. Arguments: the first seed and the
// last one.
#include "tests/unit/engine_soak.h"

#define STEPS    30000
#define WALL_MS  UINT64_C(1767225600000)
#define START_US UINT64_C(1000000000)
#define SLACK_MS 20 // a tick of the wheel and the rounding of two clocks

static uint64_t first_seed = 1, last_seed = 20;

static bool is_removal(const struct sip_request *r, struct str contact)
{
    return !r->expires || str_ends(contact, STR_LIT(";expires=0"));
}

static struct str uri_of(struct str contact) // a flow that goes on without its number is the same contact
{
    return str_slice(contact, 0, str_find(contact, '>', 0));
}

static bool was_asked(const struct one *one, struct str contact)
{
    for (size_t i = 0; i < one->asked_count && i < MAX_ASKED; i++)
        if (str_eq(uri_of(str_of(one->asked[i])), uri_of(contact)))
            return true;
    return false;
}

// Without a lease another may own it, and nobody may once the loop stood still.
static void assert_allowed(const struct soak *s, struct one *one, const struct sip_request *r)
{
    bool all = s->lease == LEASE_FRESH && !s->parked;
    assert_true(s->lease != LEASE_STALLED);
    for (size_t i = 0; i < r->contact_count; i++) {
        if (!all && is_removal(r, r->contacts[i]) && r->expires == 0)
            fail_msg("registration %llu is removed without a lease", (unsigned long long)one->reg.id);
        if (is_removal(r, r->contacts[i]) || was_asked(one, r->contacts[i]))
            continue;
        if (!all)
            fail_msg("registration %llu: " STR_FMT " is bound without a lease",
                     (unsigned long long)one->reg.id, STR_ARG(r->contacts[i]));
        copy(one->asked[one->asked_count++ % MAX_ASKED], sizeof(one->asked[0]), r->contacts[i]);
    }
}

static int on_send(void *arg, const struct sip_request *r, uint64_t token)
{
    struct soak *s = arg;
    uint64_t id = id_of(r->to);
    struct one *one = one_of(s, id);
    assert_int_equal(one->reg.id, id);
    assert_false(one->in_flight);
    assert_true(r->cseq > one->cseq);
    one->cseq = r->cseq;
    assert_allowed(s, one, r);
    if (!s->kind && rng_below(&s->rng, 100) == 0)
        return -1;
    assert_true(s->open_count < MAX_OPEN);
    struct open *o = &s->open[s->open_count++];
    *o =
        (struct open){.token = token, .id = id, .expires = r->expires, .cseq = r->cseq, .sent_us = s->now.us};
    copy(o->aor, sizeof(o->aor), r->to);
    o->authorized = r->authorization_count > 0;
    o->outbound = str_find_str(r->supported, STR_LIT("outbound")) < r->supported.n;
    assert_true(r->contact_count <= 8);
    o->contact_count = r->contact_count;
    for (size_t i = 0; i < r->contact_count; i++)
        copy(o->contacts[i], sizeof(o->contacts[i]), r->contacts[i]);
    one->in_flight = true;
    return 0;
}

static size_t count_bound(const struct soak *s, const struct one *one, const char *aor)
{
    size_t count = 0;
    for (size_t i = 0; i < MAX_BOUND; i++)
        count += one->bound[i].until_ms > s->now.wall_ms + SLACK_MS &&
                 (!aor || strcmp(one->bound[i].aor, aor) == 0);
    return count;
}

static void keep_last(struct one *one, const struct status *status)
{
    struct buf text = BUF_INIT;
    struct json *tree = NULL;
    struct error err;
    status_write(&text, status);
    assert_int_equal(json_parse(buf_str(&text), &JSON_LIMITS_DEFAULT, &tree, &err), 0);
    if (one->has_last)
        status_done(&one->last);
    assert_int_equal(status_read(tree, &one->last, &err), 0);
    one->has_last = true;
    json_free(tree);
    buf_done(&text);
}

static void assert_gone(const struct soak *s, const struct one *one, const struct status *status)
{
    if (!count_bound(s, one, NULL))
        return;
    for (size_t i = 0; i < MAX_BOUND; i++)
        if (one->bound[i].until_ms > s->now.wall_ms)
            print_error("%s holds %s for %llu ms more\n", one->bound[i].aor, one->bound[i].contact,
                        (unsigned long long)(one->bound[i].until_ms - s->now.wall_ms));
    fail_msg("registration %llu is reported as %s (proof %d, code %d %s), wanted at %s",
             (unsigned long long)status->id, status_state_name(status->state), status->removed, status->code,
             status->reason ? status->reason : "", one->reg.domain);
}

static void on_report(void *arg, uint32_t shard, const struct status *status)
{
    struct soak *s = arg;
    struct one *one = one_of(s, status->id);
    (void)shard;
    s->reports++;
    if (one->reg.id != status->id) // said once more of one that is removed
        return;
    if (status->state == STATE_REGISTERED) {
        s->registered++;
        assert_true(status->has_bound && status->expires_at_wall_ms > 0);
        if (!count_bound(s, one, NULL) && status->expires_at_wall_ms > s->now.wall_ms + SLACK_MS)
            fail_msg("registration %llu is reported as registered and is not",
                     (unsigned long long)status->id);
    }
    if (status->state == STATE_DISABLED)
        assert_gone(s, one, status);
    if (status->removed != PROOF_NONE) {
        s->removals++;
        assert_gone(s, one, status);
        if (one->removing && status->revision == one->revision)
            one->wanted = false;
    }
    keep_last(one, status);
}

static void on_closed(void *arg, uint32_t shard)
{
    struct soak *s = arg;
    assert_int_equal(shard, 1);
    s->loaded = false;
}

static uint32_t on_keep_alive(void *arg, uint64_t token, uint32_t flow_timer_s)
{
    struct soak *s = arg;
    (void)token;
    (void)flow_timer_s;
    return 1 + (uint32_t)rng_below(&s->rng, FLOWS);
}

static struct str on_local(void *arg, enum registration_transport transport, struct str interface,
                           struct str host)
{
    const struct soak *s = arg;
    (void)transport;
    (void)interface;
    (void)host;
    return s->node ? STR_LIT("192.0.2.77:5060") : STR_LIT("192.0.2.1:5060");
}

static void begin_engine(struct soak *s)
{
    static const struct engine_ops ops = {.send = on_send,
                                          .report = on_report,
                                          .closed = on_closed,
                                          .local_hostport = on_local,
                                          .keep_alive = on_keep_alive};
    struct engine_params p = {
        .ops = &ops, .ops_arg = s, .policy = engine_policy_default(), .ring = s->ring, .seed = s->seed++};
    p.policy.registrar_rate = 50;
    p.policy.registrar_in_flight = 10;
    p.policy.max_in_flight = 16;
    p.policy.nat_contact = s->nat;
    p.policy.rules = s->rules;
    p.policy.node = s->node ? "b" : "a";
    s->lease = LEASE_FRESH;
    s->parked = false;
    s->engine = engine_new(&p, s->now);
    engine_credit(s->engine, s->slow_bus ? 1 : 1u << 30, s->now);
}
// ---- the gateway

static void tell(struct soak *s, struct one *one, bool snapshot)
{
    one->reg.revision = one->revision;
    const struct desired d = {.op = one->removing ? DESIRED_REMOVE : DESIRED_KEEP,
                              .reg = &one->reg,
                              .id = one->reg.id,
                              .revision = one->revision,
                              .last = one->has_last ? &one->last : NULL,
                              .snapshot = snapshot};
    engine_desired(s->engine, 1, &d, s->now);
}

static void set_contact(struct soak *s, struct registration *r)
{
    char text[128];
    for (size_t i = 0; i < r->contact_count; i++)
        free(r->contacts[i].uri);
    if (rng_below(&s->rng, 8) == 0) {
        r->contact_count = 1;
        r->contacts[0] =
            (struct contact){.uri = mem_dup_cstr("<sip:192.0.2.9;bnc>"), .expires = REGISTRATION_UNSET};
        return;
    }
    r->contact_count = 1 + rng_below(&s->rng, 2);
    bool flow = r->contact_count == 1 && rng_below(&s->rng, 2);
    for (size_t i = 0; i < r->contact_count; i++) {
        uint64_t host = i * 4 + rng_below(&s->rng, 4);
        if (host % 4 == 3)
            (void)snprintf(text, sizeof(text), "<sip:u%llu@{local};i=%zu>", (unsigned long long)r->id, i);
        else
            (void)snprintf(text, sizeof(text), "<sip:u%llu@192.0.2.%llu>%s", (unsigned long long)r->id,
                           (unsigned long long)host, flow ? ";+sip.instance=\"<urn:uuid:1>\";reg-id=1" : "");
        r->contacts[i] = (struct contact){.uri = mem_dup_cstr(text), .expires = REGISTRATION_UNSET};
    }
}

static void set_domain(struct soak *s, struct registration *r)
{
    static const char *const domains[] = {"a.example", "b.example"};
    free(r->domain);
    r->domain = mem_dup_cstr(domains[rng_below(&s->rng, ARRAY_LEN(domains))]);
}

static void set_quirks(struct soak *s, struct registration *r)
{
    r->quirks = (struct quirks){.challenge_first = rng_below(&s->rng, 4) == 0,
                                .non_stale = (enum non_stale)rng_below(&s->rng, 3),
                                .stagger = rng_below(&s->rng, 4) == 0,
                                .clear_first = rng_below(&s->rng, 4) == 0};
}

static void create(struct soak *s, struct one *one, uint64_t id)
{
    char text[32];
    registration_init(&one->reg);
    one->wanted = true;
    one->removing = false;
    one->reg.id = id;
    one->reg.account = mem_dup_cstr("acme");
    (void)snprintf(text, sizeof(text), "u%llu", (unsigned long long)id);
    one->reg.username = mem_dup_cstr(text);
    one->reg.retry_delay_s = 1 + (int64_t)rng_below(&s->rng, 20);
    set_quirks(s, &one->reg);
    one->reg.expires = 20 + (int64_t)rng_below(&s->rng, 400);
    set_domain(s, &one->reg);
    set_contact(s, &one->reg);
    struct buf sealed = BUF_INIT;
    const struct seal_context context = {.account = STR_LIT("acme"), .id = id, .field = "password"};
    seal_text(s->ring, &context, STR_LIT("secret"), &sealed);
    one->reg.credentials[0].secret = buf_steal(&sealed);
    one->reg.credential_count = 1;
}

static void forget(struct one *one)
{
    registration_done(&one->reg);
    if (one->has_last)
        status_done(&one->last);
    one->has_last = false;
}

static void change_one(struct soak *s)
{
    struct one *one = one_of(s, rng_below(&s->rng, IDS));
    if (!one->wanted) {
        uint64_t id = one->reg.id ? one->reg.id + IDS : IDS + (uint64_t)(one - s->ones);
        if (one->reg.id)
            forget(one);
        *one = (struct one){0};
        create(s, one, id);
    } else if (!one->removing) {
        uint64_t what = rng_below(&s->rng, 15);
        if (what > 12)
            one->reg.audit_seq++;
        else if (what == 12)
            one->reg.transport = one->reg.transport == TRANSPORT_UDP ? TRANSPORT_TCP : TRANSPORT_UDP;
        else if (what == 11)
            one->reg.expires = 20 + (int64_t)rng_below(&s->rng, 400);
        else if (what == 10)
            set_quirks(s, &one->reg);
        else if (what < 3)
            set_contact(s, &one->reg);
        else if (what < 4)
            set_domain(s, &one->reg);
        else if (what < 6)
            one->reg.enabled = !one->reg.enabled;
        else if (what < 7)
            one->reg.refresh_seq++;
        else if (what < 8)
            one->reg.flush_seq++;
        else if (what < 9)
            one->reg.retry_delay_s++;
        else
            one->removing = true;
    }
    one->revision++;
    if (s->loaded)
        tell(s, one, false);
}

static void take_over(struct soak *s)
{
    engine_shard_load(s->engine, 1, "any");
    s->parked = false;
    for (size_t i = 0; i < IDS; i++)
        if (s->ones[i].wanted)
            tell(s, &s->ones[i], true);
    engine_shard_open(s->engine, 1, ++s->epoch, 1, s->now);
    s->loaded = true;
}

static void pass(struct soak *s, uint64_t us)
{
    s->now.us += us;
    s->now.wall_ms = WALL_MS + (s->now.us - START_US) / 1000;
}

// kill -9: what is on its way is answered to nobody, and may have been applied.
static void kill(struct soak *s)
{
    engine_free(s->engine);
    while (s->open_count) {
        struct open *o = &s->open[--s->open_count];
        if (rng_below(&s->rng, 2))
            apply(s, o, o->expires);
        one_of(s, o->id)->in_flight = false;
    }
    s->node = (unsigned)rng_below(&s->rng, 2);
    pass(s, 12000000); // no faster than a session's time-out
    begin_engine(s);
    take_over(s);
}

static void close_and_open(struct soak *s)
{
    engine_shard_close(s->engine, 1, s->now);
    uint64_t until = s->now.us + 10000000;
    while (s->loaded && s->now.us < until) {
        pass(s, 100000);
        if (s->open_count && rng_below(&s->rng, 2))
            answer_one(s, rng_below(&s->rng, s->open_count));
        engine_credit(s->engine, 1, s->now);
        (void)engine_tick(s->engine, s->now);
    }
    assert_false(s->loaded);
    while (s->open_count) // of registrations that were forgotten
        answer_one(s, 0);
    take_over(s);
}

static void set_lease(struct soak *s, enum engine_lease lease)
{
    s->lease = lease;
    engine_lease(s->engine, lease, s->now);
}

static void set_parked(struct soak *s, bool parked)
{
    s->parked = parked;
    if (parked)
        engine_shard_park(s->engine, 1, s->now);
    else
        engine_shard_unpark(s->engine, 1, ++s->epoch, 1, s->now);
}

static void change_targets(struct soak *s)
{
    static const char *const registrars[] = {"udp:a.example:0", "udp:b.example:0", "tcp:a.example:0"};
    const struct str both[] = {STR_LIT("udp:192.0.2.50:5060"), STR_LIT("udp:192.0.2.51:5060")};
    engine_targets_changed(s->engine, str_of(registrars[rng_below(&s->rng, ARRAY_LEN(registrars))]),
                           both + rng_below(&s->rng, 2), rng_below(&s->rng, 2), s->now);
}

static void set_rules(struct soak *s, const char *text)
{
    struct rules *old = s->rules;
    struct error err;
    assert_int_equal(rules_parse(str_of(text), &s->rules, &err), 0);
    engine_rules(s->engine, s->rules, s->now);
    rules_free(old);
}

static void change_rules(struct soak *s)
{
    static const char *const texts[] = {"", "a.example expires_min=300\n", "* rate=20 aor_rate=1\n",
                                        "b.* rate=1 hard\na.* in_flight=1\n",
                                        "*.example rate=0 aor_rate=0 expires_min=60 in_flight=50\n"};
    set_rules(s, texts[rng_below(&s->rng, ARRAY_LEN(texts))]);
}

static void upset(struct soak *s)
{
    static const enum engine_lease leases[] = {LEASE_FRESH, LEASE_EXPIRED, LEASE_STALLED};
    uint64_t what = rng_below(&s->rng, 50);
    if (what == 0)
        s->silent = !s->silent;
    else if (what == 1 && !s->nat && !s->slow_bus) // nobody is left to know what was bound and not told
        kill(s);
    else if (what == 2)
        close_and_open(s);
    else if (what == 3)
        set_parked(s, true);
    else if (what < 7)
        set_lease(s, leases[rng_below(&s->rng, ARRAY_LEN(leases))]);
    else if (what < 13 && what > 10)
        change_rules(s);
    else if (what < 17 && what > 12)
        change_targets(s);
    else if (what < 20 && what > 9)
        engine_flow_lost(s->engine, 1 + (uint32_t)rng_below(&s->rng, FLOWS), s->now);
    else if (what < 10)
        engine_report_failed(s->engine, s->ones[rng_below(&s->rng, IDS)].reg.id, s->now);
    else {
        set_parked(s, false);
        set_lease(s, LEASE_FRESH);
        s->silent = false;
    }
}

static void time_out_the_old(struct soak *s)
{
    for (size_t i = 0; i < s->open_count;) {
        if (s->now.us - s->open[i].sent_us < 32000000) {
            i++;
            continue;
        }
        bool was = s->silent;
        s->silent = true;
        answer_one(s, i);
        s->silent = was;
    }
}

// ---- a registrar that answers

enum { TURN_US = 200000 };

static void turn(struct soak *s)
{
    pass(s, TURN_US);
    (void)engine_tick(s->engine, s->now);
    while (s->open_count)
        answer_one(s, 0);
}

static void command(struct soak *s, struct one *one, uint64_t what)
{
    if (!one->wanted || one->removing)
        return;
    uint64_t *const counters[] = {&one->reg.refresh_seq, &one->reg.flush_seq, &one->reg.audit_seq};
    ++*counters[what];
    one->revision++;
    tell(s, one, false);
}

// One, or all at once, which takes longer than most bindings last.
static void command_some(struct soak *s)
{
    uint64_t dice = rng_below(&s->rng, 500), what = rng_below(&s->rng, 3);
    if (dice < 5)
        command(s, one_of(s, rng_below(&s->rng, IDS)), what);
    for (size_t i = 0; i < IDS && dice == 499; i++)
        command(s, &s->ones[i], what);
}

// What ran out in this turn with nothing else bound was not refreshed in its time: a removal leaves no end.
static void assert_none_lapsed(const struct soak *s)
{
    for (size_t i = 0; i < IDS; i++) {
        const struct one *one = &s->ones[i];
        if (!one->wanted || one->removing || !one->reg.enabled || count_bound(s, one, NULL))
            continue;
        for (size_t k = 0; k < MAX_BOUND; k++)
            if (one->bound[k].until_ms + SLACK_MS + TURN_US / 1000 > s->now.wall_ms)
                fail_msg("registration %llu: %s lapsed though all was answered",
                         (unsigned long long)one->reg.id, one->bound[k].contact);
    }
}

static void nothing_lapses_while_all_is_answered(struct soak *s)
{
    s->kind = true;
    set_rules(s, "*.example rate=0 aor_rate=0 in_flight=50\n");
    for (int i = 0; i < 35000; i++) // the longest wait of what was refused is an hour and a half
        turn(s);
    // Less than live bindings need, so what is asked for beside them waits for longer than they last.
    set_rules(s, "*.example rate=1\n");
    engine_shard_open(s->engine, 1, ++s->epoch, 0.3, s->now);
    for (int i = 0; i < 10000; i++) {
        command_some(s);
        turn(s);
        assert_none_lapsed(s);
    }
    for (int i = 0; i < 5000; i++) // and what was asked for is done
        turn(s);
}

static void settle(struct soak *s)
{
    s->silent = false;
    set_parked(s, false);
    set_lease(s, LEASE_FRESH);
    engine_credit(s->engine, 1u << 29, s->now);
    for (int i = 0; i < 40000; i++) {
        turn(s);
    }
}

static void runs_through_anything(void **state)
{
    (void)state;
    static struct soak s;
    struct error err;
    for (uint64_t seed = first_seed; seed <= last_seed; seed++) {
        memset(&s, 0, sizeof(s));
        s.seed = seed * 1000;
        s.nat = seed % 4 == 0;
        s.slow_bus = seed % 3 == 0;
        s.rng.state = seed;
        s.now = (struct moment){.us = START_US, .wall_ms = WALL_MS};
        assert_int_equal(
            key_ring_parse(STR_LIT("k 0000000000000000000000000000000000000000000000000000000000000001\n"),
                           &s.ring, &err),
            0);
        begin_engine(&s);
        take_over(&s);
        for (int i = 0; i < STEPS; i++) {
            uint64_t what = rng_below(&s.rng, 100);
            if (what < 4)
                change_one(&s);
            else if (what < 5)
                upset(&s);
            else if (what < 45 && s.open_count)
                answer_one(&s, rng_below(&s.rng, s.open_count));
            else
                pass(&s, rng_below(&s.rng, 1000000));
            time_out_the_old(&s);
            if (s.slow_bus && what % 20 == 0)
                engine_credit(s.engine, 2, s.now);
            (void)engine_tick(s.engine, s.now);
        }
        settle(&s);
        nothing_lapses_while_all_is_answered(&s);
        assert_true(s.reports > 1000 && s.removals > 10 && s.registered > 300);
        struct engine_stats stats = engine_stats(s.engine);
        size_t wanted = 0, live = 0;
        for (size_t i = 0; i < IDS; i++) {
            wanted += s.ones[i].wanted;
            live += s.ones[i].wanted && s.ones[i].has_last &&
                    s.ones[i].last.expires_at_wall_ms > s.now.wall_ms + SLACK_MS;
        }
        assert_true(stats.bound >= live);
        assert_int_equal(stats.registrations, wanted);
        assert_int_equal(stats.in_flight, s.open_count);
        engine_free(s.engine);
        for (size_t i = 0; i < IDS; i++)
            if (s.ones[i].reg.id)
                forget(&s.ones[i]);
        key_ring_free(s.ring);
        rules_free(s.rules);
    }
}

int main(int count, char **arguments)
{
    if (count > 2) {
        first_seed = strtoull(arguments[1], NULL, 10);
        last_seed = strtoull(arguments[2], NULL, 10);
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(runs_through_anything)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
