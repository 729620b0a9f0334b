// What clients of the Yeti dialect send: the first byte says which: a query string, a document of operations,
// a line of an import.
#include "services/gateway/yeti/import.h"
#include "services/gateway/yeti/operations.h"
#include "tests/fuzz/target.h"

static void read_query(struct str text)
{
    struct http_pairs pairs;
    struct query query;
    struct errors errors cleanup(errors_done) = ERRORS_INIT;
    if (http_pairs_parse(text, &pairs, NULL))
        return;
    bool good = query_read(&query, type_of(TYPE_REGISTRATIONS), QUERY_INDEX, false, &pairs, &errors);
    HOLDS(good == (errors.count == 0));
    query_done(&query);
    http_pairs_done(&pairs);
}

static void read_operations(struct str text)
{
    struct json *root cleanup(json_free_ptr) = NULL;
    struct operations o cleanup(operations_done) = {.action_count = 0};
    struct errors errors cleanup(errors_done) = ERRORS_INIT;
    if (json_parse(text, NULL, &root, NULL))
        return;
    bool good = operations_read(&o, root, &errors);
    HOLDS(good == (errors.count == 0) && o.subject_count <= json_count(json_get(root, "atomic:operations")));
    for (size_t i = 0; good && i < o.action_count; i++)
        HOLDS(o.actions[i].subject >= o.subjects && o.actions[i].subject < o.subjects + o.subject_count);
}

static void read_line(struct str text)
{
    struct line *l = calloc(1, sizeof(*l));
    struct errors errors cleanup(errors_done) = ERRORS_INIT;
    bool good = import_line_read(l, text, &errors);
    HOLDS(good == (errors.count == 0));
    import_line_free(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(struct str text) = {read_query, read_operations, read_line};
    if (size)
        readers[data[0] % ARRAY_LEN(readers)](str_of_bytes(data + 1, size - 1));
    return 0;
}
