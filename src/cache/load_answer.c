/* SPDX-License-Identifier: MIT
 *
 * The loader's side of loads: what it is told, and what it answers.
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

int sta_load_set_error(struct strata_load *load, int error)
{
    if (error >= 0)
        return STRATA_ERR_INVALID;
    sta_value_release(&load->value);
    load->error = error;
    load->answer = STA_LOAD_ERROR;
    return STRATA_OK;
}

/* What the loader returned goes for a load that it has not answered; where it has one key, before
 * what it answered, but for STRATA_OK. */
static int read_answer(struct strata_load *load, int returned)
{
    if (load->answer != STA_LOAD_NOTHING && load->call->loader == NULL)
        returned = STRATA_OK;
    if (returned == STRATA_MISS) {
        sta_load_set_none(load, 0);
        returned = STRATA_OK;
    }
    if (returned == STRATA_OK && load->answer == STA_LOAD_ERROR)
        returned = load->error;
    if (returned > 0 || (returned == STRATA_OK && load->answer == STA_LOAD_NOTHING))
        returned = STRATA_ERR_INVALID;
    if (returned < 0) {
        sta_tiers_count(&load->call->cache->loads_failed);
        sta_value_release(&load->value);
        return returned;
    }
    return load->answer == STA_LOAD_VALUE ? STRATA_OK : STRATA_MISS;
}

void sta_load_ask_loader(struct strata_load **loads, size_t count)
{
    const struct sta_load_call *call = loads[0]->call;
    uint64_t begun_ns = sta_clock_now_ns();
    int returned = call->loader != NULL ? call->loader(loads[0], call->arg)
                                        : call->loader_many(loads, count, call->arg);
    uint64_t load_us = (sta_clock_now_ns() - begun_ns) / 1000 + 1;
    for (size_t i = 0; i < count; i++) {
        loads[i]->load_us = load_us;
        sta_tiers_count(&call->cache->loads);
        if (call->early)
            sta_tiers_count(&call->cache->loads_early);
        loads[i]->status = read_answer(loads[i], returned);
    }
}
