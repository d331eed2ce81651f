/* SPDX-License-Identifier: MIT
 *
 * See load_async.h.
 */
#include "cache/load_async.h"

#include "cache/load_job.h"
#include "cache/tiers.h"
#include "cache/value.h"
#include "core/clock.h"
#include "strata/status.h"

/* ---- who runs the flight: a job, on the loop until L2 has answered ---- */

/* L2 has answered, or there is none. */
static void job_asked(struct sta_load_job *job)
{
    struct sta_flights *flights = &job->call.cache->flights;
    struct sta_flight *flight = job->each[0].fill.flight;
    sta_load_judge(&job->each[0]);
    if (sta_load_settle(job->loads, 1) == 0) {
        sta_load_job_free(job);
        return;
    }
    sta_flight_hand_over(flights, flight); /* it may have ended when we say that it waits */
    int status = sta_load_job_submit(job, 1, sta_load_go_on);
    if (status == STRATA_OK) {
        sta_flight_queued(flights, flight);
    } else {
        job->each[0].failure = status; /* L2 has none, and who listens needs a thread as we do */
        sta_load_abandon(job->loads, 1, status);
        sta_load_job_free(job);
    }
    sta_flight_leave(flights, flight);
}

static void on_asked(struct sta_read *read)
{
    job_asked(STA_CONTAINER(read, struct sta_load_job, read));
}

static void job_start(struct sta_load_job *job)
{
    struct strata_load *load = &job->each[0];
    struct sta_read *read = &job->read;
    if (sta_load_open(job->loads, 1) == 0) {
        sta_load_job_free(job);
        return;
    }
    read->cache = job->call.cache;
    read->keys = &load->key;
    read->count = 1;
    read->values = &load->value;
    read->statuses = &load->there;
    read->l1_asked = true;
    read->found = &load->found;
    read->done = on_asked;
    if (sta_load_asks_l2(read->cache) && sta_read_begin(read, sta_clock_now_ns()) == STRATA_MORE)
        sta_read_send(read); /* the job may be gone when this returns */
    else
        job_asked(job);
}

/* ---- who listens ---- */

static void finish(struct sta_load_async *async)
{
    struct strata_load *load = &async->load;
    struct sta_cache *cache = async->call.cache;
    if (async->timed)
        sta_timer_stop(cache->loop, &async->timer);
    sta_load_forget_previous(load);
    if (!load->own)
        sta_tiers_count(&cache->loads_shared);
    if (sta_value_own(&load->value) != STRATA_OK) {
        sta_value_release(&load->value);
        load->status = STRATA_ERR_NOMEM;
    }
    async->done(async, load->status, &load->value);
}

static void join(struct sta_load_async *async);

/* The flight has ended. One that was given up is joined anew, as long as there is time; where that
 * was with a failure, behind L2, that is ours, too. */
static void ended(struct sta_load_async *async)
{
    struct strata_load *load = &async->load;
    sta_load_forget_previous(load);
    load->status = async->listener.status;
    load->failure = async->listener.failure;
    load->value = async->listener.value;
    if (load->status == STRATA_MORE && load->failure < 0)
        load->status = load->failure;
    sta_load_choose(load);
    if (load->status != STRATA_MORE) {
        finish(async);
    } else if (sta_clock_now_ns() < async->call.deadline_ns) {
        join(async);
    } else {
        load->status = STRATA_ERR_TIMEOUT;
        finish(async);
    }
}

static void on_ended(struct sta_task *task)
{
    ended(STA_CONTAINER(task, struct sta_load_async, task));
}

static void on_over(struct sta_flight_listener *listener)
{
    struct sta_load_async *async = STA_CONTAINER(listener, struct sta_load_async, listener);
    async->task.run = on_ended;
    sta_loop_post(async->call.cache->loop, &async->task);
}

static void start_timer(struct sta_load_async *async, uint64_t due_ns)
{
    async->timed = due_ns != STA_NEVER;
    if (async->timed)
        sta_timer_start(async->call.cache->loop, &async->timer, due_ns);
}

/* Its time is over; or that within which it would rather have an old value, where L1 has one. */
static void on_timer(struct sta_timer *timer)
{
    struct sta_load_async *async = STA_CONTAINER(timer, struct sta_load_async, timer);
    struct sta_flights *flights = &async->call.cache->flights;
    struct strata_load *load = &async->load;
    uint64_t until_ns = sta_load_until_ns(&async->call, load->own);
    bool is_soft = sta_clock_now_ns() < until_ns;
    async->timed = false;
    if (async->call.options->stale_ms != 0 && sta_load_has_timeouts(&async->call))
        sta_load_find_in_l1(load);
    if (is_soft && !load->previous.there) {
        start_timer(async, until_ns);
        return;
    }
    if (!sta_flight_unlisten(flights, load->fill.flight, &async->listener))
        return; /* on_ended() is on its way */
    load->failure = 0;
    sta_load_offer_previous(load, STRATA_ERR_TIMEOUT);
    sta_load_choose(load);
    finish(async);
}

static void join(struct sta_load_async *async)
{
    struct strata_load *load = &async->load, *one = load;
    struct sta_flights *flights = &async->call.cache->flights;
    struct sta_load_job *job = NULL;
    int status = sta_load_join(load, 0);
    if (status == STRATA_OK) {
        job = sta_load_job_create(&async->call, &one, 1);
        status = job != NULL ? STRATA_OK : STRATA_ERR_NOMEM;
        if (job != NULL)
            sta_flight_hand_over(flights, load->fill.flight);
        else
            sta_load_abandon(&one, 1, status);
    }
    if (status < 0) {
        load->status = status;
        finish(async);
        return;
    }
    uint64_t until_ns = sta_load_until_ns(&async->call, load->own);
    uint64_t soft_ns = sta_load_soft_ns(&async->call);
    if (async->timed)
        sta_timer_stop(async->call.cache->loop, &async->timer);
    start_timer(async, soft_ns < until_ns ? soft_ns : until_ns);
    if (!sta_flight_listen(flights, load->fill.flight, &async->listener))
        on_over(&async->listener);
    if (job != NULL)
        job_start(job);
}

static void on_started(struct sta_task *task)
{
    join(STA_CONTAINER(task, struct sta_load_async, task));
}

void sta_load_async_start(struct sta_load_async *async)
{
    async->load = (struct strata_load){.call = &async->call, .key = async->key};
    async->listener.over = on_over;
    async->timed = false;
    sta_load_begin(&async->call);
    sta_timer_init(&async->timer, on_timer);
    async->task.run = on_started;
    sta_loop_post(async->call.cache->loop, &async->task);
}
