// /etc/hosts: the first line is a name to look for, the rest the file. What is found are addresses of either
// family without a port, and not more than asked for.
#include "common/base/base.h"
#include "services/registrant/resolve/hosts.h"
#include "tests/fuzz/target.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX 4

static struct hosts *read_as_file(struct str text)
{
    char path[64];
    int fd = memfd_create("hosts", MFD_CLOEXEC);
    HOLDS(fd >= 0 && write(fd, text.p ? text.p : "", text.n) == (ssize_t)text.n);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct hosts *h = hosts_new(path);
    (void)close(fd);
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of_bytes(data, size), name = STR_NONE;
    struct address found[MAX];
    (void)str_split(&text, '\n', &name);
    struct hosts *h = read_as_file(text);
    const struct str names[] = {name, STR_LIT("localhost")};
    for (size_t n = 0; n < ARRAY_LEN(names); n++) {
        size_t count = hosts_find(h, names[n], found, MAX);
        HOLDS(count <= MAX);
        for (size_t i = 0; i < count; i++)
            HOLDS(address_port(&found[i]) == 0 &&
                  (found[i].any.sa_family == AF_INET || found[i].any.sa_family == AF_INET6));
    }
    hosts_free(h);
    return 0;
}
