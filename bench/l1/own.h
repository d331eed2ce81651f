/* SPDX-License-Identifier: MIT
 *
 * The floor (floor.h) and the first tier behind the six functions of peer.h.
 */
#ifndef BENCH_L1_OWN_H
#define BENCH_L1_OWN_H

#include "bench/l1/stream.h"
#include "bench/peer.h"

#define OWN_BATCH 32u

/* Lookups only: no PEER_EVICTS, and no set() while others get(). */
extern const struct peer own_floor;

/* A tier bounded in entries, with bytes to spare. */
extern const struct peer own_strata;

/* OWN_BATCH gets after one prefetch; how many hit. The last value stays in `out`. */
uint32_t own_strata_get_batch(void *cache, const struct request *requests, void *out);

/* A get by lease; the length of the value, or -1. */
int own_strata_lease(void *cache, const void *key, size_t key_len);

/* A token, and a fill under it: what a read-through does after a miss. */
void own_strata_fill(void *cache, const void *key, size_t key_len, const void *value,
                     size_t value_len);

/* Bytes that the tier counts against its bound. */
uint64_t own_strata_accounted(void *cache);

int own_strata_resize(void *cache, uint64_t max_bytes);

#endif
