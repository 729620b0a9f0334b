// See client.h.
#include "common/kafka/client.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    TICK_MS = 500,           // also counts as polling for max.poll.interval.ms
    PROBE_UP_MS = 10000,     // counts of partitions are asked for this often
    PROBE_TIMEOUT_MS = 1000, // bounds how long closing may wait for the worker
    EVENTS_A_TURN = 1000,
    END_WAIT_MS = 2000, // a handle that is well needs some 10 ms
    TOLD_PAUSE_S = 10,  // between two troubles
    TOLD_AGAIN_S = 60,  // between two of the same kind
};

// ---- settings

// librdkafka would write to standard error; what it has to say arrives as events too.
static void drop_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk, (void)level, (void)facility, (void)text;
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *err)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) == RD_KAFKA_CONF_OK)
        return 0;
    return error_set(err, -EINVAL, "Kafka setting %s: %s", name, text);
}

static int set_extra(rd_kafka_conf_t *conf, struct str extra, struct error *err)
{
    struct str pair;
    while (str_split(&extra, ';', &pair)) {
        pair = str_trim(pair);
        size_t equals = str_find(pair, '=', 0);
        if (pair.n == 0)
            continue;
        if (equals == 0 || equals == pair.n)
            return error_set(err, -EINVAL, "Kafka settings are not of the form name=value;name=value");
        cleanup(mem_free_cstr) char *name = str_dup(str_trim(str_slice(pair, 0, equals)));
        cleanup(mem_free_cstr) char *value = str_dup(str_trim(str_slice(pair, equals + 1, pair.n)));
        if (set(conf, name, value, err) < 0)
            return err ? err->code : -EINVAL;
    }
    return 0;
}

static int set_all(rd_kafka_conf_t *conf, const char *const *pairs, struct error *err)
{
    for (; *pairs; pairs += 2)
        if (set(conf, pairs[0], pairs[1], err) < 0)
            return -EINVAL;
    return 0;
}

int kafka_conf_new(const struct kafka_params *params, const char *const *own, rd_kafka_conf_t **ret,
                   struct error *err)
{
    const char *const common[] = {
        "bootstrap.servers",
        params->bootstrap ? params->bootstrap : "",
        "client.id",
        params->client_id ? params->client_id : "rollcall",
        // A topic is made with its settings by kafka_topic_ensure, never by being mentioned.
        "allow.auto.create.topics",
        "false",
        "topic.metadata.refresh.interval.ms",
        "5000",
        "socket.timeout.ms",
        "10000", // before this a broker that hangs is not noticed
        "socket.nagle.disable",
        "true",
        "socket.keepalive.enable",
        "true",
        "reconnect.backoff.ms",
        "50",
        "reconnect.backoff.max.ms",
        "1000",
        NULL,
    };
    if (!params->bootstrap || !*params->bootstrap)
        return error_set(err, -EINVAL, "no Kafka broker is named");
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, drop_log);
    if (set_all(conf, common, err) < 0 || set_all(conf, own, err) < 0 ||
        set_extra(conf, str_of(params->extra), err) < 0 ||
        (params->password && set(conf, "sasl.password", params->password, err) < 0)) {
        rd_kafka_conf_destroy(conf);
        return -EINVAL;
    }
    *ret = conf;
    return 0;
}

// ---- topics

struct kafka_topic *kafka_topic_find(struct kafka_client *c, const char *name)
{
    struct kafka_topic *t;
    TAILQ_FOREACH(t, &c->topics, link) {
        if (strcmp(t->name, name) == 0)
            return t;
    }
    return NULL;
}

struct kafka_topic *kafka_topic_get(struct kafka_client *c, const char *name)
{
    struct kafka_topic *t = kafka_topic_find(c, name);
    if (t)
        return t;
    t = mem_alloc(sizeof(*t));
    t->name = mem_dup_cstr(name);
    t->handle = rd_kafka_topic_new(c->rk, name, NULL);
    TAILQ_INSERT_TAIL(&c->topics, t, link);
    return t;
}

void kafka_client_forget_topics(struct kafka_client *c)
{
    struct kafka_topic *t;
    while ((t = TAILQ_FIRST(&c->topics))) {
        TAILQ_REMOVE(&c->topics, t, link);
        free(t->name);
        free(t);
    }
}

int32_t kafka_ask_partitions(rd_kafka_t *rk, rd_kafka_topic_t *handle, int timeout_ms)
{
    const struct rd_kafka_metadata *md = NULL;
    rd_kafka_resp_err_t e = rd_kafka_metadata(rk, 0, handle, &md, timeout_ms);
    if (e)
        return kafka_code(e);
    int32_t count = 0;
    if (handle && md->topic_cnt > 0)
        count = md->topics[0].err ? kafka_code(md->topics[0].err) : md->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(md);
    return count;
}

// ---- the probe: health and counts of partitions

struct probe {
    struct kafka_job job;
    struct kafka_client *client;
    rd_kafka_t *rk;
    uint64_t downs;
    size_t topic_count;
    struct kafka_topic **topics;
    rd_kafka_topic_t **handles;
    int32_t *counts;
    bool reached;
};

static void set_health(struct kafka_client *c, bool up)
{
    c->doubted = false;
    if (c->health == (up ? KAFKA_UP : KAFKA_DOWN))
        return;
    c->health = up ? KAFKA_UP : KAFKA_DOWN;
    if (c->on_health)
        c->on_health(c->arg, up);
}

static bool is_answer(int32_t code)
{
    return code != -ENOTCONN && code != -ETIMEDOUT && code != -EACCES;
}

static void probe_run(struct kafka_job *job)
{
    struct probe *p = container_of(job, struct probe, job);
    if (p->topic_count == 0)
        p->reached = is_answer(kafka_ask_partitions(p->rk, NULL, PROBE_TIMEOUT_MS));
    for (size_t i = 0; i < p->topic_count && !atomic_load(job->stopping); i++) {
        p->counts[i] = kafka_ask_partitions(p->rk, p->handles[i], PROBE_TIMEOUT_MS);
        p->reached = is_answer(p->counts[i]);
        if (!p->reached)
            return;
    }
}

static void probe_done(struct kafka_job *job, bool run_was_called)
{
    struct probe *p = container_of(job, struct probe, job);
    struct kafka_client *c = p->client;
    c->probing = false;
    c->probed_us = clock_monotonic_us();
    for (size_t i = 0; i < p->topic_count; i++)
        if (p->counts[i] > 0)
            p->topics[i]->partitions = p->counts[i];
    bool ran = run_was_called && p->rk == c->rk && !atomic_load(job->stopping);
    bool reached = p->reached, current = p->downs == c->downs;
    free(p->topics);
    free(p->handles);
    free(p->counts);
    free(p);
    if (ran && reached && current)
        set_health(c, true);
    else if (ran && !reached && (c->doubted || c->health == KAFKA_UNKNOWN))
        set_health(c, false);
}

void kafka_client_probe(struct kafka_client *c)
{
    if (c->probing || c->fatal || !c->worker)
        return;
    struct probe *p = mem_alloc(sizeof(*p));
    struct kafka_topic *t;
    TAILQ_FOREACH(t, &c->topics, link) {
        p->topic_count++;
    }
    p->topics = mem_array(p->topic_count + 1, sizeof(struct kafka_topic *));
    p->handles = mem_array(p->topic_count + 1, sizeof(rd_kafka_topic_t *));
    p->counts = mem_array(p->topic_count + 1, sizeof(int32_t));
    size_t i = 0;
    TAILQ_FOREACH(t, &c->topics, link) {
        p->topics[i] = t;
        p->handles[i++] = t->handle;
    }
    p->job = (struct kafka_job){.run = probe_run, .done = probe_done};
    p->client = c;
    p->rk = c->rk;
    p->downs = c->downs;
    c->probing = true;
    kafka_worker_post(c->worker, &p->job);
}

// ---- events

static void tell_trouble(struct kafka_client *c, rd_kafka_resp_err_t e, const char *why)
{
    uint64_t now_us = clock_monotonic_us(), pause_s = e == c->told ? TOLD_AGAIN_S : TOLD_PAUSE_S;
    if (!c->on_trouble || (c->told_us && now_us - c->told_us < pause_s * 1000000))
        return;
    c->told = e;
    c->told_us = now_us;
    c->on_trouble(why);
}

static void on_error(struct kafka_client *c, rd_kafka_event_t *ev)
{
    rd_kafka_resp_err_t e = rd_kafka_event_error(ev);
    if (c->fatal)
        return; // it was told, and nothing comes after it
    if (rd_kafka_event_error_is_fatal(ev)) {
        struct error why;
        kafka_error_set(&why, e, rd_kafka_event_error_string(ev));
        c->fatal = true;
        c->downs++;
        set_health(c, false);
        c->on_fatal(c->arg, &why);
    } else if (e == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        // It says so as well when the only one that it happened to be connected to is restarted.
        c->downs++;
        c->doubted = c->health != KAFKA_DOWN;
        kafka_client_probe(c);
    } else {
        tell_trouble(c, e, rd_kafka_event_error_string(ev));
    }
}

void kafka_client_drain(struct kafka_client *c, int wait_ms)
{
    rd_kafka_event_t *ev;
    int count = 0;
    while (c->queue && count < EVENTS_A_TURN && (ev = rd_kafka_queue_poll(c->queue, count ? 0 : wait_ms))) {
        bool taken = false;
        count++;
        if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_ERROR)
            on_error(c, ev);
        else
            taken = c->on_event(c->arg, ev);
        if (!taken)
            rd_kafka_event_destroy(ev);
    }
    // librdkafka wakes us once for each time it was polled empty: what is left must be asked for.
    if (count == EVENTS_A_TURN && c->wake)
        event_active(c->wake, EV_READ, 0);
    c->on_drained(c->arg);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    uint64_t value;
    (void)!read(fd, &value, sizeof(value));
    kafka_client_drain(arg, 0);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct kafka_client *c = arg;
    uint64_t since_ms = (clock_monotonic_us() - c->probed_us) / 1000;
    if (c->health != KAFKA_UP || c->doubted || since_ms >= PROBE_UP_MS)
        kafka_client_probe(c);
    kafka_client_drain(c, 0);
}

static void listen_to_events(struct kafka_client *c)
{
    const uint64_t one = 1;
    const struct timeval tick = {.tv_usec = TICK_MS * 1000};
    c->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (c->wake_fd < 0)
        abort();
    rd_kafka_queue_io_event_enable(c->queue, c->wake_fd, &one, sizeof(one));
    c->wake = event_new(c->base, c->wake_fd, EV_READ | EV_PERSIST, on_wake, c);
    c->tick = event_new(c->base, -1, EV_PERSIST, on_tick, c);
    if (!c->wake || !c->tick || event_add(c->wake, NULL) < 0 || event_add(c->tick, &tick) < 0)
        abort();
}

int kafka_client_open(struct kafka_client *c, rd_kafka_type_t type, const rd_kafka_conf_t *conf,
                      struct error *err)
{
    char text[256];
    rd_kafka_conf_t *copy = rd_kafka_conf_dup(conf);
    c->rk = rd_kafka_new(type, copy, text, sizeof(text));
    if (!c->rk) {
        rd_kafka_conf_destroy(copy);
        return error_set(err, -EINVAL, "Kafka client: %s", text);
    }
    if (type == RD_KAFKA_CONSUMER) {
        (void)rd_kafka_poll_set_consumer(c->rk);
        c->queue = rd_kafka_queue_get_consumer(c->rk);
    } else {
        c->queue = rd_kafka_queue_get_main(c->rk);
    }
    c->fatal = false;
    c->worker = kafka_worker_new(c->base);
    struct kafka_topic *t;
    TAILQ_FOREACH(t, &c->topics, link) {
        t->handle = rd_kafka_topic_new(c->rk, t->name, NULL);
    }
    listen_to_events(c);
    return 0;
}

void kafka_client_quiet(struct kafka_client *c)
{
    if (!c->wake)
        return;
    rd_kafka_queue_io_event_enable(c->queue, -1, NULL, 0);
    event_free(c->wake);
    event_free(c->tick);
    (void)close(c->wake_fd);
    c->wake = c->tick = NULL;
    struct kafka_worker *worker = c->worker;
    c->worker = NULL; // what its jobs' ends would post has nowhere to run
    kafka_worker_free(worker);
}

// Only the handle itself is left, and is the caller's.
static rd_kafka_t *strip(struct kafka_client *c)
{
    struct kafka_topic *t;
    kafka_client_quiet(c);
    TAILQ_FOREACH(t, &c->topics, link) {
        rd_kafka_topic_destroy(t->handle);
        t->handle = NULL;
    }
    rd_kafka_queue_destroy(c->queue);
    c->queue = NULL;
    rd_kafka_t *rk = c->rk;
    c->rk = NULL;
    return rk;
}

struct ending {
    rd_kafka_t *rk;
    int flags;
};

static void *end_handle(void *arg)
{
    struct ending *e = arg;
    rd_kafka_destroy_flags(e->rk, e->flags);
    free(e);
    return NULL;
}

void kafka_handle_end(rd_kafka_t *rk, int flags, uint32_t wait_ms)
{
    struct ending *e = mem_alloc(sizeof(*e));
    struct timespec by;
    pthread_t thread;
    *e = (struct ending){.rk = rk, .flags = flags};
    (void)clock_gettime(CLOCK_MONOTONIC, &by);
    by.tv_sec += wait_ms / 1000;
    by.tv_nsec += wait_ms % 1000 * 1000000L;
    if (by.tv_nsec >= 1000000000L) {
        by.tv_nsec -= 1000000000L;
        by.tv_sec++;
    }
    if (pthread_create(&thread, NULL, end_handle, e) != 0)
        abort();
    if (!wait_ms || pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &by) != 0)
        (void)pthread_detach(thread);
}

void kafka_client_close(struct kafka_client *c)
{
    kafka_handle_end(strip(c), 0, END_WAIT_MS);
}

void kafka_client_cast_off(struct kafka_client *c)
{
    kafka_handle_end(strip(c), RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE, 0);
}
