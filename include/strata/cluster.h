/* SPDX-License-Identifier: MIT
 *
 * A Redis Cluster, watched: who is in it, who serves which slots, who is well, and what changes.
 * It has connections of its own, one to each node, and needs no cache.
 *
 *     strata_cluster_open(&cluster, &options, &error);
 *     if (strata_cluster_get_info(cluster, &info) == STRATA_OK)
 *         printf("%s, %u of %u nodes healthy\n", info->cluster_state, info->healthy_nodes,
 *                info->total_nodes);
 *     strata_cluster_info_free(&info);
 *     strata_cluster_close(&cluster);
 *
 * A single Redis is described too: cluster_state is "standalone", and it is the one node.
 * Threads: every call is safe from any thread, except strata_cluster_close(), which must be the
 * last.
 */
#ifndef STRATA_CLUSTER_H
#define STRATA_CLUSTER_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "log.h"
#include "options.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct strata_cluster;

/* ---- what there is to see ---- */

enum strata_node_role { STRATA_NODE_PRIMARY = 0, STRATA_NODE_REPLICA = 1 };

enum strata_node_state {
    STRATA_NODE_UP = 0,      /* answers us */
    STRATA_NODE_SUSPECT = 1, /* answers us, and another node says that it does not answer it */
    STRATA_NODE_DOWN = 2,    /* does not answer us */
    STRATA_NODE_FAILED = 3,  /* the cluster has agreed that it failed */
    STRATA_NODE_UNKNOWN = 4  /* nothing has been heard yet, or it has no address */
};

struct strata_cluster_node {
    char id[48];         /* as the cluster calls it; "" before a single Redis */
    char address[272];   /* "host:port", "[v6]:port" or "unix:path"; "" where it has none */
    char primary_id[48]; /* of a replica; else "" */
    enum strata_node_role role;
    enum strata_node_state state;
    unsigned slots;     /* that it owns */
    unsigned replicas;  /* that follow it */
    unsigned migrating; /* slots on their way out and in; only the node that was asked tells */
    unsigned importing; /*   of its own */
    uint64_t config_epoch;
    uint64_t latency_ns;     /* of a PING, moving mean; 0: never answered */
    uint64_t latency_p99_ns; /* of the last 10 to 20 s */
    uint64_t silent_ms;      /* since its last answer; UINT64_MAX: never answered */
    uint64_t reconnects;     /* after the first connection */
    uint64_t timeouts;       /* PINGs that were not answered in time, */
    uint64_t losses;         /*   or whose connection broke */
};

/* Slots first..last, of nodes[node], or of nobody. Consecutive, and complete from 0 to 16383. */
#define STRATA_CLUSTER_NOBODY UINT32_MAX
struct strata_cluster_range {
    uint16_t first;
    uint16_t last;
    uint32_t node;
};

/* One block of memory; the arrays are in it. */
struct strata_cluster_info {
    const char *cluster_state; /* "ok", "fail", "standalone" or "unknown"; a constant */
    unsigned healthy_nodes;    /* UP or SUSPECT */
    unsigned total_nodes;
    unsigned slots_assigned; /* as the node that was asked counts them */
    unsigned slots_ok;
    unsigned slots_pfail; /* of a node that it suspects */
    unsigned slots_fail;
    uint64_t current_epoch;
    const struct strata_cluster_node *nodes;   /* primaries first, by slots; total_nodes of them */
    const struct strata_cluster_range *ranges; /* none before a single Redis */
    size_t range_count;
};

/* ---- what happens ---- */

enum strata_cluster_event_kind {
    STRATA_CLUSTER_NODE_DOWN = 0, /* it does not answer us, or has failed */
    STRATA_CLUSTER_NODE_UP = 1,   /* it was down */
    STRATA_CLUSTER_NODE_ADDED = 2,
    STRATA_CLUSTER_NODE_REMOVED = 3,
    STRATA_CLUSTER_SLOTS_MOVED = 4, /* `slots` of them, from `from` to `node` */
    STRATA_CLUSTER_FAILOVER = 5,    /* `node`, a replica of `from`, has taken over `slots` slots */
    STRATA_CLUSTER_STATE = 6        /* cluster_state has changed */
};

/* Strings are readable until the callback returns, and never NULL. */
struct strata_cluster_event {
    enum strata_cluster_event_kind kind;
    const char *node; /* address; "": slots that nobody serves now */
    const char *node_id;
    const char *from; /* address; "": slots that nobody served */
    const char *from_id;
    unsigned slots;
    const char *cluster_state; /* as in the info */
};

/* The name of a kind: "node_down", ...; constant. */
STRATA_API const char *strata_cluster_event_name(enum strata_cluster_event_kind kind);

/* On the monitor's thread, one at a time, in order; must not block or close the cluster. */
typedef void (*strata_cluster_callback)(void *arg, const struct strata_cluster_event *event);

/* ---- the monitor ---- */

/* Zero fields mean the defaults. Strings are borrowed until open returns. */
struct strata_cluster_options {
    const char *const *cluster_nodes; /* "host:port" each; cluster_node_count of them */
    size_t cluster_node_count;
    const char *redis_url; /* user, password and database; without nodes also where to begin:
                                  "redis://localhost:6379/0" */
    uint64_t interval_ms;  /* between two looks; 1000; 100 to 3 600 000 */
    uint64_t timeout_ms;   /* 5000; how long the first look may take, 1 to 3 600 000 */
    strata_cluster_callback on_event; /* may be NULL */
    void *event_arg;
    enum strata_log_level log_level;
    strata_log_sink log_sink;
    void *log_arg;

    /* TLS, for a rediss:// URL, as in strata/options.h; files are read by open. */
    const struct strata_tls_provider *tls_provider; /* strata_tls_openssl(); NULL: no TLS */
    const char *tls_ca_file;
    const char *tls_ca_dir;
    const char *tls_crl_file;
    const char *tls_cert_file;
    const char *tls_key_file;
    const char *tls_key_password;
    const char *tls_server_name; /* of all nodes; NULL: the address at which each is reached */
    enum strata_tls_verify tls_verify; /* full */
};

/* Begins to watch. `options` NULL: from the environment (REDIS_CLUSTER_NODES, ROUTER_REDIS_URL).
 * No node need be reachable. STRATA_ERR_CONFIG, STRATA_ERR_UNSUPPORTED (also rediss:// without a
 * tls_provider, which the environment has not), STRATA_ERR_NOMEM, STRATA_ERR_SYSTEM, with the
 * particulars in `error` (may be NULL). */
STRATA_API int strata_cluster_open(struct strata_cluster **out,
                                   const struct strata_cluster_options *options,
                                   struct strata_error *error);

/* No callback runs any more when this returns. NULL is fine. */
STRATA_API void strata_cluster_close(struct strata_cluster **cluster);

/* What was seen at last, `interval_ms` ago at most. The first call waits until there is something
 * to see: until each node has answered or has failed to, each of those to begin with where there is
 * no other, or until `timeout_ms` are over since open. STRATA_OK with an info of the caller's;
 * where no node has told of the cluster yet, what they failed with (STRATA_ERR_UNAVAILABLE,
 * STRATA_ERR_DENIED, STRATA_ERR_TIMEOUT, ...); STRATA_ERR_NOMEM. */
STRATA_API int strata_cluster_get_info(struct strata_cluster *cluster,
                                       struct strata_cluster_info **info);

/* Frees it and sets the pointer to NULL. NULL is fine. */
STRATA_API void strata_cluster_info_free(struct strata_cluster_info **info);

#ifdef __cplusplus
}
#endif

#endif
