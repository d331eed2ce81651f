/* SPDX-License-Identifier: MIT
 *
 * The numbers of a snapshot, by name. The rows of L1's own counters come from its own table
 * (l1/counters.h). Besides these there are the series by node and by prefix and the histogram of
 * durations (prometheus.c).
 */
#ifndef STA_METRIC_TABLE_H
#define STA_METRIC_TABLE_H

#include "observe/metric.h"
#include "observe/snapshot.h"

extern const struct sta_metric sta_metric_table[]; /* of struct sta_snapshot; ends with no help */

/* Of struct strata_l2_node; `path` is the name of the member. Ends with no help. */
extern const struct sta_metric sta_metric_node_table[];

/* Of struct sta_prefix_numbers; `path` is below the prefix. Ends with no help. */
extern const struct sta_metric sta_metric_prefix_table[];

#endif
