// Several texts in one growing buffer, as a request needs them. Private to what puts one together.
#ifndef ROLLCALL_REGISTRANT_CORE_PIECES_H
#define ROLLCALL_REGISTRANT_CORE_PIECES_H

#include "services/registrant/core/entry.h"

// offsets until the buffer is whole
struct pieces {
    struct buf *text;
    size_t at[REQUEST_MAX_CONTACTS + 1];
    size_t count;
};

static inline struct pieces pieces_in(struct buf *text)
{
    buf_clear(text);
    return (struct pieces){.text = text};
}

static inline void piece_end(struct pieces *p)
{
    p->at[++p->count] = p->text->n;
}

static inline struct str piece(const struct pieces *p, size_t i)
{
    return str_slice(buf_str(p->text), p->at[i], p->at[i + 1]);
}

// Returns how many there are; ret has room for them.
static inline size_t pieces_all(const struct pieces *p, struct str *ret)
{
    for (size_t i = 0; i < p->count; i++)
        ret[i] = piece(p, i);
    return p->count;
}

// contacts.c: header values of f's Contacts, with what is to be dropped.
void contacts_build(struct engine *e, struct flight *f, const struct spec_view *v, struct pieces *out);

#endif
