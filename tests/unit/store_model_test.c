// The indexes of an account against a model: random creations, changes, deletions, batches, reports, proofs
// and fail-overs on a real redis-server, and after each what Redis holds beside the registrations' hashes is
// compared, key by key, with what the registrations say. ROLLCALL_TEST_SEED repeats another run.
#include "common/base/rng.h"
#include "services/gateway/store/terms.h"
#include "tests/unit/store_bus.h"
#include "tests/unit/store_lines.h"

enum { KEPT_MAX = 2000, BATCH_MAX = 5, STEPS = 300, KEYS = 3, LOST_STEPS = 25 };

// A registration as it must be found.
struct kept {
    struct registration reg; // account, id and what indexes look at
    bool exists;             // its hash is there: deleted ones too, until their removal is proved
    bool deleted;
    int state; // as last reported; -1: never
    uint64_t live_until_ms;
    char place[REGISTRATION_PLACE_BYTES];
};

// The newest change of one registration since Redis was copied.
struct lost {
    struct store_change *change;
    int state; // that its status says; -1: it has none
    uint64_t live_until_ms;
};

struct model {
    struct fixture *f;
    struct rng rng;
    uint64_t seed;
    struct kept kept[KEPT_MAX]; // by id
    uint64_t last_id;
    uint64_t made[KEYS]; // by idempotency key; 0: not used yet
    bool is_lossy;       // changes are collected in `lost`
    struct lost lost[KEPT_MAX];
    // of a batch
    struct store_item items[BATCH_MAX];
    struct registration before[BATCH_MAX], after[BATCH_MAX];
    size_t item_count;
    int answers, rc;
    uint64_t ids[BATCH_MAX];
};

static const char *const accounts[] = {"acme", "other"};

#define LONG_TEXT "0123456789012345678901234567890123456789012345678901234567890123456789"

static const char *const names[] = {"", "", "a", "b", "c", "na\xc3\xafve \"x\"", "d\n:e"};
static const char longer_text[] = LONG_TEXT "x";
static const char *const users[] = {"100", "101",     "ALICE",     "#0f",     "tab\tuser",
                                    "a:b", LONG_TEXT, longer_text, "\xc3\xbc"};
static const char *const domains[] = {"one", "ONE", "two:5070", "[2001:DB8::1]"};
static const char *const labels[] = {NULL, "{\"index\":{\"t\":\"1\",\"u\":\"x\\ny\"}}",
                                     "{\"index\":{\"t\":\"2\",\"n\":7,\"a b\":\"c\"}}",
                                     "{\"index\":{\"t\":\"1\\u0000\"}}", "{\"other\":{\"t\":\"1\"}}"};
static const char *const contacts[] = {"sip:100@192.0.2.9", "sip:200@192.0.2.9", "sip:100@{local}"};

#define PICK(m, table) ((table)[rng_below(&(m)->rng, ARRAY_LEN(table))])

static bool one_in(struct model *m, uint64_t n)
{
    return rng_below(&m->rng, n) == 0;
}

// ---- what must be held

static void add_index(struct lines *l, const struct kept *k, const char *kind, struct str value)
{
    struct buf key = BUF_INIT;
    char id[24];
    (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)k->reg.id);
    key_account(&key, str_of(k->reg.account), kind);
    buf_add_str(&key, value);
    add_line(l, &key, str_of(id), id);
}

// Of one that is listed.
static void expect_listed(struct lines *l, const struct kept *k, struct str terms)
{
    char digest[STORE_DIGEST_BYTES], id[24], until[24];
    struct buf key = BUF_INIT;
    struct str term;
    int state = k->state < 0 ? STATE_PENDING : k->state;
    (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)k->reg.id);
    (void)snprintf(until, sizeof(until), "%llu", (unsigned long long)k->live_until_ms);
    key_binding_digest(&k->reg, digest);
    add_index(l, k, "ids", STR_NONE);
    if (k->reg.enabled)
        add_index(l, k, "by:binding:", str_of(digest));
    while (str_split(&terms, '\n', &term))
        add_index(l, k, "by:", term);
    if (state != STATE_REGISTERED)
        add_index(l, k, "by:state:", str_of(status_state_name((enum status_state)state)));
    if (k->live_until_ms) {
        key_account(&key, str_of(k->reg.account), "live");
        add_line(l, &key, str_of(id), until);
    }
    if (k->reg.name[0]) {
        key_account(&key, str_of(k->reg.account), "names");
        add_line(l, &key, str_of(k->reg.name), id);
    }
}

static void expect(struct lines *l, const struct kept *k)
{
    unsigned shard = store_shard(str_of(k->reg.account));
    char id[24];
    struct buf key = BUF_INIT, terms cleanup(buf_done) = BUF_INIT;
    (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)k->reg.id);
    terms_of(&terms, &k->reg);
    key_registration(&key, shard, k->reg.id);
    add_line(l, &key, k->deleted ? STR_LIT("-") : buf_str(&terms), "");
    key_at(&key, shard, k->place, key_bucket(k->reg.id));
    add_line(l, &key, str_of(id), "");
    if (!k->deleted)
        expect_listed(l, k, buf_str(&terms));
}

static void check(struct model *m, const char *after)
{
    static struct lines l;
    for (uint64_t id = 1; id <= m->last_id; id++)
        if (m->kept[id].exists)
            expect(&l, &m->kept[id]);
    if (lines_are_held(m->f, &l))
        return;
    print_message("seed %llu, after %s\n", (unsigned long long)m->seed, after);
    fail();
}

// ---- the model's side of a write

static void keep(struct model *m, uint64_t id, const struct registration *r)
{
    assert_true(id && id < KEPT_MAX);
    struct kept *k = &m->kept[id];
    bool is_new = !k->exists;
    assert_false(k->deleted);
    registration_done(&k->reg);
    registration_copy(&k->reg, r);
    k->reg.id = id;
    registration_place(r, k->place);
    k->exists = true;
    if (is_new) {
        k->state = -1;
        k->live_until_ms = 0;
    }
    m->last_id = id > m->last_id ? id : m->last_id;
}

static void note_changes(struct model *m)
{
    for (size_t i = 0; m->is_lossy && i < m->f->change_count; i++) {
        struct store_change *c = m->f->changes[i];
        if (c->op != STORE_OP_DESIRED && c->op != STORE_OP_REMOVE)
            continue;
        struct lost *l = &m->lost[c->id];
        const struct kept *k = &m->kept[c->id];
        store_change_free(l->change);
        *l = (struct lost){.change = c,
                           .state = c->status ? k->state : -1,
                           .live_until_ms = c->status ? k->live_until_ms : 0};
        m->f->changes[i] = NULL;
    }
    fixture_forget(m->f);
}

static bool is_listed(const struct kept *k)
{
    return k->exists && !k->deleted;
}

// NULL where there is none.
static struct kept *any_kept(struct model *m, const char *account)
{
    for (int tries = 0; m->last_id && tries < 20; tries++) {
        struct kept *k = &m->kept[1 + rng_below(&m->rng, m->last_id)];
        if (is_listed(k) && (!account || !strcmp(k->reg.account, account)))
            return k;
    }
    return NULL;
}

static bool has_name(const struct model *m, const char *account, const char *name)
{
    for (uint64_t id = 1; *name && id <= m->last_id; id++)
        if (is_listed(&m->kept[id]) && !strcmp(m->kept[id].reg.account, account) &&
            !strcmp(m->kept[id].reg.name, name))
            return true;
    return false;
}

static void vary(struct model *m, struct registration *r)
{
    if (one_in(m, 2))
        set_text(&r->name, PICK(m, names));
    if (one_in(m, 2))
        set_text(&r->username, PICK(m, users));
    if (one_in(m, 2))
        set_text(&r->domain, PICK(m, domains));
    if (one_in(m, 2)) {
        const char *text = PICK(m, labels);
        free(r->labels);
        r->labels = text ? mem_dup_cstr(text) : NULL;
    }
    if (one_in(m, 2))
        set_text(&r->contacts[0].uri, PICK(m, contacts));
    if (one_in(m, 3))
        r->pop = one_in(m, 2) ? REGISTRATION_UNSET : 1 + (int64_t)rng_below(&m->rng, 2);
    if (one_in(m, 3))
        r->enabled = !r->enabled;
}

static struct registration random_one(struct model *m, const char *account)
{
    struct registration r = a_registration(account, "");
    r.enabled = true;
    vary(m, &r);
    return r;
}

// ---- single writes

static void create(struct model *m)
{
    struct registration r cleanup(registration_done) = random_one(m, PICK(m, accounts));
    int expected = has_name(m, r.account, r.name) ? -EEXIST : 0;
    assert_int_equal(do_create(m->f, &r), expected);
    if (!expected)
        keep(m, m->f->got.reg.id, &r);
}

static void create_once(struct model *m)
{
    size_t key = rng_below(&m->rng, KEYS);
    char text[8];
    (void)snprintf(text, sizeof(text), "k%zu", key);
    struct registration r cleanup(registration_done) = random_one(m, "acme");
    struct store_write_context c = fixture_context;
    c.idempotency_key = str_of(text);
    c.fingerprint = STR_LIT("f");
    const struct kept *made = &m->kept[m->made[key]];
    int expected =
        m->made[key] ? (is_listed(made) ? 0 : -ENOENT) : (has_name(m, r.account, r.name) ? -EEXIST : 0);
    fixture_forget(m->f);
    store_create(m->f->store, &r, &c, fixture_on_record, m->f);
    assert_int_equal(fixture_answer(m->f), expected);
    if (expected)
        return;
    assert_int_equal(m->f->got.replayed, m->made[key] != 0);
    if (m->made[key]) {
        assert_int_equal(m->f->got.reg.id, m->made[key]);
        return;
    }
    m->made[key] = m->f->got.reg.id;
    keep(m, m->made[key], &r);
}

// As it stands in the store, which must be what the model says.
static struct registration read_one(struct model *m, const struct kept *k)
{
    struct registration r;
    assert_int_equal(do_get(m->f, k->reg.account, k->reg.id), 0);
    registration_copy(&r, &m->f->got.reg);
    assert_string_equal(r.username, k->reg.username);
    assert_string_equal(r.name, k->reg.name);
    assert_int_equal(r.enabled, k->reg.enabled);
    return r;
}

static void update(struct model *m)
{
    struct kept *k = any_kept(m, NULL);
    if (!k)
        return;
    struct registration before cleanup(registration_done) = read_one(m, k),
                               after cleanup(registration_done) = {0};
    registration_copy(&after, &before);
    vary(m, &after);
    bool renamed = strcmp(before.name, after.name) != 0;
    int expected = renamed && has_name(m, after.account, after.name) ? -EEXIST : 0;
    assert_int_equal(do_update(m->f, &before, &after), expected);
    if (expected)
        return;
    bool written = m->f->got.reg.revision != before.revision;
    keep(m, k->reg.id, &after);
    note_changes(m);
    assert_int_equal(do_update(m->f, &before, &after),
                     written ? -ESTALE : 0); // who comes late writes nothing
}

static void delete_one(struct model *m)
{
    struct kept *k = any_kept(m, NULL);
    if (!k)
        return;
    assert_int_equal(do_delete(m->f, k->reg.account, k->reg.id), 0);
    k->deleted = true;
}

static void command(struct model *m)
{
    const struct kept *k = any_kept(m, NULL);
    if (k)
        assert_int_equal(do_refresh(m->f, k->reg.account, k->reg.id), 0);
}

// ---- batches

static void on_batch(void *arg, int rc, size_t failed, const struct store_record *records, size_t count,
                     const struct error *err)
{
    (void)failed, (void)err;
    struct model *m = arg;
    m->answers++;
    m->rc = rc;
    for (size_t i = 0; i < count; i++)
        m->ids[i] = records[i].reg.id;
}

static bool is_answered(const void *arg)
{
    const struct model *m = arg;
    return m->answers > 0;
}

static bool is_in_batch(const struct model *m, uint64_t id)
{
    for (size_t i = 0; i < m->item_count; i++)
        if (m->items[i].before && m->items[i].before->id == id)
            return true;
    return false;
}

static void add_item(struct model *m, const char *account)
{
    struct kept *k = one_in(m, 3) ? NULL : any_kept(m, account);
    size_t i = m->item_count;
    struct store_item *item = &m->items[i];
    if (!k) {
        m->after[i] = random_one(m, account);
        *item = (struct store_item){.kind = STORE_ITEM_CREATE, .after = &m->after[i]};
    } else if (is_in_batch(m, k->reg.id)) {
        return;
    } else {
        m->before[i] = read_one(m, k);
        registration_copy(&m->after[i], &m->before[i]);
        vary(m, &m->after[i]);
        *item = (struct store_item){.kind = one_in(m, 4) ? STORE_ITEM_DELETE : STORE_ITEM_UPDATE,
                                    .before = &m->before[i],
                                    .after = &m->after[i]};
    }
    m->item_count++;
}

// All registrations of the account as they would be afterwards, given to `count`.
static size_t count_after(const struct model *m, const char *account,
                          bool (*count)(const struct registration *r, const char *text), const char *text)
{
    size_t found = 0;
    for (uint64_t id = 1; id <= m->last_id; id++) {
        const struct kept *k = &m->kept[id];
        if (is_listed(k) && !strcmp(k->reg.account, account) && !is_in_batch(m, id))
            found += count(&k->reg, text);
    }
    for (size_t i = 0; i < m->item_count; i++)
        if (m->items[i].kind != STORE_ITEM_DELETE)
            found += count(m->items[i].after, text);
    return found;
}

static bool is_named(const struct registration *r, const char *name)
{
    return !strcmp(r->name, name);
}

static bool is_user(const struct registration *r, const char *user)
{
    return !strcmp(r->username, user);
}

static int outcome_of_batch(const struct model *m, const char *account, const char *unique_user)
{
    for (size_t i = 0; i < m->item_count; i++) {
        const struct store_item *item = &m->items[i];
        if (item->kind != STORE_ITEM_DELETE && item->after->name[0] &&
            count_after(m, account, is_named, item->after->name) > 1)
            return -EEXIST;
    }
    return unique_user && count_after(m, account, is_user, unique_user) > 1 ? -ESTALE : 0;
}

static void batch(struct model *m)
{
    const char *account = PICK(m, accounts), *unique_user = one_in(m, 3) ? PICK(m, users) : NULL;
    size_t wanted = 1 + rng_below(&m->rng, BATCH_MAX);
    memset(m->before, 0, sizeof(m->before));
    memset(m->after, 0, sizeof(m->after));
    m->item_count = 0;
    for (size_t i = 0; i < wanted; i++)
        add_item(m, account);
    int expected = outcome_of_batch(m, account, unique_user);
    const struct store_term unique = {.field = "username", .value = str_of(unique_user)};
    fixture_forget(m->f);
    m->answers = 0;
    store_batch(m->f->store, str_of(account), m->items, m->item_count, &unique, unique_user != NULL,
                &fixture_context, on_batch, m);
    assert_true(peer_run_until(m->f->base, is_answered, m, SOON_MS));
    assert_int_equal(m->rc, expected);
    for (size_t i = 0; i < m->item_count; i++) {
        if (!expected && m->items[i].kind == STORE_ITEM_DELETE)
            m->kept[m->ids[i]].deleted = true;
        else if (!expected)
            keep(m, m->ids[i], &m->after[i]);
        registration_done(&m->before[i]);
        registration_done(&m->after[i]);
    }
    m->item_count = 0;
}

// ---- what the bus does

static void report(struct model *m)
{
    static const enum status_state states[] = {STATE_PENDING,  STATE_REGISTERED, STATE_REGISTERED,
                                               STATE_RETRYING, STATE_REJECTED,   STATE_DISABLED};
    static const char *const places[] = {"any", "pop-1", "pop-2"};
    if (!m->last_id)
        return;
    struct kept *k = &m->kept[1 + rng_below(&m->rng, m->last_id)];
    if (!k->exists)
        return;
    const struct bus_report told = {.id = k->reg.id,
                                    .account = k->reg.account,
                                    .place = one_in(m, 4) ? PICK(m, places) : k->place,
                                    .state = PICK(m, states),
                                    .bound_until_ms =
                                        one_in(m, 2) ? 0 : 1800000000000 + rng_below(&m->rng, 100000000)};
    const char *verdict = bus_report(m->f, &told);
    if (strncmp(verdict, "ok", 2) != 0 && strncmp(verdict, "moving", 6) != 0)
        return;
    k->state = told.state;
    k->live_until_ms = told.bound_until_ms;
}

static void prove(struct model *m)
{
    for (uint64_t id = 1; id <= m->last_id; id++) {
        struct kept *k = &m->kept[id];
        if (!k->exists || !k->deleted || one_in(m, 3))
            continue;
        const struct bus_report told = {.id = id,
                                        .account = k->reg.account,
                                        .place = k->place,
                                        .state = STATE_UNREGISTERED,
                                        .removed = PROOF_ANSWERED};
        if (!strncmp(bus_report(m->f, &told), "removed", 7))
            k->exists = false;
    }
}

// ---- a fail-over: Redis falls back to a copy of a while ago, and what Kafka has of since then is written
// back in any order

static void kept_copy(struct kept *to, const struct kept *from)
{
    registration_done(&to->reg);
    *to = *from;
    if (from->exists)
        registration_copy(&to->reg, &from->reg);
    else
        to->reg = (struct registration){0};
}

static void write_back(struct model *m, uint64_t id, const struct kept *at_copy)
{
    struct lost *l = &m->lost[id];
    struct kept *k = &m->kept[id];
    const struct bus_lost lost = {.id = id,
                                  .revision = l->change->revision,
                                  .account = l->change->account,
                                  .place = l->change->place,
                                  .op = l->change->op == STORE_OP_REMOVE ? "remove" : "desired",
                                  .spec = str_of(l->change->spec),
                                  .status = str_of(l->change->status)};
    assert_string_equal(bus_restore(m->f, &lost), "restored");
    bool was_reported = at_copy->exists && at_copy->state >= 0;
    k->exists = true; // a proof that was lost is lost
    k->deleted = l->change->op == STORE_OP_REMOVE;
    k->state = was_reported ? at_copy->state : l->state;
    k->live_until_ms = was_reported ? at_copy->live_until_ms : l->live_until_ms;
    store_change_free(l->change);
    *l = (struct lost){0};
}

static void step(struct model *m);

static void fail_over(struct model *m)
{
    static struct kept at_copy[KEPT_MAX];
    uint64_t made[KEYS];
    bus_copy_database(m->f, 0, 1);
    memcpy(made, m->made, sizeof(made));
    for (uint64_t id = 0; id < KEPT_MAX; id++)
        kept_copy(&at_copy[id], &m->kept[id]);
    m->is_lossy = true;
    for (int i = 0; i < LOST_STEPS; i++)
        step(m);
    m->is_lossy = false;
    bus_copy_database(m->f, 1, 0);
    memcpy(m->made, made, sizeof(made));
    for (uint64_t id = 1; id <= m->last_id; id++)
        if (!m->lost[id].change)
            kept_copy(&m->kept[id], &at_copy[id]);
    size_t left = 0;
    for (uint64_t id = 1; id <= m->last_id; id++)
        left += m->lost[id].change != NULL;
    while (left) {
        uint64_t id = 1 + rng_below(&m->rng, m->last_id);
        if (!m->lost[id].change)
            continue;
        write_back(m, id, &at_copy[id]);
        left--;
    }
    for (uint64_t id = 0; id < KEPT_MAX; id++)
        registration_done(&at_copy[id].reg);
    (void)rawf(m->f, "SET rc:{g}:seq %llu", (unsigned long long)m->last_id); // as approve.lua does
    check(m, "a fail-over");
}

// ---- the run

static const struct action {
    const char *name;
    unsigned weight;
    void (*run)(struct model *m);
} actions[] = {
    {"a creation", 6, create}, {"a creation with a key", 1, create_once},
    {"an update", 8, update},  {"a deletion", 5, delete_one},
    {"a command", 1, command}, {"a batch", 6, batch},
    {"a report", 8, report},   {"proofs", 2, prove},
};

static void step(struct model *m)
{
    unsigned all = 0;
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        all += actions[i].weight;
    uint64_t chosen = rng_below(&m->rng, all);
    const struct action *a = actions;
    for (; chosen >= a->weight; a++)
        chosen -= a->weight;
    a->run(m);
    note_changes(m);
    check(m, a->name);
}

static void indexes_say_what_the_registrations_say_whatever_is_done(void **state)
{
    const char *seed = getenv("ROLLCALL_TEST_SEED");
    struct model *m = mem_alloc(sizeof(*m));
    m->f = *state;
    m->seed = m->rng.state = seed ? strtoull(seed, NULL, 10) : 20261121;
    for (int i = 0; i < STEPS; i++) {
        if (i % 50 == 49)
            fail_over(m);
        else
            step(m);
    }
    assert_true(m->last_id > 50);
    for (uint64_t id = 0; id < KEPT_MAX; id++) {
        registration_done(&m->kept[id].reg);
        store_change_free(m->lost[id].change);
    }
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(indexes_say_what_the_registrations_say_whatever_is_done,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
