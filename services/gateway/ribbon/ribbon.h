// The Ribbon SBC Edge dialect: forms in, XML out, below /rest. A codec over the store: tables of contacts,
// servers and credentials are objects of an account, and each entry at each server row that names its table
// is a registration. One object for each loop thread. Refuses what is no part of registering: signaling
// groups, profiles, routing.
#ifndef ROLLCALL_GATEWAY_RIBBON_RIBBON_H
#define ROLLCALL_GATEWAY_RIBBON_RIBBON_H

#include "common/registration/seal.h"
#include "services/gateway/dialect/dialect.h"
#include "services/gateway/jobs/jobs.h"
#include "services/gateway/jobs/reseal.h"
#include "services/gateway/ribbon/fields.h"
#include "services/gateway/ribbon/xml.h"

#define RIBBON_PREFIX "/rest"

struct ribbon;

struct ribbon_params {
    const struct dialect_shared *shared; // outlives it
    struct key_ring_box *keys;           // the same
    enum xml_layout layout;
    bool csrf;               // X-CSRF-Token must come back with each request
    bool status_200;         // the transport's status is that, whatever http_code says
    int64_t session_idle_ms; // a session ends so long after its last request
    unsigned delete_absent;  // http_code of deleting what is not there
    struct limits limits;
};
struct ribbon *ribbon_new(const struct ribbon_params *p);
void ribbon_free(void *ribbon);

// Takes every request whose path is below RIBBON_PREFIX, leading slashes doubled or not, and answers it
// exactly once.
void ribbon_handle(void *ribbon, struct http_request *r);

// Its passwords under the key that seals now: for reseal_job_new.
struct reseal_part ribbon_reseal_part(struct store *store);
// What makes registrations follow the objects: for jobs_new.
struct job_kind ribbon_job_kind(struct ribbon *ribbon);

#endif
