// See reporter.h.
#include "services/registrant/shard/reporter.h"

#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/event/timer.h"
#include "common/log/log.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Reports of each thread that may be under way, and how long one waits for company in its request to the
// broker: with dozens of partitions a report alone in each request costs more than the REGISTER that it tells
// of.
enum { CREDITS = 1024, LINGER_MS = 10 };
enum { REFUSED_MS = 200 }; // until what the producer had no room for is given back

// What a report under way was: the slot's number is its token.
struct slot {
    uint64_t id;
    uint32_t shard;
    unsigned thread;
    bool used;
};

struct reporter {
    struct reporter_params params;
    struct kafka_producer *producer;
    struct workers *workers;
    struct slot *slots;
    size_t slot_count;
    uint32_t *free_slots;
    size_t free_count;
    struct reporter_counts counts;
    struct rng rng;
    uint32_t *credits;         // by thread: given back in this loop turn
    struct event *credit_turn; // hands them out
    struct event *later;       // gives refused reports back when the producer may have room again
    uint32_t *refused;         // slots
    size_t refused_count;
};

// One command a thread for all deliveries of a loop turn: a wake-up for each would cost more than the report.
static void on_credits(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct reporter *r = arg;
    for (unsigned i = 0; i < workers_count(r->workers); i++) {
        if (r->credits[i])
            workers_tell(r->workers, i, &(struct sip_command){.kind = SIP_CREDIT, .credit = r->credits[i]});
        r->credits[i] = 0;
    }
}

static void give_back(struct reporter *r, size_t index, bool delivered)
{
    struct slot *s = &r->slots[index];
    if (!delivered)
        workers_tell(r->workers, s->thread, &(struct sip_command){.kind = SIP_REPORT_FAILED, .id = s->id});
    r->credits[s->thread]++;
    event_active(r->credit_turn, 0, 0);
    s->used = false;
    r->free_slots[r->free_count++] = (uint32_t)index;
    if (delivered)
        r->counts.delivered++;
    else
        r->counts.failed++;
}

static void on_delivery(void *arg, uint64_t token, const struct error *err)
{
    struct reporter *r = arg;
    if (err)
        log_limited(LOG_WARNING, "shard", r->slots[token].id, "report not delivered, it is sent again: %s",
                    err->text);
    give_back(r, (size_t)token, !err);
}

static void on_health(void *arg, bool up)
{
    struct reporter *r = arg;
    r->params.on_health(r->params.arg, up);
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct reporter *r = arg;
    while (r->refused_count)
        give_back(r, r->refused[--r->refused_count], false);
}

int reporter_new(const struct reporter_params *p, struct reporter **ret, struct error *err)
{
    struct reporter *r = mem_alloc(sizeof(*r));
    r->params = *p;
    random_bytes(&r->rng, sizeof(r->rng));
    const struct kafka_producer_params params = {.common = p->kafka,
                                                 .linger_ms = LINGER_MS,
                                                 .arg = r,
                                                 .on_delivery = on_delivery,
                                                 .on_health = on_health};
    int rc = kafka_producer_new(&params, &r->producer, err);
    if (rc) {
        free(r);
        return rc;
    }
    r->later = event_new(p->kafka.base, -1, 0, on_later, r);
    r->credit_turn = event_new(p->kafka.base, -1, 0, on_credits, r);
    *ret = r;
    return 0;
}

void reporter_attach(struct reporter *r, struct workers *w)
{
    r->workers = w;
    r->credits = mem_array(workers_count(w), sizeof(*r->credits));
    r->slot_count = (size_t)CREDITS * workers_count(w);
    r->slots = mem_array(r->slot_count, sizeof(*r->slots));
    r->free_slots = mem_array(r->slot_count, sizeof(*r->free_slots));
    r->refused = mem_array(r->slot_count, sizeof(*r->refused));
    for (size_t i = 0; i < r->slot_count; i++)
        r->free_slots[r->free_count++] = (uint32_t)(r->slot_count - 1 - i);
    workers_tell_all(w, &(struct sip_command){.kind = SIP_CREDIT, .credit = CREDITS});
}

void reporter_free(struct reporter *r, uint32_t timeout_ms)
{
    if (!r)
        return;
    kafka_producer_free(r->producer, timeout_ms);
    event_free(r->later);
    event_free(r->credit_turn);
    free(r->credits);
    free(r->slots);
    free(r->free_slots);
    free(r->refused);
    free(r);
}

struct kafka_producer *reporter_producer(struct reporter *r)
{
    return r->producer;
}

static int produce(struct reporter *r, const struct sip_notice *n, uint64_t token)
{
    char topic[128], key[24], time_text[ENCODE_TIME_BYTES], source[128], uuid[37];
    unsigned char random[16];
    uint64_t a = rng_next(&r->rng), b = rng_next(&r->rng);
    memcpy(random, &a, 8);
    memcpy(random + 8, &b, 8);
    encode_uuid(uuid, random);
    encode_time(time_text, clock_wall_ms());
    (void)snprintf(topic, sizeof(topic), "%s.status.%s", r->params.topic_prefix,
                   r->params.place_of(r->params.arg, n->shard));
    (void)snprintf(key, sizeof(key), "%llu", (unsigned long long)n->id);
    (void)snprintf(source, sizeof(source), "rollcall-registrant/%s", r->params.node);
    const struct kafka_header headers[] = {
        {"ce_specversion", STR_LIT("1.0")},
        {"ce_id", str_of(uuid)},
        {"ce_type", STR_LIT("rollcall.status")},
        {"ce_source", str_of(source)},
        {"ce_subject", str_of(key)},
        {"ce_time", str_of(time_text)},
        {"content-type", STR_LIT("application/json")},
    };
    const struct kafka_record record = {
        .topic = topic,
        .partition = -1,
        .key = str_of(key),
        .value = str_of_bytes(n->value, n->value_bytes),
        .headers = headers,
        .header_count = ARRAY_LEN(headers),
    };
    return kafka_produce(r->producer, &record, token);
}

void reporter_send(struct reporter *r, unsigned thread, struct sip_notice *take)
{
    // Credits and slots are equal in number, so there is always one.
    uint32_t index = r->free_slots[--r->free_count];
    r->slots[index] = (struct slot){.id = take->id, .shard = take->shard, .thread = thread, .used = true};
    if (produce(r, take, index)) {
        r->refused[r->refused_count++] = index;
        timer_in_ms(r->later, REFUSED_MS);
    }
    sip_notice_free(take);
}

size_t reporter_pending(const struct reporter *r, uint32_t shard)
{
    size_t count = 0;
    for (size_t i = 0; i < r->slot_count; i++)
        count += r->slots[i].used && r->slots[i].shard == shard;
    return count;
}

struct reporter_counts reporter_counts(const struct reporter *r)
{
    return r->counts;
}
