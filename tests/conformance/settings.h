// What the harness is started with, and the sealing that a gateway would have done.
#ifndef ROLLCALL_TESTS_CONFORMANCE_SETTINGS_H
#define ROLLCALL_TESTS_CONFORMANCE_SETTINGS_H

#include "services/registrant/sip/sip_thread.h"

#include "common/json/json.h"

struct harness_settings {
    struct sip_thread_params thread; // its texts live in `json`
    struct json *json;
    struct key_ring *ring;
    const char *allow, *deny;
    struct networks *networks;
};

// A JSON object: the members of sip_thread_params that are texts, and "policy" with numbers of engine_policy.
// 0, or -EINVAL: not that, or a member that there is not.
must_use int harness_settings_read(struct str text, struct harness_settings *ret_init, struct error *err);
void harness_settings_done(struct harness_settings *s);

// Seals the secrets that are clear.
void harness_seal(const struct key_ring *ring, struct registration *r);

#endif
