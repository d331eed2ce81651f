/* SPDX-License-Identifier: MIT
 *
 * The duel: which rule the eviction follows. No share of the small queue and no rule of
 * promotion is best for every load, so a few of them are tried beside the tier: each on a shadow,
 * a small S3-FIFO of fingerprints that sees a sample of the requests and has the sample's part
 * of the tier's entries. The tier follows the rule whose shadow had the most hits lately.
 *
 *     get -> `rate` hashes in 2^32 -> ring -> (next store) shadows -> rule
 *
 * Threads: note() from anywhere: it writes to the ring, which loses what does not fit between
 * two stores. Everything else is guarded by the tier's lock for it.
 * Memory: one allocation, STA_DUEL_ENTRY_BYTES for each entry of the shadows.
 */
#ifndef STA_DUEL_H
#define STA_DUEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "l1/rule.h"

#define STA_DUEL_RULES       8u
#define STA_DUEL_RING        1024u
#define STA_DUEL_CAP_LEAST   32u
#define STA_DUEL_CAP_MOST    512u
#define STA_DUEL_ENTRY_BYTES 400u /* all shadows together, about */

struct sta_duel_side;

struct sta_duel {
    /* read by every get; 0: no samples are taken */
    _Atomic uint32_t rate;
    /* guarded by the tier's duel_lock */
    _Atomic struct sta_rule rule; /* the one in force; read from anywhere */
    uint32_t best;
    uint32_t cap;                /* entries of a shadow */
    uint64_t entries;            /* of the tier, for which the shadows were made */
    uint64_t seen;               /* in this window */
    struct sta_duel_side *sides; /* a shadow and its score for each rule; NULL: none */
    _Atomic uint64_t bytes;      /* read from anywhere */
    /* the ring: who pushes writes `head`, who drains writes `tail` */
    _Alignas(64) _Atomic uint64_t head;
    _Atomic uint64_t tail;
    _Atomic uint32_t ring[STA_DUEL_RING];
};

void sta_duel_init(struct sta_duel *duel);
void sta_duel_fini(struct sta_duel *duel);

/* Shadows for a tier of `entries`, all forgotten, in `most` bytes at most; without enough memory
 * there are none, and the first rule is in force. */
void sta_duel_resize(struct sta_duel *duel, uint64_t entries, uint64_t most);

/* Shows the shadows what was noted, and chooses. */
void sta_duel_drain(struct sta_duel *duel);

/* Pushes a sampled request, if there is room. */
void sta_duel_push(struct sta_duel *duel, uint64_t hash);

/* The rule in force. From anywhere. */
static inline struct sta_rule sta_duel_rule(const struct sta_duel *duel)
{
    return atomic_load_explicit(&duel->rule, memory_order_relaxed);
}

static inline bool sta_duel_samples(const struct sta_duel *duel, uint64_t hash)
{
    return (uint32_t)(hash >> 4) < atomic_load_explicit(&duel->rate, memory_order_relaxed);
}

/* A request, hit or miss. */
static inline void sta_duel_note(struct sta_duel *duel, uint64_t hash)
{
    if (sta_duel_samples(duel, hash))
        sta_duel_push(duel, hash);
}

#endif
