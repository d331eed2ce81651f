/* SPDX-License-Identifier: MIT
 *
 * The asynchronous calls. Each is one block of memory that holds the operation and copies of its
 * key and value, and that lives until its callback has run.
 *
 *   STARTED --L1 answered--> posted to the loop's own thread --.
 *      '-----L2 asked-----> done(), by who leads the loop ------+--> into the caller's queue, and
 *                                                                    callback on dispatch; or
 *                                                                    callback on the loop's own
 *                                                                    thread
 *
 * Values that pass through here are copies, never leases: a queue may be dispatched after the
 * cache is closed.
 */
#include <stdlib.h>
#include <string.h>

#include "api/handle.h"
#include "api/queue.h"
#include "cache/value.h"
#include "core/clock.h"
#include "strata/cache.h"

struct async_call {
    struct sta_completed completed; /* what a queue takes */
    struct strata_completion completion;
    struct sta_loop *loop;
    struct sta_task task;
    struct strata_value value;
    int status;
    struct strata_bytes key;
    struct strata_item item;
    union {
        struct sta_read read;
        struct sta_write write;
    } operation;
    char bytes[]; /* key, then value */
};

static void async_finish(struct async_call *call)
{
    bool answered = call->status == STRATA_OK || call->status == STRATA_STALE;
    bool has_value = answered && call->value.owner[1] != NULL;
    call->completion.call(call->completion.arg, call->status, has_value ? &call->value : NULL);
    strata_release(&call->value);
    free(call);
}

static void async_dispatched(struct sta_completed *completed)
{
    async_finish(STA_CONTAINER(completed, struct async_call, completed));
}

static void async_own_thread(struct sta_task *task)
{
    async_finish(STA_CONTAINER(task, struct async_call, task));
}

/* The operation has ended, under whoever leads the loop: perhaps a synchronous caller, whose thread
 * is no place for somebody else's callback. */
static void async_complete(struct async_call *call)
{
    struct sta_loop *loop = call->loop;
    sta_loop_meet(loop);
    if (call->completion.queue != NULL) {
        call->completed.run = async_dispatched;
        sta_queue_push(call->completion.queue, &call->completed);
    } else if (sta_loop_is_own_thread(loop)) {
        async_finish(call);
    } else {
        call->task.run = async_own_thread;
        sta_loop_post_own(loop, &call->task);
    }
}

static void async_read_done(struct sta_read *read)
{
    async_complete(STA_CONTAINER(read, struct async_call, operation.read));
}

static void async_write_done(struct sta_write *write)
{
    async_complete(STA_CONTAINER(write, struct async_call, operation.write));
}

static void async_posted(struct sta_task *task)
{
    async_complete(STA_CONTAINER(task, struct async_call, task));
}

/* Answered on the spot, but never from within the call. */
static void async_post(struct async_call *call)
{
    call->task.run = async_posted;
    sta_loop_post_own(call->loop, &call->task);
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
    call->completion = completion;
    call->loop = sta_cache_loop(cache->cache);
    sta_loop_expect(call->loop);
    return call;
}

/* A lease becomes a copy, and its status an error where there is no memory for it. */
static void async_unlease(struct async_call *call)
{
    struct strata_value lease = call->value;
    if (call->status != STRATA_OK || lease.owner[0] == NULL)
        return;
    call->value = (struct strata_value){0};
    call->status = sta_value_from_bytes(&call->value, lease.bytes);
    strata_release(&lease);
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
    read->values = &call->value;
    read->statuses = &call->status;
    read->done = async_read_done;
    if (sta_read_begin(read, sta_clock_now_ns()) == STRATA_MORE) {
        sta_read_send(read); /* the call may be gone when this returns */
        return STRATA_OK;
    }
    async_unlease(call);
    async_post(call);
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
    write->statuses = &call->status;
    write->done = async_write_done;
    if (sta_write_begin(write, sta_clock_now_ns()) == STRATA_MORE) {
        sta_write_send(write);
        return STRATA_OK;
    }
    async_post(call);
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
