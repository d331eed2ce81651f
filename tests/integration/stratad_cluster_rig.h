/* SPDX-License-Identifier: MIT
 *
 * What the tests of stratad before a Redis Cluster share: daemons before the cluster of
 * cluster_rig.h, and clients that write and read through one of them at full speed while something
 * is done to the cluster, and check each answer.
 */
#ifndef TEST_STRATAD_CLUSTER_RIG_H
#define TEST_STRATAD_CLUSTER_RIG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "integration/cluster_rig.h"
#include "integration/stratad_rig.h"

/* A daemon with two workers before the rig's cluster, told of two of its nodes; `more` (may be
 * NULL) are further arguments. */
struct stratad_process *stratad_cluster_start(struct cluster_rig *rig, const char *const *more);

/* One with a budget that outlives a fail-over, and a client of it, whose SET it has carried out. */
struct stratad_process *stratad_cluster_start_patient(struct cluster_rig *rig,
                                                      redisContext **client);

/* Those two, and the cluster. */
struct stratad_cluster_bench {
    struct redis_cluster *cluster;
    struct stratad_process *stratad;
    redisContext *client;
};

struct stratad_cluster_bench stratad_cluster_bench_open(void **state);
/* Without tracking: L1 is told of nothing, and what it has is old until stratad drops it. */
struct stratad_cluster_bench stratad_cluster_bench_open_untracked(void **state);
void stratad_cluster_bench_close(struct stratad_cluster_bench *bench);

/* The node that owns the key's slot; and the first primary that is another than `node`. */
unsigned stratad_cluster_owner_of(const struct redis_cluster *cluster, const char *key);
unsigned stratad_cluster_other_primary(const struct redis_cluster *cluster, unsigned node);

/* A slot and the way that it may go: from its owner to another primary. */
struct stratad_cluster_move {
    struct redis_cluster *cluster;
    unsigned slot, from, to;
};

struct stratad_cluster_move stratad_cluster_move_of(struct redis_cluster *cluster, const char *key);
void stratad_cluster_move_there(const struct stratad_cluster_move *move);
void stratad_cluster_move_back(const struct stratad_cluster_move *move);
/* In steps (redis_cluster.h): half moved, until it is finished. */
void stratad_cluster_move_begin(const struct stratad_cluster_move *move);
void stratad_cluster_move_finish(const struct stratad_cluster_move *move);

/* The text "prefix:n" of a key (as Redis has it) in a slot of the node, the first at or after *n,
 * which is set behind it. */
void stratad_cluster_key_of(const struct redis_cluster *cluster, unsigned node, const char *prefix,
                            unsigned *n, char *key, size_t cap);

/* An integer that STRATA STATS has under this name, the first of them. */
long long stratad_cluster_number(redisContext *client, const char *name);

/* ---- checked clients ---- */

#define STRATAD_CLUSTER_KEYS    24u
#define STRATAD_CLUSTER_READERS 2u

/* One writes ever greater numbers under the keys, in turn, and reads each back; others read. Each
 * client sees no number that is smaller than what was acknowledged before he asked, or than what he
 * saw. Where acknowledged writes may be lost, because a primary dies, `lossy` is set before: then
 * nothing is held against what runs backwards, and only answers count. */
struct stratad_cluster_load {
    redisContext *clients[1 + STRATAD_CLUSTER_READERS]; /* the writer's first */
    _Atomic unsigned clients_taken;
    _Atomic bool stop;
    _Atomic bool lossy;
    _Atomic unsigned acked[STRATAD_CLUSTER_KEYS];
    _Atomic unsigned written; /* acknowledged */
    _Atomic unsigned read;    /* answered */
    _Atomic unsigned errors;
    _Atomic unsigned wrong;
    char first_wrong[256];
    char last_error[256]; /* the writer's */
    pthread_t writer, readers[STRATAD_CLUSTER_READERS];
};

void stratad_cluster_load_start(struct stratad_cluster_load *load,
                                const struct stratad_process *stratad);
/* Waits until so many more were acknowledged and read. */
void stratad_cluster_load_goes_on(struct stratad_cluster_load *load, unsigned count);
/* Ends it; fails where anything was wrong. */
void stratad_cluster_load_stop(struct stratad_cluster_load *load);

#endif
