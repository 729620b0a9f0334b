// The description of the REST API that /openapi.json serves: proto/openapi/*.yaml, joined, as JSON, built in.
#ifndef ROLLCALL_GATEWAY_OPENAPI_H
#define ROLLCALL_GATEWAY_OPENAPI_H

#include "common/base/str.h"

struct str openapi_json(void); // lives as long as the process

#endif
