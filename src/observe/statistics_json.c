/* SPDX-License-Identifier: MIT
 *
 * See statistics_json.h.
 */
#include "observe/statistics_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/metric_table.h"
#include "observe/operation_name.h"

static json_t *integer(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static json_t *value_json(const struct sta_metric *metric, const void *object)
{
    const char *at = (const char *)object + metric->offset;
    uint64_t whole;
    double real;
    int number;
    switch (metric->type) {
    case STA_METRIC_UINT64:
        memcpy(&whole, at, sizeof whole);
        return integer(whole);
    case STA_METRIC_NANOSECONDS:
        memcpy(&whole, at, sizeof whole);
        return json_real((double)whole / 1e9);
    case STA_METRIC_DOUBLE:
        memcpy(&real, at, sizeof real);
        return json_real(real);
    case STA_METRIC_INT:
        memcpy(&number, at, sizeof number);
        return json_integer(number);
    }
    return NULL;
}

/* Sets a.b.c, with the objects on the way to it. Takes `value`. */
static int set_at(json_t *root, const char *path, json_t *value)
{
    const char *dot;
    for (; (dot = strchr(path, '.')) != NULL; path = dot + 1) {
        size_t len = (size_t)(dot - path);
        json_t *next = json_object_getn(root, path, len);
        if (next == NULL && json_object_setn_new(root, path, len, json_object()) < 0) {
            json_decref(value);
            return -1;
        }
        root = json_object_getn(root, path, len);
    }
    return json_object_set_new(root, path, value);
}

int sta_statistics_json_table(json_t *root, const struct sta_metric *table, const void *object,
                              unsigned parts)
{
    for (const struct sta_metric *metric = table; metric->help != NULL; metric++) {
        if (metric->path != NULL && (metric->parts & parts) == metric->parts &&
            set_at(root, metric->path, value_json(metric, object)) < 0)
            return -1;
    }
    return 0;
}

static double seconds(const struct sta_histogram *histogram, double fraction)
{
    return (double)sta_histogram_quantile(histogram, fraction) / 1e9;
}

static json_t *histogram_json(const struct sta_histogram *histogram)
{
    return json_pack("{so sf sf sf sf sf}", "count", integer(histogram->count), "mean_seconds",
                     sta_histogram_mean(histogram) / 1e9, "p50_seconds", seconds(histogram, 0.5),
                     "p90_seconds", seconds(histogram, 0.9), "p99_seconds",
                     seconds(histogram, 0.99), "p999_seconds", seconds(histogram, 0.999));
}

static int set_durations(json_t *root, const struct sta_snapshot *snapshot)
{
    struct sta_histogram *histogram = malloc(sizeof *histogram);
    int failed = histogram == NULL ? -1 : 0;
    for (unsigned i = 0; failed == 0 && i < STA_TIMING_OPERATIONS * STA_TIMING_TIERS; i++) {
        unsigned operation = i / STA_TIMING_TIERS, tier = i % STA_TIMING_TIERS;
        unsigned part = tier == STA_TIMING_L1 ? STA_SNAPSHOT_TIMED_L1 : STA_SNAPSHOT_L2;
        char path[64];
        if ((snapshot->parts & part) == 0)
            continue;
        memset(histogram, 0, sizeof *histogram);
        sta_timing_read(snapshot->timing, operation, tier, histogram);
        (void)snprintf(path, sizeof path, "latency.%s.%s", sta_operation_name(operation),
                       sta_operation_tier_name(tier));
        failed = set_at(root, path, histogram_json(histogram));
    }
    free(histogram);
    return failed;
}

static json_t *node_json(const struct strata_l2_node *node)
{
    json_t *json =
        json_pack("{ss ss}", "address", node->address, "state", strata_l2_state_name(node->state));
    if (json != NULL && sta_statistics_json_table(json, sta_metric_node_table, node, 0) < 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}

static int set_nodes(json_t *root, const struct strata_l2_health *nodes)
{
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < nodes->total_nodes; i++) {
        if (json_array_append_new(list, node_json(&nodes->nodes[i])) < 0) {
            json_decref(list);
            return -1;
        }
    }
    return set_at(root, "l2_cache.nodes", list);
}

static json_t *prefix_json(const struct sta_prefixes_row *row)
{
    json_t *json = json_pack("{ss}", "prefix", row->prefix);
    if (json != NULL &&
        sta_statistics_json_table(json, sta_metric_prefix_table, &row->numbers, 0) < 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}

static int set_prefixes(json_t *root, struct sta_prefixes *prefixes)
{
    size_t count = 0;
    json_t *list = json_array();
    struct sta_prefixes_row *rows = malloc(STA_PREFIXES_ROWS * sizeof *rows);
    int failed = list == NULL || rows == NULL || sta_prefixes_read(prefixes, rows, &count) < 0;
    for (size_t i = 0; !failed && i < count; i++)
        failed = json_array_append_new(list, prefix_json(&rows[i])) < 0;
    free(rows);
    if (!failed)
        return set_at(root, "prefixes", list);
    json_decref(list);
    return -1;
}

/* The words are told in docs/metrics.md. */
static json_t *mode_json(enum strata_coherence mode)
{
    static const char *const names[] = {
        [STRATA_COHERENCE_TTL] = "ttl",
        [STRATA_COHERENCE_UNKNOWN] = "unknown",
        [STRATA_COHERENCE_TRACKING] = "tracking",
        [STRATA_COHERENCE_BCAST] = "bcast",
    };
    return json_string(names[mode]);
}

json_t *sta_statistics_json(const struct sta_snapshot *snapshot)
{
    json_t *root = json_object();
    int failed = root == NULL ? -1 : 0;
    if (failed == 0)
        failed = sta_statistics_json_table(root, sta_metric_table, snapshot, snapshot->parts);
    if (failed == 0 && (snapshot->parts & STA_SNAPSHOT_COHERENCE) != 0)
        failed = set_at(root, "coherence.mode", mode_json(snapshot->statistics.coherence));
    if (failed == 0 && snapshot->timing != NULL)
        failed = set_durations(root, snapshot);
    if (failed == 0 && snapshot->nodes != NULL)
        failed = set_nodes(root, snapshot->nodes);
    if (failed == 0 && snapshot->prefixes != NULL)
        failed = set_prefixes(root, snapshot->prefixes);
    if (failed == 0)
        return root;
    json_decref(root);
    return NULL;
}
