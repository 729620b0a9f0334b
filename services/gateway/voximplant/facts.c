// See facts.h.
#include "services/gateway/voximplant/facts.h"

#include "common/base/mem.h"
#include "common/json/json.h"
#include "services/gateway/dialect/dialect.h"

#include <stdlib.h>
#include <string.h>

#define LABEL "voximplant"

static char *text_of(const struct json *v)
{
    struct str text = json_str(v);
    return text.n ? str_dup(text) : NULL;
}

void vox_facts_of(struct facts *ret, const struct registration *r)
{
    struct json *root cleanup(json_free_ptr) = NULL;
    *ret = (struct facts){.is_persistent = true};
    if (!r->labels || !strstr(r->labels, "\"" LABEL "\"") || json_parse(str_of(r->labels), NULL, &root, NULL))
        return;
    const struct json *held = json_get(root, LABEL);
    ret->is_persistent = json_bool(json_get(held, "is_persistent"), true);
    ret->proxy = text_of(json_get(held, "proxy"));
    ret->outbound_proxy = text_of(json_get(held, "outbound_proxy"));
    for (size_t i = 0; i < TARGET_COUNT; i++) {
        const struct target_words *w = vox_target_words((enum target_kind)i);
        ret->binding.of[i].id = json_u64_or(json_get(held, w->id), 0);
        ret->binding.of[i].name = text_of(json_get(held, w->name));
    }
}

void vox_facts_done(struct facts *f)
{
    vox_binding_done(&f->binding);
    free(f->proxy);
    free(f->outbound_proxy);
    *f = (struct facts){.is_persistent = true};
}

bool vox_facts_want_enabled(const struct facts *f)
{
    return f->is_persistent || vox_target_is_set(&f->binding.of[TARGET_USER]);
}

// Only what differs from the defaults, so that a plain registration has no label at all.
static void write_own(struct json_writer *w, const struct facts *f)
{
    json_begin_object(w);
    if (!f->is_persistent)
        json_kv_bool(w, "is_persistent", false);
    for (size_t i = 0; i < TARGET_COUNT; i++) {
        const struct target_words *words = vox_target_words((enum target_kind)i);
        const struct target *t = &f->binding.of[i];
        if (t->id)
            json_kv_u64(w, words->id, t->id);
        if (t->name)
            json_kv_cstr(w, words->name, t->name);
    }
    if (f->proxy)
        json_kv_cstr(w, "proxy", f->proxy);
    if (f->outbound_proxy)
        json_kv_cstr(w, "outbound_proxy", f->outbound_proxy);
    json_end_object(w);
}

void vox_facts_store(const struct facts *f, struct registration *r)
{
    struct buf own cleanup(buf_done) = BUF_INIT, user cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&own);
    write_own(&w, f);
    dialect_set_label(r, LABEL, &own);
    vox_binding_user_key(&f->binding, &user);
    dialect_set_index(r, FACTS_USER_INDEX, buf_str(&user));
}
