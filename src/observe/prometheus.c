/* SPDX-License-Identifier: MIT
 *
 * See prometheus.h.
 */
#include "observe/prometheus.h"

#include <stdio.h>
#include <stdlib.h>

#include "observe/exposition.h"
#include "observe/metric_table.h"
#include "observe/operation_name.h"

#define US UINT64_C(1000)
#define MS (1000 * US)
#define S  (1000 * MS)

/* The tiers are three powers of ten apart, and so are their buckets. */
static const uint64_t edges_l1[] = {50,       100,      200,      500,     1 * US,
                                    2 * US,   5 * US,   10 * US,  20 * US, 50 * US,
                                    100 * US, 200 * US, 500 * US, 1 * MS};
static const uint64_t edges_l2[] = {50 * US,  100 * US, 200 * US, 500 * US, 1 * MS,   2 * MS,
                                    5 * MS,   10 * MS,  20 * MS,  50 * MS,  100 * MS, 200 * MS,
                                    500 * MS, 1 * S,    2 * S,    5 * S};

static const struct {
    const uint64_t *edges_ns;
    size_t count;
} buckets[STA_TIMING_TIERS] = {
    [STA_TIMING_L1] = {edges_l1, sizeof edges_l1 / sizeof edges_l1[0]},
    [STA_TIMING_L2] = {edges_l2, sizeof edges_l2 / sizeof edges_l2[0]},
};

#define DURATION "cache_operation_duration_seconds"

static void put_duration(struct sta_exposition *exposition, const struct sta_snapshot *snapshot,
                         enum sta_timing_operation operation, enum sta_timing_tier tier)
{
    char labels[64];
    struct sta_histogram *histogram = calloc(1, sizeof *histogram);
    if (histogram == NULL) {
        exposition->status = STRATA_ERR_NOMEM;
        return;
    }
    sta_timing_read(snapshot->timing, operation, tier, histogram);
    (void)snprintf(labels, sizeof labels, "operation=\"%s\",tier=\"%s\"",
                   sta_operation_name(operation), sta_operation_tier_name(tier));
    sta_exposition_histogram(exposition, DURATION, labels, histogram, buckets[tier].edges_ns,
                             buckets[tier].count);
    free(histogram);
}

static void put_durations(struct sta_exposition *exposition, const struct sta_snapshot *snapshot)
{
    if (snapshot->timing == NULL)
        return;
    sta_exposition_family(exposition, DURATION, "histogram",
                          "Time of an operation, by the tier that ended it. Of those that L1 ends "
                          "one in 64 is timed, of those that Redis ends each.");
    for (unsigned tier = 0; tier < STA_TIMING_TIERS; tier++) {
        unsigned part = tier == STA_TIMING_L1 ? STA_SNAPSHOT_TIMED_L1 : STA_SNAPSHOT_L2;
        for (unsigned i = 0; i < STA_TIMING_OPERATIONS && (snapshot->parts & part) != 0; i++)
            put_duration(exposition, snapshot, i, tier);
    }
}

static void put_nodes(struct sta_exposition *exposition, const struct strata_l2_health *nodes)
{
    size_t count = nodes->total_nodes;
    if (count > STA_PROMETHEUS_NODES_MOST)
        count = STA_PROMETHEUS_NODES_MOST;
    for (const struct sta_metric *row = sta_metric_node_table; row->help != NULL; row++) {
        for (size_t i = 0; i < count; i++)
            sta_exposition_metric(exposition, row, &nodes->nodes[i], "node",
                                  nodes->nodes[i].address);
    }
}

/* Family by family: rows of one name stand next to each other. */
static void put_prefixes(struct sta_exposition *exposition, struct sta_prefixes *prefixes)
{
    size_t count;
    struct sta_prefixes_row *rows = malloc(STA_PREFIXES_ROWS * sizeof *rows);
    int status = rows != NULL ? sta_prefixes_read(prefixes, rows, &count) : STRATA_ERR_NOMEM;
    if (status < 0)
        exposition->status = status;
    for (const struct sta_metric *row = sta_metric_prefix_table;
         status == STRATA_OK && row->help != NULL; row++) {
        for (size_t i = 0; i < count; i++)
            sta_exposition_metric(exposition, row, &rows[i].numbers, "prefix", rows[i].prefix);
    }
    free(rows);
}

int sta_prometheus_render(const struct sta_snapshot *snapshot, struct sta_buffer *out)
{
    struct sta_exposition exposition;
    sta_exposition_init(&exposition, out);
    sta_exposition_table(&exposition, sta_metric_table, snapshot, snapshot->parts);
    put_durations(&exposition, snapshot);
    if (snapshot->detailed && snapshot->nodes != NULL)
        put_nodes(&exposition, snapshot->nodes);
    if (snapshot->prefixes != NULL)
        put_prefixes(&exposition, snapshot->prefixes);
    return exposition.status;
}
