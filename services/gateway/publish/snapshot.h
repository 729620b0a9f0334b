// The internal listener: gives a registrant that takes a partition over all registrations in it, one line
// each, closed by their count (proto/topics.md, "The partition snapshot"). Begins once what was reported on
// them is applied (freshness.h). Reads Redis over a connection of its own, so that long readings do not hold
// up reports.
#ifndef ROLLCALL_GATEWAY_PUBLISH_SNAPSHOT_H
#define ROLLCALL_GATEWAY_PUBLISH_SNAPSHOT_H

#include "services/gateway/publish/hub.h"

struct snapshots;
must_use int snapshots_new(struct hub *h, struct snapshots **ret, struct error *err);
void snapshots_stop(struct snapshots *s); // no new ones; those under way go on
bool snapshots_are_idle(const struct snapshots *s);
void snapshots_free(struct snapshots *s);
uint16_t snapshots_port(const struct snapshots *s);

#endif
