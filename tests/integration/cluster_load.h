/* SPDX-License-Identifier: MIT
 *
 * Load on a cluster through a strata_l2, from several threads, that knows what it wrote: each thread
 * owns keys of its own over all slots, sets them to growing numbers and reads them back. A read
 * must bring the last number that was acknowledged, or one whose write ended without an answer
 * since. Errors are counted, with the time of the first and the last.
 */
#ifndef TEST_CLUSTER_LOAD_H
#define TEST_CLUSTER_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "strata/l2.h"

struct cluster_load;

struct cluster_load_counts {
    uint64_t answered;
    uint64_t errors;
    uint64_t by_status[32]; /* by -status */
    uint64_t wrong;         /* a value that nobody may see */
    uint64_t last_error_ns; /* on the monotonic clock; 0: none since the last reset */
    uint64_t slowest_ns;    /* the longest call */
    char first_wrong[256];
};

/* `forgetful`: the servers may lose what they acknowledged, as a primary does that is killed before
 * its replica has heard; then only what was never written is wrong. */
struct cluster_load *cluster_load_start(struct strata_l2 *l2, unsigned threads, bool forgetful);
void cluster_load_stop(struct cluster_load **load);

/* A key of the load's, without the prefix of its strata_l2: to find a slot that is in use. */
void cluster_load_key(const struct cluster_load *load, unsigned thread, unsigned number, char *key,
                      size_t cap);

/* Since the start, or the last reset. */
struct cluster_load_counts cluster_load_counts(struct cluster_load *load);
void cluster_load_reset(struct cluster_load *load);

/* Waits until every thread has had `answers` more answers. */
bool cluster_load_await(struct cluster_load *load, uint64_t answers, unsigned timeout_ms);

#endif
