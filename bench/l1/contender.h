/* SPDX-License-Identifier: MIT
 *
 * Who takes part: the floor, the first tier, and the peers, loaded from shared objects (peer.h).
 */
#ifndef BENCH_L1_CONTENDER_H
#define BENCH_L1_CONTENDER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/peer.h"

#define CONTENDERS_MOST 32u

#define CONTENDER_FLOOR  0u /* the first two places are ours */
#define CONTENDER_STRATA 1u

struct contender {
    struct peer peer;
    void *object; /* dlopen()'s; NULL for ours */
};

struct contenders {
    struct contender list[CONTENDERS_MOST];
    uint32_t count;
};

/* Ours, and with `peers` those that were built beside the program; says on `notes` which of these
 * are not there, and why. */
void contenders_init(struct contenders *contenders, bool peers, FILE *notes);
void contenders_fini(struct contenders *contenders);

/* False, and says why on stderr, where the object is no peer or there are too many. */
bool contenders_load(struct contenders *contenders, const char *path);

void contender_set(const struct contender *who, void *cache, uint64_t id);

/* Entries 0 .. count - 1. */
void contender_fill(const struct contender *who, void *cache, uint64_t count);

/* Asks for every `step`th of the first `count` keys, and for some that were never stored. False,
 * and says so on stderr, where a value is not that key's, or there is one for a key that has
 * none. `found` (may be NULL): how many were there. */
bool contender_check(const struct contender *who, void *cache, uint64_t count, uint64_t step,
                     uint64_t *found);

#endif
