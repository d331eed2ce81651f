/* SPDX-License-Identifier: MIT
 *
 * Claiming a stripe, and sums (stripe.h).
 */
#include "l1/stripe.h"

static struct sta_stripe *claim(struct sta_stripe *stripes, uint64_t self)
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

void sta_stripe_count_slow(struct sta_stripe *stripes, uint64_t self, enum sta_l1_counter what)
{
    struct sta_stripe *stripe = claim(stripes, self);
    if (stripe == NULL) {
        atomic_fetch_add_explicit(&stripes[STA_STRIPES].count[what], 1, memory_order_relaxed);
        return;
    }
    uint64_t count = atomic_load_explicit(&stripe->count[what], memory_order_relaxed);
    atomic_store_explicit(&stripe->count[what], count + 1, memory_order_relaxed);
}

uint32_t sta_stripe_turn(struct sta_stripe *stripes)
{
    uint64_t self = sta_stripe_thread();
    struct sta_stripe *stripe = sta_stripe_own(stripes);
    if (stripe == NULL)
        stripe = claim(stripes, self);
    if (stripe == NULL)
        return sta_stripe_hash(self);
    uint32_t turn = atomic_load_explicit(&stripe->turn, memory_order_relaxed);
    if (turn != 0)
        return turn;
    /* the last one, which is everybody's, has the number that was given last */
    turn = 1 + atomic_fetch_add_explicit(&stripes[STA_STRIPES].turn, 1, memory_order_relaxed);
    atomic_store_explicit(&stripe->turn, turn, memory_order_relaxed);
    return turn;
}

uint64_t sta_stripe_sum(const struct sta_stripe *stripes, enum sta_l1_counter what)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i <= STA_STRIPES; i++)
        sum += atomic_load_explicit(&stripes[i].count[what], memory_order_relaxed);
    return sum;
}
