/* SPDX-License-Identifier: MIT
 *
 * Loads on the pool's threads: those that are early, and those of calls that do not wait as long as
 * a load takes. A job has copies of all that the call may take away.
 */
#include "cache/load_job.h"

#include <stdlib.h>
#include <string.h>

#include "cache/tiers.h"
#include "cache/value.h"
#include "core/clock.h"
#include "strata/status.h"

/* ---- jobs ---- */

/* One block: the job, its loads, the pointers to them, their keys. */
struct sta_load_job *sta_load_job_create(const struct sta_load_call *call,
                                         struct strata_load *const *loads, size_t count)
{
    size_t keys_len = 0;
    for (size_t i = 0; i < count; i++)
        keys_len += loads[i]->key.len;
    struct sta_load_job *job =
        calloc(1, sizeof *job + count * (sizeof job->each[0] + sizeof *job->loads) + keys_len);
    if (job == NULL)
        return NULL;
    job->call = *call;
    job->options = *call->options;
    job->call.options = &job->options;
    /* The load goes on where its call has ended. */
    if (call->patience_ns > call->deadline_ns)
        job->call.deadline_ns = call->patience_ns;
    job->count = count;
    job->loads = (void *)(job->each + count);
    char *bytes = (void *)(job->loads + count);
    for (size_t i = 0; i < count; i++) {
        struct strata_load *load = &job->each[i];
        struct strata_bytes key = loads[i]->key;
        memcpy(bytes, key.data, key.len);
        load->call = &job->call;
        load->key = strata_bytes(bytes, key.len);
        load->fresh_until_ms = loads[i]->fresh_until_ms;
        load->fill = loads[i]->fill;
        load->fill.key.bytes = load->key;
        job->loads[i] = load;
        bytes += key.len;
    }
    return job;
}

void sta_load_job_free(struct sta_load_job *job)
{
    for (size_t i = 0; i < job->count; i++)
        sta_value_release(&job->each[i].value);
    free(job);
}

static bool is_about(const struct sta_load_pool_job *pool_job, const void *flight)
{
    const struct sta_load_job *job = STA_CONTAINER(pool_job, const struct sta_load_job, job);
    for (size_t i = 0; i < job->count; i++)
        if (job->each[i].fill.flight == flight)
            return true;
    return false;
}

static void job_run(struct sta_load_pool_job *pool_job, bool work)
{
    struct sta_load_job *job = STA_CONTAINER(pool_job, struct sta_load_job, job);
    struct sta_flights *flights = &job->call.cache->flights;
    for (size_t i = 0; i < job->open && work; i++)
        sta_flight_run_on(flights, job->loads[i]->fill.flight, pthread_self());
    if (!work)
        sta_load_abandon(job->loads, job->open, STRATA_ERR_CLOSED);
    else
        job->work(job->loads, job->open);
    sta_load_job_free(job);
}

int sta_load_job_submit(struct sta_load_job *job, size_t open,
                        void (*work)(struct strata_load **loads, size_t count))
{
    job->job.run = job_run;
    job->job.is_about = is_about;
    job->open = open;
    job->work = work;
    return sta_load_pool_submit(&job->call.cache->pool, &job->job);
}

/* ---- who lets others load ---- */

void sta_load_run_waiting(struct sta_cache *cache, const struct sta_flight *flight)
{
    struct sta_load_pool_job *job = sta_load_pool_take(&cache->pool, flight);
    if (job != NULL)
        job_run(job, true);
}

int sta_load_hand_over(const struct sta_load_call *call, struct strata_load **loads, size_t count)
{
    struct sta_flights *flights = &call->cache->flights;
    struct sta_load_job *job = sta_load_job_create(call, loads, count);
    if (job == NULL)
        return STRATA_ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        sta_flight_hand_over(flights, loads[i]->fill.flight);
    int status = sta_load_job_submit(job, count, sta_load_fly);
    for (size_t i = 0; i < count; i++) {
        if (status == STRATA_OK)
            sta_flight_queued(flights, loads[i]->fill.flight);
        else
            sta_flight_take_back(flights, loads[i]->fill.flight, pthread_self());
    }
    if (status != STRATA_OK)
        sta_load_job_free(job);
    return status;
}

/* ---- early ---- */

/* Those of `early` that nobody loads: their flights, in `loads`. */
static size_t refresh_begin(const struct sta_load_call *call, const struct sta_load_early *early,
                            size_t count, struct strata_load *loads)
{
    struct sta_cache *cache = call->cache;
    size_t begun = 0;
    for (size_t i = 0; i < count; i++) {
        struct strata_load *load = &loads[begun];
        struct sta_fill *fill = &load->fill;
        load->call = call;
        load->key = early[i].key;
        load->fresh_until_ms = early[i].fresh_until_ms;
        fill->cache = cache;
        fill->key = sta_l1_key(cache->l1, load->key);
        fill->token = sta_l1_token(cache->l1, &fill->key);
        if (sta_flight_begin(&cache->flights, &fill->key, fill->token.generation, &fill->flight) ==
            STRATA_OK)
            begun++;
    }
    return begun;
}

void sta_load_refresh(const struct sta_load_call *call, const struct sta_load_early *early,
                      size_t count)
{
    struct sta_load_call anew = *call;
    struct strata_load *loads = calloc(count, sizeof *loads + sizeof(struct strata_load *));
    if (loads == NULL)
        return;
    struct strata_load **each = (void *)(loads + count);
    anew.early = true;
    size_t begun = refresh_begin(&anew, early, count, loads);
    for (size_t i = 0; i < begun; i++)
        each[i] = &loads[i];
    int status = begun > 0 ? sta_load_hand_over(&anew, each, begun) : STRATA_OK;
    for (size_t i = 0; i < begun && status == STRATA_OK; i++)
        sta_flight_leave(&call->cache->flights, loads[i].fill.flight);
    if (status != STRATA_OK)
        sta_load_abandon(each, begun, status);
    free(loads);
}
