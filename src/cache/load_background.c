/* SPDX-License-Identifier: MIT
 *
 * Loads on the pool's threads: those that are early, and those of calls that do not wait as long as
 * a load takes. A job has copies of all that the call may take away.
 */
#include <stdlib.h>
#include <string.h>

#include "cache/fill.h"
#include "cache/load.h"
#include "cache/tiers.h"
#include "cache/value.h"
#include "core/clock.h"
#include "strata/status.h"

struct load_job {
    struct sta_load_pool_job job;
    struct strata_load load;
    struct strata_load_options options;
    struct sta_fill fill;
    char key[];
};

static struct load_job *job_create(const struct strata_load *load, const struct sta_fill *fill)
{
    struct load_job *job = calloc(1, sizeof *job + load->key.len);
    if (job == NULL)
        return NULL;
    memcpy(job->key, load->key.data, load->key.len);
    job->options = *load->options;
    job->load.cache = load->cache;
    job->load.key = strata_bytes(job->key, load->key.len);
    job->load.loader = load->loader;
    job->load.arg = load->arg;
    job->load.options = &job->options;
    /* The load goes on where its call has ended. */
    job->load.deadline_ns =
        load->deadline_ns > load->patience_ns ? load->deadline_ns : load->patience_ns;
    job->fill = *fill;
    job->fill.key.bytes = job->load.key;
    return job;
}

static void job_run(struct sta_load_pool_job *pool_job, bool work)
{
    struct load_job *job = STA_CONTAINER(pool_job, struct load_job, job);
    struct sta_flights *flights = &job->load.cache->flights;
    struct strata_value value = {0};
    int status = STRATA_ERR_CLOSED;
    if (work) {
        sta_flight_run_on(flights, job->fill.flight, pthread_self());
        status = sta_load_fly(&job->load, &job->fill, &value);
    }
    if (job->load.gave_up)
        status = STRATA_MORE;
    sta_flight_end(flights, job->fill.flight, status, job->load.failure, &value);
    sta_value_release(&value);
    free(job);
}

void sta_load_run_waiting(struct sta_cache *cache, const struct sta_flight *flight)
{
    if (!sta_flight_is_runner(&cache->flights, pthread_self()))
        return;
    struct sta_load_pool_job *job = sta_load_pool_take(&cache->pool, flight);
    if (job != NULL)
        job_run(job, true);
}

int sta_load_hand_over(const struct strata_load *load, const struct sta_fill *fill)
{
    struct load_job *job = job_create(load, fill);
    if (job == NULL)
        return STRATA_ERR_NOMEM;
    job->job.run = job_run;
    job->job.about = fill->flight;
    sta_flight_hand_over(&load->cache->flights, fill->flight);
    int status = sta_load_pool_submit(&load->cache->pool, &job->job);
    if (status < 0) {
        sta_flight_take_back(&load->cache->flights, fill->flight, pthread_self());
        free(job);
    }
    return status;
}

void sta_load_refresh(const struct strata_load *load, const struct sta_load_early *early)
{
    struct sta_cache *cache = load->cache;
    struct sta_fill fill = {.cache = cache, .key = sta_l1_key(cache->l1, load->key)};
    struct strata_value nothing = {0};
    fill.token = sta_l1_token(cache->l1, &fill.key);
    if (sta_flight_begin(&cache->flights, &fill.key, fill.token.generation, &fill.flight) !=
        STRATA_OK)
        return;
    struct load_job *job = job_create(load, &fill);
    int status = STRATA_ERR_NOMEM;
    if (job != NULL) {
        job->job.run = job_run;
        job->job.about = fill.flight;
        job->load.early = true;
        job->load.fresh_until_ms = early->fresh_until_ms;
        status = sta_load_pool_submit(&cache->pool, &job->job);
    }
    if (status == STRATA_OK)
        return;
    sta_flight_end(&cache->flights, fill.flight, STRATA_MORE, 0, &nothing);
    free(job);
}
