/* SPDX-License-Identifier: MIT
 *
 * Invalidation by pattern before a real Redis: what is gone, what is left, and what is counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cache/purge.h"
#include "core/nap.h"
#include "integration/cache_rig.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define PREFIX     "atp:cache:"
#define PATIENT_MS 20000

static void fill(const char *prefix, unsigned count)
{
    static const char script[] = "for i=1,tonumber(ARGV[2]) do "
                                 "redis.call('SET',ARGV[1]..i,'x') end return 1";
    redisReply *reply = redisCommand(cache_rig_foreign(), "EVAL %s 0 %s %u", script, prefix, count);
    assert_non_null(reply);
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    freeReplyObject(reply);
}

/* How many keys Redis has that match, our own for a moment not counted. */
static uint64_t in_redis(const char *pattern)
{
    uint64_t count = 0;
    redisReply *reply = redisCommand(cache_rig_foreign(), "KEYS %s", pattern);
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    for (size_t i = 0; i < reply->elements; i++)
        count += strstr(reply->element[i]->str, "strata:canary:") == NULL;
    freeReplyObject(reply);
    return count;
}

static void what_matches_is_gone_from_both_tiers_and_counted(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    uint64_t count = 7;
    char key[32];
    fill(PREFIX "session:", 20000);
    fill(PREFIX "user:", 500);
    fill("session:", 100);
    for (unsigned i = 1; i <= 300; i++) {
        (void)snprintf(key, sizeof key, "session:%u", i);
        assert_value(cache, key, "x");
        (void)snprintf(key, sizeof key, "user:%u", i);
        assert_value(cache, key, "x");
    }
    uint64_t entries = numbers(cache).l1_entries;
    assert_int_equal(entries, 600);
    assert_int_equal(strata_invalidate_pattern(cache, strata_text("session:*"), &count), STRATA_OK);
    assert_int_equal(count, 20000);
    assert_int_equal(numbers(cache).l1_entries, 300);
    assert_int_equal(get_status(cache, "session:7"), STRATA_MISS);
    assert_value(cache, "user:7", "x");
    assert_int_equal(in_redis(PREFIX "session:*"), 0);
    assert_int_equal(in_redis(PREFIX "user:*"), 500);
    assert_int_equal(in_redis("session:*"), 100); /* without our prefix: not ours */
    assert_int_equal(strata_invalidate_pattern(cache, strata_text("session:*"), &count), STRATA_OK);
    assert_int_equal(count, 0);
    strata_close(&cache);
}

/* Each pattern on the same keys: what Redis says that matches is what goes. */
static void patterns_mean_what_they_mean_to_redis(void **state)
{
    (void)state;
    static const char *const patterns[] = {"k1*",  "k?",       "k[2-4]?", "k[^1-8]*", "*7",
                                           "k\\1", "*[0]*[0]", "none",    "k1?[05]",  "*"};
    struct strata *cache = cache_rig_open((struct strata_options){0});
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        char match[64];
        uint64_t count;
        fill(PREFIX "k", 1500);
        (void)snprintf(match, sizeof match, PREFIX "%s", patterns[i]);
        uint64_t before = in_redis(PREFIX "*"), matching = in_redis(match);
        assert_int_equal(strata_invalidate_pattern(cache, strata_text(patterns[i]), &count),
                         STRATA_OK);
        assert_int_equal(count, matching);
        assert_int_equal(in_redis(match), 0);
        assert_int_equal(in_redis(PREFIX "*"), before - matching);
    }
    strata_close(&cache);
}

/* A key that is in L1, in Redis, or in both, is one key. */
static void each_key_counts_once_whatever_tier_it_is_in(void **state)
{
    (void)state;
    uint64_t count;
    struct strata *cache = cache_rig_open((struct strata_options){.write_through = STRATA_OFF});
    assert_int_equal(set_text(cache, "a:l1", "x", 0), STRATA_OK);
    redis_do("SET", PREFIX "a:redis", "x");
    redis_do("SET", PREFIX "a:both", "x");
    assert_value(cache, "a:both", "x");
    assert_int_equal(set_text(cache, "b", "x", 0), STRATA_OK);
    assert_int_equal(strata_invalidate_pattern(cache, strata_text("a:*"), &count), STRATA_OK);
    assert_int_equal(count, 3);
    assert_value(cache, "b", "x");
    strata_close(&cache);
    cache = cache_rig_open((struct strata_options){.l2_enabled = STRATA_OFF});
    assert_int_equal(set_text(cache, "a:1", "x", 0), STRATA_OK);
    assert_int_equal(set_text(cache, "a:2", "x", 0), STRATA_OK);
    assert_int_equal(set_text(cache, "b", "x", 0), STRATA_OK);
    assert_int_equal(strata_invalidate_pattern(cache, strata_text("a:*"), &count), STRATA_OK);
    assert_int_equal(count, 2);
    assert_value(cache, "b", "x");
    strata_close(&cache);
}

struct watch {
    unsigned tells;
    unsigned stop_at; /* 0: never */
    void (*disturb)(void);
    struct strata_pattern_progress last;
};

static int on_progress(void *arg, const struct strata_pattern_progress *progress)
{
    struct watch *watch = arg;
    assert_true(progress->deleted >= watch->last.deleted);
    assert_true(progress->deleted + progress->unsure <= progress->found);
    watch->last = *progress;
    watch->tells++;
    if (watch->disturb != NULL)
        watch->disturb();
    return watch->tells == watch->stop_at;
}

static void it_tells_how_far_it_is_and_may_be_ended_and_begun_again(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct watch watch = {.stop_at = 2};
    struct strata_pattern_options options = {
        .share = 5, .progress = on_progress, .progress_arg = &watch};
    struct strata_pattern_progress result;
    uint64_t count;
    fill(PREFIX, 50000);
    assert_int_equal(
        strata_invalidate_pattern_with(cache, strata_text("*"), &options, &result, NULL),
        STRATA_MORE);
    assert_int_equal(watch.tells, 2);
    assert_true(result.deleted > 0 && result.deleted < 50000);
    assert_int_equal(in_redis(PREFIX "*"), 50000 - result.deleted);
    assert_int_equal(strata_invalidate_pattern(cache, strata_text("*"), &count), STRATA_OK);
    assert_int_equal(count, 50000 - result.deleted);
    assert_int_equal(in_redis(PREFIX "*"), 0);
    strata_close(&cache);
}

static void dawdle(void)
{
    sta_nap_ns(50 * STA_NS_MS);
}

static unsigned tells_of_who_dawdles(struct strata *cache)
{
    struct watch watch = {.disturb = dawdle};
    struct strata_pattern_options options = {
        .share = 50, .progress = on_progress, .progress_arg = &watch};
    struct strata_pattern_progress result;
    fill(PREFIX, 10000);
    assert_int_equal(
        strata_invalidate_pattern_with(cache, strata_text("*"), &options, &result, NULL),
        STRATA_OK);
    assert_int_equal(result.deleted, 10000);
    return watch.tells;
}

/* If it were, there would be a rest of as long again after each slice, and progress were told after
 * each. A machine that stands still may do that, too, but not every time. */
static void the_time_that_progress_takes_is_not_made_up_for_with_rests(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    unsigned least = UINT_MAX;
    for (unsigned i = 0; i < 10 && least > 10000 / STA_PURGE_SLICE / 2; i++) {
        unsigned tells = tells_of_who_dawdles(cache);
        least = tells < least ? tells : least;
    }
    print_message("progress was told %u times\n", least);
    assert_true(least <= 10000 / STA_PURGE_SLICE / 2);
    strata_close(&cache);
}

static void *invalidate_all(void *arg)
{
    static __thread uint64_t count;
    assert_int_equal(strata_invalidate_pattern(arg, strata_text("*"), &count), STRATA_OK);
    return (void *)(uintptr_t)count;
}

static void two_at_once_count_each_key_once(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    pthread_t threads[2];
    uintptr_t sum = 0;
    fill(PREFIX, 30000);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, invalidate_all, cache), 0);
    for (size_t i = 0; i < 2; i++) {
        void *count;
        assert_int_equal(pthread_join(threads[i], &count), 0);
        sum += (uintptr_t)count;
    }
    assert_int_equal(sum, 30000);
    strata_close(&cache);
}

static void connections_are_killed(void)
{
    freeReplyObject(redisCommand(cache_rig_foreign(), "CLIENT KILL TYPE normal SKIPME yes"));
}

/* The connections that keys are deleted by, and not those that names come by: what is lost must be
 * tried again, for nobody names it a second time. */
static unsigned kill_tracked_connections(redisContext *redis)
{
    unsigned kills = 0;
    redisReply *list = redisCommand(redis, "CLIENT LIST TYPE normal");
    assert_int_equal(list->type, REDIS_REPLY_STRING);
    char *rest = list->str;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && line[0] != '\0';) {
        unsigned id;
        char flags[16];
        if (sscanf(line, "id=%u ", &id) != 1 ||
            sscanf(strstr(line, " flags="), " flags=%15s", flags) != 1 ||
            strchr(flags, 't') == NULL)
            continue;
        freeReplyObject(redisCommand(redis, "CLIENT KILL ID %u", id));
        kills++;
    }
    freeReplyObject(list);
    return kills;
}

static atomic_bool killing;

/* At random moments, as seen from there. */
static void *kill_on(void *arg)
{
    redisContext *redis = arg;
    uintptr_t kills = 0;
    while (atomic_load(&killing)) {
        const struct timespec nap = {.tv_nsec = 4000000};
        (void)nanosleep(&nap, NULL); /* so that they get anywhere in between */
        kills += kill_tracked_connections(redis);
    }
    return (void *)kills;
}

static void delete_while(void (*disturb)(void), unsigned keys, unsigned share)
{
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct watch watch = {.disturb = disturb};
    struct strata_pattern_options options = {
        .share = share, .progress = on_progress, .progress_arg = &watch};
    struct strata_pattern_progress result;
    struct strata_error error = {.text = ""};
    fill(PREFIX, keys);
    int status = strata_invalidate_pattern_with(cache, strata_text("*"), &options, &result, &error);
    if (status != STRATA_OK)
        fail_msg("%s: %s", strata_status_name(status), error.text);
    assert_true(watch.tells > 0);
    assert_true(result.deleted <= keys && result.deleted + result.unsure >= keys);
    assert_int_equal(in_redis(PREFIX "*"), 0);
    strata_close(&cache);
}

static void connections_that_break_leave_no_key_and_no_wrong_count(void **state)
{
    (void)state;
    delete_while(connections_are_killed, 20000, 50);
}

static void deletions_that_are_lost_are_tried_again(void **state)
{
    (void)state;
    redisContext *redis = redisConnect("127.0.0.1", atoi(strrchr(cache_rig_url(), ':') + 1));
    pthread_t thread;
    void *kills;
    assert_int_equal(redis->err, 0);
    atomic_store(&killing, true);
    assert_int_equal(pthread_create(&thread, NULL, kill_on, redis), 0);
    delete_while(NULL, 100000, 100);
    atomic_store(&killing, false);
    assert_int_equal(pthread_join(thread, &kills), 0);
    assert_true((uintptr_t)kills > 0);
    redisFree(redis);
}

/* What it has read of before is not answered by another cache, either. */
static bool is_missed(void *arg)
{
    return get_status(arg, "k7") == STRATA_MISS;
}

static void other_caches_hear_of_it(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct strata *other = cache_rig_open((struct strata_options){0});
    uint64_t count;
    fill(PREFIX "k", 100);
    assert_value(other, "k7", "x");
    assert_value(other, "k7", "x");
    assert_true(numbers(other).l1_entries > 0);
    assert_int_equal(strata_invalidate_pattern(cache, strata_text("k*"), &count), STRATA_OK);
    assert_int_equal(count, 100);
    assert_true(wait_until(is_missed, other, PATIENT_MS));
    strata_close(&other);
    strata_close(&cache);
}

static struct redis_server *dying;

static void it_dies(void)
{
    redis_server_kill9(dying);
}

static void a_server_that_dies_in_the_middle_is_told_with_what_was_counted(void **state)
{
    (void)state;
    assert_int_equal(redis_server_start(&dying, NULL), 0);
    struct strata *cache =
        cache_rig_open((struct strata_options){.redis_url = redis_server_url(dying)});
    struct watch watch = {.disturb = it_dies};
    struct strata_pattern_options options = {
        .share = 50, .patience_ms = 300, .progress = on_progress, .progress_arg = &watch};
    struct strata_pattern_progress result;
    struct strata_error error = {.text = ""};
    redisContext *redis = redisConnectUnix(redis_server_socket(dying));
    freeReplyObject(redisCommand(redis, "EVAL %s 0",
                                 "for i=1,50000 do redis.call('SET','atp:cache:'..i,'x') end"));
    redisFree(redis);
    int status = strata_invalidate_pattern_with(cache, strata_text("*"), &options, &result, &error);
    assert_true(status == STRATA_ERR_UNAVAILABLE || status == STRATA_ERR_LOST);
    assert_true(result.deleted > 0 && result.deleted < 50000);
    assert_true(error.text[0] != '\0');
    strata_close(&cache);
    redis_server_stop(&dying);
}

/* A pattern that matches the key of a tag would end all its values. */
static void keys_of_stratas_own_stay(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    const struct strata_bytes tag = strata_text("T");
    uint64_t count = 7;
    assert_int_equal(strata_set_tagged(cache, strata_text("other"), strata_text("x"), 0, &tag, 1),
                     STRATA_OK);
    for (unsigned i = 0; i < 3; i++)
        assert_value(cache, "other", "x");
    assert_int_equal(strata_invalidate_pattern(cache, strata_text("s*"), &count), STRATA_OK);
    assert_int_equal(count, 0);
    assert_value(cache, "other", "x");
    strata_close(&cache);
}

static void foreign(const char *format, const char *argument)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), format, argument);
    assert_non_null(reply);
    assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
}

/* One key of a slice may not be deleted: the others are, and count. */
static void what_a_user_may_not_delete_takes_no_count_from_the_rest(void **state)
{
    (void)state;
    struct strata_pattern_progress result;
    char url[300];
    foreign("ACL SETUSER few on >pw +@all ~" PREFIX "k* ~" PREFIX "strata* &*%s", "");
    fill(PREFIX "k", 20);
    redis_do("SET", PREFIX "other", "x");
    (void)snprintf(url, sizeof url, "redis://few:pw@%s", strstr(cache_rig_url(), "://") + 3);
    struct strata *cache = cache_rig_open((struct strata_options){.redis_url = url});
    assert_int_equal(strata_invalidate_pattern_with(cache, strata_text("*"), NULL, &result, NULL),
                     STRATA_ERR_DENIED);
    assert_int_equal(result.unsure, 0);
    assert_int_equal(in_redis(PREFIX "*"), 21 - result.deleted);
    strata_close(&cache);
}

static void what_is_not_valid_is_refused_and_deletes_nothing(void **state)
{
    (void)state;
    static const struct strata_pattern_options wrong[] = {
        {.page = 100001}, {.share = 101}, {.patience_ms = 3600001}};
    static char large[65536];
    struct strata_pattern_progress result = {.deleted = 7};
    struct strata_error error;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    fill(PREFIX, 3);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(
            strata_invalidate_pattern_with(cache, strata_text("*"), &wrong[i], &result, &error),
            STRATA_ERR_INVALID);
        assert_non_null(strstr(error.text, "allowed: page 1 to 100000, share 1 to 100 percent"));
    }
    assert_int_equal(result.deleted, 0);
    /* No pattern is no pattern, and not all keys. */
    assert_int_equal(strata_invalidate_pattern(cache, strata_text(""), NULL), STRATA_ERR_INVALID);
    assert_int_equal(strata_invalidate_pattern_with(cache, strata_bytes(large, sizeof large), NULL,
                                                    NULL, &error),
                     STRATA_ERR_TOO_BIG);
    assert_string_equal(error.text, "the pattern has 65536 bytes; allowed: 1 to 65535");
    strata_close(&cache);
    cache = cache_rig_open((struct strata_options){.invalidation_enabled = STRATA_OFF});
    assert_int_equal(strata_invalidate_pattern(cache, strata_text("*"), NULL), STRATA_ERR_DISABLED);
    assert_int_equal(in_redis(PREFIX "*"), 3);
    strata_close(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_matches_is_gone_from_both_tiers_and_counted, cache_rig_flush),
        cmocka_unit_test_setup(patterns_mean_what_they_mean_to_redis, cache_rig_flush),
        cmocka_unit_test_setup(each_key_counts_once_whatever_tier_it_is_in, cache_rig_flush),
        cmocka_unit_test_setup(it_tells_how_far_it_is_and_may_be_ended_and_begun_again,
                               cache_rig_flush),
        cmocka_unit_test_setup(the_time_that_progress_takes_is_not_made_up_for_with_rests,
                               cache_rig_flush),
        cmocka_unit_test_setup(two_at_once_count_each_key_once, cache_rig_flush),
        cmocka_unit_test_setup(connections_that_break_leave_no_key_and_no_wrong_count,
                               cache_rig_flush),
        cmocka_unit_test_setup(deletions_that_are_lost_are_tried_again, cache_rig_flush),
        cmocka_unit_test_setup(other_caches_hear_of_it, cache_rig_flush),
        cmocka_unit_test_setup(a_server_that_dies_in_the_middle_is_told_with_what_was_counted,
                               cache_rig_flush),
        cmocka_unit_test_setup(keys_of_stratas_own_stay, cache_rig_flush),
        cmocka_unit_test_setup(what_a_user_may_not_delete_takes_no_count_from_the_rest,
                               cache_rig_flush),
        cmocka_unit_test_setup(what_is_not_valid_is_refused_and_deletes_nothing, cache_rig_flush),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
