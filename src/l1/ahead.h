/* SPDX-License-Identifier: MIT
 *
 * Memory that is touched before it is needed. Whoever is the first to touch a huge page waits until
 * it has been cleared: 0.1 ms, or 4 to 5 where the page is new to the host of a virtual machine as
 * well. A reservation that is used from its beginning on is therefore touched by those who are
 * through with their work and hold no lock, a huge page at a time, some way ahead of those who hold
 * some. Where they are overtaken, it is as if there were nothing of the kind.
 *
 * Threads: any; who moves `touched` touches. Memory: none; what is touched is resident, and claimed
 * only when it is used, so who calls says how far.
 */
#ifndef STA_AHEAD_H
#define STA_AHEAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define STA_AHEAD_PAGE (UINT64_C(2) << 20)

struct sta_ahead {
    uint8_t *base;            /* at the beginning of a huge page */
    uint64_t bytes;           /* 0: nothing is touched ahead */
    _Atomic uint64_t touched; /* of these, whole pages */
};

static inline void sta_ahead_init(struct sta_ahead *ahead, void *base, uint64_t bytes)
{
    ahead->base = base;
    ahead->bytes = bytes & ~(STA_AHEAD_PAGE - 1);
}

/* Whether less than `wanted` bytes are touched, of what there is. */
static inline bool sta_ahead_is_short(const struct sta_ahead *ahead, uint64_t wanted)
{
    uint64_t touched = atomic_load_explicit(&ahead->touched, memory_order_relaxed);
    return touched < wanted && touched < ahead->bytes;
}

/* Touches the next page. What is there stays as it is, also where somebody writes it just now. */
void sta_ahead_touch(struct sta_ahead *ahead);

#endif
