// See way.h.
#include "services/registrant/core/way.h"

#include "common/base/mem.h"

#include <stdlib.h>

static struct interned *intern_or_null(struct intern *texts, const char *text)
{
    return text && *text ? intern_get(texts, str_of(text)) : NULL;
}

static struct interned *intern_routes(struct intern *texts, const struct registration *r)
{
    struct buf joined cleanup(buf_done) = BUF_INIT;
    for (size_t i = 0; i < r->route_count; i++) {
        if (i)
            buf_add_char(&joined, '\n');
        buf_add_cstr(&joined, r->route_set[i]);
    }
    return joined.n ? intern_get(texts, buf_str(&joined)) : NULL;
}

static void put_texts(struct intern *texts, struct way_key *k)
{
    intern_put(texts, &k->domain);
    intern_put(texts, &k->registrar);
    intern_put(texts, &k->interface);
    intern_put(texts, &k->routes);
}

struct way *way_get(struct way **ways, struct intern *texts, const struct registration *r)
{
    struct way_key key = {.domain = intern_or_null(texts, r->domain),
                          .registrar = intern_or_null(texts, r->registrar),
                          .interface = intern_or_null(texts, r->interface),
                          .routes = intern_routes(texts, r),
                          .scheme = r->scheme,
                          .transport = r->transport};
    struct way *way = NULL;
    HASH_FIND(hh, *ways, &key, sizeof(key), way);
    if (way) {
        put_texts(texts, &key);
    } else {
        way = mem_alloc(sizeof(*way));
        way->key = key;
        HASH_ADD(hh, *ways, key, sizeof(way->key), way);
    }
    way->refs++;
    return way;
}

void way_put(struct way **ways, struct intern *texts, struct pacer *pacer, struct way **way)
{
    struct way *it = *way;
    *way = NULL;
    if (!it || --it->refs)
        return;
    HASH_DEL(*ways, it);
    put_texts(texts, &it->key);
    pacer_target_put(pacer, &it->target);
    free(it);
}
