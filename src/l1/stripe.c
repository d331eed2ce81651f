/* SPDX-License-Identifier: MIT
 *
 * Claiming a stripe (stripe.h).
 */
#include "l1/stripe.h"

struct sta_stripe *sta_stripe_claim_slow(struct sta_stripe *stripes, uint64_t self)
{
    uint32_t at = sta_stripe_hash(self);
    for (uint32_t i = 0; i < STA_STRIPE_TRIES; i++) {
        struct sta_stripe *stripe = &stripes[(at + i) & (STA_STRIPES - 1)];
        uint64_t owner = atomic_load_explicit(&stripe->owner, memory_order_relaxed);
        if (owner == self)
            return stripe;
        if (owner == 0 &&
            atomic_compare_exchange_strong_explicit(&stripe->owner, &owner, self,
                                                    memory_order_relaxed, memory_order_relaxed))
            return stripe;
    }
    return NULL;
}
