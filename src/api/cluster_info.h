/* SPDX-License-Identifier: MIT
 *
 * From what a monitor sees to what the public calls hand out: one block of memory with the info
 * and its arrays.
 */
#ifndef STA_CLUSTER_INFO_H
#define STA_CLUSTER_INFO_H

#include "l2/cluster_monitor.h"
#include "strata/cluster.h"

/* STRATA_OK with a block for strata_cluster_info_free(); STRATA_ERR_NOMEM. The monitor has
 * something to see. */
int sta_cluster_info_create(struct strata_cluster_info **out,
                            const struct sta_cluster_monitor *monitor, uint64_t now_ns);

/* A copy of its own. STRATA_ERR_NOMEM. */
int sta_cluster_info_copy(struct strata_cluster_info **out, const struct strata_cluster_info *info);

#endif
