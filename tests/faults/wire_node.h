// A machine of the fault suite: a network namespace of its own with one TUN device, of which the wire holds
// the other end.
#ifndef TESTS_FAULTS_WIRE_NODE_H
#define TESTS_FAULTS_WIRE_NODE_H

#include <stdint.h>

#define NODE_NAME_BYTES 32

struct node {
    char name[NODE_NAME_BYTES];
    uint32_t address; // in network order
    int tun_fd;       // non-blocking; one IP packet a read or write
    int namespace_fd; // setns(2) takes it; others reach it as /proc/<pid>/fd/<this>
};

// Whether a device other than loopback is up: this is the network of the machine then, which a wire must not
// touch, and no new namespace.
__attribute__((warn_unused_result)) int node_is_on_the_machine(void);

// Makes the node's device in a new namespace, or with `here` in that of the caller, and brings it and
// loopback up. The caller is afterwards in the namespace it was in. 0, or -1 with errno of what was refused.
__attribute__((warn_unused_result)) int node_open(struct node *node, const char *name, uint32_t address,
                                                  int here);

// Gives the node one more address (network order), or takes that one away. 0, or -1 with errno.
__attribute__((warn_unused_result)) int node_alias(const struct node *node, uint32_t address, int add);

#endif
