// Targets that failed of late. A small table that forgets: when it is full, what is over soonest goes.
#ifndef ROLLCALL_REGISTRANT_RESOLVE_ASIDE_H
#define ROLLCALL_REGISTRANT_RESOLVE_ASIDE_H

#include "services/registrant/resolve/resolve.h"

struct aside;

struct aside *aside_new(void);
void aside_free(struct aside *a);

void aside_put(struct aside *a, const struct resolve_target *t, uint64_t until_us, uint64_t now_us);
void aside_remove(struct aside *a, const struct resolve_target *t);
bool aside_has(struct aside *a, const struct resolve_target *t, uint64_t now_us); // forgets what is over

#endif
