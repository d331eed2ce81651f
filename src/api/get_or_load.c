/* SPDX-License-Identifier: MIT
 *
 * The calls of strata/load.h: arguments, one clock read, and to cache/load.c with what L1 does not
 * have. A hit costs what a hit of strata_get() costs.
 */
#include <pthread.h>

#include "api/handle.h"
#include "cache/load.h"
#include "core/clock.h"

static const struct strata_load_options defaults = {0};

/* Others wait for a load: its thread is not cancelled within it. */
static int load_slow(struct strata_load *load, struct strata_value *value)
{
    int cancelling;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelling);
    int status = sta_load_run(load, value);
    (void)pthread_setcancelstate(cancelling, NULL);
    return status;
}

int strata_get_or_load(struct strata *cache, struct strata_bytes key, strata_loader loader,
                       void *arg, const struct strata_load_options *options,
                       struct strata_value *value)
{
    struct sta_load_early early = {.due = false};
    if (loader == NULL || sta_loop_is_own_thread(sta_cache_loop(cache->cache)))
        return STRATA_ERR_INVALID;
    int status = sta_load_hit(cache->cache, key, options, sta_clock_now_ns(), value, &early);
    if (status != STRATA_MORE && !early.due)
        return status;
    struct strata_load load = {
        .cache = cache->cache,
        .key = key,
        .loader = loader,
        .arg = arg,
        .options = options != NULL ? options : &defaults,
    };
    if (status == STRATA_MORE)
        return load_slow(&load, value);
    sta_load_refresh(&load, &early);
    return status;
}

struct strata_bytes strata_load_key(const struct strata_load *load)
{
    return load->key;
}

int strata_load_set(struct strata_load *load, struct strata_bytes value, uint64_t ttl_ms)
{
    return sta_load_set(load, value, ttl_ms);
}

void strata_load_set_none(struct strata_load *load, uint64_t ttl_ms)
{
    sta_load_set_none(load, ttl_ms);
}

int strata_load_set_unchanged(struct strata_load *load, uint64_t ttl_ms)
{
    return sta_load_set_unchanged(load, ttl_ms);
}

int strata_load_previous(const struct strata_load *load, struct strata_bytes *value)
{
    if (!load->previous.there)
        return STRATA_MISS;
    *value = load->previous.value;
    return STRATA_OK;
}
