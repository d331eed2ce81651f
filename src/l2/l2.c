/* SPDX-License-Identifier: MIT
 *
 * The engine: a connection on its owner's loop, for callers on any thread.
 *
 * The way of a request: submit() pushes its embedded task onto the loop's lock-free stack (one
 * system call where the loop sleeps, none where it is at work); at the end of the tick the loop
 * thread takes all that were pushed and gives them to the connection, which appends them to one
 * output buffer; one send() carries them all. No lock, no allocation between submit and send.
 * call() adds one wait and one wake-up (core/waiter.h).
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
#include "core/waiter.h"
#include "strata/status.h"

#define REFRESH_NS (STA_NS_SEC / 2)

struct sta_l2 {
    /* Fixed at creation. */
    struct sta_loop *loop;
    struct sta_redis_url url;
    char *name;

    /* Of the loop thread. */
    struct sta_connection *connection; /* NULL once closed */
    struct sta_timer refresh;

    /* Atomic, relaxed: a hint for people. */
    _Atomic(enum sta_connection_state) state;

    /* Guarded by lock. */
    pthread_mutex_t lock;
    struct sta_connection_statistics statistics;
};

/* ---- submitting ---- */

static void on_submitted(struct sta_task *task)
{
    struct sta_request *request = STA_CONTAINER(task, struct sta_request, task);
    struct sta_l2 *l2 = request->engine;
    if (l2->connection == NULL)
        request->done(request, STRATA_ERR_CLOSED, strata_bytes(NULL, 0));
    else
        sta_connection_submit(l2->connection, request);
}

void sta_l2_submit(struct sta_l2 *l2, struct sta_request *request)
{
    request->engine = l2;
    request->task.run = on_submitted;
    sta_loop_post(l2->loop, &request->task);
}

/* ---- waiting for one request ---- */

struct call {
    struct sta_request request;
    struct sta_waiter waiter;
    int status;
    struct strata_bytes replies;
};

static void on_call_done(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct call *call = STA_CONTAINER(request, struct call, request);
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
        .request = {.wire = wire,
                    .commands = commands,
                    .deadline_ns = deadline_ns,
                    .done = on_call_done},
    };
    assert(!sta_loop_is_own_thread(l2->loop));
    sta_waiter_init(&call.waiter);
    sta_l2_submit(l2, &call.request);
    sta_waiter_wait(&call.waiter);
    sta_waiter_fini(&call.waiter);
    if (call.status == STRATA_OK)
        *replies = call.replies;
    return call.status;
}

/* ---- statistics ---- */

static void l2_refresh(struct sta_l2 *l2)
{
    struct sta_connection_statistics now;
    sta_connection_statistics(l2->connection, &now);
    atomic_store_explicit(&l2->state, now.state, memory_order_relaxed);
    pthread_mutex_lock(&l2->lock);
    l2->statistics = now;
    pthread_mutex_unlock(&l2->lock);
}

static void on_refresh(struct sta_timer *timer)
{
    struct sta_l2 *l2 = STA_CONTAINER(timer, struct sta_l2, refresh);
    l2_refresh(l2);
    sta_timer_start(l2->loop, timer, sta_loop_now_ns(l2->loop) + REFRESH_NS);
}

static void on_state(void *arg, enum sta_connection_state state, const char *reason)
{
    struct sta_l2 *l2 = arg;
    (void)state;
    (void)reason;
    l2_refresh(l2);
}

void sta_l2_statistics(struct sta_l2 *l2, struct sta_connection_statistics *out)
{
    pthread_mutex_lock(&l2->lock);
    *out = l2->statistics;
    pthread_mutex_unlock(&l2->lock);
    out->state = atomic_load_explicit(&l2->state, memory_order_relaxed);
}

/* ---- life ---- */

static const struct sta_connection_events connection_events = {.state = on_state};

static void l2_free(struct sta_l2 *l2)
{
    sta_timer_stop(l2->loop, &l2->refresh);
    sta_connection_close(&l2->connection);
    pthread_mutex_destroy(&l2->lock);
    free(l2->name);
    free(l2);
}

/* What was posted after the loop's last tick finds the connection closed. */
void sta_l2_destroy(struct sta_l2 **at)
{
    struct sta_l2 *l2 = *at;
    if (l2 == NULL)
        return;
    *at = NULL;
    sta_connection_close(&l2->connection);
    sta_loop_drain(l2->loop);
    l2_free(l2);
}

static int l2_copy_config(struct sta_l2 *l2, struct sta_connection_config *config)
{
    l2->url = *config->url;
    config->url = &l2->url;
    if (config->name == NULL)
        return STRATA_OK;
    l2->name = strdup(config->name);
    config->name = l2->name;
    return l2->name != NULL ? STRATA_OK : STRATA_ERR_NOMEM;
}

int sta_l2_create(struct sta_l2 **out, struct sta_loop *loop, const struct sta_l2_config *config,
                  struct sta_log *log)
{
    struct sta_connection_config connection_config = config->connection;
    struct sta_l2 *l2 = calloc(1, sizeof *l2);
    if (l2 == NULL)
        return STRATA_ERR_NOMEM;
    l2->loop = loop;
    pthread_mutex_init(&l2->lock, NULL);
    sta_timer_init(&l2->refresh, on_refresh);
    int status = l2_copy_config(l2, &connection_config);
    if (status == STRATA_OK)
        status = sta_connection_open(&l2->connection, loop, log, &connection_config,
                                     &connection_events, l2);
    if (status < 0) {
        l2_free(l2);
        return status;
    }
    sta_timer_start(loop, &l2->refresh, sta_loop_now_ns(loop));
    *out = l2;
    return STRATA_OK;
}
