/* SPDX-License-Identifier: MIT
 *
 * Ghosts: fingerprints of keys that the small queue gave up lately. A key that comes back while
 * its ghost is there goes to the main queue at once.
 *
 * A table of sets; a set is one cache line: a cursor and up to 30 fingerprints of 16 bits, a
 * FIFO. Two keys with one fingerprint in one set cost a wrong promotion, rarely.
 * Memory: 2 bytes for each entry that the tier holds; made at the first eviction.
 * Threads: guarded by the tier's store lock.
 */
#ifndef STA_GHOST_H
#define STA_GHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sta_ghost_set {
    uint16_t next;
    uint16_t spare;
    uint16_t print[30];
};

struct sta_ghost {
    struct sta_ghost_set *sets; /* NULL: none are kept */
    uint64_t set_count;
    uint32_t depth; /* fingerprints per set that count */
};

/* Bytes that ghosts for `entries` take. */
uint64_t sta_ghost_bytes(uint64_t entries);

/* Room for about `entries` ghosts, all forgotten; false and unchanged where memory is short. */
bool sta_ghost_resize(struct sta_ghost *ghost, uint64_t entries);
void sta_ghost_fini(struct sta_ghost *ghost);

/* From now on about so many are remembered, as far as there is room. */
void sta_ghost_limit(struct sta_ghost *ghost, uint64_t entries);

static inline struct sta_ghost_set *sta_ghost_set_of(const struct sta_ghost *ghost, uint64_t hash)
{
    return &ghost->sets[(uint64_t)(((unsigned __int128)hash * ghost->set_count) >> 64)];
}

/* The line of the hash's ghost will be needed soon. */
static inline void sta_ghost_fetch(const struct sta_ghost *ghost, uint64_t hash)
{
    if (ghost->sets != NULL)
        __builtin_prefetch(sta_ghost_set_of(ghost, hash), 1);
}

void sta_ghost_add(struct sta_ghost *ghost, uint64_t hash);

/* Whether there was a ghost of this hash; it is gone then. */
bool sta_ghost_take(struct sta_ghost *ghost, uint64_t hash);

#endif
