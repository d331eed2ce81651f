/* SPDX-License-Identifier: MIT
 *
 * Saving what is hot and warming, before a real Redis and without one: what L1 answers afterwards,
 * what others changed in between, the pace, the bounds, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "integration/cache_rig.h"
#include "support/wait.h"

#define KEYS 500u

static char folder[] = "/tmp/strata-warm-XXXXXX";
static char path[64];

static int start(void **state)
{
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/hot", folder);
    return cache_rig_start(state);
}

static int stop(void **state)
{
    (void)unlink(path);
    (void)rmdir(folder);
    return cache_rig_stop(state);
}

static int empty(void **state)
{
    (void)unlink(path);
    return cache_rig_flush(state);
}

static const char *name_of(unsigned i)
{
    static char name[32];
    (void)snprintf(name, sizeof name, "key:%03u", i);
    return name;
}

/* A cache with so many keys, every tenth of which was read three times; and what is hot in it
 * saved. */
static void save_keys(struct strata_options options, unsigned count)
{
    struct strata *cache = cache_rig_open(options);
    struct strata_error error = {.text = ""};
    uint64_t saved = 0;
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(set_text(cache, name_of(i), name_of(i), 0), STRATA_OK);
        for (unsigned reads = 0; i % 10 == 0 && reads < 3; reads++)
            assert_int_equal(get_status(cache, name_of(i)), STRATA_OK);
    }
    if (strata_save_hot(cache, path, NULL, &saved, &error) != STRATA_OK)
        fail_msg("%s", error.text);
    assert_int_equal(saved, count);
    strata_close(&cache);
}

static struct strata_warm_progress warm(struct strata *cache, struct strata_warm_options options)
{
    struct strata_warm_progress got;
    struct strata_error error = {.text = ""};
    options.share = 100;
    if (strata_warm(cache, &options, &got, &error) != STRATA_OK)
        fail_msg("%s", error.text);
    assert_int_equal(got.named, got.there + got.warmed + got.missing + got.refused + got.failed);
    return got;
}

/* On a machine that stands still for a while, L1 goes on answering. */
#define PATIENT .max_staleness_ms = 60000, .socket_timeout_ms = 30000

static const struct strata_options roomy = {.l1_max_size = 100000, PATIENT};

/* ---- after a restart ---- */

static void after_a_restart_l1_answers_what_it_answered_before(void **state)
{
    (void)state;
    save_keys(roomy, KEYS);
    struct strata *cache = cache_rig_open(roomy);
    struct strata_warm_progress got = warm(cache, (struct strata_warm_options){.hot_file = path});
    assert_int_equal(got.total, KEYS);
    assert_int_equal(got.warmed, KEYS);
    assert_int_equal(numbers(cache).l1.misses, 0); /* warming is nobody's miss */
    for (unsigned i = 0; i < KEYS; i++)
        assert_value(cache, name_of(i), name_of(i));
    assert_int_equal(numbers(cache).l1.hits, KEYS);
    assert_int_equal(numbers(cache).l1.misses, 0);
    assert_int_equal(numbers(cache).l2.hits, KEYS);
    strata_close(&cache);
}

static bool has_new_value(void *arg)
{
    struct strata_value value = {0};
    bool new =
        strata_get(arg, strata_text("key:001"), &value) == STRATA_OK &&value.bytes.len == 3 &&
        memcmp(value.bytes.data, "two", 3) == 0;
    strata_release(&value);
    return new;
}

static void what_others_wrote_meanwhile_is_what_is_warmed(void **state)
{
    (void)state;
    save_keys(roomy, 20);
    redis_do("SET", "atp:cache:key:000", "changed");
    redis_do("DEL", "atp:cache:key:010", NULL);
    struct strata *cache = cache_rig_open(roomy);
    struct strata_warm_progress got = warm(cache, (struct strata_warm_options){.hot_file = path});
    assert_int_equal(got.warmed, 19);
    assert_int_equal(got.missing, 1);
    assert_value(cache, "key:000", "changed");
    assert_int_equal(get_status(cache, "key:010"), STRATA_MISS);
    /* What was warmed is tracked. */
    uint64_t misses = numbers(cache).l1.misses;
    assert_value(cache, "key:001", "key:001");
    assert_int_equal(numbers(cache).l1.misses, misses);
    redis_do("SET", "atp:cache:key:001", "one");
    redis_do("SET", "atp:cache:key:001", "two");
    assert_true(wait_until(has_new_value, cache, 20000));
    strata_close(&cache);
}

static void what_is_there_is_not_asked_for(void **state)
{
    (void)state;
    save_keys(roomy, 100);
    struct strata *cache = cache_rig_open(roomy);
    for (unsigned i = 0; i < 40; i++)
        assert_value(cache, name_of(i), name_of(i));
    uint64_t asked = numbers(cache).l2.hits;
    struct strata_warm_progress got = warm(cache, (struct strata_warm_options){.hot_file = path});
    assert_int_equal(got.there, 40);
    assert_int_equal(got.warmed, 60);
    assert_int_equal(numbers(cache).l2.hits, asked + 60);
    strata_close(&cache);
}

static void a_list_and_a_pattern_name_keys_as_well(void **state)
{
    (void)state;
    save_keys(roomy, 60);
    redis_do("SET", "atp:cache:other", "v");
    const struct strata_bytes keys[] = {strata_text("key:003"), strata_text("none"),
                                        strata_text(""), strata_text("key:004")};
    struct strata *cache = cache_rig_open(roomy);
    struct strata_warm_progress got =
        warm(cache, (struct strata_warm_options){.keys = keys, .key_count = 4});
    assert_int_equal(got.warmed, 2);
    assert_int_equal(got.missing, 1);
    assert_int_equal(got.refused, 1);
    got = warm(cache, (struct strata_warm_options){.pattern = strata_text("key:*")});
    assert_int_equal(got.total, 0);
    assert_int_equal(got.warmed, 58);
    assert_int_equal(numbers(cache).l1_entries, 60);
    strata_close(&cache);
}

/* ---- bounds and pace ---- */

static void where_l1_is_full_it_ends_and_the_hottest_are_there(void **state)
{
    (void)state;
    save_keys(roomy, KEYS);
    struct strata *cache = cache_rig_open((struct strata_options){.l1_max_size = 100, PATIENT});
    struct strata_warm_progress got = warm(cache, (struct strata_warm_options){.hot_file = path});
    assert_int_equal(got.full, 1);
    assert_int_equal(got.warmed, 100);
    assert_int_equal(numbers(cache).l1_entries, 100);
    assert_int_equal(numbers(cache).l1_evictions, 0);
    for (unsigned i = 0; i < KEYS; i += 10)
        assert_value(cache, name_of(i), name_of(i));
    assert_int_equal(numbers(cache).l1.misses, 0);
    strata_close(&cache);
}

static void nor_is_anything_evicted_where_bytes_are_short(void **state)
{
    (void)state;
    char *value = malloc(4097);
    assert_non_null(value);
    memset(value, 'v', 4096);
    value[4096] = '\0';
    struct strata *cache = cache_rig_open(roomy);
    for (unsigned i = 0; i < 900; i++)
        assert_int_equal(set_text(cache, name_of(i), value, 0), STRATA_OK);
    strata_close(&cache);
    free(value);
    cache = cache_rig_open(
        (struct strata_options){.l1_max_size = 100000, .l1_max_bytes = 2 << 20, PATIENT});
    struct strata_warm_progress got =
        warm(cache, (struct strata_warm_options){.pattern = strata_text("key:*")});
    assert_int_equal(got.full, 1);
    assert_int_equal(numbers(cache).l1_evictions, 0);
    assert_in_range(got.warmed, 250, 512); /* half of the bytes at least */
    strata_close(&cache);
}

static void a_namespace_takes_no_more_than_its_quota(void **state)
{
    (void)state;
    static const char *const quotas[] = {"key:1=/20"};
    save_keys(roomy, 300);
    struct strata *cache = cache_rig_open((struct strata_options){
        .l1_max_size = 100000, .l1_quotas = quotas, .l1_quota_count = 1, PATIENT});
    struct strata_warm_progress got = warm(cache, (struct strata_warm_options){.hot_file = path});
    assert_int_equal(got.full, 0);
    assert_int_equal(got.warmed, 220);
    assert_int_equal(got.refused, 80);
    assert_int_equal(numbers(cache).l1_evictions, 0);
    strata_close(&cache);
}

struct watched {
    unsigned calls, end_at;
    uint64_t named, most_at_once;
};

static int on_progress(void *arg, const struct strata_warm_progress *progress)
{
    struct watched *watched = arg;
    uint64_t more = progress->named - watched->named;
    watched->named = progress->named;
    if (more > watched->most_at_once)
        watched->most_at_once = more;
    return ++watched->calls == watched->end_at;
}

static void it_goes_by_batches_and_ends_when_told(void **state)
{
    (void)state;
    save_keys(roomy, KEYS);
    struct strata *cache = cache_rig_open(roomy);
    struct watched watched = {.end_at = 3};
    struct strata_warm_progress got;
    const struct strata_warm_options options = {
        .hot_file = path, .batch_size = 20, .progress = on_progress, .progress_arg = &watched};
    assert_int_equal(strata_warm(cache, &options, &got, NULL), STRATA_MORE);
    assert_int_equal(got.named, 60);
    assert_int_equal(got.warmed, 60);
    assert_int_equal(watched.most_at_once, 20);
    assert_int_equal(numbers(cache).l2.hits, 60); /* and no more were asked for */
    struct strata_warm_options some = {.hot_file = path, .max_keys = 75};
    got = warm(cache, some);
    assert_int_equal(got.there, 60);
    assert_int_equal(got.warmed, 15);
    strata_close(&cache);
}

/* 200 keys at 1000 a second: the last batch of 50 is due after 150 ms, and not before. */
static void a_rate_is_kept(void **state)
{
    (void)state;
    save_keys(roomy, 200);
    struct strata *cache = cache_rig_open(roomy);
    struct watched watched = {.calls = 0};
    uint64_t begun_ms = sta_clock_now_ms();
    struct strata_warm_progress got =
        warm(cache, (struct strata_warm_options){.hot_file = path,
                                                 .rate = 1000,
                                                 .batch_size = 50,
                                                 .progress = on_progress,
                                                 .progress_arg = &watched});
    assert_true(sta_clock_now_ms() - begun_ms >= 149);
    assert_int_equal(got.warmed, 200);
    assert_int_equal(watched.most_at_once, 50);
    /* A low rate makes small batches, so that nobody waits long for its end. */
    struct strata *other = cache_rig_open(roomy);
    watched = (struct watched){.end_at = 4};
    const struct strata_warm_options slow = {
        .hot_file = path, .rate = 50, .progress = on_progress, .progress_arg = &watched};
    assert_int_equal(strata_warm(other, &slow, &got, NULL), STRATA_MORE);
    assert_int_equal(got.named, 20);
    strata_close(&other);
    strata_close(&cache);
}

/* ---- without Redis ---- */

static const struct strata_options alone = {.l1_max_size = 100000, .l2_enabled = STRATA_OFF};

static void save_values(unsigned count, uint64_t ttl_ms)
{
    const struct strata_save_hot_options options = {.values = STRATA_ON};
    struct strata *cache = cache_rig_open(alone);
    uint64_t saved = 0;
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(set_text(cache, name_of(i), name_of(i), ttl_ms), STRATA_OK);
    assert_int_equal(strata_save_hot(cache, path, &options, &saved, NULL), STRATA_OK);
    assert_int_equal(saved, count);
    strata_close(&cache);
}

static void without_redis_values_come_back(void **state)
{
    (void)state;
    save_values(100, 0);
    struct strata *cache = cache_rig_open(alone);
    struct strata_warm_progress got = warm(cache, (struct strata_warm_options){.hot_file = path});
    assert_int_equal(got.total, 100);
    assert_int_equal(got.warmed, 100);
    for (unsigned i = 0; i < 100; i++)
        assert_value(cache, name_of(i), name_of(i));
    strata_close(&cache);
}

static void what_was_set_or_deleted_since_is_newer(void **state)
{
    (void)state;
    save_values(3, 0);
    struct strata *cache = cache_rig_open(alone);
    assert_int_equal(set_text(cache, name_of(0), "new", 0), STRATA_OK);
    assert_int_equal(strata_delete(cache, strata_text(name_of(1))), STRATA_MISS);
    struct strata_warm_progress got = warm(cache, (struct strata_warm_options){.hot_file = path});
    assert_int_equal(got.there, 1);
    assert_int_equal(got.refused, 1);
    assert_int_equal(got.warmed, 1);
    assert_value(cache, name_of(0), "new");
    assert_int_equal(get_status(cache, name_of(1)), STRATA_MISS);
    assert_value(cache, name_of(2), name_of(2));
    strata_close(&cache);
}

static void values_end_when_they_would_have_ended(void **state)
{
    (void)state;
    save_values(10, 50);
    uint64_t until_ms = sta_clock_now_ms() + 60;
    while (sta_clock_now_ms() < until_ms)
        (void)usleep(1000);
    struct strata *cache = cache_rig_open(alone);
    struct strata_warm_progress got = warm(cache, (struct strata_warm_options){.hot_file = path});
    assert_int_equal(got.missing, 10);
    assert_int_equal(numbers(cache).l1_entries, 0);
    strata_close(&cache);
}

/* Before Redis the values of such a file are not believed. */
static void values_in_the_file_are_not_used_before_redis(void **state)
{
    (void)state;
    save_values(10, 0);
    redis_do("SET", "atp:cache:key:000", "of redis");
    struct strata *cache = cache_rig_open(roomy);
    struct strata_warm_progress got = warm(cache, (struct strata_warm_options){.hot_file = path});
    assert_int_equal(got.warmed, 1);
    assert_int_equal(got.missing, 9);
    assert_value(cache, "key:000", "of redis");
    strata_close(&cache);
}

/* ---- what is refused ---- */

static void assert_refused(struct strata *cache, struct strata_warm_options options, int expected,
                           const char *text)
{
    struct strata_error error = {.text = ""};
    struct strata_warm_progress got = {.named = 77};
    assert_int_equal(strata_warm(cache, &options, &got, &error), expected);
    assert_int_equal(got.named, 0);
    if (strstr(error.text, text) == NULL)
        fail_msg("'%s' has no '%s'", error.text, text);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    const struct strata_save_hot_options values = {.values = STRATA_ON};
    const struct strata_bytes key = strata_text("k");
    struct strata_error error = {.text = ""};
    save_keys(roomy, 1);
    struct strata *cache = cache_rig_open(roomy);
    assert_refused(cache, (struct strata_warm_options){0}, STRATA_ERR_INVALID, "exactly one");
    assert_refused(cache,
                   (struct strata_warm_options){.hot_file = path, .keys = &key, .key_count = 1},
                   STRATA_ERR_INVALID, "exactly one");
    assert_refused(cache, (struct strata_warm_options){.hot_file = path, .batch_size = 1001},
                   STRATA_ERR_INVALID, "batch_size is 1 to 1000");
    assert_refused(cache, (struct strata_warm_options){.hot_file = path, .share = 101},
                   STRATA_ERR_INVALID, "share 1 to 100");
    assert_refused(cache, (struct strata_warm_options){.hot_file = "/nowhere/hot"},
                   STRATA_ERR_SYSTEM, "/nowhere/hot: cannot be opened");
    assert_refused(cache, (struct strata_warm_options){.hot_file = "/etc/passwd"},
                   STRATA_ERR_INVALID, "/etc/passwd: not a saved hot set");
    assert_int_equal(
        strata_warm(cache,
                    &(struct strata_warm_options){.hot_file = "", .keys = &key, .key_count = 1},
                    NULL, &error),
        STRATA_OK); /* no file, then */
    assert_int_equal(strata_save_hot(cache, path, &values, NULL, &error), STRATA_ERR_INVALID);
    assert_non_null(strstr(error.text, "only for a cache without L2"));
    assert_int_equal(strata_save_hot(cache, "", NULL, NULL, &error), STRATA_ERR_INVALID);
    assert_int_equal(strata_save_hot(cache, "/nowhere/hot", NULL, NULL, &error), STRATA_ERR_SYSTEM);
    strata_close(&cache);

    cache = cache_rig_open((struct strata_options){.l1_enabled = STRATA_OFF});
    assert_refused(cache, (struct strata_warm_options){.hot_file = path}, STRATA_ERR_DISABLED,
                   "l1_enabled");
    assert_int_equal(strata_save_hot(cache, path, NULL, NULL, &error), STRATA_ERR_DISABLED);
    strata_close(&cache);
    cache = cache_rig_open((struct strata_options){.read_through = STRATA_OFF});
    assert_refused(cache, (struct strata_warm_options){.hot_file = path}, STRATA_ERR_DISABLED,
                   "read_through");
    strata_close(&cache);
    cache = cache_rig_open(alone);
    assert_refused(cache, (struct strata_warm_options){.keys = &key, .key_count = 1},
                   STRATA_ERR_DISABLED, "l2_enabled");
    struct strata_warm_progress got;
    const struct strata_warm_options options = {.hot_file = path};
    assert_int_equal(strata_warm(cache, &options, &got, &error), STRATA_ERR_INVALID);
    assert_non_null(strstr(error.text, "has keys alone"));
    strata_close(&cache);
}

static void a_torn_file_warms_up_to_the_tear(void **state)
{
    (void)state;
    save_keys(roomy, 100);
    assert_int_equal(truncate(path, 36 + 26 * 30 + 7), 0); /* within the 31st */
    struct strata *cache = cache_rig_open(roomy);
    struct strata_warm_progress got = warm(cache, (struct strata_warm_options){.hot_file = path});
    assert_int_equal(got.torn, 1);
    assert_int_equal(got.total, 100);
    assert_int_equal(got.warmed, 30);
    strata_close(&cache);
}

static void where_redis_is_away_it_says_so(void **state)
{
    (void)state;
    save_keys(roomy, 100);
    struct strata *cache =
        cache_rig_open((struct strata_options){.redis_url = "redis://127.0.0.1:1/0"});
    const struct strata_warm_options options = {.hot_file = path, .batch_size = 10};
    struct strata_warm_progress got;
    struct strata_error error = {.text = ""};
    assert_int_equal(strata_warm(cache, &options, &got, &error), STRATA_ERR_UNAVAILABLE);
    assert_int_equal(got.failed, 10);
    assert_int_equal(got.named, 10);
    assert_non_null(strstr(error.text, path));
    strata_close(&cache);
}

static void on_answer(void *arg, int status, struct strata_value *value)
{
    (void)status;
    (void)value;
    struct strata *cache = ((void **)arg)[0];
    const struct strata_warm_options options = {.hot_file = path};
    int *answer = ((void **)arg)[1];
    *answer = strata_warm(cache, &options, NULL, NULL);
    atomic_store((_Atomic int *)((void **)arg)[2], 1);
}

static bool is_set(void *arg)
{
    return atomic_load((_Atomic int *)arg) == 1;
}

static void not_from_callbacks(void **state)
{
    (void)state;
    save_keys(roomy, 1);
    struct strata *cache = cache_rig_open(roomy);
    int answer = 1;
    _Atomic int over = 0;
    void *arg[] = {cache, &answer, &over};
    const struct strata_completion completion = {.call = on_answer, .arg = arg};
    assert_int_equal(strata_get_async(cache, strata_text("k"), completion), STRATA_OK);
    assert_true(wait_until(is_set, &over, 20000));
    assert_int_equal(answer, STRATA_ERR_INVALID);
    strata_close(&cache);
}

/* ---- beside others ---- */

struct writing {
    struct strata *cache;
    _Atomic bool over;
};

static void *write_on(void *arg)
{
    struct writing *writing = arg;
    char name[32], value[32];
    for (unsigned i = 0; !atomic_load(&writing->over); i++) {
        (void)snprintf(name, sizeof name, "key:%03u", i % KEYS);
        (void)snprintf(value, sizeof value, "new:%u", i % KEYS);
        (void)set_text(writing->cache, name, value, 0);
        (void)get_status(writing->cache, name);
    }
    return NULL;
}

/* Saving and warming beside who sets the same keys: at the end everybody has what was set last. */
static void others_go_on_meanwhile(void **state)
{
    (void)state;
    save_keys(roomy, KEYS);
    struct writing writing = {.cache = cache_rig_open(roomy)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_on, &writing), 0);
    for (unsigned i = 0; i < 5; i++) {
        (void)warm(writing.cache, (struct strata_warm_options){.hot_file = path, .batch_size = 7});
        assert_int_equal(strata_save_hot(writing.cache, path, NULL, NULL, NULL), STRATA_OK);
    }
    atomic_store(&writing.over, true);
    (void)pthread_join(thread, NULL);
    struct strata *cache = writing.cache;
    for (unsigned i = 0; i < KEYS; i++) {
        char key[32] = "atp:cache:";
        struct strata_value value = {0};
        (void)strcat(key, name_of(i));
        assert_int_equal(strata_get(cache, strata_text(name_of(i)), &value), STRATA_OK);
        char text[32] = "";
        memcpy(text, value.bytes.data, value.bytes.len);
        strata_release(&value);
        assert_in_redis(key, text);
    }
    strata_close(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(after_a_restart_l1_answers_what_it_answered_before, empty),
        cmocka_unit_test_setup(what_others_wrote_meanwhile_is_what_is_warmed, empty),
        cmocka_unit_test_setup(what_is_there_is_not_asked_for, empty),
        cmocka_unit_test_setup(a_list_and_a_pattern_name_keys_as_well, empty),
        cmocka_unit_test_setup(where_l1_is_full_it_ends_and_the_hottest_are_there, empty),
        cmocka_unit_test_setup(nor_is_anything_evicted_where_bytes_are_short, empty),
        cmocka_unit_test_setup(a_namespace_takes_no_more_than_its_quota, empty),
        cmocka_unit_test_setup(it_goes_by_batches_and_ends_when_told, empty),
        cmocka_unit_test_setup(a_rate_is_kept, empty),
        cmocka_unit_test_setup(without_redis_values_come_back, empty),
        cmocka_unit_test_setup(what_was_set_or_deleted_since_is_newer, empty),
        cmocka_unit_test_setup(values_end_when_they_would_have_ended, empty),
        cmocka_unit_test_setup(values_in_the_file_are_not_used_before_redis, empty),
        cmocka_unit_test_setup(what_makes_no_sense_is_refused, empty),
        cmocka_unit_test_setup(a_torn_file_warms_up_to_the_tear, empty),
        cmocka_unit_test_setup(where_redis_is_away_it_says_so, empty),
        cmocka_unit_test_setup(not_from_callbacks, empty),
        cmocka_unit_test_setup(others_go_on_meanwhile, empty),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
