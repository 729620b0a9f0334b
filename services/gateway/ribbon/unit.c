// See unit.h.
#include "services/gateway/ribbon/unit.h"

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/log/log.h"

#include <stdio.h>
#include <stdlib.h>

void unit_init(struct unit *u, uint64_t entry)
{
    *u = (struct unit){.entry = entry};
}

static void forget_decision(struct unit *u)
{
    for (size_t i = 0; i < u->after_count; i++)
        registration_done(&u->after[i]);
    free(u->after);
    free(u->items);
    buf_done(&u->marks);
    u->after = NULL;
    u->items = NULL;
    u->after_count = u->item_count = 0;
    u->adds_marks = u->is_gone = false;
}

void unit_done(struct unit *u)
{
    forget_decision(u);
    for (size_t i = 0; i < u->held_count; i++)
        registration_done(&u->held[i].reg);
    free(u->held);
    u->held = NULL;
    u->held_count = 0;
}

void unit_hold(struct unit *u, const struct registration *r)
{
    struct link link;
    if (!link_read(r->labels, &link))
        return;
    u->held = mem_resize(u->held, u->held_count + 1, sizeof(*u->held));
    registration_copy(&u->held[u->held_count].reg, r);
    u->held[u->held_count++].link = link;
}

static bool is_marked(const char *marks, struct row_id server)
{
    char id[ROW_ID_BYTES];
    return list_has(marks, row_id_text(server, id));
}

static void add_mark(struct buf *marks, struct row_id server)
{
    char id[ROW_ID_BYTES];
    if (marks->n)
        buf_add_char(marks, ',');
    buf_add_str(marks, row_id_text(server, id));
}

// Keeps the marks of server rows that are still there. Whether others were dropped.
static bool keep_marks(struct buf *kept, const struct plan *p, const char *marks, bool is_wanted)
{
    bool dropped = false;
    struct str rest = str_of(marks), one;
    while (str_split(&rest, ',', &one)) {
        struct row_id id;
        if (is_wanted && row_id_parse(one, &id) && plan_server(p, id) < p->server_count)
            add_mark(kept, id);
        else
            dropped = true;
    }
    return dropped;
}

static void new_prefix(struct link *l)
{
    unsigned char random[2];
    random_bytes(random, sizeof(random));
    (void)snprintf(l->prefix, sizeof(l->prefix), "SBC%02x%02x", random[0], random[1]);
}

static struct registration *next_after(struct unit *u)
{
    return &u->after[u->after_count];
}

static bool derive(struct unit *u, const struct plan *p, const struct fieldset *entry, size_t server,
                   struct link *l, struct registration *ret, struct made *made)
{
    struct error err;
    if (fieldset_flag(&p->servers[server].values, SERVER_RANDOMIZER) && !l->prefix[0])
        new_prefix(l);
    if (plan_derive(p, u->entry, entry, server, l->prefix, ret, made, &err) == 0)
        return true;
    log_line(LOG_WARNING, "ribbon", 0, "entry %llu:%llu of %s cannot be registered: %s",
             (unsigned long long)p->table, (unsigned long long)u->entry, p->account, err.text);
    return false;
}

static void create(struct unit *u, const struct plan *p, const struct fieldset *entry, size_t server)
{
    struct link l = {.entry = {p->table, u->entry}, .server = p->servers[server].id};
    struct registration *r = next_after(u);
    if (!derive(u, p, entry, server, &l, r, &l.made))
        return;
    if (u->taken) { // some other registration has the name
        struct buf name = BUF_INIT;
        buf_addf(&name, "%s~%u", r->name, u->taken + 1);
        free(r->name);
        r->name = buf_steal(&name);
    }
    link_store(&l, r);
    u->items[u->item_count++] = (struct store_item){.kind = STORE_ITEM_CREATE, .after = r};
    u->after_count++;
    add_mark(&u->marks, l.server);
    u->adds_marks = true;
}

static void update(struct unit *u, const struct plan *p, const struct fieldset *entry, size_t server,
                   const struct held *held, bool marked)
{
    struct registration derived;
    struct link l = held->link;
    struct made made;
    if (!marked) {
        add_mark(&u->marks, l.server);
        u->adds_marks = true;
    }
    if (!derive(u, p, entry, server, &l, &derived, &made))
        return;
    struct registration *r = next_after(u);
    registration_copy(r, &held->reg);
    bool changed = derive_apply(r, &derived, &l.made, &made);
    registration_done(&derived);
    for (size_t g = 0; g < GROUP_COUNT; g++)
        l.made.of[g] = made.of[g] ? made.of[g] : l.made.of[g];
    // One that is to be kept although it has no mark may be about to be removed by who read older objects: a
    // revision of its own keeps that from happening.
    l.turn += !marked;
    if (!changed && marked) {
        registration_done(r);
        return;
    }
    link_store(&l, r);
    u->items[u->item_count++] =
        (struct store_item){.kind = STORE_ITEM_UPDATE, .before = &held->reg, .after = r};
    u->after_count++;
}

static bool has_registration(const struct unit *u, size_t until, struct row_id server)
{
    for (size_t i = 0; i < until; i++)
        if (row_id_compare(u->held[i].link.server, server) == 0)
            return true;
    return false;
}

static void decide_held(struct unit *u, const struct plan *p, const struct fieldset *entry, const char *marks)
{
    for (size_t i = 0; i < u->held_count; i++) {
        const struct held *held = &u->held[i];
        size_t server = entry ? plan_server(p, held->link.server) : p->server_count;
        if (server == p->server_count || has_registration(u, i, held->link.server))
            u->items[u->item_count++] = (struct store_item){.kind = STORE_ITEM_DELETE, .before = &held->reg};
        else
            update(u, p, entry, server, held, is_marked(marks, held->link.server));
    }
}

// A server row that the entry was registered at and is not any more: that was taken away through another
// dialect.
static void decide_missing(struct unit *u, const struct plan *p, const struct fieldset *entry,
                           const char *marks)
{
    bool any_marked = false;
    for (size_t i = 0; i < p->server_count; i++) {
        bool marked = is_marked(marks, p->servers[i].id);
        any_marked = any_marked || marked;
        if (!marked && !has_registration(u, u->held_count, p->servers[i].id))
            create(u, p, entry, i);
    }
    u->is_gone = !u->held_count && any_marked;
}

// The entry where it is there and to be registered. `*ret_damaged`: it is there and cannot be read.
static bool read_wanted(const struct plan *p, uint64_t entry, struct fieldset *ret, bool *ret_damaged)
{
    const struct object *o = object_find(plan_entries(p), (struct row_id){.row = entry});
    bool is_read =
        o && fieldset_read(str_of(o->json), resource_of(STR_LIT("sipregistrantentry")), ret, NULL) == 0;
    *ret_damaged = o && !is_read;
    if (is_read && fieldset_number(ret, ENTRY_AOR_TYPE) != AOR_NONE)
        return true;
    if (is_read)
        fieldset_done(ret);
    return false;
}

bool unit_drops_marks(const struct plan *p, uint64_t entry, struct buf *ret_kept)
{
    struct fieldset values;
    bool damaged = false;
    char *marks = plan_marks(p, entry);
    bool wanted = marks[0] && read_wanted(p, entry, &values, &damaged);
    bool drops = marks[0] && !damaged && keep_marks(ret_kept, p, marks, wanted);
    if (wanted)
        fieldset_done(&values);
    free(marks);
    return drops;
}

void unit_decide(struct unit *u, const struct plan *p)
{
    struct fieldset entry;
    bool damaged;
    bool wanted = read_wanted(p, u->entry, &entry, &damaged);
    forget_decision(u);
    if (damaged) // no reason to unregister
        return;
    char *marks = plan_marks(p, u->entry);
    u->items = mem_array(u->held_count + p->server_count + 1, sizeof(*u->items));
    u->after = mem_array(u->held_count + p->server_count + 1, sizeof(*u->after));
    (void)keep_marks(&u->marks, p, marks, wanted);
    decide_held(u, p, wanted ? &entry : NULL, marks);
    if (wanted) {
        decide_missing(u, p, &entry, marks);
        fieldset_done(&entry);
    }
    free(marks);
}
