/* SPDX-License-Identifier: MIT
 *
 * The synchronous calls: read the clock once, start the operation (which checks its keys), and
 * wait for the loop only where L1 could not answer. Nothing here outlives the call: operations
 * live on the caller's stack, which is safe because every operation ends exactly once, within
 * its budget.
 *
 * A hit: one clock read, one hash, one look into L1; no allocation, no system call. A hit by copy
 * holds nothing in L1 meanwhile.
 */
#include <stdlib.h>
#include <string.h>

#include "api/handle.h"
#include "api/outcome.h"
#include "core/clock.h"
#include "net/waiter.h"
#include "strata/cache.h"

/* ---- waiting ---- */

struct sync_read {
    struct sta_read read;
    struct sta_waiter waiter;
};

struct sync_write {
    struct sta_write write;
    struct sta_waiter waiter;
};

static void sync_read_done(struct sta_read *read)
{
    sta_waiter_signal(&STA_CONTAINER(read, struct sync_read, read)->waiter);
}

static void sync_write_done(struct sta_write *write)
{
    sta_waiter_signal(&STA_CONTAINER(write, struct sync_write, write)->waiter);
}

/* A callback that waits for its own loop would wait for ever. */
static bool sync_would_deadlock(struct strata *cache)
{
    return sta_loop_is_own_thread(sta_cache_loop(cache->cache));
}

/* `l1_asked`: a copy was asked for, and L1 had none. */
static void sync_read_run(struct strata *cache, const struct strata_bytes *keys, size_t count,
                          struct strata_value *values, int *statuses, bool l1_asked,
                          uint64_t now_ns)
{
    struct sync_read call;
    call.read.l1_asked = l1_asked;
    call.read.found = NULL;
    call.read.cache = cache->cache;
    call.read.keys = keys;
    call.read.count = count;
    call.read.values = values;
    call.read.statuses = statuses;
    call.read.done = sync_read_done;
    if (sta_read_begin(&call.read, now_ns) == STRATA_OK)
        return;
    sta_waiter_init(&call.waiter, sta_cache_loop(cache->cache));
    sta_read_send(&call.read);
    sta_waiter_wait(&call.waiter);
}

static void sync_write_run(struct strata *cache, enum sta_write_kind kind,
                           const struct strata_item *items, size_t count, int *statuses)
{
    struct sync_write call;
    call.write.cache = cache->cache;
    call.write.kind = kind;
    call.write.items = items;
    call.write.count = count;
    call.write.flags = 0;
    call.write.statuses = statuses;
    call.write.done = sync_write_done;
    if (sta_write_begin(&call.write, sta_clock_now_ns()) == STRATA_OK)
        return;
    sta_waiter_init(&call.waiter, sta_cache_loop(cache->cache));
    sta_write_send(&call.write);
    sta_waiter_wait(&call.waiter);
}

/* ---- one key ---- */

int strata_get(struct strata *cache, struct strata_bytes key, struct strata_value *value)
{
    if (sync_would_deadlock(cache))
        return STRATA_ERR_INVALID;
    int status;
    struct strata_value got = {0};
    sync_read_run(cache, &key, 1, &got, &status, false, sta_clock_now_ns());
    if (status == STRATA_OK || status == STRATA_STALE)
        *value = got;
    return status;
}

/* What the read brought, from its lease or block. */
static void copy_value(struct strata_value *value, void *buffer, size_t cap, size_t *len)
{
    size_t fits = value->bytes.len < cap ? value->bytes.len : cap;
    if (fits > 0)
        memcpy(buffer, value->bytes.data, fits);
    *len = value->bytes.len;
    strata_release(value);
}

int strata_get_copy(struct strata *cache, struct strata_bytes key, void *buffer, size_t cap,
                    size_t *len)
{
    if (sync_would_deadlock(cache))
        return STRATA_ERR_INVALID;
    uint64_t now_ns = sta_clock_now_ns();
    struct sta_l1_copy copy = {.buffer = buffer, .cap = cap};
    int status = sta_read_copy(cache->cache, key, now_ns, &copy);
    if (status == STRATA_OK)
        *len = copy.len;
    if (status != STRATA_MORE)
        return status;
    struct strata_value value = {0};
    sync_read_run(cache, &key, 1, &value, &status, true, now_ns);
    if (status == STRATA_OK || status == STRATA_STALE)
        copy_value(&value, buffer, cap, len);
    return status;
}

int strata_set(struct strata *cache, struct strata_bytes key, struct strata_bytes value,
               uint64_t ttl_ms)
{
    struct strata_item item = {.key = key, .value = value, .ttl_ms = ttl_ms};
    int status;
    (void)strata_set_many(cache, &item, 1, &status);
    return status;
}

int strata_delete(struct strata *cache, struct strata_bytes key)
{
    int status;
    (void)strata_delete_many(cache, &key, 1, &status);
    return status;
}

int strata_invalidate(struct strata *cache, struct strata_bytes key)
{
    return sta_cache_invalidate(cache->cache, key, sta_clock_now_ns());
}

int strata_flush(struct strata *cache, uint64_t timeout_ms)
{
    if (sync_would_deadlock(cache))
        return STRATA_ERR_INVALID;
    uint64_t timeout_ns = timeout_ms > STA_NEVER / STA_NS_MS ? STA_NEVER : timeout_ms * STA_NS_MS;
    return sta_cache_flush(cache->cache, sta_clock_after(sta_clock_now_ns(), timeout_ns));
}

/* ---- batches ---- */

int strata_get_many(struct strata *cache, const struct strata_bytes *keys, size_t count,
                    struct strata_value *values, int *statuses)
{
    if (count == 0)
        return STRATA_OK;
    memset(values, 0, count * sizeof *values);
    if (sync_would_deadlock(cache))
        return sta_outcome_fail(statuses, count, STRATA_ERR_INVALID);
    int *each = sta_outcome_statuses(statuses, count);
    if (each == NULL)
        return STRATA_ERR_NOMEM;
    sync_read_run(cache, keys, count, values, each, false, sta_clock_now_ns());
    int status = sta_outcome_of(each, count);
    sta_outcome_free_own(each, statuses);
    return status;
}

static int batch_write(struct strata *cache, enum sta_write_kind kind,
                       const struct strata_item *items, size_t count, int *statuses)
{
    if (sync_would_deadlock(cache))
        return sta_outcome_fail(statuses, count, STRATA_ERR_INVALID);
    int *each = sta_outcome_statuses(statuses, count);
    if (each == NULL)
        return STRATA_ERR_NOMEM;
    sync_write_run(cache, kind, items, count, each);
    int status = sta_outcome_of(each, count);
    sta_outcome_free_own(each, statuses);
    return status;
}

int strata_set_many(struct strata *cache, const struct strata_item *items, size_t count,
                    int *statuses)
{
    return count > 0 ? batch_write(cache, STA_WRITE_SET, items, count, statuses) : STRATA_OK;
}

int strata_delete_many(struct strata *cache, const struct strata_bytes *keys, size_t count,
                       int *statuses)
{
    if (count == 0)
        return STRATA_OK;
    struct strata_item one = {0};
    struct strata_item *items = count == 1 ? &one : calloc(count, sizeof *items);
    if (items == NULL)
        return sta_outcome_fail(statuses, count, STRATA_ERR_NOMEM);
    for (size_t i = 0; i < count; i++)
        items[i].key = keys[i];
    int status = batch_write(cache, STA_WRITE_DELETE, items, count, statuses);
    if (items != &one)
        free(items);
    return status;
}
