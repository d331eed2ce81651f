/* SPDX-License-Identifier: MIT
 *
 * A bound that many threads share: what is claimed never passes it, at any moment. Lowering the
 * bound takes nothing back; claims fail until enough was given back.
 *
 * Threads: any; relaxed throughout, since a number guards no other memory.
 */
#ifndef STA_BUDGET_H
#define STA_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sta_budget {
    _Atomic uint64_t used;
    _Atomic uint64_t most;
};

static inline uint64_t sta_budget_used(const struct sta_budget *budget)
{
    return atomic_load_explicit(&budget->used, memory_order_relaxed);
}

static inline uint64_t sta_budget_most(const struct sta_budget *budget)
{
    return atomic_load_explicit(&budget->most, memory_order_relaxed);
}

static inline void sta_budget_set_most(struct sta_budget *budget, uint64_t most)
{
    atomic_store_explicit(&budget->most, most, memory_order_relaxed);
}

/* Whether `more` would fit now. */
static inline bool sta_budget_fits(const struct sta_budget *budget, uint64_t more)
{
    uint64_t used = sta_budget_used(budget);
    uint64_t most = sta_budget_most(budget);
    return used <= most && more <= most - used;
}

static inline bool sta_budget_claim(struct sta_budget *budget, uint64_t more)
{
    uint64_t used = sta_budget_used(budget);
    uint64_t most = sta_budget_most(budget);
    do {
        if (used > most || more > most - used)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&budget->used, &used, used + more,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* Beyond the bound, too: for what is there from the beginning. */
static inline void sta_budget_take(struct sta_budget *budget, uint64_t more)
{
    atomic_fetch_add_explicit(&budget->used, more, memory_order_relaxed);
}

static inline void sta_budget_give(struct sta_budget *budget, uint64_t less)
{
    atomic_fetch_sub_explicit(&budget->used, less, memory_order_relaxed);
}

#endif
