// rollcall-broker: a Kafka broker in one process for the quick start and for tests, on the mock cluster of
// librdkafka. It keeps everything in memory, at most 5 MiB a partition, and listens on 127.0.0.1 only: it
// refuses to be a Kafka for production.
#include "services/broker/cluster.h"

#include "common/config/settings.h"
#include "common/log/log.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

struct broker_settings {
    int64_t port;
    char *topics;
    char *ready_file;
};

static const struct setting table[] = {
    {.name = "ROLLCALL_BROKER_LISTEN",
     .type = SETTING_INT,
     .fallback = "9092",
     .help = "Port on 127.0.0.1; 0 takes a free one.",
     .offset = offsetof(struct broker_settings, port),
     .min = 0,
     .max = 65535},
    {.name = "ROLLCALL_BROKER_TOPICS",
     .type = SETTING_STRING,
     .unit = "name:partitions,…",
     .help = "Topics that exist from the start; any other one is made with 4 partitions when it is first "
             "asked for.",
     .offset = offsetof(struct broker_settings, topics)},
    {.name = "ROLLCALL_BROKER_READY_FILE",
     .type = SETTING_STRING,
     .unit = "path",
     .help = "File into which host:port is written once clients can connect.",
     .offset = offsetof(struct broker_settings, ready_file)},
};

// Blocked before any thread starts, so that only sigwait takes them.
static void block_signals(sigset_t *ret_signals)
{
    (void)sigemptyset(ret_signals);
    (void)sigaddset(ret_signals, SIGTERM);
    (void)sigaddset(ret_signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, ret_signals, NULL);
}

static int run(const struct broker_settings *s, const sigset_t *signals)
{
    struct error err;
    struct cluster *cluster;
    int sig;
    if (s->ready_file)
        (void)unlink(s->ready_file); // of a broker that was killed
    if (cluster_new((uint16_t)s->port, str_of(s->topics), &cluster, &err) < 0) {
        log_line(LOG_ERROR, "broker", 0, "%s", err.text);
        return 1;
    }
    log_line(LOG_WARNING, "broker", 0,
             "keeps records in memory only and loses them when it stops: not for production");
    if (s->ready_file && cluster_tell(cluster, s->ready_file, &err) < 0) {
        log_line(LOG_ERROR, "broker", 0, "%s", err.text);
        cluster_free(cluster);
        return 1;
    }
    log_line(LOG_INFO, "broker", 0, "ready at %s", cluster_bootstrap(cluster));
    (void)sigwait(signals, &sig);
    log_line(LOG_INFO, "broker", 0, "stopping");
    if (s->ready_file)
        (void)unlink(s->ready_file);
    cluster_free(cluster);
    return 0;
}

int main(int argc, char **argv)
{
    struct broker_settings settings = {0};
    sigset_t signals;
    int status;
    if (settings_main(table, ARRAY_LEN(table), "rollcall-broker",
                      "A stand-in for Apache Kafka, in memory, for the quick start and tests.", argc, argv,
                      &settings, &status))
        return status;
    log_setup("rollcall-broker", LOG_INFO, 0);
    block_signals(&signals);
    status = run(&settings, &signals);
    settings_done(table, ARRAY_LEN(table), &settings);
    return status;
}
