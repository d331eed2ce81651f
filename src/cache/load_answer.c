/* SPDX-License-Identifier: MIT
 *
 * The loader's side of a load: what it is told, and what it answers.
 */
#include "cache/load.h"
#include "cache/tiers.h"
#include "cache/value.h"
#include "core/clock.h"
#include "strata/status.h"

int sta_load_set(struct strata_load *load, struct strata_bytes value, uint64_t ttl_ms)
{
    struct strata_value copy = {0};
    int status = sta_cache_check_value(value);
    if (status == STRATA_OK)
        status = sta_value_from_bytes(&copy, value);
    if (status < 0)
        return status;
    sta_value_release(&load->value);
    load->value = copy;
    load->ttl_ms = ttl_ms;
    load->answer = STA_LOAD_VALUE;
    return STRATA_OK;
}

void sta_load_set_none(struct strata_load *load, uint64_t ttl_ms)
{
    sta_value_release(&load->value);
    load->ttl_ms = ttl_ms;
    load->answer = STA_LOAD_NONE;
}

int sta_load_set_unchanged(struct strata_load *load, uint64_t ttl_ms)
{
    if (!load->previous.there)
        return STRATA_ERR_INVALID;
    return sta_load_set(load, load->previous.value, ttl_ms);
}

int sta_load_call(struct strata_load *load)
{
    uint64_t begun_ns = sta_clock_now_ns();
    int status = load->loader(load, load->arg);
    load->load_us = (sta_clock_now_ns() - begun_ns) / 1000 + 1;
    sta_tiers_count(&load->cache->loads);
    if (load->early)
        sta_tiers_count(&load->cache->loads_early);
    if (status == STRATA_MISS) {
        sta_load_set_none(load, 0);
        status = STRATA_OK;
    }
    if (status > 0 || (status == STRATA_OK && load->answer == STA_LOAD_NOTHING))
        status = STRATA_ERR_INVALID;
    if (status < 0) {
        sta_tiers_count(&load->cache->loads_failed);
        sta_value_release(&load->value);
        return status;
    }
    return load->answer == STA_LOAD_VALUE ? STRATA_OK : STRATA_MISS;
}
