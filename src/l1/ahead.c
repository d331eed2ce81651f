/* SPDX-License-Identifier: MIT
 *
 * Touching (ahead.h). One byte is enough where the page is a huge one; where it is not, the others
 * are small pages, which cost their users a hundredth.
 */
#include "l1/ahead.h"

void sta_ahead_touch(struct sta_ahead *ahead)
{
    uint64_t touched = atomic_load_explicit(&ahead->touched, memory_order_relaxed);
    if (touched >= ahead->bytes || !atomic_compare_exchange_strong_explicit(
                                       &ahead->touched, &touched, touched + STA_AHEAD_PAGE,
                                       memory_order_relaxed, memory_order_relaxed))
        return; /* somebody else is at it */
    /* A new byte is written; where it is not 0 any more, somebody has been there. */
    uint8_t none = 0;
    (void)__atomic_compare_exchange_n(ahead->base + touched, &none, 0, false, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED);
}
