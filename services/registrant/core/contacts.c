// Contacts: of what is to be bound, and of what may be bound and is to go. Which of our own two a registrar
// takes for one is not asked as in its answers (binding.h), where it has rewritten them.
#include "services/registrant/core/pieces.h"

#include "services/registrant/core/binding.h"

enum { OWN = 2, DROP }; // of the scratch buffers

void contacts_of(const struct spec *s, struct str local, struct contact_lines *ret)
{
    struct spec_view v;
    struct pieces pieces = pieces_in(ret->text);
    spec_open(s, &v);
    for (size_t i = 0; i < v.contact_count; i++) {
        spec_contact_text(v.contacts[i].uri, local, ret->text);
        piece_end(&pieces);
    }
    ret->count = pieces_all(&pieces, ret->items);
}

// May the registrar know a flow by its number (RFC 5626 6), or is it known to go by the URI alone? In doubt
// the number goes along: who does not know it goes by the URI. But to drop a flow's former Contact would then
// drop the flow.
static bool is_by_flow(const struct entry *r)
{
    bool did = r->shown && r->shown->outbound;
    bool was_asked = r->bound && r->bound->outbound && r->expires_ms;
    return !r->no_outbound && (did || !was_asked);
}

static bool is_among(const struct contact_lines *lines, struct str contact, bool by_flow)
{
    for (size_t i = 0; lines && i < lines->count; i++)
        if (binding_is_one(lines->items[i], contact, by_flow))
            return true;
    return false;
}

// Adds a contact unless it is one with any of `keep`, or there already.
static void add_contact(const struct contact_lines *keep, struct str contact, bool by_flow,
                        struct pieces *out)
{
    if (!contact.n || is_among(keep, contact, by_flow) ||
        out->count == REQUEST_MAX_CONTACTS - REGISTRATION_MAX_CONTACTS)
        return;
    for (size_t i = 0; i < out->count; i++)
        if (str_eq(piece(out, i), contact))
            return;
    buf_add_str(out->text, contact);
    piece_end(out);
}

static void add_contacts_of(const struct spec *s, struct str local, const struct contact_lines *keep,
                            bool by_flow, struct pieces *out)
{
    struct spec_view v;
    struct buf one = BUF_INIT;
    spec_open(s, &v);
    for (size_t i = 0; i < v.contact_count; i++) {
        buf_clear(&one);
        spec_contact_text(v.contacts[i].uri, local, &one);
        add_contact(keep, buf_str(&one), by_flow, out);
    }
    buf_done(&one);
}

void contacts_to_drop(struct engine *e, const struct entry *r, const struct contact_lines *keep,
                      struct contact_lines *ret)
{
    struct pieces pieces = pieces_in(ret->text);
    bool by_flow = is_by_flow(r);
    if (r->bound)
        add_contacts_of(r->bound, interned_str(r->bound_local), keep, by_flow, &pieces);
    if (r->bound && r->unsure && r->want && r->differs < SPEC_ADDRESS)
        add_contacts_of(r->want, entry_local(e, r, r->want), keep, by_flow, &pieces);
    struct str rest = str_of(r->extra ? r->extra->dropped : NULL), line;
    while (str_split(&rest, '\n', &line))
        add_contact(keep, line, by_flow, &pieces);
    ret->count = pieces_all(&pieces, ret->items);
}

// What is wanted elsewhere only is no reason to leave it bound there.
void contacts_left_behind(struct engine *e, const struct entry *r, struct contact_lines *ret)
{
    struct contact_lines keep = {.text = &e->scratch[OWN]};
    struct pieces pieces = pieces_in(ret->text);
    if (r->want && r->enabled && !r->removing && r->want->way->target == r->extra->left->way->target)
        contacts_of(r->want, entry_local(e, r, r->want), &keep);
    add_contacts_of(r->extra->left, interned_str(r->extra->left_local), &keep, is_by_flow(r), &pieces);
    ret->count = pieces_all(&pieces, ret->items);
}

// Where a flow has no number, none is sent: it could be taken for the number of another.
static void add_contact_text(struct str contact, bool with_flow, struct pieces *out)
{
    if (with_flow)
        buf_add_str(out->text, contact);
    else
        spec_without_flow(contact, out->text);
}

// Header values of what is to be bound; a Contact's own expires wins over the header (RFC 3261 10.2.1.1).
static void add_bound_contacts(const struct flight *f, const struct spec_view *v,
                               const struct contact_lines *own, struct pieces *out)
{
    uint32_t floor_s = f->least_s;
    for (size_t i = 0; i < own->count; i++) {
        add_contact_text(own->items[i], !f->entry->no_outbound, out);
        if (v->contacts[i].q.n) {
            buf_add_cstr(out->text, ";q=");
            buf_add_str(out->text, v->contacts[i].q);
        }
        int64_t expires = v->contacts[i].expires;
        if (expires >= 0) {
            buf_add_cstr(out->text, ";expires=");
            buf_add_u64(out->text, (uint64_t)(expires > (int64_t)floor_s ? expires : (int64_t)floor_s));
        }
        piece_end(out);
    }
}

static void add_dropped_contacts(const struct flight *f, const struct contact_lines *drop, struct pieces *out)
{
    for (size_t i = 0; i < drop->count && out->count < REQUEST_MAX_CONTACTS; i++) {
        add_contact_text(drop->items[i], is_by_flow(f->entry), out);
        buf_add_cstr(out->text, ";expires=0");
        piece_end(out);
    }
}

void contacts_build(struct engine *e, struct flight *f, const struct spec_view *v, struct pieces *out)
{
    struct entry *r = f->entry;
    struct contact_lines own = {.text = &e->scratch[OWN]}, drop = {.text = &e->scratch[DROP]};
    if (f->kind == FLIGHT_FETCH)
        return;
    if (f->kind == FLIGHT_UNBIND) {
        contacts_to_drop(e, r, NULL, &drop);
        add_dropped_contacts(f, &drop, out);
        return;
    }
    if (f->kind == FLIGHT_LEAVE) {
        contacts_left_behind(e, r, &drop);
        add_dropped_contacts(f, &drop, out);
        return;
    }
    contacts_of(f->spec, interned_str(f->local), &own);
    if (f->kind == FLIGHT_CLEAR) {
        add_dropped_contacts(f, &own, out);
        return;
    }
    add_bound_contacts(f, v, &own, out);
    if (!r->bound || (f->kind == FLIGHT_BIND && r->differs == SPEC_ADDRESS) ||
        (r->bound == f->spec && str_eq(interned_str(r->bound_local), interned_str(f->local)) &&
         !(r->extra && r->extra->dropped)))
        return;
    contacts_to_drop(e, r, &own, &drop);
    add_dropped_contacts(f, &drop, out);
}
