/* SPDX-License-Identifier: MIT
 *
 * Both tiers through the public calls, against a real Redis. hiredis is the foreigner that looks
 * at, and changes, what is stored.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/random.h"
#include "strata/strata.h"
#include "support/redis_server.h"
#include "support/wait.h"

struct fixture {
    struct redis_server *server;
    redisContext *foreign;
};

static struct fixture fixture;

static int start_server(void **state)
{
    (void)state;
    if (redis_server_start(&fixture.server, NULL) != 0)
        return -1;
    fixture.foreign = redisConnectUnix(redis_server_socket(fixture.server));
    return fixture.foreign->err;
}

static int stop_server(void **state)
{
    (void)state;
    redisFree(fixture.foreign);
    redis_server_stop(&fixture.server);
    return 0;
}

static int flush(void **state)
{
    (void)state;
    freeReplyObject(redisCommand(fixture.foreign, "FLUSHALL"));
    return 0;
}

static struct strata *open_cache(struct strata_options options)
{
    struct strata *cache = NULL;
    struct strata_error error = {0};
    if (options.redis_url == NULL)
        options.redis_url = redis_server_url(fixture.server);
    int status = strata_open(&cache, &options, &error);
    if (status != STRATA_OK)
        fail_msg("strata_open: %s", error.text);
    return cache;
}

static void assert_value(struct strata *cache, const char *key, const char *expected)
{
    struct strata_value value = {0};
    assert_int_equal(strata_get(cache, strata_text(key), &value), STRATA_OK);
    assert_int_equal(value.bytes.len, strlen(expected));
    assert_memory_equal(value.bytes.data, expected, value.bytes.len);
    strata_release(&value);
}

static int set_text(struct strata *cache, const char *key, const char *value, uint64_t ttl_ms)
{
    return strata_set(cache, strata_text(key), strata_text(value), ttl_ms);
}

static int get_status(struct strata *cache, const char *key)
{
    struct strata_value value = {0};
    int status = strata_get(cache, strata_text(key), &value);
    strata_release(&value);
    return status;
}

static struct strata_statistics numbers(struct strata *cache)
{
    struct strata_statistics statistics;
    strata_statistics(cache, &statistics);
    return statistics;
}

static void redis_do(const char *command, const char *key, const char *value)
{
    redisReply *reply = value != NULL
                            ? redisCommand(fixture.foreign, "%s %s %s", command, key, value)
                            : redisCommand(fixture.foreign, "%s %s", command, key);
    assert_non_null(reply);
    assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
}

static void assert_in_redis(const char *key, const char *expected)
{
    redisReply *reply = redisCommand(fixture.foreign, "GET %s", key);
    if (expected == NULL) {
        assert_int_equal(reply->type, REDIS_REPLY_NIL);
    } else {
        assert_int_equal(reply->type, REDIS_REPLY_STRING);
        assert_string_equal(reply->str, expected);
    }
    freeReplyObject(reply);
}

/* ---- one key ---- */

static void a_set_reaches_redis_under_its_prefix_and_is_then_answered_by_l1(void **state)
{
    (void)state;
    struct strata *cache = open_cache((struct strata_options){0});
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
    struct strata *cache = open_cache((struct strata_options){0});
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
    struct strata *cache = open_cache((struct strata_options){0});
    assert_int_equal(get_status(cache, "nobody"), STRATA_MISS);
    assert_int_equal(get_status(cache, "nobody"), STRATA_MISS);
    assert_int_equal(numbers(cache).l2.misses, 2);
    strata_close(&cache);
}

static void a_delete_empties_both_tiers_and_says_whether_redis_had_the_key(void **state)
{
    (void)state;
    struct strata *cache = open_cache((struct strata_options){0});
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
    struct strata *cache = open_cache((struct strata_options){.l1_enabled = STRATA_OFF});
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
    struct strata *cache = open_cache((struct strata_options){0});
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
    struct strata *cache = open_cache((struct strata_options){.socket_timeout_ms = 60000});
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

static void get_copy_tells_the_whole_length_of_a_value_that_does_not_fit(void **state)
{
    (void)state;
    struct strata *cache = open_cache((struct strata_options){0});
    char buffer[4] = "....";
    size_t len = 0;
    set_text(cache, "k", "0123456789", 0);
    assert_int_equal(strata_get_copy(cache, strata_text("k"), buffer, sizeof buffer, &len),
                     STRATA_OK);
    assert_int_equal(len, 10);
    assert_memory_equal(buffer, "0123", 4);
    strata_close(&cache);
}

/* ---- time ---- */

static bool is_gone(void *arg)
{
    return get_status(arg, "k") == STRATA_MISS;
}

static bool is_gone_in_redis(void *arg)
{
    redisReply *reply = redisCommand(fixture.foreign, "EXISTS %s", (const char *)arg);
    bool gone = reply->integer == 0;
    freeReplyObject(reply);
    return gone;
}

static void a_value_is_never_answered_by_l1_after_its_time_in_redis_is_over(void **state)
{
    (void)state;
    struct strata *cache = open_cache((struct strata_options){0});
    freeReplyObject(redisCommand(fixture.foreign, "SET atp:cache:k v PX 150"));
    assert_value(cache, "k", "v");
    assert_true(wait_until(is_gone_in_redis, (void *)(uintptr_t) "atp:cache:k", 5000));
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    strata_close(&cache);
}

static void the_ttl_of_a_set_bounds_both_tiers(void **state)
{
    (void)state;
    struct strata *cache = open_cache((struct strata_options){0});
    assert_int_equal(set_text(cache, "k", "v", 60000), STRATA_OK);
    redisReply *reply = redisCommand(fixture.foreign, "PTTL atp:cache:k");
    assert_in_range(reply->integer, 50000, 60000);
    freeReplyObject(reply);
    assert_int_equal(set_text(cache, "k", "v", 100), STRATA_OK);
    assert_true(wait_until(is_gone, cache, 5000));
    strata_close(&cache);
}

static void an_unlimited_ttl_stays_in_redis_and_the_default_is_the_configured_one(void **state)
{
    (void)state;
    struct strata *cache = open_cache((struct strata_options){.l2_ttl_ms = 7000});
    set_text(cache, "for ever", "v", STRATA_UNLIMITED);
    set_text(cache, "default", "v", 0);
    redisReply *forever = redisCommand(fixture.foreign, "PTTL %s", "atp:cache:for ever");
    redisReply *standard = redisCommand(fixture.foreign, "PTTL %s", "atp:cache:default");
    assert_int_equal(forever->integer, -1);
    assert_in_range(standard->integer, 5000, 7000);
    freeReplyObject(forever);
    freeReplyObject(standard);
    strata_close(&cache);
}

static void the_l1_ttl_makes_a_foreign_change_visible(void **state)
{
    (void)state;
    struct strata *cache = open_cache((struct strata_options){.l1_ttl_ms = 100});
    set_text(cache, "k", "old", 0);
    redis_do("SET", "atp:cache:k", "new");
    uint64_t since = sta_clock_now_ms();
    bool seen = false;
    while (!seen && sta_clock_now_ms() - since < 5000) {
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

static void the_sweeper_removes_expired_entries_that_nobody_asks_for(void **state)
{
    (void)state;
    struct strata *cache =
        open_cache((struct strata_options){.l1_ttl_ms = 50, .l1_cleanup_interval_ms = 100});
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        set_text(cache, key, "v", 0);
    }
    assert_true(wait_until(l1_is_empty, cache, 5000));
    assert_int_equal(numbers(cache).l1_expirations, 100);
    strata_close(&cache);
}

/* ---- strategies ---- */

static void with_write_through_off_l1_takes_the_value_and_the_copy_in_redis_falls(void **state)
{
    (void)state;
    struct strata *cache = open_cache((struct strata_options){.write_through = STRATA_OFF});
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
    struct strata *cache = open_cache((struct strata_options){.read_through = STRATA_OFF});
    redis_do("SET", "atp:cache:k", "v");
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    set_text(cache, "k", "own", 0);
    assert_value(cache, "k", "own");
    strata_close(&cache);
}

static void null_values_remember_that_redis_had_nothing_until_somebody_sets_the_key(void **state)
{
    (void)state;
    struct strata *cache = open_cache((struct strata_options){.null_values = STRATA_ON});
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
    struct strata *cache = open_cache((struct strata_options){0});
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

static void the_same_key_twice_in_a_batch_ends_as_redis_has_it(void **state)
{
    (void)state;
    struct strata *cache = open_cache((struct strata_options){0});
    struct strata_item items[] = {
        {strata_text("k"), strata_text("first"), 0},
        {strata_text("k"), strata_text("second"), 0},
    };
    assert_int_equal(strata_set_many(cache, items, 2, NULL), STRATA_OK);
    assert_in_redis("atp:cache:k", "second");
    assert_value(cache, "k", "second");
    strata_close(&cache);
}

/* ---- a sick Redis ---- */

static void without_redis_l1_answers_and_everything_else_is_an_error_at_once(void **state)
{
    (void)state;
    struct redis_server *mortal = NULL;
    assert_int_equal(redis_server_start(&mortal, NULL), 0);
    struct strata *cache = open_cache(
        (struct strata_options){.redis_url = redis_server_url(mortal), .socket_timeout_ms = 500});
    assert_int_equal(set_text(cache, "k", "v", 0), STRATA_OK);
    redis_server_kill9(mortal);
    int status = STRATA_OK;
    uint64_t longest = 0;
    for (int i = 0; i < 50; i++) {
        uint64_t before = sta_clock_now_ms();
        status = get_status(cache, "other");
        assert_true(status < 0);
        uint64_t took = sta_clock_now_ms() - before;
        longest = took > longest ? took : longest;
    }
    assert_int_equal(status, STRATA_ERR_UNAVAILABLE);
    assert_true(longest < 1500); /* the budget, and room for a busy machine */
    assert_value(cache, "k", "v");
    assert_true(set_text(cache, "k", "w", 0) < 0);
    assert_true(get_status(cache, "k") < 0); /* doubtful now: never the old value */
    strata_close(&cache);
    redis_server_stop(&mortal);
}

static bool set_works(void *arg)
{
    return set_text(arg, "k", "again", 0) == STRATA_OK;
}

static void a_cache_opened_before_redis_is_there_works_as_soon_as_it_is(void **state)
{
    (void)state;
    struct redis_server *late = NULL;
    assert_int_equal(redis_server_start(&late, NULL), 0);
    redis_server_kill9(late);
    struct strata *cache = open_cache(
        (struct strata_options){.redis_url = redis_server_url(late), .socket_timeout_ms = 500});
    assert_true(get_status(cache, "k") < 0);
    assert_int_equal(redis_server_restart(late), 0);
    assert_true(wait_until(set_works, cache, 10000));
    assert_value(cache, "k", "again");
    strata_close(&cache);
    redis_server_stop(&late);
}

static void a_frozen_redis_costs_a_call_its_budget_and_leaves_the_key_in_doubt(void **state)
{
    (void)state;
    struct redis_server *ill = NULL;
    assert_int_equal(redis_server_start(&ill, NULL), 0);
    struct strata *cache = open_cache(
        (struct strata_options){.redis_url = redis_server_url(ill), .socket_timeout_ms = 300});
    assert_int_equal(set_text(cache, "k", "v1", 0), STRATA_OK);
    redis_server_freeze(ill);
    uint64_t before = sta_clock_now_ms();
    assert_int_equal(set_text(cache, "k", "v2", 0), STRATA_ERR_TIMEOUT);
    uint64_t took = sta_clock_now_ms() - before;
    assert_in_range(took, 300, 1300);
    assert_true(get_status(cache, "k") < 0); /* neither v1 nor v2 is known to be right */
    redis_server_thaw(ill);
    assert_true(wait_until(set_works, cache, 10000));
    assert_value(cache, "k", "again");
    strata_close(&cache);
    redis_server_stop(&ill);
}

/* ---- asynchronous ---- */

struct outcome {
    _Atomic int calls;
    int status;
    char text[32];
    pthread_t thread;
};

static void note_outcome(void *arg, int status, struct strata_value *value)
{
    struct outcome *outcome = arg;
    outcome->status = status;
    outcome->thread = pthread_self();
    if (value != NULL)
        snprintf(outcome->text, sizeof outcome->text, "%.*s", (int)value->bytes.len,
                 (const char *)value->bytes.data);
    atomic_fetch_add_explicit(&outcome->calls, 1, memory_order_release);
}

static bool has_outcome(void *arg)
{
    struct outcome *outcome = arg;
    return atomic_load_explicit(&outcome->calls, memory_order_acquire) == 1;
}

static void callbacks_run_on_the_io_thread(void **state)
{
    (void)state;
    struct strata *cache = open_cache((struct strata_options){0});
    struct outcome set = {0}, hit = {0}, gone = {0}, miss = {0};
    strata_set_async(cache, strata_text("k"), strata_text("v"), 0,
                     (struct strata_completion){note_outcome, &set, NULL});
    assert_true(wait_until(has_outcome, &set, 5000));
    strata_get_async(cache, strata_text("k"), (struct strata_completion){note_outcome, &hit, NULL});
    assert_true(wait_until(has_outcome, &hit, 5000));
    strata_delete_async(cache, strata_text("k"),
                        (struct strata_completion){note_outcome, &gone, NULL});
    assert_true(wait_until(has_outcome, &gone, 5000));
    strata_get_async(cache, strata_text("k"),
                     (struct strata_completion){note_outcome, &miss, NULL});
    assert_true(wait_until(has_outcome, &miss, 5000));
    assert_int_equal(set.status, STRATA_OK);
    assert_int_equal(hit.status, STRATA_OK);
    assert_string_equal(hit.text, "v");
    assert_int_equal(gone.status, STRATA_OK);
    assert_int_equal(miss.status, STRATA_MISS);
    assert_true(pthread_equal(set.thread, hit.thread));
    assert_false(pthread_equal(set.thread, pthread_self()));
    strata_close(&cache);
}

static void a_queue_hands_completions_to_whoever_polls_its_descriptor(void **state)
{
    (void)state;
    struct strata *cache = open_cache((struct strata_options){0});
    struct strata_queue *queue = NULL;
    assert_int_equal(strata_queue_open(&queue), STRATA_OK);
    set_text(cache, "k", "v", 0);
    enum { CALLS = 200 };
    static struct outcome outcomes[CALLS];
    for (int i = 0; i < CALLS; i++)
        strata_get_async(cache, strata_text(i % 2 == 0 ? "k" : "absent"),
                         (struct strata_completion){note_outcome, &outcomes[i], queue});
    size_t ran = 0;
    while (ran < CALLS) {
        struct pollfd ready = {.fd = strata_queue_fd(queue), .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 5000), 1);
        ran += strata_queue_dispatch(queue, 7);
    }
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(outcomes[i].status, i % 2 == 0 ? STRATA_OK : STRATA_MISS);
        assert_true(pthread_equal(outcomes[i].thread, pthread_self()));
    }
    struct pollfd idle = {.fd = strata_queue_fd(queue), .events = POLLIN};
    assert_int_equal(poll(&idle, 1, 0), 0);
    strata_close(&cache);
    strata_queue_close(&queue);
}

static void a_completion_that_is_dispatched_after_the_close_still_has_its_value(void **state)
{
    (void)state;
    struct strata *cache = open_cache((struct strata_options){0});
    struct strata_queue *queue = NULL;
    struct outcome outcome = {0};
    assert_int_equal(strata_queue_open(&queue), STRATA_OK);
    set_text(cache, "k", "kept", 0);
    strata_get_async(cache, strata_text("k"),
                     (struct strata_completion){note_outcome, &outcome, queue});
    strata_close(&cache);
    assert_int_equal(strata_queue_dispatch(queue, 0), 1);
    assert_string_equal(outcome.text, "kept");
    strata_queue_close(&queue);
}

static void closing_ends_what_is_under_way_exactly_once(void **state)
{
    (void)state;
    struct redis_server *frozen = NULL;
    assert_int_equal(redis_server_start(&frozen, NULL), 0);
    struct strata *cache =
        open_cache((struct strata_options){.redis_url = redis_server_url(frozen)});
    assert_int_equal(set_text(cache, "k", "v", 0), STRATA_OK);
    redis_server_freeze(frozen);
    enum { CALLS = 50 };
    static struct outcome outcomes[CALLS];
    for (int i = 0; i < CALLS; i++)
        strata_set_async(cache, strata_text("k"), strata_text("w"), 0,
                         (struct strata_completion){note_outcome, &outcomes[i], NULL});
    strata_close(&cache);
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(atomic_load(&outcomes[i].calls), 1);
        assert_int_equal(outcomes[i].status, STRATA_ERR_CLOSED);
    }
    redis_server_thaw(frozen);
    redis_server_stop(&frozen);
}

struct impatient {
    struct strata *cache;
    struct outcome outcome;
    int nested;
};

static void call_back_synchronously(void *arg, int status, struct strata_value *value)
{
    struct impatient *impatient = arg;
    struct strata_value got = {0};
    impatient->nested = strata_get(impatient->cache, strata_text("k"), &got);
    note_outcome(&impatient->outcome, status, value);
}

static void a_synchronous_call_from_a_callback_is_refused_instead_of_hanging(void **state)
{
    (void)state;
    struct strata *cache = open_cache((struct strata_options){0});
    struct impatient impatient = {.cache = cache};
    strata_get_async(cache, strata_text("k"),
                     (struct strata_completion){call_back_synchronously, &impatient, NULL});
    assert_true(wait_until(has_outcome, &impatient.outcome, 5000));
    assert_int_equal(impatient.nested, STRATA_ERR_INVALID);
    strata_close(&cache);
}

/* ---- many threads ---- */

enum { THREADS = 4, KEYS = 64, ROUNDS = 3000 };

struct worker {
    struct strata *cache;
    unsigned number;
    unsigned wrong; /* reads that contradict the guarantees */
};

/* Each key belongs to one writer, which counts its versions up and must read its own writes.
 * Everybody else must never see a version go back. */
static void *write_own_and_read_all(void *arg)
{
    struct worker *worker = arg;
    uint64_t random = worker->number + 1;
    unsigned own[KEYS] = {0}, seen[KEYS] = {0};
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned k = (unsigned)sta_random_below(&random, KEYS);
        char key[32], text[32];
        snprintf(key, sizeof key, "shared:%u", k);
        bool mine = k % THREADS == worker->number;
        if (mine && sta_random_below(&random, 3) == 0) {
            snprintf(text, sizeof text, "%u", ++own[k]);
            worker->wrong += set_text(worker->cache, key, text, 0) != STRATA_OK;
            continue;
        }
        size_t len = 0;
        int status = strata_get_copy(worker->cache, strata_text(key), text, sizeof text - 1, &len);
        text[status == STRATA_OK ? len : 0] = 0;
        unsigned version = status == STRATA_OK ? (unsigned)strtoul(text, NULL, 10) : 0;
        worker->wrong += status < 0 || version < seen[k] || (mine && version != own[k]);
        seen[k] = version;
    }
    return NULL;
}

static void threads_read_their_own_writes_and_never_see_a_version_go_back(void **state)
{
    (void)state;
    struct strata *cache = open_cache((struct strata_options){.l1_max_size = KEYS / 2});
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.cache = cache, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_own_and_read_all, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(workers[i].wrong, 0);
    assert_true(numbers(cache).l1.hits > 0);
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
    struct strata_l2_options options = {.redis_url = redis_server_url(fixture.server),
                                        .key_prefix = ""};
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
                               flush),
        cmocka_unit_test_setup(an_l1_miss_is_read_through_from_redis_and_fills_l1, flush),
        cmocka_unit_test_setup(a_key_that_is_nowhere_is_a_miss, flush),
        cmocka_unit_test_setup(a_delete_empties_both_tiers_and_says_whether_redis_had_the_key,
                               flush),
        cmocka_unit_test_setup(binary_keys_and_values_and_the_empty_value_come_back_as_they_were,
                               flush),
        cmocka_unit_test_setup(
            keys_and_values_that_no_cache_takes_are_refused_before_anything_is_sent, flush),
        cmocka_unit_test_setup(the_largest_value_passes_and_one_byte_more_does_not, flush),
        cmocka_unit_test_setup(get_copy_tells_the_whole_length_of_a_value_that_does_not_fit, flush),
        cmocka_unit_test_setup(a_value_is_never_answered_by_l1_after_its_time_in_redis_is_over,
                               flush),
        cmocka_unit_test_setup(the_ttl_of_a_set_bounds_both_tiers, flush),
        cmocka_unit_test_setup(
            an_unlimited_ttl_stays_in_redis_and_the_default_is_the_configured_one, flush),
        cmocka_unit_test_setup(the_l1_ttl_makes_a_foreign_change_visible, flush),
        cmocka_unit_test_setup(the_sweeper_removes_expired_entries_that_nobody_asks_for, flush),
        cmocka_unit_test_setup(
            with_write_through_off_l1_takes_the_value_and_the_copy_in_redis_falls, flush),
        cmocka_unit_test_setup(with_read_through_off_an_l1_miss_is_a_miss, flush),
        cmocka_unit_test_setup(
            null_values_remember_that_redis_had_nothing_until_somebody_sets_the_key, flush),
        cmocka_unit_test_setup(a_batch_answers_each_key_by_itself, flush),
        cmocka_unit_test_setup(the_same_key_twice_in_a_batch_ends_as_redis_has_it, flush),
        cmocka_unit_test(without_redis_l1_answers_and_everything_else_is_an_error_at_once),
        cmocka_unit_test(a_cache_opened_before_redis_is_there_works_as_soon_as_it_is),
        cmocka_unit_test(a_frozen_redis_costs_a_call_its_budget_and_leaves_the_key_in_doubt),
        cmocka_unit_test_setup(callbacks_run_on_the_io_thread, flush),
        cmocka_unit_test_setup(a_queue_hands_completions_to_whoever_polls_its_descriptor, flush),
        cmocka_unit_test_setup(a_completion_that_is_dispatched_after_the_close_still_has_its_value,
                               flush),
        cmocka_unit_test(closing_ends_what_is_under_way_exactly_once),
        cmocka_unit_test_setup(a_synchronous_call_from_a_callback_is_refused_instead_of_hanging,
                               flush),
        cmocka_unit_test_setup(threads_read_their_own_writes_and_never_see_a_version_go_back,
                               flush),
        cmocka_unit_test(l1_alone_needs_no_redis),
        cmocka_unit_test_setup(l2_alone_keeps_nothing_in_memory, flush),
        cmocka_unit_test(a_configuration_that_contradicts_itself_opens_nothing),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
