/* SPDX-License-Identifier: MIT
 *
 * What an invalidation by pattern hides while it is far from done: from which caches, what of it,
 * and when it ends. Several caches before one real Redis; an owner that dies is a process of its
 * own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "integration/cache_rig.h"
#include "integration/held_pattern.h"
#include "integration/log_record.h"
#include "integration/push_thief.h"
#include "support/wait.h"

#define PREFIX     "atp:cache:"
#define HASH       PREFIX "strata:barriers"
#define PATIENT_MS 40000u
#define KEYS       12000u
#define WARM       100u /* keys that a cache has in L1 */

/* ---- what is there ---- */

static void key_text(unsigned n, char text[static 32])
{
    (void)snprintf(text, 32, "s:%u", n);
}

static long long ask(const char *command, const char *key)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), "%s %s", command, key);
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    long long number = reply->integer;
    freeReplyObject(reply);
    return number;
}

static long long keys_in_redis(void)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), "DBSIZE");
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    long long number = reply->integer;
    freeReplyObject(reply);
    return number;
}

static void fill(unsigned count)
{
    static const char script[] = "for i=1,tonumber(ARGV[1]) do "
                                 "redis.call('SET',KEYS[1]..i,'old') end return 1";
    freeReplyObject(
        redisCommand(cache_rig_foreign(), "EVAL %s 1 %s %u", script, PREFIX "s:", count));
    redis_do("SET", PREFIX "other", "x");
}

static void warm(struct strata *cache)
{
    char key[32];
    for (unsigned n = 1; n <= WARM; n++) {
        key_text(n, key);
        assert_value(cache, key, "old");
    }
    assert_value(cache, "other", "x");
}

/* One of those keys that Redis still has. */
static void find_witness(char key[static 32])
{
    for (unsigned n = 1; n <= WARM; n++) {
        char name[64];
        key_text(n, key);
        (void)snprintf(name, sizeof name, PREFIX "%s", key);
        if (ask("EXISTS", name) == 1)
            return;
    }
    fail_msg("all that was warm has been deleted already");
}

struct question {
    struct strata *cache;
    const char *key;
};

static bool misses(void *arg)
{
    const struct question *question = arg;
    return get_status(question->cache, question->key) == STRATA_MISS;
}

static void wait_for_miss(struct strata *cache, const char *key)
{
    struct question question = {cache, key};
    assert_true(wait_until(misses, &question, PATIENT_MS));
}

static bool answers(void *arg)
{
    return !misses(arg);
}

static bool nothing_is_up(void *arg)
{
    (void)arg;
    return ask("EXISTS", HASH) == 0;
}

static bool something_is_up(void *arg)
{
    return !nothing_is_up(arg);
}

static void assert_all_hidden(struct strata *cache)
{
    char texts[WARM][32];
    struct strata_bytes keys[WARM];
    struct strata_value values[WARM];
    int statuses[WARM];
    for (unsigned n = 0; n < WARM; n++) {
        key_text(n + 1, texts[n]);
        keys[n] = strata_text(texts[n]);
        assert_int_equal(get_status(cache, texts[n]), STRATA_MISS);
    }
    assert_int_equal(strata_get_many(cache, keys, WARM, values, statuses), STRATA_OK);
    for (unsigned n = 0; n < WARM; n++)
        assert_int_equal(statuses[n], STRATA_MISS);
}

/* ---- a scene: one cache deletes s:*, and is held; another has s:1 to s:100 in L1 ---- */

struct scene {
    struct strata *cache, *other;
    struct held_pattern held;
    char key[32]; /* hidden, and Redis has it */
};

/* The other is opened with these options. Returns once it hides what matches. */
static void scene_begin(struct scene *scene, struct strata_options other)
{
    scene->cache = cache_rig_open((struct strata_options){0});
    scene->other = cache_rig_open(other);
    scene->held.cache = scene->cache;
    scene->held.pattern = "s:*";
    fill(KEYS);
    warm(scene->other);
    held_pattern_begin(&scene->held);
    find_witness(scene->key);
    wait_for_miss(scene->other, scene->key);
}

static void scene_end(struct scene *scene, int status)
{
    held_pattern_end(&scene->held);
    assert_int_equal(scene->held.status, status);
}

static void scene_close(struct scene *scene)
{
    strata_close(&scene->other);
    strata_close(&scene->cache);
}

/* ---- hiding ---- */

static void what_matches_is_hidden_from_all_while_it_is_deleted(void **state)
{
    (void)state;
    struct scene scene = {0};
    char buffer[8];
    size_t len;
    scene_begin(&scene, (struct strata_options){0});
    struct strata *other = scene.other;
    assert_all_hidden(other);
    assert_all_hidden(scene.cache);
    assert_int_equal(strata_get_copy(other, strata_text(scene.key), buffer, sizeof buffer, &len),
                     STRATA_MISS);
    uint64_t hits = numbers(other).l1.hits;
    assert_value(other, "other", "x");
    assert_int_equal(numbers(other).l1.hits, hits + 1); /* what does not match stays where it is */
    struct strata *late = cache_rig_open((struct strata_options){0});
    assert_int_equal(get_status(late, scene.key), STRATA_MISS); /* with its first question */
    assert_all_hidden(late);
    find_witness(scene.key); /* and Redis has it all the time */
    scene_end(&scene, STRATA_OK);
    assert_int_equal(scene.held.result.deleted, KEYS);
    assert_int_equal(scene.held.result.unsure, 0);
    assert_int_equal(ask("EXISTS", HASH), 0);
    redis_do("SET", PREFIX "s:1", "new"); /* and it is over, everywhere */
    struct question question = {other, "s:1"};
    assert_true(wait_until(answers, &question, PATIENT_MS));
    assert_value(other, "s:1", "new");
    strata_close(&late);
    scene_close(&scene);
}

static void what_is_given_up_is_shown_again(void **state)
{
    (void)state;
    struct scene scene = {.held = {.give_up = true}};
    scene_begin(&scene, (struct strata_options){0});
    scene_end(&scene, STRATA_MORE);
    struct question question = {scene.other, scene.key};
    assert_true(wait_until(answers, &question, PATIENT_MS));
    assert_value(scene.cache, scene.key, "old");
    scene_close(&scene);
}

static void several_barriers_hide_what_any_of_them_matches(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct strata *other = cache_rig_open((struct strata_options){0});
    struct held_pattern first = {.cache = cache, .pattern = "s:*"};
    struct held_pattern second = {.cache = other, .pattern = "*[0-9]"};
    fill(KEYS);
    warm(other);
    held_pattern_begin(&first);
    held_pattern_begin(&second);
    assert_int_equal(ask("HLEN", HASH), 2);
    held_pattern_end(&first);
    assert_int_equal(first.status, STRATA_OK);
    redis_do("SET", PREFIX "s:7", "later"); /* behind the first, under the second */
    wait_for_miss(cache, "s:7");
    held_pattern_end(&second);
    assert_int_equal(second.status, STRATA_OK);
    assert_int_equal(ask("EXISTS", HASH), 0);
    strata_close(&other);
    strata_close(&cache);
}

/* ---- what is set meanwhile ---- */

static int load_new(struct strata_load *load, void *arg)
{
    ++*(unsigned *)arg;
    return strata_load_set(load, strata_text("loaded"), 0);
}

static void assert_loaded(struct strata *cache, const char *key, unsigned loads)
{
    unsigned count = 0;
    struct strata_value value = {0};
    assert_int_equal(strata_get_or_load(cache, strata_text(key), load_new, &count, NULL, &value),
                     STRATA_OK);
    assert_int_equal(value.bytes.len, 6);
    assert_memory_equal(value.bytes.data, "loaded", 6);
    assert_int_equal(count, loads);
    strata_release(&value);
}

static void what_is_set_meanwhile_is_seen_by_who_set_it(void **state)
{
    (void)state;
    struct scene scene = {0};
    scene_begin(&scene, (struct strata_options){0});
    struct strata *other = scene.other;
    assert_int_equal(set_text(other, scene.key, "mine", 0), STRATA_OK);
    for (unsigned i = 0; i < 3; i++)
        assert_value(other, scene.key, "mine");
    assert_int_equal(get_status(scene.cache, scene.key), STRATA_MISS);
    redis_do("SET", PREFIX "s:101", "foreign");
    assert_int_equal(get_status(other, "s:101"), STRATA_MISS);
    scene_end(&scene, STRATA_OK);
    assert_int_equal(set_text(other, scene.key, "after", 0), STRATA_OK);
    assert_value(other, scene.key, "after");
    scene_close(&scene);
}

static void a_loader_brings_what_is_new_though_redis_has_the_old(void **state)
{
    (void)state;
    struct scene scene = {0};
    char name[64];
    scene_begin(&scene, (struct strata_options){0});
    assert_loaded(scene.other, scene.key, 1);
    assert_loaded(scene.other, scene.key, 0); /* it took the place of the old one, for this cache */
    assert_value(scene.other, scene.key, "loaded");
    (void)snprintf(name, sizeof name, PREFIX "%s", scene.key);
    assert_in_redis(name, "loaded");
    assert_int_equal(get_status(scene.cache, scene.key), STRATA_MISS);
    scene_end(&scene, STRATA_OK);
    scene_close(&scene);
}

static int load_late(struct strata_load *load, void *arg)
{
    redis_do("SET", PREFIX "s:none", "theirs");
    return load_new(load, arg);
}

/* What others have set under the barrier is hidden from who finds it when he stores what he
 * loaded. */
static void what_a_load_finds_under_a_barrier_is_not_its_answer(void **state)
{
    (void)state;
    struct scene scene = {0};
    struct strata_value value = {0};
    unsigned count = 0;
    scene_begin(&scene, (struct strata_options){0});
    assert_int_equal(
        strata_get_or_load(scene.other, strata_text("s:none"), load_late, &count, NULL, &value),
        STRATA_OK);
    assert_int_equal(count, 1);
    assert_int_equal(value.bytes.len, 6);
    assert_memory_equal(value.bytes.data, "loaded", 6);
    strata_release(&value);
    scene_end(&scene, STRATA_OK);
    scene_close(&scene);
}

static void what_write_behind_owes_is_seen_by_who_set_it(void **state)
{
    (void)state;
    struct scene scene = {0};
    char name[64];
    scene_begin(&scene, (struct strata_options){.write_behind = STRATA_ON,
                                                .write_through = STRATA_OFF,
                                                .write_behind_interval_ms = 1000});
    assert_int_equal(set_text(scene.other, scene.key, "mine", 0), STRATA_OK);
    assert_value(scene.other, scene.key, "mine"); /* owed */
    assert_int_equal(strata_flush(scene.other, PATIENT_MS), STRATA_OK);
    (void)snprintf(name, sizeof name, PREFIX "%s", scene.key);
    assert_in_redis(name, "mine");
    assert_value(scene.other, scene.key, "mine"); /* written */
    scene_end(&scene, STRATA_OK);
    scene_close(&scene);
}

/* With write-behind the barrier stays until Redis has deleted what was accepted. */
static void with_write_behind_it_ends_when_redis_has_deleted_all(void **state)
{
    (void)state;
    uint64_t count;
    struct strata *cache = cache_rig_open(
        (struct strata_options){.write_behind = STRATA_ON, .write_through = STRATA_OFF});
    fill(2000);
    assert_int_equal(strata_invalidate_pattern(cache, strata_text("s:*"), &count), STRATA_OK);
    assert_int_equal(count, 2000);
    assert_int_equal(ask("EXISTS", PREFIX "s:1500"), 0);
    assert_true(keys_in_redis() <= 2); /* that which does not match, and perhaps a canary */
    strata_close(&cache);
}

static void tags_go_on_under_a_barrier(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct strata *other = cache_rig_open((struct strata_options){0});
    struct held_pattern held = {.cache = cache, .pattern = "*"};
    const struct strata_bytes tag = strata_text("T");
    fill(KEYS);
    warm(other);
    held_pattern_begin(&held);
    wait_for_miss(other, "other");
    assert_int_equal(strata_set_tagged(other, strata_text("tagged"), strata_text("v"), 0, &tag, 1),
                     STRATA_OK);
    assert_value(other, "tagged", "v");
    assert_int_equal(strata_invalidate_tag(other, tag), STRATA_OK);
    assert_int_equal(get_status(other, "tagged"), STRATA_MISS);
    held_pattern_end(&held);
    assert_int_equal(held.status, STRATA_OK);
    strata_close(&other);
    strata_close(&cache);
}

/* ---- other kinds of caches ---- */

static void a_cache_of_one_tier_hides_what_it_deletes(void **state)
{
    (void)state;
    struct strata *alone =
        cache_rig_open((struct strata_options){.l2_enabled = STRATA_OFF, .l1_max_size = 2 * KEYS});
    struct held_pattern held = {.cache = alone, .pattern = "s:*", .share = 1};
    char key[32];
    for (unsigned n = 1; n <= KEYS; n++) {
        key_text(n, key);
        assert_int_equal(set_text(alone, key, "old", 0), STRATA_OK);
    }
    held_pattern_begin(&held);
    assert_all_hidden(alone);
    assert_int_equal(set_text(alone, "s:3", "mine", 0), STRATA_OK);
    assert_value(alone, "s:3", "mine");
    held_pattern_end(&held);
    assert_int_equal(held.status, STRATA_OK);
    strata_close(&alone);

    struct strata *l2 = cache_rig_open((struct strata_options){.l1_enabled = STRATA_OFF});
    held.cache = l2;
    held.share = 0;
    fill(KEYS);
    held_pattern_begin(&held);
    find_witness(key);
    assert_all_hidden(l2);
    assert_loaded(l2, key, 1);
    assert_value(l2, key, "loaded");
    held_pattern_end(&held);
    assert_int_equal(held.status, STRATA_OK);
    strata_close(&l2);
}

/* ---- who does not hear at once ---- */

static void where_pushes_are_lost_a_barrier_is_heard_of_all_the_same(void **state)
{
    (void)state;
    char url[64], key[32];
    struct push_thief *thief = push_thief_start(atoi(strrchr(cache_rig_url(), ':') + 1));
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d/0", push_thief_port(thief));
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct strata *other = cache_rig_open((struct strata_options){.redis_url = url});
    struct held_pattern held = {.cache = cache, .pattern = "s:*"};
    fill(KEYS);
    warm(other);
    push_thief_steal(thief, true);
    held_pattern_begin(&held);
    find_witness(key);
    wait_for_miss(other, key);
    assert_all_hidden(other);
    held_pattern_end(&held);
    assert_int_equal(held.status, STRATA_OK);
    strata_close(&other);
    strata_close(&cache);
    push_thief_stop(&thief);
}

/* ---- processes ---- */

static int on_held_for_ever(void *arg, const struct strata_pattern_progress *progress)
{
    const int *pipe_end = arg;
    (void)progress;
    bool told = write(*pipe_end, "x", 1) == 1;
    while (told)
        pause();
    return 1;
}

/* A process that deletes s:* and goes no further than its first word of it. Nothing of a cache may
 * be open. */
static pid_t start_owner(int told[static 2])
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct strata *cache = NULL;
    struct strata_options options = {.redis_url = cache_rig_url()};
    struct strata_pattern_options walk = {
        .share = 20, .progress = on_held_for_ever, .progress_arg = &told[1]};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (strata_open(&cache, &options, NULL) == STRATA_OK)
        (void)strata_invalidate_pattern_with(cache, strata_text("s:*"), &walk, NULL, NULL);
    _exit(1);
}

static void an_owner_that_dies_leaves_no_barrier_and_another_goes_on(void **state)
{
    (void)state;
    int told[2], status;
    char byte, key[32];
    uint64_t count;
    fill(KEYS);
    assert_int_equal(pipe(told), 0);
    pid_t owner = start_owner(told);
    assert_true(owner > 0);
    (void)close(told[1]);
    assert_int_equal(read(told[0], &byte, 1), 1);
    struct strata *cache = cache_rig_open((struct strata_options){0});
    find_witness(key);
    assert_int_equal(get_status(cache, key), STRATA_MISS);
    assert_int_equal(kill(owner, SIGKILL), 0);
    assert_int_equal(waitpid(owner, &status, 0), owner);
    assert_int_equal(get_status(cache, key), STRATA_MISS); /* until its time is over */
    assert_true(wait_until(nothing_is_up, NULL, PATIENT_MS));
    struct question question = {cache, key};
    assert_true(wait_until(answers, &question, PATIENT_MS));
    long long there = keys_in_redis();
    assert_int_equal(strata_invalidate_pattern(cache, strata_text("s:*"), &count), STRATA_OK);
    assert_true(count > 0 && count < KEYS && count + 2 >= (uint64_t)there);
    assert_int_equal(get_status(cache, key), STRATA_MISS);
    strata_close(&cache);
    (void)close(told[0]);
}

/* The hash does not end while another renews it; what the dead one left in it goes. */
static void what_a_dead_owner_left_goes_though_another_renews(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct held_pattern held = {.cache = cache, .pattern = "s:*"};
    fill(KEYS);
    redis_do("SET", PREFIX "later", "x");
    freeReplyObject(redisCommand(cache_rig_foreign(), "HSET " HASH " 0123456789abcdef %s",
                                 "1000 later")); /* its time was over in 1970 */
    wait_for_miss(cache, "later");
    held_pattern_begin(&held);
    struct question question = {cache, "later"};
    assert_true(wait_until(answers, &question, PATIENT_MS));
    assert_int_equal(ask("HLEN", HASH), 1);
    held_pattern_end(&held);
    assert_int_equal(held.status, STRATA_OK);
    strata_close(&cache);
}

/* Nor does it live longer because of who went on and is done. */
static void what_a_dead_owner_left_ends_in_its_time_though_another_was_up(void **state)
{
    (void)state;
    enum { LEFT_MS = 5000 };
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct timespec now;
    uint64_t count;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    freeReplyObject(redisCommand(cache_rig_foreign(), "HSET " HASH " 0123456789abcdef %lld%s",
                                 (long long)now.tv_sec * 1000 + LEFT_MS, " later"));
    assert_int_equal(strata_invalidate_pattern(cache, strata_text("s:*"), &count), STRATA_OK);
    assert_true(ask("PTTL", HASH) <= LEFT_MS); /* of no hash, a negative number */
    assert_true(ask("PTTL", HASH) != -1);
    strata_close(&cache);
}

static void a_barrier_that_is_flushed_away_is_put_up_again(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct strata *other = cache_rig_open((struct strata_options){0});
    struct held_pattern held = {.cache = cache, .pattern = "s:*"};
    fill(KEYS);
    held_pattern_begin(&held);
    redis_do("DEL", HASH, NULL);
    assert_true(wait_until(something_is_up, NULL, PATIENT_MS));
    redis_do("SET", PREFIX "s:1", "old");
    wait_for_miss(other, "s:1");
    held_pattern_end(&held);
    assert_int_equal(held.status, STRATA_OK);
    strata_close(&other);
    strata_close(&cache);
}

/* ---- rights ---- */

static void foreign(const char *command)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), command);
    assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
}

static void who_may_not_put_one_up_deletes_all_the_same_and_is_told(void **state)
{
    (void)state;
    char url[300];
    static struct log_record log;
    log_record_init(&log);
    uint64_t count;
    foreign("ACL SETUSER few on >pw +@all -eval ~* &*");
    (void)snprintf(url, sizeof url, "redis://few:pw@%s", strstr(cache_rig_url(), "://") + 3);
    struct strata *cache = cache_rig_open(
        (struct strata_options){.redis_url = url, .log_sink = log_record_sink, .log_arg = &log});
    fill(2000);
    assert_int_equal(strata_invalidate_pattern(cache, strata_text("s:*"), &count), STRATA_OK);
    assert_int_equal(count, 2000);
    assert_true(log_record_count(&log, "a barrier cannot be put up", 0) > 0);
    strata_close(&cache);
}

static void who_may_not_read_them_is_served_from_l1_and_told(void **state)
{
    (void)state;
    char url[300];
    static struct log_record log;
    log_record_init(&log);
    foreign("ACL SETUSER few on >pw +@all -hgetall ~* &*");
    (void)snprintf(url, sizeof url, "redis://few:pw@%s", strstr(cache_rig_url(), "://") + 3);
    struct strata *cache = cache_rig_open(
        (struct strata_options){.redis_url = url, .log_sink = log_record_sink, .log_arg = &log});
    redis_do("SET", PREFIX "k", "v");
    assert_value(cache, "k", "v");
    uint64_t hits = numbers(cache).l1.hits;
    assert_value(cache, "k", "v");
    assert_int_equal(numbers(cache).l1.hits, hits + 1);
    assert_int_equal(
        log_record_count(&log, "barriers cannot be read from " PREFIX "strata:barriers (", 0), 1);
    assert_int_equal(log_record_count(&log, "barriers cannot be read", 0), 1);
    strata_close(&cache);
}

/* ---- a namespace ---- */

static void a_namespace_is_cleared_and_no_other(void **state)
{
    (void)state;
    uint64_t count = 7;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct strata *other = cache_rig_open((struct strata_options){0});
    struct strata *elsewhere = cache_rig_open((struct strata_options){.l2_key_prefix = "b:"});
    struct strata *all = cache_rig_open((struct strata_options){.l2_key_prefix = ""});
    fill(500);
    warm(other);
    assert_int_equal(set_text(elsewhere, "s:1", "x", 0), STRATA_OK);
    assert_int_equal(strata_clear(cache, &count), STRATA_OK);
    assert_int_equal(count, 501);
    wait_for_miss(other, "s:1");
    assert_value(elsewhere, "s:1", "x");
    assert_int_equal(strata_clear(all, &count), STRATA_ERR_INVALID);
    assert_int_equal(count, 0);
    assert_value(elsewhere, "s:1", "x");
    strata_close(&all);
    strata_close(&elsewhere);
    strata_close(&other);
    strata_close(&cache);
    cache = cache_rig_open((struct strata_options){.l2_enabled = STRATA_OFF, .l2_key_prefix = ""});
    assert_int_equal(set_text(cache, "k", "v", 0), STRATA_OK);
    assert_int_equal(strata_clear(cache, &count), STRATA_OK);
    assert_int_equal(count, 1);
    strata_close(&cache);
}

#define CASE(name) cmocka_unit_test_setup(name, cache_rig_flush)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_matches_is_hidden_from_all_while_it_is_deleted),
        CASE(what_is_given_up_is_shown_again),
        CASE(several_barriers_hide_what_any_of_them_matches),
        CASE(what_is_set_meanwhile_is_seen_by_who_set_it),
        CASE(a_loader_brings_what_is_new_though_redis_has_the_old),
        CASE(what_a_load_finds_under_a_barrier_is_not_its_answer),
        CASE(what_write_behind_owes_is_seen_by_who_set_it),
        CASE(with_write_behind_it_ends_when_redis_has_deleted_all),
        CASE(tags_go_on_under_a_barrier),
        CASE(a_cache_of_one_tier_hides_what_it_deletes),
        CASE(where_pushes_are_lost_a_barrier_is_heard_of_all_the_same),
        CASE(an_owner_that_dies_leaves_no_barrier_and_another_goes_on),
        CASE(what_a_dead_owner_left_goes_though_another_renews),
        CASE(what_a_dead_owner_left_ends_in_its_time_though_another_was_up),
        CASE(a_barrier_that_is_flushed_away_is_put_up_again),
        CASE(who_may_not_put_one_up_deletes_all_the_same_and_is_told),
        CASE(who_may_not_read_them_is_served_from_l1_and_told),
        CASE(a_namespace_is_cleared_and_no_other),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
