// See agent.h. Refuses to decide: when to send and what an answer means is the engine's.
#include "services/registrant/sip/agent_private.h"

#include "common/base/mem.h"
#include "common/sip/uri.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// Timer K: a response repeated later than this is a stray one. Each finished transaction costs 9 kB until
// then, so sofia's 5 s would be gigabytes.
#define TIMER_K_MS       50
#define SOCKET_BYTES     (8u << 20)
#define STREAM_QUEUE     1000 // messages that wait for one connection; the most that sofia takes
#define MAX_MESSAGE      65535
#define MESSAGE_HEAP     3072       // beside each message, so that reading its headers is one allocation
#define ACCEPT_ANY_ERROR (1u << 30) // a bit that no header has: a bad header alone does not discard an answer

static void discard_log(void *stream, char const *fmt, va_list ap)
{
    (void)stream, (void)fmt, (void)ap;
}

static void library_start(void)
{
    (void)su_init();
    // Libraries do not log; what matters comes back as an answer.
    su_log_redirect(su_log_default, discard_log, NULL);
    su_log_redirect(su_log_global, discard_log, NULL);
}

// ---- transports

static int parse_listen(const char *listen, struct sip_uri *ret, struct error *err)
{
    if (!listen || !*listen)
        return error_set(err, -EINVAL, "listen address is empty");
    int rc = sip_hostport_parse(str_of(listen), ret, err);
    return rc ? error_prefix(err, "listen address \"%s\"", listen) : 0;
}

static int add_transports(struct agent *a, const char *listen, struct error *err)
{
    struct sip_uri at;
    int rc = parse_listen(listen, &at, err);
    if (rc)
        return rc;
    a->family = at.ipv6 ? AF_INET6 : AF_INET;
    cleanup(buf_done) struct buf uri = BUF_INIT;
    buf_addf(&uri, at.ipv6 ? "sip:[" STR_FMT "]:" : "sip:" STR_FMT ":", STR_ARG(at.host));
    buf_addf(&uri, at.port ? "%u" : "*", (unsigned)at.port);
    // No transport parameter means UDP and TCP on one port. A list of them would be read after its scope
    // ended.
    // A registrar that closes a connection ends what waits on it at once; NTA's own default is silence until
    // timer F. Its STUN server would write to stderr what strangers send.
    if (nta_agent_add_tport(a->nta, (url_string_t *)uri.p, TPTAG_UDP_RMEM(SOCKET_BYTES),
                            TPTAG_UDP_WMEM(SOCKET_BYTES), TPTAG_QUEUESIZE(STREAM_QUEUE), TPTAG_SDWN_ERROR(1),
                            TPTAG_STUN_SERVER(0), TAG_END()) < 0)
        return error_set(err, errno ? -errno : -EADDRNOTAVAIL, "cannot listen on %s: %s", listen,
                         strerror(errno));
    return 0;
}

static char *address_of(const tp_name_t *name)
{
    struct buf b = BUF_INIT;
    buf_addf(&b, "%s:%s:%s", name->tpn_proto, name->tpn_canon, name->tpn_port);
    return buf_steal(&b);
}

static int note_transports(struct agent *a, struct error *err)
{
    for (tport_t *tp = tport_primaries(nta_agent_tports(a->nta)); tp; tp = tport_next(tp)) {
        const tp_name_t *name = tport_name(tp);
        char **kept = strcasecmp(name->tpn_proto, "udp") == 0   ? &a->udp
                      : strcasecmp(name->tpn_proto, "tcp") == 0 ? &a->tcp
                                                                : NULL;
        if (kept && !*kept)
            *kept = address_of(name);
    }
    if (!a->udp || !a->tcp)
        return error_set(err, -EPROTONOSUPPORT, "the SIP stack opened no %s socket", a->udp ? "TCP" : "UDP");
    return 0;
}

struct str agent_hostport(const struct agent *a, enum registration_transport transport, struct str interface)
{
    static const size_t prefix = sizeof("udp:") - 1;
    if (interface.n)
        return STR_NONE;
    switch (transport) {
    case TRANSPORT_UDP:
        return str_of(a->udp + prefix);
    case TRANSPORT_TCP:
        return str_of(a->tcp + prefix);
    case TRANSPORT_TLS:
    case TRANSPORT_WS:
        break;
    }
    return STR_NONE;
}

// ---- life

static int open_stack(struct agent *a, const struct agent_params *p, struct error *err)
{
    uint32_t timeout_ms = (p->transaction_timeout_s ? p->transaction_timeout_s : 32) * 1000;
    a->root = su_root_create(a);
    if (!a->root)
        return error_set(err, -ENOMEM, "cannot create the SIP stack's event loop");
    (void)su_root_threading(a->root, 0);
    a->nta = nta_agent_create(a->root, (url_string_t *)-1, incoming_message, a, NTATAG_UA(0),
                              NTATAG_CLIENT_RPORT(1), NTATAG_TCP_RPORT(1), NTATAG_SERVER_RPORT(1),
                              NTATAG_SIP_T4(TIMER_K_MS), NTATAG_SIP_T1X64(timeout_ms), NTATAG_TIMEOUT_408(1),
                              NTATAG_PRELOAD(MESSAGE_HEAP), NTATAG_MAXSIZE(MAX_MESSAGE),
                              NTATAG_BAD_RESP_MASK(ACCEPT_ANY_ERROR), NTATAG_SIPFLAGS(MSG_DO_EXTRACT_COPY),
                              TAG_IF(p->resolv_conf, SRESTAG_RESOLV_CONF(p->resolv_conf)), TAG_END());
    if (!a->nta)
        return error_set(err, -ENOMEM, "cannot create the SIP transaction layer");
    int rc = add_transports(a, p->listen, err);
    return rc ? rc : note_transports(a, err);
}

int agent_new(const struct agent_params *p, struct agent **ret, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, library_start);
    struct agent *a = mem_alloc(sizeof(*a));
    a->answered = p->answered;
    a->arg = p->arg;
    a->user_agent = mem_dup_cstr(p->user_agent);
    a->hosts = hosts_new(p->hosts_file ? p->hosts_file : "/etc/hosts");
    LIST_INIT(&a->under_way);
    STAILQ_INIT(&a->finished);
    int rc = open_stack(a, p, err);
    if (rc) {
        agent_free(a);
        return rc;
    }
    *ret = a;
    return 0;
}

void agent_free(struct agent *a)
{
    if (!a)
        return;
    transactions_drop_all(a);
    if (a->root)
        for (size_t i = 0; i < a->watch_count; i++)
            (void)su_root_deregister(a->root, a->watches[i].index);
    if (a->nta)
        nta_agent_destroy(a->nta);
    if (a->root)
        su_root_destroy(a->root);
    hosts_free(a->hosts);
    buf_done(&a->text);
    buf_done(&a->route);
    free(a->user_agent);
    free(a->udp);
    free(a->tcp);
    free(a);
}

// ---- loop

static int on_readable(struct agent *a, su_wait_t *wait, struct agent_watch *watch)
{
    (void)wait;
    a->active = true;
    watch->fn(watch->arg);
    return 0;
}

int agent_watch(struct agent *a, int fd, void (*fn)(void *arg), void *arg)
{
    if (a->watch_count == AGENT_MAX_WATCHES)
        return -ENOSPC;
    struct agent_watch *w = &a->watches[a->watch_count];
    *w = (struct agent_watch){.agent = a, .fd = fd, .fn = fn, .arg = arg, .wait = {SU_WAIT_INIT}};
    if (su_wait_create(w->wait, fd, SU_WAIT_IN) < 0)
        return -EINVAL;
    w->index = su_root_register(a->root, w->wait, on_readable, w, 0);
    if (w->index < 0)
        return -EINVAL;
    a->watch_count++;
    return 0;
}

// sofia cuts the time to its next timer down to whole milliseconds and would spin through the last one.
static void nap(struct agent *a)
{
    struct pollfd fds[AGENT_MAX_WATCHES];
    for (size_t i = 0; i < a->watch_count; i++)
        fds[i] = (struct pollfd){.fd = a->watches[i].fd, .events = POLLIN};
    (void)poll(fds, a->watch_count, 1);
}

void agent_step(struct agent *a, uint32_t max_wait_ms)
{
    a->active = false;
    su_duration_t next_ms = su_root_step(a->root, max_wait_ms);
    transactions_deliver_finished(a);
    a->barren = a->active || next_ms != 0 ? 0 : a->barren + 1;
    if (a->barren >= 2)
        nap(a);
}
