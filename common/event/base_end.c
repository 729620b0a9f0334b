// See base_end.h.
#include "common/event/base_end.h"

#include <event2/event.h>

void base_end(struct event_base *take_base)
{
    // One turn runs the callback that was put off, the next frees the connection that it held.
    do
        (void)event_base_loop(take_base, EVLOOP_NONBLOCK);
    while (event_base_get_num_events(take_base, EVENT_BASE_COUNT_ACTIVE) > 0);
    event_base_free(take_base);
}
