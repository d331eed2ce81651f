/* SPDX-License-Identifier: MIT
 *
 * Options that change while a cache is open: that each takes hold, what is refused changes nothing,
 * and that threads which read and write meanwhile see right values.
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

#include "integration/cache_rig.h"
#include "integration/log_record.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define PATIENT_MS 20000u
#define MIB        ((uint64_t)1 << 20)
#define FOREVER_MS 3600000u

static void change(struct strata *cache, const char *name, const char *value)
{
    struct strata_error error = {0};
    const struct strata_setting setting = {name, value};
    if (strata_reconfigure(cache, &setting, 1, &error) != STRATA_OK)
        fail_msg("%s", error.text);
}

static void fill(struct strata *cache, unsigned count)
{
    char key[32];
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(key, sizeof key, "k%u", i);
        assert_int_equal(set_text(cache, key, "v", 0), STRATA_OK);
    }
}

/* ---- L1 ---- */

static void l1_follows_its_bound_in_entries(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    fill(cache, 100);
    assert_int_equal(numbers(cache).l1_entries, 100);
    change(cache, "l1_max_size", "10");
    assert_true(numbers(cache).l1_entries <= 10);
    fill(cache, 100);
    assert_true(numbers(cache).l1_entries <= 10);
    for (unsigned i = 0; i < 100; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "k%u", i);
        assert_value(cache, key, "v");
    }
    change(cache, "l1_max_size", "unlimited");
    fill(cache, 2000);
    assert_true(numbers(cache).l1_entries > 1000); /* the default */
    strata_close(&cache);
}

static void all_settings_are_taken_or_none(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct strata_error error = {0};
    const struct strata_setting bad[] = {{"l1_max_size", "10"}, {"l1_ttl", "abc"}};
    const struct strata_setting fixed[] = {{"l1_max_size", "10"}, {"redis_url", "redis://h"}};
    const struct strata_setting large[] = {{"l1_max_size", "10"}, {"l1_max_bytes", "1025MiB"}};
    const struct strata_setting good[] = {{"l1_max_size", "10"}, {"l1_max_bytes", "1024MiB"}};
    fill(cache, 100);
    assert_int_equal(strata_reconfigure(cache, bad, 2, &error), STRATA_ERR_CONFIG);
    assert_non_null(strstr(error.text, "l1_ttl=\"abc\": not a number; allowed: seconds"));
    assert_int_equal(strata_reconfigure(cache, fixed, 2, &error), STRATA_ERR_UNSUPPORTED);
    assert_int_equal(strata_reconfigure(cache, large, 2, &error), STRATA_ERR_CONFIG);
    assert_non_null(strstr(error.text, "up to 16 times that, 1073741824"));
    assert_int_equal(numbers(cache).l1_entries, 100);
    assert_int_equal(strata_reconfigure(cache, good, 2, NULL), STRATA_OK);
    assert_true(numbers(cache).l1_entries <= 10);
    strata_close(&cache);
}

/* Of "few:" so many; others have no bound of their own. */
static uint64_t l1_entries_beside(struct strata *cache, uint64_t others)
{
    return numbers(cache).l1_entries - others;
}

static void fill_few(struct strata *cache)
{
    char key[32];
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(key, sizeof key, "few:%u", i);
        assert_int_equal(set_text(cache, key, "v", 0), STRATA_OK);
    }
}

static void a_quota_is_another_one_at_once(void **state)
{
    (void)state;
    static const char *const quotas[] = {"few:=/100", "b:=1MiB"};
    struct strata *cache = cache_rig_open((struct strata_options){
        .l2_enabled = STRATA_OFF, .l1_quotas = quotas, .l1_quota_count = 2});
    struct strata_error error = {0};
    const struct strata_setting other[] = {{"l1_max_size", "5"}, {"l1_quotas", "few:=/1,c:=/1"}};
    fill(cache, 50);
    fill_few(cache);
    assert_int_equal(l1_entries_beside(cache, 50), 100);
    change(cache, "l1_quotas", "b:=1MiB,few:=/10");
    assert_in_range(l1_entries_beside(cache, 50), 1, 10);
    fill_few(cache);
    assert_int_equal(l1_entries_beside(cache, 50), 10);
    assert_int_equal(strata_reconfigure(cache, other, 2, &error), STRATA_ERR_CONFIG);
    assert_non_null(strstr(error.text, "l1_quotas: other prefixes than at the start"));
    assert_int_equal(l1_entries_beside(cache, 50), 10); /* nor was the other taken */
    change(cache, "l1_ttl", "100");                     /* the quotas stay */
    fill_few(cache);
    assert_int_equal(l1_entries_beside(cache, 50), 10);
    change(cache, "l1_quotas", "[\"few:=/200\", \"b:=/1\"]");
    fill_few(cache);
    assert_int_equal(l1_entries_beside(cache, 50), 200);
    strata_close(&cache);
}

static void another_ttl_holds_for_what_is_stored_from_then_on(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.l2_enabled = STRATA_OFF});
    assert_int_equal(set_text(cache, "old", "1", 0), STRATA_OK);
    change(cache, "l1_ttl", "0.001");
    assert_int_equal(set_text(cache, "new", "1", 0), STRATA_OK);
    (void)usleep(5000); /* by the clock of the deadline itself */
    assert_int_equal(get_status(cache, "new"), STRATA_MISS);
    assert_int_equal(get_status(cache, "old"), STRATA_OK);
    strata_close(&cache);
}

static bool l1_is_empty(void *arg)
{
    return numbers(arg).l1_entries == 0;
}

static void sweeps_that_were_off_begin(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){
        .l2_enabled = STRATA_OFF, .l1_ttl_ms = 1, .l1_cleanup_interval_ms = STRATA_UNLIMITED});
    fill(cache, 10);
    (void)usleep(5000);
    assert_int_equal(numbers(cache).l1_entries, 10);
    change(cache, "l1_cleanup_interval", "0.01");
    assert_true(wait_until(l1_is_empty, cache, PATIENT_MS));
    strata_close(&cache);
}

/* ---- threads ---- */

#define WORKERS 4
#define KEYS    400
#define LEN     2000

struct storm {
    struct strata *cache;
    atomic_bool over;
    atomic_uint wrong;
    atomic_uint calls;
};

struct worker {
    struct storm *storm;
    pthread_t thread;
    unsigned number;
};

static void render(char value[LEN], unsigned number, unsigned key, unsigned turn)
{
    memset(value, (int)('a' + turn % 26), LEN);
    (void)snprintf(value, 32, "%u %u %u", number, key, turn);
}

/* Each has keys of its own, so that it knows what it must read. */
static void *work(void *arg)
{
    struct worker *worker = arg;
    struct storm *storm = worker->storm;
    unsigned turns[KEYS] = {0};
    char key[32], value[LEN], got[LEN];
    for (unsigned i = 0; !atomic_load(&storm->over); i++) {
        unsigned at = i * 7 % KEYS;
        size_t len = 0;
        (void)snprintf(key, sizeof key, "%u:%u", worker->number, at);
        if (i % 3 == 0 || turns[at] == 0) {
            render(value, worker->number, at, ++turns[at]);
            int status = strata_set(storm->cache, strata_text(key), strata_bytes(value, LEN), 0);
            atomic_fetch_add(&storm->wrong, status != STRATA_OK);
        }
        render(value, worker->number, at, turns[at]);
        int status = strata_get_copy(storm->cache, strata_text(key), got, LEN, &len);
        bool right = status == STRATA_OK && len == LEN && memcmp(got, value, LEN) == 0;
        atomic_fetch_add(&storm->wrong, !right);
        atomic_fetch_add(&storm->calls, 1);
    }
    return NULL;
}

struct progress {
    struct storm *storm;
    unsigned until;
};

static bool has_come_far(void *arg)
{
    struct progress *progress = arg;
    return atomic_load(&progress->storm->calls) >= progress->until;
}

/* So that every change happens while calls are under way, before it and after it. */
static void let_go_on(struct storm *storm)
{
    struct progress progress = {storm, atomic_load(&storm->calls) + 100};
    assert_true(wait_until(has_come_far, &progress, 3 * PATIENT_MS));
}

static void change_again_and_again(struct storm *storm)
{
    static const struct strata_setting turns[][4] = {
        {{"l1_max_bytes", "128KiB"}, {"l1_ttl", "0.01"}, {"l2_ttl", "60"}, {"null_values", "on"}},
        {{"l1_max_bytes", "4MiB"},
         {"l1_max_size", "20"},
         {"socket_timeout", "30"},
         {"log_level", "debug"}},
        {{"l1_max_size", "unlimited"},
         {"l1_ttl", "60"},
         {"l2_ttl", "3600"},
         {"metrics_detailed", "true"}},
        {{"l1_max_bytes", "64KiB"},
         {"serve_stale", "on"},
         {"l1_cleanup_interval", "0.01"},
         {"log_level_l2", "error"}},
        {{"l1_max_bytes", "8MiB"},
         {"serve_stale", "off"},
         {"null_ttl", "5"},
         {"invalidation_batch_size", "7"}},
    };
    for (unsigned round = 0; round < 20; round++) {
        struct strata_error error = {0};
        const struct strata_setting *turn = turns[round % 5];
        if (strata_reconfigure(storm->cache, turn, 4, &error) != STRATA_OK)
            fail_msg("%s", error.text);
        if (strcmp(turn[0].value, "64KiB") == 0)
            assert_true(numbers(storm->cache).l1_memory_bytes <= 2 * MIB);
        let_go_on(storm);
    }
}

static void values_stay_right_while_everything_changes(void **state)
{
    (void)state;
    struct storm storm = {0};
    struct worker workers[WORKERS];
    storm.cache = cache_rig_open((struct strata_options){
        .l1_max_bytes = MIB, .l1_max_size = STRATA_UNLIMITED, .socket_timeout_ms = 30000});
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.storm = &storm, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    change_again_and_again(&storm);
    atomic_store(&storm.over, true);
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    assert_int_equal(atomic_load(&storm.wrong), 0);
    strata_close(&storm.cache);
}

/* Of this process; sanitizers keep what is freed. */
static uint64_t resident_bytes(void)
{
    char line[128] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    (void)fclose(file);
    return strtoull(strchr(line, ' '), NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Pages of a sanitizer's own are not ours to judge. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PAGES_ARE_OURS false
#else
#define PAGES_ARE_OURS true
#endif

static void memory_goes_back_to_the_system(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){
        .l2_enabled = STRATA_OFF, .l1_max_bytes = 64 * MIB, .l1_max_size = STRATA_UNLIMITED});
    static char value[1000];
    uint64_t before = resident_bytes();
    char key[32];
    for (unsigned i = 0; i < 60000; i++) {
        (void)snprintf(key, sizeof key, "k%u", i);
        memset(value, (int)i, sizeof value);
        assert_int_equal(strata_set(cache, strata_text(key), strata_bytes(value, sizeof value), 0),
                         STRATA_OK);
    }
    uint64_t full = resident_bytes();
    assert_true(!PAGES_ARE_OURS || full > before + 48 * MIB);
    change(cache, "l1_max_bytes", "4MiB");
    assert_true(numbers(cache).l1_memory_bytes <= 4 * MIB);
    assert_true(!PAGES_ARE_OURS || resident_bytes() < full - 40 * MIB);
    strata_close(&cache);
}

/* ---- Redis, strategies ---- */

static long long ttl_in_redis(const char *key)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), "PTTL atp:cache:%s", key);
    assert_non_null(reply);
    long long ttl = reply->integer;
    freeReplyObject(reply);
    return ttl;
}

static void another_l2_ttl_holds_for_what_is_written_from_then_on(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    assert_int_equal(set_text(cache, "old", "1", 0), STRATA_OK);
    change(cache, "l2_ttl", "100");
    assert_int_equal(set_text(cache, "new", "1", 0), STRATA_OK);
    assert_true(ttl_in_redis("old") > 100000);
    assert_in_range(ttl_in_redis("new"), 1, 100000);
    strata_close(&cache);
}

static void null_values_come_and_go(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    assert_int_equal(get_status(cache, "none"), STRATA_MISS);
    assert_int_equal(get_status(cache, "none"), STRATA_MISS);
    assert_int_equal(numbers(cache).l2.misses, 2);
    change(cache, "null_values", "on");
    assert_int_equal(get_status(cache, "none"), STRATA_MISS);
    assert_int_equal(get_status(cache, "none"), STRATA_MISS);
    assert_int_equal(numbers(cache).l2.misses, 3); /* the last was answered from memory */
    change(cache, "null_values", "off");
    assert_int_equal(get_status(cache, "another"), STRATA_MISS);
    assert_int_equal(get_status(cache, "another"), STRATA_MISS);
    assert_int_equal(numbers(cache).l2.misses, 5);
    change(cache, "null_values", "on");
    change(cache, "null_ttl", "0.001");
    assert_int_equal(get_status(cache, "third"), STRATA_MISS);
    (void)usleep(5000);
    assert_int_equal(get_status(cache, "third"), STRATA_MISS);
    assert_int_equal(numbers(cache).l2.misses, 7);
    strata_close(&cache);
}

/* By the timeouts of the start it would take hours. */
static void timeouts_and_stale_answers_change_while_redis_hangs(void **state)
{
    (void)state;
    struct redis_server *frozen = NULL;
    assert_int_equal(redis_server_start(&frozen, NULL), 0);
    struct strata *cache =
        cache_rig_open((struct strata_options){.redis_url = redis_server_url(frozen),
                                               .socket_timeout_ms = FOREVER_MS,
                                               .max_staleness_ms = 100});
    assert_int_equal(set_text(cache, "k", "1", 0), STRATA_OK);
    redis_server_freeze(frozen);
    change(cache, "socket_timeout", "0.3");
    assert_true(get_status(cache, "not in memory") < 0);
    assert_true(get_status(cache, "k") < 0); /* and by then the proof of L1 is over, too */
    change(cache, "serve_stale", "on");
    assert_int_equal(get_status(cache, "k"), STRATA_STALE);
    change(cache, "serve_stale", "off");
    assert_true(get_status(cache, "k") < 0);
    redis_server_thaw(frozen);
    strata_close(&cache);
    redis_server_stop(&frozen);
}

static bool nothing_is_queued(void *arg)
{
    return numbers(arg).invalidation.waiting == 0;
}

static void queued_invalidation_goes_by_its_new_bounds(void **state)
{
    (void)state;
    struct strata *cache =
        cache_rig_open((struct strata_options){.invalidation_timeout_ms = FOREVER_MS});
    fill(cache, 3);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(strata_invalidate(cache, strata_text(i == 0 ? "k0" : "k1")), STRATA_OK);
    assert_in_redis("atp:cache:k0", "v");
    change(cache, "invalidation_batch_size", "2"); /* and so it is full */
    assert_true(wait_until(nothing_is_queued, cache, PATIENT_MS));
    assert_in_redis("atp:cache:k0", NULL);
    change(cache, "invalidation_enabled", "false");
    assert_int_equal(strata_invalidate(cache, strata_text("k2")), STRATA_ERR_DISABLED);
    change(cache, "invalidation_enabled", "true");
    assert_int_equal(strata_invalidate(cache, strata_text("k2")), STRATA_OK);
    change(cache, "invalidation_timeout", "0.001");
    assert_true(wait_until(nothing_is_queued, cache, PATIENT_MS));
    assert_in_redis("atp:cache:k2", NULL);
    strata_close(&cache);
}

/* ---- write-behind ---- */

static struct strata *open_behind(struct strata_options options)
{
    options.write_through = STRATA_OFF;
    options.write_behind = STRATA_ON;
    return cache_rig_open(options);
}

static bool nothing_is_owed(void *arg)
{
    return numbers(arg).write_behind.entries == 0;
}

/* By the rate of the start it would take hours. */
static void write_behind_goes_by_its_new_rate(void **state)
{
    (void)state;
    struct strata *cache = open_behind((struct strata_options){.write_behind_rate = 1});
    fill(cache, 10000);
    change(cache, "write_behind_rate", "unlimited");
    assert_true(wait_until(nothing_is_owed, cache, PATIENT_MS));
    change(cache, "write_behind_interval", "3600");
    assert_int_equal(set_text(cache, "late", "1", 0), STRATA_OK);
    change(cache, "write_behind_interval", "0.001");
    assert_int_equal(set_text(cache, "soon", "1", 0), STRATA_OK);
    struct strata *waits = cache;
    for (unsigned i = 0; numbers(waits).write_behind.entries > 1 && i < PATIENT_MS; i++)
        (void)usleep(1000);
    assert_in_redis("atp:cache:soon", "1");
    assert_in_redis("atp:cache:late", NULL); /* it keeps its interval */
    strata_close(&cache);
    assert_in_redis("atp:cache:late", "1");
}

static void *set_one_more(void *arg)
{
    return (void *)(intptr_t)set_text(arg, "one more", "v", 0);
}

static bool somebody_waits(void *arg)
{
    return numbers(arg).write_behind.blocked == 1;
}

static void who_waits_for_room_gets_it_when_the_bounds_grow(void **state)
{
    (void)state;
    struct strata *cache = open_behind((struct strata_options){
        .write_behind_max_entries = 4, .write_behind_rate = 1, .socket_timeout_ms = FOREVER_MS});
    pthread_t thread;
    void *status = NULL;
    change(cache, "write_behind_full", "reject");
    int last = STRATA_OK;
    char key[32];
    for (unsigned i = 0; i < 10 && last == STRATA_OK; i++) {
        (void)snprintf(key, sizeof key, "k%u", i);
        last = set_text(cache, key, "v", 0);
    }
    assert_int_equal(last, STRATA_ERR_BUSY);
    change(cache, "write_behind_max_entries", "1"); /* less than is owed: all of it stays owed */
    assert_int_equal(set_text(cache, "k1", "w", 0), STRATA_OK);
    assert_int_equal(set_text(cache, "one more", "v", 0), STRATA_ERR_BUSY);
    change(cache, "write_behind_full", "block");
    assert_int_equal(pthread_create(&thread, NULL, set_one_more, cache), 0);
    assert_true(wait_until(somebody_waits, cache, PATIENT_MS));
    change(cache, "write_behind_max_entries", "100");
    pthread_join(thread, &status);
    assert_int_equal((intptr_t)status, STRATA_OK);
    change(cache, "write_behind_max_bytes", "64KiB");
    change(cache, "write_behind_full", "reject");
    static char large[100000];
    assert_true(strata_set(cache, strata_text("large"), strata_bytes(large, sizeof large), 0) < 0);
    change(cache, "write_behind_rate", "unlimited");
    strata_close(&cache);
    assert_in_redis("atp:cache:one more", "v");
    assert_in_redis("atp:cache:k1", "w");
}

/* By the time of the start closing would take hours. */
static void closing_waits_as_long_as_it_was_told_last(void **state)
{
    (void)state;
    struct redis_server *dead = NULL;
    assert_int_equal(redis_server_start(&dead, NULL), 0);
    struct strata *cache = open_behind((struct strata_options){
        .redis_url = redis_server_url(dead), .write_behind_drain_timeout_ms = FOREVER_MS});
    redis_server_kill9(dead);
    assert_int_equal(set_text(cache, "k", "v", 0), STRATA_OK);
    change(cache, "write_behind_drain_timeout", "0.05");
    strata_close(&cache);
    redis_server_stop(&dead);
}

/* ---- log and metrics ---- */

struct hearing {
    struct strata *cache;
    struct log_record *record;
    unsigned before;
};

/* A connection that is lost is made again, of which l2 tells at debug. */
static bool debug_is_heard(void *arg)
{
    struct hearing *hearing = arg;
    freeReplyObject(redisCommand(cache_rig_foreign(), "CLIENT KILL TYPE normal SKIPME yes"));
    (void)get_status(hearing->cache, "k");
    return log_record_count(hearing->record, "greeting", 0) > hearing->before;
}

static void a_room_is_made_to_talk_and_to_be_quiet(void **state)
{
    (void)state;
    static struct log_record record;
    log_record_init(&record);
    struct strata *cache = cache_rig_open((struct strata_options){
        .log_sink = log_record_sink, .log_arg = &record, .log_level_cache = STRATA_LOG_DEBUG});
    struct hearing hearing = {cache, &record, 0};
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    assert_int_equal(log_record_count(&record, "greeting", 0), 0); /* that is another room */
    change(cache, "log_level_l2", "debug");
    assert_true(wait_until(debug_is_heard, &hearing, PATIENT_MS));
    change(cache, "log_level_l2", "error");
    unsigned lines = log_record_count(&record, "", 0);
    for (unsigned i = 0; i < 5; i++)
        (void)debug_is_heard(&hearing);
    assert_true(log_record_count(&record, "", 0) <= lines + 1); /* one that was on its way */
    change(cache, "log_level_l2", "same");
    change(cache, "log_level", "debug");
    hearing.before = log_record_count(&record, "greeting", 0);
    assert_true(wait_until(debug_is_heard, &hearing, PATIENT_MS));
    strata_close(&cache);
}

static bool has_series_by_node(struct strata *cache)
{
    char *text = NULL;
    assert_int_equal(strata_metrics_text(cache, &text), STRATA_OK);
    bool has = strstr(text, "strata_l2_node_state{") != NULL;
    strata_text_free(&text);
    return has;
}

static void metrics_become_detailed(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    assert_false(has_series_by_node(cache));
    change(cache, "metrics_detailed", "true");
    assert_true(has_series_by_node(cache));
    strata_close(&cache);
}

#define TEST(name) cmocka_unit_test_setup(name, cache_rig_flush)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(l1_follows_its_bound_in_entries),
        TEST(a_quota_is_another_one_at_once),
        TEST(all_settings_are_taken_or_none),
        TEST(another_ttl_holds_for_what_is_stored_from_then_on),
        TEST(sweeps_that_were_off_begin),
        TEST(values_stay_right_while_everything_changes),
        TEST(memory_goes_back_to_the_system),
        TEST(another_l2_ttl_holds_for_what_is_written_from_then_on),
        TEST(null_values_come_and_go),
        TEST(timeouts_and_stale_answers_change_while_redis_hangs),
        TEST(queued_invalidation_goes_by_its_new_bounds),
        TEST(write_behind_goes_by_its_new_rate),
        TEST(who_waits_for_room_gets_it_when_the_bounds_grow),
        TEST(closing_waits_as_long_as_it_was_told_last),
        TEST(a_room_is_made_to_talk_and_to_be_quiet),
        TEST(metrics_become_detailed),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
