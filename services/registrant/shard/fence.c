// See fence.h.
#include "services/registrant/shard/fence.h"

enum { CALM_US = 60 * 1000000, PAUSE_FIRST_MS = 500, IN_A_ROW = 6, SHORT_IN_A_ROW = 2 };

void fence_joined(struct fence *f, uint64_t now_us)
{
    if (f->joined_us)
        return;
    f->joined_us = now_us;
    f->away = false;
}

void fence_away(struct fence *f)
{
    f->away = true;
}

bool fence_again(struct fence *f, uint64_t now_us, uint32_t *ret_pause_ms)
{
    if (f->joined_us && (f->away || now_us - f->joined_us >= CALM_US))
        f->fenced = f->cut_short = 0;
    f->cut_short += f->fenced && f->joined_us;
    if (f->fenced == IN_A_ROW || f->cut_short == SHORT_IN_A_ROW)
        return false;
    *ret_pause_ms = PAUSE_FIRST_MS << f->fenced++;
    f->joined_us = 0;
    return true;
}
