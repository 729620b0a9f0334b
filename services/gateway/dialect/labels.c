// Labels of a registration, of which each dialect writes its own: see dialect.h.
#include "common/base/mem.h"
#include "common/json/json.h"
#include "services/gateway/dialect/dialect.h"

#include <stdlib.h>

#define INDEX "index"

// The members of an object, one of them with another value, in its place or at the end. Empty: it is left
// out.
static void put_members(struct buf *out, const struct json *object, const char *name, struct str value)
{
    bool is_due = value.n > 0;
    struct buf text cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(out);
    json_begin_object(&w);
    for (size_t i = 0; i < json_count(object); i++) {
        bool is_it = str_eq_cstr(json_key_at(object, i), name);
        if (is_it && !is_due)
            continue;
        buf_clear(&text);
        json_write_value(&text, json_at(object, i));
        json_key_str(&w, json_key_at(object, i));
        json_put_raw(&w, is_it ? value : buf_str(&text));
        is_due = is_due && !is_it;
    }
    if (is_due) {
        json_key(&w, name);
        json_put_raw(&w, value);
    }
    json_end_object(&w);
}

// NULL: there are none.
static struct json *read_labels(const struct registration *r)
{
    struct json *root = NULL;
    if (!r->labels || json_parse(str_of(r->labels), NULL, &root, NULL))
        return NULL;
    if (!json_is(root, JSON_OBJECT))
        json_free_ptr(&root);
    return root;
}

static struct str unless_empty(const struct buf *object)
{
    return object->n > 2 ? buf_str(object) : STR_NONE;
}

void dialect_set_label(struct registration *r, const char *name, const struct buf *object)
{
    struct json *root cleanup(json_free_ptr) = read_labels(r);
    struct buf out cleanup(buf_done) = BUF_INIT;
    put_members(&out, root, name, unless_empty(object));
    free(r->labels);
    r->labels = out.n > 2 ? buf_steal(&out) : NULL;
}

void dialect_set_index(struct registration *r, const char *name, struct str value)
{
    struct json *root cleanup(json_free_ptr) = read_labels(r);
    struct buf index cleanup(buf_done) = BUF_INIT, text cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&text);
    const struct json *held = json_get(root, INDEX);
    if (value.n)
        json_put_str(&w, value);
    put_members(&index, json_is(held, JSON_OBJECT) ? held : NULL, name, buf_str(&text));
    dialect_set_label(r, INDEX, &index);
}
