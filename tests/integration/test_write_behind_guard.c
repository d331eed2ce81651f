/* SPDX-License-Identifier: MIT
 *
 * Write-behind with a version guard: what others write after a write of ours was accepted stays,
 * and what is ours is not taken for theirs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/cache_rig.h"

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "integration/log_record.h"
#include "support/fault_proxy.h"

#define LONG_MS   60000u
#define PREFIX    "atp:cache:"
#define NEVER_YET 3600000u /* an interval that no test waits for */

static struct strata_options guarded(enum strata_guard guard)
{
    return (struct strata_options){
        .write_through = STRATA_OFF,
        .write_behind = STRATA_ON,
        .write_behind_interval_ms = NEVER_YET,
        .write_behind_guard = guard,
    };
}

static struct strata_write_behind_statistics counts(struct strata *cache)
{
    return numbers(cache).write_behind;
}

static void flush(struct strata *cache)
{
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_int_equal(counts(cache).entries, 0);
}

/* ---- who wins ---- */

/* Of a key that was read, of one that was not, and of one that is not there. */
static void what_others_write_between_acceptance_and_flush_stays(void **state)
{
    (void)state;
    static struct log_record log;
    struct strata_options options = guarded(STRATA_GUARD_ON);
    log_record_init(&log);
    options.log_sink = log_record_sink;
    options.log_arg = &log;
    struct strata *cache = cache_rig_open(options);
    redis_do("SET", PREFIX "read", "old");
    redis_do("SET", PREFIX "there", "old");
    assert_value(cache, "read", "old");
    const char *const keys[] = {"read", "there", "none"};
    for (size_t i = 0; i < 3; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, PREFIX "%s", keys[i]);
        assert_int_equal(set_text(cache, keys[i], "ours", 0), STRATA_OK);
        redis_do("SET", name, "theirs");
        assert_value(cache, keys[i], "ours");
        flush(cache);
        assert_in_redis(name, "theirs");
        assert_value(cache, keys[i], "theirs");
        assert_int_equal(counts(cache).overtaken, i + 1);
    }
    assert_int_equal(counts(cache).flushed, 0);
    assert_true(log_record_count(&log, "others have written these keys meanwhile", 0) >= 1);
    strata_close(&cache);
}

static void without_a_guard_the_late_flush_wins(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(guarded(STRATA_GUARD_DEFAULT));
    assert_int_equal(set_text(cache, "k", "ours", 0), STRATA_OK);
    redis_do("SET", PREFIX "k", "theirs");
    flush(cache);
    assert_in_redis(PREFIX "k", "ours");
    assert_int_equal(counts(cache).overtaken, 0);
    strata_close(&cache);
}

static void a_key_that_others_delete_stays_deleted(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(guarded(STRATA_GUARD_ON));
    redis_do("SET", PREFIX "k", "old");
    assert_int_equal(set_text(cache, "k", "ours", 0), STRATA_OK);
    redis_do("DEL", PREFIX "k", NULL);
    flush(cache);
    assert_in_redis(PREFIX "k", NULL);
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    assert_int_equal(counts(cache).overtaken, 1);
    strata_close(&cache);
}

static void a_delete_of_ours_loses_as_well(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(guarded(STRATA_GUARD_ON));
    redis_do("SET", PREFIX "k", "old");
    assert_int_equal(strata_delete(cache, strata_text("k")), STRATA_OK);
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    redis_do("SET", PREFIX "k", "theirs");
    flush(cache);
    assert_value(cache, "k", "theirs");
    assert_int_equal(counts(cache).overtaken, 1);
    strata_close(&cache);
}

static void a_key_that_is_no_value_any_more_is_theirs(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(guarded(STRATA_GUARD_ON));
    assert_int_equal(set_text(cache, "k", "ours", 0), STRATA_OK);
    freeReplyObject(redisCommand(cache_rig_foreign(), "LPUSH " PREFIX "k one"));
    flush(cache);
    redisReply *reply = redisCommand(cache_rig_foreign(), "LLEN " PREFIX "k");
    assert_int_equal(reply->integer, 1);
    freeReplyObject(reply);
    assert_int_equal(counts(cache).overtaken, 1);
    assert_int_equal(set_text(cache, "k", "over it", 0), STRATA_OK); /* which is known */
    flush(cache);
    assert_in_redis(PREFIX "k", "over it");
    strata_close(&cache);
}

/* ---- what is ours ---- */

static void own_writes_are_no_work_of_others(void **state)
{
    (void)state;
    static const enum strata_guard guards[] = {STRATA_GUARD_ON, STRATA_GUARD_LAX};
    char value[16];
    for (size_t i = 0; i < 2; i++) {
        struct strata_options options = guarded(guards[i]);
        options.write_behind_interval_ms = 1;
        struct strata *cache = cache_rig_open(options);
        for (int n = 0; n < 3000; n++) {
            (void)snprintf(value, sizeof value, "%d", n);
            if (n % 7 == 0)
                assert_int_equal(strata_delete(cache, strata_text("k")), STRATA_OK);
            assert_int_equal(set_text(cache, "k", value, n % 5 == 0 ? 50000 : 0), STRATA_OK);
            if (n % 500 == 0)
                flush(cache);
        }
        flush(cache);
        assert_in_redis(PREFIX "k", "2999");
        assert_value(cache, "k", "2999");
        assert_int_equal(strata_delete(cache, strata_text("k")), STRATA_OK);
        assert_int_equal(strata_delete(cache, strata_text("none")), STRATA_OK);
        flush(cache);
        assert_in_redis(PREFIX "k", NULL);
        assert_true(counts(cache).flushed > 2);
        assert_int_equal(counts(cache).overtaken, 0);
        strata_close(&cache);
    }
}

static void a_ttl_goes_along(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(guarded(STRATA_GUARD_ON));
    assert_int_equal(set_text(cache, "k", "ours", 50000), STRATA_OK);
    flush(cache);
    redisReply *reply = redisCommand(cache_rig_foreign(), "PTTL " PREFIX "k");
    assert_in_range(reply->integer, 1, 50000);
    freeReplyObject(reply);
    strata_close(&cache);
}

/* What L1 has of it afterwards is tracked, as without a guard. */
static void what_was_flushed_is_answered_by_l1_until_others_write_it(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(guarded(STRATA_GUARD_ON));
    assert_int_equal(get_status(cache, "none"), STRATA_MISS);
    for (int i = 0; i < 3; i++) {
        uint64_t hits = numbers(cache).l1.hits;
        assert_int_equal(set_text(cache, "k", "ours", 0), STRATA_OK);
        flush(cache);
        assert_value(cache, "k", "ours");
        assert_int_equal(numbers(cache).l1.hits, hits + 1);
        redis_do("SET", PREFIX "k", "theirs");
        struct strata_value value = {0};
        bool seen = false;
        for (uint64_t end = sta_clock_now_ms() + LONG_MS; !seen;) {
            seen = strata_get(cache, strata_text("k"), &value) == STRATA_OK && value.bytes.len == 6;
            strata_release(&value);
            assert_true(sta_clock_now_ms() < end);
        }
    }
    assert_int_equal(counts(cache).overtaken, 0);
    strata_close(&cache);
}

static void await_gone(const char *key)
{
    for (uint64_t end = sta_clock_now_ms() + LONG_MS; sta_clock_now_ms() < end;) {
        redisReply *reply = redisCommand(cache_rig_foreign(), "EXISTS %s", key);
        bool gone = reply->integer == 0;
        freeReplyObject(reply);
        if (gone)
            return;
    }
    fail();
}

/* Of what was read, looked at, and written by ourselves. */
static void what_has_expired_was_not_deleted_by_others(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(guarded(STRATA_GUARD_ON));
    freeReplyObject(redisCommand(cache_rig_foreign(), "SET " PREFIX "read old PX 300"));
    freeReplyObject(redisCommand(cache_rig_foreign(), "SET " PREFIX "seen old PX 300"));
    (void)get_status(cache, "read");
    assert_int_equal(set_text(cache, "read", "ours", 0), STRATA_OK);
    assert_int_equal(set_text(cache, "seen", "ours", 0), STRATA_OK);
    await_gone(PREFIX "read");
    await_gone(PREFIX "seen");
    flush(cache);
    assert_in_redis(PREFIX "read", "ours");
    assert_in_redis(PREFIX "seen", "ours");
    assert_int_equal(set_text(cache, "read", "short", 50), STRATA_OK);
    flush(cache);
    await_gone(PREFIX "read");
    assert_int_equal(set_text(cache, "read", "again", 0), STRATA_OK);
    flush(cache);
    assert_in_redis(PREFIX "read", "again");
    assert_int_equal(counts(cache).overtaken, 0);
    strata_close(&cache);
}

static int load_new(struct strata_load *load, void *arg)
{
    (void)arg;
    return strata_load_set(load, strata_text("loaded"), 0);
}

/* In envelopes, with tags, and larger than what L1 asks back for. */
static void every_kind_of_value_is_guarded(void **state)
{
    (void)state;
    static const struct strata_load_options stale = {.stale_ms = 60000, .ttl_ms = 60000};
    struct strata_value value = {0};
    struct strata *cache = cache_rig_open(guarded(STRATA_GUARD_ON));
    struct strata_bytes magic = strata_bytes("\xf5strata\0\1", 9);
    char *large = calloc(1, 100001);
    memset(large, 'x', 100000);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(
            strata_get_or_load(cache, strata_text("load"), load_new, NULL, &stale, &value),
            STRATA_OK);
        strata_release(&value);
        flush(cache);
        assert_int_equal(strata_set(cache, strata_text("magic"), magic, 0), STRATA_OK);
        assert_int_equal(set_text(cache, "large", large, 0), STRATA_OK);
        assert_int_equal(set_text(cache, "load", "set", 0), STRATA_OK);
        flush(cache);
        (void)get_status(cache, "magic"); /* to L1 */
        (void)get_status(cache, "large");
        large[round] = 'y';
        assert_int_equal(strata_delete(cache, strata_text("load")), STRATA_OK);
    }
    flush(cache);
    assert_int_equal(counts(cache).overtaken, 0);
    assert_int_equal(strata_set(cache, strata_text("magic"), magic, 0), STRATA_OK);
    assert_int_equal(set_text(cache, "large", large, 0), STRATA_OK);
    redis_do("SET", PREFIX "magic", "theirs");
    redis_do("SET", PREFIX "large", "theirs");
    flush(cache);
    assert_int_equal(counts(cache).overtaken, 2);
    free(large);
    strata_close(&cache);
}

static void without_l1_and_without_tracking_it_is_looked_at(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        struct strata_options options = guarded(STRATA_GUARD_ON);
        if (way == 0)
            options.l1_enabled = STRATA_OFF;
        else
            options.tracking = STRATA_TRACKING_OFF;
        struct strata *cache = cache_rig_open(options);
        redis_do("SET", PREFIX "k", "old");
        assert_value(cache, "k", "old");
        redis_do("SET", PREFIX "k", "newer"); /* of which nobody hears, and before ours */
        assert_int_equal(set_text(cache, "k", "ours", 0), STRATA_OK);
        flush(cache);
        assert_in_redis(PREFIX "k", "ours");
        assert_int_equal(set_text(cache, "k", "ours too", 0), STRATA_OK);
        redis_do("SET", PREFIX "k", "theirs");
        flush(cache);
        assert_in_redis(PREFIX "k", "theirs");
        assert_int_equal(counts(cache).overtaken, 1);
        strata_close(&cache);
    }
}

/* ---- while Redis does not answer ---- */

#define AWAY "redis://127.0.0.1:1"

/* `on` says so, `lax` does not wait. Either is owed. */
static void while_redis_is_away_only_who_is_lax_is_told_that_it_succeeded(void **state)
{
    (void)state;
    struct strata_options options = guarded(STRATA_GUARD_ON);
    options.redis_url = AWAY;
    options.socket_timeout_ms = 100;
    options.write_behind_drain_timeout_ms = 1;
    struct strata *cache = cache_rig_open(options);
    assert_int_equal(set_text(cache, "k", "ours", 0), STRATA_ERR_TIMEOUT);
    assert_value(cache, "k", "ours");
    assert_int_equal(counts(cache).entries, 1);
    strata_close(&cache);
    options.write_behind_guard = STRATA_GUARD_LAX;
    cache = cache_rig_open(options);
    assert_int_equal(set_text(cache, "k", "ours", 0), STRATA_OK);
    assert_int_equal(counts(cache).entries, 1);
    strata_close(&cache);
}

/* While Redis is away attempts follow each other at two seconds in the end, and each that fails is
 * counted: a write that ends between two of them was ended by the clock. */
static void who_waits_for_a_look_is_told_by_the_clock_alone(void **state)
{
    (void)state;
    struct strata_options options = guarded(STRATA_GUARD_ON);
    options.redis_url = AWAY;
    options.socket_timeout_ms = 50;
    options.write_behind_drain_timeout_ms = 1;
    struct strata *cache = cache_rig_open(options);
    uint64_t end = sta_clock_now_ms() + LONG_MS, before, after;
    do {
        assert_true(sta_clock_now_ms() < end);
        before = counts(cache).retried;
        assert_int_equal(set_text(cache, "k", "ours", 0), STRATA_ERR_TIMEOUT);
        after = counts(cache).retried;
    } while (before == 0 || before != after);
    assert_int_equal(counts(cache).entries, 1);
    strata_close(&cache);
}

static void refuse_scripts(bool refuses)
{
    redisReply *reply =
        redisCommand(cache_rig_foreign(), "ACL SETUSER default %s", refuses ? "-eval" : "+eval");
    assert_int_equal(reply->type, REDIS_REPLY_STATUS);
    freeReplyObject(reply);
}

/* Who writes a key that is parked does not wait for its interval, nor for the key's next chance. */
static void where_looks_are_refused_a_write_ends_and_the_next_one_looks_anew(void **state)
{
    (void)state;
    struct strata_options options = guarded(STRATA_GUARD_ON);
    options.socket_timeout_ms = 200;
    struct strata *cache = cache_rig_open(options);
    refuse_scripts(true);
    assert_int_equal(set_text(cache, "k", "one", 0), STRATA_ERR_TIMEOUT);
    uint64_t end = sta_clock_now_ms() + LONG_MS;
    while (counts(cache).parked == 0)
        assert_true(sta_clock_now_ms() < end);
    refuse_scripts(false);
    while (set_text(cache, "k", "two", 0) != STRATA_OK)
        assert_true(sta_clock_now_ms() < end);
    flush(cache);
    assert_in_redis(PREFIX "k", "two");
    strata_close(&cache);
}

struct proxied {
    struct fault_proxy *proxy;
    struct strata *cache;
};

static struct proxied open_proxied(struct strata_options options)
{
    struct proxied out;
    char target[256], url[64];
    (void)snprintf(target, sizeof target, "unix:%s", cache_rig_socket());
    out.proxy = fault_proxy_start(NULL, target);
    (void)snprintf(url, sizeof url, "redis://%s", fault_proxy_address(out.proxy));
    options.redis_url = url;
    options.socket_timeout_ms = 300;
    out.cache = cache_rig_open(options);
    return out;
}

static void close_proxied(struct proxied *proxied)
{
    strata_close(&proxied->cache);
    fault_proxy_stop(&proxied->proxy);
}

static bool redis_has(const char *key, const char *expected)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), "GET %s", key);
    bool has = reply->type == REDIS_REPLY_STRING && strcmp(reply->str, expected) == 0;
    freeReplyObject(reply);
    return has;
}

static void await_in_redis(const char *key, const char *expected)
{
    for (uint64_t end = sta_clock_now_ms() + LONG_MS; !redis_has(key, expected);)
        assert_true(sta_clock_now_ms() < end);
}

/* Redis has our write, and nobody hears that it has. */
static void lose_the_answer(struct proxied *proxied, const char *value)
{
    fault_proxy_set_way(proxied->proxy, FAULT_DOWN, (struct fault_way){.drop = true});
    assert_int_equal(set_text(proxied->cache, "k", value, 0), STRATA_OK);
    await_in_redis(PREFIX "k", value);
}

static void hear_again(struct proxied *proxied)
{
    fault_proxy_cut(proxied->proxy);
    fault_proxy_heal(proxied->proxy);
}

static void a_write_of_ours_whose_answer_was_lost_is_no_work_of_others(void **state)
{
    (void)state;
    struct strata_options options = guarded(STRATA_GUARD_ON);
    options.write_behind_interval_ms = 1;
    struct proxied proxied = open_proxied(options);
    redis_do("SET", PREFIX "k", "old");
    assert_value(proxied.cache, "k", "old");
    lose_the_answer(&proxied, "one");
    hear_again(&proxied);
    flush(proxied.cache); /* the same once more */
    assert_in_redis(PREFIX "k", "one");
    lose_the_answer(&proxied, "two");
    for (int i = 0; i < 20; i++) { /* newer ones meanwhile, more than a flush says it may find */
        char value[16];
        (void)snprintf(value, sizeof value, "%d", i);
        uint64_t retried = counts(proxied.cache).retried;
        assert_int_equal(set_text(proxied.cache, "k", value, 0), STRATA_OK);
        if (i < 8)
            hear_again(&proxied);
        fault_proxy_set_way(proxied.proxy, FAULT_DOWN, (struct fault_way){.drop = true});
        for (uint64_t end = sta_clock_now_ms() + LONG_MS;
             i < 8 && counts(proxied.cache).retried == retried;)
            assert_true(sta_clock_now_ms() < end);
    }
    hear_again(&proxied);
    flush(proxied.cache);
    assert_in_redis(PREFIX "k", "19");
    assert_int_equal(counts(proxied.cache).overtaken, 0);
    assert_true(counts(proxied.cache).retried > 0);
    close_proxied(&proxied);
}

static void but_what_others_write_after_it_stays(void **state)
{
    (void)state;
    struct strata_options options = guarded(STRATA_GUARD_ON);
    options.write_behind_interval_ms = 1;
    struct proxied proxied = open_proxied(options);
    redis_do("SET", PREFIX "k", "old");
    assert_value(proxied.cache, "k", "old");
    lose_the_answer(&proxied, "one");
    redis_do("SET", PREFIX "k", "theirs");
    hear_again(&proxied);
    flush(proxied.cache);
    assert_in_redis(PREFIX "k", "theirs");
    assert_value(proxied.cache, "k", "theirs");
    close_proxied(&proxied);
}

#define CASE(name) cmocka_unit_test_setup(name, cache_rig_flush)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_others_write_between_acceptance_and_flush_stays),
        CASE(without_a_guard_the_late_flush_wins),
        CASE(a_key_that_others_delete_stays_deleted),
        CASE(a_delete_of_ours_loses_as_well),
        CASE(a_key_that_is_no_value_any_more_is_theirs),
        CASE(own_writes_are_no_work_of_others),
        CASE(a_ttl_goes_along),
        CASE(what_was_flushed_is_answered_by_l1_until_others_write_it),
        CASE(what_has_expired_was_not_deleted_by_others),
        CASE(every_kind_of_value_is_guarded),
        CASE(without_l1_and_without_tracking_it_is_looked_at),
        CASE(where_looks_are_refused_a_write_ends_and_the_next_one_looks_anew),
        CASE(while_redis_is_away_only_who_is_lax_is_told_that_it_succeeded),
        CASE(who_waits_for_a_look_is_told_by_the_clock_alone),
        CASE(a_write_of_ours_whose_answer_was_lost_is_no_work_of_others),
        CASE(but_what_others_write_after_it_stays),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
