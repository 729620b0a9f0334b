// One SIP thread as it runs in production, under the hand of the conformance tests: what is wanted comes as
// JSON lines on stdin, every report goes out as one on stdout. In place of Kafka, Redis and the shards there
// is nothing: one partition, always owned. Refuses to judge; the tests do.
//   harness '{"listen": "127.0.0.1", "resolv_conf": …, "policy": {"transaction_timeout_s": 2, …}}'
#include "services/registrant/sip/sip_thread.h"
#include "tests/conformance/settings.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CREDITS    2048
#define SHARD      1
#define MAX_LINE   (1u << 20)
#define STOP_MS    15000
#define NOT_A_LINE "a line is an object of desired, shard, lease, reload, stats or stop"

struct harness {
    struct harness_settings settings;
    struct sip_thread *thread;
    struct buf input;
    bool ended;
};

// ---- what goes out

static void say(const char *key, struct str json)
{
    (void)printf("{\"%s\":" STR_FMT "}\n", key, STR_ARG(json));
    (void)fflush(stdout);
}

static void complain(const char *sentence)
{
    cleanup(buf_done) struct buf b = BUF_INIT;
    struct json_writer w = json_writer(&b);
    json_put_cstr(&w, sentence);
    say("error", buf_str(&b));
}

static void say_ready(const struct harness *h)
{
    cleanup(buf_done) struct buf b = BUF_INIT;
    struct json_writer w = json_writer(&b);
    json_put_cstr(&w, sip_thread_listens_on(h->thread));
    say("ready", buf_str(&b));
}

static void say_stats(const struct harness *h)
{
    struct engine_stats e = sip_thread_stats(h->thread);
    struct sip_stats s = sip_thread_sip_stats(h->thread);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {{"registrations", e.registrations},
                {"bound", e.bound},
                {"in_flight", e.in_flight},
                {"waiting", e.waiting},
                {"requests", e.requests},
                {"answers_2xx", e.answers_2xx},
                {"answers_4xx", e.answers_4xx},
                {"answers_5xx", e.answers_5xx},
                {"answers_other", e.answers_other},
                {"timeouts", e.timeouts},
                {"challenges", e.challenges},
                {"transactions", s.transactions},
                {"retransmissions", s.retransmissions},
                {"stray", s.stray},
                {"malformed", s.malformed},
                {"incoming", s.incoming},
                {"connections", s.transport.connections},
                {"connected", s.transport.connected},
                {"lost", s.transport.lost},
                {"failed", s.transport.failed},
                {"not_a_message", s.transport.malformed},
                {"pings", s.transport.pings},
                {"pongs", s.transport.pongs}};
    cleanup(buf_done) struct buf b = BUF_INIT;
    struct json_writer w = json_writer(&b);
    json_begin_object(&w);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        json_kv_u64(&w, rows[i].name, rows[i].value);
    json_end_object(&w);
    say("stats", buf_str(&b));
}

// ---- to the thread

static void post(struct harness *h, struct sip_command *c)
{
    while (sip_thread_post(h->thread, c) != 0)
        (void)poll(NULL, 0, 1);
}

static void post_kind(struct harness *h, enum sip_command_kind kind, uint64_t epoch, enum engine_lease lease)
{
    struct sip_command *c = sip_command_new(kind, SHARD);
    (void)snprintf(c->place, sizeof(c->place), "any");
    c->epoch = epoch;
    c->share = 1.0;
    c->lease = lease;
    c->proved_us = clock_monotonic_us();
    c->credit = CREDITS;
    post(h, c);
}

static void take_notices(struct harness *h)
{
    struct sip_notice *notices[64];
    uint32_t reports = 0;
    for (size_t n; (n = sip_thread_notices(h->thread, notices, ARRAY_LEN(notices)));) {
        for (size_t i = 0; i < n; i++) {
            if (notices[i]->kind == SIP_REPORT) {
                say("report", str_of_bytes(notices[i]->value, notices[i]->value_bytes));
                reports++;
            } else {
                say(notices[i]->kind == SIP_CLOSED ? "closed" : "stopped", STR_LIT("true"));
                h->ended = h->ended || notices[i]->kind == SIP_STOPPED;
            }
            sip_notice_free(notices[i]);
        }
    }
    if (!reports)
        return;
    struct sip_command *c = sip_command_new(SIP_CREDIT, 0);
    c->credit = reports;
    post(h, c);
}

// ---- what comes in

// {"desired": "keep"|"remove"|"moved"|"buried", "revision": n, "spec": {…} or "id": n, "last": {status},
//  "twin": bool, "snapshot": bool}
static int read_desired(const struct harness *h, const struct json *line, struct sip_command *c,
                        struct error *err)
{
    static const char *const ops[] = {[DESIRED_KEEP] = "keep",
                                      [DESIRED_REMOVE] = "remove",
                                      [DESIRED_MOVED] = "moved",
                                      [DESIRED_BURIED] = "buried"};
    size_t op = 0;
    while (op < ARRAY_LEN(ops) && !str_eq_cstr(json_str(json_get(line, "desired")), ops[op]))
        op++;
    if (op == ARRAY_LEN(ops))
        return error_set(err, -EINVAL, "desired is keep, remove, moved or buried");
    c->op = (enum desired_op)op;
    c->revision = json_u64_or(json_get(line, "revision"), 1);
    c->id = json_u64_or(json_get(line, "id"), 0);
    c->twin = json_bool(json_get(line, "twin"), false);
    c->snapshot = json_bool(json_get(line, "snapshot"), false);
    const struct json *spec = json_get(line, "spec"), *last = json_get(line, "last");
    int rc = spec ? registration_read(spec, &c->reg, err) : 0;
    c->has_reg = spec && rc == 0;
    if (rc == 0 && last) {
        rc = status_read(last, &c->last, err);
        c->has_last = rc == 0;
    }
    if (c->has_reg) {
        c->reg.revision = c->revision;
        harness_seal(h->settings.ring, &c->reg);
    }
    return rc;
}

static int obey_desired(struct harness *h, const struct json *line, struct error *err)
{
    struct sip_command *c = sip_command_new(SIP_DESIRED, SHARD);
    int rc = read_desired(h, line, c, err);
    if (rc)
        sip_command_free(c);
    else
        post(h, c);
    return rc;
}

static int obey_shard(struct harness *h, const struct json *line, struct error *err)
{
    static const struct {
        const char *name;
        enum sip_command_kind kind;
    } kinds[] = {{"close", SIP_SHARD_CLOSE},
                 {"park", SIP_SHARD_PARK},
                 {"unpark", SIP_SHARD_UNPARK},
                 {"drop", SIP_SHARD_DROP}};
    struct str wanted = json_str(json_get(line, "shard"));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!str_eq_cstr(wanted, kinds[i].name))
            continue;
        post_kind(h, kinds[i].kind, clock_wall_ms(), LEASE_FRESH);
        return 0;
    }
    return error_set(err, -EINVAL, "shard is close, park, unpark or drop");
}

static int obey(struct harness *h, const struct json *line, struct error *err)
{
    if (json_get(line, "desired"))
        return obey_desired(h, line, err);
    if (json_get(line, "shard"))
        return obey_shard(h, line, err);
    if (json_get(line, "lease"))
        post_kind(h, SIP_LEASE, 0,
                  str_eq_cstr(json_str(json_get(line, "lease")), "fresh") ? LEASE_FRESH : LEASE_EXPIRED);
    else if (json_get(line, "reload"))
        post_kind(h, SIP_RELOAD, 0, LEASE_FRESH);
    else if (json_get(line, "stats"))
        say_stats(h);
    else if (json_get(line, "stop"))
        post_kind(h, SIP_STOP, 0, LEASE_FRESH);
    else
        return error_set(err, -EINVAL, NOT_A_LINE);
    return 0;
}

static void obey_line(struct harness *h, struct str text)
{
    struct error err = {0};
    cleanup(json_free_ptr) struct json *line = NULL;
    if (json_parse(text, NULL, &line, &err) != 0 || obey(h, line, &err) != 0)
        complain(err.text);
}

static void take_input(struct harness *h)
{
    char bytes[65536];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
    if (n <= 0 || h->input.n > MAX_LINE) {
        h->ended = true;
        return;
    }
    buf_add(&h->input, bytes, (size_t)n);
    struct str all = buf_str(&h->input);
    size_t from = 0;
    for (size_t end; (end = str_find(all, '\n', from)) < all.n; from = end + 1)
        obey_line(h, str_slice(all, from, end));
    struct buf rest = BUF_INIT;
    buf_add_str(&rest, str_slice(all, from, all.n));
    buf_done(&h->input);
    h->input = rest;
}

static void loop(struct harness *h)
{
    while (!h->ended) {
        struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = sip_thread_fd(h->thread), .events = POLLIN}};
        (void)poll(fds, ARRAY_LEN(fds), STOP_MS);
        if (fds[1].revents)
            take_notices(h);
        if (fds[0].revents)
            take_input(h);
    }
}

int main(int argc, char **argv)
{
    struct harness h = {0};
    struct error err = {0};
    if (argc != 2 || harness_settings_read(str_of(argv[1]), &h.settings, &err) != 0 ||
        sip_thread_start(&h.settings.thread, &h.thread, &err) != 0) {
        complain(argc == 2 ? err.text : "one argument: the settings as a JSON object");
        return 2;
    }
    post_kind(&h, SIP_SHARD_LOAD, 0, LEASE_FRESH);
    post_kind(&h, SIP_SHARD_OPEN, clock_wall_ms(), LEASE_FRESH);
    post_kind(&h, SIP_LEASE, 0, LEASE_FRESH);
    post_kind(&h, SIP_CREDIT, 0, LEASE_FRESH);
    say_ready(&h);
    loop(&h);
    sip_thread_join(h.thread);
    harness_settings_done(&h.settings);
    buf_done(&h.input);
    return 0;
}
