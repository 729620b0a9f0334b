// A JSON text as the tests of services/gateway/yeti take it.
#ifndef ROLLCALL_TESTS_UNIT_YETI_FIXTURE_H
#define ROLLCALL_TESTS_UNIT_YETI_FIXTURE_H

#include "common/json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka needs the three above
#include <cmocka.h>

static inline struct json *parse(const char *text)
{
    struct json *root = NULL;
    struct error err = {0};
    if (json_parse(str_of(text), NULL, &root, &err))
        fail_msg("%s: %s", text, err.text);
    return root;
}

#endif
