/* SPDX-License-Identifier: MIT
 *
 * One Redis behind a bad network, or frozen: no call outlives its budget, nothing is ever answered
 * wrongly, a sick server is left alone soon and found again when it is well, and the log stays
 * calm. The load (integration/load.h) checks every answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <hiredis/hiredis.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "integration/load.h"
#include "integration/log_record.h"
#include "support/fault_proxy.h"
#include "support/redis_server.h"
#include "support/stall.h"
#include "support/wait.h"

#define BUDGET_MS  500u
#define SLACK_MS   250u /* of a busy machine; the engine promises 50 */
#define PATIENT_MS 20000u

struct world {
    struct redis_server *server;
    struct fault_proxy *proxy;
    struct log_record log;
};

/* Never freed: the caches of a test that failed live on and log, to the end of the process. */
static struct world the_world;

static int start(void **state)
{
    char target[32];
    struct world *world = &the_world;
    if (redis_server_start(&world->server, NULL) != 0)
        return -1;
    (void)snprintf(target, sizeof target, "127.0.0.1:%d", redis_server_port(world->server));
    world->proxy = fault_proxy_start(NULL, target);
    log_record_init(&world->log);
    *state = world;
    return 0;
}

static int stop(void **state)
{
    struct world *world = *state;
    fault_proxy_stop(&world->proxy);
    redis_server_stop(&world->server);
    return 0;
}

/* An empty Redis behind a network that is well. */
static int heal(void **state)
{
    struct world *world = *state;
    load_stop_left();
    redis_server_thaw(world->server);
    fault_proxy_heal(world->proxy);
    fault_proxy_cut(world->proxy);
    log_record_init(&world->log);
    redisContext *redis = redisConnectUnix(redis_server_socket(world->server));
    freeReplyObject(redisCommand(redis, "REPLICAOF NO ONE"));
    redisReply *reply = redisCommand(redis, "FLUSHALL");
    int result = reply != NULL && reply->type == REDIS_REPLY_STATUS ? 0 : -1;
    freeReplyObject(reply);
    redisFree(redis);
    return result;
}

static struct strata *open_at(struct world *world, const char *url, uint64_t budget_ms)
{
    struct strata *cache = NULL;
    struct strata_error error;
    const struct strata_options options = {
        .l1_enabled = STRATA_OFF,
        .redis_url = url,
        .socket_timeout_ms = budget_ms,
        .log_sink = log_record_sink,
        .log_arg = &world->log,
    };
    if (strata_open(&cache, &options, &error) != STRATA_OK)
        fail_msg("%s", error.text);
    return cache;
}

static struct strata *open_through_proxy(struct world *world, uint64_t budget_ms)
{
    char url[64];
    (void)snprintf(url, sizeof url, "redis://%s", fault_proxy_address(world->proxy));
    return open_at(world, url, budget_ms);
}

static int get(struct strata *cache, const char *key)
{
    struct strata_value value = {0};
    int status = strata_get(cache, strata_text(key), &value);
    strata_release(&value);
    return status;
}

static bool answers(void *arg)
{
    return get(arg, "any") == STRATA_MISS;
}

static void assert_in_budget(const struct load_result *result)
{
    assert_in_range(result->longest_ns / STA_NS_MS, 0, BUDGET_MS + SLACK_MS);
}

struct hearing {
    struct log_record *log;
    uint64_t since_ns;
};

static bool is_heard(void *arg)
{
    const struct hearing *hearing = arg;
    return log_record_count(hearing->log, "", hearing->since_ns) > 0;
}

/* Somebody hears of it, soon, and a line a second is enough. */
static void assert_log_is_calm(struct world *world, uint64_t since_ns)
{
    struct hearing hearing = {.log = &world->log, .since_ns = since_ns};
    assert_true(wait_until(is_heard, &hearing, 5000));
    uint64_t seconds = (sta_clock_now_ns() - since_ns) / STA_NS_SEC;
    unsigned lines = log_record_count(&world->log, "", since_ns);
    if (lines > seconds + 2)
        log_record_print(&world->log);
    assert_in_range(lines, 1, seconds + 2);
}

/* What is true of every load here. */
static struct load_result end(struct load **load, struct strata **cache)
{
    struct load_result result = load_stop(load);
    strata_close(cache);
    load_assert_right(&result);
    return result;
}

/* ---- a frozen server ---- */

static void a_frozen_server_costs_no_call_more_than_its_budget_and_soon_nothing(void **state)
{
    struct world *world = *state;
    struct strata *cache = open_through_proxy(world, BUDGET_MS);
    struct load *load = load_start(&(struct load_config){.cache = cache, .prefix = "frozen"});
    assert_true(load_recovers(load, 50, PATIENT_MS));
    redis_server_freeze(world->server);
    /* 300 calls that each waited for their budget would take 150 s. */
    assert_true(load_goes_on(load, 300, PATIENT_MS));
    struct load_result result = load_look(load);
    assert_true(result.failed >= 4 * 290);
    redis_server_thaw(world->server);
    assert_true(load_recovers(load, 100, PATIENT_MS));
    result = end(&load, &cache);
    assert_in_budget(&result);
}

static void the_log_stays_calm_while_a_server_is_frozen(void **state)
{
    struct world *world = *state;
    struct strata *cache = open_through_proxy(world, BUDGET_MS);
    struct load *load = load_start(&(struct load_config){.cache = cache, .prefix = "calm"});
    assert_true(load_recovers(load, 50, PATIENT_MS));
    uint64_t start_ns = sta_clock_now_ns();
    redis_server_freeze(world->server);
    assert_true(load_goes_on(load, 2000, PATIENT_MS));
    uint64_t seconds = (sta_clock_now_ns() - start_ns) / STA_NS_SEC;
    unsigned lines = log_record_count(&world->log, "", start_ns);
    if (lines > seconds + 2)
        log_record_print(&world->log);
    assert_in_range(lines, 1,
                    seconds + 2); /* somebody must hear of it, and once a second at most */
    redis_server_thaw(world->server);
    assert_true(load_recovers(load, 100, PATIENT_MS));
    (void)end(&load, &cache);
}

static void a_server_that_was_frozen_is_found_again_soon(void **state)
{
    struct world *world = *state;
    struct strata *cache = open_through_proxy(world, BUDGET_MS);
    for (int i = 0; i < 3; i++) {
        assert_true(wait_until(answers, cache, PATIENT_MS));
        redis_server_freeze(world->server);
        for (int k = 0; k < 20; k++)
            assert_true(get(cache, "any") < 0);
        redis_server_thaw(world->server);
        assert_true(wait_until(answers, cache, 3000)); /* the engine promises 1 s */
    }
    strata_close(&cache);
}

/* ---- connections that lie ---- */

static void a_link_that_died_without_a_word_is_noticed_and_replaced(void **state)
{
    struct world *world = *state;
    struct strata *cache = open_through_proxy(world, BUDGET_MS);
    struct load *load = load_start(&(struct load_config){.cache = cache, .prefix = "half-open"});
    assert_true(load_recovers(load, 50, PATIENT_MS));
    fault_proxy_abandon(world->proxy);
    assert_true(load_recovers(load, 200, PATIENT_MS));
    assert_true(fault_proxy_statistics(world->proxy).accepted >= 2);
    struct load_result result = end(&load, &cache);
    assert_true(result.failed > 0);
    assert_in_budget(&result);
}

static bool has_new_link(void *arg)
{
    return fault_proxy_statistics(arg).accepted >= 2;
}

/* Nobody calls, and still it is noticed: the first call after it must not pay for it. */
static void a_quiet_link_that_died_is_replaced_before_it_is_needed(void **state)
{
    struct world *world = *state;
    struct fault_proxy *proxy = fault_proxy_start(NULL, NULL);
    char target[32];
    char url[64];
    (void)snprintf(target, sizeof target, "127.0.0.1:%d", redis_server_port(world->server));
    (void)snprintf(url, sizeof url, "redis://%s", fault_proxy_address(proxy));
    fault_proxy_set_target(proxy, target);
    struct strata *cache = open_at(world, url, BUDGET_MS);
    assert_true(wait_until(answers, cache, PATIENT_MS));
    fault_proxy_abandon(proxy);
    assert_true(wait_until(has_new_link, proxy, PATIENT_MS));
    assert_true(wait_until(answers, cache, PATIENT_MS));
    strata_close(&cache);
    fault_proxy_stop(&proxy);
}

static void answers_that_never_come_cost_the_budget_and_no_more(void **state)
{
    struct world *world = *state;
    struct strata *cache = open_through_proxy(world, BUDGET_MS);
    struct load *load = load_start(&(struct load_config){.cache = cache, .prefix = "one-way"});
    assert_true(load_recovers(load, 50, PATIENT_MS));
    fault_proxy_set_way(world->proxy, FAULT_DOWN, (struct fault_way){.drop = true});
    assert_true(load_goes_on(load, 100, PATIENT_MS));
    fault_proxy_abandon(world->proxy); /* TCP never goes on behind bytes that are missing */
    fault_proxy_heal(world->proxy);
    assert_true(load_recovers(load, 100, PATIENT_MS));
    struct load_result result = end(&load, &cache);
    assert_in_budget(&result);
}

static void a_server_that_accepts_and_says_nothing_is_no_server(void **state)
{
    struct world *world = *state;
    fault_proxy_set_arrival(world->proxy, FAULT_SILENT);
    struct strata *cache = open_through_proxy(world, BUDGET_MS);
    struct load *load = load_start(&(struct load_config){.cache = cache, .prefix = "silent"});
    assert_true(load_goes_on(load, 100, PATIENT_MS));
    struct load_result result = load_look(load);
    assert_int_equal(result.reads + result.writes, 0);
    fault_proxy_heal(world->proxy);
    assert_true(load_recovers(load, 100, PATIENT_MS));
    result = end(&load, &cache);
    assert_in_budget(&result);
}

/* ---- connections that break ---- */

static void cuts_and_resets_under_load_cost_errors_and_nothing_else(void **state)
{
    struct world *world = *state;
    struct strata *cache = open_through_proxy(world, BUDGET_MS);
    struct load *load = load_start(
        &(struct load_config){.cache = cache, .prefix = "cut", .threads = 8, .batch = 20});
    for (int i = 0; i < 6; i++) {
        assert_true(load_recovers(load, 50, PATIENT_MS));
        if (i % 2 == 0)
            fault_proxy_cut(world->proxy);
        else
            fault_proxy_reset(world->proxy);
    }
    assert_true(load_recovers(load, 50, PATIENT_MS));
    assert_true(fault_proxy_statistics(world->proxy).accepted >= 7);
    struct load_result result = end(&load, &cache);
    assert_in_budget(&result);
    load_assert_none_lost(&result);
}

static void a_refused_connection_fails_at_once_and_is_tried_again_in_calm(void **state)
{
    struct world *world = *state;
    struct strata *cache = open_through_proxy(world, BUDGET_MS);
    struct load *load = load_start(&(struct load_config){.cache = cache, .prefix = "refused"});
    assert_true(load_recovers(load, 50, PATIENT_MS));
    uint64_t start_ns = sta_clock_now_ns();
    fault_proxy_set_arrival(world->proxy, FAULT_REFUSE);
    fault_proxy_reset(world->proxy);
    assert_true(load_goes_on(load, 1000, PATIENT_MS));
    assert_log_is_calm(world, start_ns);
    fault_proxy_heal(world->proxy);
    assert_true(load_recovers(load, 100, PATIENT_MS));
    struct load_result result = end(&load, &cache);
    assert_in_budget(&result);
    load_assert_none_lost(&result);
}

/* ---- bytes that come as they like ---- */

static void split_at_every_byte_everything_is_understood(void **state)
{
    struct world *world = *state;
    struct strata *cache = open_through_proxy(world, 5000);
    const struct fault_way way = {.chunk_bytes = 1};
    fault_proxy_set_way(world->proxy, FAULT_UP, way);
    fault_proxy_set_way(world->proxy, FAULT_DOWN, way);
    struct load *load = load_start(
        &(struct load_config){.cache = cache, .prefix = "split", .keys = 20, .batch = 7});
    assert_true(load_goes_on(load, 60, 60000));
    struct load_result result = load_look(load);
    fault_proxy_heal(world->proxy); /* the end reads all keys again */
    (void)end(&load, &cache);
    assert_int_equal(result.failed, 0);
    load_assert_none_lost(&result);
}

static void pieces_of_all_sizes_with_pauses_are_understood(void **state)
{
    struct world *world = *state;
    struct strata *cache = open_through_proxy(world, 5000);
    const struct fault_way way = {.chunk_bytes = 300, .chunk_random = true, .gap_us = 50};
    fault_proxy_set_way(world->proxy, FAULT_UP, way);
    fault_proxy_set_way(world->proxy, FAULT_DOWN, way);
    struct load *load =
        load_start(&(struct load_config){.cache = cache, .prefix = "pieces", .batch = 20});
    assert_true(load_goes_on(load, 200, 60000));
    struct load_result result = end(&load, &cache);
    assert_int_equal(result.failed, 0);
    load_assert_none_lost(&result);
}

static void a_reply_that_is_none_ends_the_connection_and_reaches_nobody(void **state)
{
    struct world *world = *state;
    struct strata *cache = open_through_proxy(world, BUDGET_MS);
    struct load *load = load_start(&(struct load_config){.cache = cache, .prefix = "corrupt"});
    uint64_t links = fault_proxy_statistics(world->proxy).accepted;
    for (int i = 0; i < 5; i++) {
        assert_true(load_recovers(load, 20, PATIENT_MS));
        /* The first byte that Redis sends next: with calls that wait, the sign of a reply. */
        fault_proxy_set_way(world->proxy, FAULT_DOWN, (struct fault_way){.corrupt_at = 1});
        assert_true(load_goes_on(load, 20, PATIENT_MS));
    }
    assert_true(load_recovers(load, 20, PATIENT_MS));
    assert_true(fault_proxy_statistics(world->proxy).accepted >= links + 5);
    struct load_result result = end(&load, &cache);
    assert_in_budget(&result);
    load_assert_none_lost(&result);
}

/* ---- distance ---- */

struct flight {
    _Atomic unsigned done;
    _Atomic unsigned failed;
};

static void land(void *arg, int status, struct strata_value *value)
{
    struct flight *flight = arg;
    (void)value;
    atomic_fetch_add(&flight->failed, status < 0);
    atomic_fetch_add(&flight->done, 1);
}

static bool all_landed(void *arg)
{
    struct flight *flight = arg;
    return atomic_load(&flight->done) == 64;
}

/* 64 round trips of 100 ms, one behind the other, would take 6.4 s. */
static void what_is_under_way_together_shares_the_round_trip(void **state)
{
    struct world *world = *state;
    struct strata *cache = open_through_proxy(world, 5000);
    struct flight flight = {0};
    assert_true(wait_until(answers, cache, PATIENT_MS));
    fault_proxy_set_way(world->proxy, FAULT_UP, (struct fault_way){.delay_ms = 50});
    fault_proxy_set_way(world->proxy, FAULT_DOWN, (struct fault_way){.delay_ms = 50});
    struct stall_mark start = stall_mark();
    for (int i = 0; i < 64; i++)
        assert_int_equal(strata_get_async(cache, strata_text("far"),
                                          (struct strata_completion){.call = land, .arg = &flight}),
                         STRATA_OK);
    assert_true(wait_until(all_landed, &flight, PATIENT_MS));
    stall_assert_took_ms(start, 99, 1600);
    assert_int_equal(flight.failed, 0);
    strata_close(&cache);
}

static void a_value_that_is_too_slow_for_its_budget_is_given_up_in_time(void **state)
{
    struct world *world = *state;
    struct strata *cache = open_through_proxy(world, BUDGET_MS);
    char *big = calloc(1, 2u << 20);
    const struct strata_bytes value = {.data = big, .len = 2u << 20};
    struct strata_value got = {0};
    assert_int_equal(strata_set(cache, strata_text("big"), value, 0), STRATA_OK);
    fault_proxy_set_way(world->proxy, FAULT_DOWN, (struct fault_way){.bytes_per_second = 500000});
    struct stall_mark start = stall_mark();
    assert_int_equal(strata_get(cache, strata_text("big"), &got), STRATA_ERR_TIMEOUT);
    stall_assert_took_ms(start, BUDGET_MS, BUDGET_MS + SLACK_MS);
    fault_proxy_heal(world->proxy);
    assert_true(wait_until(answers, cache, PATIENT_MS));
    strata_close(&cache);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_frozen_server_costs_no_call_more_than_its_budget_and_soon_nothing,
                               heal),
        cmocka_unit_test_setup(the_log_stays_calm_while_a_server_is_frozen, heal),
        cmocka_unit_test_setup(a_server_that_was_frozen_is_found_again_soon, heal),
        cmocka_unit_test_setup(a_link_that_died_without_a_word_is_noticed_and_replaced, heal),
        cmocka_unit_test_setup(a_quiet_link_that_died_is_replaced_before_it_is_needed, heal),
        cmocka_unit_test_setup(answers_that_never_come_cost_the_budget_and_no_more, heal),
        cmocka_unit_test_setup(a_server_that_accepts_and_says_nothing_is_no_server, heal),
        cmocka_unit_test_setup(cuts_and_resets_under_load_cost_errors_and_nothing_else, heal),
        cmocka_unit_test_setup(a_refused_connection_fails_at_once_and_is_tried_again_in_calm, heal),
        cmocka_unit_test_setup(split_at_every_byte_everything_is_understood, heal),
        cmocka_unit_test_setup(pieces_of_all_sizes_with_pauses_are_understood, heal),
        cmocka_unit_test_setup(a_reply_that_is_none_ends_the_connection_and_reaches_nobody, heal),
        cmocka_unit_test_setup(what_is_under_way_together_shares_the_round_trip, heal),
        cmocka_unit_test_setup(a_value_that_is_too_slow_for_its_budget_is_given_up_in_time, heal),
    };
    return cmocka_run_group_tests_name("l2_faults", tests, start, stop);
}
