/* SPDX-License-Identifier: MIT
 *
 * strata top: what stratad does now, again and again in place. Rates are differences of its
 * counters between two looks.
 */
#include <stdio.h>
#include <string.h>

#include "cli/looks.h"
#include "cli/output.h"
#include "cli/stats.h"
#include "core/clock.h"
#include "core/error.h"

enum { TOP_ONCE = CLI_LOOKS_WATCH }; /* it looks again unless that is given */

static const struct cli_option top_options[] = {
    [TOP_ONCE] = {"once", NULL, "print one picture and end"},
    [CLI_LOOKS_INTERVAL] = {"interval", "SECONDS", "between two looks; default 1"},
    [CLI_LOOKS_COUNT] = {"count", "N", "end after N pictures"},
    {0},
};

enum kind {
    PER_SECOND, /* of a counter */
    NOW
};

static const struct row {
    const char *name; /* in JSON */
    const char *label;
    const char *path;
    enum kind kind;
} rows[] = {
    {"clients", "clients", "sessions.open", NOW},
    {"commands_per_second", "commands/s", "commands.total", PER_SECOND},
    {"writes_per_second", "writes/s", "commands.writes", PER_SECOND},
    {"l1_hits_per_second", "L1 hits/s", "metrics.l1.hits", PER_SECOND},
    {"l1_misses_per_second", "L1 misses/s", "metrics.l1.misses", PER_SECOND},
    {"misses_cold_per_second", "  cold", "metrics.l1.misses_by_reason.cold", PER_SECOND},
    {"misses_expired_per_second", "  expired", "metrics.l1.misses_by_reason.expired", PER_SECOND},
    {"misses_invalidated_per_second", "  invalidated", "metrics.l1.misses_by_reason.invalidated",
     PER_SECOND},
    {"misses_evicted_per_second", "  evicted", "metrics.l1.misses_by_reason.evicted", PER_SECOND},
    {"misses_suspect_per_second", "  suspect", "metrics.l1.misses_by_reason.suspect", PER_SECOND},
    {"invalidations_per_second", "invalidations/s", "coherence.invalidations", PER_SECOND},
    {"l1_entries", "L1 entries", "l1_cache.total_entries", NOW},
    {"l1_memory_bytes", "L1 memory, bytes", "l1_cache.memory_usage_bytes", NOW},
    {"l1_get_p50_seconds", "L1 get p50, s", "latency.get.l1.p50_seconds", NOW},
    {"l1_get_p99_seconds", "L1 get p99, s", "latency.get.l1.p99_seconds", NOW},
    {"l2_get_p50_seconds", "Redis get p50, s", "latency.get.l2.p50_seconds", NOW},
    {"l2_get_p99_seconds", "Redis get p99, s", "latency.get.l2.p99_seconds", NOW},
    {"l2_set_p99_seconds", "Redis set p99, s", "latency.set.l2.p99_seconds", NOW},
    {"l2_timeouts_per_second", "Redis timeouts/s", "l2_cache.timeouts", PER_SECOND},
};

#define ROWS (sizeof rows / sizeof rows[0])

/* What is said of each Redis node, as its document has it. */
static const struct {
    const char *name;
    const char *label;
    bool timed; /* 0 stands for what was not measured */
} node_columns[] = {{"latency_seconds", "mean, s", true},
                    {"latency_p99_seconds", "p99, s", true},
                    {"in_flight", "in flight", false},
                    {"reconnects", "reconnects", false}};

#define NODE_COLUMNS (sizeof node_columns / sizeof node_columns[0])

struct picture {
    uint64_t at_ns;
    double values[ROWS]; /* as stratad tells them */
    json_t *document;
};

/* The number at a path; 0 where there is none, because a tier is off. */
static double number_at(const json_t *object, const char *path)
{
    for (const char *dot; (dot = strchr(path, '.')) != NULL; path = dot + 1)
        object = json_object_getn(object, path, (size_t)(dot - path));
    return json_number_value(json_object_get(object, path));
}

static int take(const struct cli_run *run, struct picture *out, struct strata_error *error)
{
    json_t *document = NULL;
    int status = cli_stats_ask(run, &document, error);
    if (status < 0)
        return status;
    *out = (struct picture){.at_ns = sta_clock_now_ns(), .document = document};
    for (size_t i = 0; i < ROWS; i++)
        out->values[i] = number_at(document, rows[i].path);
    return STRATA_OK;
}

static double shown(const struct picture *before, const struct picture *now, size_t row)
{
    double seconds = (double)(now->at_ns - before->at_ns) / (double)STA_NS_SEC;
    double more = now->values[row] - before->values[row];
    if (rows[row].kind == NOW)
        return now->values[row];
    return more > 0 && seconds > 0 ? more / seconds : 0; /* less: stratad was started anew */
}

static const char *state_of(const struct picture *picture, const char *part)
{
    const json_t *health = json_object_get(picture->document, "health");
    const char *state = json_string_value(json_object_get(json_object_get(health, part), "state"));
    return state != NULL ? state : "unknown";
}

static double total_ratio(const struct picture *picture)
{
    return number_at(picture->document, "metrics.combined.hit_ratio");
}

static double more_at(const struct picture *before, const struct picture *now, const char *path)
{
    return number_at(now->document, path) - number_at(before->document, path);
}

/* Of the gets between two looks, the part that L1, or either tier, answered; below 0 where there
 * were none, or stratad was started anew. A get that both tiers were asked for counts once. */
struct ratios {
    double l1, both;
};

static struct ratios ratios_between(const struct picture *before, const struct picture *now)
{
    double l1 = more_at(before, now, "metrics.l1.hits");
    double l2 = more_at(before, now, "metrics.l2.hits");
    double missed = more_at(before, now, "metrics.l2.misses");
    double asked = l1 + l2 + missed;
    if (l1 < 0 || l2 < 0 || missed < 0 || asked <= 0)
        return (struct ratios){-1, -1};
    return (struct ratios){l1 / asked, (l1 + l2) / asked};
}

static json_t *nodes_of(const struct picture *picture)
{
    return json_object_get(json_object_get(picture->document, "l2_cache"), "nodes");
}

/* Counts to the last digit; of what is measured, four. */
static void print_number(const char *label, double value)
{
    bool whole = value == (double)(long long)value;
    (void)printf(whole ? "%-20s %.0f\n" : "%-20s %.4g\n", label, value);
}

static void print_ratio(double ratio)
{
    if (ratio < 0)
        (void)printf("none");
    else
        (void)printf("%.2f %%", 100 * ratio);
}

static void print_ratios(const struct picture *before, const struct picture *now)
{
    struct ratios ratios = ratios_between(before, now);
    (void)printf("%-20s ", "hit ratio");
    print_ratio(ratios.both);
    (void)printf(" now (L1 ");
    print_ratio(ratios.l1);
    (void)printf("), %.2f %% since the start\n", 100 * total_ratio(now));
}

static void print_column(const json_t *node, size_t column)
{
    double value = number_at(node, node_columns[column].name);
    if (node_columns[column].timed && value <= 0)
        (void)printf(" %10s", "-");
    else
        (void)printf(" %10.4g", value);
}

static void print_nodes(const struct picture *now)
{
    size_t i;
    json_t *node;
    (void)printf("%-20s %-10s", "Redis node", "state");
    for (size_t column = 0; column < NODE_COLUMNS; column++)
        (void)printf(" %10s", node_columns[column].label);
    (void)putchar('\n');
    json_array_foreach(nodes_of(now), i, node)
    {
        (void)printf("%-20s %-10s", json_string_value(json_object_get(node, "address")),
                     json_string_value(json_object_get(node, "state")));
        for (size_t column = 0; column < NODE_COLUMNS; column++)
            print_column(node, column);
        (void)putchar('\n');
    }
}

static void print_picture(const struct picture *before, const struct picture *now)
{
    (void)printf("%-20s L1 %s, Redis %s, overall %s\n", "health", state_of(now, "l1_cache"),
                 state_of(now, "l2_cache"), state_of(now, "overall"));
    print_ratios(before, now);
    for (size_t i = 0; i < ROWS; i++)
        print_number(rows[i].label, shown(before, now, i));
    if (json_array_size(nodes_of(now)) > 0)
        print_nodes(now);
}

/* NULL stands for memory that is out. */
static json_t *nodes_json(const struct picture *picture)
{
    json_t *list = json_array(), *from;
    size_t i;
    json_array_foreach(nodes_of(picture), i, from)
    {
        json_t *node = json_pack("{s:O?, s:O?}", "address", json_object_get(from, "address"),
                                 "state", json_object_get(from, "state"));
        for (size_t column = 0; column < NODE_COLUMNS && node != NULL; column++)
            (void)json_object_set(node, node_columns[column].name,
                                  json_object_get(from, node_columns[column].name));
        (void)json_array_append_new(list, node);
    }
    return list;
}

static json_t *ratio_json(double ratio)
{
    return ratio < 0 ? json_null() : json_real(ratio);
}

static json_t *picture_json(const struct picture *before, const struct picture *now)
{
    struct ratios ratios = ratios_between(before, now);
    json_t *document = json_pack("{s:{s:s, s:s, s:s}, s:f, s:o, s:o, s:o}", "health", "l1_cache",
                                 state_of(now, "l1_cache"), "l2_cache", state_of(now, "l2_cache"),
                                 "overall", state_of(now, "overall"), "hit_ratio_total",
                                 total_ratio(now), "hit_ratio", ratio_json(ratios.both),
                                 "l1_hit_ratio", ratio_json(ratios.l1), "nodes", nodes_json(now));
    for (size_t i = 0; i < ROWS && document != NULL; i++)
        (void)json_object_set_new(document, rows[i].name, json_real(shown(before, now, i)));
    return document;
}

static enum cli_exit show(const struct cli_run *run, const struct cli_looks *looks,
                          const struct picture *before, const struct picture *now)
{
    if (run->json)
        return cli_output_json(picture_json(before, now), CLI_OK);
    cli_looks_clear(looks);
    print_picture(before, now);
    if (!cli_output_is_terminal())
        (void)putchar('\n');
    return CLI_OK;
}

/* A stratad that goes away ends it. */
static enum cli_exit go_on(const struct cli_run *run, struct cli_looks *looks)
{
    struct picture before = {0}, now = {0};
    struct strata_error error;
    enum cli_exit code = CLI_OK;
    int status = take(run, &before, &error);
    if (status == STRATA_OK)
        cli_looks_pause(looks);
    while (status == STRATA_OK && (status = take(run, &now, &error)) == STRATA_OK) {
        code = show(run, looks, &before, &now);
        json_decref(before.document);
        before = now;
        if (!cli_looks_again(looks))
            break;
    }
    json_decref(before.document);
    return status < 0 ? cli_output_failure(run, &error) : code;
}

static enum cli_exit run_top(struct cli_run *run)
{
    struct cli_looks looks;
    struct strata_error error;
    if (cli_looks_read(&looks, run, &error) < 0)
        return cli_output_failure(run, &error);
    looks.watching = cli_run_option(run, TOP_ONCE) == NULL;
    return go_on(run, &looks);
}

const struct cli_command cli_command_top = {
    .name = "top",
    .operands = "",
    .summary = "show what stratad does now, again and again",
    .text =
        "Rates and hit ratios are of the last interval. With --json a document for each picture.",
    .connects = true,
    .options = top_options,
    .run = run_top,
};
