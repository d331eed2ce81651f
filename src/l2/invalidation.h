/* SPDX-License-Identifier: MIT
 *
 * The push by which a server that tracks says what has changed:
 *
 *     >2 "invalidate" *n key ...     these keys
 *     >2 "invalidate" _              all
 *
 * Pure.
 */
#ifndef STA_INVALIDATION_H
#define STA_INVALIDATION_H

#include "strata/bytes.h"

enum sta_invalidation {
    STA_INVALIDATION_NONE, /* another push: not for us */
    STA_INVALIDATION_KEYS,
    STA_INVALIDATION_ALL /* or nobody can say what */
};

/* Calls visit() with each key, in order; the keys are in the frame. */
enum sta_invalidation sta_invalidation_read(struct strata_bytes frame,
                                            void (*visit)(void *arg, struct strata_bytes key),
                                            void *arg);

#endif
