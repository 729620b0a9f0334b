// The mock cluster of librdkafka as one broker on a port of our choice.
#ifndef ROLLCALL_BROKER_CLUSTER_H
#define ROLLCALL_BROKER_CLUSTER_H

#include "common/base/error.h"
#include "common/base/str.h"

struct cluster;

// port 0: the kernel's choice. topics: "name:partitions,…". 0, -EINVAL (topics), -EADDRINUSE, -EACCES or
// -EIO.
must_use int cluster_new(uint16_t port, struct str topics, struct cluster **ret, struct error *err);
void cluster_free(struct cluster *c);

const char *cluster_bootstrap(const struct cluster *c); // "127.0.0.1:port", as long as the cluster lives

// Writes the bootstrap string to a file that is either whole or not there. 0 or a negative errno.
must_use int cluster_tell(const struct cluster *c, const char *path, struct error *err);

#endif
