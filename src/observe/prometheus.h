/* SPDX-License-Identifier: MIT
 *
 * A snapshot as Prometheus' text: the table's rows, the histogram of durations, and where it is
 * detailed the series by node and by prefix.
 */
#ifndef STA_PROMETHEUS_H
#define STA_PROMETHEUS_H

#include "core/buffer.h"
#include "observe/snapshot.h"

#define STA_PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Nodes that have series of their own; the rest of a larger cluster has none. */
#define STA_PROMETHEUS_NODES_MOST 64u

/* Appends it. STRATA_OK; STRATA_ERR_NOMEM, STRATA_ERR_TOO_BIG, and there may be a part of it. */
int sta_prometheus_render(const struct sta_snapshot *snapshot, struct sta_buffer *out);

#endif
