// See place.h. The group's side: what it gives and takes goes to the partition it is about, records to the
// SIP threads, and the coordinator's answers to commits are the lease.
#include "services/registrant/shard/place.h"

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/event/timer.h"
#include "common/log/log.h"
#include "services/registrant/shard/change.h"
#include "services/registrant/shard/fence.h"
#include "services/registrant/shard/partition.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum {
    END_POLL_MS = 5,
    PROVE_AGAIN_MS = 100,
    COMMITS_A_SESSION = 5, // each of them proves the lease
    JOIN_RETRY_MS = 5000,
    LEAVE_MS = 2000,
    MISSED_MS = 500,
};

struct place {
    struct place_params params;
    struct partition_home home;
    char *topic;
    struct kafka_consumer *consumer;
    struct partition *partitions; // by number
    struct lease lease;
    struct fence fence;
    struct event *commit_timer, *end_timer, *prove_again, *join_again;
    bool recounting; // the topic has another number of partitions: all of them are being let go of
    struct place_counts counts;
};

// The table never grows while any is held: partitions keep their address for the callbacks that hold them.
static struct partition *partition_get(struct place *place, int32_t number)
{
    return number >= 0 && number < place->home.partition_count ? &place->partitions[number] : NULL;
}

// ---- the group gives and takes

static void check_count(struct place *place);
static void finish_recount(struct place *place);

// The first assignment tells how many partitions there are.
static void count_partitions(struct place *place, int32_t at_least)
{
    int32_t count = kafka_consumer_partitions(place->consumer, place->topic);
    if (count < at_least)
        count = at_least;
    place->partitions = mem_array((size_t)count, sizeof(*place->partitions));
    for (int32_t i = 0; i < count; i++)
        place->partitions[i] = (struct partition){.home = &place->home, .number = i, .next_offset = -1};
    place->home.partition_count = count;
}

static void on_assigned(void *arg, const char *topic, int32_t number)
{
    struct place *place = arg;
    (void)topic;
    if (!place->home.partition_count)
        count_partitions(place, number + 1);
    else
        check_count(place);
    struct partition *p = partition_get(place, number);
    if (p && !place->recounting)
        partition_assigned(p);
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct place *place = arg;
    uint64_t now_us = clock_monotonic_us();
    bool more = false;
    for (int32_t i = 0; i < place->home.partition_count; i++)
        more = partition_end(&place->partitions[i], now_us) || more;
    if (more)
        timer_in_ms(place->end_timer, END_POLL_MS);
    else if (place->recounting)
        finish_recount(place);
}

static void on_revoked(void *arg, const char *topic, int32_t number, bool lost)
{
    struct place *place = arg;
    (void)topic;
    struct partition *p = partition_get(place, number);
    if (place->recounting && !lost)
        return; // we leave the group as soon as the last reports are said
    if (!p)
        kafka_consumer_release(place->consumer, place->topic, number);
    else if (lost)
        partition_lost(p);
    else
        partition_revoked(p);
    if (lost) {
        lease_void(&place->lease);
        place->params.on_lease(place->params.arg);
    } else {
        timer_in_ms(place->end_timer, 0);
    }
}

static void commit_all(struct place *place);

// Membership is proved at once, since nothing new is bound before. Parked partitions that the group, working
// again, did not give back to us are another's now.
static void on_rebalanced(void *arg)
{
    struct place *place = arg;
    place->counts.settled = true;
    fence_joined(&place->fence, clock_monotonic_us());
    commit_all(place);
    for (int32_t i = 0; i < place->home.partition_count; i++)
        partition_kept_from_us(&place->partitions[i]);
}

void place_closed(struct place *place, uint32_t shard)
{
    struct partition *p = partition_get(place, (int32_t)(shard & 0xffff));
    if (!p)
        return;
    partition_closed(p);
    timer_in_ms(place->end_timer, 0);
}

// ---- records and the lease

// A key that another partition is for would have two owners (a producer that counts partitions differently).
static int read_record(const struct place *place, const struct kafka_record *r, struct sip_command **ret,
                       struct error *err)
{
    uint32_t home = hash_partition(r->key, (uint32_t)place->home.partition_count);
    if (!r->key.p)
        return error_set(err, -EINVAL, "it has no key");
    if (home != (uint32_t)r->partition)
        return error_set(err, -EINVAL, "its key belongs to partition %u", home);
    return change_read(r->value, r->key, false, ret, err);
}

static void on_records(void *arg, const struct kafka_record *records, size_t count)
{
    struct place *place = arg;
    for (size_t i = 0; i < count; i++) {
        const struct kafka_record *r = &records[i];
        struct partition *p = partition_get(place, r->partition);
        if (!p)
            continue;
        p->next_offset = r->offset + 1;
        if (p->known_offset >= 0 && kafka_consumer_end(place->consumer, place->topic, p->number) < 0)
            p->known_offset = -1;
        struct sip_command *c;
        struct error err = {0};
        place->counts.records++;
        if (read_record(place, r, &c, &err)) {
            place->counts.poison++;
            log_limited(LOG_WARNING, "shard", 0, "%s/%d offset %lld is skipped: %s", place->params.name,
                        r->partition, (long long)r->offset, err.text);
            continue;
        }
        // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): 0 is said of a command alone
        c->shard = partition_shard(p);
        c->replayed = r->offset < p->known_offset;
        if (c->has_last && strcmp(c->last.place, place->params.name) == 0 &&
            lease_is_fresh(&place->lease, clock_monotonic_us()))
            partition_outdo(p, c->last.epoch);
        workers_desired(place->params.workers, c);
    }
}

// Commits where we are, moved or not: the coordinator's answer is the proof that the lease asks for.
static void commit_all(struct place *place)
{
    for (int32_t i = 0; i < place->home.partition_count; i++) {
        const struct partition *p = &place->partitions[i];
        if (partition_is_ours(p))
            kafka_consumer_commit(place->consumer, place->topic, p->number, p->next_offset);
    }
}

static void on_commit_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct place *place = arg;
    check_count(place);
    commit_all(place);
    place->params.on_lease(place->params.arg); // it may have run out
}

static void on_prove_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    commit_all(arg);
}

static void on_commit(void *arg, const struct error *err, uint64_t sent_us)
{
    struct place *place = arg;
    if (!err) {
        if (lease_prove(&place->lease, sent_us))
            place->params.on_lease(place->params.arg);
        return;
    }
    log_limited(LOG_DEBUG, "shard", 0, "commit for %s refused: %s", place->params.name, err->text);
    // Until the group has settled for all members it takes no commit; nothing new is bound meanwhile.
    if (err->code == -EBUSY && !lease_is_fresh(&place->lease, clock_monotonic_us()))
        timer_in_ms(place->prove_again, PROVE_AGAIN_MS);
}

static void on_health(void *arg, bool up)
{
    struct place *place = arg;
    log_line(up ? LOG_INFO : LOG_WARNING, "shard", 0, "Kafka is %s for the group of %s",
             up ? "reached" : "away", place->params.name);
    if (up)
        commit_all(place); // none was sent meanwhile
    else
        fence_away(&place->fence);
}

// Every partition was told as lost before.
static void on_fatal(void *arg, const struct error *why)
{
    struct place *place = arg;
    uint32_t pause_ms;
    lease_void(&place->lease);
    place->params.on_lease(place->params.arg);
    if (place->home.stopping || place->recounting)
        return;
    place->counts.rejoins++;
    if (why->code == -EAGAIN) {
        log_line(LOG_WARNING, "shard", 0, "joining the group of %s anew: %s", place->params.name, why->text);
        timer_in_ms(place->join_again, 0);
        return;
    }
    if (!fence_again(&place->fence, clock_monotonic_us(), &pause_ms)) {
        log_line(LOG_ERROR, "shard", 0, "the group of %s will not have us any more: %s", place->params.name,
                 why->text);
        place->params.on_fatal(place->params.arg);
        return;
    }
    log_line(LOG_WARNING, "shard", 0, "the group of %s put us out, joining again in %u ms: %s",
             place->params.name, pause_ms, why->text);
    timer_in_ms(place->join_again, pause_ms);
}

// ---- start and end

static int join(struct place *p, struct kafka_consumer **ret, struct error *err)
{
    struct buf group cleanup(buf_done) = BUF_INIT, instance cleanup(buf_done) = BUF_INIT;
    buf_addf(&group, "%s-registrant.%s", p->params.topic_prefix, p->params.name);
    buf_addf(&instance, "%s.%s", p->params.node, p->params.name);
    const char *topics[] = {p->topic};
    const struct kafka_consumer_params consumer = {
        .common = p->params.kafka,
        .group = group.p,
        .instance_id = instance.p,
        .topics = topics,
        .topic_count = 1,
        .session_timeout_ms = p->params.session_timeout_ms,
        .arg = p,
        .on_records = on_records,
        .on_assigned = on_assigned,
        .on_revoked = on_revoked,
        .on_rebalanced = on_rebalanced,
        .on_commit = on_commit,
        .on_health = on_health,
        .on_fatal = on_fatal,
    };
    return kafka_consumer_new(&consumer, ret, err);
}

// The fenced consumer stays until there is another one: partitions hold it.
static void on_join_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct place *place = arg;
    struct kafka_consumer *fenced = place->consumer;
    struct error err = {0};
    if (join(place, &place->consumer, &err)) {
        log_limited(LOG_ERROR, "shard", 0, "cannot join the group of %s: %s", place->params.name, err.text);
        timer_in_ms(place->join_again, JOIN_RETRY_MS);
        return;
    }
    place->home.consumer = place->consumer;
    kafka_consumer_free(fenced, 0);
}

// ---- another number of partitions

// Which partition an id belongs to follows from their number, so with another one everything may have another
// owner. All is handed over as at a restart, and taken over as the group gives it out anew. Members notice
// within the time of a probe of each other; what two of them hold meanwhile is told apart by its epoch.
static void check_count(struct place *place)
{
    int32_t had = place->home.partition_count;
    int32_t count = had ? kafka_consumer_partitions(place->consumer, place->topic) : 0;
    if (!count || count == had || place->recounting || place->home.stopping)
        return;
    log_line(LOG_WARNING, "shard", 0, "%s has %d partitions now, not %d: taking over anew", place->topic,
             count, had);
    place->recounting = true;
    place->counts.recounts++;
    for (int32_t i = 0; i < had; i++)
        partition_hand_over(&place->partitions[i]);
    timer_in_ms(place->end_timer, 0);
}

static bool holds_any(const struct place *place)
{
    for (int32_t i = 0; i < place->home.partition_count; i++)
        if (place->partitions[i].state != PARTITION_NONE)
            return true;
    return false;
}

// Static members do not say that they leave.
static void finish_recount(struct place *place)
{
    if (place->home.stopping || holds_any(place))
        return;
    lease_void(&place->lease);
    place->params.on_lease(place->params.arg);
    kafka_consumer_free(place->consumer, LEAVE_MS);
    place->consumer = place->home.consumer = NULL;
    free(place->partitions);
    place->partitions = NULL;
    place->home.partition_count = 0;
    place->recounting = false;
    // A member that came back under its name would be given what it had, and nobody the new partitions: the
    // group has to miss it first.
    timer_in_ms(place->join_again, place->params.session_timeout_ms + MISSED_MS);
}

static struct partition_home home_of(const struct place *p)
{
    return (struct partition_home){
        .base = p->params.base,
        .consumer = p->consumer,
        .topic = p->topic,
        .place = p->params.name,
        .index = p->params.index,
        .snapshot_urls = p->params.snapshot_urls,
        .snapshot_token = p->params.snapshot_token,
        .workers = p->params.workers,
        .reporter = p->params.reporter,
    };
}

int place_start(const struct place_params *params, struct place **ret, struct error *err)
{
    struct place *p = mem_alloc(sizeof(*p));
    p->params = *params;
    p->lease.session_us = (uint64_t)params->session_timeout_ms * 1000u;
    struct buf topic = BUF_INIT;
    buf_addf(&topic, "%s.changes.%s", params->topic_prefix, params->name);
    p->topic = buf_steal(&topic);
    int rc = join(p, &p->consumer, err);
    if (rc) {
        free(p->topic);
        free(p);
        return rc;
    }
    p->home = home_of(p);
    p->end_timer = event_new(params->base, -1, 0, on_end, p);
    p->prove_again = event_new(params->base, -1, 0, on_prove_again, p);
    p->join_again = event_new(params->base, -1, 0, on_join_again, p);
    p->commit_timer = event_new(params->base, -1, EV_PERSIST, on_commit_timer, p);
    timer_in_ms(p->commit_timer, params->session_timeout_ms / COMMITS_A_SESSION);
    *ret = p;
    return 0;
}

void place_congestion(struct place *place, bool congested)
{
    place->home.congested = congested;
    for (int32_t i = 0; i < place->home.partition_count; i++)
        partition_push_back(&place->partitions[i]);
}

void place_stop(struct place *place)
{
    place->home.stopping = true;
    (void)event_del(place->join_again);
    for (int32_t i = 0; i < place->home.partition_count; i++)
        partition_stop_loading(&place->partitions[i]);
}

void place_leave(struct place *place, uint32_t timeout_ms)
{
    place_stop(place);
    kafka_consumer_free(place->consumer, timeout_ms);
    event_free(place->commit_timer);
    event_free(place->end_timer);
    event_free(place->prove_again);
    event_free(place->join_again);
    free(place->partitions);
    free(place->topic);
    free(place);
}

const struct lease *place_lease(const struct place *place)
{
    return &place->lease;
}

bool place_has_partitions(const struct place *place)
{
    for (int32_t i = 0; i < place->home.partition_count; i++)
        if (partition_is_ours(&place->partitions[i]))
            return true;
    return false;
}

struct place_counts place_counts(const struct place *place)
{
    struct place_counts c = place->counts;
    c.takeovers = place->home.takeovers;
    c.owned = c.parked = 0;
    c.loading = place->recounting || !place->consumer;
    for (int32_t i = 0; i < place->home.partition_count; i++) {
        const struct partition *p = &place->partitions[i];
        enum partition_state state = p->state;
        c.owned += state == PARTITION_OPEN;
        c.loading += state == PARTITION_LOADING || state == PARTITION_REJOINED || p->reload;
        c.parked += state == PARTITION_PARKED;
    }
    return c;
}
