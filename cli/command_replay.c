/* SPDX-License-Identifier: MIT
 *
 * strata replay: a recorded request trace as read-through gets, with the answers checked.
 */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/replay.h"
#include "cli/replay_report.h"
#include "cli/target.h"
#include "core/error.h"
#include "core/random.h"

enum { COMPARE, LIMIT, DURATION, CONNECTIONS, PIPELINE, VALUE_BYTES, TTL, PREFIX };

static const struct cli_option replay_options[] = {
    [COMPARE] = {"compare", "URL", "ask this server the same, in turns with the first"},
    [LIMIT] = {"limit", "N", "stop after N requests; default: the whole trace"},
    [DURATION] = {"duration", "SECONDS", "stop after so long, wherever it is"},
    [CONNECTIONS] = {"connections", "N", "to each server, 1 to 256; default 4"},
    [PIPELINE] = {"pipeline", "N",
                  "requests under way on each connection, 1 to 1024; default 1. Latencies then "
                  "include the wait for those before"},
    [VALUE_BYTES] = {"value-bytes", "N",
                     "the longest value, and the length where the trace gives none; 32 to "
                     "1048576; default 100"},
    [TTL] = {"ttl", "SECONDS", "of the keys that the loader stores; default 3600"},
    [PREFIX] = {"prefix", "TEXT",
                "of all keys; default strata:replay: and a random number, so that every replay "
                "begins cold"},
    {0},
};

/* Fills `options`; `prefix` and `direct` are memory for it. */
static int read_options(const struct cli_run *run, struct cli_replay_options *options,
                        char prefix[CLI_REPLAY_PREFIX_MOST], struct cli_target *direct,
                        struct strata_error *error)
{
    const struct {
        size_t option;
        uint64_t least, most;
        uint64_t *out;
    } numbers[] = {
        {LIMIT, 1, UINT64_MAX, &options->limit},
        {CONNECTIONS, 1, CLI_REPLAY_LANES_MOST, &options->lanes},
        {PIPELINE, 1, CLI_REPLAY_PIPELINE_MOST, &options->pipeline},
        {VALUE_BYTES, CLI_REPLAY_VALUE_LEAST, CLI_REPLAY_VALUE_MOST, &options->value_bytes},
    };
    int status = STRATA_OK;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && status == STRATA_OK; i++)
        status = cli_arguments_number(&replay_options[numbers[i].option],
                                      cli_run_option(run, numbers[i].option), numbers[i].least,
                                      numbers[i].most, numbers[i].out, error);
    if (status == STRATA_OK)
        status = cli_arguments_seconds(&replay_options[TTL], cli_run_option(run, TTL),
                                       &options->ttl_ms, error);
    if (status == STRATA_OK)
        status = cli_arguments_seconds(&replay_options[DURATION], cli_run_option(run, DURATION),
                                       &options->duration_ms, error);
    const char *compare = cli_run_option(run, COMPARE);
    if (status == STRATA_OK && compare != NULL) {
        status = cli_target_parse("--compare", compare, direct, error);
        options->direct = direct;
    }
    const char *given = cli_run_option(run, PREFIX);
    if (status == STRATA_OK && given != NULL && strlen(given) > CLI_REPLAY_PREFIX_MOST - 2)
        status = sta_error_set(error, STRATA_ERR_INVALID, "--prefix: must be at most %u bytes",
                               CLI_REPLAY_PREFIX_MOST - 2);
    (void)snprintf(prefix, CLI_REPLAY_PREFIX_MOST,
                   "strata:replay:%08x:", (unsigned)sta_random_seed());
    options->prefix = given != NULL ? given : prefix;
    return status;
}

static enum cli_exit report(const struct cli_run *run, const struct cli_replay *replay,
                            const struct cli_replay_options *options)
{
    const struct cli_replay_counts *a = cli_replay_through(replay);
    const struct cli_replay_counts *b = cli_replay_direct(replay);
    bool good = a->wrong == 0 && a->errors == 0 && (b == NULL || (b->wrong == 0 && b->errors == 0));
    enum cli_exit code = good ? CLI_OK : CLI_NEGATIVE;
    if (run->json)
        return cli_output_json(cli_replay_report_json(replay, options), code);
    cli_replay_report_print(replay, options);
    return code;
}

static enum cli_exit run_replay(struct cli_run *run)
{
    char prefix[CLI_REPLAY_PREFIX_MOST];
    struct cli_target direct = {.tls = NULL};
    struct strata_error error;
    struct cli_replay *replay = NULL;
    struct cli_replay_options options = {
        .path = run->operands[0],
        .through = &run->target,
        .limit = UINT64_MAX,
        .duration_ms = UINT64_MAX,
        .lanes = 4,
        .pipeline = 1,
        .value_bytes = 100,
        .ttl_ms = 3600000,
        .timeout_ms = run->timeout_ms,
    };
    int status = read_options(run, &options, prefix, &direct, &error);
    if (status == STRATA_OK)
        status = cli_replay_open(&replay, &options, &error);
    if (status == STRATA_OK)
        status = cli_replay_run(replay, &error);
    enum cli_exit code =
        status < 0 ? cli_output_failure(run, &error) : report(run, replay, &options);
    cli_replay_close(&replay);
    cli_target_close(&direct);
    return code;
}

const struct cli_command cli_command_replay = {
    .name = "replay",
    .operands = "FILE",
    .summary = "replay a request trace, check every value, time every answer",
    .text =
        "FILE is a *.rks.zst trace (bench/traces/README.md). Every request is a GET; where the\n"
        "server has nothing, a loader makes the value from the key and stores it with SET.\n"
        "What comes back later is compared with that: a wrong value, or an error reply, makes\n"
        "the exit code 1. With --compare a second server is asked the same under other keys.",
    .least = 1,
    .most = 1,
    .connects = true,
    .options = replay_options,
    .run = run_replay,
};
