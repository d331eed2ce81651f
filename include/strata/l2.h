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
    const char *const *cluster_nodes;
    size_t cluster_node_count;
    uint64_t default_ttl_ms;                        /* 3 600 000; STRATA_UNLIMITED: keys stay */
    uint64_t max_connections;                       /* 20 */
    uint64_t socket_timeout_ms;                     /* 5000 */
    const struct strata_tls_provider *tls_provider; /* for rediss://, whose options name files */
    enum strata_log_level log_level;
    strata_log_sink log_sink;
    void *log_arg;
};

STRATA_API int strata_l2_open(struct strata_l2 **out, const struct strata_l2_options *options,
                              struct strata_error *error);
STRATA_API void strata_l2_close(struct strata_l2 **l2);

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

#ifdef __cplusplus
}
#endif

#endif
