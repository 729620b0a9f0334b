// The life of the parts of an engine: shards, registrations and what hangs on them. Decides nothing.
#include "services/registrant/core/entry.h"

#include "common/base/encode.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "services/registrant/core/rules.h"
#include "services/registrant/core/schedule.h"

#include <stdlib.h>
#include <string.h>

#define MARKS_KEPT  1024 // room that an empty ring keeps
#define SEED_DIGITS 16
#define TAG_SALT    UINT64_C(0x526f6c6c63616c6c)

// ---- shards

struct shard *shard_find(const struct engine *e, uint32_t number)
{
    for (size_t i = 0; i < e->shard_count; i++)
        if (e->shards[i] && e->shards[i]->number == number)
            return e->shards[i];
    return NULL;
}

struct entry *shard_entry(const struct shard *s, uint64_t id)
{
    uint64_t *item = table_find(&s->entries, id);
    return item ? container_of(item, struct entry, id) : NULL;
}

struct entry *shard_each(const struct shard *s, size_t *at)
{
    uint64_t *item = table_each(&s->entries, at);
    return item ? container_of(item, struct entry, id) : NULL;
}

// ---- marks

void marks_push(struct engine *e, struct marks *m, struct mark mark)
{
    if (m->count == m->size) {
        size_t size = m->size ? m->size * 2 : 64;
        struct mark *items = mem_array(size, sizeof(*items));
        for (size_t i = 0; i < m->count; i++)
            items[i] = m->items[(m->head + i) % m->size];
        e->bytes += (size - m->size) * sizeof(*items);
        free(m->items);
        *m = (struct marks){.items = items, .count = m->count, .size = size};
    }
    // NOLINTNEXTLINE(clang-analyzer-core.DivideZero): it has just grown
    m->items[(m->head + m->count++) % m->size] = mark;
}

bool marks_pop(struct engine *e, struct marks *m, struct mark *ret)
{
    if (!m->count)
        return false;
    *ret = m->items[m->head];
    m->head = (m->head + 1) % m->size;
    if (!--m->count && m->size > MARKS_KEPT) { // a crowd is not to be paid for ever after
        e->bytes -= m->size * sizeof(*m->items);
        marks_done(m);
    }
    return true;
}

void marks_done(struct marks *m)
{
    free(m->items);
    *m = (struct marks){0};
}

// ---- entries

struct entry *entry_new(struct engine *e, struct shard *s, uint64_t id, struct str account)
{
    struct entry *r = mem_alloc(sizeof(*r));
    r->id = id;
    r->timer.kind = TIMER_ENTRY;
    r->account = intern_get(e->home.texts, account);
    r->shard = s->index;
    r->seed = rng_next(&e->rng) ^ hash_u64(e->secret ^ id);
    r->state = STATE_PENDING;
    r->enabled = true;
    table_add(&s->entries, &r->id);
    e->bytes += sizeof(*r);
    e->stats.states[r->state]++;
    return r;
}

struct entry *entry_new_note(struct engine *e, struct shard *s, uint64_t id, uint64_t revision)
{
    struct entry *r = entry_new(e, s, id, STR_NONE);
    r->revision = revision;
    r->moved = r->note = true;
    e->stats.states[r->state]--;
    return r;
}

static void free_extra(struct engine *e, struct entry *r)
{
    if (!r->extra)
        return;
    entry_set_left(e, r, NULL, STR_NONE);
    e->bytes -= sizeof(*r->extra) + r->extra->bytes;
    free(r->extra->call_id);
    free(r->extra->dropped);
    free(r->extra);
    r->extra = NULL;
}

void entry_forget(struct engine *e, struct entry *r)
{
    struct shard *s = e->shards[r->shard];
    struct flight *f = flight_of(e, r);
    if (f)
        flight_end(e, f, PACER_DROPPED, -1, (struct moment){0});
    if (!r->note)
        e->stats.states[r->state]--;
    entry_set_want(e, r, NULL);
    entry_set_bound(e, r, NULL, STR_NONE);
    wheel_clear(&e->wheel, &r->timer);
    table_remove(&s->entries, r->id);
    if (r->dirty)
        s->unreported--;
    intern_put(e->home.texts, &r->account);
    intern_put(e->home.texts, &r->heard);
    e->bytes -= (r->nonces ? r->nonces->bytes : 0) + (r->shown ? r->shown->bytes : 0) + sizeof(*r);
    nonces_free(e->home.texts, &r->nonces);
    free(r->shown);
    free_extra(e, r);
    free(r);
}

struct extra *entry_extra(struct engine *e, struct entry *r)
{
    if (!r->extra) {
        r->extra = mem_alloc(sizeof(*r->extra));
        e->bytes += sizeof(*r->extra);
    }
    return r->extra;
}

struct seal_context entry_seal_context(const struct entry *r)
{
    return (struct seal_context){.account = interned_str(r->account), .id = r->id, .field = "password"};
}

// What tells the family of our address: where the last request left from, as only that knows a name's; before
// it the registrar. An identity keeps to what does not change.
static struct str host_towards(const struct entry *r, const struct spec *s)
{
    struct str left_from = s->local_identity ? STR_NONE : entry_heard(r, HEARD_LOCAL);
    return rules_host_of(left_from.n ? left_from : pacer_target_key(s->way->target));
}

// An identity does not move with what a NAT makes of our address.
struct str entry_local(struct engine *e, const struct entry *r, const struct spec *s)
{
    if (!s || !s->has_local)
        return STR_NONE;
    struct str here = e->ops->local_hostport(e->ops_arg, s->transport, interned_str(s->way->key.interface),
                                             host_towards(r, s));
    struct str seen =
        here.n && e->policy.nat_contact && !s->local_identity ? entry_heard(r, HEARD_RECEIVED) : STR_NONE;
    return seen.n ? seen : here;
}

void entry_compare(struct engine *e, struct entry *r)
{
    r->differs = SPEC_SAME;
    if (!r->want || !r->bound)
        return;
    const struct seal_context context = entry_seal_context(r);
    r->differs = (uint8_t)spec_compare(r->want, entry_local(e, r, r->want), r->bound,
                                       interned_str(r->bound_local), e->ring, &context);
    if (r->differs != SPEC_SAME || r->want == r->bound || r->want->has_local != r->bound->has_local)
        return;
    // Read back from a report and the same: one block is enough.
    entry_share_bound(e, r, entry_local(e, r, r->want));
}

void entry_stop_waiting(struct engine *e, struct entry *r)
{
    if (!pacer_waits(&r->item))
        return;
    // What waits does so at the registrar of the specification that it would send.
    if (r->want)
        pacer_cancel(e->home.pacer, r->want->way->target, &r->item);
    if (r->bound)
        pacer_cancel(e->home.pacer, r->bound->way->target, &r->item);
    if (r->extra && r->extra->left)
        pacer_cancel(e->home.pacer, r->extra->left->way->target, &r->item);
}

void entry_set_want(struct engine *e, struct entry *r, struct spec *take)
{
    entry_stop_waiting(e, r);
    observe_registrar(r, take);
    spec_put(&e->home, &r->want);
    r->want = take;
}

void entry_uncount_need(struct engine *e, struct entry *r)
{
    if (!r->need_counted)
        return;
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): counted while there is something bound
    pacer_need_remove(r->bound->way->target, schedule_mean_refresh_ms(r->granted_s));
    r->need_counted = false;
    e->stats.bound--;
}

void entry_count_need(struct engine *e, struct entry *r)
{
    bool lives = r->bound && r->granted_s && r->expires_ms;
    if (!lives) {
        entry_uncount_need(e, r);
    } else if (!r->need_counted) {
        pacer_need_add(r->bound->way->target, schedule_mean_refresh_ms(r->granted_s));
        r->need_counted = true;
        e->stats.bound++;
    }
}

void entry_set_bound(struct engine *e, struct entry *r, struct spec *take, struct str local)
{
    entry_stop_waiting(e, r);
    entry_uncount_need(e, r);
    entry_keep_shown(e, r, take, local);
    spec_put(&e->home, &r->bound);
    r->bound = take;
    r->assumed = false;
    r->shaken = r->shaken && take;
    r->flow = take ? r->flow : 0;
    intern_set(e->home.texts, &r->bound_local, take && take->has_local ? local : STR_NONE);
}

void entry_share_bound(struct engine *e, struct entry *r, struct str local)
{
    bool as_sent = r->as_sent, counted = r->need_counted, assumed = r->assumed;
    r->as_sent = false;
    entry_set_bound(e, r, spec_ref(r->want), local);
    r->as_sent = as_sent;
    r->assumed = assumed;
    if (counted)
        entry_count_need(e, r);
}

void entry_set_dropped(struct engine *e, struct entry *r, struct str lines)
{
    if (!lines.n && (!r->extra || !r->extra->dropped))
        return;
    struct extra *x = entry_extra(e, r);
    size_t before = x->dropped ? strlen(x->dropped) + 1 : 0;
    free(x->dropped);
    x->dropped = lines.n ? str_dup(lines) : NULL;
    size_t after = lines.n ? lines.n + 1 : 0;
    x->bytes += after - before;
    e->bytes += after - before;
}

void entry_set_left(struct engine *e, struct entry *r, struct spec *take, struct str local)
{
    if (!take && (!r->extra || !r->extra->left))
        return;
    struct extra *x = entry_extra(e, r);
    entry_stop_waiting(e, r);
    spec_put(&e->home, &x->left);
    x->left = take;
    intern_set(e->home.texts, &x->left_local, take && take->has_local ? local : STR_NONE);
}

void entry_set_names(struct engine *e, struct entry *r, struct str call_id, struct str from_tag)
{
    struct buf ours = BUF_INIT, tag = BUF_INIT;
    uint64_t seed = 0, held = r->seed;
    for (size_t i = 0; call_id.n == SEED_DIGITS && i < SEED_DIGITS; i++) {
        char c = call_id.p[i];
        uint64_t digit = c >= '0' && c <= '9' ? (uint64_t)(c - '0') : (uint64_t)((c | 32) - 'a' + 10) & 15;
        seed = seed << 4 | digit;
    }
    r->seed = seed;
    entry_call_id(r, &ours);
    entry_from_tag(r, &tag);
    if (!str_eq(buf_str(&ours), call_id) || !str_eq(buf_str(&tag), from_tag)) {
        struct extra *x = entry_extra(e, r);
        r->seed = held;
        x->call_id = mem_alloc(call_id.n + from_tag.n + 2);
        if (call_id.n)
            memcpy(x->call_id, call_id.p, call_id.n);
        x->from_tag = x->call_id + call_id.n + 1;
        if (from_tag.n)
            memcpy(x->from_tag, from_tag.p, from_tag.n);
        x->bytes += call_id.n + from_tag.n + 2;
        e->bytes += call_id.n + from_tag.n + 2;
    }
    buf_done(&ours);
    buf_done(&tag);
}

static void add_hex(struct buf *out, uint64_t value)
{
    unsigned char bytes[8];
    for (int i = 7; i >= 0; i--, value >>= 8)
        bytes[i] = (unsigned char)value;
    encode_hex(out, bytes, sizeof(bytes));
}

void entry_call_id(const struct entry *r, struct buf *out)
{
    if (r->extra && r->extra->call_id) {
        buf_add_cstr(out, r->extra->call_id);
        return;
    }
    add_hex(out, r->seed);
}

void entry_from_tag(const struct entry *r, struct buf *out)
{
    if (r->extra && r->extra->call_id)
        buf_add_cstr(out, r->extra->from_tag);
    else
        add_hex(out, hash_u64(r->seed ^ TAG_SALT));
}
