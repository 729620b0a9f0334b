// The internal listener: gives a registrant that takes a partition over all registrations in it, one line
// each, closed by their count (proto/topics.md, "The partition snapshot"). Reads Redis over a connection of
// its own, so that long readings do not hold up reports.
#ifndef ROLLCALL_GATEWAY_PUBLISH_SNAPSHOT_H
#define ROLLCALL_GATEWAY_PUBLISH_SNAPSHOT_H

#include "services/gateway/publish/hub.h"

struct snapshots;
must_use int snapshots_new(struct hub *h, struct snapshots **ret, struct error *err);
void snapshots_stop(struct snapshots *s); // no new ones; those under way go on
bool snapshots_are_idle(const struct snapshots *s);
void snapshots_free(struct snapshots *s);
uint16_t snapshots_port(const struct snapshots *s);

// Whether a snapshot is to wait for reports that are acknowledged and not applied: what Redis holds is older
// then, and who takes over with an old word for the last one sends what is not due. An old word is better
// than none for longer than 5 s, though, also where the lag never ends: it is told by the reports' own
// clocks, one of which may be behind. All zero at first. lag_us: reports_lag_us. Pure.
struct snapshot_patience {
    uint64_t since_us, asked_us; // monotonic; since when every request has found a lag, and the last of them
};
bool snapshot_waits(struct snapshot_patience *p, uint64_t lag_us, uint64_t now_us);

#endif
