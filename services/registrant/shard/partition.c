// See partition.h. The SIP threads hold a partition from LOAD until they say that it is closed; whatever the
// group does in between, it is loaded again only after that.
#include "services/registrant/shard/partition.h"

#include "common/base/clock.h"
#include "common/log/log.h"

#include <stdio.h>

enum {
    CLOSE_WAIT_MS = 10000, // over what a SIP thread waits for what is in flight
    FLUSH_WAIT_MS = 5000,
};

uint32_t partition_shard(const struct partition *p)
{
    return p->home->index << 16 | (uint32_t)p->number;
}

bool partition_is_ours(const struct partition *p)
{
    return p->state != PARTITION_NONE && p->state != PARTITION_PARKED &&
           (p->state != PARTITION_DROPPING || p->reload);
}

static void tell(struct partition *p, enum sip_command_kind kind)
{
    const struct partition_home *home = p->home;
    struct sip_command c = {.kind = kind, .shard = partition_shard(p), .epoch = p->epoch};
    int32_t partitions = home->partition_count > 0 ? home->partition_count : 1;
    c.share = 1.0 / partitions / workers_count(home->workers);
    (void)snprintf(c.place, sizeof(c.place), "%s", home->place);
    workers_tell_all(home->workers, &c);
}

static void release(struct partition *p)
{
    kafka_consumer_release(p->home->consumer, p->home->topic, p->number);
}

static void drop(struct partition *p, bool reload)
{
    p->state = PARTITION_DROPPING;
    p->reload = reload;
    tell(p, SIP_SHARD_DROP);
}

// ---- taking over

// Of one that is parked the SIP threads take in what is new and go on refreshing; a whole snapshot kept here
// until it is known who rules would be the memory of every partition at once after each outage.
static void on_entry(void *arg, struct sip_command *take)
{
    struct partition *p = arg;
    take->shard = partition_shard(p);
    if (take->has_last && take->last.epoch > p->highest_epoch)
        p->highest_epoch = take->last.epoch;
    workers_desired(p->home->workers, take);
}

static uint64_t next_epoch(uint64_t highest)
{
    uint64_t wall_ms = clock_wall_ms();
    return highest + 1 > wall_ms ? highest + 1 : wall_ms;
}

static void open_partition(struct partition *p, enum sip_command_kind kind)
{
    const struct partition_home *home = p->home;
    p->epoch = next_epoch(p->highest_epoch > p->epoch ? p->highest_epoch : p->epoch);
    tell(p, kind);
    p->state = PARTITION_OPEN;
    histogram_add(&p->home->takeovers, clock_monotonic_us() - p->assigned_us);
    if (!home->congested)
        kafka_consumer_resume(home->consumer, home->topic, p->number);
    log_line(LOG_INFO, "shard", 0, "%s/%d is ours, epoch %llu", home->place, p->number,
             (unsigned long long)p->epoch);
}

static void on_snapshot(void *arg)
{
    struct partition *p = arg;
    p->snapshot = NULL;
    if (p->state == PARTITION_LOADING)
        open_partition(p, SIP_SHARD_OPEN);
    else if (p->highest_epoch <= p->epoch) // nobody had it in between: memory is newer than the snapshot
        open_partition(p, SIP_SHARD_UNPARK);
    else
        drop(p, true);
}

static void fetch_snapshot(struct partition *p)
{
    const struct partition_home *home = p->home;
    p->highest_epoch = 0;
    const struct snapshot_params params = {
        .base = home->base,
        .urls = home->snapshot_urls,
        .token = home->snapshot_token,
        .place = home->place,
        .partition = p->number,
        .partitions = home->partition_count,
        .arg = p,
        .on_entry = on_entry,
        .on_done = on_snapshot,
    };
    p->snapshot = snapshot_start(&params);
    if (home->congested)
        snapshot_pause(p->snapshot, true);
}

void partition_assigned(struct partition *p)
{
    p->next_offset = -1;
    p->known_offset = kafka_consumer_end(p->home->consumer, p->home->topic, p->number);
    if (p->home->stopping)
        return;
    if (!partition_is_ours(p))
        p->assigned_us = clock_monotonic_us();
    switch (p->state) {
    case PARTITION_DROPPING:
        p->reload = true;
        return;
    case PARTITION_PARKED:
        p->state = PARTITION_REJOINED;
        break;
    case PARTITION_NONE:
        p->state = PARTITION_LOADING;
        tell(p, SIP_SHARD_LOAD);
        break;
    case PARTITION_LOADING:
    case PARTITION_OPEN:
    case PARTITION_CLOSING:
    case PARTITION_FLUSHING:
    case PARTITION_REJOINED:
        return; // it is ours: told twice
    }
    fetch_snapshot(p);
}

// An owner whose clock was ahead of ours spoke after we had opened it (a parked one that came back): whatever
// we report is refused until our epoch is above its.
void partition_outdo(struct partition *p, uint64_t epoch)
{
    if (p->state != PARTITION_OPEN || epoch <= p->epoch)
        return;
    p->epoch = next_epoch(epoch);
    tell(p, SIP_SHARD_OPEN);
    log_line(LOG_WARNING, "shard", 0, "%s/%d was reported on with a higher epoch; ours is %llu now",
             p->home->place, p->number, (unsigned long long)p->epoch);
}

// ---- letting go

void partition_stop_loading(struct partition *p)
{
    if (p->snapshot)
        snapshot_cancel(p->snapshot);
    p->snapshot = NULL;
}

void partition_lost(struct partition *p)
{
    partition_stop_loading(p);
    p->reload = false;
    switch (p->state) {
    case PARTITION_OPEN:
        tell(p, SIP_SHARD_PARK);
        p->state = PARTITION_PARKED;
        break;
    case PARTITION_REJOINED:
        p->state = PARTITION_PARKED;
        break;
    case PARTITION_LOADING: // nothing was sent for it
        drop(p, false);
        break;
    case PARTITION_CLOSING: // the SIP threads go on with that
        p->state = PARTITION_DROPPING;
        break;
    case PARTITION_FLUSHING:
        p->state = PARTITION_NONE;
        break;
    case PARTITION_NONE:
    case PARTITION_PARKED:
    case PARTITION_DROPPING:
        break;
    }
    release(p);
}

static void let_go(struct partition *p)
{
    partition_stop_loading(p);
    switch (p->state) {
    case PARTITION_OPEN:
        tell(p, SIP_SHARD_CLOSE);
        break;
    case PARTITION_LOADING:
    case PARTITION_REJOINED: // only what it touched is news
        tell(p, SIP_SHARD_DROP);
        break;
    case PARTITION_DROPPING: // has been told
        break;
    case PARTITION_NONE:
    case PARTITION_PARKED:
    case PARTITION_CLOSING:
    case PARTITION_FLUSHING:
        release(p);
        return;
    }
    p->reload = false;
    p->state = PARTITION_CLOSING;
    p->end_by_us = clock_monotonic_us() + CLOSE_WAIT_MS * UINT64_C(1000);
}

void partition_revoked(struct partition *p)
{
    log_line(LOG_INFO, "shard", 0, "%s/%d is given to another", p->home->place, p->number);
    let_go(p);
}

void partition_hand_over(struct partition *p)
{
    p->reload = false;
    if (p->state == PARTITION_PARKED)
        drop(p, false); // what it touched may be news to others
    else if (partition_is_ours(p) && p->state != PARTITION_CLOSING && p->state != PARTITION_FLUSHING)
        let_go(p);
}

void partition_kept_from_us(struct partition *p)
{
    if (p->state != PARTITION_PARKED)
        return;
    log_line(LOG_INFO, "shard", 0, "%s/%d was given to another meanwhile", p->home->place, p->number);
    drop(p, false);
}

void partition_closed(struct partition *p)
{
    if (p->state == PARTITION_CLOSING) {
        p->state = PARTITION_FLUSHING;
        p->end_by_us = clock_monotonic_us() + FLUSH_WAIT_MS * UINT64_C(1000);
        return;
    }
    if (p->state != PARTITION_DROPPING)
        return;
    bool reload = p->reload;
    p->state = PARTITION_NONE;
    p->epoch = 0;
    p->reload = false;
    if (reload)
        partition_assigned(p);
}

bool partition_end(struct partition *p, uint64_t now_us)
{
    bool late = now_us > p->end_by_us;
    if (p->state == PARTITION_CLOSING && late) {
        log_line(LOG_WARNING, "shard", 0, "%s/%d is let go before its reports could be said", p->home->place,
                 p->number);
        p->state = PARTITION_DROPPING;
        release(p);
    } else if (p->state == PARTITION_FLUSHING &&
               (late || reporter_pending(p->home->reporter, partition_shard(p)) == 0)) {
        p->state = PARTITION_NONE;
        release(p);
    }
    return p->state == PARTITION_CLOSING || p->state == PARTITION_FLUSHING;
}

void partition_push_back(const struct partition *p)
{
    const struct partition_home *home = p->home;
    if (p->snapshot)
        snapshot_pause(p->snapshot, home->congested);
    if (p->state != PARTITION_OPEN)
        return;
    if (home->congested)
        kafka_consumer_pause(home->consumer, home->topic, p->number);
    else
        kafka_consumer_resume(home->consumer, home->topic, p->number);
}
