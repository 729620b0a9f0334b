// See hosts.h. Refuses to be a resolver: no aliases of aliases, no search domains.
#include "services/registrant/sip/hosts.h"

#include "common/base/mem.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define HOSTS_CHECK_US    1000000u
#define HOSTS_MAX_ENTRIES 100000u

struct host {
    char *name;
    uint32_t line; // the file's order decides among addresses of one name
    int family;
    char address[INET6_ADDRSTRLEN];
};

struct hosts {
    char *path;
    uint64_t checked_us; // 0: never
    struct stat seen;
    struct host *entries; // sorted by name without case, then by line
    size_t count;
};

struct hosts *hosts_new(const char *path)
{
    struct hosts *h = mem_alloc(sizeof(*h));
    h->path = mem_dup_cstr(path);
    return h;
}

static void forget(struct hosts *h)
{
    for (size_t i = 0; i < h->count; i++)
        free(h->entries[i].name);
    free(h->entries);
    h->entries = NULL;
    h->count = 0;
}

void hosts_free(struct hosts *h)
{
    if (!h)
        return;
    forget(h);
    free(h->path);
    free(h);
}

static int compare(const void *a, const void *b)
{
    const struct host *x = a, *y = b;
    int names = strcasecmp(x->name, y->name);
    return names ? names : (x->line > y->line) - (x->line < y->line);
}

static int address_family(const char *text)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, text, bytes) == 1)
        return AF_INET;
    return inet_pton(AF_INET6, text, bytes) == 1 ? AF_INET6 : AF_UNSPEC;
}

static void add_line(struct hosts *h, char *line, uint32_t number)
{
    static const char blanks[] = " \t\r\n";
    char *end = strchr(line, '#');
    if (end)
        *end = '\0';
    char *rest = NULL;
    char *address = strtok_r(line, blanks, &rest);
    int family = address ? address_family(address) : AF_UNSPEC;
    if (family == AF_UNSPEC)
        return;
    for (char *name; (name = strtok_r(NULL, blanks, &rest)) && h->count < HOSTS_MAX_ENTRIES;) {
        if ((h->count & (h->count - 1)) == 0)
            h->entries = mem_resize(h->entries, h->count ? 2 * h->count : 1, sizeof(*h->entries));
        struct host *e = &h->entries[h->count++];
        *e = (struct host){.name = mem_dup_cstr(name), .line = number, .family = family};
        memcpy(e->address, address, strlen(address) + 1);
    }
}

static void read_file(struct hosts *h)
{
    forget(h);
    FILE *f = fopen(h->path, "re");
    if (!f)
        return;
    char *line = NULL;
    size_t size = 0;
    for (uint32_t number = 0; getline(&line, &size, f) >= 0; number++)
        add_line(h, line, number);
    free(line);
    (void)fclose(f);
    if (h->count)
        qsort(h->entries, h->count, sizeof(*h->entries), compare);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void keep_current(struct hosts *h, uint64_t now_us)
{
    if (h->checked_us && now_us - h->checked_us < HOSTS_CHECK_US)
        return;
    bool first = h->checked_us == 0;
    h->checked_us = now_us ? now_us : 1;
    struct stat now;
    memset(&now, 0, sizeof(now));
    (void)stat(h->path, &now);
    if (!first && same_file(&now, &h->seen))
        return;
    h->seen = now;
    read_file(h);
}

static int compare_name(struct str name, const char *entry)
{
    int order = strncasecmp(name.p, entry, name.n);
    return order ? order : -(entry[name.n] != '\0');
}

const char *hosts_address(struct hosts *h, struct str name, int family, uint64_t now_us)
{
    keep_current(h, now_us);
    if (name.n && name.p[name.n - 1] == '.') // the absolute form of the same name
        name.n--;
    if (!name.n)
        return NULL;
    size_t low = 0, high = h->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_name(name, h->entries[middle].name) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < h->count && compare_name(name, h->entries[low].name) == 0; low++)
        if (h->entries[low].family == family)
            return h->entries[low].address;
    return NULL;
}
