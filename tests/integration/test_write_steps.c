/* SPDX-License-Identifier: MIT
 *
 * Write-through with a fault at every step: the connection breaks before the first, the second,
 * ... byte that goes to Redis, or that comes from it, until the call is through without having met
 * the break. Whatever the call said, L1 answers nothing that Redis has not, and nothing older than
 * what was acknowledged.
 *
 * A break is a reset, or silence, which costs the call its budget: that one comes at fewer places,
 * but for the long form (STRATA_LONG=1).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "integration/cache_rig.h"
#include "support/fault_proxy.h"
#include "support/long_form.h"
#include "support/wait.h"

#define PREFIX     "atp:cache:"
#define KEYS       3u
#define BUDGET_MS  100u
#define PATIENT_MS 30000u

static const char *const names[KEYS] = {"one", "two", "three"};

enum call { CALL_SET, CALL_DELETE, CALL_SET_MANY, CALLS };

static const char *const call_names[CALLS] = {"set", "delete", "set of three"};

struct steps {
    struct fault_proxy *proxy;
    struct strata *cache;
    enum call call;
    enum fault_direction direction;
    bool silent;
    unsigned stride;
    uint64_t byte;   /* before which the connection breaks */
    unsigned breaks; /* calls that met one */
    unsigned failed; /* of these */
};

/* ---- what Redis has ---- */

/* What came on other connections before is carried out before the second of them is answered. */
static void wait_for_redis(redisContext *foreign)
{
    for (int i = 0; i < 2; i++)
        freeReplyObject(redisCommand(foreign, "PING"));
}

/* The value, or "" where there is none. */
static void in_redis(redisContext *foreign, const char *name, char *text, size_t cap)
{
    redisReply *reply = redisCommand(foreign, "GET " PREFIX "%s", name);
    assert_non_null(reply);
    (void)snprintf(text, cap, "%s", reply->type == REDIS_REPLY_STRING ? reply->str : "");
    freeReplyObject(reply);
}

/* ---- what the cache answers ---- */

/* A status; a miss is "". */
static int in_cache(struct strata *cache, const char *name, char *text, size_t cap)
{
    struct strata_value value = {0};
    int status = strata_get(cache, strata_text(name), &value);
    (void)snprintf(text, cap, "%.*s", status == STRATA_OK ? (int)value.bytes.len : 0,
                   status == STRATA_OK ? (const char *)value.bytes.data : "");
    strata_release(&value);
    return status;
}

/* The way to Redis is open, and L1 has something of each key. */
static bool is_ready(void *arg)
{
    char text[32];
    bool all = set_text(arg, "any", "1", 0) == STRATA_OK;
    for (unsigned i = 0; i < KEYS && all; i++)
        all = in_cache(arg, names[i], text, sizeof text) >= 0;
    return all;
}

/* ---- a step ---- */

static int make_call(const struct steps *steps, const char *value, int *statuses)
{
    struct strata_item items[KEYS];
    for (unsigned i = 0; i < KEYS; i++)
        items[i] = (struct strata_item){.key = strata_text(names[i]), .value = strata_text(value)};
    if (steps->call == CALL_SET_MANY)
        return strata_set_many(steps->cache, items, KEYS, statuses);
    statuses[0] = steps->call == CALL_SET
                      ? strata_set(steps->cache, items[0].key, items[0].value, 0)
                      : strata_delete(steps->cache, items[0].key);
    return statuses[0];
}

static bool is_a_breaks(int status)
{
    return status == STRATA_ERR_LOST || status == STRATA_ERR_TIMEOUT ||
           status == STRATA_ERR_UNAVAILABLE;
}

/* The key after the call, at once: the cache may fail, and otherwise answers what Redis has; that
 * is the old value or the new one, and the new one where the call said so. */
static void look_at(const struct steps *steps, redisContext *foreign, unsigned key, int said,
                    const char *before, const char *value)
{
    char truth[32], answer[32];
    const char *after = steps->call == CALL_DELETE ? "" : value;
    in_redis(foreign, names[key], truth, sizeof truth);
    if (said >= 0 ? strcmp(truth, after) != 0
                  : strcmp(truth, after) != 0 && strcmp(truth, before) != 0)
        fail_msg("%s: Redis has \"%s\", was \"%s\", shall be \"%s\"", strata_status_name(said),
                 truth, before, after);
    int status = in_cache(steps->cache, names[key], answer, sizeof answer);
    if (status < 0 ? !is_a_breaks(status) : strcmp(answer, truth) != 0)
        fail_msg("%s, then %s: L1 has \"%s\", Redis \"%s\"", strata_status_name(said),
                 strata_status_name(status), answer, truth);
}

/* Whether the call is through, and met no break. A call that failed without one, on a machine that
 * stood still, is made once more. */
static bool step(struct steps *steps, redisContext *foreign)
{
    char before[32], value[32];
    int statuses[KEYS] = {0};
    uint64_t byte = steps->byte;
    unsigned keys = steps->call == CALL_SET_MANY ? KEYS : 1;
    uint64_t broken = fault_proxy_statistics(steps->proxy).broken;
    (void)snprintf(before, sizeof before, "before %llu", (unsigned long long)byte);
    (void)snprintf(value, sizeof value, "after %llu", (unsigned long long)byte);
    for (unsigned i = 0; i < KEYS; i++)
        freeReplyObject(redisCommand(foreign, "SET " PREFIX "%s %s", names[i], before));
    assert_true(wait_until(is_ready, steps->cache, PATIENT_MS));
    fault_proxy_set_way(steps->proxy, steps->direction,
                        (struct fault_way){.break_at = byte, .break_silently = steps->silent});
    int status = make_call(steps, value, statuses);
    bool met = fault_proxy_statistics(steps->proxy).broken != broken;
    wait_for_redis(foreign);
    for (unsigned i = 0; i < keys; i++) {
        assert_true(statuses[i] >= 0 || is_a_breaks(statuses[i]));
        look_at(steps, foreign, i, statuses[i], before, value);
    }
    steps->breaks += met;
    steps->failed += met && status < 0;
    steps->byte += met ? steps->stride : 0;
    fault_proxy_heal(steps->proxy);
    if (steps->silent)
        fault_proxy_reset(steps->proxy); /* or it would be waited for for seconds */
    return !met && status >= 0;
}

/* From byte to byte, until a call is through. */
static void all_steps(struct steps *steps)
{
    redisContext *foreign = cache_rig_foreign();
    while (!step(steps, foreign))
        continue;
    print_message("# %s, %s, %s: %u breaks, %u calls failed\n", call_names[steps->call],
                  steps->direction == FAULT_UP ? "to Redis" : "from Redis",
                  steps->silent ? "silence" : "reset", steps->breaks, steps->failed);
    assert_true(steps->byte > strlen(":1\r\n"));
    assert_true(steps->failed > 0);
}

static void all_calls(enum strata_tracking tracking, bool silent, unsigned stride)
{
    char target[128], url[64];
    (void)snprintf(target, sizeof target, "unix:%s", cache_rig_socket());
    struct fault_proxy *proxy = fault_proxy_start(NULL, target);
    (void)snprintf(url, sizeof url, "redis://%s", fault_proxy_address(proxy));
    struct strata *cache = cache_rig_open((struct strata_options){
        .redis_url = url, .socket_timeout_ms = BUDGET_MS, .tracking = tracking});
    for (enum call call = 0; call < CALLS; call++)
        for (enum fault_direction way = FAULT_UP; way <= FAULT_DOWN; way++)
            all_steps(&(struct steps){.proxy = proxy,
                                      .cache = cache,
                                      .call = call,
                                      .direction = way,
                                      .silent = silent,
                                      .stride = stride,
                                      .byte = 1});
    strata_close(&cache);
    fault_proxy_stop(&proxy);
}

/* With the TTL alone nobody tells L1 what Redis has: it must know by itself what it does not. */
static void a_reset_at_any_byte_leaves_nothing_old_in_l1(void **state)
{
    (void)state;
    all_calls(STRATA_TRACKING_OFF, false, 1);
}

static void nor_does_it_where_others_are_heard_of(void **state)
{
    (void)state;
    all_calls(STRATA_TRACKING_AUTO, false, is_long_form() ? 1 : 3);
}

static void nor_does_silence(void **state)
{
    (void)state;
    all_calls(STRATA_TRACKING_OFF, true, is_long_form() ? 1 : 16);
    all_calls(STRATA_TRACKING_AUTO, true, is_long_form() ? 1 : 23);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_reset_at_any_byte_leaves_nothing_old_in_l1, cache_rig_flush),
        cmocka_unit_test_setup(nor_does_it_where_others_are_heard_of, cache_rig_flush),
        cmocka_unit_test_setup(nor_does_silence, cache_rig_flush),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
