/* SPDX-License-Identifier: MIT
 *
 * Driving a replay: slices of the trace to both sides in turns; stratad's own counters before
 * and after, on a connection of their own.
 */
#include "cli/replay.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/progress.h"
#include "cli/resp_client.h"
#include "cli/stats.h"
#include "cli/trace.h"
#include "core/clock.h"
#include "core/error.h"

/* Requests for each turn: long enough that filling and emptying the pipelines at its ends does
 * not count, short enough (tens of milliseconds) that both sides see the same weather. */
#define REPLAY_SLICE 2000u

struct cli_replay {
    struct cli_replay_options options;
    struct cli_trace *trace;
    struct cli_resp_client *observer; /* for stratad's counters */
    struct cli_replay_side *through;
    struct cli_replay_side *direct; /* or NULL */
    struct cli_replay_tiers tiers;
    uint64_t duration_ns;
    char prefixes[2][CLI_REPLAY_PREFIX_MOST + 1];
    struct cli_trace_record slice[REPLAY_SLICE];
};

static int replay_open_side(struct cli_replay *replay, const struct cli_target *target, bool direct,
                            struct cli_replay_side **out, struct strata_error *error)
{
    const struct cli_replay_options *options = &replay->options;
    char *prefix = replay->prefixes[direct];
    (void)snprintf(prefix, sizeof replay->prefixes[direct], "%s%s", options->prefix,
                   direct ? "d:" : "t:");
    const struct cli_replay_side_config config = {
        .target = target,
        .prefix = prefix,
        .lanes = options->lanes,
        .pipeline = options->pipeline,
        .value_bytes = options->value_bytes,
        .ttl_ms = options->ttl_ms,
        .timeout_ms = options->timeout_ms,
    };
    return cli_replay_side_open(out, &config, error);
}

/* A damaged trace is this machine's fault, not the server's. */
static int replay_blame_file(int status, struct strata_error *error)
{
    if (status != STRATA_ERR_PROTOCOL)
        return status;
    error->status = STRATA_ERR_SYSTEM;
    return STRATA_ERR_SYSTEM;
}

int cli_replay_open(struct cli_replay **out, const struct cli_replay_options *options,
                    struct strata_error *error)
{
    struct cli_replay *replay = calloc(1, sizeof *replay);
    if (replay == NULL)
        return sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
    replay->options = *options;
    int status = cli_trace_open(&replay->trace, options->path, error);
    if (status == STRATA_OK)
        status =
            cli_resp_client_open(&replay->observer, options->through, options->timeout_ms, error);
    if (status == STRATA_OK)
        status = replay_open_side(replay, options->through, false, &replay->through, error);
    if (status == STRATA_OK && options->direct != NULL)
        status = replay_open_side(replay, options->direct, true, &replay->direct, error);
    if (status < 0) {
        cli_replay_close(&replay);
        return status;
    }
    *out = replay;
    return STRATA_OK;
}

void cli_replay_close(struct cli_replay **replay)
{
    if (*replay == NULL)
        return;
    cli_trace_close(&(*replay)->trace);
    cli_resp_client_close(&(*replay)->observer);
    cli_replay_side_close(&(*replay)->through);
    cli_replay_side_close(&(*replay)->direct);
    free(*replay);
    *replay = NULL;
}

/* Stratad's count of L1 hits until now; `known` is false where there is none. */
static int replay_look(struct cli_replay *replay, struct cli_replay_tiers *tiers,
                       struct strata_error *error)
{
    json_t *document;
    int status = cli_stats_fetch(replay->observer, &document, error);
    *tiers = (struct cli_replay_tiers){0};
    if (status == STRATA_ERR_UNSUPPORTED)
        return STRATA_OK;
    if (status < 0)
        return status;
    json_int_t hits = 0;
    /* With L1 switched off there is nothing to count. */
    tiers->known = json_unpack(document, "{s:{s?I}}", "l1", "hits", &hits) == 0;
    tiers->l1_hits = (uint64_t)hits;
    json_decref(document);
    return STRATA_OK;
}

/* Reads the next slice; *count is less than a full one only at the end. */
static int replay_read(struct cli_replay *replay, uint64_t left, size_t *count,
                       struct strata_error *error)
{
    size_t most = left < REPLAY_SLICE ? (size_t)left : REPLAY_SLICE;
    int status = STRATA_OK;
    for (*count = 0; *count < most; ++*count) {
        status = cli_trace_next(replay->trace, &replay->slice[*count], error);
        if (status != STRATA_OK)
            break;
    }
    return status < 0 ? replay_blame_file(status, error) : STRATA_OK;
}

static int replay_turn(struct cli_replay *replay, size_t count, bool direct_first,
                       struct strata_error *error)
{
    if (replay->direct == NULL)
        return cli_replay_side_run(replay->through, replay->slice, count, error);
    struct cli_replay_side *first = direct_first ? replay->direct : replay->through;
    struct cli_replay_side *second = direct_first ? replay->through : replay->direct;
    int status = cli_replay_side_run(first, replay->slice, count, error);
    return status < 0 ? status : cli_replay_side_run(second, replay->slice, count, error);
}

/* How much is done, by whatever will end it: the trace, the limit or the time. */
static double replay_part(const struct cli_replay *replay, uint64_t done, uint64_t passed_ms)
{
    double of_file = cli_trace_progress(replay->trace);
    double of_limit = (double)done / (double)replay->options.limit;
    double of_time = (double)passed_ms / (double)replay->options.duration_ms;
    double part = of_file > of_limit ? of_file : of_limit;
    return part > of_time ? part : of_time;
}

static int replay_all(struct cli_replay *replay, struct strata_error *error)
{
    struct cli_progress progress;
    uint64_t limit = replay->options.limit;
    uint64_t begin_ms = sta_clock_now_ms();
    uint64_t end_ms = sta_clock_after(begin_ms, replay->options.duration_ms);
    uint64_t done = 0;
    size_t count = 0;
    int status = STRATA_OK;
    cli_progress_begin(&progress, sta_clock_now_ns());
    for (uint64_t turn = 0; status == STRATA_OK && done < limit; turn++) {
        uint64_t now_ns = sta_clock_now_ns();
        if (now_ns / STA_NS_MS >= end_ms)
            break;
        double part = replay_part(replay, done, now_ns / STA_NS_MS - begin_ms);
        cli_progress_update(&progress, part, done, now_ns);
        status = replay_read(replay, limit - done, &count, error);
        if (status < 0 || count == 0)
            break;
        status = replay_turn(replay, count, turn % 2 != 0, error);
        done += count;
    }
    cli_progress_end(&progress);
    return status;
}

int cli_replay_run(struct cli_replay *replay, struct strata_error *error)
{
    struct cli_replay_tiers before;
    struct cli_replay_tiers after;
    int status = replay_look(replay, &before, error);
    if (status < 0)
        return status;
    uint64_t begin_ns = sta_clock_now_ns();
    status = replay_all(replay, error);
    replay->duration_ns = sta_clock_now_ns() - begin_ns;
    if (status == STRATA_OK)
        status = replay_look(replay, &after, error);
    if (status < 0)
        return status;
    replay->tiers.known = before.known && after.known && after.l1_hits >= before.l1_hits;
    replay->tiers.l1_hits = replay->tiers.known ? after.l1_hits - before.l1_hits : 0;
    return STRATA_OK;
}

const struct cli_replay_counts *cli_replay_through(const struct cli_replay *replay)
{
    return cli_replay_side_counts(replay->through);
}

const struct cli_replay_counts *cli_replay_direct(const struct cli_replay *replay)
{
    return replay->direct == NULL ? NULL : cli_replay_side_counts(replay->direct);
}

struct cli_replay_tiers cli_replay_tiers(const struct cli_replay *replay)
{
    return replay->tiers;
}

double cli_replay_seconds(const struct cli_replay *replay)
{
    return (double)replay->duration_ns / (double)STA_NS_SEC;
}
