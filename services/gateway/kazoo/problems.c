// See problems.h. Two spellings of some messages coexist in a Kazoo, and so they do here.
#include "services/gateway/kazoo/problems.h"

static const struct problem_row rows[] = {
    [PROBLEM_BAD_TOKEN] = {401, "invalid credentials", "{}"},
    [PROBLEM_UNAUTHORIZED] = {401, "invalid_credentials", "{\"message\":\"invalid credentials\"}"},
    [PROBLEM_METHOD] = {405, "invalid_method", "{\"message\":\"method not allowed\"}"},
    [PROBLEM_ACCOUNT_SHAPE] = {404, "bad identifier", "{\"message\":\"invalid account_id '%s'\"}"},
    [PROBLEM_ACCOUNT_EMPTY] = {404, "bad identifier", "{\"message\":\"missing account_id\"}"},
    [PROBLEM_ACCOUNT_UNKNOWN] = {404, "bad_identifier", "{\"message\":\"bad identifier\",\"cause\":\"%s\"}"},
    [PROBLEM_FORBIDDEN] = {403, "forbidden", "{\"message\":\"forbidden\"}"},
    [PROBLEM_NO_USERNAME] = {404, "bad identifier", "[\"%s\"]"},
    [PROBLEM_NO_API_KEY] = {404, "bad identifier", "[\"%s\"]"},
    [PROBLEM_NO_RESOURCE] = {404, "not_found", "{\"message\":\"not found\"}"},
    [PROBLEM_TOO_MANY] = {429, "too_many_requests", "{\"message\":\"too many requests\"}"},
    [PROBLEM_BAD_JSON] = {400, "validation error",
                          "{\"json\":{\"invalid\":{\"message\":\"invalid JSON\",\"target\":\"%s\"}}}"},
    [PROBLEM_BAD_ENVELOPE] = {400, "validation error",
                              "{\"%s\":{\"type\":{\"message\":\"value has the wrong type\","
                              "\"target\":\"object\"}}}"},
    [PROBLEM_TOO_LONG] = {413, "validation error",
                          "{\"file\":{\"maxSize\":{\"message\":\"file size is limited\","
                          "\"target\":8000000}}}"},
    [PROBLEM_REQUIRED] = {400, "validation error",
                          "{\"%s\":{\"required\":{\"message\":\"field is required but missing\"}}}"},
    [PROBLEM_METHOD_ENUM] = {400, "validation error",
                             "{\"method\":{\"enum\":{\"message\":\"value is not in the list\","
                             "\"target\":[\"md5\",\"sha\"]}}}"},
    [PROBLEM_GONE] = {410, "gone", "{\"message\":\"API version 1 is gone, use /v2\"}"},
    [PROBLEM_UNREACHABLE] = {503, "datastore_unreachable", "{\"message\":\"%s\"}"},
    [PROBLEM_FAULT] = {503, "datastore_fault", "{\"message\":\"an internal error was logged\"}"},
};

const struct problem_row *kazoo_problem_row(enum problem problem)
{
    return &rows[problem];
}
