// See job_ids.h.
#include "services/gateway/jobs/job_ids.h"

#include "common/base/buf.h"

#include <errno.h>

#define AT_ONCE 16 // what other requests of this loop wait behind

void job_ids_given(struct job_ids *s, int rc, const uint64_t *ids, size_t count, const struct error *err)
{
    if (rc)
        s->err = *err;
    s->count = count < JOB_IDS_MAX ? count : JOB_IDS_MAX;
    for (size_t i = 0; i < s->count; i++)
        s->ids[i] = ids[i];
}

bool job_ids_next(struct job_ids *s, uint64_t *ret_id)
{
    if (s->err.code || s->next == s->count || s->pending == AT_ONCE)
        return false;
    s->pending++;
    *ret_id = s->ids[s->next++];
    return true;
}

void job_ids_note(struct job_ids *s, int rc, const struct error *err)
{
    if ((rc == -ENOTCONN || rc == -EBUSY) && !s->err.code)
        s->err = *err;
}

void job_ids_end(const struct job_ids *s, struct job_step *step)
{
    struct buf cursor cleanup(buf_done) = BUF_INIT;
    if (s->count)
        buf_add_u64(&cursor, s->ids[s->count - 1]);
    job_step_done(step, s->err.code, s->count ? buf_str(&cursor) : STR_NONE, s->err.code ? &s->err : NULL);
}
