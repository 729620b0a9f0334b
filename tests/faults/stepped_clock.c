// A wall clock that can be stepped, for one process of the fault suite: preloaded, it adds to CLOCK_REALTIME
// the seconds that stand, as one int64_t, in the file of STEPPED_CLOCK, from the moment at which they
// are written there.
//
// It refuses to touch the monotonic clock, and timespec_get(3): what computes deadlines by that one
// (librdkafka) waits for them in the C library, which would not know of the step.
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *offset_s;

__attribute__((constructor)) static void open_clock(void)
{
    const char *path = getenv("STEPPED_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    const void *page = mmap(NULL, sizeof *offset_s, PROT_READ, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED)
        offset_s = page;
    close(fd);
}

static int64_t offset(void)
{
    return offset_s ? *offset_s : 0;
}

// The kernel's own.
static int true_time(clockid_t clock, struct timespec *ret_time)
{
    return (int)syscall(SYS_clock_gettime, clock, ret_time);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int failed = true_time(clock, time);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        time->tv_sec += offset();
    return failed;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    struct timespec now;
    if (true_time(CLOCK_REALTIME, &now))
        return -1;
    *time = (struct timeval){.tv_sec = now.tv_sec + offset(), .tv_usec = now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *ret_time)
{
    struct timespec now;
    if (true_time(CLOCK_REALTIME, &now))
        return -1;
    now.tv_sec += offset();
    if (ret_time)
        *ret_time = now.tv_sec;
    return now.tv_sec;
}
