// Media types: JSON:API's own (contract 7), with the atomic operations extension, and lines of JSON.
#ifndef ROLLCALL_GATEWAY_YETI_MEDIA_H
#define ROLLCALL_GATEWAY_YETI_MEDIA_H

#include "services/gateway/yeti/call.h"

#define MEDIA_DOCUMENT "application/vnd.api+json"
#define MEDIA_ATOMIC   "application/vnd.api+json;ext=\"https://jsonapi.org/ext/atomic\""
#define MEDIA_LINES    "application/x-ndjson"

// Of the routes that are no Yeti's: Content-Type and Content-Encoding (415), then Accept (406). The rules of
// an extension are those of JSON:API 1.1 (Content Negotiation, Server Responsibilities). False: the call was
// answered.
bool media_passes(struct call *c);

#endif
