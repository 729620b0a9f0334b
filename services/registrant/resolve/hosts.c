// See hosts.h. Refuses to be a resolver: no aliases of aliases, no search domains.
#include "services/registrant/resolve/hosts.h"

#include "common/base/mem.h"
#include "services/registrant/resolve/file_seen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HOSTS_MAX_ENTRIES 100000u

struct host {
    char *name;
    uint32_t line; // the file's order decides among addresses of one name
    struct address address;
};

struct hosts {
    char *path;
    struct stat seen;
    struct host *entries; // sorted by name without case, then by line
    size_t count;
};

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

static void add_line(struct hosts *h, char *line, uint32_t number)
{
    static const char blanks[] = " \t\r\n";
    char *end = strchr(line, '#');
    if (end)
        *end = '\0';
    char *rest = NULL;
    char *address = strtok_r(line, blanks, &rest);
    struct address parsed;
    if (!address || !address_parse(str_of(address), 0, &parsed))
        return;
    for (char *name; (name = strtok_r(NULL, blanks, &rest)) && h->count < HOSTS_MAX_ENTRIES;) {
        if ((h->count & (h->count - 1)) == 0)
            h->entries = mem_resize(h->entries, h->count ? 2 * h->count : 1, sizeof(*h->entries));
        struct host *e = &h->entries[h->count++];
        *e = (struct host){.name = mem_dup_cstr(name), .line = number, .address = parsed};
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

bool hosts_refresh(struct hosts *h)
{
    if (!file_seen_changed(&h->seen, h->path))
        return false;
    read_file(h);
    return true;
}

struct hosts *hosts_new(const char *path)
{
    struct hosts *h = mem_alloc(sizeof(*h));
    h->path = mem_dup_cstr(path);
    (void)hosts_refresh(h);
    return h;
}

static int compare_name(struct str name, const char *entry)
{
    int order = strncasecmp(name.p, entry, name.n);
    return order ? order : -(entry[name.n] != '\0');
}

size_t hosts_find(const struct hosts *h, struct str name, struct address *ret, size_t max)
{
    size_t low = 0, high = h->count, n = 0;
    if (!name.n || str_has_char(name, '\0')) // a name in the file ends there
        return 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_name(name, h->entries[middle].name) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < h->count && n < max && compare_name(name, h->entries[low].name) == 0; low++)
        ret[n++] = h->entries[low].address;
    return n;
}
