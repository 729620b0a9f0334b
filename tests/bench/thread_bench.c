// What registrations cost a SIP thread as it runs in production, engine and all: N from nothing until all are
// bound, then a second round that every one of them is asked for again. Needs a registrar that challenges
// (registrar.c).
//   thread_bench <host:port> [registrations 10000] [in flight 200]
#include "services/registrant/sip/sip_thread.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define ROUND_US  60000000u
#define CREDITS   8192
#define KEY_LINE  "bench 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
#define SPREAD_MS 20u

static double cpu_us(int who)
{
    struct rusage r;
    (void)getrusage(who, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

// All threads but this one.
static double thread_cpu_us(void)
{
    return cpu_us(RUSAGE_SELF) - cpu_us(RUSAGE_THREAD);
}

static void drain(struct sip_thread *t);

static void post(struct sip_thread *t, struct sip_command *c)
{
    while (sip_thread_post(t, c) != 0) {
        drain(t);
        (void)poll(NULL, 0, 1);
    }
}

static void post_kind(struct sip_thread *t, enum sip_command_kind kind, uint32_t credit)
{
    struct sip_command *c = sip_command_new(kind, 1);
    (void)snprintf(c->place, sizeof(c->place), "any");
    c->epoch = clock_wall_ms();
    c->share = 1.0;
    c->lease = LEASE_FRESH;
    c->proved_us = clock_monotonic_us();
    c->credit = credit;
    post(t, c);
}

// Main's part: takes reports and gives their credits back.
static void drain(struct sip_thread *t)
{
    struct sip_notice *notices[64];
    size_t n, reports = 0;
    while ((n = sip_thread_notices(t, notices, ARRAY_LEN(notices)))) {
        for (size_t i = 0; i < n; i++) {
            reports += notices[i]->kind == SIP_REPORT;
            sip_notice_free(notices[i]);
        }
    }
    if (!reports)
        return;
    struct sip_command *c = sip_command_new(SIP_CREDIT, 0);
    c->credit = (uint32_t)reports;
    while (sip_thread_post(t, c) != 0)
        (void)poll(NULL, 0, 1);
}

static void want(struct sip_thread *t, const struct key_ring *ring, const char *registrar, uint64_t id,
                 uint64_t round)
{
    struct sip_command *c = sip_command_new(SIP_DESIRED, 1);
    struct registration *r = &c->reg;
    char text[128];
    registration_init(r);
    c->has_reg = true;
    c->op = DESIRED_KEEP;
    c->revision = r->revision = round;
    r->id = id;
    r->account = mem_dup_cstr("1");
    (void)snprintf(text, sizeof(text), "user%llu", (unsigned long long)id);
    r->username = mem_dup_cstr(text);
    r->name = mem_dup_cstr(text);
    r->domain = mem_dup_cstr("bench.example.com");
    (void)snprintf(text, sizeof(text), "sip:%s", registrar);
    r->registrar = mem_dup_cstr(text);
    r->contacts[0] = (struct contact){.uri = mem_dup_cstr("<sip:user@{local}>"), .expires = -1};
    r->contact_count = 1;
    r->refresh_seq = round - 1; // a registration that was never told anything else keeps nothing of commands
    struct buf sealed = BUF_INIT;
    struct seal_context context = {.account = STR_LIT("1"), .id = id, .field = "password"};
    seal_text(ring, &context, STR_LIT("secret"), &sealed);
    r->credentials[0] = (struct credential){.user = mem_dup_cstr(r->username), .secret = buf_steal(&sealed)};
    r->credential_count = 1;
    post(t, c);
}

// One round: everything is wanted (again); ends when the registrar has answered each with a 2xx.
static bool measure(struct sip_thread *t, const struct key_ring *ring, const char *registrar, uint64_t count,
                    uint64_t round)
{
    struct engine_stats before = sip_thread_stats(t), now;
    double cpu = thread_cpu_us();
    uint64_t start = clock_monotonic_us();
    for (uint64_t id = 1; id <= count; id++)
        want(t, ring, registrar, id, round);
    do {
        struct pollfd fd = {.fd = sip_thread_fd(t), .events = POLLIN};
        (void)poll(&fd, 1, SPREAD_MS);
        drain(t);
        now = sip_thread_stats(t);
    } while (now.answers_2xx - before.answers_2xx < count && clock_monotonic_us() - start < ROUND_US);
    double us = (double)(clock_monotonic_us() - start), done = (double)(now.answers_2xx - before.answers_2xx);
    (void)printf("{\"round\":%llu,\"registrations\":%.0f,\"requests\":%llu,\"seconds\":%.3f,\"per_s\":%.0f,"
                 "\"cpu_us\":%.1f,\"bound\":%llu,\"engine_bytes_each\":%.0f,\"heap_bytes_each\":%.0f}\n",
                 (unsigned long long)round, done, (unsigned long long)(now.requests - before.requests),
                 us / 1e6, done * 1e6 / us, (thread_cpu_us() - cpu) / done, (unsigned long long)now.bound,
                 (double)sip_thread_engine_bytes(t) / (double)count,
                 (double)mallinfo2().uordblks / (double)count);
    return done >= (double)count;
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 10000;
    struct sip_thread_params p = {
        .policy = engine_policy_default(), .listen = "127.0.0.1", .max_queue = CREDITS};
    p.policy.registrar_rate = 0;
    p.policy.registrar_in_flight = p.policy.max_in_flight = argc > 3 ? (uint32_t)atoi(argv[3]) : 200;
    struct key_ring *ring = NULL;
    struct sip_thread *t;
    struct error err = {0};
    if (argc < 2 || key_ring_parse(STR_LIT(KEY_LINE), &ring, &err) != 0) {
        (void)fprintf(stderr, "thread_bench <host:port> [registrations] [in flight] %s\n", err.text);
        return 2;
    }
    p.ring = ring;
    if (sip_thread_start(&p, &t, &err) != 0) {
        (void)fprintf(stderr, "thread_bench: %s\n", err.text);
        return 2;
    }
    post_kind(t, SIP_SHARD_LOAD, 0);
    post_kind(t, SIP_SHARD_OPEN, 0);
    post_kind(t, SIP_LEASE, 0);
    post_kind(t, SIP_CREDIT, CREDITS / 2);
    bool ok = measure(t, ring, argv[1], count, 1) && measure(t, ring, argv[1], count, 2);
    sip_thread_join(t);
    key_ring_free(ring);
    return ok ? 0 : 1;
}
