/* SPDX-License-Identifier: MIT
 *
 * The Redis tier by itself: a thread-safe, pipelined client for cache operations. Calls from all
 * threads share one connection and are merged into few writes.
 * Threads, budgets, keys, completions: as in cache.h.
 */
#ifndef STRATA_L2_H
#define STRATA_L2_H

#include "bytes.h"
#include "cache.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct strata_l2;

/* Zero fields mean the defaults. Strings are borrowed until open returns. */
struct strata_l2_options {
    const char *redis_url;              /* "redis://localhost:6379/0" */
    const char *key_prefix;             /* "atp:cache:"; "" is none */
    enum strata_switch cluster_enabled; /* off */
    const char *const *cluster_nodes;   /* "host:port" each; cluster_node_count of them */
    size_t cluster_node_count;
    uint64_t default_ttl_ms;    /* 3 600 000; STRATA_UNLIMITED: keys stay */
    uint64_t max_connections;   /* 20, per node; it uses two, or one where it is 1 */
    uint64_t socket_timeout_ms; /* 5000; the budget of one call over all its retries */
    const struct strata_tls_provider *tls_provider; /* for rediss://, whose options name files */
    enum strata_log_level log_level;
    strata_log_sink log_sink;
    void *log_arg;
};

/* `options` NULL: all defaults, and nothing from the environment. Redis need not be reachable.
 * STRATA_ERR_CONFIG, STRATA_ERR_UNSUPPORTED, STRATA_ERR_NOMEM, STRATA_ERR_SYSTEM, with the
 * particulars in `error` (may be NULL); *out is untouched then. */
STRATA_API int strata_l2_open(struct strata_l2 **out, const struct strata_l2_options *options,
                              struct strata_error *error);

/* Calls that are pending end with STRATA_ERR_CLOSED, their completions called before this returns.
 * Sets the pointer to NULL; NULL is fine. */
STRATA_API void strata_l2_close(struct strata_l2 **l2);

/* As their namesakes in cache.h. A value is a copy, to be given back with strata_release(). */
STRATA_API int strata_l2_get(struct strata_l2 *l2, struct strata_bytes key,
                             struct strata_value *value);
STRATA_API int strata_l2_set(struct strata_l2 *l2, struct strata_bytes key,
                             struct strata_bytes value, uint64_t ttl_ms);
STRATA_API int strata_l2_delete(struct strata_l2 *l2, struct strata_bytes key);

STRATA_API int strata_l2_get_async(struct strata_l2 *l2, struct strata_bytes key,
                                   struct strata_completion completion);
STRATA_API int strata_l2_set_async(struct strata_l2 *l2, struct strata_bytes key,
                                   struct strata_bytes value, uint64_t ttl_ms,
                                   struct strata_completion completion);
STRATA_API int strata_l2_delete_async(struct strata_l2 *l2, struct strata_bytes key,
                                      struct strata_completion completion);

/* ---- how it does ---- */

enum strata_l2_state {
    STRATA_L2_UP = 0,         /* connected, and answers */
    STRATA_L2_CONNECTING = 1, /* not connected yet, or just lost: calls wait for it */
    STRATA_L2_SICK = 2,       /* connected, and does not answer: calls fail at once */
    STRATA_L2_DOWN = 3        /* cannot be connected to: calls fail at once */
};

/* Counts are since it was first connected to. */
struct strata_l2_node {
    char address[272]; /* "host:port", "[v6]:port" or "unix:path" */
    enum strata_l2_state state;
    uint64_t latency_ns;     /* of an operation, moving mean; 0: none was answered */
    uint64_t latency_p99_ns; /* of the last 10 to 20 s; 0: none was answered in them */
    uint64_t in_flight;      /* operations, now */
    uint64_t requests;       /* sent */
    uint64_t replies;        /* in time */
    uint64_t reconnects;     /* connections made again after a loss */
    /* Errors, by kind. Of an operation that was sent again each time counts. */
    uint64_t timeouts;   /* not answered in time */
    uint64_t losses;     /* the connection broke behind them */
    uint64_t refused;    /* not sent: no connection, or the node is sick */
    uint64_t busy;       /* not sent: too much waits */
    uint64_t redirected; /* MOVED, ASK */
    uint64_t retried;    /* TRYAGAIN, CLUSTERDOWN, LOADING, MASTERDOWN, READONLY */
    uint64_t denied;     /* NOAUTH, NOPERM, ... */
    uint64_t server;     /* any other error reply */
};

/* One block of memory; the nodes are in it. */
struct strata_l2_health {
    enum strata_l2_state state; /* UP: all nodes are; else that of the worst */
    size_t healthy_nodes;       /* UP */
    size_t total_nodes;         /* that there was need for; before a cluster not all it has */
    const struct strata_l2_node *nodes;
    unsigned slots_ok; /* of 16384: served by a node that is not sick or down, as far as is known;
                          before a single Redis all or none */
};

/* What is so now; asks Redis nothing. From any thread, callbacks too. STRATA_OK with a health of
 * the caller's; STRATA_ERR_NOMEM. */
STRATA_API int strata_l2_get_health(struct strata_l2 *l2, struct strata_l2_health **health);

/* Frees it and sets the pointer to NULL. NULL is fine. */
STRATA_API void strata_l2_health_free(struct strata_l2_health **health);

/* "up", "connecting", "sick", "down"; constant. */
STRATA_API const char *strata_l2_state_name(enum strata_l2_state state);

#ifdef __cplusplus
}
#endif

#endif
