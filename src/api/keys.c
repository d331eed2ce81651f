/* SPDX-License-Identifier: MIT
 *
 * The iterator over keys: its options' bounds, and errors with their particulars.
 */
#include "strata/keys.h"

#include <stdlib.h>

#include "api/handle.h"
#include "cache/listing.h"
#include "core/error.h"

#define MEMORY_DEFAULT ((uint64_t)256 << 20)

struct strata_keys {
    struct strata *cache;
    struct sta_listing *listing;
};

static int keys_config(const struct strata_keys_options *options, struct sta_listing_config *config)
{
    *config = (struct sta_listing_config){
        .pattern = options->pattern,
        .walk = {options->page, options->share, options->patience_ms},
    };
    if (options->repeats != STRATA_ON)
        config->seen_bytes = options->max_bytes != 0 ? options->max_bytes : MEMORY_DEFAULT;
    if (options->pattern.data == NULL && options->pattern.len > 0)
        return STRATA_ERR_INVALID;
    return sta_listing_check_walk(&config->walk);
}

int strata_keys_open(struct strata_keys **out, struct strata *cache,
                     const struct strata_keys_options *options)
{
    static const struct strata_keys_options all = {.page = 0};
    struct sta_listing_config config;
    int status = keys_config(options != NULL ? options : &all, &config);
    if (status < 0)
        return status;
    struct strata_keys *keys = calloc(1, sizeof *keys);
    if (keys == NULL)
        return STRATA_ERR_NOMEM;
    keys->cache = cache;
    status = sta_listing_create(&keys->listing, cache->cache, &config);
    if (status < 0) {
        free(keys);
        return status;
    }
    *out = keys;
    return STRATA_OK;
}

int strata_keys_next(struct strata_keys *keys, struct strata_bytes *key, struct strata_error *error)
{
    if (sta_loop_is_own_thread(sta_cache_loop(keys->cache->cache)))
        return sta_error_set(error, STRATA_ERR_INVALID, "not on the cache's I/O thread");
    int status = sta_listing_next(keys->listing, key);
    if (status < 0)
        (void)sta_error_set(error, status, "%s", sta_listing_reason(keys->listing));
    return status;
}

void strata_keys_close(struct strata_keys **keys)
{
    if (keys == NULL || *keys == NULL)
        return;
    sta_listing_destroy(&(*keys)->listing);
    free(*keys);
    *keys = NULL;
}
