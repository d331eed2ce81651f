/* SPDX-License-Identifier: MIT
 *
 * The calls of strata/load.h: arguments, one clock read, and to cache/load.c with what L1 does not
 * have. A hit costs what a hit of strata_get() costs.
 */
#include <pthread.h>
#include <string.h>

#include "api/handle.h"
#include "api/outcome.h"
#include "cache/load.h"
#include "core/clock.h"

static const struct strata_load_options defaults = {0};

/* L1 has it not. */
static int load_slow(struct sta_load_call *call, struct strata_bytes key,
                     struct strata_value *value)
{
    struct strata_load load = {.call = call, .key = key, .status = STRATA_MORE};
    struct strata_load *one = &load;
    int cancelling;
    /* Others wait for a load: its thread is not cancelled within it. */
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelling);
    sta_load_run(call, &one, 1);
    (void)pthread_setcancelstate(cancelling, NULL);
    if (load.status == STRATA_OK || load.status == STRATA_STALE)
        *value = load.value;
    return load.status;
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
    struct sta_load_call call = {
        .cache = cache->cache,
        .loader = loader,
        .arg = arg,
        .options = options != NULL ? options : &defaults,
    };
    if (status == STRATA_MORE)
        return load_slow(&call, key, value);
    sta_load_refresh(&call, &early, 1);
    return status;
}

/* Why a batch cannot be. With a lease for each key, who waits for one that another process holds
 * would hold those of all his other keys meanwhile, and the other process may wait for one of
 * these. */
static int refuse_many(struct strata *cache, strata_loader_many loader,
                       const struct strata_load_options *options)
{
    if (loader == NULL || sta_loop_is_own_thread(sta_cache_loop(cache->cache)))
        return STRATA_ERR_INVALID;
    return options != NULL && options->lease_ms != 0 ? STRATA_ERR_UNSUPPORTED : STRATA_OK;
}

int strata_get_or_load_many(struct strata *cache, const struct strata_bytes *keys, size_t count,
                            strata_loader_many loader, void *arg,
                            const struct strata_load_options *options, struct strata_value *values,
                            int *statuses)
{
    struct sta_load_call call = {
        .cache = cache->cache,
        .loader_many = loader,
        .arg = arg,
        .options = options != NULL ? options : &defaults,
    };
    int cancelling, status = refuse_many(cache, loader, options);
    if (count == 0)
        return status;
    memset(values, 0, count * sizeof *values);
    if (status < 0)
        return sta_outcome_fail(statuses, count, status);
    int *each = sta_outcome_statuses(statuses, count);
    if (each == NULL)
        return STRATA_ERR_NOMEM;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelling);
    sta_load_hits(&call, keys, count, sta_clock_now_ns(), values, each);
    sta_load_run_many(&call, keys, count, values, each);
    (void)pthread_setcancelstate(cancelling, NULL);
    status = sta_outcome_of(each, count);
    sta_outcome_free_own(each, statuses);
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

int strata_load_set_error(struct strata_load *load, int error)
{
    return sta_load_set_error(load, error);
}

int strata_load_previous(const struct strata_load *load, struct strata_bytes *value)
{
    if (!load->previous.there)
        return STRATA_MISS;
    *value = load->previous.value;
    return STRATA_OK;
}
