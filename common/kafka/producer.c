// See producer.h.
#include "common/kafka/producer.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { DRAIN_STEP_MS = 20, PURGE_MS = 1000 };

static_assert(sizeof(void *) >= sizeof(uint64_t), "a token travels through librdkafka as a pointer");

static const char *const settings[] = {
    "enable.idempotence", "true", // and with it acks=all, order kept over retries
    "message.timeout.ms", "30000", "partitioner", "murmur2_random", NULL,
};

// ---- deliveries

static void deliver(struct kafka_producer *p, const rd_kafka_message_t *m)
{
    struct error err;
    p->pending--;
    if (m->err)
        kafka_error_set(&err, m->err, rd_kafka_err2str(m->err));
    p->params.on_delivery(p->params.arg, (uint64_t)(uintptr_t)m->_private, m->err ? &err : NULL);
}

static bool on_event(void *arg, rd_kafka_event_t *ev)
{
    const rd_kafka_message_t *m;
    if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_DR)
        while ((m = rd_kafka_event_message_next(ev)))
            deliver(arg, m);
    return false;
}

static void drain_until(struct kafka_producer *p, uint32_t limit_ms)
{
    uint64_t end_us = clock_monotonic_us() + limit_ms * UINT64_C(1000);
    while (p->pending && clock_monotonic_us() < end_us)
        kafka_client_drain(&p->client, DRAIN_STEP_MS);
}

// Whatever has not been delivered fails now.
static void purge(struct kafka_producer *p)
{
    (void)rd_kafka_purge(p->client.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    drain_until(p, PURGE_MS);
}

// ---- life

// An idempotent producer that librdkafka gave up (the broker lost what it knew of our sequence) is of no more
// use; a new one starts a new sequence. Records that were under way fail and are sent again by their owners.
static void reopen(struct kafka_producer *p)
{
    p->closing = true;
    kafka_client_quiet(&p->client);
    purge(p);
    kafka_client_close(&p->client);
    p->closing = false;
    struct error err;
    if (kafka_client_open(&p->client, RD_KAFKA_PRODUCER, p->conf, &err) < 0)
        abort(); // the same settings were accepted before
    kafka_ensure_again(p);
    kafka_client_probe(&p->client);
}

static void on_drained(void *arg)
{
    struct kafka_producer *p = arg;
    if (p->client.fatal && !p->closing)
        reopen(p);
}

static void on_fatal(void *arg, const struct error *why)
{
    (void)arg, (void)why; // on_drained does what is needed
}

static void on_health(void *arg, bool up)
{
    struct kafka_producer *p = arg;
    if (p->params.on_health)
        p->params.on_health(p->params.arg, up);
}

int kafka_producer_new(const struct kafka_producer_params *params, struct kafka_producer **ret,
                       struct error *err)
{
    rd_kafka_conf_t *conf;
    int rc = kafka_conf_new(&params->common, settings, &conf, err);
    if (rc < 0)
        return rc;
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    char linger[16];
    (void)snprintf(linger, sizeof(linger), "%u", params->linger_ms);
    if (rd_kafka_conf_set(conf, "linger.ms", linger, NULL, 0) != RD_KAFKA_CONF_OK) {
        rd_kafka_conf_destroy(conf);
        return error_set(err, -EINVAL, "linger of %u ms is more than librdkafka takes", params->linger_ms);
    }
    struct kafka_producer *p = mem_alloc(sizeof(*p));
    p->params = *params;
    p->conf = conf;
    p->client = (struct kafka_client){.base = params->common.base,
                                      .arg = p,
                                      .on_event = on_event,
                                      .on_drained = on_drained,
                                      .on_health = on_health,
                                      .on_trouble = params->common.on_trouble,
                                      .on_fatal = on_fatal};
    TAILQ_INIT(&p->client.topics);
    STAILQ_INIT(&p->again);
    rc = kafka_client_open(&p->client, RD_KAFKA_PRODUCER, conf, err);
    if (rc < 0) {
        rd_kafka_conf_destroy(conf);
        free(p);
        return rc;
    }
    kafka_client_probe(&p->client);
    *ret = p;
    return 0;
}

void kafka_producer_free(struct kafka_producer *p, uint32_t timeout_ms)
{
    if (!p)
        return;
    p->closing = true;
    drain_until(p, timeout_ms);
    kafka_client_quiet(&p->client);
    if (p->pending)
        purge(p);
    kafka_client_close(&p->client);
    kafka_ensure_drop(p);
    kafka_client_forget_topics(&p->client);
    rd_kafka_conf_destroy(p->conf);
    free(p);
}

size_t kafka_producer_pending_count(const struct kafka_producer *p)
{
    return p->pending;
}

// ---- sending

static rd_kafka_headers_t *headers_of(const struct kafka_record *r)
{
    rd_kafka_headers_t *list = rd_kafka_headers_new(r->header_count);
    for (size_t i = 0; i < r->header_count; i++)
        (void)rd_kafka_header_add(list, r->headers[i].name, -1, r->headers[i].value.p,
                                  (ssize_t)r->headers[i].value.n);
    return list;
}

int kafka_produce(struct kafka_producer *p, const struct kafka_record *r, uint64_t token)
{
    if (!r->topic || r->partition < -1)
        return -EINVAL;
    if (p->client.fatal || p->closing)
        return -EAGAIN; // being closed, or opened anew before the loop turns
    // A handle of our own, so that the probe asks for this topic's metadata as well.
    const struct kafka_topic *t = kafka_topic_get(&p->client, r->topic);
    rd_kafka_headers_t *headers = headers_of(r);
    rd_kafka_resp_err_t e = rd_kafka_producev(
        p->client.rk, RD_KAFKA_V_RKT(t->handle), RD_KAFKA_V_PARTITION(r->partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(r->key.p, r->key.n),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)r->value.p, r->value.n), RD_KAFKA_V_TIMESTAMP(r->timestamp_ms),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE((void *)(uintptr_t)token), RD_KAFKA_V_END);
    if (e) {
        rd_kafka_headers_destroy(headers); // librdkafka takes them only on success
        return kafka_code(e) == -EIO ? -EINVAL : kafka_code(e);
    }
    p->pending++;
    return 0;
}
