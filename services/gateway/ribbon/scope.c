// What may be out of step, as the arguments of a job: see sync.h.
//   {"entry":"3:1"}, {"tables":[3,4]}, {"gone":[3]}, {"credentials":[2]}
#include "common/json/json.h"
#include "services/gateway/ribbon/sync.h"

#include <errno.h>

static const char *const names[] = {
    [SCOPE_NONE] = "none",
    [SCOPE_ENTRY] = "entry",
    [SCOPE_TABLES] = "tables",
    [SCOPE_GONE] = "gone",
    [SCOPE_CREDENTIALS] = "credentials",
};

void scope_add_table(struct scope *s, uint64_t table)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->tables[i] == table)
            return;
    if (table && s->count < ARRAY_LEN(s->tables))
        s->tables[s->count++] = table;
}

void scope_write(struct buf *out, const struct scope *s)
{
    char id[ROW_ID_BYTES];
    struct json_writer w = json_writer(out);
    json_begin_object(&w);
    json_key(&w, names[s->kind]);
    if (s->kind == SCOPE_ENTRY) {
        json_put_str(&w, row_id_text(s->entry, id));
    } else {
        json_begin_array(&w);
        for (size_t i = 0; i < s->count; i++)
            json_put_u64(&w, s->tables[i]);
        json_end_array(&w);
    }
    json_end_object(&w);
}

int scope_read(struct str text, struct scope *ret, struct error *err)
{
    struct json *root cleanup(json_free_ptr) = NULL;
    *ret = (struct scope){.kind = SCOPE_NONE};
    if (json_parse(text, NULL, &root, err))
        return -EINVAL;
    for (size_t i = SCOPE_ENTRY; i < ARRAY_LEN(names); i++)
        if (json_get(root, names[i]))
            ret->kind = (enum scope_kind)i;
    const struct json *value = json_get(root, names[ret->kind]);
    for (size_t i = 0; json_is(value, JSON_ARRAY) && i < json_count(value); i++)
        scope_add_table(ret, json_u64_or(json_at(value, i), 0));
    bool good = ret->kind == SCOPE_ENTRY ? row_id_parse(json_str(value), &ret->entry) : ret->count > 0;
    return good ? 0 : error_set(err, -EINVAL, "a job of " SYNC_JOB " does not say what it is about");
}
