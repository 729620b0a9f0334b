// What is kept of what registrars said: words that many have in common, and lists of each. Bounds them.
#include "services/registrant/core/entry.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

struct str entry_heard(const struct entry *r, enum heard what)
{
    if (!r->heard)
        return STR_NONE;
    const char *at = r->heard->text;
    for (int i = 0; i < (int)what; i++)
        at += strlen(at) + 1;
    return str_of(at);
}

void entry_set_heard(struct engine *e, struct entry *r, enum heard what, struct str text)
{
    text = str_slice(text, 0, str_find(text, '\0', 0));
    text = str_slice(text, 0, STATUS_MAX_TEXT_BYTES);
    if (str_eq(entry_heard(r, what), text))
        return;
    struct buf *all = &e->scratch[7];
    buf_clear(all);
    for (int i = 0; i < HEARD_COUNT; i++) {
        buf_add_str(all, i == (int)what ? text : entry_heard(r, (enum heard)i));
        buf_add(all, "", 1);
    }
    intern_set(e->home.texts, &r->heard, all->n > HEARD_COUNT ? buf_str(all) : STR_NONE);
}

static bool add_text(struct buf *out, struct str text)
{
    if (!text.n || text.n > STATUS_MAX_TEXT_BYTES || out->n + text.n >= SHOWN_MAX_BYTES)
        return false;
    buf_add_str(out, text);
    buf_add(out, "", 1);
    return true;
}

static uint8_t add_list(struct buf *out, const struct str *items, size_t count)
{
    uint8_t kept = 0;
    for (size_t i = 0; i < count && i < STATUS_MAX_LIST; i++)
        kept = (uint8_t)(kept + add_text(out, items[i]));
    return kept;
}

// Replaces what is shown by head and text, unless it is the same.
static void replace_shown(struct engine *e, struct entry *r, const struct shown *head, const struct buf *text)
{
    struct shown now = *head;
    now.bytes = (uint32_t)(sizeof(now) + text->n);
    if (r->shown && memcmp(r->shown, &now, offsetof(struct shown, text)) == 0 &&
        (!text->n || memcmp(r->shown->text, text->p, text->n) == 0))
        return;
    e->bytes -= r->shown ? r->shown->bytes : 0;
    free(r->shown);
    r->shown = NULL;
    if (!text->n && !now.outbound)
        return;
    r->shown = mem_alloc(now.bytes);
    *r->shown = now;
    if (text->n)
        memcpy(r->shown->text, text->p, text->n);
    e->bytes += now.bytes;
}

// Is `text` the line as we sent it, with nothing but the granted lifetime added?
static bool is_line(struct str text, struct str line, struct str lifetime)
{
    return text.n == line.n + lifetime.n && str_starts(text, line) && str_ends(text, lifetime);
}

static bool are_lines(const struct sip_answer *a, const struct contact_lines *own, struct str lifetime)
{
    bool same = a->contact_count == own->count && own->count;
    for (size_t i = 0; same && i < own->count; i++)
        same = is_line(a->contacts[i].text, own->items[i], lifetime);
    return same;
}

static void add_lifetime(struct buf *out, uint32_t granted_s)
{
    buf_add_cstr(out, ";expires=");
    buf_add_u64(out, granted_s);
}

// What lists our contacts as we sent them need not be kept: it is made again of what is bound.
static void note_as_sent(struct engine *e, struct entry *r, const struct sip_answer *a)
{
    struct contact_lines own = {.text = &e->scratch[2]};
    struct buf *lifetime = &e->scratch[3];
    if (!r->bound)
        return;
    contacts_of(r->bound, interned_str(r->bound_local), &own);
    buf_clear(lifetime);
    add_lifetime(lifetime, r->granted_s);
    r->as_sent_expires = are_lines(a, &own, buf_str(lifetime));
    r->as_sent = r->as_sent_expires || are_lines(a, &own, STR_NONE);
}

size_t entry_as_sent(struct engine *e, const struct entry *r, struct buf *out)
{
    struct contact_lines own = {.text = &e->scratch[2]};
    buf_clear(out);
    if (!r->as_sent || !r->bound)
        return 0;
    contacts_of(r->bound, interned_str(r->bound_local), &own);
    for (size_t i = 0; i < own.count; i++) {
        buf_add_str(out, own.items[i]);
        if (r->as_sent_expires)
            add_lifetime(out, r->granted_s);
        buf_add(out, "", 1);
    }
    return own.count;
}

void entry_keep_shown(struct engine *e, struct entry *r, const struct spec *next, struct str local)
{
    bool same =
        next && next == r->bound && str_eq(interned_str(r->bound_local), next->has_local ? local : STR_NONE);
    if (!r->as_sent || same)
        return;
    struct buf text cleanup(buf_done) = BUF_INIT;
    struct shown head;
    memset(&head, 0, sizeof(head));
    size_t count = next ? entry_as_sent(e, r, &text) : 0;
    if (r->shown) {
        memcpy(&head, r->shown, offsetof(struct shown, text));
        buf_add(&text, r->shown->text, r->shown->bytes - sizeof(*r->shown));
    }
    head.contacts = (uint8_t)count;
    r->as_sent = r->as_sent_expires = false;
    replace_shown(e, r, &head, &text);
}

void entry_set_shown(struct engine *e, struct entry *r, const struct sip_answer *a,
                     const struct shown_more *more)
{
    struct str contacts[STATUS_MAX_LIST];
    struct shown head;
    struct buf *text = &e->scratch[0];
    memset(&head, 0, sizeof(head));
    buf_clear(text);
    r->as_sent = r->as_sent_expires = false;
    if (!more->audited) // what an audit found is shown though nothing that we know of is bound
        note_as_sent(e, r, a);
    for (size_t i = 0; i < a->contact_count && i < STATUS_MAX_LIST; i++)
        contacts[i] = a->contacts[i].text;
    head.contacts = r->as_sent ? 0 : add_list(text, contacts, a->contact_count);
    head.service_routes = add_list(text, a->service_routes, a->service_route_count);
    head.paths = add_list(text, a->paths, a->path_count);
    head.associated = add_list(text, a->associated, a->associated_count);
    head.pub_gruu = add_text(text, more->pub_gruu);
    head.temp_gruu = add_text(text, more->temp_gruu);
    head.warning = add_text(text, a->warning);
    head.foreign = more->foreign > UINT8_MAX ? UINT8_MAX : (uint8_t)more->foreign;
    head.audited = more->audited;
    head.outbound = more->outbound;
    head.flow_timer_s = more->flow_timer_s;
    replace_shown(e, r, &head, text);
}

void entry_set_warning(struct engine *e, struct entry *r, struct str warning)
{
    if (!warning.n && (!r->shown || !r->shown->warning))
        return;
    struct shown head;
    struct buf *text = &e->scratch[0];
    memset(&head, 0, sizeof(head));
    buf_clear(text);
    if (r->shown) {
        memcpy(&head, r->shown, offsetof(struct shown, text));
        const char *end = r->shown->text;
        int left = head.contacts + head.service_routes + head.paths + head.associated + head.pub_gruu +
                   head.temp_gruu;
        for (; left; left--)
            end += strlen(end) + 1;
        buf_add(text, r->shown->text, (size_t)(end - r->shown->text));
    }
    head.warning = add_text(text, warning);
    replace_shown(e, r, &head, text);
}
