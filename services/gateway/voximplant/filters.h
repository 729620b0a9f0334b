// What GetSipRegistrations can be asked for (contract voximplant 3.5, 4.4): read from the parameters, turned
// into what indexes serve, and judged record by record for the rest.
#ifndef ROLLCALL_GATEWAY_VOXIMPLANT_FILTERS_H
#define ROLLCALL_GATEWAY_VOXIMPLANT_FILTERS_H

#include "services/gateway/store/store.h"
#include "services/gateway/voximplant/entry.h"

struct code_range {
    uint64_t low, high;
};
struct code_list {
    struct code_range *items;
    size_t count;
};

struct filters {
    const struct account *account;
    uint64_t now_wall_ms;
    uint64_t id; // 0: any
    struct str sip_username;
    enum choice deactivated, successful, is_persistent, is_bound, in_progress;
    struct id_list ids[TARGET_COUNT];
    struct text_list names[TARGET_COUNT];
    char **domains; // of the proxies asked for, in lower case where they could be read
    size_t domain_count;
    struct code_list codes;
    uint64_t count, offset;
};

// Borrows from the params. False: a parameter cannot be read.
must_use bool vox_filters_read(struct filters *ret_init, const struct params *p, struct fault *fault);
void vox_filters_done(struct filters *f);

// The query of the store; `user_key` and `terms` (room for FILTERS_TERMS) are borrowed by it.
#define FILTERS_TERMS 3
void vox_filters_query(const struct filters *f, struct str account, struct store_term *terms,
                       struct buf *user_key, struct store_query *ret);

#endif
