// The Voximplant dialect: the SIP registration methods of its Management API under /platform_api. A codec
// over the store: holds no state of its own but the requests under way. One object for each loop thread.
#ifndef ROLLCALL_GATEWAY_VOXIMPLANT_VOXIMPLANT_H
#define ROLLCALL_GATEWAY_VOXIMPLANT_VOXIMPLANT_H

#include "services/gateway/dialect/dialect.h"

#define VOXIMPLANT_PREFIX "/platform_api"

struct voximplant;

struct voximplant *voximplant_new(const struct dialect_shared *shared); // borrowed, outlives it
void voximplant_free(void *voximplant);

// Takes every request whose path is below VOXIMPLANT_PREFIX and answers it exactly once.
void voximplant_handle(void *voximplant, struct http_request *r);

#endif
