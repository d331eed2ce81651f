/* SPDX-License-Identifier: MIT
 *
 * The threads for loads in the background.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>

#include "cache/load_pool.h"
#include "strata/status.h"
#include "support/wait.h"

#define PATIENT_MS 20000u

struct counted {
    struct sta_load_pool_job job;
    struct tally *tally;
};

struct tally {
    atomic_bool open;
    atomic_uint begun, worked, ended_idle;
};

static bool is_open(void *arg)
{
    return atomic_load(&((struct tally *)arg)->open);
}

static void run(struct sta_load_pool_job *job, bool work)
{
    struct tally *tally = STA_CONTAINER(job, struct counted, job)->tally;
    if (!work) {
        atomic_fetch_add(&tally->ended_idle, 1);
        return;
    }
    atomic_fetch_add(&tally->begun, 1);
    if (wait_until(is_open, tally, PATIENT_MS))
        atomic_fetch_add(&tally->worked, 1);
}

static bool all_threads_work(void *arg)
{
    return atomic_load(&((struct tally *)arg)->begun) == STA_LOAD_POOL_THREADS;
}

static void no_thread_is_made_without_a_job(void **state)
{
    (void)state;
    struct sta_load_pool pool;
    sta_load_pool_init(&pool);
    assert_int_equal(pool.started, 0);
    sta_load_pool_close(&pool);
    struct counted late = {.job.run = run};
    assert_int_equal(sta_load_pool_submit(&pool, &late.job), STRATA_ERR_CLOSED);
    sta_load_pool_fini(&pool);
}

static bool has_worked(void *arg)
{
    return atomic_load(&((struct tally *)arg)->worked) > 0;
}

static void one_job_after_another_needs_one_thread(void **state)
{
    (void)state;
    struct sta_load_pool pool;
    sta_load_pool_init(&pool);
    struct tally first = {.open = true};
    struct counted job = {.job.run = run, .tally = &first};
    assert_int_equal(sta_load_pool_submit(&pool, &job.job), STRATA_OK);
    assert_true(wait_until(has_worked, &first, PATIENT_MS));
    assert_int_equal(pool.started, 1);
    sta_load_pool_close(&pool);
    sta_load_pool_fini(&pool);
}

/* All threads work, as many wait as may, one more is refused; closing lets the first end their
 * work, and ends the others without. */
static void jobs_are_bounded_and_end_once_whatever_happens(void **state)
{
    (void)state;
    static struct counted jobs[STA_LOAD_POOL_THREADS + STA_LOAD_POOL_JOBS + 1];
    struct sta_load_pool pool;
    struct tally tally = {.open = false};
    sta_load_pool_init(&pool);
    for (unsigned i = 0; i < STA_LOAD_POOL_THREADS; i++) {
        jobs[i] = (struct counted){.job.run = run, .tally = &tally};
        assert_int_equal(sta_load_pool_submit(&pool, &jobs[i].job), STRATA_OK);
    }
    assert_true(wait_until(all_threads_work, &tally, PATIENT_MS));
    unsigned i = STA_LOAD_POOL_THREADS;
    for (; i < STA_LOAD_POOL_THREADS + STA_LOAD_POOL_JOBS; i++) {
        jobs[i] = (struct counted){.job.run = run, .tally = &tally};
        assert_int_equal(sta_load_pool_submit(&pool, &jobs[i].job), STRATA_OK);
    }
    jobs[i] = (struct counted){.job.run = run, .tally = &tally};
    assert_int_equal(sta_load_pool_submit(&pool, &jobs[i].job), STRATA_ERR_BUSY);
    atomic_store(&tally.open, true);
    sta_load_pool_close(&pool);
    assert_int_equal(atomic_load(&tally.worked), atomic_load(&tally.begun));
    assert_int_equal(atomic_load(&tally.worked) + atomic_load(&tally.ended_idle),
                     STA_LOAD_POOL_THREADS + STA_LOAD_POOL_JOBS);
    sta_load_pool_fini(&pool);
}

static bool is_it(const struct sta_load_pool_job *job, const void *what)
{
    return STA_CONTAINER(job, const struct counted, job) == what;
}

/* What is taken is the taker's, and close() knows nothing of it. */
static void what_waits_is_taken_where_no_thread_is_free(void **state)
{
    (void)state;
    static struct counted jobs[STA_LOAD_POOL_THREADS + 2];
    struct sta_load_pool pool;
    struct tally tally = {.open = false};
    sta_load_pool_init(&pool);
    for (unsigned i = 0; i < STA_LOAD_POOL_THREADS; i++) {
        jobs[i] = (struct counted){.job = {.run = run, .is_about = is_it}, .tally = &tally};
        assert_int_equal(sta_load_pool_submit(&pool, &jobs[i].job), STRATA_OK);
    }
    assert_null(sta_load_pool_take(&pool, &jobs[0])); /* runs, or has a thread that will run it */
    assert_true(wait_until(all_threads_work, &tally, PATIENT_MS));
    for (unsigned i = STA_LOAD_POOL_THREADS; i < STA_LOAD_POOL_THREADS + 2; i++) {
        jobs[i] = (struct counted){.job = {.run = run, .is_about = is_it}, .tally = &tally};
        assert_int_equal(sta_load_pool_submit(&pool, &jobs[i].job), STRATA_OK);
    }
    struct counted *last = &jobs[STA_LOAD_POOL_THREADS + 1];
    assert_ptr_equal(sta_load_pool_take(&pool, last), &last->job);
    assert_null(sta_load_pool_take(&pool, last));
    atomic_store(&tally.open, true);
    sta_load_pool_close(&pool);
    assert_int_equal(atomic_load(&tally.worked) + atomic_load(&tally.ended_idle),
                     STA_LOAD_POOL_THREADS + 1);
    sta_load_pool_fini(&pool);
}

/* As one whose end a job waits for. */
static void open_it(struct sta_load_pool_job *job, bool work)
{
    struct tally *tally = STA_CONTAINER(job, struct counted, job)->tally;
    if (!work)
        atomic_fetch_add(&tally->ended_idle, 1);
    atomic_store(&tally->open, true);
}

static void closing_ends_what_waits_before_it_waits_for_what_runs(void **state)
{
    (void)state;
    static struct counted jobs[STA_LOAD_POOL_THREADS + 1];
    struct sta_load_pool pool;
    struct tally tally = {.open = false};
    sta_load_pool_init(&pool);
    for (unsigned i = 0; i < STA_LOAD_POOL_THREADS; i++) {
        jobs[i] = (struct counted){.job.run = run, .tally = &tally};
        assert_int_equal(sta_load_pool_submit(&pool, &jobs[i].job), STRATA_OK);
    }
    assert_true(wait_until(all_threads_work, &tally, PATIENT_MS));
    struct counted *last = &jobs[STA_LOAD_POOL_THREADS];
    *last = (struct counted){.job.run = open_it, .tally = &tally};
    assert_int_equal(sta_load_pool_submit(&pool, &last->job), STRATA_OK);
    sta_load_pool_close(&pool);
    assert_int_equal(atomic_load(&tally.ended_idle), 1);
    assert_int_equal(atomic_load(&tally.worked), STA_LOAD_POOL_THREADS);
    sta_load_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_thread_is_made_without_a_job),
        cmocka_unit_test(one_job_after_another_needs_one_thread),
        cmocka_unit_test(jobs_are_bounded_and_end_once_whatever_happens),
        cmocka_unit_test(what_waits_is_taken_where_no_thread_is_free),
        cmocka_unit_test(closing_ends_what_waits_before_it_waits_for_what_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
