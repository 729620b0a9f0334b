// One entry of the list (contract 5): a live binding as Kazoo's registrar tells it. Pure.
#ifndef ROLLCALL_GATEWAY_KAZOO_ENTRY_H
#define ROLLCALL_GATEWAY_KAZOO_ENTRY_H

#include "common/json/json.h"
#include "services/gateway/auth/principals.h"
#include "services/gateway/store/store.h"

// False: nothing is bound, and nothing was written.
bool kazoo_entry_write(struct json_writer *w, const struct account *a, const struct store_record *record,
                       uint64_t now_wall_ms);

#endif
