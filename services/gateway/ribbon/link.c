// See link.h.
#include "services/gateway/ribbon/link.h"

#include "common/base/encode.h"
#include "common/json/json.h"
#include "services/gateway/dialect/dialect.h"

#include <stdio.h>
#include <string.h>

struct str row_id_text(struct row_id id, char ret[ROW_ID_BYTES])
{
    int n =
        snprintf(ret, ROW_ID_BYTES, "%llu:%llu", (unsigned long long)id.table, (unsigned long long)id.row);
    return (struct str){.p = ret, .n = (size_t)n};
}

bool row_id_parse(struct str text, struct row_id *ret)
{
    size_t colon = str_find(text, ':', 0);
    return colon < text.n && str_to_u64(str_slice(text, 0, colon), &ret->table) == 0 &&
           str_to_u64(str_slice(text, colon + 1, text.n), &ret->row) == 0;
}

int row_id_compare(struct row_id a, struct row_id b)
{
    if (a.table != b.table)
        return a.table < b.table ? -1 : 1;
    return a.row == b.row ? 0 : a.row < b.row ? -1 : 1;
}

static bool read_made(struct str text, struct made *ret)
{
    if (text.n != GROUP_COUNT * 8u)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        int digit = decode_hex_digit(text.p[i]);
        if (digit < 0)
            return false;
        ret->of[i / 8] = ret->of[i / 8] << 4 | (uint32_t)digit;
    }
    return true;
}

bool link_read(const char *labels, struct link *ret)
{
    struct json *root cleanup(json_free_ptr) = NULL;
    *ret = (struct link){.turn = 0};
    if (!labels || json_parse(str_of(labels), NULL, &root, NULL))
        return false;
    const struct json *own = json_get(root, "ribbon");
    if (!json_is(own, JSON_OBJECT) || !row_id_parse(json_str(json_get(own, "entry")), &ret->entry) ||
        !row_id_parse(json_str(json_get(own, "server")), &ret->server))
        return false;
    if (!read_made(json_str(json_get(own, "made")), &ret->made))
        ret->made = (struct made){.of = {0}};
    struct str prefix = json_str(json_get(own, "prefix"));
    if (prefix.n < PREFIX_BYTES)
        memcpy(ret->prefix, prefix.n ? prefix.p : "", prefix.n);
    ret->turn = json_u64_or(json_get(own, "turn"), 0);
    return true;
}

static void write_own(struct json_writer *w, const struct link *l)
{
    char id[ROW_ID_BYTES], made[GROUP_COUNT * 8 + 1];
    for (size_t i = 0; i < GROUP_COUNT; i++)
        (void)snprintf(made + 8 * i, 9, "%08x", (unsigned)l->made.of[i]);
    json_begin_object(w);
    json_kv_str(w, "entry", row_id_text(l->entry, id));
    json_kv_str(w, "server", row_id_text(l->server, id));
    json_kv_cstr(w, "made", made);
    if (l->prefix[0])
        json_kv_cstr(w, "prefix", l->prefix);
    if (l->turn)
        json_kv_u64(w, "turn", l->turn);
    json_end_object(w);
}

void link_store(const struct link *l, struct registration *r)
{
    char id[ROW_ID_BYTES];
    struct buf own cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&own);
    struct str entry = row_id_text(l->entry, id);
    write_own(&w, l);
    dialect_set_label(r, "ribbon", &own);
    dialect_set_index(r, INDEX_ENTRY, entry);
    dialect_set_index(r, INDEX_TABLE, str_slice(entry, 0, str_find(entry, ':', 0)));
}
