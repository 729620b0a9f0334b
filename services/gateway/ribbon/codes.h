// Application error codes and the HTTP-like numbers they stand for (contract ribbon 7). Pure.
#ifndef ROLLCALL_GATEWAY_RIBBON_CODES_H
#define ROLLCALL_GATEWAY_RIBBON_CODES_H

enum app_code {
    APP_LOGIN_REFUSED = 3007,
    APP_USER_UNKNOWN = 3010,
    APP_NOT_AUTHORISED = 3033,
    APP_TABLE_FULL = 14025,
    APP_FAILURE = 20000, // with a text
    APP_ABSENT = 20012,
    APP_PRESENT = 20013,
    APP_INTERNAL = 20030,
    APP_ID_RANGE = 20031,
    APP_NO_SESSION = 20032,
    APP_NO_RESOURCE = 20033,
    APP_METHOD = 20034,
    APP_QUERY = 20035,
    APP_ID = 20036,
    APP_RANGE = 20038,
    APP_EMPTY = 20039,
    APP_REFERENCE = 20040,
    APP_MISSING = 20045,
    APP_ACTION = 20046,
    APP_AUTH_TABLE_IN_USE = 31010,
    APP_CONTACT_TABLE_IN_USE = 31011,
    APP_SERVER_KINDS = 31020,
};

// http_code of an app code where the request's method does not say otherwise.
unsigned app_code_http(unsigned app_code);

#endif
