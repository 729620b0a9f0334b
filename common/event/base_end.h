// The end of an event loop. libevent frees a connection in a turn after the one that asked for it, and a
// callback that was put off to a later turn holds its connection until then; event_base_free() forgets what
// is put off, and with it leak the descriptor and what the connection holds. This refuses to wait for
// anything: it runs what is due already.
#ifndef ROLLCALL_EVENT_BASE_END_H
#define ROLLCALL_EVENT_BASE_END_H

struct event_base;

// Runs what is put off, then frees the base. Everything that was on it must have been freed before, so that
// no callback of ours is left. On the loop's own thread, or after that has ended, and outside any of its
// callbacks.
void base_end(struct event_base *take_base);

#endif
