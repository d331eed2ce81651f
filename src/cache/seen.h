/* SPDX-License-Identifier: MIT
 *
 * Which keys have been seen: a set of fingerprints of 128 bits (XXH3, seeded), not of the keys. Two
 * keys of 10 million have the same one with a probability of 10^-25; then the second passes for
 * seen.
 *
 * Open addressing over a power of two of places of 16 bytes, half full at the most; while it grows,
 * the old places and the new exist at once.
 * Memory: 32 to 64 bytes for each key, 96 while it grows; never more than the bound.
 * Threads: one owner.
 */
#ifndef STA_SEEN_H
#define STA_SEEN_H

#include <stdbool.h>
#include <stdint.h>

#include "strata/bytes.h"

struct sta_seen_mark {
    uint64_t low, high; /* both 0: free */
};

struct sta_seen {
    struct sta_seen_mark *marks; /* cap of them, a power of two, or none */
    uint64_t cap;
    uint64_t count;
    uint64_t seed;
    uint64_t max_bytes;
};

/* Nothing is allocated. */
void sta_seen_init(struct sta_seen *seen, uint64_t seed, uint64_t max_bytes);
void sta_seen_fini(struct sta_seen *seen);

/* STRATA_OK: it is new, and seen from now on. STRATA_SKIPPED: it was seen. STRATA_ERR_TOO_BIG: more
 * would pass the bound; STRATA_ERR_NOMEM; the set is as it was. */
int sta_seen_add(struct sta_seen *seen, struct strata_bytes key);

#endif
