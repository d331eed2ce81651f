/* SPDX-License-Identifier: MIT
 *
 * What is behind a strata_value: a lease of L1, a block of memory of its own, or either of these
 * shared with others.
 *
 *     owner[0]  the L1 whose lease this is; NULL: a block of its own, shared, or nothing
 *     owner[1]  the lease's pin, the block (free()), or what is shared
 *     owner[2]  what is shared; NULL: the value is its only owner's
 */
#ifndef STA_VALUE_H
#define STA_VALUE_H

#include "core/buffer.h"
#include "l1/l1.h"
#include "strata/cache.h"

/* Takes the lease over. */
void sta_value_from_lease(struct strata_value *value, struct sta_l1 *l1,
                          const struct sta_l1_lease *lease);

/* Gives back what an operation handed out, and zeroes it; a zeroed value is fine. */
void sta_value_release(struct strata_value *value);

/* A copy of `bytes`; STRATA_ERR_NOMEM leaves `value` untouched. */
int sta_value_from_bytes(struct strata_value *value, struct strata_bytes bytes);

/* The same of bytes that lie in `memory` (NULL: in nobody's), which is taken, and nothing copied,
 * where they are most of it. */
int sta_value_from_memory(struct strata_value *value, struct strata_bytes bytes,
                          struct sta_buffer *memory);

/* From here on it holds nothing of L1: a lease becomes a copy. STRATA_ERR_NOMEM leaves it as it
 * was. */
int sta_value_own(struct strata_value *value);

/* From here on it may be shared; STRATA_ERR_NOMEM leaves it as it was. */
int sta_value_make_shared(struct strata_value *value);

/* Another owner of a value that may be shared: each releases its own, on any thread. */
struct strata_value sta_value_share(const struct strata_value *value);

#endif
