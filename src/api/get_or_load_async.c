/* SPDX-License-Identifier: MIT
 *
 * strata_get_or_load_async(): one block of memory with copies of key and options, which lives until
 * its callback has run (api/async_call.h).
 */
#include <stdlib.h>
#include <string.h>

#include "api/async_call.h"
#include "cache/load_async.h"
#include "core/clock.h"
#include "strata/load.h"

struct async_load {
    struct sta_async_call base;
    struct sta_load_async load;
    struct strata_load_options options;
    char key[];
};

static void on_done(struct sta_load_async *load, int status, struct strata_value *value)
{
    struct sta_async_call *call = &STA_CONTAINER(load, struct async_load, load)->base;
    call->status = status;
    call->value = *value;
    sta_async_call_complete(call);
}

int strata_get_or_load_async(struct strata *cache, struct strata_bytes key, strata_loader loader,
                             void *arg, const struct strata_load_options *options,
                             struct strata_completion completion)
{
    struct sta_load_early early = {.due = false};
    int status = loader != NULL ? sta_cache_check_key(key) : STRATA_ERR_INVALID;
    if (status < 0)
        return status;
    struct async_load *call = calloc(1, sizeof *call + key.len);
    if (call == NULL)
        return STRATA_ERR_NOMEM;
    memcpy(call->key, key.data, key.len);
    if (options != NULL)
        call->options = *options;
    call->load.key = strata_bytes(call->key, key.len);
    call->load.done = on_done;
    call->load.call = (struct sta_load_call){
        .cache = cache->cache, .loader = loader, .arg = arg, .options = &call->options};
    sta_async_call_init(&call->base, cache, completion);
    call->base.status = sta_load_hit(cache->cache, call->load.key, &call->options,
                                     sta_clock_now_ns(), &call->base.value, &early);
    if (early.due)
        sta_load_refresh(&call->load.call, &early, 1);
    if (call->base.status == STRATA_MORE)
        sta_load_async_start(&call->load); /* the call may be gone when this returns */
    else
        sta_async_call_post(&call->base);
    return STRATA_OK;
}
