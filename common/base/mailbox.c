// See mailbox.h.
#include "common/base/mailbox.h"

#include "common/base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
    pthread_mutex_t lock;
    int fd;
    size_t head;
    size_t count;
    size_t capacity;
    void *items[];
};

struct mailbox *mailbox_new(size_t capacity_count)
{
    struct mailbox *m = mem_alloc(sizeof(*m) + capacity_count * sizeof(m->items[0]));
    m->capacity = capacity_count;
    m->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (m->fd < 0 || pthread_mutex_init(&m->lock, NULL) != 0)
        abort();
    return m;
}

void mailbox_free(struct mailbox *m)
{
    if (!m)
        return;
    (void)close(m->fd);
    (void)pthread_mutex_destroy(&m->lock);
    free(m);
}

int mailbox_push(struct mailbox *m, void *take_item)
{
    (void)pthread_mutex_lock(&m->lock);
    if (m->count == m->capacity) {
        (void)pthread_mutex_unlock(&m->lock);
        return -EAGAIN;
    }
    bool was_empty = m->count == 0;
    m->items[(m->head + m->count) % m->capacity] = take_item;
    m->count++;
    (void)pthread_mutex_unlock(&m->lock);
    if (was_empty) {
        uint64_t one = 1;
        (void)!write(m->fd, &one, sizeof(one));
    }
    return 0;
}

int mailbox_fd(const struct mailbox *m)
{
    return m->fd;
}

size_t mailbox_pop(struct mailbox *m, void **ret_items, size_t max)
{
    (void)pthread_mutex_lock(&m->lock);
    size_t taken = 0;
    while (taken < max && m->count) {
        ret_items[taken++] = m->items[m->head];
        m->head = (m->head + 1) % m->capacity;
        m->count--;
    }
    if (taken == 0) {
        uint64_t value;
        (void)!read(m->fd, &value, sizeof(value));
    }
    (void)pthread_mutex_unlock(&m->lock);
    return taken;
}
