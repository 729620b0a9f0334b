// A registration as GetSipRegistrations shows it (contract voximplant 4.1), and what its last report says of
// it in the words of this API. Optional members are left out, never null or empty.
#ifndef ROLLCALL_GATEWAY_VOXIMPLANT_ENTRY_H
#define ROLLCALL_GATEWAY_VOXIMPLANT_ENTRY_H

#include "services/gateway/voximplant/catalogue.h"
#include "services/gateway/voximplant/model.h"

struct outcome {
    enum choice successful; // CHOICE_ANY: no settled result that is still believed
    int status_code;        // 0: none
    char *message;          // why it failed; NULL
    bool in_progress;       // a result for the present configuration is still to come
    uint64_t updated_s;     // the later of configuration and report
};
void vox_outcome_of(struct outcome *ret_init, const struct store_record *record, uint64_t now_wall_ms);
void vox_outcome_done(struct outcome *o);

void vox_entry_write(struct json_writer *w, const struct account *account, const struct store_record *record,
                     uint64_t now_wall_ms);

#endif
