/* SPDX-License-Identifier: MIT
 *
 * What redis_cluster.c and redis_cluster_slots.c share.
 */
#ifndef TEST_REDIS_CLUSTER_INSIDE_H
#define TEST_REDIS_CLUSTER_INSIDE_H

#include "support/redis_cluster.h"
#include "support/redis_server.h"

#define NODE_ID_LEN 40

struct cluster_node {
    struct redis_server *server;
    int port;
    int bus_port;
    bool frozen;
    bool removed;
    char id[NODE_ID_LEN + 1];
    char port_text[8];
    char bus_port_text[8];
    char address[80];
};

struct redis_cluster {
    struct redis_cluster_config config; /* with its defaults filled in */
    char node_timeout_text[16];
    unsigned count;
    struct cluster_node nodes[REDIS_CLUSTER_NODES];
};

/* The number of a node by its id, -1 where it is none of ours. */
int redis_cluster_find(const struct redis_cluster *cluster, const char *id);

#endif
