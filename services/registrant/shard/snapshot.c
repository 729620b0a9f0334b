// See snapshot.h.
#include "services/registrant/shard/snapshot.h"

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/event/timer.h"
#include "common/http/http.h"
#include "common/log/log.h"
#include "services/registrant/shard/change.h"

#include <event2/event.h>
#include <stdlib.h>

enum {
    FIRST_PAUSE_MS = 100,
    LONGEST_PAUSE_MS = 2000,
    SILENCE_MS = 7000, // a gateway holds a request for up to 5 s before it begins, and waits 5 s for a page
    LINE_BYTES = 1 << 20,
};

struct snapshot {
    struct snapshot_params params;
    struct http_fetch *fetch;
    struct event *again;
    unsigned attempt;
    uint64_t entries;   // lines of this attempt, unreadable ones too
    uint64_t closed_by; // count of the closing line
    bool closed, paused;
};

static void begin(struct snapshot *s);

static void retry_later(struct snapshot *s)
{
    unsigned shift = s->attempt < 5 ? s->attempt : 5;
    uint32_t ms = (uint32_t)FIRST_PAUSE_MS << shift;
    if (ms > LONGEST_PAUSE_MS)
        ms = LONGEST_PAUSE_MS;
    s->attempt++;
    timer_in_ms(s->again, ms);
}

static void on_line(void *arg, struct str line)
{
    struct snapshot *s = arg;
    if (line.n == 0)
        return;
    if (change_is_closing(line, &s->closed_by)) {
        s->closed = true;
        return;
    }
    s->entries++;
    struct sip_command *c;
    struct error err = {0};
    if (change_read(line, STR_NONE, true, &c, &err)) {
        log_limited(LOG_WARNING, "shard", 0, "snapshot of %s/%d: a line is skipped: %s", s->params.place,
                    s->params.partition, err.text);
        return;
    }
    s->params.on_entry(s->params.arg, c);
}

static void on_done(void *arg, int status, const struct error *err)
{
    struct snapshot *s = arg;
    s->fetch = NULL;
    bool whole = !err && status == 200 && s->closed && s->closed_by == s->entries;
    if (!whole) {
        log_limited(LOG_WARNING, "shard", 0, "snapshot of %s/%d is not to be had yet: %s (status %d)",
                    s->params.place, s->params.partition, err ? err->text : "incomplete", status);
        retry_later(s);
        return;
    }
    s->params.on_done(s->params.arg);
    event_free(s->again);
    free(s);
}

// The gateways take turns, beginning with another one for each partition.
static struct str pick_url(const struct snapshot *s)
{
    struct str rest = str_of(s->params.urls), url = STR_NONE, wanted = STR_NONE;
    unsigned count = 0;
    while (str_split(&rest, ',', &url))
        count++;
    if (!count)
        return STR_NONE;
    unsigned index = ((unsigned)s->params.partition + s->attempt) % count;
    rest = str_of(s->params.urls);
    for (unsigned i = 0; i <= index; i++)
        (void)str_split(&rest, ',', &wanted);
    return str_trim(wanted);
}

static void begin(struct snapshot *s)
{
    s->entries = 0;
    s->closed = false;
    struct buf url cleanup(buf_done) = BUF_INIT;
    struct str gateway = pick_url(s);
    buf_add_str(&url, gateway);
    buf_addf(&url, "/snapshot?place=%s&partition=%d&partitions=%d", s->params.place, s->params.partition,
             s->params.partitions);
    const struct http_fetch_params params = {
        .base = s->params.base,
        .url = url.p,
        .bearer = s->params.token,
        .timeout_ms = SILENCE_MS,
        .line_bytes = LINE_BYTES,
        .arg = s,
        .on_line = on_line,
        .on_done = on_done,
    };
    struct error err = {0};
    if (http_fetch_lines(&params, &s->fetch, &err)) {
        s->fetch = NULL;
        log_limited(LOG_WARNING, "shard", 0, "snapshot from " STR_FMT ": %s", STR_ARG(gateway), err.text);
        retry_later(s);
    } else if (s->paused) {
        http_fetch_pause(s->fetch, true);
    }
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    begin(arg);
}

struct snapshot *snapshot_start(const struct snapshot_params *p)
{
    struct snapshot *s = mem_alloc(sizeof(*s));
    s->params = *p;
    s->again = event_new(p->base, -1, 0, on_again, s);
    timer_in_ms(s->again, 0); // never from within the caller
    return s;
}

void snapshot_pause(struct snapshot *s, bool paused)
{
    s->paused = paused;
    if (s->fetch)
        http_fetch_pause(s->fetch, paused);
}

void snapshot_cancel(struct snapshot *s)
{
    if (s->fetch)
        http_fetch_cancel(s->fetch);
    event_free(s->again);
    free(s);
}
