/* SPDX-License-Identifier: MIT
 *
 * A snapshot as JSON: the table's rows at their paths, durations with their quantiles, the nodes,
 * and where they are counted the prefixes.
 */
#ifndef STA_STATISTICS_JSON_H
#define STA_STATISTICS_JSON_H

#include <jansson.h>

#include "observe/metric.h"
#include "observe/snapshot.h"

/* A new reference; NULL where memory is out. */
json_t *sta_statistics_json(const struct sta_snapshot *snapshot);

/* Sets the rows of a table (ends with no help) that have a path and all of whose parts are there in
 * `root`. 0, or -1 where memory is out. */
int sta_statistics_json_table(json_t *root, const struct sta_metric *table, const void *object,
                              unsigned parts);

#endif
