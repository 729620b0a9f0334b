// What tests against a real server need: starting it on a free loopback port, stopping it by its id, and
// running an event loop until something is so, with a deadline. Never waits for a fixed time.
#ifndef ROLLCALL_TESTS_PEER_H
#define ROLLCALL_TESTS_PEER_H

#include "common/base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
// cmocka needs setjmp, stdarg, stddef and stdint before it
#include <cmocka.h>

// A port that was free a moment ago.
static inline uint16_t peer_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&address, bytes), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&address, &bytes), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

// Starts argv[0] with its output thrown away; it dies with the test.
static inline pid_t peer_start(char *const argv[])
{
    pid_t parent = getpid(), pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(127);
        (void)dup2(null, STDIN_FILENO);
        (void)dup2(null, STDOUT_FILENO);
        (void)dup2(null, STDERR_FILENO);
        (void)execvp(argv[0], argv);
        _exit(127);
    }
    return pid;
}

// Returns the wait status.
static inline int peer_stop(pid_t pid, int sig)
{
    int status = 0;
    (void)kill(pid, sig);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

// It stands still once this returns: a signal alone takes until one of its threads gets a processor, and the
// others go on meanwhile. SIGCONT lets it run again.
static inline void peer_freeze(pid_t pid)
{
    (void)kill(pid, SIGSTOP);
    while (waitpid(pid, NULL, WUNTRACED) < 0 && errno == EINTR)
        ;
}

static inline void peer_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
}

// Runs the loop until cond(arg) or the deadline; says which.
static inline bool peer_run_until(struct event_base *base, bool (*cond)(const void *arg), const void *arg,
                                  unsigned limit_ms)
{
    uint64_t end_us = clock_monotonic_us() + limit_ms * UINT64_C(1000);
    const struct timeval tick = {.tv_usec = 5000};
    struct event *timer = event_new(base, -1, EV_PERSIST, peer_tick, NULL);
    (void)event_add(timer, &tick);
    bool met;
    while (!(met = cond(arg)) && clock_monotonic_us() < end_us)
        (void)event_base_loop(base, EVLOOP_ONCE);
    event_free(timer);
    return met;
}

#endif
