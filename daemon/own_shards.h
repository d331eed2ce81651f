/* SPDX-License-Identifier: MIT
 *
 * Names of the shard channels that a client's own connection is subscribed to, so that they can be
 * subscribed to anew where their slot goes. A few: each look goes over all of them. Pure.
 */
#ifndef STA_OWN_SHARDS_H
#define STA_OWN_SHARDS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buffer.h"
#include "strata/bytes.h"

struct sta_own_shards {
    struct sta_buffer names; /* each with its length before it */
    size_t count;
};

void sta_own_shards_init(struct sta_own_shards *shards);
void sta_own_shards_fini(struct sta_own_shards *shards);

bool sta_own_shards_has(const struct sta_own_shards *shards, struct strata_bytes name);

/* Without effect where it is there. STRATA_ERR_NOMEM. */
int sta_own_shards_add(struct sta_own_shards *shards, struct strata_bytes name);

/* Without effect where it is not. */
void sta_own_shards_remove(struct sta_own_shards *shards, struct strata_bytes name);

/* Appends SSUBSCRIBE with all of them. STRATA_ERR_NOMEM. */
int sta_own_shards_write(const struct sta_own_shards *shards, struct sta_buffer *wire);

#endif
