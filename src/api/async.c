/* SPDX-License-Identifier: MIT
 *
 * The asynchronous reads and writes. Each is one block of memory that holds the operation and
 * copies of its key and value, and that lives until its callback has run (api/async_call.h).
 *
 *   STARTED --L1 answered--> posted
 *      '-----L2 asked-----> done(), by who leads the loop --> completed
 */
#include <stdlib.h>
#include <string.h>

#include "api/async_call.h"
#include "core/clock.h"

struct async_call {
    struct sta_async_call base;
    struct strata_bytes key;
    struct strata_item item;
    union {
        struct sta_read read;
        struct sta_write write;
    } operation;
    char bytes[]; /* key, then value */
};

static void async_read_done(struct sta_read *read)
{
    sta_async_call_complete(&STA_CONTAINER(read, struct async_call, operation.read)->base);
}

static void async_write_done(struct sta_write *write)
{
    sta_async_call_complete(&STA_CONTAINER(write, struct async_call, operation.write)->base);
}

static struct async_call *async_create(struct strata *cache, struct strata_bytes key,
                                       struct strata_bytes value,
                                       struct strata_completion completion)
{
    struct async_call *call = calloc(1, sizeof *call + key.len + value.len);
    if (call == NULL)
        return NULL;
    memcpy(call->bytes, key.data, key.len);
    if (value.len > 0)
        memcpy(call->bytes + key.len, value.data, value.len);
    call->key = strata_bytes(call->bytes, key.len);
    call->item.key = call->key;
    call->item.value = strata_bytes(call->bytes + key.len, value.len);
    sta_async_call_init(&call->base, cache, completion);
    return call;
}

int strata_get_async(struct strata *cache, struct strata_bytes key,
                     struct strata_completion completion)
{
    int status = sta_cache_check_key(key);
    if (status < 0)
        return status;
    struct async_call *call = async_create(cache, key, strata_bytes(NULL, 0), completion);
    if (call == NULL)
        return STRATA_ERR_NOMEM;
    struct sta_read *read = &call->operation.read;
    read->l1_asked = false;
    read->found = NULL;
    read->cache = cache->cache;
    read->keys = &call->key;
    read->count = 1;
    read->values = &call->base.value;
    read->statuses = &call->base.status;
    read->done = async_read_done;
    if (sta_read_begin(read, sta_clock_now_ns()) == STRATA_MORE) {
        sta_read_send(read); /* the call may be gone when this returns */
        return STRATA_OK;
    }
    sta_async_call_post(&call->base);
    return STRATA_OK;
}

static int async_write(struct strata *cache, enum sta_write_kind kind, struct strata_bytes key,
                       struct strata_bytes value, uint64_t ttl_ms,
                       struct strata_completion completion)
{
    struct async_call *call = async_create(cache, key, value, completion);
    if (call == NULL)
        return STRATA_ERR_NOMEM;
    struct sta_write *write = &call->operation.write;
    call->item.ttl_ms = ttl_ms;
    write->cache = cache->cache;
    write->kind = kind;
    write->items = &call->item;
    write->count = 1;
    write->statuses = &call->base.status;
    write->done = async_write_done;
    if (sta_write_begin(write, sta_clock_now_ns()) == STRATA_MORE) {
        sta_write_send(write);
        return STRATA_OK;
    }
    sta_async_call_post(&call->base);
    return STRATA_OK;
}

int strata_set_async(struct strata *cache, struct strata_bytes key, struct strata_bytes value,
                     uint64_t ttl_ms, struct strata_completion completion)
{
    int status = sta_cache_check_key(key);
    if (status == STRATA_OK)
        status = sta_cache_check_value(value);
    if (status < 0)
        return status;
    return async_write(cache, STA_WRITE_SET, key, value, ttl_ms, completion);
}

int strata_delete_async(struct strata *cache, struct strata_bytes key,
                        struct strata_completion completion)
{
    int status = sta_cache_check_key(key);
    if (status < 0)
        return status;
    return async_write(cache, STA_WRITE_DELETE, key, strata_bytes(NULL, 0), 0, completion);
}
