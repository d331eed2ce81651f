/* SPDX-License-Identifier: MIT
 *
 * strata warm: asks stratad for keys, so that it has them. Values come, are counted, and let go.
 * Between batches it looks whether stratad's L1 is full: what is read first is the hottest, and
 * would be the first to be evicted.
 */
#include <inttypes.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/key_source.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/resp_client.h"
#include "cli/stats.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/nap.h"
#include "core/pace.h"

#define BATCH_KEYS   100u
#define RATE_PERIODS 10u  /* batches a second at least, where there is a rate */
#define LOOK_EVERY   500u /* keys */

enum { WARM_KEYS_FROM, WARM_PATTERN, WARM_HOT, WARM_RATE };

static const struct cli_option warm_options[] = {
    [WARM_KEYS_FROM] = {"keys-from", "FILE", "a key on each line; - is standard input"},
    [WARM_PATTERN] = {"pattern", "GLOB", "all keys that match"},
    [WARM_HOT] = {"hot", "FILE",
                  "a hot set that stratad or a program has saved, the hottest first"},
    [WARM_RATE] = {"rate", "N", "keys a second at most; default: as fast as they come"},
    {0},
};

struct warming {
    const struct cli_run *run;
    struct cli_resp_client *client;
    struct cli_key_source source;
    struct cli_progress progress;
    uint64_t begun_ns;
    uint64_t rate; /* UINT64_MAX: none */
    uint64_t keys, warmed, missing, failed;
    uint64_t looked_at; /* keys, when L1 was last looked at */
    json_int_t evictions;
    bool full;
    struct strata_error refusal; /* the first */
};

/* ---- whether there is room ---- */

static json_int_t l1_number(const json_t *document, const char *name)
{
    return json_integer_value(json_object_get(json_object_get(document, "l1"), name));
}

static bool is_full(const struct warming *warming, const json_t *stats)
{
    json_int_t most = l1_number(stats, "max_entries"), bytes = l1_number(stats, "max_bytes");
    return l1_number(stats, "evictions") != warming->evictions ||
           (most > 0 && l1_number(stats, "entries") >= most) ||
           l1_number(stats, "memory_bytes") > bytes - bytes / 16;
}

/* At the beginning it also finds out whether this is a stratad, with an L1. */
static int look(struct warming *warming, struct strata_error *error)
{
    json_t *stats = NULL;
    int status = cli_stats_fetch(warming->client, &stats, error);
    if (status == STRATA_ERR_UNSUPPORTED)
        error->status = STRATA_ERR_SERVER; /* not a matter of the command line */
    if (status < 0)
        return error->status;
    if (!json_is_true(json_object_get(json_object_get(stats, "l1"), "enabled")))
        status = sta_error_set(error, STRATA_ERR_DISABLED, "stratad's L1 is off (l1_enabled)");
    if (warming->keys == 0)
        warming->evictions = l1_number(stats, "evictions");
    warming->full = status == STRATA_OK && is_full(warming, stats);
    warming->looked_at = warming->keys;
    json_decref(stats);
    return status;
}

/* ---- a batch ---- */

/* STRATA_OK: there may be more; STRATA_MISS: that was all. */
static int ask(struct warming *warming, size_t *asked, struct strata_error *error)
{
    uint64_t most = warming->rate / RATE_PERIODS;
    int status = STRATA_OK;
    most = most > BATCH_KEYS ? BATCH_KEYS : most == 0 ? 1 : most;
    for (*asked = 0; *asked < most && status == STRATA_OK; *asked += status == STRATA_OK) {
        struct strata_bytes argv[] = {strata_text("GET"), {NULL, 0}};
        status = cli_key_source_next(&warming->source, &argv[1], error);
        if (status == STRATA_OK)
            status = cli_resp_client_send(warming->client, argv, 2, error);
    }
    return status;
}

static int take(struct warming *warming, size_t asked, struct strata_error *error)
{
    for (size_t i = 0; i < asked; i++) {
        struct sta_resp_value reply;
        struct strata_error refusal;
        int status = cli_resp_client_reply(warming->client, &reply, error);
        if (status < 0)
            return status;
        warming->keys++;
        if (cli_resp_client_check(&reply, &refusal) < 0) {
            if (warming->failed++ == 0)
                warming->refusal = refusal;
        } else if (reply.type == STA_RESP_NULL) {
            warming->missing++;
        } else {
            warming->warmed++;
        }
    }
    return STRATA_OK;
}

static void draw(struct warming *warming)
{
    char keys[CLI_PROGRESS_COUNT_CAP], rate[CLI_PROGRESS_COUNT_CAP];
    uint64_t now_ns = sta_clock_now_ns();
    if (warming->source.total > 0) {
        cli_progress_update(&warming->progress,
                            (double)warming->keys / (double)warming->source.total, warming->keys,
                            now_ns);
    } else if (warming->progress.shown) {
        uint64_t ms = (now_ns - warming->begun_ns) / STA_NS_MS + 1;
        (void)fprintf(stderr, "\r%s keys  %s/s\x1b[K", cli_progress_count(warming->keys, keys),
                      cli_progress_count(warming->keys * 1000 / ms, rate));
    }
}

static void keep_to_rate(const struct warming *warming)
{
    if (warming->rate == UINT64_MAX)
        return;
    uint64_t due_ns = sta_pace_due_ns(warming->begun_ns, warming->keys, warming->rate);
    uint64_t now_ns = sta_clock_now_ns();
    if (due_ns > now_ns)
        sta_nap_ns(due_ns - now_ns);
}

static int warm(struct warming *warming, struct strata_error *error)
{
    int more = STRATA_OK, status = look(warming, error);
    while (status == STRATA_OK && more == STRATA_OK && !warming->full) {
        size_t asked = 0;
        more = ask(warming, &asked, error);
        status = more < 0 ? more : take(warming, asked, error);
        draw(warming);
        if (status == STRATA_OK && warming->keys - warming->looked_at >= LOOK_EVERY)
            status = look(warming, error);
        if (more == STRATA_OK)
            keep_to_rate(warming);
    }
    return status;
}

/* ---- which, and what became of it ---- */

static enum cli_exit report(const struct cli_run *run, const struct warming *warming)
{
    enum cli_exit code = warming->failed > 0 || warming->source.torn ? CLI_PARTIAL : CLI_OK;
    double seconds = (double)(sta_clock_now_ns() - warming->begun_ns) / (double)STA_NS_SEC;
    if (warming->failed > 0 && warming->failed == warming->keys)
        code = cli_command_exit(warming->refusal.status);
    if (warming->failed > 0)
        cli_output_complain("%" PRIu64 " keys were refused, the first: %s", warming->failed,
                            warming->refusal.text);
    if (warming->source.torn)
        cli_output_complain("%s: torn after %" PRIu64 " of %" PRIu64 " keys", warming->source.name,
                            warming->keys, warming->source.total);
    if (run->json)
        return cli_output_json(
            json_pack("{s:I, s:I, s:I, s:I, s:b, s:b, s:f}", "keys", (json_int_t)warming->keys,
                      "warmed", (json_int_t)warming->warmed, "missing",
                      (json_int_t)warming->missing, "failed", (json_int_t)warming->failed, "full",
                      warming->full, "torn", warming->source.torn, "seconds", seconds),
            code);
    (void)printf("warmed %" PRIu64 " of %" PRIu64 " keys in %.1f s; %" PRIu64
                 " are not in Redis%s\n",
                 warming->warmed, warming->keys, seconds, warming->missing,
                 warming->full ? "; stratad's L1 is full" : "");
    return code;
}

static int open_source(struct cli_run *run, struct warming *warming, struct strata_error *error)
{
    const char *lines = cli_run_option(run, WARM_KEYS_FROM);
    const char *pattern = cli_run_option(run, WARM_PATTERN), *hot = cli_run_option(run, WARM_HOT);
    if ((lines != NULL) + (pattern != NULL) + (hot != NULL) != 1)
        return sta_error_set(error, STRATA_ERR_INVALID,
                             "exactly one of --keys-from FILE, --pattern GLOB and --hot FILE");
    if (lines != NULL)
        return cli_key_source_open_lines(&warming->source, lines, error);
    if (hot != NULL)
        return cli_key_source_open_hot(&warming->source, hot, error);
    if (pattern[0] == '\0')
        return sta_error_set(error, STRATA_ERR_INVALID, "--pattern: nothing; all keys are '*'");
    return cli_key_source_open_pattern(&warming->source, run, pattern, error);
}

static enum cli_exit run_warm(struct cli_run *run)
{
    struct warming warming = {.run = run, .rate = UINT64_MAX};
    struct strata_error error;
    int status = cli_arguments_number(&warm_options[WARM_RATE], cli_run_option(run, WARM_RATE), 1,
                                      100000000, &warming.rate, &error);
    if (status == STRATA_OK)
        status = open_source(run, &warming, &error);
    if (status == STRATA_OK)
        status = cli_resp_client_open(&warming.client, &run->target, run->timeout_ms, &error);
    warming.begun_ns = sta_clock_now_ns();
    cli_progress_begin(&warming.progress, warming.begun_ns);
    if (status == STRATA_OK)
        status = warm(&warming, &error);
    cli_progress_end(&warming.progress);
    enum cli_exit code = status < 0 ? cli_output_failure(run, &error) : report(run, &warming);
    cli_resp_client_close(&warming.client);
    cli_key_source_close(&warming.source);
    return code;
}

const struct cli_command cli_command_warm = {
    .name = "warm",
    .operands = "",
    .summary = "have stratad read keys, so that it answers them from memory",
    .text = "Keys come from --keys-from, --pattern or --hot, are asked for in batches, and their "
            "values\n"
            "let go. It ends when stratad's L1 is full: what is there is not evicted for more. How "
            "far\n"
            "it is stands on standard error where that is a terminal. Interrupted, what was read "
            "stays.",
    .least = 0,
    .most = 0,
    .connects = true,
    .options = warm_options,
    .run = run_warm,
};
