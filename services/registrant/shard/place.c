// See place.h. A partition's life: assigned, reading to start where its group had come to → snapshot → open;
// revoked → closed by the SIP threads → reports flushed → released; lost → parked → assigned again or given
// to another.
#include "services/registrant/shard/place.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "services/registrant/shard/change.h"
#include "services/registrant/shard/snapshot.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLUSH_WAIT_MS = 5000, FLUSH_POLL_MS = 5 };

enum partition_state {
    PARTITION_NONE,     // another registrant's
    PARTITION_LOADING,  // ours: being positioned, or its snapshot on the way
    PARTITION_OPEN,     // ours: acted on
    PARTITION_CLOSING,  // being taken: the SIP threads finish what is in flight
    PARTITION_FLUSHING, // being taken: its last reports are on their way
    PARTITION_PARKED,   // lost with the session: refreshed until it is known whose it is
    PARTITION_REJOINED, // parked and assigned again: its snapshot tells whether another had it in between
    PARTITION_DROPPING, // parked and given to another, or taken over anew: the SIP threads let it go
};

struct partition {
    struct place *place;
    int32_t number;
    enum partition_state state;
    struct snapshot *snapshot;
    uint64_t epoch;         // ours, once open
    uint64_t highest_epoch; // in the snapshot
    uint64_t flush_until_us;
    int64_t next_offset; // of the next record to handle; -1: none seen
    bool reload;         // DROPPING because another had it: load it anew afterwards
    struct sip_command *
        *held; // REJOINED: what the snapshot says, until it is known whether memory or snapshot rules
    size_t held_count, held_size;
};

struct place {
    struct place_params params;
    char *topic;
    struct kafka_consumer *consumer;
    struct partition *partitions; // by number
    int32_t partition_count;
    struct lease lease;
    struct event *commit_timer, *flush_timer;
    struct place_counts counts;
};

static uint32_t shard_of(const struct partition *p)
{
    return p->place->params.index << 16 | (uint32_t)p->number;
}

static void tell(struct partition *p, enum sip_command_kind kind)
{
    struct sip_command c = {.kind = kind, .shard = shard_of(p), .epoch = p->epoch};
    int32_t partitions = p->place->partition_count > 0 ? p->place->partition_count : 1;
    c.share = 1.0 / partitions / workers_count(p->place->params.workers);
    (void)snprintf(c.place, sizeof(c.place), "%s", p->place->params.name);
    workers_tell_all(p->place->params.workers, &c);
}

// The table grows with the topic; partitions keep their address for the callbacks that hold them.
static struct partition *partition_get(struct place *place, int32_t number)
{
    if (number < place->partition_count)
        return &place->partitions[number];
    return NULL;
}

static void drop_held(struct partition *p)
{
    for (size_t i = 0; i < p->held_count; i++)
        sip_command_free(p->held[i]);
    free(p->held);
    p->held = NULL;
    p->held_count = p->held_size = 0;
}

static void hold(struct partition *p, struct sip_command *take)
{
    if (p->held_count == p->held_size) {
        p->held_size = p->held_size ? p->held_size * 2 : 64;
        p->held = mem_resize(p->held, p->held_size, sizeof(struct sip_command *));
    }
    p->held[p->held_count++] = take;
}

static void give_held(struct partition *p)
{
    for (size_t i = 0; i < p->held_count; i++)
        workers_desired(p->place->params.workers, p->held[i]);
    p->held_count = 0;
    drop_held(p);
}

// ---- taking over

static void on_entry(void *arg, struct sip_command *take)
{
    struct partition *p = arg;
    take->shard = shard_of(p);
    if (take->has_last && take->last.epoch > p->highest_epoch)
        p->highest_epoch = take->last.epoch;
    if (p->state == PARTITION_REJOINED)
        hold(p, take);
    else
        workers_desired(p->place->params.workers, take);
}

static void on_restart(void *arg)
{
    struct partition *p = arg;
    drop_held(p);
}

static uint64_t next_epoch(uint64_t highest)
{
    uint64_t wall_ms = clock_wall_ms();
    return highest + 1 > wall_ms ? highest + 1 : wall_ms;
}

static void open_partition(struct partition *p, enum sip_command_kind kind)
{
    struct place *place = p->place;
    p->epoch = next_epoch(p->highest_epoch > p->epoch ? p->highest_epoch : p->epoch);
    tell(p, kind);
    give_held(p);
    p->state = PARTITION_OPEN;
    kafka_consumer_resume(place->consumer, place->topic, p->number);
    log_line(LOG_INFO, "shard", 0, "%s/%d is ours, epoch %llu", place->params.name, p->number,
             (unsigned long long)p->epoch);
}

static void on_snapshot(void *arg)
{
    struct partition *p = arg;
    p->snapshot = NULL;
    if (p->state == PARTITION_LOADING) {
        open_partition(p, SIP_SHARD_OPEN);
    } else if (p->highest_epoch <= p->epoch) { // nobody had it in between: memory is newer than the snapshot
        open_partition(p, SIP_SHARD_UNPARK);
    } else {
        p->reload = true;
        p->state = PARTITION_DROPPING;
        tell(p, SIP_SHARD_DROP);
    }
}

static void fetch_snapshot(struct partition *p)
{
    struct place *place = p->place;
    p->highest_epoch = 0;
    const struct snapshot_params params = {
        .base = place->params.base,
        .urls = place->params.snapshot_urls,
        .token = place->params.snapshot_token,
        .place = place->params.name,
        .partition = p->number,
        .partitions = place->partition_count,
        .arg = p,
        .on_entry = on_entry,
        .on_restart = on_restart,
        .on_done = on_snapshot,
    };
    p->snapshot = snapshot_start(&params);
}

// The first assignment tells how many partitions there are; the table never shrinks.
static void grow(struct place *place, int32_t at_least)
{
    int32_t count = kafka_consumer_partitions(place->consumer, place->topic);
    if (count < at_least)
        count = at_least;
    if (count <= place->partition_count)
        return;
    if (place->partition_count)
        log_line(LOG_WARNING, "shard", 0, "%s now has %d partitions; restart the registrants to follow",
                 place->topic, count);
    else
        place->partitions = mem_array((size_t)count, sizeof(*place->partitions));
    for (int32_t i = place->partition_count; i < count && !place->partition_count; i++)
        place->partitions[i] = (struct partition){.place = place, .number = i, .next_offset = -1};
    if (!place->partition_count)
        place->partition_count = count;
}

static void on_assigned(void *arg, const char *topic, int32_t number)
{
    struct place *place = arg;
    (void)topic;
    grow(place, number + 1);
    struct partition *p = partition_get(place, number);
    if (!p)
        return;
    if (p->state == PARTITION_DROPPING) {
        p->reload = true;
        return;
    }
    if (p->state == PARTITION_PARKED) {
        p->state = PARTITION_REJOINED;
    } else {
        p->state = PARTITION_LOADING;
        tell(p, SIP_SHARD_LOAD);
    }
    p->next_offset = -1;
    fetch_snapshot(p);
}

// ---- letting go

static void stop_loading(struct partition *p)
{
    if (p->snapshot)
        snapshot_cancel(p->snapshot);
    p->snapshot = NULL;
    drop_held(p);
}

static void park(struct partition *p)
{
    stop_loading(p);
    if (p->state == PARTITION_OPEN || p->state == PARTITION_CLOSING) {
        tell(p, SIP_SHARD_PARK);
        p->state = PARTITION_PARKED;
    } else if (p->state == PARTITION_REJOINED) {
        p->state = PARTITION_PARKED;
    } else if (p->state == PARTITION_LOADING) {
        p->state = PARTITION_DROPPING; // nothing was sent for it
        tell(p, SIP_SHARD_DROP);
    } else if (p->state == PARTITION_FLUSHING) {
        p->state = PARTITION_NONE;
    }
    p->reload = false;
}

static void on_revoked(void *arg, const char *topic, int32_t number, bool lost)
{
    struct place *place = arg;
    (void)topic;
    struct partition *p = partition_get(place, number);
    if (!p || lost) {
        if (p) {
            lease_void(&place->lease);
            park(p);
        }
        kafka_consumer_release(place->consumer, place->topic, number);
        place->params.on_lease(place->params.arg);
        return;
    }
    stop_loading(p);
    log_line(LOG_INFO, "shard", 0, "%s/%d is given to another", place->params.name, number);
    if (p->state == PARTITION_NONE || p->state == PARTITION_DROPPING) {
        kafka_consumer_release(place->consumer, place->topic, number);
        p->reload = false;
        return;
    }
    tell(p, p->state == PARTITION_REJOINED ? SIP_SHARD_DROP : SIP_SHARD_CLOSE);
    p->state = PARTITION_CLOSING;
}

static void commit_all(struct place *place);

// Membership is proved at once, since nothing new is bound before. Parked partitions that the group, working
// again, did not give back to us are another's now.
static void on_rebalanced(void *arg)
{
    struct place *place = arg;
    place->counts.settled = true;
    commit_all(place);
    for (int32_t i = 0; i < place->partition_count; i++) {
        struct partition *p = &place->partitions[i];
        if (p->state != PARTITION_PARKED)
            continue;
        log_line(LOG_INFO, "shard", 0, "%s/%d was given to another while Kafka was away", place->params.name,
                 i);
        p->state = PARTITION_DROPPING;
        p->reload = false;
        tell(p, SIP_SHARD_DROP);
    }
}

static void finish_flush(struct partition *p)
{
    struct place *place = p->place;
    kafka_consumer_release(place->consumer, place->topic, p->number);
    p->state = PARTITION_NONE;
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct place *place = arg;
    bool more = false;
    for (int32_t i = 0; i < place->partition_count; i++) {
        struct partition *p = &place->partitions[i];
        if (p->state != PARTITION_FLUSHING)
            continue;
        if (reporter_pending(place->params.reporter, shard_of(p)) == 0 ||
            clock_monotonic_us() > p->flush_until_us)
            finish_flush(p);
        else
            more = true;
    }
    if (more)
        (void)event_add(place->flush_timer, &(struct timeval){.tv_usec = FLUSH_POLL_MS * 1000});
}

void place_closed(struct place *place, uint32_t shard)
{
    struct partition *p = partition_get(place, (int32_t)(shard & 0xffff));
    if (!p)
        return;
    if (p->state == PARTITION_CLOSING) {
        p->state = PARTITION_FLUSHING;
        p->flush_until_us = clock_monotonic_us() + FLUSH_WAIT_MS * 1000u;
        (void)event_add(place->flush_timer, &(struct timeval){0});
        return;
    }
    p->state = PARTITION_NONE;
    p->epoch = 0;
    if (p->reload) {
        p->reload = false;
        on_assigned(place, place->topic, p->number);
    }
}

// ---- records and the lease

static void on_records(void *arg, const struct kafka_record *records, size_t count)
{
    struct place *place = arg;
    for (size_t i = 0; i < count; i++) {
        const struct kafka_record *r = &records[i];
        struct partition *p = partition_get(place, r->partition);
        if (!p)
            continue;
        p->next_offset = r->offset + 1;
        struct sip_command *c;
        struct error err = {0};
        place->counts.records++;
        if (change_read(r->value, r->key, false, &c, &err)) {
            place->counts.poison++;
            log_limited(LOG_WARNING, "shard", 0, "%s/%d offset %lld is skipped: %s", place->params.name,
                        r->partition, (long long)r->offset, err.text);
            continue;
        }
        c->shard = shard_of(p);
        workers_desired(place->params.workers, c);
    }
}

// Commits where we are, moved or not: the coordinator's answer is the proof that the lease asks for.
static void commit_all(struct place *place)
{
    for (int32_t i = 0; i < place->partition_count; i++) {
        const struct partition *p = &place->partitions[i];
        if (p->state == PARTITION_OPEN || p->state == PARTITION_LOADING || p->state == PARTITION_REJOINED)
            kafka_consumer_commit(place->consumer, place->topic, p->number, p->next_offset);
    }
}

static void on_commit_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct place *place = arg;
    commit_all(place);
    place->params.on_lease(place->params.arg); // it may have run out
}

static void on_commit(void *arg, const struct error *err, uint64_t sent_us)
{
    struct place *place = arg;
    if (err)
        log_limited(LOG_DEBUG, "shard", 0, "commit for %s refused: %s", place->params.name, err->text);
    else if (lease_prove(&place->lease, sent_us))
        place->params.on_lease(place->params.arg);
}

static void on_health(void *arg, bool up)
{
    struct place *place = arg;
    log_line(up ? LOG_INFO : LOG_WARNING, "shard", 0, "Kafka is %s for the group of %s",
             up ? "reached" : "away", place->params.name);
}

static void on_fatal(void *arg, const struct error *why)
{
    struct place *place = arg;
    log_line(LOG_ERROR, "shard", 0, "the group of %s will not have us any more: %s", place->params.name,
             why->text);
    place->params.on_fatal(place->params.arg);
}

// ---- start and end

int place_start(const struct place_params *params, struct place **ret, struct error *err)
{
    struct place *p = mem_alloc(sizeof(*p));
    p->params = *params;
    p->lease.session_us = (uint64_t)params->session_timeout_ms * 1000u;
    struct buf topic = BUF_INIT, group = BUF_INIT, instance = BUF_INIT;
    buf_addf(&topic, "%s.changes.%s", params->topic_prefix, params->name);
    buf_addf(&group, "%s-registrant.%s", params->topic_prefix, params->name);
    buf_addf(&instance, "%s.%s", params->node, params->name);
    p->topic = buf_steal(&topic);
    const char *topics[] = {p->topic};
    const struct kafka_consumer_params consumer = {
        .common = params->kafka,
        .group = group.p,
        .instance_id = instance.p,
        .topics = topics,
        .topic_count = 1,
        .session_timeout_ms = params->session_timeout_ms,
        .arg = p,
        .on_records = on_records,
        .on_assigned = on_assigned,
        .on_revoked = on_revoked,
        .on_rebalanced = on_rebalanced,
        .on_commit = on_commit,
        .on_health = on_health,
        .on_fatal = on_fatal,
    };
    int rc = kafka_consumer_new(&consumer, &p->consumer, err);
    buf_done(&group);
    buf_done(&instance);
    if (rc) {
        free(p->topic);
        free(p);
        return rc;
    }
    p->flush_timer = event_new(params->base, -1, 0, on_flush, p);
    p->commit_timer = event_new(params->base, -1, EV_PERSIST, on_commit_timer, p);
    uint32_t every_ms = params->session_timeout_ms / 5;
    (void)event_add(p->commit_timer,
                    &(struct timeval){.tv_sec = every_ms / 1000, .tv_usec = (every_ms % 1000) * 1000});
    *ret = p;
    return 0;
}

void place_congestion(struct place *place, bool congested)
{
    for (int32_t i = 0; i < place->partition_count; i++) {
        struct partition *p = &place->partitions[i];
        if (p->snapshot)
            snapshot_pause(p->snapshot, congested);
        if (p->state != PARTITION_OPEN)
            continue;
        if (congested)
            kafka_consumer_pause(place->consumer, place->topic, p->number);
        else
            kafka_consumer_resume(place->consumer, place->topic, p->number);
    }
}

void place_leave(struct place *place, uint32_t timeout_ms)
{
    event_free(place->commit_timer);
    for (int32_t i = 0; i < place->partition_count; i++)
        stop_loading(&place->partitions[i]);
    kafka_consumer_free(place->consumer, timeout_ms);
    event_free(place->flush_timer);
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
    struct place_counts c = place_counts(place);
    return c.owned + c.loading > 0;
}

struct place_counts place_counts(const struct place *place)
{
    struct place_counts c = place->counts;
    c.owned = c.loading = c.parked = 0;
    for (int32_t i = 0; i < place->partition_count; i++) {
        enum partition_state state = place->partitions[i].state;
        c.owned += state == PARTITION_OPEN;
        c.loading += state == PARTITION_LOADING || state == PARTITION_REJOINED;
        c.parked += state == PARTITION_PARKED;
    }
    return c;
}
