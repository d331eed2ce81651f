/* SPDX-License-Identifier: MIT
 *
 * What is behind a strata_value: a lease of L1, or a block of memory of its own.
 *
 *     owner[0]  the L1 whose lease this is; NULL: a block of its own, or nothing
 *     owner[1]  the lease's pin, or the block (free())
 */
#ifndef STA_VALUE_H
#define STA_VALUE_H

#include "l1/l1.h"
#include "strata/cache.h"

/* Takes the lease over. */
void sta_value_from_lease(struct strata_value *value, struct sta_l1 *l1,
                          const struct sta_l1_lease *lease);

/* Gives back what an operation handed out, and zeroes it; a zeroed value is fine. */
void sta_value_release(struct strata_value *value);

/* A copy of `bytes`; STRATA_ERR_NOMEM leaves `value` untouched. */
int sta_value_from_bytes(struct strata_value *value, struct strata_bytes bytes);

#endif
