/* SPDX-License-Identifier: MIT
 *
 * Everything at once: threads that call synchronously and so lead the loop in turn, calls whose
 * callbacks start the next one, completions that a queue hands over, pauses in which nobody
 * leads, and a cache that is closed in the middle of what is asynchronous. Over and over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "integration/cache_rig.h"
#include "support/redis_server.h"
#include "support/stall.h"
#include "support/wait.h"

#define ROUNDS  12
#define SYNCERS 4
#define CALLS   300
#define CHAINS  16 /* asynchronous calls under way */
#define BUDGET  2000

struct storm {
    struct strata *cache;
    struct strata_queue *queue;
    atomic_bool calm; /* nothing new is started */
    _Atomic(pthread_t) io_thread;
    atomic_uint wrong;
    atomic_uint started;
    atomic_uint ended;
};

struct syncer {
    struct storm *storm;
    pthread_t thread;
    unsigned number;
};

static void storm_expect(struct storm *storm, bool right)
{
    if (!right)
        atomic_fetch_add(&storm->wrong, 1);
}

/* ---- synchronous ---- */

/* Now and then long enough for the loop's own thread to look around. */
static void pause_sometimes(unsigned call)
{
    uint64_t until_ns = sta_clock_now_ns() + (call % 64 == 0 ? 3 * STA_NS_MS : 0);
    while (sta_clock_now_ns() < until_ns)
        sched_yield();
}

static void *call_synchronously(void *arg)
{
    struct syncer *syncer = arg;
    struct storm *storm = syncer->storm;
    char key[32], written[32];
    (void)snprintf(key, sizeof key, "sync:%u", syncer->number);
    for (unsigned i = 0; i < CALLS; i++) {
        struct strata_value value = {0};
        (void)snprintf(written, sizeof written, "%u", i);
        int status = strata_set(storm->cache, strata_text(key), strata_text(written), 0);
        storm_expect(storm, status == STRATA_OK);
        status = strata_get(storm->cache, strata_text(key), &value);
        storm_expect(storm, status == STRATA_OK && value.bytes.len == strlen(written) &&
                                memcmp(value.bytes.data, written, value.bytes.len) == 0);
        strata_release(&value);
        pause_sometimes(i);
    }
    return NULL;
}

/* ---- asynchronous ---- */

static void chain_start(struct storm *storm);

/* On the I/O thread, always the same one; only closing brings callbacks elsewhere. */
static void on_chain(void *arg, int status, struct strata_value *value)
{
    struct storm *storm = arg;
    struct strata_value nested = {0};
    pthread_t nobody = 0;
    atomic_fetch_add(&storm->ended, 1);
    if (status == STRATA_ERR_CLOSED)
        return;
    (void)atomic_compare_exchange_strong(&storm->io_thread, &nobody, pthread_self());
    storm_expect(storm, pthread_equal(atomic_load(&storm->io_thread), pthread_self()));
    storm_expect(storm, status == STRATA_OK && value != NULL && value->bytes.len == 5);
    storm_expect(storm,
                 strata_get(storm->cache, strata_text("chain"), &nested) == STRATA_ERR_INVALID);
    if (!atomic_load(&storm->calm))
        chain_start(storm);
}

static void chain_start(struct storm *storm)
{
    atomic_fetch_add(&storm->started, 1);
    int status = strata_get_async(storm->cache, strata_text("chain"),
                                  (struct strata_completion){on_chain, storm, NULL});
    storm_expect(storm, status == STRATA_OK);
}

static void on_queued(void *arg, int status, struct strata_value *value)
{
    struct storm *storm = arg;
    storm_expect(storm, status == STRATA_OK && value != NULL && value->bytes.len == 5);
    atomic_fetch_add(&storm->ended, 1);
}

/* From the test's thread, between whatever the others do. */
static void storm_queue(struct storm *storm, unsigned calls)
{
    unsigned handed = 0;
    for (unsigned i = 0; i < calls; i++) {
        atomic_fetch_add(&storm->started, 1);
        int status = strata_get_async(storm->cache, strata_text("chain"),
                                      (struct strata_completion){on_queued, storm, storm->queue});
        storm_expect(storm, status == STRATA_OK);
        handed += (unsigned)strata_queue_dispatch(storm->queue, 0);
    }
    for (uint64_t until_ns = sta_clock_now_ns() + 10 * STA_NS_SEC;
         handed < calls && sta_clock_now_ns() < until_ns;) {
        handed += (unsigned)strata_queue_dispatch(storm->queue, 0);
        sched_yield();
    }
    storm_expect(storm, handed == calls);
}

/* ---- all of it ---- */

static void storm_open(struct storm *storm)
{
    *storm = (struct storm){.cache = cache_rig_open((struct strata_options){
                                .l1_enabled = STRATA_OFF, .socket_timeout_ms = 20000})};
    assert_int_equal(strata_queue_open(&storm->queue), STRATA_OK);
    assert_int_equal(set_text(storm->cache, "chain", "links", 0), STRATA_OK);
}

/* `chains` 0: callers alone, who lend each other the lead; else the I/O thread joins in. */
static void storm_round(unsigned chains, bool calm_before_close)
{
    struct storm storm;
    struct syncer syncers[SYNCERS];
    storm_open(&storm);
    for (unsigned i = 0; i < chains; i++)
        chain_start(&storm);
    for (unsigned i = 0; i < SYNCERS; i++) {
        syncers[i] = (struct syncer){.storm = &storm, .number = i};
        assert_int_equal(pthread_create(&syncers[i].thread, NULL, call_synchronously, &syncers[i]),
                         0);
    }
    storm_queue(&storm, 200);
    for (unsigned i = 0; i < SYNCERS; i++)
        pthread_join(syncers[i].thread, NULL);
    atomic_store(&storm.calm, calm_before_close);
    strata_close(&storm.cache);
    strata_queue_close(&storm.queue);
    assert_int_equal(atomic_load(&storm.wrong), 0);
    assert_int_equal(atomic_load(&storm.ended), atomic_load(&storm.started));
}

static void callers_callbacks_queues_and_closing_do_not_get_in_each_others_way(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++)
        storm_round(round % 3 == 0 ? 0 : CHAINS, round % 2 == 0);
}

/* ---- deadlines ---- */

struct late {
    struct strata *cache;
    pthread_t thread;
    unsigned number;
    int status;
    uint64_t passed_ns; /* and of that what the machine did not take away */
    uint64_t took_ns;
};

static void *call_late(void *arg)
{
    struct late *late = arg;
    struct strata_value value = {0};
    struct stall_mark began = stall_mark();
    late->status = strata_get(late->cache, strata_text("k"), &value);
    late->took_ns = stall_took_ns(began);
    late->passed_ns = sta_clock_now_ns() - began.at_ns;
    strata_release(&value);
    return NULL;
}

static void note_late(void *arg, int status, struct strata_value *value)
{
    (void)value;
    atomic_store((_Atomic int *)arg, status);
}

static bool has_timed_out(void *arg)
{
    return atomic_load((_Atomic int *)arg) == STRATA_ERR_TIMEOUT;
}

/* Whoever leads has a deadline of his own, and minds those of the others. */
static void everybody_is_through_at_the_deadline_whoever_leads(void **state)
{
    (void)state;
    struct redis_server *frozen = NULL;
    struct late lates[SYNCERS];
    _Atomic int async_status = STRATA_OK;
    assert_int_equal(redis_server_start(&frozen, NULL), 0);
    struct strata *cache =
        cache_rig_open((struct strata_options){.l1_enabled = STRATA_OFF,
                                               .redis_url = redis_server_url(frozen),
                                               .socket_timeout_ms = BUDGET});
    assert_int_equal(set_text(cache, "k", "v", 0), STRATA_OK);
    redis_server_freeze(frozen);
    for (unsigned i = 0; i < SYNCERS; i++) {
        lates[i] = (struct late){.cache = cache, .number = i};
        assert_int_equal(pthread_create(&lates[i].thread, NULL, call_late, &lates[i]), 0);
    }
    assert_int_equal(strata_get_async(cache, strata_text("k"),
                                      (struct strata_completion){note_late, &async_status, NULL}),
                     STRATA_OK);
    for (unsigned i = 0; i < SYNCERS; i++) {
        pthread_join(lates[i].thread, NULL);
        assert_int_equal(lates[i].status, STRATA_ERR_TIMEOUT);
        assert_true(lates[i].passed_ns >= BUDGET * STA_NS_MS);
        assert_true(lates[i].took_ns < 2 * BUDGET * STA_NS_MS);
    }
    assert_true(wait_until(has_timed_out, &async_status, BUDGET));
    strata_close(&cache);
    redis_server_thaw(frozen);
    redis_server_stop(&frozen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(callers_callbacks_queues_and_closing_do_not_get_in_each_others_way,
                               cache_rig_flush),
        cmocka_unit_test_setup(everybody_is_through_at_the_deadline_whoever_leads, cache_rig_flush),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
