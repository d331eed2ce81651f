/* SPDX-License-Identifier: MIT
 *
 * Values with tags, in two caches before one Redis. L1's TTL is far beyond the tests' patience, so
 * what is answered too long is answered for good.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "integration/cache_rig.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define PATIENT_MS 20000u
#define PREFIX     "atp:cache:"
#define TAG        PREFIX "strata:tag:"

static int set_tagged(struct strata *cache, const char *key, const char *value, const char *tag)
{
    struct strata_bytes tags[] = {strata_text(tag)};
    return strata_set_tagged(cache, strata_text(key), strata_text(value), 0, tags, 1);
}

static int set_tagged_twice(struct strata *cache, const char *key, const char *value,
                            const char *one, const char *other)
{
    struct strata_bytes tags[] = {strata_text(one), strata_text(other)};
    return strata_set_tagged(cache, strata_text(key), strata_text(value), 0, tags, 2);
}

static int invalidate_tag(struct strata *cache, const char *tag)
{
    return strata_invalidate_tag(cache, strata_text(tag));
}

struct expectation {
    struct strata *cache;
    const char *key;
    int status;
    const char *value; /* NULL: any */
};

static bool is_so(void *arg)
{
    const struct expectation *expected = arg;
    struct strata_value value = {0};
    int status = strata_get(expected->cache, strata_text(expected->key), &value);
    bool so = status == expected->status &&
              (expected->value == NULL ||
               (value.bytes.len == strlen(expected->value) &&
                memcmp(value.bytes.data, expected->value, value.bytes.len) == 0));
    strata_release(&value);
    return so;
}

static void assert_becomes(struct strata *cache, const char *key, int status)
{
    struct expectation expected = {cache, key, status, NULL};
    assert_true(wait_until(is_so, &expected, PATIENT_MS));
}

static void assert_becomes_value(struct strata *cache, const char *key, const char *value)
{
    struct expectation expected = {cache, key, STRATA_OK, value};
    assert_true(wait_until(is_so, &expected, PATIENT_MS));
}

/* It is in L1, and so are the versions of its tags. */
static void assert_kept(struct strata *cache, const char *key, const char *value)
{
    uint64_t asked = 1, asked_before = 0;
    for (unsigned i = 0; i < 1000 && asked != asked_before; i++) {
        asked_before = numbers(cache).l2.hits;
        assert_value(cache, key, value);
        asked = numbers(cache).l2.hits;
    }
    assert_int_equal(asked, asked_before);
}

static void a_tagged_value_is_read_as_any_other(void **state)
{
    (void)state;
    struct strata *one = cache_rig_open((struct strata_options){0});
    struct strata *other = cache_rig_open((struct strata_options){0});
    struct strata *without_l1 = cache_rig_open((struct strata_options){.l1_enabled = STRATA_OFF});
    char buffer[16];
    size_t len = 0;
    assert_int_equal(set_tagged_twice(one, "k", "value", "a", "b"), STRATA_OK);
    assert_value(one, "k", "value");
    assert_kept(one, "k", "value");
    assert_value(other, "k", "value");
    assert_kept(other, "k", "value");
    assert_value(without_l1, "k", "value");
    assert_int_equal(strata_get_copy(other, strata_text("k"), buffer, sizeof buffer, &len),
                     STRATA_OK);
    assert_int_equal(len, 5);
    assert_memory_equal(buffer, "value", 5);
    assert_int_equal(set_tagged(without_l1, "m", "", "a"), STRATA_OK);
    assert_value(one, "m", "");
    strata_close(&one);
    strata_close(&other);
    strata_close(&without_l1);
}

static void a_tag_takes_its_values_in_all_caches_and_no_others(void **state)
{
    (void)state;
    struct strata *one = cache_rig_open((struct strata_options){0});
    struct strata *other = cache_rig_open((struct strata_options){0});
    assert_int_equal(set_tagged(one, "a", "1", "x"), STRATA_OK);
    assert_int_equal(set_tagged_twice(one, "b", "1", "y", "x"), STRATA_OK);
    assert_int_equal(set_tagged(other, "c", "1", "y"), STRATA_OK);
    assert_int_equal(set_text(one, "d", "1", 0), STRATA_OK);
    for (const char *const *key = (const char *const[]){"a", "b", "c", "d", NULL}; *key; key++) {
        assert_kept(one, *key, "1");
        assert_kept(other, *key, "1");
    }
    assert_int_equal(invalidate_tag(one, "x"), STRATA_OK);
    assert_int_equal(get_status(one, "a"), STRATA_MISS); /* at once, here */
    assert_int_equal(get_status(one, "b"), STRATA_MISS);
    assert_becomes(other, "a", STRATA_MISS);
    assert_becomes(other, "b", STRATA_MISS);
    for (unsigned i = 0; i < 3; i++) {
        assert_value(one, "c", "1");
        assert_value(other, "c", "1");
        assert_value(one, "d", "1");
        assert_int_equal(get_status(one, "b"), STRATA_MISS);
        assert_int_equal(get_status(other, "b"), STRATA_MISS);
    }
    strata_close(&one);
    strata_close(&other);
}

static void what_is_set_after_it_counts(void **state)
{
    (void)state;
    struct strata *one = cache_rig_open((struct strata_options){0});
    struct strata *other = cache_rig_open((struct strata_options){0});
    assert_int_equal(set_tagged(one, "k", "1", "x"), STRATA_OK);
    assert_kept(other, "k", "1");
    assert_int_equal(invalidate_tag(one, "x"), STRATA_OK);
    assert_int_equal(invalidate_tag(one, "x"), STRATA_OK);
    assert_int_equal(set_tagged(one, "k", "2", "x"), STRATA_OK);
    assert_value(one, "k", "2");
    assert_becomes_value(other, "k", "2");
    assert_kept(other, "k", "2");
    strata_close(&one);
    strata_close(&other);
}

static void an_old_value_does_not_come_back_with_a_new_version(void **state)
{
    (void)state;
    struct strata *one = cache_rig_open((struct strata_options){0});
    assert_int_equal(set_tagged(one, "old", "1", "x"), STRATA_OK);
    assert_int_equal(invalidate_tag(one, "x"), STRATA_OK);
    assert_int_equal(set_tagged(one, "new", "1", "x"), STRATA_OK);
    for (unsigned i = 0; i < 2; i++) {
        struct strata *late =
            cache_rig_open((struct strata_options){.l1_enabled = i == 0 ? STRATA_OFF : STRATA_ON});
        assert_int_equal(get_status(late, "old"), STRATA_MISS);
        assert_value(late, "new", "1");
        assert_int_equal(get_status(late, "old"), STRATA_MISS);
        assert_int_equal(get_status(one, "old"), STRATA_MISS);
        strata_close(&late);
    }
    strata_close(&one);
}

static void a_late_joiner_and_any_client_take_part(void **state)
{
    (void)state;
    struct strata *one = cache_rig_open((struct strata_options){0});
    assert_int_equal(set_tagged(one, "k", "1", "x"), STRATA_OK);
    assert_int_equal(invalidate_tag(one, "x"), STRATA_OK);
    struct strata *late = cache_rig_open((struct strata_options){0});
    assert_int_equal(get_status(late, "k"), STRATA_MISS);
    assert_int_equal(set_tagged(late, "k", "2", "x"), STRATA_OK);
    assert_becomes_value(one, "k", "2");
    assert_kept(one, "k", "2");
    redis_do("DEL", TAG "x", NULL);
    assert_becomes(one, "k", STRATA_MISS);
    assert_becomes(late, "k", STRATA_MISS);
    /* Even where an old version were written down again, nobody would have made it anew. */
    redis_do("SET", TAG "x", "0123456789abcdef");
    assert_becomes(one, "k", STRATA_MISS);
    strata_close(&one);
    strata_close(&late);
}

static void a_plain_value_over_it_has_no_tags(void **state)
{
    (void)state;
    struct strata *one = cache_rig_open((struct strata_options){0});
    assert_int_equal(set_tagged(one, "k", "1", "x"), STRATA_OK);
    redis_do("SET", PREFIX "k", "plain");
    assert_int_equal(invalidate_tag(one, "x"), STRATA_OK);
    assert_value(one, "k", "plain");
    assert_int_equal(set_tagged(one, "k", "1", "x"), STRATA_OK);
    assert_int_equal(set_text(one, "k", "plain too", 0), STRATA_OK);
    assert_int_equal(invalidate_tag(one, "x"), STRATA_OK);
    assert_value(one, "k", "plain too");
    strata_close(&one);
}

static bool is_proven(void *arg)
{
    (void)get_status(arg, "other");
    return numbers(arg).canaries >= 2;
}

/* Nobody could tell it: it was away. */
static void who_was_away_finds_out_before_it_serves(void **state)
{
    (void)state;
    struct strata *one = cache_rig_open((struct strata_options){0});
    assert_int_equal(set_tagged(one, "k", "1", "x"), STRATA_OK);
    assert_kept(one, "k", "1");
    assert_true(wait_until(is_proven, one, PATIENT_MS));
    redisContext *foreign = cache_rig_foreign();
    static const char *const words[] = {"MULTI", "CLIENT KILL TYPE normal SKIPME yes",
                                        "DEL " TAG "x", "EXEC"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        freeReplyObject(redisCommand(foreign, words[i]));
    assert_becomes(one, "k", STRATA_MISS);
    for (unsigned i = 0; i < 100; i++)
        assert_int_not_equal(get_status(one, "k"), STRATA_OK);
    strata_close(&one);
}

static int load_new(struct strata_load *load, void *arg)
{
    ++*(unsigned *)arg;
    return strata_load_set(load, strata_text("new"), 0);
}

static const char *loaded(struct strata *cache, const char *key, unsigned *loads)
{
    static char text[16];
    struct strata_value value = {0};
    assert_int_equal(strata_get_or_load(cache, strata_text(key), load_new, loads, NULL, &value),
                     STRATA_OK);
    assert_true(value.bytes.len < sizeof text);
    memcpy(text, value.bytes.data, value.bytes.len);
    text[value.bytes.len] = '\0';
    strata_release(&value);
    return text;
}

/* Though it is in Redis still, where a loader adds only what is not there. */
static void a_loader_replaces_what_has_fallen(void **state)
{
    (void)state;
    struct strata *one = cache_rig_open((struct strata_options){0});
    unsigned loads = 0;
    assert_int_equal(set_tagged(one, "k", "old", "x"), STRATA_OK);
    for (unsigned i = 0; i < 10; i++)
        assert_string_equal(loaded(one, "k", &loads), "old");
    assert_int_equal(loads, 0);
    assert_int_equal(invalidate_tag(one, "x"), STRATA_OK);
    assert_string_equal(loaded(one, "k", &loads), "new");
    assert_string_equal(loaded(one, "k", &loads), "new");
    assert_int_equal(loads, 1);
    assert_in_redis(PREFIX "k", "new");
    strata_close(&one);
}

/* Says what may explain it. */
static void fail_batch(struct strata *cache, unsigned round, unsigned index, int status)
{
    struct strata_statistics now = numbers(cache);
    fail_msg("round %u, key %u: %s; l2: %llu hits, %llu misses, %llu errors, %llu reconnects, "
             "%llu stale answers; %llu invalidations of all, %llu canaries lost",
             round, index, strata_status_text(status), (unsigned long long)now.l2.hits,
             (unsigned long long)now.l2.misses, (unsigned long long)now.l2.errors,
             (unsigned long long)now.l2_reconnects, (unsigned long long)now.stale_answers,
             (unsigned long long)now.invalidations_of_all, (unsigned long long)now.canaries_lost);
}

static void a_batch_holds_values_of_all_kinds(void **state)
{
    (void)state;
    struct strata *one = cache_rig_open((struct strata_options){0});
    struct strata *other = cache_rig_open((struct strata_options){.l1_max_size = 3});
    struct strata_bytes keys[40];
    struct strata_value values[40];
    int statuses[40];
    char names[40][8];
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(names[i], sizeof names[i], "%u", i);
        keys[i] = strata_text(names[i]);
        char tag[8];
        (void)snprintf(tag, sizeof tag, "t%u", i % 3);
        if (i % 4 == 0)
            assert_int_equal(set_text(one, names[i], names[i], 0), STRATA_OK);
        else
            assert_int_equal(set_tagged_twice(one, names[i], names[i], tag, "all"), STRATA_OK);
    }
    assert_int_equal(invalidate_tag(one, "t1"), STRATA_OK);
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(strata_get_many(other, keys, 40, values, statuses), STRATA_OK);
        for (unsigned i = 0; i < 40; i++) {
            int expected = i % 4 != 0 && i % 3 == 1 ? STRATA_MISS : STRATA_OK;
            if (statuses[i] != expected)
                fail_batch(other, round, i, statuses[i]);
            assert_int_equal(values[i].bytes.len, statuses[i] == STRATA_OK ? strlen(names[i]) : 0);
            if (statuses[i] == STRATA_OK)
                assert_memory_equal(values[i].bytes.data, names[i], strlen(names[i]));
            strata_release(&values[i]);
        }
    }
    strata_close(&one);
    strata_close(&other);
}

static void what_no_tag_can_be_is_refused(void **state)
{
    (void)state;
    struct strata *one = cache_rig_open((struct strata_options){0});
    struct strata_bytes many[STRATA_TAGS_MOST + 1];
    char long_tag[STRATA_TAG_MAX + 2] = {0};
    memset(long_tag, 't', STRATA_TAG_MAX + 1);
    for (size_t i = 0; i < STRATA_TAGS_MOST + 1; i++)
        many[i] = strata_text("t");
    struct strata_bytes k = strata_text("k");
    assert_int_equal(strata_set_tagged(one, k, k, 0, many, 0), STRATA_ERR_INVALID);
    assert_int_equal(strata_set_tagged(one, k, k, 0, many, STRATA_TAGS_MOST + 1),
                     STRATA_ERR_INVALID);
    assert_int_equal(strata_set_tagged(one, k, k, 0, many, STRATA_TAGS_MOST), STRATA_OK);
    assert_int_equal(set_tagged(one, "k", "v", ""), STRATA_ERR_INVALID);
    assert_int_equal(set_tagged(one, "k", "v", long_tag), STRATA_ERR_TOO_BIG);
    assert_int_equal(invalidate_tag(one, long_tag), STRATA_ERR_TOO_BIG);
    assert_int_equal(invalidate_tag(one, ""), STRATA_ERR_INVALID);
    strata_close(&one);
    one = cache_rig_open((struct strata_options){.l2_enabled = STRATA_OFF});
    assert_int_equal(set_tagged(one, "k", "v", "t"), STRATA_ERR_DISABLED);
    assert_int_equal(invalidate_tag(one, "t"), STRATA_ERR_DISABLED);
    strata_close(&one);
}

static int set_bytes(struct strata *cache, const char *key, const char *bytes, size_t len)
{
    return strata_set(cache, strata_text(key), strata_bytes(bytes, len), 0);
}

static void assert_bytes_read(struct strata *cache, const char *key, const char *bytes, size_t len)
{
    struct strata_value value = {0};
    assert_int_equal(strata_get(cache, strata_text(key), &value), STRATA_OK);
    assert_int_equal(value.bytes.len, len);
    assert_memory_equal(value.bytes.data, bytes, len);
    strata_release(&value);
}

static void a_value_that_looks_as_if_it_had_a_head_comes_back_as_it_was(void **state)
{
    (void)state;
    static const char looks[] = "\xF5strata\0\x01\x00\x00value";
    struct strata *one = cache_rig_open((struct strata_options){0});
    struct strata *other = cache_rig_open((struct strata_options){0});
    assert_int_equal(set_bytes(one, "k", looks, sizeof looks - 1), STRATA_OK);
    assert_bytes_read(one, "k", looks, sizeof looks - 1);
    assert_bytes_read(other, "k", looks, sizeof looks - 1);
    assert_bytes_read(other, "k", looks, sizeof looks - 1);
    /* One that a foreign client stores, and that has no head, is none. */
    freeReplyObject(
        redisCommand(cache_rig_foreign(), "SET " PREFIX "m %b", "\xF5strata\0\x09", (size_t)9));
    assert_int_equal(get_status(one, "m"), STRATA_MISS);
    strata_close(&one);
    strata_close(&other);
}

static void so_does_one_that_is_written_later(void **state)
{
    (void)state;
    static const char looks[] = "\xF5strata\0\x01\x00\x00value";
    struct strata *one = cache_rig_open(
        (struct strata_options){.write_through = STRATA_OFF, .write_behind = STRATA_ON});
    assert_int_equal(set_bytes(one, "k", looks, sizeof looks - 1), STRATA_OK);
    assert_bytes_read(one, "k", looks, sizeof looks - 1);
    strata_close(&one); /* it is written by then */
    one = cache_rig_open((struct strata_options){0});
    assert_bytes_read(one, "k", looks, sizeof looks - 1);
    strata_close(&one);
}

static void a_tag_goes_with_its_time(void **state)
{
    (void)state;
    struct strata *one = cache_rig_open((struct strata_options){.l2_ttl_ms = 1000});
    assert_int_equal(set_tagged(one, "k", "v", "x"), STRATA_OK);
    redisReply *reply = redisCommand(cache_rig_foreign(), "PTTL " TAG "x");
    assert_true(reply->integer > 23 * 3600 * 1000 && reply->integer <= 24 * 3600 * 1000);
    freeReplyObject(reply);
    strata_close(&one);
}

/* With and without the right to track: nobody tells what others write. */
static void without_tracking_a_tag_takes_its_values_all_the_same(void **state)
{
    (void)state;
    char url[128];
    freeReplyObject(redisCommand(cache_rig_foreign(), "ACL SETUSER plain on >secret ~* +@all %s",
                                 "-client|tracking"));
    (void)snprintf(url, sizeof url, "redis://plain:secret@%s", strstr(cache_rig_url(), "://") + 3);
    for (unsigned i = 0; i < 2; i++) {
        const struct strata_options options = {.redis_url = i == 0 ? NULL : url,
                                               .tracking = i == 0 ? STRATA_TRACKING_OFF
                                                                  : STRATA_TRACKING_AUTO};
        struct strata *one = cache_rig_open(options), *other = cache_rig_open(options);
        assert_int_equal(set_tagged(one, "k", "v", "x"), STRATA_OK);
        for (unsigned reads = 0; reads < 3; reads++)
            assert_value(one, "k", "v");
        assert_int_equal(invalidate_tag(other, "x"), STRATA_OK);
        assert_int_equal(get_status(one, "k"), STRATA_MISS);
        assert_int_equal(set_tagged(one, "m", "new", "x"), STRATA_OK);
        assert_value(other, "m", "new");
        assert_value(one, "m", "new");
        strata_close(&one);
        strata_close(&other);
        assert_int_equal(cache_rig_flush(NULL), 0);
    }
}

static int64_t left_ms(const char *key)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), "PTTL %s", key);
    int64_t left = reply->integer;
    freeReplyObject(reply);
    return left;
}

#define DAY_MS ((int64_t)24 * 3600 * 1000)

static void a_tag_lives_as_long_as_what_is_set_with_it_later(void **state)
{
    (void)state;
    struct strata *one = cache_rig_open((struct strata_options){0});
    struct strata_bytes k = strata_text("k"), x = strata_text("x");
    assert_int_equal(strata_set_tagged(one, k, k, 1000, &x, 1), STRATA_OK);
    assert_true(left_ms(TAG "x") <= DAY_MS);
    assert_int_equal(strata_set_tagged(one, k, k, 3 * (uint64_t)DAY_MS, &x, 1), STRATA_OK);
    assert_true(left_ms(TAG "x") > 5 * DAY_MS && left_ms(TAG "x") <= 6 * DAY_MS);
    assert_int_equal(strata_set_tagged(one, k, k, 1000, &x, 1), STRATA_OK);
    assert_true(left_ms(TAG "x") > 5 * DAY_MS);
    assert_int_equal(strata_set_tagged(one, k, k, STRATA_UNLIMITED, &x, 1), STRATA_OK);
    assert_int_equal(left_ms(TAG "x"), -1);
    assert_int_equal(strata_set_tagged(one, k, k, 3 * (uint64_t)DAY_MS, &x, 1), STRATA_OK);
    assert_int_equal(left_ms(TAG "x"), -1);
    assert_value(one, "k", "k");
    strata_close(&one);
}

struct question {
    struct strata *cache;
    struct strata_value value;
    int status;
};

/* On a busy machine Redis may be so long over 64 MiB that for a while calls fail at once. */
static bool is_answered(void *arg)
{
    struct question *question = arg;
    question->status = strata_get(question->cache, strata_text("k"), &question->value);
    return question->status != STRATA_ERR_UNAVAILABLE;
}

static void the_largest_value_may_have_tags(void **state)
{
    (void)state;
    size_t most = (size_t)64 << 20;
    struct strata *one = cache_rig_open((struct strata_options){.socket_timeout_ms = PATIENT_MS});
    struct strata_bytes x = strata_text("x");
    struct question question = {.cache = one};
    char *bytes = calloc(1, most + 1);
    assert_non_null(bytes);
    assert_int_equal(strata_set_tagged(one, strata_text("k"), strata_bytes(bytes, most), 0, &x, 1),
                     STRATA_OK);
    assert_int_equal(
        strata_set_tagged(one, strata_text("k"), strata_bytes(bytes, most + 1), 0, &x, 1),
        STRATA_ERR_TOO_BIG);
    assert_true(wait_until(is_answered, &question, PATIENT_MS));
    assert_int_equal(question.status, STRATA_OK);
    assert_int_equal(question.value.bytes.len, most);
    strata_release(&question.value);
    free(bytes);
    strata_close(&one);
}

#define CASE(name) cmocka_unit_test_setup(name, cache_rig_flush)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_tagged_value_is_read_as_any_other),
        CASE(a_tag_takes_its_values_in_all_caches_and_no_others),
        CASE(what_is_set_after_it_counts),
        CASE(an_old_value_does_not_come_back_with_a_new_version),
        CASE(a_late_joiner_and_any_client_take_part),
        CASE(a_plain_value_over_it_has_no_tags),
        CASE(who_was_away_finds_out_before_it_serves),
        CASE(a_loader_replaces_what_has_fallen),
        CASE(a_batch_holds_values_of_all_kinds),
        CASE(what_no_tag_can_be_is_refused),
        CASE(a_value_that_looks_as_if_it_had_a_head_comes_back_as_it_was),
        CASE(so_does_one_that_is_written_later),
        CASE(a_tag_goes_with_its_time),
        CASE(without_tracking_a_tag_takes_its_values_all_the_same),
        CASE(a_tag_lives_as_long_as_what_is_set_with_it_later),
        CASE(the_largest_value_may_have_tags),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
