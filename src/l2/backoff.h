/* SPDX-License-Identifier: MIT
 *
 * How long to wait before the next attempt to connect: "full jitter", evenly from 0 to a ceiling
 * that doubles with each failure (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture
 * Blog, 2015). Clients that lost the same server at the same moment do not come back together.
 * Pure: no clock, no I/O.
 */
#ifndef STA_BACKOFF_H
#define STA_BACKOFF_H

#include <stdint.h>

struct sta_backoff {
    uint64_t min_ns; /* the first ceiling */
    uint64_t max_ns; /* the last */
    uint64_t random; /* state of the generator */
    unsigned failures;
};

/* min(max_ns, min_ns * 2^failures). */
uint64_t sta_backoff_ceiling(const struct sta_backoff *backoff);

/* Counts a failure and returns the delay before the next attempt. */
uint64_t sta_backoff_next(struct sta_backoff *backoff);

/* It worked: the next failure is the first again. */
void sta_backoff_reset(struct sta_backoff *backoff);

#endif
