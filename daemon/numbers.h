/* SPDX-License-Identifier: MIT
 *
 * The daemon's numbers as the library shows its own (observe/snapshot.h): a single Redis is one
 * node, whose state is that of the workers' shared lanes; a cluster has its nodes, each in the
 * worst state that a worker saw (node_board.h).
 *
 * Threads: any, while the workers exist.
 */
#ifndef STA_NUMBERS_H
#define STA_NUMBERS_H

#include <jansson.h>

#include "core/buffer.h"
#include "daemon/stats.h"
#include "observe/snapshot.h"
#include "strata/observe.h"

/* STRATA_ERR_NOMEM. To be given to sta_snapshot_fini(). */
int sta_numbers_take(struct sta_snapshot *out, const struct sta_stratad *stratad);

/* Appends Prometheus' text. STRATA_ERR_NOMEM, STRATA_ERR_TOO_BIG. */
int sta_numbers_prometheus(const struct sta_stratad *stratad, struct sta_buffer *out);

/* {"l1_cache": {"state", "reason", "text"}, "l2_cache", "overall"}: a new reference, or NULL where
 * memory is out. `overall` (may be NULL) is set to the state as a whole. */
json_t *sta_numbers_health(const struct sta_stratad *stratad, enum strata_health_state *overall);

#endif
