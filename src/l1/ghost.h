/* SPDX-License-Identifier: MIT
 *
 * Ghosts: fingerprints of keys that the small queues gave up lately. A key that comes back while
 * its ghost is there goes to the main queue at once.
 *
 * A table of sets; a set is one cache line: a cursor and up to 30 fingerprints of 16 bits, a
 * FIFO. Two keys with one fingerprint in one set cost a wrong promotion, rarely.
 * Memory: address space for as many as there may ever be; 2 bytes for each that is kept. In small
 * pages: stores are the first to touch them, anywhere and under locks, so a huge one would have to
 * be cleared there; and the line of a store's ghost is asked for long before it is read.
 * Threads: add, take and fetch from any; they lock nothing, and two at one set at the same time may
 * lose a ghost to each other. Init, fini, resize and limit need somebody's lock.
 */
#ifndef STA_GHOST_H
#define STA_GHOST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sta_ghost_set {
    _Alignas(64) _Atomic uint16_t next;
    uint16_t spare;
    _Atomic uint16_t print[30];
};

struct sta_ghost {
    /* fixed by init */
    struct sta_ghost_set *sets;
    uint64_t sets_most;
    /* atomic: read from anywhere */
    _Atomic uint64_t set_count; /* 0: none are kept */
    _Atomic uint32_t depth;     /* fingerprints per set that count */
};

/* Address space for ghosts that take `bytes`; none is kept yet. STRATA_ERR_NOMEM. */
int sta_ghost_init(struct sta_ghost *ghost, uint64_t bytes);
void sta_ghost_fini(struct sta_ghost *ghost);

/* Bytes that ghosts for `entries` take, as far as there is address space for them. */
uint64_t sta_ghost_bytes(const struct sta_ghost *ghost, uint64_t entries);

/* Room for about `entries` ghosts, all forgotten; what is not needed any more goes back to the
 * kernel. */
void sta_ghost_resize(struct sta_ghost *ghost, uint64_t entries);

/* From now on about so many are remembered, as far as there is room. */
void sta_ghost_limit(struct sta_ghost *ghost, uint64_t entries);

/* NULL: none are kept. */
static inline struct sta_ghost_set *sta_ghost_set_of(const struct sta_ghost *ghost, uint64_t hash)
{
    uint64_t count = atomic_load_explicit(&ghost->set_count, memory_order_relaxed);
    return count != 0 ? &ghost->sets[(uint64_t)(((unsigned __int128)hash * count) >> 64)] : NULL;
}

/* The line of the hash's ghost will be needed soon. */
static inline void sta_ghost_fetch(const struct sta_ghost *ghost, uint64_t hash)
{
    const struct sta_ghost_set *set = sta_ghost_set_of(ghost, hash);
    if (set != NULL)
        __builtin_prefetch(set, 1);
}

void sta_ghost_add(struct sta_ghost *ghost, uint64_t hash);

/* Whether there was a ghost of this hash; it is gone then. */
bool sta_ghost_take(struct sta_ghost *ghost, uint64_t hash);

#endif
