// See apply.h.
#include "services/gateway/publish/apply.h"

#include "common/base/mem.h"
#include "common/log/log.h"
#include "services/gateway/publish/outbox.h"
#include "services/gateway/publish/publisher.h"
#include "services/gateway/publish/row.h"
#include "services/gateway/store/record.h"

void apply_send(struct hub *h, struct report *r, redis_fn *fn, void *arg)
{
    const struct report_waits waits = {
        .grace_ms = h->params.grace_ms, .ack_wait_ms = h->params.ack_wait_ms, .source = h->params.node};
    struct buf key cleanup(buf_done) = BUF_INIT;
    key_registration(&key, store_shard(str_of(r->status.account)), r->status.id);
    struct str argv[1 + REPORT_ARGS] = {buf_str(&key)};
    report_args(r, &waits, argv + 1);
    redis_script(h->redis, &h->scripts.report, fn, arg, 1, ARRAY_LEN(argv), argv);
}

// The grave proves that it was deleted, so what was reported of it is to be removed where it was reported.
static void publish_deleted(struct hub *h, const struct report *r, bool twin)
{
    const struct status *s = &r->status;
    struct store_change *c =
        store_change_new(STORE_OP_DELETED, s->id, 0, str_of(s->account), str_of(s->place), STR_NONE);
    c->status = mem_dup_cstr(r->value);
    c->twin = twin;
    publisher_publish(h->publisher, c);
}

static void follow_up(struct hub *h, const struct report *r, enum report_verdict verdict,
                      const struct redis_value *v)
{
    const struct status *s = &r->status;
    if (redis_int(redis_at(v, 1)))
        outbox_nudge(h->outbox, store_shard(str_of(s->account)));
    bool late = verdict == REPORT_MOVING || verdict == REPORT_STRAY;
    size_t published = rows_publish(h, redis_at(v, 3), late ? str_of(r->value) : STR_NONE);
    switch (verdict) {
    case REPORT_MOVING:
    case REPORT_ELSEWHERE:
    case REPORT_STRAY:
        row_publish_moved(h, s->id, str_of(s->account), (uint64_t)redis_int(redis_at(v, 2)),
                          str_of(s->place));
        break;
    case REPORT_BURIED:
    case REPORT_TWIN:
        log_limited(LOG_WARNING, "publish", s->id, "reported as %s by %s though its removal was proved",
                    status_state_name(s->state), s->node ? s->node : "an unnamed registrant");
        publish_deleted(h, r, verdict == REPORT_TWIN);
        break;
    case REPORT_ORPHAN:
        log_limited(LOG_WARNING, "publish", s->id, "reported by %s, but Redis never heard of it: left alone",
                    s->node ? s->node : "an unnamed registrant");
        break;
    case REPORT_REMOVED:
        hub_count(h, BUS_TWINS_RAISED, 0, published);
        break;
    case REPORT_OK:
    case REPORT_STALE:
    case REPORT_PAST:
        break;
    }
}

bool apply_answered(struct hub *h, const struct report *r, const struct redis_value *v,
                    const struct error *err)
{
    enum report_verdict verdict;
    if (err && redis_error_passes(err))
        return false;
    if (err || report_verdict_parse(redis_str(redis_at(v, 0)), &verdict)) {
        hub_count(h, BUS_POISON, POISON_STATUS, 1);
        log_limited(LOG_ERROR, "publish", r->status.id, "report skipped: %s",
                    err ? err->text : "the script gave no verdict");
        return true;
    }
    hub_count(h, BUS_REPORTS, verdict, 1);
    follow_up(h, r, verdict, v);
    return true;
}
