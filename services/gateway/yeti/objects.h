// The deployment's objects in memory: pops and nodes as the store holds them, transport protocols as they are
// fixed. Few and small, so that a request reads them whole.
#ifndef ROLLCALL_GATEWAY_YETI_OBJECTS_H
#define ROLLCALL_GATEWAY_YETI_OBJECTS_H

#include "services/gateway/store/store.h"
#include "services/gateway/yeti/types.h"

struct objects {
    struct object *items; // by id
    size_t count;
};

void objects_done(struct objects *o);
const struct object *objects_find(const struct objects *o, int64_t id); // NULL: none

// Takes over what store_objects gave. What is damaged is left out.
void objects_read(struct objects *ret_init, const struct store_object *stored, size_t count);
// One object as the store holds it.
void objects_write(struct buf *out, const struct object *object);

void object_done(struct object *o);

// UDP, TCP, TLS and WS, with Yeti's ids (contract 9).
const struct objects *objects_transports(void);

#endif
