// Takes in what should be: from a snapshot, from a change, from a grave. Only compares revisions and writes
// down what is wanted; turn.c does the rest.
#include "services/registrant/core/machine.h"

static struct str account_of(const struct desired *d)
{
    return str_of(d->reg ? d->reg->account : d->last ? d->last->account : "");
}

static void set_limits(struct entry *r, const struct registration *g)
{
    int64_t delay = g->retry_delay_s, most = g->max_attempts;
    r->retry_delay_s = delay < 1 ? 1 : delay > UINT16_MAX ? UINT16_MAX : (uint16_t)delay;
    r->retry_fixed = g->retry_shape == RETRY_FIXED;
    r->max_attempts = most < 1 ? 0 : most > UINT16_MAX ? UINT16_MAX : (uint16_t)most;
}

// True when a refusal might be judged otherwise now.
static bool set_quirks(struct entry *r, const struct quirks *q)
{
    bool other = r->non_stale != q->non_stale;
    r->challenge_first = q->challenge_first;
    r->non_stale = (uint8_t)q->non_stale & 3;
    r->stagger = q->stagger;
    r->clear_first = q->clear_first;
    return other && r->rejected;
}

// True when a counter was raised: a command is also a fresh start.
static bool set_commands(struct engine *e, struct entry *r, const struct registration *g)
{
    if (!r->extra && !g->refresh_seq && !g->flush_seq && !g->audit_seq)
        return false;
    struct extra *x = entry_extra(e, r);
    bool raised = (g->refresh_seq > x->refresh_wanted && g->refresh_seq > x->refresh_acted) ||
                  (g->flush_seq > x->flush_wanted && g->flush_seq > x->flush_acted);
    x->refresh_wanted = g->refresh_seq;
    x->flush_wanted = g->flush_seq;
    x->audit_wanted = g->audit_seq;
    return raised;
}

// Replaces the wanted specification where it differs; true when what is sent changes.
static bool set_spec(struct engine *e, struct entry *r, const struct registration *g)
{
    struct spec *s = spec_new(&e->home, g);
    const struct seal_context context = entry_seal_context(r);
    bool changed = true;
    if (r->want) {
        struct str local = entry_local(e, r, r->want), local_now = entry_local(e, r, s);
        changed = spec_compare(r->want, local, s, local_now, e->ring, &context) != SPEC_SAME;
    }
    bool shared = r->want && r->want == r->bound;
    entry_set_want(e, r, s);
    if (changed) {
        r->floor_s = 0;
        r->no_outbound = r->no_path = r->no_gruu = false;
    } else if (shared) { // sealed anew at most: one block is enough
        struct str local = interned_str(r->bound_local);
        struct interned *held = r->bound_local ? intern_get(e->home.texts, local) : NULL;
        entry_share_bound(e, r, local);
        entry_count_need(e, r);
        intern_put(e->home.texts, &held);
    }
    return changed;
}

static void mark_flight_obsolete(struct engine *e, struct entry *r)
{
    struct flight *f = flight_of(e, r);
    if (f)
        f->obsolete = true;
}

// What the new revision wants, written into the entry.
static void apply(struct engine *e, struct entry *r, const struct desired *d, bool fresh)
{
    const struct registration *g = d->reg;
    bool removing = d->op != DESIRED_KEEP;
    bool switched = r->enabled != g->enabled || r->removing != removing;
    r->revision_unsaid = !fresh || !d->last || d->last->revision != d->revision;
    r->moved = false;
    r->revision = d->revision;
    r->enabled = g->enabled;
    r->removing = removing;
    r->twin = d->twin;
    set_limits(r, g);
    bool changed = set_spec(e, r, g) || switched;
    bool commanded = set_commands(e, r, g), reconsidered = set_quirks(r, &g->quirks);
    if (changed)
        r->cleared = false;
    if (!fresh && (changed || commanded || reconsidered)) {
        entry_reset(r);
        if (changed)
            mark_flight_obsolete(e, r);
    }
    if (!removing) {
        r->proof = PROOF_NONE;
        r->removal_sent = false;
        r->proved_reported = false;
    }
    entry_compare(e, r);
}

static void begin(struct engine *e, struct shard *s, const struct desired *d, struct moment now)
{
    struct entry *r = entry_new(e, s, d->id, account_of(d));
    apply(e, r, d, true);
    if (d->last)
        entry_adopt(e, r, d->last, d->snapshot, now);
    if (entry_is_unknown(r, d, now))
        entry_assume_bound(e, r, now);
    if (r->extra && (r->extra->refresh_wanted > r->extra->refresh_acted ||
                     r->extra->flush_wanted > r->extra->flush_acted))
        entry_reset(r);
    entry_update(e, r, now);
}

static void change(struct engine *e, struct entry *r, const struct desired *d, struct moment now)
{
    apply(e, r, d, false);
    entry_update(e, r, now);
}

// A snapshot's line that comes after a change of the same registration still tells what is bound.
static void adopt_late(struct engine *e, struct shard *s, struct entry *r, const struct desired *d,
                       struct moment now)
{
    if (d->snapshot && s->state == SHARD_LOADING && !r->adopted && !r->moved && d->last)
        entry_adopt(e, r, d->last, true, now);
}

// Is that nothing new, or over?
static bool is_known(struct engine *e, const struct entry *r, const struct spec *stray,
                     const struct status *last, struct moment now)
{
    const struct seal_context context = entry_seal_context(r);
    bool over = last->bound.expires_at_wall_ms && last->bound.expires_at_wall_ms < now.wall_ms;
    return over || (r->bound && spec_compare(r->bound, interned_str(r->bound_local), stray, STR_NONE, e->ring,
                                             &context) == SPEC_SAME);
}

// A former owner that nobody could hear has bound this, too: what of it is not wanted is removed, once. It
// was sent with a Call-ID that may be ours.
static void take_stray(struct engine *e, struct entry *r, const struct desired *d, struct moment now)
{
    const struct status *last = d->last;
    if (!last || !last->has_bound || !last->bound.last_sent_wall_ms || r->moved)
        return;
    r->cseq = last->bound.cseq > r->cseq ? last->bound.cseq : r->cseq;
    struct spec *stray = spec_new(&e->home, &last->bound.sent);
    if (stray->has_local || is_known(e, r, stray, last, now)) {
        spec_put(&e->home, &stray);
        return;
    }
    struct contact_lines lines = {.text = &e->scratch[3]};
    entry_set_left(e, r, stray, STR_NONE);
    contacts_left_behind(e, r, &lines);
    if (lines.count)
        r->proof = PROOF_NONE; // it was bound again since
    else
        entry_set_left(e, r, NULL, STR_NONE);
    entry_update(e, r, now);
}

static void on_same_revision(struct engine *e, struct entry *r, const struct desired *d, struct moment now)
{
    if (d->op == DESIRED_REMOVE && d->twin && !r->twin) {
        r->twin = true;
        entry_update(e, r, now);
    }
    if (d->snapshot || r->moved)
        return;
    r->proved_reported = false;
    report_mark(e, r);
}

static void bury(struct engine *e, struct shard *s, struct entry *r, const struct desired *d,
                 struct moment now)
{
    if (r && r->removing) {
        if (d->last && d->last->epoch != s->epoch && !d->twin) // of another owner, after our removal
            take_stray(e, r, d, now);
        if (r->proof)
            report_mark(e, r);
        return;
    }
    if (r && r->note) {
        entry_forget(e, r);
        r = NULL;
    }
    if (r) {
        mark_flight_obsolete(e, r);
        r->moved = false;
        r->removing = true;
        r->twin = d->twin;
        entry_reset(r);
        entry_update(e, r, now);
        return;
    }
    if (!d->last)
        return;
    r = entry_new(e, s, d->id, account_of(d));
    r->revision = d->last->revision;
    r->removing = true;
    r->twin = d->twin;
    r->retry_delay_s = 5;
    if (d->last->has_bound) {
        entry_set_want(e, r, spec_new(&e->home, &d->last->bound.sent));
        entry_adopt(e, r, d->last, false, now);
    }
    entry_reset(r);
    entry_update(e, r, now);
}

// What was sent and nobody has heard of is told before it is forgotten: it may have come after a removal that
// its new place proved, and only who hears of it can have it removed again.
static void leave_word(struct engine *e, struct entry *r, const struct desired *d, struct moment now)
{
    struct flight *f = flight_of(e, r);
    if (f)
        flight_abandon(e, f, now);
    entry_stop_waiting(e, r);
    wheel_clear(&e->wheel, &r->timer);
    r->moved = true;
    entry_extra(e, r)->moved_revision = d->revision;
    report_mark(e, r);
}

// Gateways publish each for itself: a change of before the move may come after it, and is not to be done.
// While a snapshot is on its way, a line of it may be older than the move: the note stays until it is whole.
static void move_away(struct engine *e, struct shard *s, struct entry *r, const struct desired *d,
                      struct moment now)
{
    if (r && d->revision < r->revision)
        return;
    if (r && s->state == SHARD_OPEN && (r->dirty || r->flight)) {
        leave_word(e, r, d, now);
        return;
    }
    if (r)
        entry_forget(e, r);
    if (s->state != SHARD_OPEN && s->state != SHARD_LOADING)
        return;
    r = entry_new_note(e, s, d->id, d->revision);
    if (s->state == SHARD_OPEN)
        wheel_set(&e->wheel, &r->timer, us_of(ms_of(now) + MOVED_KEPT_MS));
}

// Older than a snapshot that does not hold it. What is held here all the same is still removed.
static bool is_over(struct entry *r, const struct desired *d)
{
    if (r && !d->replayed)
        r->unlisted = false;
    return d->replayed && (!r || (r->unlisted && d->op == DESIRED_KEEP));
}

// A snapshot that broke off is fetched anew, and may know a newer report. Nothing was sent yet.
static bool is_told_again(const struct shard *s, const struct entry *r, const struct desired *d)
{
    return d->snapshot && d->last && s->state == SHARD_LOADING && r->adopted && d->revision >= r->revision;
}

static uint64_t moved_by(const struct entry *r)
{
    return r->note ? r->revision : r->extra->moved_revision;
}

static void take_in(struct engine *e, struct shard *s, const struct desired *d, struct moment now)
{
    struct entry *r = shard_entry(s, d->id);
    switch (d->op) {
    case DESIRED_MOVED:
        move_away(e, s, r, d, now);
        return;
    case DESIRED_BURIED:
        bury(e, s, r, d, now);
        return;
    case DESIRED_KEEP:
    case DESIRED_REMOVE:
        break;
    }
    if (!d->reg || is_over(r, d))
        return;
    if (r && r->moved && d->revision <= moved_by(r))
        return;
    bool is_back = r && r->moved;
    if (is_back && !r->dirty) {
        entry_forget(e, r); // what is bound was told by its other place
        r = NULL;
    }
    if (r && is_told_again(s, r, d)) {
        entry_forget(e, r);
        r = NULL;
    }
    if (!r) {
        begin(e, s, d, now);
        return;
    }
    adopt_late(e, s, r, d, now);
    if (d->revision == r->revision)
        on_same_revision(e, r, d, now);
    else if (d->revision > r->revision)
        change(e, r, d, now);
    // Before its last word was said: what its other place bound meanwhile is told like a former owner's.
    if (d->stray || (is_back && d->last && d->last->epoch != s->epoch))
        take_stray(e, r, d, now);
}

void engine_desired(struct engine *e, uint32_t shard, const struct desired *d, struct moment now)
{
    struct shard *s = shard_find(e, shard);
    if (!s || s->state == SHARD_CLOSING || s->state == SHARD_DRAINING)
        return;
    take_in(e, s, d, now);
    engine_turn(e, now);
}
