// See acks.h.
#include "services/gateway/publish/acks.h"

#include "common/base/mem.h"
#include "common/event/timer.h"
#include "common/log/log.h"
#include "services/gateway/store/keys.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

// With appendfsync always each write is a sync of the disk, for which Redis keeps everybody waiting: so what
// nobody waits for is collected. Far below the time after which the sweep would look.
#define COLLECT_MS  20
#define BATCH       100
#define PAIR        2
#define DIGIT_BYTES 24

struct shard_acks {
    size_t count;
    char text[BATCH][PAIR][DIGIT_BYTES]; // id, revision
};

struct acks {
    struct hub *hub;
    struct event *turn;
    bool armed;
    struct shard_acks shards[STORE_SHARDS];
};

static void on_noted(void *arg, const struct redis_value *v, const struct error *err)
{
    (void)arg, (void)v;
    if (err)
        log_limited(LOG_WARNING, "publish", 0, "acknowledgements not noted in Redis: %s", err->text);
}

static void flush_shard(struct acks *a, unsigned shard)
{
    struct shard_acks *s = &a->shards[shard];
    struct hub *h = a->hub;
    struct buf key cleanup(buf_done) = BUF_INIT;
    struct buf wait cleanup(buf_done) = BUF_INIT;
    key_shard(&key, shard, "due");
    buf_add_u64(&wait, h->params.report_wait_ms);
    struct str argv[2 + BATCH * PAIR] = {buf_str(&key), buf_str(&wait)};
    size_t argc = 2;
    for (size_t i = 0; i < s->count; i++)
        for (size_t j = 0; j < PAIR; j++)
            argv[argc++] = str_of(s->text[i][j]);
    s->count = 0;
    redis_script(h->redis, &h->scripts.acked, on_noted, NULL, 1, argc, argv);
}

void acks_flush(struct acks *a)
{
    a->armed = false;
    for (unsigned shard = 0; shard < STORE_SHARDS; shard++)
        if (a->shards[shard].count)
            flush_shard(a, shard);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    acks_flush(arg);
}

void acks_add(struct acks *a, const struct store_change *c)
{
    unsigned shard = store_shard(str_of(c->account));
    struct shard_acks *s = &a->shards[shard];
    (void)snprintf(s->text[s->count][0], DIGIT_BYTES, "%" PRIu64, c->id);
    (void)snprintf(s->text[s->count][1], DIGIT_BYTES, "%" PRIu64, c->revision);
    if (++s->count == BATCH)
        flush_shard(a, shard);
    if (!a->armed)
        timer_in_ms(a->turn, COLLECT_MS);
    a->armed = true;
}

struct acks *acks_new(struct hub *h)
{
    struct acks *a = mem_alloc(sizeof(*a));
    a->hub = h;
    a->turn = event_new(h->base, -1, 0, on_turn, a);
    return a;
}

void acks_free(struct acks *a)
{
    event_free(a->turn);
    free(a);
}
