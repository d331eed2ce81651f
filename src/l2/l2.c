/* SPDX-License-Identifier: MIT
 *
 * The engine: a router on its owner's loop, for callers on any thread.
 *
 * The way of an operation: submit() pushes its embedded task onto the loop's lock-free stack (one
 * system call where the loop sleeps, none where it is at work); at the end of the tick the loop
 * thread takes all that were pushed and gives them to the router, whose connections append them to
 * one output buffer each; one send() carries what is in it. No lock, no allocation between submit
 * and send.
 * call() adds one wait and one wake-up (net/waiter.h).
 *
 * Threads: fields are grouped by owner.
 */
#include "l2/l2.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "net/waiter.h"
#include "strata/status.h"

#define REFRESH_NS (STA_NS_SEC / 2)

struct sta_l2 {
    /* Fixed at creation. */
    struct sta_loop *loop;
    bool cluster;

    /* Of the loop thread. */
    struct sta_router *router; /* NULL once closed */
    struct sta_timer refresh;

    /* Atomic, relaxed: a hint for people. */
    _Atomic(enum sta_connection_state) state;

    /* Atomic, relaxed. */
    _Atomic(enum sta_tracking_state) tracking_state;

    /* Guarded by lock. */
    pthread_mutex_t lock;
    struct sta_connection_statistics statistics;
    struct sta_tracking_statistics tracking;
};

/* ---- submitting ---- */

static void on_submitted(struct sta_task *task)
{
    struct sta_request *request = STA_CONTAINER(task, struct sta_request, task);
    struct sta_operation *operation = STA_CONTAINER(request, struct sta_operation, request);
    struct sta_l2 *l2 = request->engine;
    if (l2->router == NULL)
        operation->done(operation, STRATA_ERR_CLOSED, strata_bytes(NULL, 0));
    else
        sta_router_submit(l2->router, operation);
}

void sta_l2_submit(struct sta_l2 *l2, struct sta_operation *operation)
{
    operation->request.engine = l2;
    operation->request.task.run = on_submitted;
    sta_loop_post(l2->loop, &operation->request.task);
}

void sta_l2_post(struct sta_l2 *l2, struct sta_task *task)
{
    sta_loop_post(l2->loop, task);
}

struct sta_router *sta_l2_router(const struct sta_l2 *l2)
{
    return l2->router;
}

struct sta_loop *sta_l2_loop(const struct sta_l2 *l2)
{
    return l2->loop;
}

bool sta_l2_is_cluster(const struct sta_l2 *l2)
{
    return l2->cluster;
}

/* ---- waiting for one request ---- */

struct call {
    struct sta_operation operation;
    struct sta_waiter waiter;
    int status;
    struct strata_bytes replies;
};

static void on_call_done(struct sta_operation *operation, int status, struct strata_bytes replies)
{
    struct call *call = STA_CONTAINER(operation, struct call, operation);
    if (status == STRATA_OK) {
        void *copy = malloc(replies.len);
        if (copy == NULL) {
            status = STRATA_ERR_NOMEM;
        } else {
            memcpy(copy, replies.data, replies.len);
            call->replies = strata_bytes(copy, replies.len);
        }
    }
    call->status = status;
    sta_waiter_signal(&call->waiter);
}

int sta_l2_call(struct sta_l2 *l2, struct strata_bytes wire, unsigned commands,
                uint64_t deadline_ns, struct strata_bytes *replies)
{
    struct call call = {
        .operation = {.request = {.wire = wire, .commands = commands, .deadline_ns = deadline_ns},
                      .slot = STA_OPERATION_ANY_NODE,
                      .done = on_call_done},
    };
    assert(!sta_loop_is_own_thread(l2->loop));
    sta_waiter_init(&call.waiter, l2->loop);
    sta_l2_submit(l2, &call.operation);
    sta_waiter_wait(&call.waiter);
    if (call.status == STRATA_OK)
        *replies = call.replies;
    return call.status;
}

/* ---- statistics ---- */

static void l2_refresh(struct sta_l2 *l2)
{
    struct sta_connection_statistics now;
    struct sta_tracking_statistics tracking;
    sta_tracking_statistics(l2->router, &tracking);
    atomic_store_explicit(&l2->tracking_state, tracking.state, memory_order_relaxed);
    sta_router_statistics(l2->router, &now);
    atomic_store_explicit(&l2->state, now.state, memory_order_relaxed);
    pthread_mutex_lock(&l2->lock);
    l2->statistics = now;
    l2->tracking = tracking;
    pthread_mutex_unlock(&l2->lock);
}

static void on_refresh(struct sta_timer *timer)
{
    struct sta_l2 *l2 = STA_CONTAINER(timer, struct sta_l2, refresh);
    l2_refresh(l2);
    sta_timer_start(l2->loop, timer, sta_loop_now_ns(l2->loop) + REFRESH_NS);
}

static void on_state(void *arg, struct sta_node_lane *lane, enum sta_connection_state state,
                     const char *reason)
{
    struct sta_l2 *l2 = arg;
    (void)lane;
    (void)state;
    (void)reason;
    if (l2->router != NULL) /* it may still be being created */
        l2_refresh(l2);
}

void sta_l2_statistics(struct sta_l2 *l2, struct sta_connection_statistics *out)
{
    pthread_mutex_lock(&l2->lock);
    *out = l2->statistics;
    pthread_mutex_unlock(&l2->lock);
    out->state = atomic_load_explicit(&l2->state, memory_order_relaxed);
}

void sta_l2_tracking_statistics(struct sta_l2 *l2, struct sta_tracking_statistics *out)
{
    pthread_mutex_lock(&l2->lock);
    *out = l2->tracking;
    pthread_mutex_unlock(&l2->lock);
}

bool sta_l2_is_tracked(const struct sta_l2 *l2)
{
    return atomic_load_explicit(&l2->tracking_state, memory_order_relaxed) == STA_TRACKING_IN_FORCE;
}

/* ---- life ---- */

static const struct sta_router_events router_events = {.state = on_state};

static void l2_free(struct sta_l2 *l2)
{
    sta_timer_stop(l2->loop, &l2->refresh);
    sta_router_destroy(&l2->router);
    pthread_mutex_destroy(&l2->lock);
    free(l2);
}

/* What was posted after the loop's last tick finds the router gone. */
void sta_l2_destroy(struct sta_l2 **at)
{
    struct sta_l2 *l2 = *at;
    if (l2 == NULL)
        return;
    *at = NULL;
    sta_router_destroy(&l2->router);
    sta_loop_drain(l2->loop);
    l2_free(l2);
}

int sta_l2_create(struct sta_l2 **out, struct sta_loop *loop, const struct sta_l2_config *config,
                  struct sta_log *log)
{
    struct sta_l2 *l2 = calloc(1, sizeof *l2);
    if (l2 == NULL)
        return STRATA_ERR_NOMEM;
    l2->loop = loop;
    l2->cluster = config->router.cluster;
    pthread_mutex_init(&l2->lock, NULL);
    sta_timer_init(&l2->refresh, on_refresh);
    int status = sta_router_create(&l2->router, loop, log, &config->router, &router_events, l2);
    if (status < 0) {
        l2_free(l2);
        return status;
    }
    l2_refresh(l2); /* whoever asks before the first tick is told that nothing is known yet */
    sta_timer_start(loop, &l2->refresh, sta_loop_now_ns(loop) + REFRESH_NS);
    *out = l2;
    return STRATA_OK;
}
