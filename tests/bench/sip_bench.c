// What a challenged registration costs the SIP thread itself: services/registrant/sip with an engine that
// keeps a fixed number of them under way. Needs a registrar that challenges (registrar.c).
//   sip_bench <host:port> [registrations 10000] [under way 200] [udp|tcp]
#include "services/registrant/sip/sip_thread.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "tests/unit/fake_engine.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void wish(struct sip_thread *t, uint64_t id, const char *registrar, bool tcp)
{
    struct sip_command *c = sip_command_new(SIP_DESIRED, 0);
    char user[32], hop[128];
    (void)snprintf(user, sizeof(user), "user%llu", (unsigned long long)id);
    (void)snprintf(hop, sizeof(hop), "sip:%s", registrar);
    registration_init(&c->reg);
    c->has_reg = true;
    c->reg.id = id;
    c->reg.domain = mem_dup_cstr("bench.example.com");
    c->reg.username = mem_dup_cstr(user);
    c->reg.registrar = mem_dup_cstr(hop);
    c->reg.transport = tcp ? TRANSPORT_TCP : TRANSPORT_UDP;
    c->reg.name =
        mem_dup_cstr("Authorization: Digest username=\"user\", realm=\"bench\", nonce=\"5b9d0c7e1f3a\", "
                     "uri=\"sip:bench.example.com\", response=\"0123456789abcdef0123456789abcdef\", "
                     "algorithm=MD5, cnonce=\"0123456789\", qop=auth, nc=00000001");
    c->reg.contacts[0].uri = mem_dup_cstr("<sip:user@{local}>;+sip.instance=\"<urn:uuid:0>\"");
    c->reg.contact_count = 1;
    if (sip_thread_post(t, c) != 0)
        sip_command_free(c);
}

int main(int argc, char **argv)
{
    size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 10000;
    size_t under_way = argc > 3 ? strtoul(argv[3], NULL, 10) : 200;
    bool tcp = argc > 4 && strcmp(argv[4], "tcp") == 0;
    struct sip_thread_params p = {
        .policy = engine_policy_default(), .listen = "127.0.0.1", .max_queue = 1u << 16};
    struct sip_thread *t;
    struct error err = {0};
    if (argc < 2 || sip_thread_start(&p, &t, &err) != 0) {
        (void)fprintf(stderr, "sip_bench <host:port> [registrations] [under way] [udp|tcp] %s\n", err.text);
        return 2;
    }
    struct fake_seen before, seen;
    fake_repeat_until(2 * count - under_way);
    fake_seen(&before);
    uint64_t start_us = clock_monotonic_us();
    for (size_t i = 1; i <= under_way; i++)
        wish(t, i, argv[1], tcp);
    do {
        (void)poll(NULL, 0, 5);
        fake_seen(&seen);
    } while (seen.answer_count < 2 * count - under_way && clock_monotonic_us() - start_us < 60000000);
    double s = (double)(clock_monotonic_us() - start_us) / 1e6, done = (double)seen.answer_count / 2;
    struct rusage used;
    (void)getrusage(RUSAGE_SELF, &used);
    (void)printf("{\"registrations\":%.0f,\"seconds\":%.3f,\"per_s\":%.0f,\"cpu_us\":%.1f,\"peak_kb\":%ld}\n",
                 done, s, done / s, (seen.cpu_s - before.cpu_s) * 1e6 / done, used.ru_maxrss);
    sip_thread_join(t);
    return seen.answer_count < 2 * count - under_way;
}
