/* SPDX-License-Identifier: MIT
 *
 * Saving what is hot, and warming: options' bounds, where names come from, and errors with their
 * particulars.
 */
#include "strata/warm.h"

#include "api/handle.h"
#include "cache/listing.h"
#include "cache/warm.h"
#include "core/error.h"

#define BATCH_DEFAULT 100u
#define SHARE_DEFAULT 50u

static uint64_t or_default(uint64_t given, uint64_t other)
{
    return given != 0 ? given : other;
}

/* ---- saving ---- */

int strata_save_hot(struct strata *cache, const char *path,
                    const struct strata_save_hot_options *options, uint64_t *saved,
                    struct strata_error *error)
{
    static const struct strata_save_hot_options defaults = {.max_keys = 0};
    uint64_t keys = 0;
    if (options == NULL)
        options = &defaults;
    if (path == NULL || path[0] == '\0')
        return sta_error_set(error, STRATA_ERR_INVALID, "a path is missing");
    if (sta_cache_l1(cache->cache) == NULL)
        return sta_error_set(error, STRATA_ERR_DISABLED, "there is no L1 (l1_enabled)");
    if (options->values == STRATA_ON && sta_cache_l2(cache->cache) != NULL)
        return sta_error_set(
            error, STRATA_ERR_INVALID,
            "values: only for a cache without L2; before Redis, keys are saved, and "
            "read again");
    const struct sta_hot_bounds bounds = {
        .max_keys = or_default(options->max_keys, UINT64_MAX),
        .max_bytes = or_default(options->max_bytes, STA_HOT_BYTES_DEFAULT),
        .values = options->values == STRATA_ON,
    };
    int status = sta_warm_save(cache->cache, path, &bounds, &keys, error);
    if (status == STRATA_OK && saved != NULL)
        *saved = keys;
    return status;
}

/* ---- where names come from ---- */

struct list_source {
    const struct strata_bytes *keys;
    size_t left;
};

static int list_next(void *source, struct strata_bytes *name)
{
    struct list_source *list = source;
    if (list->left == 0)
        return STRATA_MISS;
    *name = *list->keys++;
    list->left--;
    return STRATA_OK;
}

struct file_source {
    struct sta_hot_reader reader;
    struct strata_warm_progress *progress;
};

static int file_next(void *source, struct strata_bytes *name)
{
    struct file_source *file = source;
    struct sta_hot_record record;
    int status = sta_warm_next_saved(&file->reader, &record, file->progress);
    if (status == STRATA_OK)
        *name = record.key;
    return status;
}

static int pattern_next(void *source, struct strata_bytes *name)
{
    return sta_listing_next(source, name);
}

/* ---- warming ---- */

static int warm_check(const struct strata *cache, const struct strata_warm_options *options,
                      struct strata_error *error)
{
    const struct sta_cache_config *config = sta_cache_config(cache->cache);
    unsigned sources =
        (options->keys != NULL) + (options->pattern.len > 0) + (options->hot_file != NULL);
    if (sta_loop_is_own_thread(sta_cache_loop(cache->cache)))
        return sta_error_set(error, STRATA_ERR_INVALID, "not on the cache's I/O thread");
    if (sources != 1)
        return sta_error_set(error, STRATA_ERR_INVALID,
                             "exactly one of keys, pattern and hot_file, not %u", sources);
    if (options->batch_size > STA_WARM_BATCH_MOST || options->share > 100)
        return sta_error_set(error, STRATA_ERR_INVALID,
                             "batch_size is 1 to %u, share 1 to 100 percent", STA_WARM_BATCH_MOST);
    if (!config->l1_enabled)
        return sta_error_set(error, STRATA_ERR_DISABLED, "there is no L1 (l1_enabled)");
    if (!config->l2_enabled && options->hot_file == NULL)
        return sta_error_set(error, STRATA_ERR_DISABLED,
                             "there is no L2 to read keys from (l2_enabled)");
    if (config->l2_enabled && !config->read_through)
        return sta_error_set(error, STRATA_ERR_DISABLED, "read-through is off (read_through)");
    return STRATA_OK;
}

static int warm_pattern(struct strata *cache, struct sta_warm_config *warm,
                        struct strata_warm_progress *progress, struct strata_error *error)
{
    struct sta_listing_config config = {.pattern = warm->options->pattern};
    struct sta_listing *listing = NULL;
    int status = sta_listing_check_walk(&config.walk);
    if (status == STRATA_OK)
        status = sta_listing_create(&listing, cache->cache, &config);
    if (status < 0)
        return sta_error_set(error, status, "pattern: %s", strata_status_text(status));
    warm->next = pattern_next;
    warm->source = listing;
    status = sta_warm_run(cache->cache, warm, progress);
    const char *reason = sta_listing_reason(listing);
    if (status < 0)
        (void)sta_error_set(error, status, "%s",
                            reason[0] != '\0' ? reason : strata_status_text(status));
    sta_listing_destroy(&listing);
    return status;
}

static int warm_file(struct strata *cache, struct sta_warm_config *warm,
                     struct strata_warm_progress *progress, struct strata_error *error)
{
    struct file_source file = {.progress = progress};
    const char *path = warm->options->hot_file;
    int status = sta_hot_reader_open(&file.reader, path, error);
    if (status < 0)
        return status;
    progress->total = file.reader.head.count;
    warm->next = file_next;
    warm->source = &file;
    if (sta_cache_l2(cache->cache) != NULL)
        status = sta_warm_run(cache->cache, warm, progress);
    else if (file.reader.head.values)
        status = sta_warm_restore(cache->cache, &file.reader, warm->options, progress);
    else
        status = STRATA_ERR_INVALID;
    if (status == STRATA_ERR_INVALID)
        (void)sta_error_set(error, status,
                            "%s: has keys alone, and there is no L2 to read them from", path);
    else if (status < 0)
        (void)sta_error_set(error, status, "%s: %s", path, strata_status_text(status));
    sta_hot_reader_fini(&file.reader);
    return status;
}

int strata_warm(struct strata *cache, const struct strata_warm_options *options,
                struct strata_warm_progress *result, struct strata_error *error)
{
    struct strata_warm_progress progress = {.total = 0};
    if (result != NULL)
        *result = progress;
    struct strata_warm_options effective = *options;
    if (options->hot_file != NULL && options->hot_file[0] == '\0')
        effective.hot_file = NULL;
    int status = warm_check(cache, &effective, error);
    if (status < 0)
        return status;
    effective.max_keys = or_default(options->max_keys, UINT64_MAX);
    effective.batch_size = or_default(options->batch_size, BATCH_DEFAULT);
    effective.rate = or_default(options->rate, STRATA_UNLIMITED);
    effective.share = or_default(options->share, SHARE_DEFAULT);
    struct list_source list = {options->keys, options->key_count};
    struct sta_warm_config warm = {.options = &effective, .next = list_next, .source = &list};
    if (effective.hot_file != NULL) {
        status = warm_file(cache, &warm, &progress, error);
    } else if (options->pattern.len > 0) {
        status = warm_pattern(cache, &warm, &progress, error);
    } else {
        progress.total = options->key_count;
        status = sta_warm_run(cache->cache, &warm, &progress);
        if (status < 0)
            (void)sta_error_set(error, status, "%s", strata_status_text(status));
    }
    if (result != NULL)
        *result = progress;
    return status;
}
