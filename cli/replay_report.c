/* SPDX-License-Identifier: MIT
 *
 * Rendering the results of a replay; see replay_report.h. Durations are those of GET: what a
 * reader waits for the cache, without the loader's work and its SET.
 */
#include "cli/replay_report.h"

#include <stdio.h>

#include "cli/output.h"
#include "cli/progress.h"

#define CELL_CAP 40

static const struct {
    const char *name; /* in the table */
    const char *key;  /* in JSON */
    double fraction;
} report_quantiles[] = {
    {"p50", "p50_us", 0.5},
    {"p99", "p99_us", 0.99},
    {"p99.9", "p99_9_us", 0.999},
    {"slowest", "max_us", 1.0},
};
enum { QUANTILES = sizeof report_quantiles / sizeof report_quantiles[0] };

static double ratio(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0.0 : (double)part / (double)whole;
}

static double quantile_us(const struct sta_histogram *histogram, double fraction)
{
    return (double)sta_histogram_quantile(histogram, fraction) / 1000.0;
}

static void print_row(const char *name, const char *left, const char *right)
{
    (void)printf("%-22s %24s", name, left);
    if (right != NULL)
        (void)printf(" %24s", right);
    (void)putchar('\n');
}

/* "12,345  67.8 %". */
static const char *share(uint64_t part, uint64_t whole, char cell[CELL_CAP])
{
    char count[CLI_PROGRESS_COUNT_CAP];
    (void)snprintf(cell, CELL_CAP, "%s %6.2f %%", cli_progress_count(part, count),
                   100.0 * ratio(part, whole));
    return cell;
}

static const char *number(uint64_t value, char cell[CELL_CAP])
{
    char count[CLI_PROGRESS_COUNT_CAP];
    (void)snprintf(cell, CELL_CAP, "%s", cli_progress_count(value, count));
    return cell;
}

static void print_counts(const struct cli_replay_counts *a, const struct cli_replay_counts *b,
                         struct cli_replay_tiers tiers)
{
    char left[CELL_CAP];
    char right[CELL_CAP];
    uint64_t l1 = tiers.l1_hits < a->hits ? tiers.l1_hits : a->hits;
#define RIGHT(text) (b != NULL ? (text) : NULL)
    print_row("requests", number(a->requests, left), RIGHT(number(b->requests, right)));
    if (tiers.known) {
        print_row("answered by L1", share(l1, a->requests, left), RIGHT("-"));
        print_row("answered by L2", share(a->hits - l1, a->requests, left),
                  RIGHT(share(b->hits, b->requests, right)));
    } else {
        print_row("answered by the server", share(a->hits, a->requests, left),
                  RIGHT(share(b->hits, b->requests, right)));
    }
    print_row("answered by the loader", share(a->loads, a->requests, left),
              RIGHT(share(b->loads, b->requests, right)));
    (void)snprintf(left, sizeof left, "%.2f %%", 100.0 * ratio(a->hits, a->requests));
    if (b != NULL)
        (void)snprintf(right, sizeof right, "%.2f %%", 100.0 * ratio(b->hits, b->requests));
    print_row("hit ratio", left, RIGHT(right));
    if (a->wrong > 0 || (b != NULL && b->wrong > 0))
        print_row("WRONG VALUES", number(a->wrong, left), RIGHT(number(b->wrong, right)));
    if (a->errors > 0 || (b != NULL && b->errors > 0))
        print_row("error replies", number(a->errors, left), RIGHT(number(b->errors, right)));
#undef RIGHT
}

static void print_latencies(const struct cli_replay_counts *a, const struct cli_replay_counts *b)
{
    for (size_t i = 0; i < QUANTILES; i++) {
        char name[32];
        char left[CELL_CAP];
        char right[CELL_CAP];
        double fraction = report_quantiles[i].fraction;
        (void)snprintf(name, sizeof name, "latency %s", report_quantiles[i].name);
        (void)snprintf(left, sizeof left, "%.1f us", quantile_us(&a->get_ns, fraction));
        if (b != NULL)
            (void)snprintf(right, sizeof right, "%.1f us", quantile_us(&b->get_ns, fraction));
        print_row(name, left, b != NULL ? right : NULL);
    }
}

static void complain(const char *side, const struct cli_replay_counts *counts)
{
    if (counts != NULL && counts->wrong > 0)
        cli_output_complain("%s: wrong value: %s", side, counts->first_wrong);
    if (counts != NULL && counts->errors > 0)
        cli_output_complain("%s: %s", side, counts->first_error);
}

void cli_replay_report_print(const struct cli_replay *replay,
                             const struct cli_replay_options *options)
{
    const struct cli_replay_counts *a = cli_replay_through(replay);
    const struct cli_replay_counts *b = cli_replay_direct(replay);
    struct cli_replay_tiers tiers = cli_replay_tiers(replay);
    print_row("", tiers.known ? "through stratad" : "server", b != NULL ? "directly" : NULL);
    print_counts(a, b, tiers);
    print_latencies(a, b);
    (void)printf("%zu connection%s, %zu request%s at a time on each; %.1f s in all\n",
                 options->lanes, options->lanes == 1 ? "" : "s", options->pipeline,
                 options->pipeline == 1 ? "" : "s", cli_replay_seconds(replay));
    complain(tiers.known ? "through stratad" : "server", a);
    complain("directly", b);
}

static json_t *latencies_json(const struct sta_histogram *histogram)
{
    json_t *object = json_object();
    int result = object == NULL ? -1 : 0;
    for (size_t i = 0; i < QUANTILES && result == 0; i++) {
        double us = quantile_us(histogram, report_quantiles[i].fraction);
        result = json_object_set_new(object, report_quantiles[i].key, json_real(us));
    }
    if (result == 0)
        result = json_object_set_new(object, "mean_us",
                                     json_real(sta_histogram_mean(histogram) / 1000.0));
    if (result == 0)
        return object;
    json_decref(object);
    return NULL;
}

/* One server's part: adds "first_error" and "first_wrong" only where there is one. */
static json_t *side_json(const struct cli_target *target, const struct cli_replay_counts *counts)
{
    char server[300];
    sta_redis_url_format(&target->url, server, sizeof server);
    json_t *object =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:o}", "server", server, "requests",
                  (json_int_t)counts->requests, "hits", (json_int_t)counts->hits, "loader",
                  (json_int_t)counts->loads, "wrong", (json_int_t)counts->wrong, "errors",
                  (json_int_t)counts->errors, "hit_ratio", ratio(counts->hits, counts->requests),
                  "get", latencies_json(&counts->get_ns), "set", latencies_json(&counts->set_ns));
    int result = object == NULL ? -1 : 0;
    if (result == 0 && counts->errors > 0)
        result = cli_output_member(object, "first_error", strata_text(counts->first_error));
    if (result == 0 && counts->wrong > 0)
        result = cli_output_member(object, "first_wrong", strata_text(counts->first_wrong));
    if (result == 0)
        return object;
    json_decref(object);
    return NULL;
}

json_t *cli_replay_report_json(const struct cli_replay *replay,
                               const struct cli_replay_options *options)
{
    const struct cli_replay_counts *a = cli_replay_through(replay);
    const struct cli_replay_counts *b = cli_replay_direct(replay);
    struct cli_replay_tiers tiers = cli_replay_tiers(replay);
    json_t *through = side_json(options->through, a);
    uint64_t l1 = tiers.l1_hits < a->hits ? tiers.l1_hits : a->hits;
    if (through != NULL && tiers.known &&
        (json_object_set_new(through, "l1", json_integer((json_int_t)l1)) < 0 ||
         json_object_set_new(through, "l2", json_integer((json_int_t)(a->hits - l1))) < 0)) {
        json_decref(through);
        return NULL;
    }
    json_t *direct = b == NULL ? json_null() : side_json(options->direct, b);
    return json_pack("{s:s, s:I, s:I, s:f, s:o, s:o}", "trace", options->path, "connections",
                     (json_int_t)options->lanes, "pipeline", (json_int_t)options->pipeline,
                     "seconds", cli_replay_seconds(replay), "through", through, "direct", direct);
}
