/* SPDX-License-Identifier: MIT
 *
 * strata latency: how long operations take, by operation and by the tier that ended them, since
 * stratad was started; once or until it is interrupted.
 */
#include <stdio.h>

#include "cli/looks.h"
#include "cli/output.h"
#include "cli/stats.h"
#include "core/error.h"

static const struct cli_option latency_options[] = {
    CLI_LOOKS_OPTIONS("go on looking until interrupted"),
    {0},
};

static const struct {
    const char *label;
    const char *name; /* in stratad's document */
} columns[] = {{"mean", "mean_seconds"},
               {"p50", "p50_seconds"},
               {"p90", "p90_seconds"},
               {"p99", "p99_seconds"},
               {"p99.9", "p999_seconds"}};

#define COLUMNS (sizeof columns / sizeof columns[0])

/* In the unit in which it has one to three digits before the point. */
static void print_time(double seconds)
{
    static const struct {
        double least;
        const char *unit;
    } units[] = {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {0, "ns"}};
    size_t i = 0;
    while (seconds < units[i].least)
        i++;
    char text[32];
    (void)snprintf(text, sizeof text, "%.3g %s",
                   seconds / (units[i].least > 0 ? units[i].least : 1e-9), units[i].unit);
    (void)printf(" %9s", text);
}

/* A line, where anything was timed. */
static void print_line(const char *operation, const char *tier, const json_t *times)
{
    json_int_t count = json_integer_value(json_object_get(times, "count"));
    if (count == 0)
        return;
    (void)printf("%-9s %-4s %12" JSON_INTEGER_FORMAT, operation, tier, count);
    for (size_t i = 0; i < COLUMNS; i++)
        print_time(json_number_value(json_object_get(times, columns[i].name)));
    (void)putchar('\n');
}

static void print_latency(json_t *latency)
{
    const char *operation, *tier;
    json_t *tiers, *times;
    (void)printf("%-9s %-4s %12s", "operation", "tier", "timed");
    for (size_t i = 0; i < COLUMNS; i++)
        (void)printf(" %9s", columns[i].label);
    (void)putchar('\n');
    json_object_foreach(latency, operation, tiers)
    {
        json_object_foreach(tiers, tier, times)
        {
            print_line(operation, tier, times);
        }
    }
}

static int fetch(const struct cli_run *run, json_t **out, struct strata_error *error)
{
    json_t *document = NULL;
    int status = cli_stats_ask(run, &document, error);
    if (status < 0)
        return status;
    *out = json_incref(json_object_get(document, "latency"));
    json_decref(document);
    return *out != NULL ? STRATA_OK
                        : sta_error_set(error, STRATA_ERR_SERVER,
                                        "stratad times nothing: CACHE_METRICS_ENABLED is false");
}

static enum cli_exit look(const struct cli_run *run, const struct cli_looks *looks)
{
    struct strata_error error;
    json_t *latency = NULL;
    if (fetch(run, &latency, &error) < 0)
        return cli_output_failure(run, &error);
    if (run->json)
        return cli_output_json(latency, CLI_OK);
    cli_looks_clear(looks);
    print_latency(latency);
    json_decref(latency);
    return CLI_OK;
}

static enum cli_exit run_latency(struct cli_run *run)
{
    struct cli_looks looks;
    struct strata_error error;
    enum cli_exit code;
    if (cli_looks_read(&looks, run, &error) < 0)
        return cli_output_failure(run, &error);
    do
        code = look(run, &looks);
    while (code == CLI_OK && cli_looks_again(&looks));
    return code;
}

const struct cli_command cli_command_latency = {
    .name = "latency",
    .operands = "",
    .summary = "show how long operations take, by tier",
    .text =
        "Since stratad was started. What Redis ends is timed always, of what L1 ends one in 64.",
    .connects = true,
    .options = latency_options,
    .run = run_latency,
};
