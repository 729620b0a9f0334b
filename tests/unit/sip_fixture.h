// A SIP thread with the engine of fake_engine.h and a peer to talk to, for the tests of
// services/registrant/sip. Every wait has a deadline.
#ifndef ROLLCALL_TESTS_UNIT_SIP_FIXTURE_H
#define ROLLCALL_TESTS_UNIT_SIP_FIXTURE_H

#include "services/registrant/sip/sip_thread.h"
#include "tests/unit/fake_engine.h"
#include "tests/unit/sip_peer.h"

struct fixture {
    struct sip_thread *thread;
    struct sip_peer peer;
    uint16_t port; // of the thread
    uint64_t next_id;
};

// Where nothing else is said it listens on 127.0.0.1, and timer F is two seconds.
struct fixture *fixture_start(bool with_tcp, struct sip_thread_params p);
void fixture_finish(struct fixture *f);
void fixture_post(struct fixture *f, struct sip_command *take);

// Wants a registration kept at `registrar`, else at the peer under the name `host`, else under its address.
struct wish {
    const char *registrar, *host, *contact, *authorization, *interface;
    enum registration_transport transport;
};
void fixture_wish(struct fixture *f, struct wish w);
// The same, and what it makes the thread send.
void fixture_wish_sent(struct fixture *f, struct wish w, struct sip_message *ret);

// Waits until the engine was told of that many answers, or until that holds.
struct fake_seen fixture_answers(size_t count);
struct fake_answer fixture_answer(size_t nth); // from 1
struct fake_seen fixture_until(bool (*holds)(const struct fake_seen *s));
// Waits until a number of sip_thread_sip_stats, at that offset, is at least that.
void fixture_counted(struct fixture *f, size_t offset, uint64_t at_least);

// A request of a stranger by datagram; lines: further headers.
void fixture_ask(struct fixture *f, const char *method, const char *to_tag, const char *lines);

#endif
