// See cluster.h.
#include "services/broker/cluster.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "services/broker/port.h"

#include <errno.h>
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
// needs rdkafka.h before it
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PARTITIONS_MAX = 1000, TOPIC_NAME_MAX = 249 };

struct cluster {
    rd_kafka_t *host; // the mock cluster lives in a client handle; it connects to nothing
    rd_kafka_mock_cluster_t *mock;
};

// ---- topics

static bool is_topic_name(struct str name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    for (size_t i = 0; i < name.n; i++)
        if (!memchr(allowed, name.p[i], sizeof(allowed) - 1))
            return false;
    return name.n > 0 && name.n <= TOPIC_NAME_MAX && !str_eq_cstr(name, ".") && !str_eq_cstr(name, "..");
}

static int create_topic(struct cluster *c, struct str item, struct error *err)
{
    size_t colon = str_find(item, ':', 0);
    struct str name = str_slice(item, 0, colon);
    uint64_t partitions;
    if (!is_topic_name(name))
        return error_set(err, -EINVAL, "ROLLCALL_BROKER_TOPICS: \"" STR_FMT "\" is no topic name",
                         STR_ARG(name));
    if (str_to_u64(str_slice(item, colon + 1, item.n), &partitions) < 0 || partitions == 0 ||
        partitions > PARTITIONS_MAX)
        return error_set(err, -EINVAL,
                         "ROLLCALL_BROKER_TOPICS: " STR_FMT " needs a count of partitions from 1 to %d",
                         STR_ARG(name), PARTITIONS_MAX);
    cleanup(mem_free_cstr) char *text = str_dup(name);
    rd_kafka_resp_err_t e = rd_kafka_mock_topic_create(c->mock, text, (int)partitions, 1);
    if (e)
        return error_set(err, -EINVAL, "ROLLCALL_BROKER_TOPICS: %s: %s", text, rd_kafka_err2str(e));
    return 0;
}

static int create_topics(struct cluster *c, struct str topics, struct error *err)
{
    struct str item;
    while (str_split(&topics, ',', &item)) {
        int rc = create_topic(c, str_trim(item), err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

// ---- life

static void drop_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk, (void)level, (void)facility, (void)text;
}

static int start(struct cluster *c, uint16_t port, struct error *err)
{
    char text[256];
    int rc = port_check(port);
    if (rc < 0)
        return error_set(err, rc, "cannot listen on 127.0.0.1 port %u: %s", port, strerror(-rc));
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, drop_log);
    c->host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!c->host) {
        rd_kafka_conf_destroy(conf);
        return error_set(err, -EIO, "librdkafka: %s", text);
    }
    port_fix(port);
    c->mock = rd_kafka_mock_cluster_new(c->host, 1);
    port_fix(0);
    if (!c->mock)
        return error_set(err, -EIO, "librdkafka cannot start its mock cluster on 127.0.0.1 port %u", port);
    return 0;
}

int cluster_new(uint16_t port, struct str topics, struct cluster **ret, struct error *err)
{
    struct cluster *c = mem_alloc(sizeof(*c));
    int rc = start(c, port, err);
    if (rc == 0)
        rc = create_topics(c, topics, err);
    if (rc < 0)
        cluster_free(c);
    else
        *ret = c;
    return rc;
}

void cluster_free(struct cluster *c)
{
    if (c->mock)
        rd_kafka_mock_cluster_destroy(c->mock);
    if (c->host)
        rd_kafka_destroy(c->host);
    free(c);
}

const char *cluster_bootstrap(const struct cluster *c)
{
    return rd_kafka_mock_cluster_bootstraps(c->mock);
}

// ---- the ready file

static int write_whole(int fd, const char *text)
{
    size_t n = strlen(text);
    return write(fd, text, n) == (ssize_t)n && write(fd, "\n", 1) == 1 ? 0 : -(errno ? errno : EIO);
}

int cluster_tell(const struct cluster *c, const char *path, struct error *err)
{
    cleanup(buf_done) struct buf next = BUF_INIT;
    buf_addf(&next, "%s.%ld", path, (long)getpid());
    int fd = open(next.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int rc = fd < 0 ? -errno : write_whole(fd, cluster_bootstrap(c));
    if (fd >= 0)
        (void)close(fd);
    if (rc == 0 && rename(next.p, path) < 0)
        rc = -errno;
    if (rc == 0)
        return 0;
    (void)unlink(next.p);
    return error_set(err, rc, "cannot write %s: %s", path, strerror(-rc));
}
