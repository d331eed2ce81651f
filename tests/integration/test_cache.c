/* SPDX-License-Identifier: MIT
 *
 * Both tiers through the public calls, against a real Redis that is well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "integration/cache_rig.h"
#include "support/wait.h"

#define PATIENT_MS 20000u

/* ---- one key ---- */

static void a_set_reaches_redis_under_its_prefix_and_is_then_answered_by_l1(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    assert_int_equal(set_text(cache, "user:1", "Ada", 0), STRATA_OK);
    assert_in_redis("atp:cache:user:1", "Ada");
    assert_value(cache, "user:1", "Ada");
    struct strata_statistics after = numbers(cache);
    assert_int_equal(after.l1.hits, 1);
    assert_int_equal(after.l2.hits + after.l2.misses, 0);
    strata_close(&cache);
    assert_null(cache);
}

static void an_l1_miss_is_read_through_from_redis_and_fills_l1(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    redis_do("SET", "atp:cache:k", "from redis");
    assert_value(cache, "k", "from redis");
    assert_value(cache, "k", "from redis");
    struct strata_statistics after = numbers(cache);
    assert_int_equal(after.l2.hits, 1);
    assert_int_equal(after.l1.hits, 1);
    assert_int_equal(after.l1.misses, 1);
    assert_true(after.combined_hit_ratio > 0.99);
    strata_close(&cache);
}

static void a_key_that_is_nowhere_is_a_miss(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    assert_int_equal(get_status(cache, "nobody"), STRATA_MISS);
    assert_int_equal(get_status(cache, "nobody"), STRATA_MISS);
    assert_int_equal(numbers(cache).l2.misses, 2);
    strata_close(&cache);
}

static void a_delete_empties_both_tiers_and_says_whether_redis_had_the_key(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    set_text(cache, "k", "v", 0);
    assert_int_equal(strata_delete(cache, strata_text("k")), STRATA_OK);
    assert_in_redis("atp:cache:k", NULL);
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    assert_int_equal(strata_delete(cache, strata_text("k")), STRATA_MISS);
    strata_close(&cache);
}

static void binary_keys_and_values_and_the_empty_value_come_back_as_they_were(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.l1_enabled = STRATA_OFF});
    struct strata_bytes key = strata_bytes("\0\r\n$5\xff", 6);
    struct strata_value value = {0};
    assert_int_equal(strata_set(cache, key, strata_bytes("a\0b\r\n", 5), 0), STRATA_OK);
    assert_int_equal(strata_get(cache, key, &value), STRATA_OK);
    assert_int_equal(value.bytes.len, 5);
    assert_memory_equal(value.bytes.data, "a\0b\r\n", 5);
    strata_release(&value);
    assert_int_equal(strata_set(cache, key, strata_bytes(NULL, 0), 0), STRATA_OK);
    assert_int_equal(strata_get(cache, key, &value), STRATA_OK);
    assert_int_equal(value.bytes.len, 0);
    strata_release(&value);
    strata_close(&cache);
}

static void keys_and_values_that_no_cache_takes_are_refused_before_anything_is_sent(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    static char long_key[65536];
    struct strata_value value = {0};
    assert_int_equal(strata_get(cache, strata_bytes("", 0), &value), STRATA_ERR_INVALID);
    assert_int_equal(
        strata_set(cache, strata_bytes(long_key, sizeof long_key), strata_text("v"), 0),
        STRATA_ERR_TOO_BIG);
    assert_int_equal(strata_set(cache, strata_text("k"), strata_bytes(NULL, 1), 0),
                     STRATA_ERR_INVALID);
    assert_int_equal(numbers(cache).l2.sets, 0);
    strata_close(&cache);
}

static void the_largest_value_passes_and_one_byte_more_does_not(void **state)
{
    (void)state;
    const size_t most = (size_t)64 << 20;
    struct strata *cache = cache_rig_open((struct strata_options){.socket_timeout_ms = 60000});
    char *bytes = malloc(most + 1);
    assert_non_null(bytes);
    memset(bytes, 'x', most + 1);
    bytes[0] = 'a';
    bytes[most - 1] = 'z';
    struct strata_value value = {0};
    assert_int_equal(strata_set(cache, strata_text("big"), strata_bytes(bytes, most), 0),
                     STRATA_OK);
    assert_int_equal(strata_get(cache, strata_text("big"), &value), STRATA_OK);
    assert_int_equal(value.bytes.len, most);
    assert_int_equal(memcmp(value.bytes.data, bytes, most), 0);
    strata_release(&value);
    assert_int_equal(strata_set(cache, strata_text("big"), strata_bytes(bytes, most + 1), 0),
                     STRATA_ERR_TOO_BIG);
    struct strata_item three[] = {{strata_text("a"), strata_bytes(bytes, most), 0},
                                  {strata_text("b"), strata_bytes(bytes, most), 0},
                                  {strata_text("c"), strata_text("small"), 0}};
    int statuses[3];
    assert_int_equal(strata_set_many(cache, three, 3, statuses), STRATA_ERR_PARTIAL);
    assert_int_equal(statuses[0], STRATA_OK);
    assert_int_equal(statuses[1], STRATA_ERR_TOO_BIG); /* the batch as a whole */
    assert_int_equal(statuses[2], STRATA_OK);
    free(bytes);
    strata_close(&cache);
}

/* ---- large values ---- */

#define LARGE ((size_t)1 << 20)

static char large_at(unsigned value, size_t i)
{
    return (char)(i * 31 + i / 251 + value);
}

static void assert_large(const struct strata_value *got, unsigned value)
{
    assert_int_equal(got->bytes.len, LARGE);
    for (size_t i = 0; i < LARGE; i++)
        if (((const char *)got->bytes.data)[i] != large_at(value, i))
            fail_msg("value %u is wrong at %zu", value, i);
}

/* By a client of its own, so that no L1 has them. */
static void store_large(const char *const *keys, unsigned count)
{
    char *bytes = malloc(LARGE);
    assert_non_null(bytes);
    for (unsigned k = 0; k < count; k++) {
        for (size_t i = 0; i < LARGE; i++)
            bytes[i] = large_at(k, i);
        freeReplyObject(
            redisCommand(cache_rig_foreign(), "SET atp:cache:%s %b", keys[k], bytes, LARGE));
    }
    free(bytes);
}

/* They are not copied: a value lies behind its reply's head, where that was received. Whoever has
 * one has it for himself, whatever comes by that connection later. */
static void large_values_stay_where_they_were_received(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b", "c", "d"};
    struct strata *cache = cache_rig_open((struct strata_options){.l1_enabled = STRATA_OFF});
    struct strata_value got[4] = {0};
    store_large(keys, 4);
    for (unsigned k = 0; k < 4; k++) {
        assert_int_equal(strata_get(cache, strata_text(keys[k]), &got[k]), STRATA_OK);
        assert_ptr_not_equal(got[k].bytes.data, got[k].owner[1]);
    }
    assert_int_equal(set_text(cache, "e", "small", 0), STRATA_OK);
    assert_value(cache, "e", "small");
    for (unsigned k = 0; k < 4; k++)
        assert_large(&got[k], k);
    strata_close(&cache);
    for (unsigned k = 0; k < 4; k++) {
        assert_large(&got[k], k);
        strata_release(&got[k]);
    }
}

/* Their replies follow one another closely, with and without a TTL behind each. */
static void large_values_of_a_batch_are_each_their_own(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b", "c", "d"};
    const struct strata_bytes asked[] = {strata_text("a"), strata_text("b"), strata_text("none"),
                                         strata_text("c"), strata_text("d")};
    store_large(keys, 4);
    for (unsigned l1 = 0; l1 < 2; l1++) {
        struct strata *cache =
            cache_rig_open((struct strata_options){.l1_enabled = l1 == 0 ? STRATA_OFF : STRATA_ON});
        for (unsigned round = 0; round < 2; round++) {
            struct strata_value got[5];
            int statuses[5];
            assert_int_equal(strata_get_many(cache, asked, 5, got, statuses), STRATA_OK);
            assert_int_equal(statuses[2], STRATA_MISS);
            for (unsigned k = 0; k < 4; k++) {
                struct strata_value *value = &got[k < 2 ? k : k + 1];
                assert_large(value, k);
                strata_release(value);
            }
        }
        strata_close(&cache);
    }
}

static void get_copy_tells_the_whole_length_of_a_value_that_does_not_fit(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    char buffer[4] = "....";
    size_t len = 0;
    set_text(cache, "k", "0123456789", 0);
    assert_int_equal(strata_get_copy(cache, strata_text("k"), buffer, sizeof buffer, &len),
                     STRATA_OK);
    assert_int_equal(len, 10);
    assert_memory_equal(buffer, "0123", 4);
    strata_close(&cache);
}

static void a_copy_asks_l1_once_and_redis_where_l1_has_nothing(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.null_values = STRATA_ON});
    char buffer[16] = "";
    size_t len = 77;
    freeReplyObject(redisCommand(cache_rig_foreign(), "SET atp:cache:k r"));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(strata_get_copy(cache, strata_text("none"), buffer, sizeof buffer, &len),
                         STRATA_MISS);
        assert_int_equal(len, 77);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(strata_get_copy(cache, strata_text("k"), buffer, sizeof buffer, &len),
                         STRATA_OK);
        assert_int_equal(len, 1);
        assert_int_equal(buffer[0], 'r');
        len = 77;
    }
    assert_int_equal(strata_get_copy(cache, strata_text(""), buffer, sizeof buffer, &len),
                     STRATA_ERR_INVALID);
    struct strata_statistics after = numbers(cache);
    assert_int_equal(after.l1.misses, 2);
    assert_int_equal(after.l1.hits, 2);
    assert_int_equal(after.l2.misses, 1);
    assert_int_equal(after.l2.hits, 1);
    strata_close(&cache);
}

/* ---- time ---- */

static bool is_gone(void *arg)
{
    return get_status(arg, "k") == STRATA_MISS;
}

static bool is_gone_in_redis(void *arg)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), "EXISTS %s", (const char *)arg);
    bool gone = reply->integer == 0;
    freeReplyObject(reply);
    return gone;
}

static void a_value_is_never_answered_by_l1_after_its_time_in_redis_is_over(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    freeReplyObject(redisCommand(cache_rig_foreign(), "SET atp:cache:k v PX 150"));
    assert_value(cache, "k", "v");
    assert_true(wait_until(is_gone_in_redis, (void *)(uintptr_t) "atp:cache:k", PATIENT_MS));
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    strata_close(&cache);
}

static void the_ttl_of_a_set_bounds_both_tiers(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    assert_int_equal(set_text(cache, "k", "v", 60000), STRATA_OK);
    redisReply *reply = redisCommand(cache_rig_foreign(), "PTTL atp:cache:k");
    assert_in_range(reply->integer, 50000, 60000);
    freeReplyObject(reply);
    assert_int_equal(set_text(cache, "k", "v", 100), STRATA_OK);
    assert_true(wait_until(is_gone, cache, PATIENT_MS));
    strata_close(&cache);
}

static void an_unlimited_ttl_stays_in_redis_and_the_default_is_the_configured_one(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.l2_ttl_ms = 7000});
    set_text(cache, "for ever", "v", STRATA_UNLIMITED);
    set_text(cache, "default", "v", 0);
    assert_int_equal(set_text(cache, "long", "v", INT64_MAX / 2), STRATA_OK);
    redisReply *forever = redisCommand(cache_rig_foreign(), "PTTL %s", "atp:cache:for ever");
    redisReply *standard = redisCommand(cache_rig_foreign(), "PTTL %s", "atp:cache:default");
    assert_int_equal(forever->integer, -1);
    assert_in_range(standard->integer, 5000, 7000);
    freeReplyObject(forever);
    freeReplyObject(standard);
    strata_close(&cache);
}

static void the_l1_ttl_makes_a_foreign_change_visible(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.l1_ttl_ms = 100});
    set_text(cache, "k", "old", 0);
    redis_do("SET", "atp:cache:k", "new");
    uint64_t since = sta_clock_now_ms();
    bool seen = false;
    while (!seen && sta_clock_now_ms() - since < PATIENT_MS) {
        struct strata_value value = {0};
        assert_int_equal(strata_get(cache, strata_text("k"), &value), STRATA_OK);
        seen = memcmp(value.bytes.data, "new", 3) == 0;
        strata_release(&value);
    }
    assert_true(seen);
    strata_close(&cache);
}

static bool l1_is_empty(void *arg)
{
    return numbers(arg).l1_entries == 0;
}

/* What L1 may keep for `ttl_ms` expires, and nobody asks. Whether all of it was written in less
 * time than that: what took longer L1 never had. */
static bool all_expire_by_themselves(uint64_t ttl_ms)
{
    struct strata *cache =
        cache_rig_open((struct strata_options){.l1_ttl_ms = ttl_ms, .l1_cleanup_interval_ms = 100});
    uint64_t began_ms = sta_clock_now_ms();
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        set_text(cache, key, "v", 0);
    }
    bool quick = sta_clock_now_ms() - began_ms < ttl_ms;
    assert_true(wait_until(l1_is_empty, cache, PATIENT_MS));
    uint64_t expirations = numbers(cache).l1_expirations;
    strata_close(&cache);
    assert_in_range(expirations, quick ? 100 : 0, 100);
    return quick;
}

static void the_sweeper_removes_expired_entries_that_nobody_asks_for(void **state)
{
    (void)state;
    uint64_t ttl_ms = 50;
    while (!all_expire_by_themselves(ttl_ms)) {
        ttl_ms *= 2;
        assert_true(ttl_ms < PATIENT_MS);
    }
}

/* ---- strategies ---- */

static void with_write_through_off_l1_takes_the_value_and_the_copy_in_redis_falls(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.write_through = STRATA_OFF});
    redis_do("SET", "atp:cache:k", "old");
    assert_int_equal(set_text(cache, "k", "new", 0), STRATA_OK);
    assert_in_redis("atp:cache:k", NULL);
    assert_value(cache, "k", "new");
    assert_int_equal(strata_delete(cache, strata_text("k")), STRATA_OK);
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    strata_close(&cache);
}

static void with_read_through_off_an_l1_miss_is_a_miss(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.read_through = STRATA_OFF});
    redis_do("SET", "atp:cache:k", "v");
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    set_text(cache, "k", "own", 0);
    assert_value(cache, "k", "own");
    strata_close(&cache);
}

static void null_values_remember_that_redis_had_nothing_until_somebody_sets_the_key(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.null_values = STRATA_ON});
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    assert_int_equal(numbers(cache).l2.misses, 1);
    set_text(cache, "k", "v", 0);
    assert_value(cache, "k", "v");
    strata_close(&cache);
}

/* ---- batches ---- */

static void a_batch_answers_each_key_by_itself(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct strata_item items[] = {
        {strata_text("a"), strata_text("1"), 0},
        {strata_text("b"), strata_text("2"), 0},
    };
    struct strata_bytes keys[] = {strata_text("a"), strata_text("none"), strata_text("list"),
                                  strata_text("c"), strata_text("b")};
    struct strata_value values[5];
    int statuses[5];
    assert_int_equal(strata_set_many(cache, items, 2, NULL), STRATA_OK);
    redis_do("LPUSH", "atp:cache:list", "x");
    redis_do("SET", "atp:cache:c", "3");
    assert_int_equal(strata_get_many(cache, keys, 5, values, statuses), STRATA_ERR_PARTIAL);
    const int expected[] = {STRATA_OK, STRATA_MISS, STRATA_ERR_SERVER, STRATA_OK, STRATA_OK};
    const char *const texts[] = {"1", "", "", "3", "2"};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(statuses[i], expected[i]);
        assert_int_equal(values[i].bytes.len, strlen(texts[i]));
        if (values[i].bytes.len > 0)
            assert_memory_equal(values[i].bytes.data, texts[i], values[i].bytes.len);
        strata_release(&values[i]);
    }
    assert_int_equal(strata_delete_many(cache, keys, 5, statuses), STRATA_OK);
    const int deleted[] = {STRATA_OK, STRATA_MISS, STRATA_OK, STRATA_OK, STRATA_OK};
    assert_memory_equal(statuses, deleted, sizeof deleted);
    assert_int_equal(strata_get_many(cache, keys, 0, NULL, NULL), STRATA_OK);
    strata_close(&cache);
}

static void a_key_that_no_cache_takes_leaves_the_rest_of_its_batch_alone(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    static char long_key[65536];
    struct strata_item items[] = {
        {strata_text("a"), strata_text("1"), 0},
        {strata_bytes(NULL, 3), strata_text("2"), 0},
        {strata_bytes(long_key, sizeof long_key), strata_text("3"), 0},
        {strata_text("d"), strata_bytes(NULL, 1), 0},
    };
    const int expected[] = {STRATA_OK, STRATA_ERR_INVALID, STRATA_ERR_TOO_BIG, STRATA_ERR_INVALID};
    struct strata_bytes keys[4];
    struct strata_value values[4];
    int statuses[4];
    for (int i = 0; i < 4; i++)
        keys[i] = items[i].key;
    keys[3] = strata_bytes("", 0);
    assert_int_equal(strata_set_many(cache, items, 4, statuses), STRATA_ERR_PARTIAL);
    assert_memory_equal(statuses, expected, sizeof expected);
    assert_int_equal(numbers(cache).l2.sets, 1);
    memset(values, 0xaa, sizeof values);
    assert_int_equal(strata_get_many(cache, keys, 4, values, statuses), STRATA_ERR_PARTIAL);
    assert_memory_equal(statuses, expected, sizeof expected);
    assert_memory_equal(values[0].bytes.data, "1", 1);
    for (int i = 0; i < 4; i++)
        strata_release(&values[i]);
    memset(values, 0xaa, sizeof values);
    assert_int_equal(strata_get_many(cache, keys + 3, 1, values, NULL), STRATA_ERR_INVALID);
    strata_release(&values[0]); /* it was zeroed */
    assert_int_equal(strata_delete_many(cache, keys, 4, statuses), STRATA_ERR_PARTIAL);
    assert_memory_equal(statuses, expected, sizeof expected);
    strata_close(&cache);
}

static void the_same_key_twice_in_a_batch_ends_as_redis_has_it(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct strata_item items[] = {
        {strata_text("k"), strata_text("first"), 0},
        {strata_text("k"), strata_text("second"), 0},
    };
    assert_int_equal(strata_set_many(cache, items, 2, NULL), STRATA_OK);
    assert_in_redis("atp:cache:k", "second");
    assert_value(cache, "k", "second");
    strata_close(&cache);
}

/* ---- the tiers alone ---- */

static void l1_alone_needs_no_redis(void **state)
{
    (void)state;
    struct strata_l1 *l1 = NULL;
    struct strata_l1_options options = {.max_size = 2, .cleanup_interval_ms = 50};
    struct strata_value value = {0};
    assert_int_equal(strata_l1_open(&l1, &options, NULL), STRATA_OK);
    assert_int_equal(strata_l1_set(l1, strata_text("a"), strata_text("1"), 0), STRATA_OK);
    assert_int_equal(strata_l1_get(l1, strata_text("a"), &value), STRATA_OK);
    assert_memory_equal(value.bytes.data, "1", 1);
    strata_release(&value);
    assert_int_equal(strata_l1_set(l1, strata_text("b"), strata_text("2"), 0), STRATA_OK);
    assert_int_equal(strata_l1_set(l1, strata_text("c"), strata_text("3"), 0), STRATA_OK);
    struct strata_l1_statistics statistics;
    strata_l1_statistics(l1, &statistics);
    assert_int_equal(statistics.entries, 2);
    assert_int_equal(statistics.evictions, 1);
    assert_int_equal(strata_l1_delete(l1, strata_text("nobody")), STRATA_MISS);
    strata_l1_clear(l1);
    assert_int_equal(strata_l1_get(l1, strata_text("c"), &value), STRATA_MISS);
    strata_l1_close(&l1);
}

static void l2_alone_keeps_nothing_in_memory(void **state)
{
    (void)state;
    struct strata_l2 *l2 = NULL;
    struct strata_l2_options options = {.redis_url = cache_rig_url(), .key_prefix = ""};
    struct strata_value value = {0};
    assert_int_equal(strata_l2_open(&l2, &options, NULL), STRATA_OK);
    assert_int_equal(strata_l2_set(l2, strata_text("k"), strata_text("v"), 0), STRATA_OK);
    assert_in_redis("k", "v");
    redis_do("SET", "k", "changed");
    assert_int_equal(strata_l2_get(l2, strata_text("k"), &value), STRATA_OK);
    assert_memory_equal(value.bytes.data, "changed", 7);
    strata_release(&value);
    assert_int_equal(strata_l2_delete(l2, strata_text("k")), STRATA_OK);
    assert_int_equal(strata_l2_get(l2, strata_text("k"), &value), STRATA_MISS);
    strata_l2_close(&l2);
}

static void a_configuration_that_contradicts_itself_opens_nothing(void **state)
{
    (void)state;
    struct strata *cache = NULL;
    struct strata_error error = {0};
    struct strata_options options = {.write_through = STRATA_ON, .write_behind = STRATA_ON};
    assert_int_equal(strata_open(&cache, &options, &error), STRATA_ERR_CONFIG);
    assert_null(cache);
    assert_non_null(strstr(error.text, "write"));
    options = (struct strata_options){.redis_url = "http://localhost"};
    assert_int_equal(strata_open(&cache, &options, &error), STRATA_ERR_CONFIG);
    assert_non_null(strstr(error.text, "redis"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_set_reaches_redis_under_its_prefix_and_is_then_answered_by_l1,
                               cache_rig_flush),
        cmocka_unit_test_setup(an_l1_miss_is_read_through_from_redis_and_fills_l1, cache_rig_flush),
        cmocka_unit_test_setup(a_key_that_is_nowhere_is_a_miss, cache_rig_flush),
        cmocka_unit_test_setup(a_delete_empties_both_tiers_and_says_whether_redis_had_the_key,
                               cache_rig_flush),
        cmocka_unit_test_setup(binary_keys_and_values_and_the_empty_value_come_back_as_they_were,
                               cache_rig_flush),
        cmocka_unit_test_setup(
            keys_and_values_that_no_cache_takes_are_refused_before_anything_is_sent,
            cache_rig_flush),
        cmocka_unit_test_setup(the_largest_value_passes_and_one_byte_more_does_not,
                               cache_rig_flush),
        cmocka_unit_test_setup(large_values_stay_where_they_were_received, cache_rig_flush),
        cmocka_unit_test_setup(large_values_of_a_batch_are_each_their_own, cache_rig_flush),
        cmocka_unit_test_setup(get_copy_tells_the_whole_length_of_a_value_that_does_not_fit,
                               cache_rig_flush),
        cmocka_unit_test_setup(a_copy_asks_l1_once_and_redis_where_l1_has_nothing, cache_rig_flush),
        cmocka_unit_test_setup(a_value_is_never_answered_by_l1_after_its_time_in_redis_is_over,
                               cache_rig_flush),
        cmocka_unit_test_setup(the_ttl_of_a_set_bounds_both_tiers, cache_rig_flush),
        cmocka_unit_test_setup(
            an_unlimited_ttl_stays_in_redis_and_the_default_is_the_configured_one, cache_rig_flush),
        cmocka_unit_test_setup(the_l1_ttl_makes_a_foreign_change_visible, cache_rig_flush),
        cmocka_unit_test_setup(the_sweeper_removes_expired_entries_that_nobody_asks_for,
                               cache_rig_flush),
        cmocka_unit_test_setup(
            with_write_through_off_l1_takes_the_value_and_the_copy_in_redis_falls, cache_rig_flush),
        cmocka_unit_test_setup(with_read_through_off_an_l1_miss_is_a_miss, cache_rig_flush),
        cmocka_unit_test_setup(
            null_values_remember_that_redis_had_nothing_until_somebody_sets_the_key,
            cache_rig_flush),
        cmocka_unit_test_setup(a_batch_answers_each_key_by_itself, cache_rig_flush),
        cmocka_unit_test_setup(a_key_that_no_cache_takes_leaves_the_rest_of_its_batch_alone,
                               cache_rig_flush),
        cmocka_unit_test_setup(the_same_key_twice_in_a_batch_ends_as_redis_has_it, cache_rig_flush),
        cmocka_unit_test_setup(l1_alone_needs_no_redis, cache_rig_flush),
        cmocka_unit_test_setup(l2_alone_keeps_nothing_in_memory, cache_rig_flush),
        cmocka_unit_test_setup(a_configuration_that_contradicts_itself_opens_nothing,
                               cache_rig_flush),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
