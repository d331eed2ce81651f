/* SPDX-License-Identifier: MIT
 *
 * Write-behind: what is written is seen at once, and reaches Redis later, in order, within bounds,
 * whatever Redis does meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/cache_rig.h"

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "integration/log_record.h"
#include "support/redis_server.h"

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

/* ---- what is seen ---- */

static void a_set_is_seen_at_once_and_reaches_redis_later(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(behind());
    assert_int_equal(set_text(cache, "k", "one", 0), STRATA_OK);
    assert_int_equal(set_text(cache, "k", "two", 5000), STRATA_OK);
    assert_value(cache, "k", "two");
    assert_in_redis(PREFIX "k", NULL);
    assert_int_equal(numbers(cache).write_behind.entries, 1);
    assert_int_equal(numbers(cache).write_behind.coalesced, 1);
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_in_redis(PREFIX "k", "two");
    redisReply *reply = redisCommand(cache_rig_foreign(), "PTTL " PREFIX "k");
    assert_in_range(reply->integer, 1,
                    5200); /* Redis goes by the wall clock, which may be set back */
    freeReplyObject(reply);
    assert_value(cache, "k", "two");
    assert_int_equal(numbers(cache).write_behind.entries, 0);
    assert_int_equal(numbers(cache).write_behind.bytes, 0);
    assert_int_equal(numbers(cache).write_behind.flushed, 1);
    strata_close(&cache);
}

static void what_waits_goes_after_its_interval(void **state)
{
    (void)state;
    struct strata_options options = behind();
    options.write_behind_interval_ms = 20;
    struct strata *cache = cache_rig_open(options);
    assert_int_equal(set_text(cache, "k", "one", 0), STRATA_OK);
    for (uint64_t end = sta_clock_now_ms() + LONG_MS; numbers(cache).write_behind.flushed == 0;)
        assert_true(sta_clock_now_ms() < end);
    assert_in_redis(PREFIX "k", "one");
    strata_close(&cache);
}

static void a_delete_hides_what_redis_still_has(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(behind());
    redis_do("SET", PREFIX "k", "old");
    assert_value(cache, "k", "old");
    assert_int_equal(strata_delete(cache, strata_text("k")), STRATA_OK);
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    assert_in_redis(PREFIX "k", "old");
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_in_redis(PREFIX "k", NULL);
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    strata_close(&cache);
}

static void an_invalidation_takes_the_place_of_what_is_owed(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(behind());
    redis_do("SET", PREFIX "k", "old");
    assert_int_equal(set_text(cache, "k", "new", 0), STRATA_OK);
    assert_int_equal(strata_invalidate(cache, strata_text("k")), STRATA_OK);
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    assert_int_equal(set_text(cache, "j", "1", 0), STRATA_OK);
    assert_int_equal(strata_invalidate(cache, strata_text("j")), STRATA_OK);
    assert_int_equal(set_text(cache, "j", "2", 0), STRATA_OK);
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_in_redis(PREFIX "k", NULL);
    assert_in_redis(PREFIX "j", "2");
    strata_close(&cache);
}

static void what_l1_has_evicted_is_read_from_the_queue(void **state)
{
    (void)state;
    struct strata_options options = behind();
    char key[16], value[16];
    options.l1_max_size = 4;
    struct strata *cache = cache_rig_open(options);
    redis_do("SET", PREFIX "k7", "old");
    for (int i = 0; i < 200; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        (void)snprintf(value, sizeof value, "v%d", i);
        assert_int_equal(set_text(cache, key, value, 0), STRATA_OK);
    }
    assert_true(numbers(cache).l1_entries <= 4);
    assert_value(cache, "k7", "v7");
    char copy[16];
    size_t len = 0;
    assert_int_equal(strata_get_copy(cache, strata_text("k8"), copy, sizeof copy, &len), STRATA_OK);
    assert_memory_equal(copy, "v8", len);
    assert_int_equal(numbers(cache).l2.hits + numbers(cache).l2.misses, 0);
    strata_close(&cache);
}

static void without_l1_the_queue_answers_for_what_it_owes(void **state)
{
    (void)state;
    struct strata_options options = behind();
    options.l1_enabled = STRATA_OFF;
    struct strata *cache = cache_rig_open(options);
    redis_do("SET", PREFIX "k", "old");
    assert_value(cache, "k", "old");
    assert_int_equal(set_text(cache, "k", "new", 0), STRATA_OK);
    assert_value(cache, "k", "new");
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_value(cache, "k", "new");
    strata_close(&cache);
}

static bool is_in_redis(const char *key)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), "EXISTS %s", key);
    bool is = reply->integer == 1;
    freeReplyObject(reply);
    return is;
}

static void a_write_whose_time_is_up_before_it_went_deletes(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(behind());
    redis_do("SET", PREFIX "k", "old");
    assert_int_equal(set_text(cache, "k", "new", 1), STRATA_OK);
    for (uint64_t end = sta_clock_now_ms() + LONG_MS; get_status(cache, "k") != STRATA_MISS;)
        assert_true(sta_clock_now_ms() < end);
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    for (uint64_t end = sta_clock_now_ms() + LONG_MS; is_in_redis(PREFIX "k");)
        assert_true(sta_clock_now_ms() < end); /* the loop's clock may be a little behind ours */
    strata_close(&cache);
}

static void a_batch_is_taken_whole(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(behind());
    struct strata_item items[300];
    char keys[300][8];
    int statuses[300];
    for (int i = 0; i < 300; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%d", i);
        items[i] = (struct strata_item){strata_text(keys[i]), strata_text("v"), 0};
    }
    items[7].key = strata_bytes("", 0);
    assert_int_equal(strata_set_many(cache, items, 300, statuses), STRATA_ERR_PARTIAL);
    assert_int_equal(statuses[7], STRATA_ERR_INVALID);
    assert_int_equal(statuses[8], STRATA_OK);
    assert_int_equal(numbers(cache).write_behind.entries, 299);
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_in_redis(PREFIX "k299", "v");
    strata_close(&cache);
}

static int load_new(struct strata_load *load, void *arg)
{
    (*(int *)arg)++;
    return strata_load_set(load, strata_text("loaded"), 0);
}

static void what_was_loaded_is_written_behind_and_no_old_value_comes_back(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(behind());
    struct strata_value value = {0};
    int loads = 0;
    redis_do("SET", PREFIX "k", "old");
    assert_int_equal(strata_delete(cache, strata_text("k")), STRATA_OK);
    assert_int_equal(strata_get_or_load(cache, strata_text("k"), load_new, &loads, NULL, &value),
                     STRATA_OK);
    assert_int_equal(value.bytes.len, 6);
    assert_memory_equal(value.bytes.data, "loaded", 6);
    strata_release(&value);
    assert_int_equal(loads, 1);
    assert_value(cache, "k", "loaded");
    assert_in_redis(PREFIX "k", "old");
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_in_redis(PREFIX "k", "loaded");
    strata_close(&cache);
}

/* ---- foreign writers ---- */

static void what_others_write_does_not_take_back_what_is_owed(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(behind());
    redis_do("SET", PREFIX "k", "old");
    assert_value(cache, "k", "old"); /* tracked from here on */
    assert_int_equal(set_text(cache, "k", "ours", 0), STRATA_OK);
    uint64_t heard = numbers(cache).invalidations;
    redis_do("SET", PREFIX "k", "theirs");
    for (uint64_t end = sta_clock_now_ms() + LONG_MS; numbers(cache).invalidations == heard;)
        assert_true(sta_clock_now_ms() < end);
    assert_value(cache, "k", "ours");
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_in_redis(PREFIX "k", "ours");
    assert_value(cache, "k", "ours");
    strata_close(&cache);
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

static void what_others_write_later_is_seen(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(behind());
    for (int i = 0; i < 3; i++) { /* not tracked, and tracked before */
        assert_int_equal(set_text(cache, "k", "ours", 0), STRATA_OK);
        assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
        assert_value(cache, "k", "ours");
        redis_do("SET", PREFIX "k", "theirs");
        await_value_of(cache, "k", 6);
    }
    strata_close(&cache);
}

/* Neither by a push: nobody has read it, or nobody is told any more. */
static void of_a_flushed_write_l1_keeps_only_what_is_tracked(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(behind());
    char *large = calloc(1, 20001);
    memset(large, 'x', 20000);
    assert_int_equal(set_text(cache, "large", large, 0), STRATA_OK);
    assert_int_equal(set_text(cache, "small", "ours", 0), STRATA_OK);
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    redis_do("SET", PREFIX "large", "theirs");
    await_value_of(cache, "large", 6);
    redisReply *killed = redisCommand(cache_rig_foreign(), "CLIENT KILL TYPE normal SKIPME yes");
    assert_true(killed->integer > 0);
    freeReplyObject(killed);
    redis_do("SET", PREFIX "small", "theirs");
    await_value_of(cache, "small", 6);
    free(large);
    strata_close(&cache);
}

static void what_was_flushed_is_still_answered_by_l1(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(behind());
    assert_int_equal(get_status(cache, "none"), STRATA_MISS); /* who is first waits for barriers */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(set_text(cache, "k", "ours", 0), STRATA_OK);
        assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
        assert_value(cache, "k", "ours");
    }
    assert_int_equal(numbers(cache).l1.hits, 3);
    strata_close(&cache);
}

/* ---- rates and bounds ---- */

static long long sets_in_redis(void)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), "INFO commandstats");
    const char *at = strstr(reply->str, "cmdstat_set:calls=");
    long long calls = at != NULL ? atoll(at + strlen("cmdstat_set:calls=")) : 0;
    freeReplyObject(reply);
    return calls;
}

static void a_thousand_updates_of_a_key_are_one_write_per_interval(void **state)
{
    (void)state;
    struct strata_options options = behind();
    options.write_behind_interval_ms = 100;
    options.tracking = STRATA_TRACKING_OFF; /* its canaries are SETs, too */
    struct strata *cache = cache_rig_open(options);
    long long before = sets_in_redis();
    uint64_t begin = sta_clock_now_ms();
    char value[16];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(value, sizeof value, "%d", i);
        assert_int_equal(set_text(cache, "k", value, 0), STRATA_OK);
        struct timespec pause = {.tv_nsec = 1000000};
        nanosleep(&pause, NULL);
    }
    long long sets = sets_in_redis() - before;
    uint64_t took = sta_clock_now_ms() - begin;
    assert_in_range(sets, 1, took / 100 + 1);
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_in_redis(PREFIX "k", "999");
    strata_close(&cache);
}

/* A full queue is written at once, so what keeps it full is refused: a user who may not write keys
 * that begin with a or b. */
static struct strata *open_picky(struct strata_options options)
{
    char url[256];
    redisReply *reply = redisCommand(
        cache_rig_foreign(), "ACL SETUSER picky on >secret resetkeys ~" PREFIX "[^ab]* &* +@all");
    assert_string_equal(reply->str, "OK");
    freeReplyObject(reply);
    (void)snprintf(url, sizeof url, "redis://picky:secret@%s",
                   cache_rig_url() + strlen("redis://"));
    options.redis_url = url;
    return cache_rig_open(options);
}

static void be_less_picky(void)
{
    freeReplyObject(redisCommand(cache_rig_foreign(), "ACL SETUSER picky allkeys"));
}

/* Two keys fill it. */
static struct strata *open_full(enum strata_full full)
{
    struct strata_options options = behind();
    options.write_behind_max_entries = 2;
    options.write_behind_full = full;
    options.socket_timeout_ms = 500;
    struct strata *cache = open_picky(options);
    assert_int_equal(set_text(cache, "a", "1", 0), STRATA_OK);
    assert_int_equal(set_text(cache, "b", "1", 0), STRATA_OK);
    return cache;
}

static void set_later(struct strata *cache, const char *key, struct answer *answer)
{
    struct strata_completion completion = {.call = take_answer, .arg = answer};
    assert_int_equal(strata_set_async(cache, strata_text(key), strata_text("1"), 0, completion),
                     STRATA_OK);
}

static void a_full_queue_rejects(void **state)
{
    (void)state;
    struct strata *cache = open_full(STRATA_FULL_REJECT);
    assert_int_equal(set_text(cache, "c", "1", 0), STRATA_ERR_BUSY);
    assert_int_equal(get_status(cache, "c"), STRATA_MISS);
    assert_int_equal(set_text(cache, "b", "2", 0), STRATA_OK);
    assert_value(cache, "b", "2");
    assert_int_equal(numbers(cache).write_behind.rejected, 1);
    be_less_picky();
    strata_close(&cache);
}

static void a_full_queue_blocks_until_the_time_is_up(void **state)
{
    (void)state;
    struct strata *cache = open_full(STRATA_FULL_BLOCK);
    uint64_t begin = sta_clock_now_ms();
    assert_int_equal(set_text(cache, "c", "1", 0), STRATA_ERR_BUSY);
    assert_true(sta_clock_now_ms() - begin >= 450);
    assert_int_equal(numbers(cache).write_behind.blocked, 0);
    assert_int_equal(numbers(cache).write_behind.entries, 2);
    assert_int_equal(set_text(cache, "b", "2", 0), STRATA_OK);
    be_less_picky();
    strata_close(&cache);
    assert_in_redis(PREFIX "b", "2");
    assert_in_redis(PREFIX "c", NULL);
}

static void who_waits_for_room_gets_it(void **state)
{
    (void)state;
    struct strata_options options = behind();
    struct answer answer = {0};
    options.write_behind_max_entries = 2;
    options.socket_timeout_ms = LONG_MS;
    struct strata *cache = open_picky(options);
    assert_int_equal(set_text(cache, "a", "1", 0), STRATA_OK);
    assert_int_equal(set_text(cache, "b", "1", 0), STRATA_OK);
    set_later(cache, "c", &answer);
    for (uint64_t end = sta_clock_now_ms() + LONG_MS; numbers(cache).write_behind.blocked == 0;)
        assert_true(sta_clock_now_ms() < end);
    assert_int_equal(answer.calls, 0);
    be_less_picky();
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    for (uint64_t end = sta_clock_now_ms() + LONG_MS; answer.calls == 0;)
        assert_true(sta_clock_now_ms() < end);
    assert_int_equal(answer.status, STRATA_OK);
    assert_value(cache, "c", "1");
    strata_close(&cache);
    assert_in_redis(PREFIX "c", "1");
}

/* Redis is well, the interval is one that no test waits for, and a third of the bounds is left. */
static void who_waits_for_room_does_not_wait_for_the_interval(void **state)
{
    (void)state;
    static char third[20001], most[50001];
    struct strata_options options = behind();
    memset(third, 't', sizeof third - 1);
    memset(most, 'm', sizeof most - 1);
    options.write_behind_max_bytes = 65536;
    options.socket_timeout_ms = LONG_MS / 2;
    struct strata *cache = cache_rig_open(options);
    assert_int_equal(set_text(cache, "k", third, 0), STRATA_OK);
    assert_int_equal(set_text(cache, "l", most, 0), STRATA_OK); /* waits until k is written */
    strata_close(&cache);
}

static void a_full_queue_lets_through(void **state)
{
    (void)state;
    struct strata *cache = open_full(STRATA_FULL_THROUGH);
    struct strata_item items[] = {{strata_text("b"), strata_text("w"), 0},
                                  {strata_text("n1"), strata_text("w"), 0},
                                  {strata_text("n2"), strata_text("w"), 0}};
    int statuses[3];
    assert_int_equal(strata_set_many(cache, items, 3, statuses), STRATA_OK);
    assert_in_redis(PREFIX "n1", "w");
    assert_in_redis(PREFIX "n2", "w");
    assert_value(cache, "n2", "w");
    assert_value(cache, "b", "w");
    assert_in_redis(PREFIX "b", NULL);
    assert_int_equal(numbers(cache).write_behind.through, 2);
    be_less_picky();
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_in_redis(PREFIX "b", "w");
    strata_close(&cache);
}

/* The first of each pair has no room, and the second would have. */
static void of_a_batch_what_follows_a_write_that_went_through_goes_through_too(void **state)
{
    (void)state;
    static char most[60001], large[6001];
    struct strata_options options = behind();
    char key[16], name[32];
    memset(most, 'm', sizeof most - 1);
    memset(large, 'l', sizeof large - 1);
    options.write_behind_full = STRATA_FULL_THROUGH;
    options.write_behind_max_bytes = 65536;
    struct strata *cache = open_picky(options);
    assert_int_equal(set_text(cache, "b", most, 0), STRATA_OK);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        (void)snprintf(name, sizeof name, PREFIX "k%d", i);
        struct strata_item items[] = {{strata_text(key), strata_text(large), 0},
                                      {strata_text(key), strata_text("last"), 0}};
        int statuses[2];
        assert_int_equal(strata_set_many(cache, items, 2, statuses), STRATA_OK);
        assert_value(cache, key, "last");
        assert_in_redis(name, "last"); /* with the call's end: it was not left to the queue */
    }
    assert_int_equal(numbers(cache).write_behind.through, 200);
    be_less_picky();
    strata_close(&cache);
}

/* ---- closing ---- */

static void closing_writes_what_is_owed(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(behind());
    char key[16];
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(set_text(cache, key, "v", 0), STRATA_OK);
    }
    strata_close(&cache);
    redisReply *reply = redisCommand(cache_rig_foreign(), "DBSIZE");
    assert_true(reply->integer >= 5000); /* and canaries */
    freeReplyObject(reply);
    assert_in_redis(PREFIX "k4999", "v");
}

static void closing_says_what_was_not_written(void **state)
{
    (void)state;
    struct strata_options options = behind();
    static struct log_record log;
    log_record_init(&log);
    options.log_sink = log_record_sink;
    options.log_arg = &log;
    options.redis_url = "redis://127.0.0.1:1";
    options.write_behind_drain_timeout_ms = 100;
    struct strata *cache = cache_rig_open(options);
    assert_int_equal(set_text(cache, "a", "1", 0), STRATA_OK);
    assert_int_equal(set_text(cache, "b", "1", 0), STRATA_OK);
    assert_int_equal(strata_flush(cache, 50), STRATA_ERR_TIMEOUT);
    assert_value(cache, "a", "1");
    strata_close(&cache);
    assert_int_equal(log_record_count(&log, "write-behind: closed before 2 keys", 0), 1);
}

static void who_waits_for_room_when_the_cache_closes_is_told(void **state)
{
    (void)state;
    struct strata_options options = behind();
    struct answer answer = {0};
    options.write_behind_max_entries = 1;
    options.redis_url = "redis://127.0.0.1:1";
    options.write_behind_drain_timeout_ms = 1;
    struct strata *cache = cache_rig_open(options);
    assert_int_equal(set_text(cache, "a", "1", 0), STRATA_OK);
    set_later(cache, "b", &answer);
    strata_close(&cache);
    assert_int_equal(answer.calls, 1);
    assert_int_equal(answer.status, STRATA_ERR_CLOSED);
}

/* ---- Redis in trouble ---- */

static void one_key_that_redis_refuses_delays_no_other(void **state)
{
    (void)state;
    struct strata_options options = behind();
    redisReply *reply =
        redisCommand(cache_rig_foreign(), "ACL SETUSER some on >secret ~" PREFIX "ok:* &* +@all");
    assert_string_equal(reply->str, "OK");
    freeReplyObject(reply);
    char url[256];
    (void)snprintf(url, sizeof url, "redis://some:secret@%s", cache_rig_url() + strlen("redis://"));
    options.redis_url = url;
    options.tracking = STRATA_TRACKING_OFF;
    options.write_behind_interval_ms = 10;
    options.write_behind_drain_timeout_ms = 1;
    struct strata *cache = cache_rig_open(options);
    assert_int_equal(set_text(cache, "bad", "1", 0), STRATA_OK);
    assert_int_equal(set_text(cache, "ok:1", "1", 0), STRATA_OK);
    for (uint64_t end = sta_clock_now_ms() + LONG_MS; numbers(cache).write_behind.parked == 0;)
        assert_true(sta_clock_now_ms() < end);
    assert_in_redis(PREFIX "ok:1", "1");
    assert_value(cache, "bad", "1");
    assert_int_equal(numbers(cache).write_behind.entries, 1);
    assert_int_equal(numbers(cache).write_behind.refused, 5);
    assert_int_equal(set_text(cache, "ok:2", "2", 0), STRATA_OK);
    for (uint64_t end = sta_clock_now_ms() + LONG_MS; numbers(cache).write_behind.flushed < 2;)
        assert_true(sta_clock_now_ms() < end);
    assert_in_redis(PREFIX "ok:2", "2");
    strata_close(&cache);
}

#define AWAY_KEYS 500

static void write_all(struct strata *cache, int version)
{
    char key[16], value[32];
    for (int i = 0; i < AWAY_KEYS; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        (void)snprintf(value, sizeof value, "%d of %d", version, i);
        assert_int_equal(set_text(cache, key, value, 0), STRATA_OK);
    }
}

static void check_all(redisContext *redis, int version)
{
    char value[32];
    for (int i = 0; i < AWAY_KEYS; i++) {
        (void)snprintf(value, sizeof value, "%d of %d", version, i);
        redisReply *reply = redisCommand(redis, "GET " PREFIX "k%d", i);
        assert_int_equal(reply->type, REDIS_REPLY_STRING);
        assert_string_equal(reply->str, value);
        freeReplyObject(reply);
    }
}

static void hold_for(struct strata *cache, uint64_t ms, int *version)
{
    uint64_t bytes = 0;
    for (uint64_t end = sta_clock_now_ms() + ms; sta_clock_now_ms() < end;) {
        write_all(cache, ++*version);
        struct strata_write_behind_statistics now = numbers(cache).write_behind;
        assert_true(now.entries <= AWAY_KEYS);
        bytes = now.bytes > bytes ? now.bytes : bytes;
    }
    assert_true(bytes < (uint64_t)AWAY_KEYS * 400);
}

/* Time-outs while it hangs, connections given up, new ones: whatever the old ones have left in its
 * buffers does not win over what was written later. */
static void while_redis_hangs_all_is_accepted_and_the_last_writes_win(void **state)
{
    (void)state;
    struct redis_server *server = NULL;
    struct strata_options options = behind();
    int version = 0;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    options.redis_url = redis_server_url(server);
    options.write_behind_interval_ms = 20;
    options.socket_timeout_ms = 400;
    struct strata *cache = cache_rig_open(options);
    hold_for(cache, 300, &version);
    redis_server_freeze(server);
    hold_for(cache, 8000, &version);
    redis_server_thaw(server);
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    redisContext *redis = redisConnectUnix(redis_server_socket(server));
    check_all(redis, version);
    assert_true(numbers(cache).write_behind.retried > 0);
    redisFree(redis);
    strata_close(&cache);
    redis_server_stop(&server);
}

static void a_redis_that_was_killed_gets_what_is_owed_when_it_is_back(void **state)
{
    (void)state;
    struct redis_server *server = NULL;
    struct strata_options options = behind();
    int version = 0;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    options.redis_url = redis_server_url(server);
    options.write_behind_interval_ms = 20;
    struct strata *cache = cache_rig_open(options);
    redis_server_kill9(server);
    hold_for(cache, 2000, &version);
    assert_int_equal(redis_server_restart(server), 0);
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    redisContext *redis = redisConnectUnix(redis_server_socket(server));
    check_all(redis, version);
    redisFree(redis);
    strata_close(&cache);
    redis_server_stop(&server);
}

/* ---- threads ---- */

#define THREADS      4
#define THREAD_KEYS  50
#define THREAD_STEPS 20000

struct worker {
    pthread_t thread;
    struct strata *cache;
    int number;
    int last[THREAD_KEYS]; /* 0: deleted */
    char failure[128];
};

static void worker_check(struct worker *worker, int key, const char *name)
{
    char expected[32];
    struct strata_value value = {0};
    int status = strata_get(worker->cache, strata_text(name), &value);
    (void)snprintf(expected, sizeof expected, "%d", worker->last[key]);
    bool right = worker->last[key] == 0
                     ? status == STRATA_MISS
                     : status == STRATA_OK && value.bytes.len == strlen(expected) &&
                           memcmp(value.bytes.data, expected, value.bytes.len) == 0;
    if (!right)
        (void)snprintf(worker->failure, sizeof worker->failure, "%s: status %d, not %s", name,
                       status, expected);
    strata_release(&value);
}

/* Keys of its own; all threads share L1 (far too small), the queue and the connection. */
static void *work(void *arg)
{
    struct worker *worker = arg;
    unsigned random = (unsigned)worker->number + 1;
    char name[32], value[32];
    for (int step = 1; step <= THREAD_STEPS && worker->failure[0] == '\0'; step++) {
        int key = rand_r(&random) % THREAD_KEYS;
        (void)snprintf(name, sizeof name, "t%d:%d", worker->number, key);
        (void)snprintf(value, sizeof value, "%d", step);
        int dice = rand_r(&random) % 8;
        int status = STRATA_OK;
        if (dice == 0)
            status = strata_delete(worker->cache, strata_text(name));
        else if (dice < 4)
            status = strata_set(worker->cache, strata_text(name), strata_text(value), 0);
        if (status != STRATA_OK)
            (void)snprintf(worker->failure, sizeof worker->failure, "%s: %d", name, status);
        else if (dice < 4)
            worker->last[key] = dice == 0 ? 0 : step;
        worker_check(worker, key, name);
    }
    return NULL;
}

static void check_worker(const struct worker *worker)
{
    char name[32], value[32];
    for (int key = 0; key < THREAD_KEYS; key++) {
        (void)snprintf(name, sizeof name, PREFIX "t%d:%d", worker->number, key);
        (void)snprintf(value, sizeof value, "%d", worker->last[key]);
        assert_in_redis(name, worker->last[key] == 0 ? NULL : value);
    }
}

static void threads_read_their_own_writes_wherever_these_are(void **state)
{
    (void)state;
    struct strata_options options = behind();
    struct worker workers[THREADS] = {0};
    options.l1_max_size = 20;
    options.write_behind_interval_ms = 1;
    options.write_behind_max_entries = 60;
    struct strata *cache = cache_rig_open(options);
    for (int i = 0; i < THREADS; i++) {
        workers[i].cache = cache;
        workers[i].number = i;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_string_equal(workers[i].failure, "");
    }
    strata_close(&cache);
    for (int i = 0; i < THREADS; i++)
        check_worker(&workers[i]);
}

#define CASE(name) cmocka_unit_test_setup(name, cache_rig_flush)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_set_is_seen_at_once_and_reaches_redis_later),
        CASE(what_waits_goes_after_its_interval),
        CASE(a_delete_hides_what_redis_still_has),
        CASE(an_invalidation_takes_the_place_of_what_is_owed),
        CASE(what_l1_has_evicted_is_read_from_the_queue),
        CASE(without_l1_the_queue_answers_for_what_it_owes),
        CASE(a_write_whose_time_is_up_before_it_went_deletes),
        CASE(a_batch_is_taken_whole),
        CASE(what_was_loaded_is_written_behind_and_no_old_value_comes_back),
        CASE(what_others_write_does_not_take_back_what_is_owed),
        CASE(what_others_write_later_is_seen),
        CASE(of_a_flushed_write_l1_keeps_only_what_is_tracked),
        CASE(what_was_flushed_is_still_answered_by_l1),
        CASE(a_thousand_updates_of_a_key_are_one_write_per_interval),
        CASE(a_full_queue_rejects),
        CASE(a_full_queue_blocks_until_the_time_is_up),
        CASE(who_waits_for_room_gets_it),
        CASE(who_waits_for_room_does_not_wait_for_the_interval),
        CASE(a_full_queue_lets_through),
        CASE(of_a_batch_what_follows_a_write_that_went_through_goes_through_too),
        CASE(closing_writes_what_is_owed),
        CASE(closing_says_what_was_not_written),
        CASE(who_waits_for_room_when_the_cache_closes_is_told),
        CASE(one_key_that_redis_refuses_delays_no_other),
        CASE(while_redis_hangs_all_is_accepted_and_the_last_writes_win),
        CASE(a_redis_that_was_killed_gets_what_is_owed_when_it_is_back),
        CASE(threads_read_their_own_writes_wherever_these_are),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
