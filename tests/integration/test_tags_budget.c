/* SPDX-License-Identifier: MIT
 *
 * That a set with tags, which may take several round trips, has one budget for all of them: before
 * a Redis that stands still, and before one whose every answer is late, though none by a budget.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/clock.h"
#include "integration/cache_rig.h"
#include "support/fault_proxy.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define BUDGET_MS  2000u
#define LATE_MS    1900u /* nearly a budget: two of them are nearly two */
#define MOST_MS    3500u
#define PATIENT_MS 20000u
#define DAY_MS     ((uint64_t)24 * 3600 * 1000)

static struct redis_server *redis;
static struct fault_proxy *proxy;
static struct strata *cache;

static int set_with(const char *tag, uint64_t ttl_ms)
{
    const struct strata_bytes tags[] = {strata_text(tag)};
    return strata_set_tagged(cache, strata_text("k"), strata_text("v"), ttl_ms, tags, 1);
}

static bool sets_again(void *tag)
{
    return set_with(tag, 0) == STRATA_OK;
}

static int open_cache(void **state)
{
    char target[32], url[64];
    (void)state;
    if (redis_server_start(&redis, NULL) != 0)
        return -1;
    (void)snprintf(target, sizeof target, "127.0.0.1:%d", redis_server_port(redis));
    proxy = fault_proxy_start(NULL, target);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d/0", fault_proxy_port(proxy));
    cache =
        cache_rig_open((struct strata_options){.redis_url = url, .socket_timeout_ms = BUDGET_MS});
    return wait_until(sets_again, "known", PATIENT_MS) ? 0 : -1;
}

static int close_cache(void **state)
{
    (void)state;
    strata_close(&cache);
    fault_proxy_stop(&proxy);
    redis_server_stop(&redis);
    return 0;
}

/* It does not set, and gives up long before a second answer that is as late. */
static void assert_gives_up(const char *tag, uint64_t ttl_ms)
{
    uint64_t before_ms = sta_clock_now_ms();
    assert_true(set_with(tag, ttl_ms) < 0);
    assert_in_range(sta_clock_now_ms() - before_ms, 0, MOST_MS);
}

/* Until the connection is given up; then nobody waits any more. */
static void a_redis_that_stands_still_costs_one_budget(void **state)
{
    (void)state;
    redis_server_freeze(redis);
    assert_gives_up("new", 3 * DAY_MS);
    assert_gives_up("known", 3 * DAY_MS);
    assert_gives_up("known", 0);
    redis_server_thaw(redis);
    assert_true(wait_until(sets_again, "new", PATIENT_MS));
}

static void late_answers_share_one_budget(void **state)
{
    static const struct {
        const char *tag;
        uint64_t ttl_ms;
    } calls[] = {
        {"new", 0}, /* its version is read and made; then the value is set */
        {"known",
         3 * DAY_MS}, /* the time of its version is read and changed; then the value is set */
    };
    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        fault_proxy_set_way(proxy, FAULT_DOWN, (struct fault_way){.delay_ms = LATE_MS});
        assert_gives_up(calls[i].tag, calls[i].ttl_ms);
        fault_proxy_heal(proxy);
        assert_true(wait_until(sets_again, "known", PATIENT_MS));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_redis_that_stands_still_costs_one_budget, open_cache,
                                        close_cache),
        cmocka_unit_test_setup_teardown(late_answers_share_one_budget, open_cache, close_cache),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
