/* SPDX-License-Identifier: MIT
 *
 * See held_pattern.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/held_pattern.h"

#include <cmocka.h>

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        ; /* interrupted */
}

static int on_progress(void *arg, const struct strata_pattern_progress *progress)
{
    struct held_pattern *held = arg;
    (void)progress;
    if (!held->told) {
        held->told = true;
        (void)sem_post(&held->held);
        wait_for(&held->go_on);
    }
    return held->give_up;
}

static void *run(void *arg)
{
    struct held_pattern *held = arg;
    struct strata_pattern_options options = {.share = held->share != 0 ? held->share : 20,
                                             .progress = on_progress,
                                             .progress_arg = held};
    held->status = strata_invalidate_pattern_with(held->cache, strata_text(held->pattern), &options,
                                                  &held->result, NULL);
    if (!held->told)
        (void)sem_post(&held->held);
    return NULL;
}

void held_pattern_begin(struct held_pattern *held)
{
    held->told = false;
    assert_int_equal(sem_init(&held->held, 0, 0), 0);
    assert_int_equal(sem_init(&held->go_on, 0, 0), 0);
    assert_int_equal(pthread_create(&held->thread, NULL, run, held), 0);
    wait_for(&held->held);
    if (!held->told)
        fail_msg("it ended before it was held: %s", strata_status_name(held->status));
}

void held_pattern_end(struct held_pattern *held)
{
    (void)sem_post(&held->go_on);
    assert_int_equal(pthread_join(held->thread, NULL), 0);
    (void)sem_destroy(&held->held);
    (void)sem_destroy(&held->go_on);
}
