/* SPDX-License-Identifier: MIT
 *
 * See ways.h: a batch of keys that lie all over a cluster. An operation is a batch.
 *
 * The floor knows which node has which keys, has the commands ready, and only counts the bytes that
 * come back: three sends, and one epoll for what the nodes answer, in one thread.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/l2/ways.h"
#include "strata/cache.h"
#include "support/redis_cluster.h"

#define KEYS        100u
#define KEY_CAP     16u
#define NODES       3u
#define REPLY_BYTES (VALUE_BYTES + 8u)      /* "$100", the value, and two line ends */
#define WIRE_CAP    (KEYS * (KEY_CAP + 32)) /* of all GETs to one node */

struct raw_node {
    int fd;
    char wire[WIRE_CAP];
    size_t wire_len;
    size_t reply_len;
};

struct cluster_bench {
    struct redis_cluster *cluster;
    struct strata *cache; /* without L1 */
    int epoll;
    struct raw_node nodes[NODES];
    char names[KEYS][KEY_CAP];
    struct strata_bytes keys[KEYS];
};

/* ---- opening ---- */

static int raw_connect(int port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static int bench_connect(struct cluster_bench *bench)
{
    bench->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < NODES; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        bench->nodes[i].fd = raw_connect(redis_cluster_port(bench->cluster, i));
        if (bench->nodes[i].fd < 0 ||
            epoll_ctl(bench->epoll, EPOLL_CTL_ADD, bench->nodes[i].fd, &event) != 0)
            return -1;
    }
    return 0;
}

static int bench_store(struct cluster_bench *bench)
{
    char value[VALUE_BYTES + 1];
    memset(value, 'v', VALUE_BYTES);
    value[VALUE_BYTES] = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        int len = snprintf(bench->names[i], KEY_CAP, "key:%u", i);
        bench->keys[i] = strata_bytes(bench->names[i], (size_t)len);
        int owner = redis_cluster_primary(bench->cluster,
                                          redis_cluster_slot(bench->cluster, bench->names[i]));
        if (owner < 0 || owner >= (int)NODES ||
            redis_cluster_tell(bench->cluster, (unsigned)owner, "SET %s %s", bench->names[i],
                               value) != 0)
            return -1;
        struct raw_node *node = &bench->nodes[owner];
        len = snprintf(node->wire + node->wire_len, WIRE_CAP - node->wire_len,
                       "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", len, bench->names[i]);
        node->wire_len += (size_t)len;
        node->reply_len += REPLY_BYTES;
    }
    return 0;
}

static int bench_open_cache(struct cluster_bench *bench)
{
    const char *const seeds[] = {redis_cluster_address(bench->cluster, 0)};
    const struct strata_options options = {.l1_enabled = STRATA_OFF,
                                           .l2_key_prefix = "",
                                           .cluster_enabled = STRATA_ON,
                                           .cluster_nodes = seeds,
                                           .cluster_node_count = 1};
    return strata_open(&bench->cache, &options, NULL) < 0 ? -1 : 0;
}

/* On first use: other figures need no cluster. */
static struct cluster_bench *bench_of(struct rig *rig)
{
    if (rig->clustered != NULL)
        return rig->clustered;
    struct cluster_bench *bench = calloc(1, sizeof *bench);
    if (bench == NULL)
        return NULL;
    rig->clustered = bench;
    return redis_cluster_start(&bench->cluster, NULL) == 0 && bench_connect(bench) == 0 &&
                   bench_store(bench) == 0 && bench_open_cache(bench) == 0
               ? bench
               : NULL;
}

void cluster_bench_close(struct cluster_bench *bench)
{
    if (bench == NULL)
        return;
    strata_close(&bench->cache);
    redis_cluster_stop(&bench->cluster);
    free(bench); /* the sockets end with the program */
}

pid_t cluster_bench_pid(const struct cluster_bench *bench, unsigned node)
{
    return bench != NULL && node < NODES ? redis_cluster_pid(bench->cluster, node) : 0;
}

/* ---- asking ---- */

static int raw_send(const struct raw_node *node)
{
    return send(node->fd, node->wire, node->wire_len, MSG_NOSIGNAL) == (ssize_t)node->wire_len ? 0
                                                                                               : -1;
}

int way_cluster_floor(struct rig *rig, unsigned ops)
{
    struct cluster_bench *bench = bench_of(rig);
    char area[65536];
    for (unsigned op = 0; bench != NULL && op < ops; op++) {
        size_t left = (size_t)KEYS * REPLY_BYTES;
        for (unsigned i = 0; i < NODES; i++)
            if (raw_send(&bench->nodes[i]) != 0)
                return -1;
        while (left > 0) {
            struct epoll_event events[NODES];
            int ready = epoll_wait(bench->epoll, events, NODES, -1);
            for (int i = 0; i < ready; i++) {
                ssize_t got = recv(bench->nodes[events[i].data.u32].fd, area, sizeof area, 0);
                if (got <= 0 || (size_t)got > left)
                    return -1;
                left -= (size_t)got;
            }
        }
    }
    return bench != NULL ? 0 : -1;
}

int way_cluster_node(struct rig *rig, unsigned ops)
{
    struct cluster_bench *bench = bench_of(rig);
    char area[65536];
    if (bench == NULL)
        return -1;
    const struct raw_node *most = &bench->nodes[0];
    for (unsigned i = 1; i < NODES; i++)
        if (bench->nodes[i].reply_len > most->reply_len)
            most = &bench->nodes[i];
    for (unsigned op = 0; op < ops; op++) {
        size_t left = most->reply_len;
        if (raw_send(most) != 0)
            return -1;
        while (left > 0) {
            ssize_t got = recv(most->fd, area, sizeof area, 0);
            if (got <= 0 || (size_t)got > left)
                return -1;
            left -= (size_t)got;
        }
    }
    return 0;
}

int way_cluster_strata(struct rig *rig, unsigned ops)
{
    struct cluster_bench *bench = bench_of(rig);
    struct strata_value values[KEYS];
    int statuses[KEYS];
    for (unsigned op = 0; bench != NULL && op < ops; op++) {
        if (strata_get_many(bench->cache, bench->keys, KEYS, values, statuses) != STRATA_OK)
            return -1;
        for (unsigned i = 0; i < KEYS; i++) {
            if (values[i].bytes.len != VALUE_BYTES)
                return -1;
            strata_release(&values[i]);
        }
    }
    return bench != NULL ? 0 : -1;
}
