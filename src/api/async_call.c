/* SPDX-License-Identifier: MIT
 *
 * See async_call.h.
 */
#include "api/async_call.h"

#include <stdlib.h>

#include "cache/value.h"

static void call_finish(struct sta_async_call *call)
{
    bool answered = call->status == STRATA_OK || call->status == STRATA_STALE;
    bool has_value = answered && call->value.owner[1] != NULL;
    call->completion.call(call->completion.arg, call->status, has_value ? &call->value : NULL);
    strata_release(&call->value);
    free(call);
}

static void on_dispatched(struct sta_completed *completed)
{
    call_finish(STA_CONTAINER(completed, struct sta_async_call, completed));
}

static void on_own_thread(struct sta_task *task)
{
    call_finish(STA_CONTAINER(task, struct sta_async_call, task));
}

/* Under whoever leads the loop: perhaps a synchronous caller, whose thread is no place for somebody
 * else's callback. */
void sta_async_call_complete(struct sta_async_call *call)
{
    struct sta_loop *loop = call->loop;
    sta_loop_meet(loop);
    if (call->completion.queue != NULL) {
        call->completed.run = on_dispatched;
        sta_queue_push(call->completion.queue, &call->completed);
    } else if (sta_loop_is_own_thread(loop)) {
        call_finish(call);
    } else {
        call->task.run = on_own_thread;
        sta_loop_post_own(loop, &call->task);
    }
}

static void on_posted(struct sta_task *task)
{
    sta_async_call_complete(STA_CONTAINER(task, struct sta_async_call, task));
}

/* A lease becomes a copy, and its status an error where there is no memory for it. Never from
 * within the caller's call. */
void sta_async_call_post(struct sta_async_call *call)
{
    if (sta_value_own(&call->value) != STRATA_OK) {
        strata_release(&call->value);
        call->status = STRATA_ERR_NOMEM;
    }
    call->task.run = on_posted;
    sta_loop_post_own(call->loop, &call->task);
}

void sta_async_call_init(struct sta_async_call *call, struct strata *cache,
                         struct strata_completion completion)
{
    call->completion = completion;
    call->loop = sta_cache_loop(cache->cache);
    sta_loop_expect(call->loop);
}
