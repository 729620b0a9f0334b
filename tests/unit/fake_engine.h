// An engine of a few lines in place of the real one, so that the SIP thread can be tested and measured by
// itself. It sends one REGISTER for each desired registration, answers a challenge with fixed credentials,
// and writes down what it was told.
#ifndef ROLLCALL_TESTS_UNIT_FAKE_ENGINE_H
#define ROLLCALL_TESTS_UNIT_FAKE_ENGINE_H

#include "services/registrant/core/engine.h"

#define FAKE_MAX_ANSWERS 16
#define FAKE_TEXT_BYTES  512

struct fake_answer {
    uint64_t token;
    int status;
    bool local;
    char reason[64], warning[128];
    int64_t retry_after_s, min_expires_s, expires_s;
    char contacts[4][FAKE_TEXT_BYTES];
    int64_t contact_expires[4];
    size_t contact_count;
    char challenges[4][FAKE_TEXT_BYTES];
    bool challenge_is_proxy[4];
    size_t challenge_count;
    char nextnonce[64];
    char service_routes[4][FAKE_TEXT_BYTES], paths[4][FAKE_TEXT_BYTES], associated[4][FAKE_TEXT_BYTES];
    size_t service_route_count, path_count, associated_count;
    char target[128], local_address[128], received[128], unsupported[64];
    bool another_target, outbound;
    uint32_t flow_timer_s, flow;
};

// What to send for a registration is in its model: domain, username, registrar, transport, interface, the
// first contact, routes; `name` is a whole Authorization line, when there is one. An answered 401 is answered
// again at once where there are credentials.

// Any thread. Copies what was written down under a lock.
struct fake_seen {
    struct fake_answer answers[FAKE_MAX_ANSWERS];
    size_t answer_count; // may be above FAKE_MAX_ANSWERS
    int last_send_rc;
    size_t sent_count, refused_count;
    enum engine_lease leases[16];
    size_t lease_count;
    uint64_t credit;
    size_t desired_count, closed_count, parked_count, tick_count;
    uint32_t kept_alive; // the last flow that was
    size_t flow_lost_count;
    uint32_t flow_lost; // the last
    size_t targets_changed_count, target_count;
    char targets_of[64], targets[4][64]; // as the last change had them
    double cpu_s;                        // of the SIP thread, as of the last tick
};
void fake_reset(void);
void fake_seen(struct fake_seen *ret);
void fake_stand_still_once(uint32_t ms); // in the next call of engine_desired
// From now on every answered registration is sent again until that many answers came in all.
void fake_repeat_until(size_t answers);

#endif
