/* SPDX-License-Identifier: MIT
 *
 * Counters (counters.h) without a write to a line that threads share. A thread claims a stripe
 * by its identity (the address of its control block, which no two living threads have in common)
 * the first time it comes by, and is then the only one to write it: a load, an addition and a
 * store, exact and without a locked instruction. The stripe of a thread that ended is taken over
 * by the next thread at that address. Who finds none free counts in one that all others share.
 *
 * Threads: everything relaxed; readers may see a count that is an instant old.
 */
#ifndef STA_STRIPE_H
#define STA_STRIPE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "l1/counters.h"

#define STA_STRIPES      64u /* a power of two; one more is for everybody else */
#define STA_STRIPE_TRIES 4u

struct sta_stripe {
    _Alignas(128) _Atomic uint64_t owner; /* 0: free */
    _Atomic uint64_t count[STA_L1_COUNTS];
    _Atomic uint32_t
        turn; /* the thread's number among those that store; 0: it has not stored yet */
};

_Static_assert(sizeof(struct sta_stripe) == 128, "a pair of lines, hits and misses on the first");

static inline uint64_t sta_stripe_thread(void)
{
    uint64_t self;
#if defined(__x86_64__)
    __asm__("movq %%fs:0, %0" : "=r"(self)); /* what pthread_self() returns, without the call */
#else
    self = (uint64_t)(uintptr_t)pthread_self();
#endif
    return self;
}

static inline uint32_t sta_stripe_hash(uint64_t thread)
{
    return (uint32_t)((thread * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
}

/* The way of a thread that comes by for the first time, or shares its place: stripe.c. */
void sta_stripe_count_slow(struct sta_stripe *stripes, uint64_t self, enum sta_l1_counter what);

/* The calling thread's, or NULL: it has come by for the first time, or shares its place. `stripes`:
 * STA_STRIPES + 1 of them. */
static inline struct sta_stripe *sta_stripe_own(struct sta_stripe *stripes)
{
    uint64_t self = sta_stripe_thread();
    struct sta_stripe *stripe = &stripes[sta_stripe_hash(self) & (STA_STRIPES - 1)];
    return atomic_load_explicit(&stripe->owner, memory_order_relaxed) == self ? stripe : NULL;
}

/* One more; nobody else writes there. */
static inline void sta_stripe_more(struct sta_stripe *own, enum sta_l1_counter what)
{
#if defined(__x86_64__)
    __asm__("incq %0" : "+m"(own->count[what])); /* what compilers make three of */
#else
    uint64_t count = atomic_load_explicit(&own->count[what], memory_order_relaxed);
    atomic_store_explicit(&own->count[what], count + 1, memory_order_relaxed);
#endif
}

static inline void sta_stripe_count(struct sta_stripe *stripes, enum sta_l1_counter what)
{
    struct sta_stripe *own = sta_stripe_own(stripes);
    if (own != NULL)
        sta_stripe_more(own, what);
    else
        sta_stripe_count_slow(stripes, sta_stripe_thread(), what);
}

/* Threads that store are numbered in turn, from 1: the calling one's number. Those that find no
 * stripe of their own have any. */
uint32_t sta_stripe_turn(struct sta_stripe *stripes);

uint64_t sta_stripe_sum(const struct sta_stripe *stripes, enum sta_l1_counter what);

#endif
