// A fixed port for librdkafka's mock cluster, which asks the kernel for any free one and offers no way to
// choose (2.0.2). This executable therefore has a bind() of its own that puts the wanted port in place of 0.
// It changes nothing else, and nothing before port_fix is called.
#ifndef ROLLCALL_BROKER_PORT_H
#define ROLLCALL_BROKER_PORT_H

#include <stdint.h>

void port_fix(uint16_t port); // 0: the kernel chooses

// 0 if a server could listen on 127.0.0.1 at this port now, else a negative errno. To be asked first, since
// the library aborts the process where it cannot listen.
int port_check(uint16_t port);

#endif
