/* SPDX-License-Identifier: MIT
 *
 * A node's numbers: quantiles of the last seconds, the moving mean, counts, and merging.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/random.h"
#include "l2/node_health.h"

#define US     UINT64_C(1000)
#define MS     UINT64_C(1000000)
#define WINDOW STA_NODE_HEALTH_WINDOW_NS

static void answer(struct sta_node_health *health, uint64_t latency_ns, uint64_t now_ns,
                   unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        sta_node_health_sent(health);
        sta_node_health_answered(health, latency_ns, now_ns);
    }
}

static void quantiles_are_at_most_an_eighth_too_large(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (unsigned round = 0; round < 20000; round++) {
        struct sta_node_health health = {0};
        uint64_t latency_ns = sta_random_next(&random) >> (30 + sta_random_below(&random, 24));
        answer(&health, latency_ns, 5, 1);
        uint64_t told_ns = sta_node_health_quantile(&health, 0.99, 5);
        assert_true(told_ns > latency_ns);
        assert_true(told_ns - latency_ns <= latency_ns / 8 + 1024);
    }
}

static void what_takes_longer_than_the_last_bucket_is_in_it(void **state)
{
    (void)state;
    struct sta_node_health health = {0};
    answer(&health, UINT64_MAX, 5, 1);
    assert_int_equal(sta_node_health_quantile(&health, 0.5, 5), UINT64_C(1) << 34);
    struct sta_node_health quick = {0};
    answer(&quick, 0, 5, 1);
    assert_int_equal(sta_node_health_quantile(&quick, 0.5, 5), 1024);
}

static void a_quantile_leaves_its_share_above(void **state)
{
    (void)state;
    struct sta_node_health health = {0};
    answer(&health, 100 * US, 5, 980);
    answer(&health, 50 * MS, 5, 20);
    assert_in_range(sta_node_health_quantile(&health, 0.5, 5), 100 * US, 113 * US);
    assert_in_range(sta_node_health_quantile(&health, 0.98, 5), 100 * US, 113 * US);
    assert_in_range(sta_node_health_quantile(&health, 0.99, 5), 50 * MS, 57 * MS);
    assert_in_range(sta_node_health_quantile(&health, 0, 5), 100 * US, 113 * US);
    assert_in_range(sta_node_health_quantile(&health, 1, 5), 50 * MS, 57 * MS);
}

static void nothing_is_told_where_nothing_came(void **state)
{
    (void)state;
    struct sta_node_health health = {0};
    assert_int_equal(sta_node_health_quantile(&health, 0.99, 0), 0);
    assert_int_equal(sta_node_health_quantile(&health, 0.99, 100 * WINDOW), 0);
}

static void what_is_older_than_two_windows_is_forgotten(void **state)
{
    (void)state;
    struct sta_node_health health = {0};
    answer(&health, 50 * MS, 0, 100);
    assert_true(sta_node_health_quantile(&health, 0.5, WINDOW - 1) >= 50 * MS);
    assert_true(sta_node_health_quantile(&health, 0.5, 2 * WINDOW - 1) >= 50 * MS);
    assert_int_equal(sta_node_health_quantile(&health, 0.5, 2 * WINDOW), 0);

    answer(&health, 1 * MS, WINDOW + 1, 10); /* in the next window: the slow ones still count */
    assert_true(sta_node_health_quantile(&health, 0.5, WINDOW + 1) >= 50 * MS);
    answer(&health, 1 * MS, 2 * WINDOW + 1, 10); /* and now they do not */
    assert_true(sta_node_health_quantile(&health, 1, 2 * WINDOW + 1) < 2 * MS);
    answer(&health, 2 * MS, 9 * WINDOW, 1); /* after a pause, neither does that */
    assert_true(sta_node_health_quantile(&health, 0, 9 * WINDOW) >= 2 * MS);
}

static void the_mean_begins_at_the_first_reply_and_follows(void **state)
{
    (void)state;
    struct sta_node_health health = {0};
    answer(&health, 100 * US, 5, 1);
    assert_int_equal(health.ewma_ns, 100 * US);
    answer(&health, 100 * US, 5, 50);
    assert_int_equal(health.ewma_ns, 100 * US);
    answer(&health, 1 * MS, 5, 16); /* 1 - (15/16)^16 = 64 % of the way */
    assert_in_range(health.ewma_ns, 660 * US, 700 * US);
    answer(&health, 1 * MS, 5, 200);
    assert_in_range(health.ewma_ns, 990 * US, 1001 * US);
}

static void what_is_in_flight_ends_in_one_way(void **state)
{
    (void)state;
    struct sta_node_health health = {0};
    for (unsigned i = 0; i < 5; i++)
        sta_node_health_sent(&health);
    sta_node_health_answered(&health, 1 * MS, 77);
    sta_node_health_dropped(&health, STA_NODE_HEALTH_TIMEOUT);
    sta_node_health_dropped(&health, STA_NODE_HEALTH_LOST);
    sta_node_health_count(&health, STA_NODE_HEALTH_REFUSED);
    sta_node_health_count(&health, STA_NODE_HEALTH_REDIRECT);
    assert_int_equal(health.in_flight, 2);
    assert_int_equal(health.requests, 5);
    assert_int_equal(health.replies, 1);
    assert_int_equal(health.last_reply_ns, 77);
    assert_int_equal(health.errors[STA_NODE_HEALTH_TIMEOUT], 1);
    assert_int_equal(health.errors[STA_NODE_HEALTH_LOST], 1);
    assert_int_equal(health.errors[STA_NODE_HEALTH_REFUSED], 1);
    assert_int_equal(health.errors[STA_NODE_HEALTH_REDIRECT], 1);
    assert_int_equal(health.errors[STA_NODE_HEALTH_BUSY], 0);
}

static void lanes_are_merged(void **state)
{
    (void)state;
    struct sta_node_health one = {.late = 1, .connects = 2, .reconnects = 1},
                           other = {.late = 10, .connects = 20, .reconnects = 18};
    struct sta_node_health all = {0};
    uint64_t now_ns = 50 * WINDOW;
    answer(&one, 1 * MS, now_ns - 1, 900);
    answer(&other, 21 * MS, now_ns - WINDOW - 1, 50); /* in both of its windows */
    answer(&other, 21 * MS, now_ns - 1, 50);
    sta_node_health_sent(&other);
    sta_node_health_count(&other, STA_NODE_HEALTH_BUSY);
    sta_node_health_merge(&all, &one, now_ns);
    sta_node_health_merge(&all, &other, now_ns);
    assert_int_equal(all.requests, 1001);
    assert_int_equal(all.replies, 1000);
    assert_int_equal(all.in_flight, 1);
    assert_int_equal(all.late, 11);
    assert_int_equal(all.connects, 22);
    assert_int_equal(all.reconnects, 19);
    assert_int_equal(all.errors[STA_NODE_HEALTH_BUSY], 1);
    assert_int_equal(all.last_reply_ns, now_ns - 1);
    assert_in_range(all.ewma_ns, 2900 * US, 3100 * US); /* (900 * 1 + 100 * 21) / 1000 */
    assert_true(sta_node_health_quantile(&all, 0.9, now_ns) < 2 * MS);
    assert_true(sta_node_health_quantile(&all, 0.91, now_ns) > 20 * MS);
}

static void a_lane_that_rests_keeps_its_mean_and_weighs_nothing(void **state)
{
    (void)state;
    struct sta_node_health old = {0}, all = {0}, fresh = {0};
    answer(&old, 9 * MS, 5, 100);
    sta_node_health_merge(&all, &old, 50 * WINDOW);
    assert_int_equal(all.ewma_ns, old.ewma_ns);
    answer(&fresh, 1 * MS, 50 * WINDOW, 1);
    sta_node_health_merge(&all, &fresh, 50 * WINDOW);
    assert_int_equal(all.ewma_ns, 1 * MS);
    assert_true(sta_node_health_quantile(&all, 1, 50 * WINDOW) < 2 * MS);
}

/* Whoever counts requests elsewhere: the first latency is the mean, though it is no reply here. */
static void a_latency_alone_counts_nothing(void **state)
{
    (void)state;
    struct sta_node_health health = {0};
    sta_node_health_timed(&health, 16 * MS, 5);
    assert_int_equal(health.ewma_ns, 16 * MS);
    sta_node_health_timed(&health, 32 * MS, 6);
    assert_int_equal(health.ewma_ns, 17 * MS);
    assert_in_range(sta_node_health_quantile(&health, 0.99, 7), 32 * MS, 36 * MS);
    assert_int_equal(health.replies, 0);
    assert_int_equal(health.in_flight, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_at_most_an_eighth_too_large),
        cmocka_unit_test(what_takes_longer_than_the_last_bucket_is_in_it),
        cmocka_unit_test(a_quantile_leaves_its_share_above),
        cmocka_unit_test(nothing_is_told_where_nothing_came),
        cmocka_unit_test(what_is_older_than_two_windows_is_forgotten),
        cmocka_unit_test(the_mean_begins_at_the_first_reply_and_follows),
        cmocka_unit_test(what_is_in_flight_ends_in_one_way),
        cmocka_unit_test(lanes_are_merged),
        cmocka_unit_test(a_lane_that_rests_keeps_its_mean_and_weighs_nothing),
        cmocka_unit_test(a_latency_alone_counts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
