// The SIP threads as one: a registration's thread follows from its id, a partition's commands go to every
// thread. What a full queue refuses is kept here in order, and the sources are asked to stop. Main thread
// only.
#ifndef ROLLCALL_REGISTRANT_SHARD_WORKERS_H
#define ROLLCALL_REGISTRANT_SHARD_WORKERS_H

#include "services/registrant/sip/sip_thread.h"

struct event_base;
struct workers;

struct workers_params {
    struct event_base *base;
    unsigned count;
    struct sip_thread_params thread; // index is filled in
    void *arg;
    void (*on_report)(void *arg, unsigned thread, struct sip_notice *take);
    void (*on_closed)(void *arg, uint32_t shard);     // by every thread
    void (*on_stopped)(void *arg);                    // every thread has handed over
    void (*on_congestion)(void *arg, bool congested); // stop or go on feeding commands
};
must_use int workers_start(const struct workers_params *p, struct workers **ret, struct error *err);
// Stops the threads that were not told to, and joins. NULL is allowed.
void workers_free(struct workers *w);

unsigned workers_count(const struct workers *w);
void workers_desired(struct workers *w, struct sip_command *take); // to the thread that has c->id
// A copy to every thread; only the plain members of *c are used.
void workers_tell_all(struct workers *w, const struct sip_command *c);
void workers_tell(struct workers *w, unsigned thread, const struct sip_command *c);
struct engine_stats workers_stats(const struct workers *w); // summed
struct sip_stats workers_sip_stats(const struct workers *w);
// Of one thread, as engine_registrars gives them, at most a second or so old; at most max.
size_t workers_registrars(const struct workers *w, unsigned thread, struct registrar_view *ret, size_t max,
                          struct registrar_view *ret_rest);
size_t workers_engine_bytes(const struct workers *w);

#endif
