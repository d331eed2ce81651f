/* SPDX-License-Identifier: MIT
 *
 * Why keys left, as far as it is remembered: a table of marks, 14 bits of the key's hash and two
 * of the reason each, where the newest departure overwrites. Only for numbers: a miss looks here
 * for its reason. Two keys that look alike cost a wrong reason.
 *
 * Threads: any, relaxed. Memory: one allocation, a small part of the tier.
 */
#ifndef STA_DEPARTED_H
#define STA_DEPARTED_H

#include <stdatomic.h>
#include <stdint.h>

enum sta_departure {
    STA_DEPARTED_UNKNOWN,
    STA_DEPARTED_EXPIRED,
    STA_DEPARTED_INVALIDATED,
    STA_DEPARTED_EVICTED
};

struct sta_departed {
    _Atomic uint16_t *marks;
    uint64_t mask;
};

/* For a tier of `max_bytes`; STRATA_ERR_NOMEM. */
int sta_departed_init(struct sta_departed *departed, uint64_t max_bytes);
void sta_departed_fini(struct sta_departed *departed);

static inline uint64_t sta_departed_bytes(const struct sta_departed *departed)
{
    return (departed->mask + 1) * sizeof *departed->marks;
}

static inline void sta_departed_note(struct sta_departed *departed, uint64_t hash,
                                     enum sta_departure why)
{
    uint16_t mark = (uint16_t)((hash >> 48 & ~UINT64_C(3)) | why);
    atomic_store_explicit(&departed->marks[hash & departed->mask], mark, memory_order_relaxed);
}

static inline enum sta_departure sta_departed_why(const struct sta_departed *departed,
                                                  uint64_t hash)
{
    uint16_t mark =
        atomic_load_explicit(&departed->marks[hash & departed->mask], memory_order_relaxed);
    return (mark ^ hash >> 48) & ~UINT64_C(3) ? STA_DEPARTED_UNKNOWN
                                              : (enum sta_departure)(mark & 3);
}

#endif
