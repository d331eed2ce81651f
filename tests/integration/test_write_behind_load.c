/* SPDX-License-Identifier: MIT
 *
 * Write-behind and what was loaded: it reaches Redis whatever it is, and L1 keeps what is tracked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/cache_rig.h"

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "strata/load.h"

#define LONG_MS   60000u
#define PREFIX    "atp:cache:"
#define NEVER_YET 3600000u /* an interval that no test waits for */

static struct strata_options behind(void)
{
    return (struct strata_options){
        .write_through = STRATA_OFF,
        .write_behind = STRATA_ON,
        .write_behind_interval_ms = NEVER_YET,
    };
}

static void await_value_of(struct strata *cache, const char *key, size_t len)
{
    struct strata_value value = {0};
    bool seen = false;
    for (uint64_t end = sta_clock_now_ms() + LONG_MS; !seen;) {
        int status = strata_get(cache, strata_text(key), &value);
        seen = status == STRATA_OK && value.bytes.len == len;
        strata_release(&value);
        assert_true(sta_clock_now_ms() < end);
    }
}

static int load_new(struct strata_load *load, void *arg)
{
    (*(int *)arg)++;
    return strata_load_set(load, strata_text("loaded"), 0);
}

static void load_as(struct strata *cache, const char *key, const struct strata_load_options *how)
{
    struct strata_value value = {0};
    int loads = 0;
    assert_int_equal(strata_get_or_load(cache, strata_text(key), load_new, &loads, how, &value),
                     STRATA_OK);
    assert_int_equal(loads, 1);
    assert_int_equal(value.bytes.len, 6);
    strata_release(&value);
}

/* Values that are more than their bytes, too: with an age, or a time in which they are stale. */
static void whatever_was_loaded_reaches_redis_and_is_tracked(void **state)
{
    (void)state;
    static const struct strata_load_options stale = {.stale_ms = 60000}, early = {.xfetch_beta = 1};
    static const char *const keys[] = {"plain", "stale", "early"};
    struct strata *cache = cache_rig_open(behind());
    load_as(cache, "plain", NULL);
    load_as(cache, "stale", &stale);
    load_as(cache, "early", &early);
    assert_int_equal(numbers(cache).write_behind.entries, 3);
    for (size_t i = 0; i < 3; i++)
        assert_value(cache, keys[i], "loaded");
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    struct strata *other = cache_rig_open(behind());
    for (size_t i = 0; i < 3; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, PREFIX "%s", keys[i]);
        assert_value(other, keys[i], "loaded"); /* from Redis, out of one envelope */
        assert_value(cache, keys[i], "loaded");
        redis_do("SET", name, "theirs");
        await_value_of(cache, keys[i], strlen("theirs"));
    }
    strata_close(&other);
    strata_close(&cache);
}

/* Without L1 it is the queue that answers. */
static void what_is_owed_is_read_out_of_its_envelope(void **state)
{
    (void)state;
    static const struct strata_load_options stale = {.stale_ms = 60000};
    struct strata_options options = behind();
    options.l1_enabled = STRATA_OFF;
    struct strata *cache = cache_rig_open(options);
    load_as(cache, "k", &stale);
    assert_value(cache, "k", "loaded");
    struct strata_bytes magic = strata_bytes("\xF5strata\0mine", 12);
    struct strata_value value = {0};
    assert_int_equal(strata_set(cache, strata_text("m"), magic, 0), STRATA_OK);
    for (int i = 0; i < 2; i++) { /* from the queue, then from Redis */
        assert_int_equal(strata_get(cache, strata_text("m"), &value), STRATA_OK);
        assert_int_equal(value.bytes.len, magic.len);
        assert_memory_equal(value.bytes.data, magic.data, magic.len);
        strata_release(&value);
        assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    }
    strata_close(&cache);
}

static int load_none(struct strata_load *load, void *arg)
{
    (*(int *)arg)++;
    strata_load_set_none(load, 0);
    return STRATA_OK;
}

/* Kept, and gone as soon as somebody writes one. */
static void that_there_is_none_is_tracked_and_hides_nothing_that_is_owed(void **state)
{
    (void)state;
    static const struct strata_load_options options = {.null_ttl_ms = 60000};
    struct strata *cache = cache_rig_open(behind());
    struct strata_value value = {0};
    int loads = 0;
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            strata_get_or_load(cache, strata_text("n"), load_none, &loads, &options, &value),
            STRATA_MISS);
    assert_int_equal(loads, 1);
    redis_do("SET", PREFIX "n", "theirs");
    await_value_of(cache, "n", strlen("theirs"));
    strata_close(&cache);
}

/* Nobody would tell when it changes. What fills the queue is refused. */
static void what_was_loaded_and_finds_no_room_is_not_kept(void **state)
{
    (void)state;
    struct strata_options options = behind();
    char url[256];
    redisReply *reply =
        redisCommand(cache_rig_foreign(), "ACL SETUSER picky on >secret ~" PREFIX "[^h]* &* +@all");
    assert_string_equal(reply->str, "OK");
    freeReplyObject(reply);
    (void)snprintf(url, sizeof url, "redis://picky:secret@%s",
                   cache_rig_url() + strlen("redis://"));
    options.redis_url = url;
    options.write_behind_max_entries = 1;
    options.write_behind_full = STRATA_FULL_REJECT;
    options.write_behind_drain_timeout_ms = 1;
    struct strata *cache = cache_rig_open(options);
    assert_int_equal(set_text(cache, "hold", "1", 0), STRATA_OK);
    load_as(cache, "k", NULL);
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    strata_close(&cache);
}

#define CASE(name) cmocka_unit_test_setup(name, cache_rig_flush)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(whatever_was_loaded_reaches_redis_and_is_tracked),
        CASE(what_is_owed_is_read_out_of_its_envelope),
        CASE(that_there_is_none_is_tracked_and_hides_nothing_that_is_owed),
        CASE(what_was_loaded_and_finds_no_room_is_not_kept),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
