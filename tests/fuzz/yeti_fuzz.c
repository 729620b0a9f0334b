// What clients of the Yeti dialect send: the first byte says which: a query string, a document of operations,
// a line of an import. What a line makes is shown and written back, which changes nothing.
#include "services/gateway/yeti/import.h"
#include "services/gateway/yeti/operations.h"
#include "services/gateway/yeti/validate.h"
#include "tests/fuzz/target.h"

#include <string.h>

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

static bool same_secret(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

// The masks stand for what was there, and all else reads as it is shown.
static void write_back(const struct registration *made)
{
    struct buf shown cleanup(buf_done) = BUF_INIT, again cleanup(buf_done) = BUF_INIT;
    struct json *root cleanup(json_free_ptr) = NULL;
    struct errors errors cleanup(errors_done) = ERRORS_INIT;
    struct sip_given given cleanup(sip_given_done);
    struct registration after cleanup(registration_done);
    sip_show(&shown, made);
    HOLDS(json_parse(buf_str(&shown), NULL, &root, NULL) == 0);
    HOLDS(sip_read(&given, root, made, &errors));
    registration_copy(&after, made);
    sip_put(&given, &after);
    sip_show(&again, &after);
    HOLDS(str_eq(buf_str(&shown), buf_str(&again)));
    for (size_t i = 0; i < made->credential_count; i++) {
        const struct credential *a = &made->credentials[i], *b = &after.credentials[i];
        bool unique = true; // of two of one realm and user the first is what a mask means
        for (size_t j = 0; j < i; j++)
            unique = unique && !(same_secret(made->credentials[j].realm, a->realm) &&
                                 same_secret(made->credentials[j].user, a->user));
        HOLDS(!unique || same_secret(a->secret, b->secret));
        for (size_t k = 0; unique && k < HA1_COUNT; k++)
            HOLDS(same_secret(a->ha1[k], b->ha1[k]));
    }
}

static void make(const struct body *body)
{
    struct draft d cleanup(draft_done) = {.has_password = false};
    struct registration made cleanup(registration_done);
    struct errors errors cleanup(errors_done) = ERRORS_INIT;
    const char *field;
    registration_init(&made);
    made.account = str_dup(STR_LIT("a"));
    values_init(&d.values);
    draft_apply(&d, body, true);
    bool good = draft_check(&d, NULL, NULL, &errors) && draft_to(&d, &made, &errors);
    HOLDS(good == (errors.count == 0));
    HOLDS(!good || registration_check(&made, &field, NULL) == 0);
    if (good)
        write_back(&made);
}

static void read_line(struct str text)
{
    struct line *l = calloc(1, sizeof(*l));
    struct errors errors cleanup(errors_done) = ERRORS_INIT;
    bool good = import_line_read(l, text, &errors);
    HOLDS(good == (errors.count == 0));
    if (good)
        make(&l->body);
    import_line_free(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(struct str text) = {read_query, read_operations, read_line};
    if (size)
        readers[data[0] % ARRAY_LEN(readers)](str_of_bytes(data + 1, size - 1));
    return 0;
}
