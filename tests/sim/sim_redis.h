/* SPDX-License-Identifier: MIT
 *
 * A modelled Redis: one server, or a cluster of them, as far as a cache can see it. It is modelled
 * after what was measured on Redis 7.0.15 (docs/design/0010-tracking.md):
 *   - replies and invalidations of one connection come in the order in which they were made;
 *   - what was read on a tracking connection is named to it when it changes, once; a SET alone
 *     tracks nothing; keys that are absent are tracked too;
 *   - the invalidation of an own write comes after its reply;
 *   - a full table pushes keys out before a command is looked at, and says so, but with NOLOOP not
 *     to whose command that is; with BCAST there is no table, and what changed is told when a batch
 *     of commands is over;
 *   - what expires is removed, and named, late, or when somebody asks for it.
 * Keys live in one place for all nodes of a cluster; who may serve them is per node.
 */
#ifndef SIM_REDIS_H
#define SIM_REDIS_H

#include "sim/sim_net.h"
#include "sim/sim_oracle.h"

#define SIM_NODES_MOST 4u
#define SIM_PORT       7000u /* of the first node */

struct sim_redis;

struct sim_redis_config {
    unsigned nodes;          /* more than one: a cluster */
    const char *prefix;      /* of the keys that the oracle knows */
    unsigned table_most;     /* keys that are tracked per node; 0: no bound */
    uint64_t expiry_most_ns; /* how late what expired is removed */
    unsigned met; /* per mille of what reads a key: just before it, another client changes that */
};

extern const struct sim_peer_events sim_redis_events;

struct sim_redis *sim_redis_create(struct sim *sim, struct sim_net *net, struct sim_oracle *oracle,
                                   const struct sim_redis_config *config);
void sim_redis_destroy(struct sim_redis **redis);

/* ---- another client, which does what it wants at once ---- */

/* A value that was never written before, of `len` bytes or as many as it must have. */
void sim_redis_set(struct sim_redis *redis, unsigned key, size_t len, uint64_t ttl_ms);
void sim_redis_delete(struct sim_redis *redis, unsigned key);
void sim_redis_expire(struct sim_redis *redis, unsigned key, uint64_t ttl_ms);
void sim_redis_flush(struct sim_redis *redis);

/* It invalidates the tag just before that is asked for once more, or the n-th time from now on;
 * perhaps somebody sets something with it at once. Of its GET and its PTTL each counts. */
void sim_redis_fall_when_asked(struct sim_redis *redis, unsigned tag, unsigned nth);

/* ---- what befalls a node ---- */

void sim_redis_freeze(struct sim_redis *redis, unsigned node, uint64_t until_ns);

/* Its connections break, nobody can connect, and then it is back; empty where `empty`. */
void sim_redis_restart(struct sim_redis *redis, unsigned node, uint64_t until_ns, bool empty);

/* Something in between takes the invalidations out of all that the connections carry that it has
 * now, for as long as they live. */
void sim_redis_swallow(struct sim_redis *redis, unsigned node);

/* The slot of the key moves to another node, key by key; taken away at once; or all slots of a node
 * go to another. Without effect where that cannot be now. */
void sim_cluster_move(struct sim_redis *redis, unsigned key, unsigned to, uint64_t until_ns);
unsigned sim_cluster_owner(struct sim_redis *redis, unsigned key);
unsigned sim_cluster_barriers(struct sim_redis *redis); /* who has them */
void sim_cluster_take(struct sim_redis *redis, unsigned key, unsigned to);
void sim_cluster_fail_over(struct sim_redis *redis, unsigned from, unsigned to);

void sim_redis_kill_client(struct sim_redis *redis, unsigned node, uint64_t pick);

/* Nothing is frozen or down any more, connections that lose something are closed, and nobody comes
 * in between. */
void sim_redis_heal(struct sim_redis *redis);

#endif
