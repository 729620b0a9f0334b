// What a SIP thread does, turn by turn: commands, answers and time go into its engine, requests and notices
// come out. Everything on the thread that made it, but for the two queues.
#ifndef ROLLCALL_REGISTRANT_SIP_DRIVER_H
#define ROLLCALL_REGISTRANT_SIP_DRIVER_H

#include "services/registrant/sip/outbox.h"

#include "common/base/mailbox.h"

struct driver;

struct driver_params {
    struct sip_thread_params thread; // listen is this thread's own; texts must outlive the driver
    struct mailbox *inbox;           // of struct sip_command
    struct outbox *outbox;
};
must_use int driver_new(const struct driver_params *p, struct driver **ret, struct error *err);
void driver_free(struct driver *d); // NULL is allowed

// Waits for what comes next and deals with it. 0 when nothing concerned the engine, 1 when something did, and
// -1 when it was told to stop and the last notice is with main.
int driver_turn(struct driver *d);

struct engine_stats driver_stats(const struct driver *d);
struct engine *driver_engine(struct driver *d);
size_t driver_engine_bytes(const struct driver *d);
struct sip_stats driver_sip_stats(const struct driver *d);
struct str driver_listens_on(const struct driver *d); // host:port, as long as the driver

#endif
