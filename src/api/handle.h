/* SPDX-License-Identifier: MIT
 *
 * What is behind the public handles: a cache of both tiers and the log it writes to. A tier that
 * is used alone is a cache with the other tier switched off, so there is one way through the
 * house for all three.
 */
#ifndef STA_HANDLE_H
#define STA_HANDLE_H

#include <stdbool.h>

#include "cache/cache.h"
#include "core/log.h"
#include "net/tls.h"

struct strata {
    struct sta_cache *cache;
    struct sta_tls *tls; /* NULL: plain */
    struct sta_log log;
    bool metrics_detailed;
    bool writes_through; /* strata_writes_through() */
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

#endif
