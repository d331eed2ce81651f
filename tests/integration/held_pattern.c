/* SPDX-License-Identifier: MIT
 *
 * See held_pattern.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "integration/held_pattern.h"

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>

/* What the thread knows. */
struct held_pattern_run {
    struct held_pattern asked; /* and what became of it */
    bool told;
    sem_t held, go_on;
    pthread_t thread;
};

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        ; /* interrupted */
}

static int on_progress(void *arg, const struct strata_pattern_progress *progress)
{
    struct held_pattern_run *run = arg;
    (void)progress;
    if (!run->told) {
        run->told = true;
        (void)sem_post(&run->held);
        wait_for(&run->go_on);
    }
    return run->asked.give_up;
}

static void *invalidate(void *arg)
{
    struct held_pattern_run *run = arg;
    struct held_pattern *asked = &run->asked;
    struct strata_pattern_options options = {.share = asked->share != 0 ? asked->share : 20,
                                             .progress = on_progress,
                                             .progress_arg = run};
    asked->status = strata_invalidate_pattern_with(asked->cache, strata_text(asked->pattern),
                                                   &options, &asked->result, NULL);
    if (!run->told)
        (void)sem_post(&run->held);
    return NULL;
}

void held_pattern_begin(struct held_pattern *held)
{
    struct held_pattern_run *run = calloc(1, sizeof *run);
    assert_non_null(run);
    run->asked = *held;
    held->run = run;
    assert_int_equal(sem_init(&run->held, 0, 0), 0);
    assert_int_equal(sem_init(&run->go_on, 0, 0), 0);
    assert_int_equal(pthread_create(&run->thread, NULL, invalidate, run), 0);
    wait_for(&run->held);
    if (!run->told)
        fail_msg("it ended before it was held: %s", strata_status_name(run->asked.status));
}

void held_pattern_end(struct held_pattern *held)
{
    struct held_pattern_run *run = held->run;
    held->run = NULL;
    (void)sem_post(&run->go_on);
    assert_int_equal(pthread_join(run->thread, NULL), 0);
    held->status = run->asked.status;
    held->result = run->asked.result;
    (void)sem_destroy(&run->held);
    (void)sem_destroy(&run->go_on);
    free(run);
}
