// The documents in proto/examples, read for tests. Each stands in its file as a writer would write it, but
// for white space, so that the schemas that hold for the examples hold for what the code writes.
#ifndef ROLLCALL_TESTS_UNIT_EXAMPLES_H
#define ROLLCALL_TESTS_UNIT_EXAMPLES_H

#include "common/json/json.h"

#include <stdio.h>

static inline struct json *example(const char *name)
{
    char path[512], text[16384];
    (void)snprintf(path, sizeof(path), "%s/%s", EXAMPLES_DIR, name);
    FILE *file = fopen(path, "re");
    if (!file)
        return NULL;
    size_t n = fread(text, 1, sizeof(text), file);
    (void)fclose(file);
    struct json *tree = NULL;
    return json_parse(str_of_bytes(text, n), &JSON_LIMITS_DEFAULT, &tree, NULL) ? NULL : tree;
}

#endif
