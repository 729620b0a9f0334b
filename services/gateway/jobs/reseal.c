// See reseal.h. Which key is wanted is said only when this gateway was started or went over to another ring:
// two gateways whose rings differ seal everything once each, and never for ever in turns.
#include "services/gateway/jobs/reseal.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/event/timer.h"
#include "common/log/log.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

struct reseal {
    struct reseal_params p;
    struct event *timer;
    char *key;     // first of the ring as this round sees it; "" before the first round
    bool announce; // this round says which key is wanted
    char **accounts;
    size_t count, next, left;
    size_t of_file;      // of count: those of the principals file; the others only Redis knows
    bool running, whole; // a round; it could look at every account
    uint64_t rest_until_us;
    int64_t left_told; // -1: nothing told yet
};

struct reseal_proof reseal_proof_of(const struct store_account_object *objects, size_t count)
{
    struct reseal_proof proof = {.wanted = STR_LIT(""), .with = STR_LIT("")};
    for (size_t i = 0; i < count; i++) {
        struct str json = objects[i].json;
        bool quoted = json.n > 2 && json.p[0] == '"';
        struct str id = quoted ? str_slice(json, 1, json.n - 1) : STR_LIT(""); // an id needs no escape
        if (str_eq_cstr(objects[i].key, "wanted"))
            proof.wanted = id;
        else if (str_eq_cstr(objects[i].key, "with"))
            proof.with = id;
        else if (str_eq_cstr(objects[i].key, "again"))
            proof.again = true;
    }
    return proof;
}

void reseal_key_json(struct buf *out, struct str key_id)
{
    buf_addf(out, "\"" STR_FMT "\"", STR_ARG(key_id));
}

// ---- a round

static void look(struct reseal *r);

static void drop_accounts(struct reseal *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->accounts[i]);
    free(r->accounts);
    r->accounts = NULL;
    r->count = r->next = 0;
}

static void say(struct reseal *r)
{
    struct key_ring *ring cleanup(key_ring_drop) = key_ring_box_get(r->p.keys);
    struct buf names cleanup(buf_done) = BUF_INIT;
    key_ring_names(ring, &names);
    if (r->left)
        log_line(LOG_INFO, "jobs", 0,
                 "the secrets of %zu of %zu accounts are looked through, and sealed with %s", r->left,
                 r->count, r->key);
    else
        log_line(
            LOG_INFO, "jobs", 0,
            "every secret of %zu accounts (%zu of the principals file, %zu that only Redis knows) is sealed "
            "with %s: no other key of the ring (" STR_FMT ") is needed any more",
            r->count, r->of_file, r->count - r->of_file, r->key, STR_ARG(buf_str(&names)));
}

static void end_round(struct reseal *r)
{
    r->running = false;
    if (r->whole) {
        metrics_set(r->p.metrics, r->p.left_metric, 0, (int64_t)r->left);
        if ((int64_t)r->left != r->left_told)
            say(r);
        r->left_told = (int64_t)r->left;
        r->announce = false;
        r->rest_until_us = clock_monotonic_us() + (r->left ? 0 : (uint64_t)r->p.idle_ms * 1000);
    }
    drop_accounts(r);
}

static void go_on(struct reseal *r)
{
    r->next++;
    look(r);
}

// Redis that is away is waited for; the round is done again.
static void leave(struct reseal *r)
{
    r->whole = false;
    end_round(r);
}

static void on_accepted(void *arg, int rc, const struct error *err)
{
    struct reseal *r = arg;
    if (rc == -ESTALE) {
        look(r);
    } else if (rc && rc != -ETIMEDOUT) {
        leave(r);
    } else {
        r->left++;
        jobs_wake(r->p.jobs);
        go_on(r);
    }
}

// The job reads what is wanted at each of its slices.
static void have_it_done(struct reseal *r, const struct reseal_proof *proof, uint64_t version)
{
    struct buf json cleanup(buf_done) = BUF_INIT;
    reseal_key_json(&json, str_of(r->key));
    bool anew = (r->announce && !str_eq_cstr(proof->wanted, r->key)) || !proof->wanted.n;
    const struct store_object_change changes[] = {
        {.kind = RESEAL_OBJECT, .key = STR_LIT("wanted"), .json = buf_str(&json)},
        {.kind = RESEAL_OBJECT, .key = STR_LIT("with")},
    };
    const struct store_job job = {
        .kind = RESEAL_KIND, .args = STR_LIT("{}"), .once = true, .unless_there = !anew};
    store_account_change(r->p.store, str_of(r->accounts[r->next]), anew ? version : STORE_ANY_VERSION,
                         changes, anew ? ARRAY_LEN(changes) : 0, &job, on_accepted, r);
}

// Of an account that never had an object (version 0).
static void on_count(void *arg, int rc, uint64_t count, const struct error *err)
{
    static const struct reseal_proof nothing = {.wanted = {.p = ""}, .with = {.p = ""}};
    struct reseal *r = arg;
    (void)err;
    if (rc)
        leave(r);
    else if (count)
        have_it_done(r, &nothing, 0);
    else
        go_on(r);
}

static void on_objects(void *arg, int rc, const struct store_account_object *objects, size_t count,
                       uint64_t version, const struct error *err)
{
    struct reseal *r = arg;
    (void)err;
    if (rc) {
        leave(r);
        return;
    }
    struct reseal_proof proof = reseal_proof_of(objects, count);
    bool proved = proof.wanted.n && str_eq(proof.wanted, proof.with);
    if (proved && (!r->announce || str_eq_cstr(proof.with, r->key))) {
        r->left += !str_eq_cstr(proof.with, r->key); // another gateway's ring has another first key
        go_on(r);
        return;
    }
    if (!proof.wanted.n && !version)
        store_count(r->p.store, str_of(r->accounts[r->next]), false, on_count, r);
    else
        have_it_done(r, &proof, version);
}

static void look(struct reseal *r)
{
    if (r->next < r->count)
        store_account_kind(r->p.store, str_of(r->accounts[r->next]), RESEAL_OBJECT, on_objects, r);
    else
        end_round(r);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// One that was taken out of the principals file may have registrations still, and they go on.
static void take_accounts(struct reseal *r, char *const *known, size_t known_count)
{
    r->accounts = r->p.accounts(r->p.arg, &r->of_file);
    qsort(r->accounts, r->of_file, sizeof *r->accounts, by_name);
    r->count = r->of_file;
    r->accounts = mem_resize(r->accounts, r->count + known_count + 1, sizeof *r->accounts);
    for (size_t i = 0; i < known_count; i++)
        if (!bsearch(&known[i], r->accounts, r->of_file, sizeof *r->accounts, by_name))
            r->accounts[r->count++] = mem_dup_cstr(known[i]);
}

static void on_known(void *arg, int rc, char *const *names, size_t count, const struct error *err)
{
    struct reseal *r = arg;
    if (rc) {
        log_limited(LOG_WARNING, "jobs", 0, "whose secrets are to be sealed anew is not known yet: %s",
                    err->text);
        leave(r);
        return;
    }
    take_accounts(r, names, count);
    look(r);
}

// Until a round has looked nothing is proved.
static void take_all_for_left(struct reseal *r)
{
    take_accounts(r, NULL, 0);
    metrics_set(r->p.metrics, r->p.left_metric, 0, (int64_t)r->count);
    drop_accounts(r);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    struct reseal *r = arg;
    struct key_ring *ring cleanup(key_ring_drop) = key_ring_box_get(r->p.keys);
    if (r->running || !store_is_up(r->p.store))
        return;
    bool other = strcmp(r->key, key_ring_first(ring)) != 0;
    if (!other && !r->announce && clock_monotonic_us() < r->rest_until_us)
        return;
    if (other) {
        free(r->key);
        r->key = mem_dup_cstr(key_ring_first(ring));
        r->announce = true;
        r->left_told = -1;
        take_all_for_left(r);
    }
    r->running = r->whole = true;
    r->left = 0;
    store_accounts(r->p.store, on_known, r);
}

struct reseal *reseal_new(const struct reseal_params *p)
{
    struct reseal *r = mem_alloc(sizeof *r);
    r->p = *p;
    r->key = mem_dup_cstr("");
    r->left_told = -1;
    take_all_for_left(r);
    r->timer = event_new(p->base, -1, EV_PERSIST, on_time, r);
    timer_in_ms(r->timer, p->interval_ms);
    return r;
}

void reseal_free(struct reseal *r)
{
    if (!r)
        return;
    event_free(r->timer);
    drop_accounts(r);
    free(r->key);
    free(r);
}
