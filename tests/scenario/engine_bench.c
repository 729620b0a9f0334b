// What the engine alone costs: CPU of a challenged registration and of a refresh, bytes of an idle one. The
// registrar is a loop in the same process that answers 401 and then 200; its part is small and counted in.
#include "services/registrant/core/engine.h"

#include "common/base/mem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define IN_FLIGHT 1000
#define GRANTED   3600

struct peer {
    struct engine *engine;
    struct moment now;
    struct {
        uint64_t token;
        char contact[128];
        bool authorized;
    } queue[IN_FLIGHT];
    size_t queued;
    uint64_t sent, reports;
};

static int on_send(void *arg, const struct sip_request *r, uint64_t token)
{
    struct peer *p = arg;
    if (p->queued == IN_FLIGHT)
        return -1;
    (void)snprintf(p->queue[p->queued].contact, sizeof(p->queue[0].contact), STR_FMT ";expires=%d",
                   STR_ARG(r->contacts[0]), GRANTED);
    p->queue[p->queued].token = token;
    p->queue[p->queued++].authorized = r->authorization_count > 0;
    p->sent++;
    return 0;
}

static void on_report(void *arg, uint32_t shard, const struct status *status)
{
    struct peer *p = arg;
    (void)shard;
    (void)status;
    p->reports++;
}

static void on_closed(void *arg, uint32_t shard)
{
    (void)arg;
    (void)shard;
}

static struct str on_local(void *arg, enum registration_transport transport, struct str interface,
                           struct str host)
{
    (void)arg;
    (void)transport;
    (void)interface;
    (void)host;
    return STR_LIT("192.0.2.1:5060");
}

static void pass(struct peer *p, uint64_t us)
{
    p->now.us += us;
    p->now.wall_ms += us / 1000;
}

static void answer_one(struct peer *p, size_t i, unsigned *nonce)
{
    static char challenge[160];
    struct sip_answer a = {.retry_after_s = -1,
                           .min_expires_s = -1,
                           .expires_s = -1,
                           .target = STR_LIT("udp:192.0.2.50:5060"),
                           .local_address = STR_LIT("udp:192.0.2.1:5060")};
    if (p->queue[i].authorized) {
        a.status = 200;
        a.reason = STR_LIT("OK");
        a.contacts[0] = (struct sip_answer_contact){.text = str_of(p->queue[i].contact), .expires = GRANTED};
        a.contact_count = 1;
    } else {
        a.status = 401;
        a.reason = STR_LIT("Unauthorized");
        (void)snprintf(challenge, sizeof(challenge),
                       "Digest realm=\"example.com\", nonce=\"ZxJvU2cSbie%028u\", qop=\"auth\"", (*nonce)++);
        a.challenges[0] = str_of(challenge);
        a.challenge_count = 1;
    }
    engine_answer(p->engine, p->queue[i].token, &a, p->now);
}

// Answers all that is in flight, in rounds, until nothing more is sent.
static void answer_all(struct peer *p)
{
    static struct peer round;
    static unsigned nonce;
    while (p->queued) {
        size_t count = p->queued;
        memcpy(round.queue, p->queue, count * sizeof(p->queue[0]));
        p->queued = 0;
        for (size_t i = 0; i < count; i++) {
            round.engine = p->engine;
            round.now = p->now;
            answer_one(&round, i, &nonce);
        }
        pass(p, 1000);
    }
}

static double cpu_us(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec * 1e6 + (double)u.ru_utime.tv_usec + (double)u.ru_stime.tv_sec * 1e6 +
           (double)u.ru_stime.tv_usec;
}

static size_t resident_bytes(void)
{
    unsigned long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f || fscanf(f, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    if (f)
        (void)fclose(f);
    return resident * 4096;
}

static void want(struct peer *p, const struct key_ring *ring, uint64_t id)
{
    struct registration r;
    struct buf secret = BUF_INIT;
    char text[96];
    registration_init(&r);
    r.id = id;
    r.account = mem_dup_cstr("acme");
    (void)snprintf(text, sizeof(text), "user%07llu", (unsigned long long)id);
    r.name = mem_dup_cstr(text);
    r.username = mem_dup_cstr(text);
    r.domain = mem_dup_cstr("sip.carrier.example.com");
    (void)snprintf(text, sizeof(text), "sip:user%07llu@203.0.113.10:5060", (unsigned long long)id);
    r.contacts[0] = (struct contact){.uri = mem_dup_cstr(text), .expires = REGISTRATION_UNSET};
    r.contact_count = 1;
    r.expires = GRANTED;
    const struct seal_context context = {.account = STR_LIT("acme"), .id = id, .field = "password"};
    seal_text(ring, &context, STR_LIT("a-password-12"), &secret);
    (void)snprintf(text, sizeof(text), "user%07llu", (unsigned long long)id);
    r.credentials[0] = (struct credential){.user = mem_dup_cstr(text), .secret = buf_steal(&secret)};
    r.credential_count = 1;
    const struct desired d = {.op = DESIRED_KEEP, .reg = &r, .id = id, .revision = 1};
    engine_desired(p->engine, 1, &d, p->now);
    registration_done(&r);
}

int main(int argc, char **argv)
{
    static struct peer p;
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000;
    if (!count)
        return 1;
    static const struct engine_ops ops = {
        .send = on_send, .report = on_report, .closed = on_closed, .local_hostport = on_local};
    struct key_ring *ring = NULL;
    struct error err;
    if (key_ring_parse(STR_LIT("k1 0000000000000000000000000000000000000000000000000000000000000001\n"),
                       &ring, &err))
        return 1;
    struct engine_params params = {
        .ops = &ops, .ops_arg = &p, .policy = engine_policy_default(), .ring = ring, .seed = 1};
    params.policy.max_in_flight = params.policy.registrar_in_flight = IN_FLIGHT;
    p.now = (struct moment){.us = 1000000000, .wall_ms = UINT64_C(1767225600000)};
    p.engine = engine_new(&params, p.now);
    engine_credit(p.engine, UINT32_MAX, p.now);
    engine_shard_load(p.engine, 1, "any");
    size_t heap = mallinfo2().uordblks + mallinfo2().hblkhd, resident = resident_bytes();
    double start = cpu_us();
    for (uint64_t id = 1; id <= count; id++)
        want(&p, ring, id);
    double loaded = cpu_us();
    engine_shard_open(p.engine, 1, 1, 1, p.now);
    answer_all(&p);
    double registered = cpu_us();
    struct engine_stats s = engine_stats(p.engine);
    pass(&p, 5000000); // until what is kept for seconds is gone
    (void)engine_tick(p.engine, p.now);
    answer_all(&p);
    (void)malloc_trim(0);
    printf("%llu registrations: bound %llu, %llu requests, %llu reports\n", (unsigned long long)count,
           (unsigned long long)s.bound, (unsigned long long)s.requests, (unsigned long long)p.reports);
    printf("bytes a registration: engine_bytes %zu, heap %zu, resident %zu\n", engine_bytes(p.engine) / count,
           (mallinfo2().uordblks + mallinfo2().hblkhd - heap) / count, (resident_bytes() - resident) / count);
    const struct engine_memory m = engine_memory(p.engine);
    printf("of these: entries %zu, specs %zu, nonces %zu, shown %zu, extra %zu, index %zu, shared %zu, "
           "pacing %zu\n",
           m.entries / count, m.specs / count, m.nonces / count, m.shown / count, m.extra / count,
           m.index / count, m.shared / count, m.pacing / count);
    printf("us a registration: taking in %.2f (sealing included), challenged %.2f\n",
           (loaded - start) / (double)count, (registered - loaded) / (double)count);
    uint64_t before = s.requests;
    start = cpu_us();
    for (uint64_t end = p.now.us + UINT64_C(3100000000); p.now.us < end;) {
        uint64_t next = engine_tick(p.engine, p.now);
        if (p.queued)
            answer_all(&p);
        else
            pass(&p, next > p.now.us && next < end ? next - p.now.us : 1000);
    }
    s = engine_stats(p.engine);
    printf("us a refresh: %.2f of %llu, bound %llu\n", (cpu_us() - start) / (double)(s.requests - before),
           (unsigned long long)(s.requests - before), (unsigned long long)s.bound);
    engine_free(p.engine);
    key_ring_free(ring);
    return 0;
}
