/* SPDX-License-Identifier: MIT
 *
 * What is behind the public handles: a cache of both tiers and the log it writes to. A tier that
 * is used alone is a cache with the other tier switched off, so there is one way through the
 * house for all three.
 */
#ifndef STA_HANDLE_H
#define STA_HANDLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cache/cache.h"
#include "core/log.h"
#include "l2/redis_url.h"
#include "net/tls.h"
#include "strata/events.h"

struct sta_events;

struct strata {
    struct sta_cache *cache;
    struct sta_tls *tls; /* NULL: plain */
    struct sta_log log;
    _Atomic bool metrics_detailed; /* relaxed */
    bool writes_through;           /* strata_writes_through() */
    uint64_t l1_max_bytes;         /* when it was opened */

    /* Fixed at open: where a cluster is watched. */
    struct sta_redis_url url;
    struct sta_endpoint *seeds; /* seed_count of them */
    size_t seed_count;

    /* Atomic, relaxed: the thread on which a hook runs now; 0: none. A thread looks for itself
     * only. */
    _Atomic uintptr_t telling;

    /* Guarded by events_lock, which is held while a hook is taken away. */
    pthread_mutex_t events_lock;
    struct sta_events *events; /* NULL: no hook */
    strata_event_hook hook;    /* for what is told at the close */
    void *hook_arg;

    /* reconfigure.c; under `lock`, which is taken before all others. */
    pthread_mutex_t lock;
    struct strata_options options; /* in force; of texts and lists nothing is left */
};

struct strata_l1 {
    struct strata both;
};

struct strata_l2 {
    struct strata both;
};

/* Fills `handle` from options that may have zero fields; on failure nothing is left open. */
int sta_handle_open(struct strata *handle, const struct strata_options *options,
                    struct strata_error *error);
void sta_handle_close(struct strata *handle);

/* The quotas of these options, if they are of the prefixes of those that the cache was opened with;
 * else STRATA_ERR_CONFIG, and nothing has changed. */
int sta_handle_set_quotas(struct strata *handle, const struct strata_options *options,
                          struct strata_error *error);

/* The cache and its log go by what is live of these options, which are resolved. */
void sta_handle_adjust(struct strata *handle, const struct strata_options *options);

#endif
