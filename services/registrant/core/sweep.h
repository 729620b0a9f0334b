// What concerns many registrations at once, a connection that broke or a DNS answer that changed, is looked
// up among all of them a slice at a time: no turn of the loop walks a million. One walk serves all that came
// before it began. Private to the engine.
#ifndef ROLLCALL_REGISTRANT_CORE_SWEEP_H
#define ROLLCALL_REGISTRANT_CORE_SWEEP_H

#include "services/registrant/core/engine.h"
#include "services/registrant/core/intern.h"
#include "services/registrant/core/pacer.h"
#include "services/registrant/core/table.h"
#include "services/registrant/core/wheel.h"

struct sweep_move { // a registrar whose addresses changed
    struct pacer_target *registrar;
    struct interned **targets; // those that it has now
    size_t count;
};

struct sweep_set {
    uint32_t *flows; // lost
    struct sweep_move *moves;
    size_t flow_count, move_count;
    bool keys; // there is another key ring
};

struct sweep { // all zero: nothing is looked for
    struct wheel_node timer;
    struct sweep_set now, next; // of this walk, and of the one after it
    bool running;
    size_t shard;
    struct table_walk walk;
};

void sweep_for_keys(struct engine *e, struct moment now);
void sweep_timer(struct engine *e, struct moment now); // the next slice
void sweep_done(struct engine *e);

#endif
