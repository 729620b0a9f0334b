// One published change, read back from a changes topic, as the arguments of restore.lua. Pure.
#ifndef ROLLCALL_GATEWAY_PUBLISH_RESTORE_H
#define ROLLCALL_GATEWAY_PUBLISH_RESTORE_H

#include "common/base/buf.h"
#include "common/kafka/kafka.h"
#include "common/registration/status.h"
#include "services/gateway/store/keys.h"
#include "services/gateway/store/store.h"

// In the order of the label values of BUS_RESTORES_TOTAL.
enum restore_verdict { RESTORE_RESTORED, RESTORE_HELD, RESTORE_BURIED };
must_use int restore_verdict_parse(struct str name, enum restore_verdict *ret);

#define RESTORE_MAX_ARGS 24 // key not counted

struct restore {
    uint64_t id, revision;
    uint64_t created_ms; // the earliest known
    char place[REGISTRATION_PLACE_BYTES];
    char *value; // the record's
};

// 0 and *ret; -ENOENT: nothing to write back (moved, deleted); -EINVAL: to be skipped.
must_use int restore_read(const struct kafka_record *r, struct str topic_place, struct restore **ret,
                          struct error *err);
// The same of a change that this gateway published or is to publish; NULL: nothing to write back.
struct restore *restore_of(const struct store_change *c);
struct restore *restore_copy(const struct restore *r);
void restore_free(struct restore *r);

struct restore_args {
    struct registration reg;
    struct status last;
    bool has_last;
    char *account;
    struct str argv[RESTORE_MAX_ARGS];
    size_t argc;
    char digest[STORE_DIGEST_BYTES];
    char numbers[13][24];
    struct buf spec, terms, last_text;
};
// Borrows from `r`; restore_args_done frees the rest. -EINVAL: its specification cannot be read.
must_use int restore_args(const struct restore *r, uint32_t grace_ms, uint32_t seed,
                          struct restore_args *ret_init, struct error *err);
void restore_args_done(struct restore_args *a);

#endif
