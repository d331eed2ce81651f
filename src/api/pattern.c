/* SPDX-License-Identifier: MIT
 *
 * Invalidation by pattern: options' bounds, and errors with their particulars.
 */
#include "strata/pattern.h"

#include "api/handle.h"
#include "cache/purge.h"
#include "core/clock.h"
#include "core/error.h"

#define PATTERN_MAX 65535u
#define TELL_NS     (100 * STA_NS_MS)

static struct strata_pattern_progress as_progress(const struct sta_purge_tally *tally)
{
    return (struct strata_pattern_progress){
        .found = tally->named, .deleted = tally->deleted, .unsure = tally->unsure};
}

static bool on_progress(void *arg, const struct sta_purge_tally *tally)
{
    const struct strata_pattern_options *options = arg;
    const struct strata_pattern_progress progress = as_progress(tally);
    return options->progress(options->progress_arg, &progress) == 0;
}

static int pattern_config(const struct strata_pattern_options *options, struct strata_bytes pattern,
                          struct sta_purge_config *config, struct strata_error *error)
{
    *config = (struct sta_purge_config){
        .pattern = pattern,
        .walk = {options->page, options->share, options->patience_ms},
        .tell_ns = TELL_NS,
        .progress = options->progress != NULL ? on_progress : NULL,
        .arg = (void *)options,
    };
    if (pattern.data == NULL || pattern.len == 0)
        return sta_error_set(error, STRATA_ERR_INVALID, "the pattern is empty; all keys are \"*\"");
    if (pattern.len > PATTERN_MAX)
        return sta_error_set(error, STRATA_ERR_TOO_BIG,
                             "the pattern has %zu bytes; allowed: 1 to %u", pattern.len,
                             PATTERN_MAX);
    int status = sta_listing_check_walk(&config->walk);
    return status == STRATA_OK ? STRATA_OK : sta_error_set(error, status, STA_LISTING_WALK_ALLOWED);
}

int strata_invalidate_pattern_with(struct strata *cache, struct strata_bytes pattern,
                                   const struct strata_pattern_options *options,
                                   struct strata_pattern_progress *result,
                                   struct strata_error *error)
{
    static const struct strata_pattern_options defaults = {.page = 0};
    struct sta_purge_tally tally = {.named = 0};
    struct sta_purge_config config;
    char reason[STA_LISTING_REASON];
    if (result != NULL)
        *result = as_progress(&tally);
    if (sta_loop_is_own_thread(sta_cache_loop(cache->cache)))
        return sta_error_set(error, STRATA_ERR_INVALID, "not on the cache's I/O thread");
    int status = pattern_config(options != NULL ? options : &defaults, pattern, &config, error);
    if (status < 0)
        return status;
    if (!sta_cache_invalidates(cache->cache))
        return sta_error_set(error, STRATA_ERR_DISABLED,
                             "invalidation is switched off (invalidation_enabled)");
    status = sta_purge_run(cache->cache, &config, &tally, reason);
    if (result != NULL)
        *result = as_progress(&tally);
    return status < 0 ? sta_error_set(error, status, "%s", reason) : status;
}

int strata_clear(struct strata *cache, uint64_t *count)
{
    const struct sta_cache_config *config = sta_cache_config(cache->cache);
    if (count != NULL)
        *count = 0;
    if (config->l2_enabled && config->key_prefix[0] == '\0')
        return STRATA_ERR_INVALID;
    return strata_invalidate_pattern(cache, strata_text("*"), count);
}

int strata_invalidate_pattern(struct strata *cache, struct strata_bytes pattern, uint64_t *count)
{
    struct strata_pattern_progress result;
    int status = strata_invalidate_pattern_with(cache, pattern, NULL, &result, NULL);
    if (count != NULL)
        *count = result.deleted;
    return status;
}
