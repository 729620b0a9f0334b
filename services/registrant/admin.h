// The registrant's own HTTP listener: /healthz, /readyz, /metrics, /registrars. Main thread.
#ifndef ROLLCALL_REGISTRANT_ADMIN_H
#define ROLLCALL_REGISTRANT_ADMIN_H

#include "common/http/http.h"
#include "services/registrant/admin_registrars.h"
#include "services/registrant/shard/place.h"

struct admin;

struct admin_view {
    struct engine_stats engine;
    struct sip_stats sip; // malformed: the transport's too
    size_t engine_bytes;
    struct place_counts places; // summed
    struct reporter_counts reports;
    bool kafka_seen, kafka_up, lease_fresh, stopping;
};
struct admin_params {
    struct event_base *base;
    const char *listen;
    void *arg;
    struct admin_view (*view)(void *arg);
    void (*registrars)(void *arg, struct registrars *ret_sum); // zeroed before
};
must_use int admin_start(const struct admin_params *p, struct admin **ret, struct error *err);
void admin_stop(struct admin *a); // NULL is allowed

#endif
