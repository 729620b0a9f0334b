// What is known of each registrar, for /metrics (the largest by name, the others summed up, so that the
// number of series is bounded whatever is registered where) and as JSON for people. Main thread.
#ifndef ROLLCALL_REGISTRANT_ADMIN_REGISTRARS_H
#define ROLLCALL_REGISTRANT_ADMIN_REGISTRARS_H

#include "common/base/buf.h"
#include "services/registrant/core/observe.h"

#define REGISTRARS_SHOWN 200 // by GET /registrars
#define REGISTRARS_NAMED 20  // by /metrics

struct registrars { // largest first; rest: those beyond
    struct registrar_view items[REGISTRARS_SHOWN];
    size_t count;
    struct registrar_view rest;
};

// Takes in what one thread sees: the same registrar of another thread is the same registrar. more_rest may
// hold what it has beyond its largest.
void registrars_merge(struct registrars *sum, const struct registrar_view *more, size_t count,
                      const struct registrar_view *more_rest);

void registrars_metrics(const struct registrars *r, struct buf *out);
// prefix: only those whose name, or its host, begins so, without regard to case; empty: all.
void registrars_json(const struct registrars *r, struct str prefix, struct buf *out);

#endif
