// What a SIP thread shows of its registrars: written by it about once a second (of ten thousands of
// registrars less often), read by any thread.
#ifndef ROLLCALL_REGISTRANT_SIP_BOARD_H
#define ROLLCALL_REGISTRANT_SIP_BOARD_H

#include "services/registrant/core/engine.h"

#define BOARD_REGISTRARS 200

struct board;
struct board *board_new(void);
void board_free(struct board *b);

// The SIP thread, at each turn: goes on with what it writes where it is time to. However many registrars
// there are, a turn looks at a few.
void board_update(struct board *b, struct engine *e);
// Any thread: the largest, at most max; ret_rest sums up the others. Returns how many it gave.
size_t board_read(struct board *b, struct registrar_view *ret, size_t max, struct registrar_view *ret_rest);

#endif
