// See hub.h.
#include "services/gateway/publish/hub.h"

#include "common/kafka/kafka.h"
#include "common/log/log.h"
#include "services/gateway/publish/message.h"
#include "services/gateway/publish/outbox.h"
#include "services/gateway/publish/places.h"
#include "services/gateway/publish/reports.h"

#include <errno.h>

bool hub_redis_usable(const struct hub *h)
{
    return h->approved && h->redis_up;
}

void hub_approve(struct hub *h, struct str replication_id)
{
    h->approved = true;
    h->params.gate->approved = store_replication_hash(replication_id);
    places_redis_up(h->places);
    reports_redis_usable(h->reports);
}

void hub_hold(struct hub *h)
{
    h->approved = false;
    h->params.gate->approved = 0;
    reports_hold(h->reports);
    outbox_redis_lost(h->outbox);
}

void hub_kafka_health(struct hub *h, bool up)
{
    if (up != h->kafka_up)
        log_line(up ? LOG_INFO : LOG_WARNING, "publish", 0,
                 up ? "Kafka answers" : "no Kafka broker answers: changes are kept in Redis until one does");
    h->kafka_up = up;
    h->kafka_seen = h->kafka_seen || up;
    hub_gauge(h, BUS_KAFKA_UP, up && !h->kafka_late);
}

void hub_kafka_late(struct hub *h, bool late)
{
    if (late != h->kafka_late)
        log_line(late ? LOG_WARNING : LOG_INFO, "publish", 0,
                 late ? "Kafka acknowledges nothing: changes are kept in Redis until it does"
                      : "Kafka acknowledges again");
    h->kafka_late = late;
    hub_gauge(h, BUS_KAFKA_UP, h->kafka_up && !late);
}

static void on_kafka_trouble(const char *why)
{
    log_line(LOG_WARNING, "publish", 0, "Kafka: %s", why);
}

struct kafka_params hub_kafka_params(const struct hub *h)
{
    return (struct kafka_params){.base = h->base,
                                 .bootstrap = h->params.kafka_bootstrap,
                                 .client_id = h->params.node,
                                 .extra = h->params.kafka_extra,
                                 .password = h->params.kafka_password,
                                 .on_trouble = on_kafka_trouble};
}

void hub_count(struct hub *h, enum bus_metric metric, size_t label, uint64_t delta)
{
    if (h->params.metrics && delta)
        metrics_add(h->params.metrics, h->params.metrics_base + metric, label, delta);
}

void hub_gauge(struct hub *h, enum bus_metric metric, int64_t value)
{
    if (h->params.metrics)
        metrics_set(h->params.metrics, h->params.metrics_base + metric, 0, value);
}

void hub_observe(struct hub *h, enum bus_metric metric, uint64_t us)
{
    if (h->params.metrics)
        metrics_observe_us(h->params.metrics, h->params.metrics_base + metric, 0, us);
}

int hub_produce(struct hub *h, const char *topic, struct str key, struct str value,
                const struct cloud_event *e, struct delivery *d)
{
    struct message_headers headers;
    message_headers(&headers, e);
    const struct kafka_record record = {.topic = topic,
                                        .partition = -1,
                                        .timestamp_ms = (int64_t)e->wall_ms,
                                        .key = key,
                                        .value = value,
                                        .headers = headers.items,
                                        .header_count = headers.count};
    return kafka_produce(h->producer, &record, (uint64_t)(uintptr_t)d);
}
