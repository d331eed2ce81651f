/* SPDX-License-Identifier: MIT
 *
 * strata invalidate: deletes keys, by their names or all that match a pattern, and says how many
 * were there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cache.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/tally.h"
#include "core/clock.h"
#include "core/error.h"

enum { INVALIDATE_PATTERN, INVALIDATE_KEY_PREFIX, INVALIDATE_DRY_RUN, INVALIDATE_SHARE };

static const struct cli_option invalidate_options[] = {
    [INVALIDATE_PATTERN] = {"pattern", "GLOB", "all keys that match, instead of KEY..."},
    [INVALIDATE_KEY_PREFIX] = {"key-prefix", "TEXT",
                               "the caches' own: KEY... and GLOB are what stands behind it"},
    [INVALIDATE_DRY_RUN] = {"dry-run", NULL, "with --pattern: count, and delete nothing"},
    [INVALIDATE_SHARE] = {"share", "PERCENT", "of the time that a node may be asked; default 25"},
    {0},
};

/* Of the caches whose keys these are; "": they are named as Redis has them. */
static const char *key_prefix(const struct cli_run *run)
{
    const char *given = cli_run_option(run, INVALIDATE_KEY_PREFIX);
    return given != NULL ? given : "";
}

/* ---- keys ---- */

static enum cli_exit report_keys(const struct cli_run *run, const int *statuses)
{
    struct cli_tally tally = {.yes = 0};
    for (size_t i = 0; i < run->count; i++) {
        int status = statuses[i];
        tally.yes += status == STRATA_OK;
        tally.no += status == STRATA_MISS;
        tally.denied += status == STRATA_ERR_DENIED;
        tally.failed += status < 0 && status != STRATA_ERR_DENIED;
        if (status < 0)
            cli_output_complain("%s: %s", run->operands[i], strata_status_text(status));
    }
    enum cli_exit code = cli_tally_exit(&tally);
    if (run->json)
        return cli_output_json(json_pack("{s:I, s:I, s:I}", "deleted", (json_int_t)tally.yes,
                                         "not_there", (json_int_t)tally.no, "failed",
                                         (json_int_t)(tally.denied + tally.failed)),
                               code);
    (void)printf("%zu\n", tally.yes);
    return code;
}

static enum cli_exit invalidate_keys(const struct cli_run *run, struct strata *cache)
{
    struct strata_error error = {.status = STRATA_ERR_NOMEM, .text = "out of memory"};
    struct strata_bytes *keys = calloc(run->count, sizeof *keys);
    int *statuses = calloc(run->count, sizeof *statuses);
    enum cli_exit code = CLI_NEGATIVE;
    if (keys == NULL || statuses == NULL) {
        code = cli_output_failure(run, &error);
    } else {
        for (size_t i = 0; i < run->count; i++)
            keys[i] = strata_text(run->operands[i]);
        int status = strata_delete_many(cache, keys, run->count, statuses);
        if (status < 0 && status != STRATA_ERR_PARTIAL && status != STRATA_ERR_INVALID) {
            (void)sta_error_set(&error, status, "%s", strata_status_text(status));
            code = cli_output_failure(run, &error);
        } else {
            code = report_keys(run, statuses);
        }
    }
    free(statuses);
    free(keys);
    return code;
}

/* ---- a pattern ---- */

struct counting {
    struct cli_progress progress;
    uint64_t begun_ns;
};

static int on_progress(void *arg, const struct strata_pattern_progress *progress)
{
    struct counting *counting = arg;
    char count[CLI_PROGRESS_COUNT_CAP], rate[CLI_PROGRESS_COUNT_CAP];
    uint64_t took_ms = (sta_clock_now_ns() - counting->begun_ns) / STA_NS_MS;
    if (counting->progress.shown)
        (void)fprintf(stderr, "\r%s deleted  %s/s\x1b[K",
                      cli_progress_count(progress->deleted, count),
                      cli_progress_count(progress->deleted * 1000 / (took_ms + 1), rate));
    return 0;
}

static int delete_matching(struct strata *cache, struct strata_bytes pattern, uint64_t share,
                           uint64_t patience_ms, struct strata_pattern_progress *result,
                           struct strata_error *error)
{
    struct counting counting = {.begun_ns = sta_clock_now_ns()};
    const struct strata_pattern_options options = {.share = share,
                                                   .patience_ms = patience_ms,
                                                   .progress = on_progress,
                                                   .progress_arg = &counting};
    cli_progress_begin(&counting.progress, counting.begun_ns);
    int status = strata_invalidate_pattern_with(cache, pattern, &options, result, error);
    cli_progress_end(&counting.progress);
    return status;
}

static int count_matching(struct strata *cache, struct strata_bytes pattern, uint64_t share,
                          uint64_t patience_ms, struct strata_pattern_progress *result,
                          struct strata_error *error)
{
    const struct strata_keys_options options = {.pattern = pattern,
                                                .share = share,
                                                .patience_ms = patience_ms,
                                                .max_bytes = STRATA_UNLIMITED};
    struct strata_keys *keys = NULL;
    struct strata_bytes name;
    int status = strata_keys_open(&keys, cache, &options);
    if (status < 0)
        return sta_error_set(error, status, "%s", strata_status_text(status));
    while ((status = strata_keys_next(keys, &name, error)) == STRATA_OK)
        result->found++;
    strata_keys_close(&keys);
    return status == STRATA_MISS ? STRATA_OK : status;
}

static enum cli_exit report_json(const struct cli_run *run,
                                 const struct strata_pattern_progress *result, bool dry)
{
    json_t *document = json_pack("{s:I, s:I, s:I, s:b}", "matched", (json_int_t)result->found,
                                 "deleted", (json_int_t)result->deleted, "unsure",
                                 (json_int_t)result->unsure, "dry_run", dry);
    if (document != NULL &&
        cli_output_member(document, "key_prefix", strata_text(key_prefix(run))) < 0) {
        json_decref(document);
        document = NULL;
    }
    return cli_output_json(document, CLI_OK);
}

/* The names that were meant stand nowhere on the command line where there is a prefix. */
static enum cli_exit report_pattern(const struct cli_run *run,
                                    const struct strata_pattern_progress *result, bool dry)
{
    uint64_t count = dry ? result->found : result->deleted;
    if (run->json)
        return report_json(run, result, dry);
    (void)printf("%" PRIu64 "\n", count);
    if (key_prefix(run)[0] != '\0')
        cli_output_complain("%" PRIu64 " keys that match %s%s %s", count, key_prefix(run),
                            cli_run_option(run, INVALIDATE_PATTERN),
                            dry ? "are there" : "were deleted");
    if (result->unsure > 0)
        cli_output_complain("%" PRIu64 " more are gone, perhaps by us: answers were lost",
                            result->unsure);
    return CLI_OK;
}

static enum cli_exit invalidate_pattern(const struct cli_run *run, struct strata *cache,
                                        uint64_t share)
{
    struct strata_bytes pattern = strata_text(cli_run_option(run, INVALIDATE_PATTERN));
    struct strata_pattern_progress result = {.found = 0};
    struct strata_error error = {.text = ""};
    bool dry = cli_run_option(run, INVALIDATE_DRY_RUN) != NULL;
    int status = (dry ? count_matching : delete_matching)(cache, pattern, share, run->timeout_ms,
                                                          &result, &error);
    if (status < 0 && !run->json)
        cli_output_complain("%" PRIu64 " keys were deleted before that:", result.deleted);
    if (status < 0)
        return cli_output_failure(run, &error);
    return report_pattern(run, &result, dry);
}

/* ---- which ---- */

static int check(const struct cli_run *run, uint64_t *share, struct strata_error *error)
{
    bool pattern = cli_run_option(run, INVALIDATE_PATTERN) != NULL;
    if (pattern == (run->count > 0))
        return sta_error_set(error, STRATA_ERR_INVALID, "either KEY... or --pattern GLOB");
    if (pattern && cli_run_option(run, INVALIDATE_PATTERN)[0] == '\0')
        return sta_error_set(error, STRATA_ERR_INVALID, "--pattern: nothing; all keys are '*'");
    if (!pattern && cli_run_option(run, INVALIDATE_DRY_RUN) != NULL)
        return sta_error_set(error, STRATA_ERR_INVALID, "--dry-run: only with --pattern");
    return cli_arguments_number(&invalidate_options[INVALIDATE_SHARE],
                                cli_run_option(run, INVALIDATE_SHARE), 1, 100, share, error);
}

static enum cli_exit run_invalidate(struct cli_run *run)
{
    struct strata *cache = NULL;
    struct strata_error error;
    uint64_t share = 0;
    int status = check(run, &share, &error);
    if (status == STRATA_OK)
        status = cli_cache_open(run, key_prefix(run), &cache, &error);
    if (status < 0)
        return cli_output_failure(run, &error);
    enum cli_exit code =
        run->count > 0 ? invalidate_keys(run, cache) : invalidate_pattern(run, cache, share);
    strata_close(&cache);
    return code;
}

const struct cli_command cli_command_invalidate = {
    .name = "invalidate",
    .operands = "[KEY...]",
    .summary = "delete keys, by name or by pattern, and print how many were there",
    .text =
        "Of a cluster, which is recognized, on all primaries. With --pattern, patterns are those\n"
        "of 'strata keys'; how far it is stands on standard error where that is a terminal.\n"
        "Keys are named as Redis has them. Where caches put a prefix before them, --key-prefix\n"
        "is theirs: what matches is then hidden in them from the begin, and not when its turn\n"
        "comes.\n"
        "Interrupted, it has deleted what it has deleted: beginning again goes on.",
    .least = 0,
    .most = 1000000,
    .connects = true,
    .options = invalidate_options,
    .run = run_invalidate,
};
