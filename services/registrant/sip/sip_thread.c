// See sip_thread.h. The thread around a driver: its start, its end, its queues and what others may read of
// it.
#include "services/registrant/sip/sip_thread.h"

#include "services/registrant/sip/board.h"
#include "services/registrant/sip/driver.h"
#include "services/registrant/sip/outbox.h"

#include "common/base/mailbox.h"
#include "common/base/mem.h"
#include "common/sip/uri.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_QUEUE 4096

struct sip_thread {
    pthread_t thread;
    struct sip_thread_params params; // its texts are ours
    struct mailbox *inbox;
    struct outbox *outbox;
    _Atomic bool quit; // joined without SIP_STOP

    // The thread's answer to sip_thread_start.
    sem_t started;
    int start_rc;
    struct error start_error;
    char *listens_on;

    pthread_mutex_t stats_lock;
    struct engine_stats stats;
    struct sip_stats sip_stats;
    size_t engine_bytes;
    struct board *board;
};

// ---- the thread

// of_engine: it was called since the last time.
static void copy_stats(struct sip_thread *t, const struct driver *d, bool of_engine)
{
    struct sip_stats sip_stats = driver_sip_stats(d);
    (void)pthread_mutex_lock(&t->stats_lock);
    t->sip_stats = sip_stats;
    if (of_engine) {
        t->stats = driver_stats(d);
        t->engine_bytes = driver_engine_bytes(d);
    }
    (void)pthread_mutex_unlock(&t->stats_lock);
}

static void loop(struct sip_thread *t, struct driver *d)
{
    int touched = 1;
    while (touched >= 0 && !atomic_load_explicit(&t->quit, memory_order_relaxed)) {
        copy_stats(t, d, touched);
        board_update(t->board, driver_engine(d));
        touched = driver_turn(d);
    }
    copy_stats(t, d, true);
}

static void *run(void *arg)
{
    struct sip_thread *t = arg;
    struct driver_params p = {.thread = t->params, .inbox = t->inbox, .outbox = t->outbox};
    struct driver *d = NULL;
    int rc = driver_new(&p, &d, &t->start_error);
    if (rc == 0)
        t->listens_on = str_dup(driver_listens_on(d));
    t->start_rc = rc;
    (void)sem_post(&t->started);
    if (rc == 0)
        loop(t, d);
    driver_free(d);
    return NULL;
}

// ---- life

// The texts of the parameters, which it keeps copies of.
static const size_t text_offsets[] = {
    offsetof(struct sip_thread_params, listen),
    offsetof(struct sip_thread_params, interfaces),
    offsetof(struct sip_thread_params, tls.ca_file),
    offsetof(struct sip_thread_params, tls.certificate_file),
    offsetof(struct sip_thread_params, tls.key_file),
    offsetof(struct sip_thread_params, tls.min_version),
    offsetof(struct sip_thread_params, rules_file),
    offsetof(struct sip_thread_params, resolv_conf),
    offsetof(struct sip_thread_params, hosts_file),
    offsetof(struct sip_thread_params, policy.node),
    offsetof(struct sip_thread_params, policy.user_agent),
};

static char **text_at(struct sip_thread *t, size_t offset)
{
    return (char **)(void *)((char *)&t->params + offset);
}

static void thread_free(struct sip_thread *t)
{
    mailbox_free(t->inbox);
    board_free(t->board);
    outbox_free(t->outbox);
    (void)sem_destroy(&t->started);
    (void)pthread_mutex_destroy(&t->stats_lock);
    for (size_t i = 0; i < ARRAY_LEN(text_offsets); i++)
        free(*text_at(t, text_offsets[i]));
    free(t->listens_on);
    free(t);
}

static struct sip_thread *thread_new(const struct sip_thread_params *p)
{
    struct sip_thread *t = mem_alloc(sizeof(*t));
    size_t queue = p->max_queue ? p->max_queue : DEFAULT_QUEUE;
    t->params = *p;
    for (size_t i = 0; i < ARRAY_LEN(text_offsets); i++) {
        char **text = text_at(t, text_offsets[i]);
        *text = mem_dup_cstr(*text);
    }
    t->inbox = mailbox_new(queue);
    t->board = board_new();
    t->outbox = outbox_new(queue);
    if (sem_init(&t->started, 0, 0) != 0 || pthread_mutex_init(&t->stats_lock, NULL) != 0)
        abort();
    return t;
}

// Port 0 is how a socket asks for any; in a SIP URI there is no such port.
static struct str without_port_0(struct str listen)
{
    bool bare_ipv6 = str_find(listen, ':', 0) + 2 < listen.n && !str_has_char(listen, ']');
    bool zero = listen.n > 2 && str_eq(str_slice(listen, listen.n - 2, listen.n), STR_LIT(":0"));
    return zero && !bare_ipv6 ? str_slice(listen, 0, listen.n - 2) : listen;
}

// "host[:port]" with this thread's own port: a fixed one is the first thread's.
static int add_own(struct buf *out, struct str given, unsigned index, struct error *err)
{
    struct sip_uri at;
    int rc = sip_hostport_parse(without_port_0(given), &at, err);
    if (rc)
        return error_prefix(err, "listen address \"" STR_FMT "\"", STR_ARG(given));
    unsigned port = at.port ? at.port + index : 0;
    if (port > UINT16_MAX)
        return error_set(err, -ERANGE, "listen address \"" STR_FMT "\": no port for thread %u",
                         STR_ARG(given), index);
    buf_addf(out, at.ipv6 ? "[" STR_FMT "]" : STR_FMT, STR_ARG(at.host));
    if (port)
        buf_addf(out, ":%u", port);
    return 0;
}

// Rewrites a list of "host[:port]", or of "name=host[:port]".
static int own_addresses(const char **list, bool named, unsigned index, struct error *err)
{
    struct buf own = BUF_INIT;
    struct str rest = str_of(*list), one;
    int rc = 0;
    while (rc == 0 && str_split(&rest, ',', &one)) {
        one = str_trim(one);
        size_t equals = named ? str_find(one, '=', 0) : 0;
        if (named && (!equals || equals == one.n))
            rc = error_set(err, -EINVAL, "interface \"" STR_FMT "\" is not name=host[:port]", STR_ARG(one));
        if (own.n)
            buf_add_char(&own, ',');
        if (named)
            buf_add_str(&own, str_slice(one, 0, equals + 1));
        if (rc == 0)
            rc = add_own(&own, str_slice(one, named ? equals + 1 : 0, one.n), index, err);
    }
    free((void *)(uintptr_t)*list);
    *list = buf_steal(&own);
    return rc;
}

static int own_sockets(struct sip_thread *t, struct error *err)
{
    struct sip_thread_params *p = &t->params;
    if (!p->listen || !*p->listen)
        return error_set(err, -EINVAL, "the listen address is empty");
    int rc = own_addresses(&p->listen, false, p->index, err);
    return rc || !p->interfaces ? rc : own_addresses(&p->interfaces, true, p->index, err);
}

// Signals are the main thread's.
static int create_thread(struct sip_thread *t, struct error *err)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&t->thread, NULL, run, t);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc)
        return error_set(err, -rc, "cannot start a SIP thread: %s", strerror(rc));
    while (sem_wait(&t->started) != 0 && errno == EINTR)
        ;
    if (t->start_rc == 0)
        return 0;
    (void)pthread_join(t->thread, NULL);
    return error_set(err, t->start_rc, "%s", t->start_error.text);
}

int sip_thread_start(const struct sip_thread_params *p, struct sip_thread **ret, struct error *err)
{
    struct sip_thread *t = thread_new(p);
    int rc = own_sockets(t, err);
    if (rc == 0)
        rc = create_thread(t, err);
    if (rc) {
        thread_free(t);
        return rc;
    }
    *ret = t;
    return 0;
}

void sip_thread_join(struct sip_thread *t)
{
    if (!t)
        return;
    atomic_store_explicit(&t->quit, true, memory_order_relaxed);
    struct sip_command *waker = sip_command_new(SIP_CREDIT, 0);
    if (mailbox_push(t->inbox, waker) != 0)
        sip_command_free(waker); // it has enough to wake it
    (void)pthread_join(t->thread, NULL);
    void *item;
    while (mailbox_pop(t->inbox, &item, 1))
        sip_command_free(item);
    thread_free(t);
}

// ---- the main thread's side

int sip_thread_post(struct sip_thread *t, struct sip_command *take)
{
    return mailbox_push(t->inbox, take);
}

int sip_thread_fd(const struct sip_thread *t)
{
    return outbox_fd(t->outbox);
}

size_t sip_thread_notices(struct sip_thread *t, struct sip_notice **ret, size_t max)
{
    return outbox_take(t->outbox, ret, max);
}

size_t sip_thread_registrars(const struct sip_thread *t, struct registrar_view *ret, size_t max,
                             struct registrar_view *ret_rest)
{
    return board_read(t->board, ret, max, ret_rest);
}

struct engine_stats sip_thread_stats(const struct sip_thread *t)
{
    struct sip_thread *unlocked = (struct sip_thread *)(uintptr_t)t; // the lock is no part of its value
    (void)pthread_mutex_lock(&unlocked->stats_lock);
    struct engine_stats stats = t->stats;
    (void)pthread_mutex_unlock(&unlocked->stats_lock);
    return stats;
}

size_t sip_thread_engine_bytes(const struct sip_thread *t)
{
    struct sip_thread *unlocked = (struct sip_thread *)(uintptr_t)t;
    (void)pthread_mutex_lock(&unlocked->stats_lock);
    size_t bytes = t->engine_bytes;
    (void)pthread_mutex_unlock(&unlocked->stats_lock);
    return bytes;
}

struct sip_stats sip_thread_sip_stats(const struct sip_thread *t)
{
    struct sip_thread *unlocked = (struct sip_thread *)(uintptr_t)t;
    (void)pthread_mutex_lock(&unlocked->stats_lock);
    struct sip_stats stats = t->sip_stats;
    (void)pthread_mutex_unlock(&unlocked->stats_lock);
    return stats;
}

const char *sip_thread_listens_on(const struct sip_thread *t)
{
    return t->listens_on;
}
