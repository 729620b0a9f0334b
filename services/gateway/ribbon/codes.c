// See codes.h. What fits no other number is 500.
#include "services/gateway/ribbon/codes.h"

#include "common/base/base.h"

static const struct {
    unsigned app_code, http_code;
} rows[] = {
    {APP_ABSENT, 404}, {APP_ID_RANGE, 400}, {APP_NO_SESSION, 401}, {APP_NO_RESOURCE, 400},
    {APP_METHOD, 400}, {APP_QUERY, 400},    {APP_ID, 400},         {APP_ACTION, 400},
};

unsigned app_code_http(unsigned app_code)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].app_code == app_code)
            return rows[i].http_code;
    return 500;
}
