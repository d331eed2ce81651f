/* SPDX-License-Identifier: MIT
 *
 * A lane's fence, before a single Redis: what it proves, and what it does not. The server answers
 * one command after the other, when the test lets it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "daemon/lane.h"
#include "daemon/stratad.h"
#include "daemon/worker.h"
#include "daemon/write_window.h"
#include "strata/status.h"
#include "support/fake_redis.h"

#define PATIENCE_NS (20 * STA_NS_SEC)
#define SHORT_NS    (20 * STA_NS_MS)
#define LONG_MS     60000u

struct bench {
    struct fake_redis *fake;
    struct sta_stratad *stratad;
    struct sta_worker *worker;
    struct sta_lane *lane;
    struct sta_timer poll;
    bool (*until)(struct bench *bench);
    uint64_t give_up_ns;
    bool gave_up;
    uint64_t fences; /* that are waited for */
};

/* A write, whose outcome is doubted where it is not known, as write_path.c does. */
struct write {
    struct sta_operation operation;
    struct bench *bench;
    int status;
    bool done;
};

static struct bench bench;
static struct write writes[2];

/* ---- the loop ---- */

static void on_poll(struct sta_timer *timer)
{
    bench.gave_up = sta_clock_now_ns() >= bench.give_up_ns;
    if (bench.gave_up || bench.until(&bench))
        sta_loop_stop(bench.worker->loop);
    else
        sta_timer_start(bench.worker->loop, timer, sta_clock_now_ns() + STA_NS_MS / 2);
}

static void run_until(bool (*until)(struct bench *bench))
{
    bench.until = until;
    bench.give_up_ns = sta_clock_now_ns() + PATIENCE_NS;
    sta_timer_start(bench.worker->loop, &bench.poll, 1);
    sta_loop_run(bench.worker->loop);
    assert_false(bench.gave_up);
}

static bool is_ready(struct bench *b)
{
    return sta_connection_state(b->lane->connection) == STA_CONNECTION_READY;
}

static bool all_done(struct bench *b)
{
    (void)b;
    return (writes[0].done || writes[0].bench == NULL) &&
           (writes[1].done || writes[1].bench == NULL);
}

static bool fences_have_come(struct bench *b)
{
    return fake_redis_seen(b->fake, "PING") >= b->fences;
}

static bool first_has_come(struct bench *b)
{
    return fake_redis_seen(b->fake, "SET one *") == 1;
}

static bool is_certain(struct bench *b)
{
    return b->lane->state == STA_LANE_CERTAIN;
}

/* Its fence was answered: it is certain, or has sent another. */
static bool first_fence_is_over(struct bench *b)
{
    return is_certain(b) || fake_redis_seen(b->fake, "PING") > b->fences;
}

/* ---- the bench ---- */

static int set_up(void **state)
{
    (void)state;
    bench = (struct bench){.stratad = calloc(1, sizeof *bench.stratad),
                           .worker = calloc(1, sizeof *bench.worker),
                           .fake = fake_redis_start(NULL)};
    memset(writes, 0, sizeof writes);
    struct sta_stratad *stratad = bench.stratad;
    char url[64];
    (void)snprintf(url, sizeof url, "redis://%s", fake_redis_address(bench.fake));
    assert_int_equal(sta_redis_url_parse(url, &stratad->url, NULL), STRATA_OK);
    assert_int_equal(sta_write_window_create(&stratad->window), STRATA_OK);
    assert_int_equal(sta_loop_create(&bench.worker->loop), STRATA_OK);
    atomic_store(&stratad->live.timeout_ms, LONG_MS);
    bench.worker->stratad = stratad;
    bench.lane = &bench.worker->lanes[STA_LANE_PLAIN2];
    sta_timer_init(&bench.poll, on_poll);
    sta_lane_init(bench.lane, bench.worker, STA_LANE_PLAIN2);
    assert_int_equal(sta_lane_open(bench.lane), STRATA_OK);
    run_until(is_ready);
    fake_redis_say(bench.fake, "SET *", 0, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sta_lane_close(bench.lane);
    sta_timer_stop(bench.worker->loop, &bench.poll);
    sta_loop_destroy(&bench.worker->loop);
    sta_write_window_destroy(&bench.stratad->window);
    fake_redis_stop(&bench.fake);
    free(bench.worker);
    free(bench.stratad);
    return 0;
}

static void on_written(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct write *write = STA_CONTAINER(request, struct write, operation.request);
    (void)replies;
    write->status = status;
    write->done = true;
    if (sta_lane_is_unknown(status))
        sta_lane_doubt(write->bench->lane, &write->operation);
}

static void begin_write(struct write *write, const char *wire)
{
    *write = (struct write){.bench = &bench};
    write->operation.request = (struct sta_request){
        .wire = strata_text(wire),
        .commands = 1,
        .deadline_ns = sta_loop_now_ns(bench.worker->loop) + SHORT_NS,
        .done = on_written,
    };
    sta_lane_submit(bench.lane, &write->operation.request);
}

static bool admits(void)
{
    const struct sta_write_window *window = bench.stratad->window;
    return sta_write_window_admits_fill(window, 1, sta_write_window_epoch(window));
}

/* The first write ends without an answer, and its fence is under way, with a long budget. */
static void begin_doubt(void)
{
    begin_write(&writes[0], "*3\r\n$3\r\nSET\r\n$3\r\none\r\n$1\r\n1\r\n");
    run_until(first_has_come);
    bench.fences = fake_redis_seen(bench.fake, "PING") + 1; /* the link's own were answered */
    fake_redis_say(bench.fake, "PING", 0, NULL);
    run_until(all_done);
    assert_int_equal(writes[0].status, STRATA_ERR_TIMEOUT);
    run_until(fences_have_come);
    assert_false(admits());
}

static void a_doubt_ends_when_its_fence_is_answered(void **state)
{
    (void)state;
    assert_true(admits());
    begin_doubt();
    fake_redis_push(bench.fake, "+OK\r\n+PONG\r\n");
    run_until(is_certain);
    assert_true(admits());
}

/* The budget may have become shorter meanwhile: a write that was sent behind the fence has ended,
 * and the fence has not. Its answer says nothing of that write. */
static void a_fence_proves_nothing_of_a_write_behind_it(void **state)
{
    (void)state;
    begin_doubt();
    begin_write(&writes[1], "*3\r\n$3\r\nSET\r\n$3\r\ntwo\r\n$1\r\n1\r\n");
    run_until(all_done);
    assert_int_equal(writes[1].status, STRATA_ERR_TIMEOUT);
    fake_redis_push(bench.fake, "+OK\r\n+PONG\r\n"); /* the second SET is not carried out yet */
    run_until(first_fence_is_over);
    assert_false(admits());
    bench.fences++;
    run_until(fences_have_come);
    fake_redis_push(bench.fake, "+OK\r\n+PONG\r\n");
    run_until(is_certain);
    assert_true(admits());
}

/* The greeting is answered, and then the fence. */
static void a_lost_connection_needs_a_fence_on_the_next(void **state)
{
    (void)state;
    begin_doubt();
    fake_redis_forget(bench.fake);
    fake_redis_drop(bench.fake, false);
    run_until(is_certain);
    assert_int_equal(fake_redis_connections(bench.fake), 2);
    assert_true(fake_redis_seen(bench.fake, "PING") > bench.fences);
    assert_true(admits());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_doubt_ends_when_its_fence_is_answered),
        TEST(a_fence_proves_nothing_of_a_write_behind_it),
        TEST(a_lost_connection_needs_a_fence_on_the_next),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
