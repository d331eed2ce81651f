/* SPDX-License-Identifier: MIT
 *
 * Waits between attempts; see backoff.h.
 */
#include "l2/backoff.h"

#include "core/random.h"

static uint64_t evenly(struct sta_backoff *backoff, uint64_t from_ns, uint64_t to_ns)
{
    return from_ns + sta_random_below(&backoff->random, to_ns - from_ns + 1);
}

/* What is left of a wait of half to all of `max_ns` at a moment that has nothing to do with it: its
 * density is even up to the half and falls from there to nothing, so a third lies beyond. */
static uint64_t rest_of_a_wait(struct sta_backoff *backoff, uint64_t max_ns)
{
    uint64_t half_ns = max_ns / 2;
    if (sta_random_below(&backoff->random, 3) < 2)
        return evenly(backoff, 0, half_ns);
    uint64_t one_ns = evenly(backoff, half_ns, max_ns);
    uint64_t other_ns = evenly(backoff, half_ns, max_ns);
    return one_ns < other_ns ? one_ns : other_ns;
}

static uint64_t draw(struct sta_backoff *backoff)
{
    uint64_t max_ns = backoff->max_ns;
    switch (backoff->failures) {
    case 0:
        return evenly(backoff, 0, backoff->min_ns < max_ns ? backoff->min_ns : max_ns);
    case 1:
        return rest_of_a_wait(backoff, max_ns);
    default:
        return evenly(backoff, max_ns / 2, max_ns);
    }
}

uint64_t sta_backoff_next(struct sta_backoff *backoff, uint64_t spent_ns)
{
    uint64_t delay_ns = draw(backoff);
    if (backoff->failures < UINT32_MAX)
        backoff->failures++;
    return spent_ns <= delay_ns / 2 ? delay_ns - 2 * spent_ns : 0;
}

void sta_backoff_reset(struct sta_backoff *backoff)
{
    backoff->failures = 0;
}
