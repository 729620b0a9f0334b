// Pages of the fixture's store as the ids that they hold.
#ifndef ROLLCALL_TESTS_STORE_PAGES_H
#define ROLLCALL_TESTS_STORE_PAGES_H

#include "tests/unit/store_fixture.h"

enum { MAX_PAGE = 1000 };

struct page {
    int count; // callbacks that came
    int rc;
    size_t records;
    uint64_t total;
    uint64_t ids[MAX_PAGE];
    char statuses[MAX_PAGE][16];
};

static inline bool is_paged(const void *arg)
{
    const struct page *p = arg;
    return p->count > 0;
}

static inline void on_page(void *arg, int rc, const struct store_record *records, size_t count,
                           uint64_t total, const struct error *err)
{
    struct page *p = arg;
    p->count++;
    p->rc = rc;
    p->total = total;
    p->records = count;
    assert_true((rc == 0) == (err == NULL));
    for (size_t i = 0; i < count && i < MAX_PAGE; i++) {
        p->ids[i] = records[i].reg.id;
        (void)snprintf(p->statuses[i], sizeof(p->statuses[i]), STR_FMT, STR_ARG(records[i].status));
    }
}

static inline struct page page_of(struct fixture *f, const struct store_query *q)
{
    struct page p = {0};
    store_page(f->store, q, on_page, &p);
    assert_int_equal(p.count, 0);
    assert_true(peer_run_until(f->base, is_paged, &p, SOON_MS));
    assert_int_equal(p.count, 1);
    return p;
}

static inline void assert_ids(const struct page *p, size_t count, const uint64_t *ids)
{
    assert_int_equal(p->rc, 0);
    assert_int_equal(p->records, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(p->ids[i], ids[i]);
}
#define assert_page(p, ...)                                                                                  \
    assert_ids((p), sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), (uint64_t[]){__VA_ARGS__})

// A sort key of numbers.
static inline char *by_delay(const struct registration *r, bool *ret_is_number)
{
    struct buf text = BUF_INIT;
    *ret_is_number = true;
    buf_add_u64(&text, (uint64_t)r->retry_delay_s);
    return buf_steal(&text);
}

#endif
