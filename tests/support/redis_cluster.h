/* SPDX-License-Identifier: MIT
 *
 * A private Redis Cluster for a test: three primaries with a replica each unless told otherwise,
 * made of redis_server.h, so each node has a folder, a unix socket and a free port of its own,
 * keeps nothing on disk but its nodes.conf, and dies with the test.
 *
 * Nodes are numbered: 0 .. primaries-1 start as primaries, and node primaries+i as a replica of
 * node i % primaries; added ones follow. The numbers stay, whatever becomes of the roles.
 *
 * Helpers speak to the nodes through their unix sockets: what a test does to the way between its
 * client and the ports does not disturb them. Those that return int give 0, or -1 with the reason
 * on stderr; those that wait poll for the fact and are bounded by WAIT_MS.
 *
 * Threads: one at a time, and it must be the one that outlives the cluster (support/child.h).
 */
#ifndef TEST_REDIS_CLUSTER_H
#define TEST_REDIS_CLUSTER_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define REDIS_CLUSTER_SLOTS   16384
#define REDIS_CLUSTER_NODES   12 /* at most */
#define REDIS_CLUSTER_WAIT_MS 30000

struct redis_cluster;

/* A zeroed one is good. Strings are borrowed until stop(). */
struct redis_cluster_config {
    unsigned primaries; /* 3 */
    bool no_replicas;
    unsigned node_timeout_ms; /* cluster-node-timeout; 2000 */
    const char *host;         /* where nodes listen, numeric: "127.0.0.1", "127.0.0.2", "::1" */

    /* What clients are told instead of `host` (CLUSTER SLOTS, MOVED), with the same ports: a
     * numeric address or a name. The nodes go on speaking to each other on `host`; so a test can
     * put a proxy on "127.0.0.9" before each node without disturbing the cluster itself. */
    const char *client_host;

    const char *password;         /* of the default user, and between nodes; NULL: none */
    const char *const *tls_args;  /* then ports speak TLS only: {"--tls-cert-file", ..., NULL} */
    const char *const *more_args; /* of every node; ends with NULL */
};

/* Starts one and waits until it has settled (below): about three seconds, of which a node spends
 * two by its own rule before it accepts writes after a start. */
int redis_cluster_start(struct redis_cluster **out, const struct redis_cluster_config *config);

/* Ends its nodes and removes their folders. NULL is fine. */
void redis_cluster_stop(struct redis_cluster **cluster);

/* ---- nodes ---- */

unsigned redis_cluster_count(const struct redis_cluster *cluster); /* of numbers given so far */
bool redis_cluster_runs(const struct redis_cluster *cluster, unsigned node); /* nor frozen */
int redis_cluster_port(const struct redis_cluster *cluster, unsigned node);
const char *redis_cluster_socket(const struct redis_cluster *cluster, unsigned node);
const char *redis_cluster_id(const struct redis_cluster *cluster, unsigned node);
pid_t redis_cluster_pid(const struct redis_cluster *cluster, unsigned node);

/* "host:port" as clients are told ("[::1]:port"): a seed. */
const char *redis_cluster_address(const struct redis_cluster *cluster, unsigned node);

/* A crash; its data is gone, its nodes.conf is kept. */
void redis_cluster_kill9(struct redis_cluster *cluster, unsigned node);

/* SIGSTOP and SIGCONT. */
void redis_cluster_freeze(struct redis_cluster *cluster, unsigned node);
void redis_cluster_thaw(struct redis_cluster *cluster, unsigned node);

/* Kills it where it runs and starts it again, with the same port or with others. Does not wait
 * for what the cluster makes of it. */
int redis_cluster_restart(struct redis_cluster *cluster, unsigned node);
int redis_cluster_relocate(struct redis_cluster *cluster, unsigned node);

/* Starts an empty node and lets the others know it; it is a primary without slots, or a replica
 * of `of` where that is not negative. Its number, or -1. */
int redis_cluster_add(struct redis_cluster *cluster, int of);

/* The others forget the node, which must own no slots, and it ends. Its number is not used
 * again. */
int redis_cluster_remove(struct redis_cluster *cluster, unsigned node);

/* ---- commands ---- */

/* A connection of the test's own, authenticated, with time-outs of 5 s; NULL where it cannot be
 * had. To be freed with redisFree(). */
redisContext *redis_cluster_connect(const struct redis_cluster *cluster, unsigned node);

/* One command. To be freed with freeReplyObject(); NULL where the node does not answer within 5 s.
 * The format is hiredis'. */
redisReply *redis_cluster_ask(const struct redis_cluster *cluster, unsigned node,
                              const char *format, ...);

/* The same where only success matters: -1 also for an error reply. */
int redis_cluster_tell(const struct redis_cluster *cluster, unsigned node, const char *format, ...);

/* The same for words of any bytes. */
int redis_cluster_tell_words(const struct redis_cluster *cluster, unsigned node, int count,
                             const char **words, const size_t *lens);

/* How often running nodes were sent commands whose name in INFO commandstats begins with `name`:
 * "get", "cluster|slots". A node that was restarted counts from zero. These helpers themselves
 * send "cluster|nodes", "cluster|info" and "info". */
uint64_t redis_cluster_calls(const struct redis_cluster *cluster, const char *name);

/* ---- slots and roles (redis_cluster_slots.c) ---- */

/* The slot of a key, by Redis Cluster's rules, hash tags included. */
unsigned redis_cluster_slot(const struct redis_cluster *cluster, const char *key);

/* The running node that says it owns the slot, the newest where several do; -1: none. */
int redis_cluster_primary(const struct redis_cluster *cluster, unsigned slot);

/* A running replica of a node; -1: it has none. */
int redis_cluster_replica(const struct redis_cluster *cluster, unsigned node);

bool redis_cluster_is_primary(const struct redis_cluster *cluster, unsigned node);

/* Waits until all running nodes say cluster_state:ok, know each other as alive, agree on
 * roles and the owner of every slot, and all replicas are in step. On a time-out it prints what
 * is missing. */
int redis_cluster_settle(const struct redis_cluster *cluster, unsigned timeout_ms);

/* CLUSTER FAILOVER of a replica, kind "", "FORCE" or "TAKEOVER"; waits until all nodes have
 * settled on it. */
int redis_cluster_failover(struct redis_cluster *cluster, unsigned replica, const char *kind);

/* Moves a slot with its keys, as redis-cli --cluster reshard does, while clients use it. */
int redis_cluster_move_slot(struct redis_cluster *cluster, unsigned slot, unsigned to);

/* The same in steps: the slot stays half moved until finished, and clients of it see ASK (for
 * keys that are not there any more) and TRYAGAIN (for several, some of them gone). */
int redis_cluster_begin_move(struct redis_cluster *cluster, unsigned slot, unsigned to);
int redis_cluster_move_keys(struct redis_cluster *cluster, unsigned slot, unsigned to,
                            unsigned most);
int redis_cluster_finish_move(struct redis_cluster *cluster, unsigned slot, unsigned to);

/* Gives empty slots to another owner, thousands in a moment: for storms of MOVED. */
int redis_cluster_assign(struct redis_cluster *cluster, unsigned first, unsigned last, unsigned to);

#endif
