// The job of reseal.h. Its cursor is "<phase>:<id>:<key>": where another key is wanted meanwhile it begins
// anew, since what lies behind it is under the former one. The first pass seals anew what it finds; the
// second one does so, too, and goes on from a registration only when nothing of it is under another key: what
// was written while the first one ran, what registrants still report as bound, and what cannot be opened now,
// hold it up there, with a pause that grows to a minute.
#include "services/gateway/jobs/job_ids.h"
#include "services/gateway/jobs/reseal.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SLICE 100

enum phase { PHASE_BEGIN, PHASE_FIRST, PHASE_PART, PHASE_SECOND };

struct reseal_job {
    struct reseal_job_params p;
};

struct pass {
    struct reseal_job *job;
    struct job_step *step;
    struct key_ring *ring; // the wanted key is its first
    enum phase phase;
    uint64_t after;
    struct job_ids ids;
    size_t held; // index of the first that holds the second pass up; SLICE: none
    struct error why_held;
};

static bool is_strict(const struct pass *p)
{
    return p->phase == PHASE_SECOND;
}

// ---- how a slice ends

static void end(struct pass *p, int rc, struct str cursor, const struct error *err)
{
    struct job_step *step = p->step;
    struct error kept = err ? *err : (struct error){0};
    key_ring_free(p->ring);
    free(p);
    job_step_done(step, rc, cursor, err ? &kept : NULL);
}

static void end_at(struct pass *p, enum phase phase, uint64_t id)
{
    struct buf cursor cleanup(buf_done) = BUF_INIT;
    buf_addf(&cursor, "%d:%llu:%s", (int)phase, (unsigned long long)id, key_ring_first(p->ring));
    end(p, 0, buf_str(&cursor), NULL);
}

static void fail(struct pass *p, const struct error *err)
{
    struct error why = *err;
    end(p, why.code, STR_NONE, &why);
}

// ---- registrations

static void on_proved(void *arg, int rc, const struct error *err)
{
    struct pass *p = arg;
    if (rc == -ESTALE) // somebody wrote: the objects are looked at again
        end_at(p, PHASE_SECOND, p->after);
    else if (rc && rc != -ETIMEDOUT)
        fail(p, err);
    else
        end(p, 0, STR_NONE, NULL);
}

static void on_last_look(void *arg, int rc, const struct store_account_object *objects, size_t count,
                         uint64_t version, const struct error *err)
{
    struct pass *p = arg;
    if (rc) {
        fail(p, err);
        return;
    }
    struct reseal_proof proof = reseal_proof_of(objects, count);
    if (proof.again || !str_eq_cstr(proof.wanted, key_ring_first(p->ring))) {
        end_at(p, PHASE_BEGIN, 0);
        return;
    }
    struct buf json cleanup(buf_done) = BUF_INIT;
    reseal_key_json(&json, proof.wanted);
    const struct store_object_change change = {
        .kind = RESEAL_OBJECT, .key = STR_LIT("with"), .json = buf_str(&json)};
    store_account_change(p->job->p.store, p->step->account, version, &change, 1, NULL, on_proved, p);
}

static void pass_end(struct job_ids *ids)
{
    struct pass *p = container_of(ids, struct pass, ids);
    bool held = p->held < SLICE;
    if (p->ids.err.code) {
        fail(p, &p->ids.err);
    } else if (held && p->held == 0) {
        fail(p, &p->why_held);
    } else if (p->ids.count) {
        end_at(p, p->phase, p->ids.ids[held ? p->held - 1 : p->ids.count - 1]);
    } else if (is_strict(p)) {
        store_account_kind(p->job->p.store, p->step->account, RESEAL_OBJECT, on_last_look, p);
    } else {
        end_at(p, PHASE_PART, 0);
    }
}

static void hold(struct pass *p, size_t at, const char *why)
{
    if (at >= p->held)
        return;
    p->held = at;
    (void)error_set(&p->why_held, -EAGAIN, "registration %llu: %s", (unsigned long long)p->ids.ids[at], why);
}

struct one {
    struct pass *pass;
    size_t at;
};

static void settle(struct one *one)
{
    struct pass *p = one->pass;
    free(one);
    job_ids_settled(&p->ids);
}

static void on_sealed(void *arg, int rc, const struct error *err)
{
    struct one *one = arg;
    struct pass *p = one->pass;
    if (!rc || rc == -ETIMEDOUT)
        metrics_add(p->job->p.metrics, p->job->p.sealed_metric, 0, 1);
    else
        job_ids_note(&p->ids, rc, err);
    // Sealed now, or written by somebody else (-ESTALE, who is right), or not to be opened: it is looked at
    // once more.
    if (is_strict(p))
        hold(p, one->at, rc ? err->text : "its registrant has not reported the new seal yet");
    settle(one);
}

static void on_record(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct one *one = arg;
    struct pass *p = one->pass;
    const char *key = key_ring_first(p->ring);
    job_ids_note(&p->ids, rc, err);
    if (!rc && !store_is_sealed_with(record, key, false)) {
        store_reseal(p->job->p.store, record, p->ring, on_sealed, one);
        return;
    }
    if (!rc && is_strict(p) && !store_is_sealed_with(record, key, true))
        hold(p, one->at, "what is bound was last reported under another key");
    if (rc && rc != -ENOENT && is_strict(p))
        hold(p, one->at, err->text);
    settle(one);
}

static void look_at(struct job_ids *ids, uint64_t id)
{
    struct pass *p = container_of(ids, struct pass, ids);
    struct one *one = mem_alloc(sizeof *one);
    *one = (struct one){.pass = p, .at = ids->next - 1};
    store_get(p->job->p.store, p->step->account, id, on_record, one);
}

static void on_ids(void *arg, int rc, const uint64_t *ids, size_t count, const struct error *err)
{
    struct pass *p = arg;
    job_ids_given(&p->ids, rc, ids, count, err);
}

// ---- the other phases

static void on_part(void *arg, int rc, bool more, const struct error *err)
{
    struct pass *p = arg;
    if (rc)
        fail(p, err);
    else
        end_at(p, more ? PHASE_PART : PHASE_SECOND, 0);
}

static void on_begun(void *arg, int rc, const struct error *err)
{
    struct pass *p = arg;
    if (rc && rc != -ETIMEDOUT)
        fail(p, err);
    else
        end_at(p, PHASE_FIRST, 0);
}

// From here on whoever writes under another key says so.
static void begin(struct pass *p)
{
    const struct store_object_change change = {.kind = RESEAL_OBJECT, .key = STR_LIT("again")};
    store_account_change(p->job->p.store, p->step->account, STORE_ANY_VERSION, &change, 1, NULL, on_begun, p);
}

static void run(struct pass *p)
{
    const struct reseal_part *part = &p->job->p.part;
    switch (p->phase) {
    case PHASE_BEGIN:
        begin(p);
        return;
    case PHASE_PART:
        if (part->step)
            part->step(part->arg, p->step->account, p->ring, on_part, p);
        else
            end_at(p, PHASE_SECOND, 0);
        return;
    case PHASE_FIRST:
    case PHASE_SECOND:
        p->ids.store = p->job->p.store;
        p->ids.account = p->step->account;
        p->ids.begin = look_at;
        p->ids.over = pass_end;
        store_ids(p->job->p.store, p->step->account, p->after, SLICE, on_ids, p);
        return;
    }
}

static void read_cursor(struct pass *p, struct str wanted)
{
    struct str cursor = p->step->cursor, phase, id;
    uint64_t number, after;
    p->phase = PHASE_BEGIN;
    if (!str_split(&cursor, ':', &phase) || str_to_u64(phase, &number) || number > PHASE_SECOND ||
        !str_split(&cursor, ':', &id) || str_to_u64(id, &after) || !str_eq(cursor, wanted))
        return;
    p->phase = (enum phase)number;
    p->after = after;
}

static void on_wanted(void *arg, int rc, const struct store_account_object *objects, size_t count,
                      uint64_t version, const struct error *err)
{
    struct pass *p = arg;
    struct key_ring *present cleanup(key_ring_drop) = key_ring_box_get(p->job->p.keys);
    struct error why;
    (void)version;
    if (rc) {
        fail(p, err);
        return;
    }
    struct reseal_proof proof = reseal_proof_of(objects, count);
    read_cursor(p, proof.wanted);
    if (!proof.wanted.n)
        end(p, 0, STR_NONE, NULL);
    else if (key_ring_turn(present, proof.wanted, &p->ring, &why)) // left to a gateway that has it
        fail(p, &why);
    else
        run(p);
}

static void step(void *arg, struct job_step *s)
{
    struct pass *p = mem_alloc(sizeof *p);
    *p = (struct pass){.job = arg, .step = s, .held = SLICE};
    store_account_kind(p->job->p.store, s->account, RESEAL_OBJECT, on_wanted, p);
}

struct reseal_job *reseal_job_new(const struct reseal_job_params *p)
{
    struct reseal_job *j = mem_alloc(sizeof *j);
    j->p = *p;
    return j;
}

void reseal_job_free(struct reseal_job *j)
{
    free(j);
}

struct job_kind reseal_kind(struct reseal_job *j)
{
    return (struct job_kind){.name = RESEAL_KIND, .arg = j, .step = step};
}
