// Many writes of one account as one.
#include "common/base/mem.h"
#include "services/gateway/store/write_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct batch {
    store_batch_fn *fn;
    void *arg;
};

static void answer(struct write_call *c)
{
    struct batch *b = c->arg;
    if (c->w.err.code) {
        b->fn(b->arg, c->w.err.code, c->failed, NULL, 0, &c->w.err);
        free(b);
        return;
    }
    struct store_record *records = mem_array(c->count + 1, sizeof *records);
    for (size_t i = 0; i < c->count; i++)
        records[i] = (struct store_record){.reg = c->items[i].reg, .status = str_of(c->items[i].status)};
    b->fn(b->arg, 0, c->count, records, c->count, NULL);
    free(records);
    free(b);
}

static void fill(struct write_call *c, size_t at, const struct store_item *item)
{
    struct write_item *to = &c->items[at];
    to->kind = item->kind;
    if (item->kind == STORE_ITEM_UPDATE) {
        write_item_update(c, at, item->before, item->after);
    } else if (item->kind == STORE_ITEM_DELETE) {
        to->reg.id = item->before->id;
        to->expected = item->before->revision;
    } else {
        registration_copy(&to->given, item->after);
        if (!str_eq(str_of(item->after->account), str_of(c->account)))
            write_item_refuse(c, at, "a batch creates in one account only");
    }
}

void store_batch(struct store *s, struct str account, const struct store_item *items, size_t item_count,
                 const struct store_term *unique, size_t unique_count,
                 const struct store_write_context *context, store_batch_fn *fn, void *arg)
{
    bool fits = item_count <= STORE_BATCH_MAX;
    struct write_call *c = write_call_new(s, account, fits ? item_count : 0, context);
    struct batch *b = mem_alloc(sizeof *b);
    *b = (struct batch){.fn = fn, .arg = arg};
    c->answer = answer;
    c->arg = b;
    for (size_t i = 0; i < c->count; i++)
        fill(c, i, &items[i]);
    for (size_t i = 0; i < unique_count; i++) {
        if (!strcmp(unique[i].field, "name"))
            continue; // always is
        if (c->unique.n)
            buf_add_char(&c->unique, '\n');
        term_add(&c->unique, unique[i].field, unique[i].value);
    }
    if (!fits) {
        c->failed = item_count;
        (void)error_set(&c->w.err, -EIO, "a batch has at most %d items, not %zu", STORE_BATCH_MAX,
                        item_count);
    }
    if (!c->w.err.code && c->count)
        write_call_begin(c);
    else
        write_call_fail(c);
}
