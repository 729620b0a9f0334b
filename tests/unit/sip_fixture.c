// See sip_fixture.h.
#include "tests/unit/sip_fixture.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs the headers above it
#include <cmocka.h>

struct fixture *fixture_start(bool with_tcp, struct sip_thread_params p)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct error err = {0};
    fake_reset();
    sip_peer_open(&f->peer, with_tcp);
    if (!p.listen)
        p.listen = "127.0.0.1";
    if (!p.policy.transaction_timeout_s) {
        p.policy = engine_policy_default();
        p.policy.transaction_timeout_s = 2;
    }
    if (sip_thread_start(&p, &f->thread, &err) != 0)
        fail_msg("%s", err.text);
    f->port = (uint16_t)atoi(strrchr(sip_thread_listens_on(f->thread), ':') + 1);
    f->next_id = 1;
    return f;
}

void fixture_post(struct fixture *f, struct sip_command *c)
{
    while (sip_thread_post(f->thread, c) == -EAGAIN)
        (void)poll(NULL, 0, 1);
}

void fixture_finish(struct fixture *f)
{
    fixture_post(f, sip_command_new(SIP_STOP, 0));
    for (bool stopped = false; !stopped;) {
        struct pollfd fd = {.fd = sip_thread_fd(f->thread), .events = POLLIN};
        assert_true(poll(&fd, 1, PEER_DEADLINE_MS) > 0);
        struct sip_notice *n;
        while (sip_thread_notices(f->thread, &n, 1)) {
            stopped |= n->kind == SIP_STOPPED;
            sip_notice_free(n);
        }
    }
    sip_thread_join(f->thread);
    sip_peer_close(&f->peer);
    free(f);
}

void fixture_wish(struct fixture *f, struct wish w)
{
    char hop[256];
    struct sip_command *c = sip_command_new(SIP_DESIRED, 0);
    if (w.registrar)
        (void)snprintf(hop, sizeof(hop), "%s", w.registrar);
    else
        (void)snprintf(hop, sizeof(hop), "sip:someone@%s:%u", w.host ? w.host : "127.0.0.1", f->peer.port);
    registration_init(&c->reg);
    c->has_reg = true;
    c->reg.id = f->next_id++;
    c->reg.domain = mem_dup_cstr("example.com");
    c->reg.username = mem_dup_cstr("alice");
    c->reg.registrar = mem_dup_cstr(hop);
    c->reg.transport = w.transport;
    c->reg.name = mem_dup_cstr(w.authorization);
    c->reg.interface = mem_dup_cstr(w.interface);
    c->reg.contacts[0].uri = mem_dup_cstr(w.contact ? w.contact : "<sip:alice@{local}>");
    c->reg.contact_count = 1;
    fixture_post(f, c);
}

void fixture_wish_sent(struct fixture *f, struct wish w, struct sip_message *ret)
{
    fixture_wish(f, w);
    assert_true(sip_peer_receive(&f->peer, ret, PEER_DEADLINE_MS));
}

struct fake_seen fixture_answers(size_t count)
{
    struct fake_seen seen;
    uint64_t by_us = clock_monotonic_us() + PEER_DEADLINE_MS * 1000;
    do {
        fake_seen(&seen);
        if (seen.answer_count >= count)
            return seen;
        (void)poll(NULL, 0, 1);
    } while (clock_monotonic_us() < by_us);
    fail_msg("%zu of %zu answers came", seen.answer_count, count);
    return seen;
}

struct fake_answer fixture_answer(size_t nth)
{
    struct fake_seen seen = fixture_answers(nth);
    return seen.answers[nth - 1];
}

struct fake_seen fixture_until(bool (*holds)(const struct fake_seen *s))
{
    struct fake_seen seen;
    uint64_t by_us = clock_monotonic_us() + PEER_DEADLINE_MS * 1000;
    do {
        fake_seen(&seen);
        if (holds(&seen))
            return seen;
        (void)poll(NULL, 0, 1);
    } while (clock_monotonic_us() < by_us);
    fail_msg("what was waited for did not come");
    return seen;
}

void fixture_counted(struct fixture *f, size_t offset, uint64_t at_least)
{
    uint64_t by_us = clock_monotonic_us() + PEER_DEADLINE_MS * 1000, count = 0;
    while (clock_monotonic_us() < by_us) {
        struct sip_stats stats = sip_thread_sip_stats(f->thread);
        memcpy(&count, (const char *)&stats + offset, sizeof(count));
        if (count >= at_least)
            return;
        (void)poll(NULL, 0, 1);
    }
    fail_msg("counted %llu of %llu", (unsigned long long)count, (unsigned long long)at_least);
}

void fixture_ask(struct fixture *f, const char *method, const char *to_tag, const char *lines)
{
    char text[2048];
    (void)snprintf(text, sizeof(text),
                   "%s sip:alice@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%s\r\n"
                   "From: <sip:x@y>;tag=1\r\nTo: <sip:alice@127.0.0.1>%s\r\nCall-ID: stranger\r\n"
                   "CSeq: 1 %s\r\nMax-Forwards: 70\r\n%sContent-Length: 0\r\n\r\n",
                   method, f->peer.port, method, to_tag, method, lines);
    sip_peer_send(&f->peer, f->port, text);
}
