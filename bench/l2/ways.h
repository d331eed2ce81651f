/* SPDX-License-Identifier: MIT
 *
 * Ways to ask a Redis, ours and our peers', as bench_l2 compares them. A way does a number of
 * operations and returns 0, or -1 where an answer was wrong.
 * What they share is the rig: one private redis-server on a unix socket, and connections to it.
 */
#ifndef BENCH_L2_WAYS_H
#define BENCH_L2_WAYS_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <sys/types.h>

#include "l2/l2.h"
#include "strata/l2.h"
#include "support/redis_server.h"

#define VALUE_BYTES 100u
#define WINDOW      64u /* in flight, where more than one is */
#define THREADS     16u

struct rig {
    struct redis_server *server;
    const char *socket;
    redisContext *redis[THREADS]; /* one connection each, as hiredis is used by threads */
    struct strata_l2 *public_l2;  /* the library's own door */
    struct sta_redis_url url;     /* and the engine below it, on a loop of its own */
    struct sta_loop *loop;
    struct sta_l2 *l2;

    struct cluster_bench *clustered; /* of ways_cluster.c; NULL: not needed yet */
    bool has_big;                    /* 10 MB are stored as `big` */
    struct steady_bench *steady;     /* of ways_big.c; NULL: not needed yet */

    double told_ns; /* per operation, by a way that measures itself; else 0 */
};

/* Starts the server, connects all, stores `key`. 0 or -1. */
int rig_open(struct rig *rig);
void rig_close(struct rig *rig);

/* Which processors may be used: by all threads of this process, by the server. 0: all. */
void rig_pin(const struct rig *rig, unsigned client_mask, unsigned server_mask);

/* What has been used up to now. */
struct usage {
    double wall_ns;
    double client_ns; /* processor time of this process, all threads */
    double server_ns; /* of the servers */
    double switches;  /* times that a thread of this process slept or was set aside */
};

struct usage rig_usage(const struct rig *rig);

/* One at a time. */
int way_sync_hiredis(struct rig *rig, unsigned ops);
int way_sync_l2(struct rig *rig, unsigned ops);     /* strata_l2_get */
int way_sync_engine(struct rig *rig, unsigned ops); /* sta_l2_call: commands in, replies out */

/* THREADS threads, one at a time each, ops in all. */
int way_threads_hiredis(struct rig *rig, unsigned ops);
int way_threads_l2(struct rig *rig, unsigned ops);

/* WINDOW in flight. */
int way_pipeline_hiredis(struct rig *rig, unsigned ops);
int way_pipeline_engine(struct rig *rig, unsigned ops);

/* The same threads and one connection with nothing but futexes between them: what is left of a
 * shared connection when all that can be left out is. The first without a server, the second with
 * ours. */
int way_threads_handoff(struct rig *rig, unsigned ops);
int way_threads_floor(struct rig *rig, unsigned ops);

/* Batches of 100 keys that lie all over a cluster of 3 + 3 nodes, over TCP: through the library; by
 * bare sockets; and of the node that has most of them those alone. ops: batches. */
int way_cluster_strata(struct rig *rig, unsigned ops);
int way_cluster_floor(struct rig *rig, unsigned ops);
int way_cluster_node(struct rig *rig, unsigned ops);
void cluster_bench_close(struct cluster_bench *bench);                     /* NULL is fine */
pid_t cluster_bench_pid(const struct cluster_bench *bench, unsigned node); /* 0: no such primary */

/* Tell the 99th percentile of one small get, alone or while 10 MB are on their way to the same
 * process, again and again. */
int way_small_l2(struct rig *rig, unsigned ops);
int way_small_hiredis(struct rig *rig, unsigned ops);
int way_small_beside_big_l2(struct rig *rig, unsigned ops);
int way_small_beside_big_hiredis(struct rig *rig, unsigned ops);

/* The same before a server that holds nobody up (steady.h); 10 MB from it, one after another. */
int way_big_l2(struct rig *rig, unsigned ops);
int way_big_hiredis(struct rig *rig, unsigned ops);
int way_steady_l2(struct rig *rig, unsigned ops);
int way_steady_hiredis(struct rig *rig, unsigned ops);
int way_steady_beside_big_l2(struct rig *rig, unsigned ops);
int way_steady_beside_big_hiredis(struct rig *rig, unsigned ops);
int way_even_beside_big_l2(struct rig *rig, unsigned ops); /* so many large ones a second */
int way_even_beside_big_hiredis(struct rig *rig, unsigned ops);
void steady_bench_close(struct steady_bench *bench);      /* NULL is fine */
pid_t steady_bench_pid(const struct steady_bench *bench); /* 0: there is none */

/* Measures itself: only `wall_ns` of its usage is of the way. */
int way_pipeline_redis_benchmark(struct rig *rig, unsigned ops);

#endif
