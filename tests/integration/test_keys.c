/* SPDX-License-Identifier: MIT
 *
 * The names of keys before a real Redis, which itself (KEYS, by another client) is the oracle.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "integration/cache_rig.h"
#include "integration/name_list.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define PREFIX "atp:cache:"
#define MANY   200000

static bool is_answered(void *cache)
{
    return get_status(cache, "any") >= 0;
}

/* A script of so many sets, or KEYS, may take Redis so long that it counts as hung. */
static void wait_for_redis(struct strata *cache)
{
    assert_true(wait_until(is_answered, cache, 30000));
}

static void fill(const char *prefix, unsigned count)
{
    static const char script[] = "for i=1,tonumber(ARGV[2]) do "
                                 "redis.call('SET',ARGV[1]..i,'x') end return 1";
    redisReply *reply = redisCommand(cache_rig_foreign(), "EVAL %s 0 %s %u", script, prefix, count);
    assert_non_null(reply);
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    freeReplyObject(reply);
}

/* What Redis says, without the prefix and what is strata's own. */
static struct name_list oracle(const char *prefix, struct strata_bytes pattern)
{
    char match[512];
    struct name_list list = {.count = 0};
    size_t len = 0;
    for (const char *at = prefix; *at != '\0'; at++) {
        if (strchr("*?[\\", *at) != NULL)
            match[len++] = '\\';
        match[len++] = *at;
    }
    assert_true(len + pattern.len < sizeof match);
    memcpy(match + len, pattern.data, pattern.len);
    redisReply *reply = redisCommand(cache_rig_foreign(), "KEYS %b", match, len + pattern.len);
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    for (size_t i = 0; i < reply->elements; i++) {
        const char *name = reply->element[i]->str + strlen(prefix);
        if (strncmp(name, "strata:canary:", 14) != 0) /* ours, for a moment */
            name_list_add(&list, strata_bytes(name, reply->element[i]->len - strlen(prefix)));
    }
    freeReplyObject(reply);
    return list;
}

static void assert_as_redis_says(struct strata *cache, const char *prefix,
                                 struct strata_bytes pattern)
{
    struct name_list expected = oracle(prefix, pattern);
    struct name_list named = {.count = 0};
    wait_for_redis(cache);
    name_list_collect(&named, cache, &(struct strata_keys_options){.pattern = pattern});
    name_list_assert_equal(&named, &expected);
    name_list_clear(&named);
    name_list_clear(&expected);
}

static void every_key_is_named_once(void **state)
{
    (void)state;
    static const char *const patterns[] = {"*",     "user:1*",   "user:*7",    "user:?",
                                           "user",  "nobody*",   "user:[1-3]", "user:[^1-8]?",
                                           "*r:9*", "user:\\15", "**",         "[u]ser:12345"};
    struct strata *cache = cache_rig_open((struct strata_options){0});
    fill(PREFIX "user:", MANY);
    fill("others:", 1000);
    wait_for_redis(cache);
    for (unsigned i = 1; i <= 500; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "user:%u", i);
        assert_value(cache, key, "x"); /* now L1 has it, too */
    }
    assert_true(numbers(cache).l1_entries >= 500);
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        assert_as_redis_says(cache, PREFIX, strata_text(patterns[i]));
    strata_close(&cache);
}

/* A prefix is text, and no pattern. */
static void names_and_patterns_may_be_any_bytes(void **state)
{
    (void)state;
    static const char prefix[] = "p*[a-z]\\?:";
    static const struct strata_bytes names[] = {
        {"\0", 1},  {"\0\r\n", 3}, {"\xff\xfe", 2}, {"*", 1},
        {"a*b", 3}, {"a\\b", 3},   {"[", 1},        {"$5", 2},
    };
    static const struct strata_bytes patterns[] = {
        {"\0*", 2}, {"*\n", 2},   {"[\xf0-\xff]?", 5},
        {"\\*", 2}, {"*\\**", 4}, {"a\\\\b", 4},
        {"[", 1},   {"?", 1},     {"*", 1},
    };
    struct strata *cache = cache_rig_open((struct strata_options){.l2_key_prefix = prefix});
    redis_do("SET", "pxa?:stranger", "x");
    redis_do("SET", prefix, "a key of no bytes is none");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(strata_set(cache, names[i], strata_text("x"), 0), STRATA_OK);
    redis_do("DEL", prefix, NULL);
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        assert_as_redis_says(cache, prefix, patterns[i]);
    redis_do("SET", prefix, "again");
    redis_do("SET", "p*[a-z]\\?:strata:tag:news", "a tag's version is ours");
    redis_do("SET", "p*[a-z]\\?:k:strata-lease", "and so is a lease");
    struct name_list all = {.count = 0};
    name_list_collect(&all, cache, NULL);
    assert_int_equal(all.count, sizeof names / sizeof names[0]);
    name_list_clear(&all);
    strata_close(&cache);
}

static size_t count_of(struct strata *cache, const char *pattern)
{
    struct name_list list = {.count = 0};
    name_list_collect(&list, cache, &(struct strata_keys_options){.pattern = strata_text(pattern)});
    size_t count = list.count;
    name_list_clear(&list);
    return count;
}

static void what_l1_has_alone_is_named_and_what_it_knows_to_be_absent_is_not(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(
        (struct strata_options){.null_values = STRATA_ON, .write_through = STRATA_OFF});
    assert_int_equal(get_status(cache, "absent"), STRATA_MISS);
    assert_int_equal(get_status(cache, "absent"), STRATA_MISS);
    assert_true(numbers(cache).l1.hits > 0);
    assert_int_equal(set_text(cache, "here:only", "x", 0), STRATA_OK);
    assert_in_redis(PREFIX "here:only", NULL);
    assert_int_equal(count_of(cache, "*"), 1);
    assert_int_equal(count_of(cache, "here:*"), 1);
    strata_close(&cache);
    cache = cache_rig_open((struct strata_options){.l2_enabled = STRATA_OFF});
    assert_int_equal(set_text(cache, "a", "x", 0), STRATA_OK);
    assert_int_equal(set_text(cache, "b", "x", 0), STRATA_OK);
    assert_int_equal(count_of(cache, "?"), 2);
    assert_int_equal(count_of(cache, "[b-z]"), 1);
    strata_close(&cache);
    cache = cache_rig_open((struct strata_options){.l1_enabled = STRATA_OFF});
    assert_int_equal(set_text(cache, "a", "x", 0), STRATA_OK);
    assert_int_equal(count_of(cache, "*"), 1);
    strata_close(&cache);
}

static int walk_all(struct strata_keys *keys, size_t *count, struct strata_error *error)
{
    struct strata_bytes name;
    int status;
    *count = 0;
    while ((status = strata_keys_next(keys, &name, error)) == STRATA_OK)
        ++*count;
    assert_int_equal(strata_keys_next(keys, &name, error), status); /* it stays so */
    return status;
}

/* Versions of tags are keys that L1 has, too. */
static void keys_of_stratas_own_are_not_named(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    const struct strata_bytes tag = strata_text("T");
    assert_int_equal(strata_set_tagged(cache, strata_text("k"), strata_text("x"), 0, &tag, 1),
                     STRATA_OK);
    for (unsigned i = 0; i < 3; i++)
        assert_value(cache, "k", "x");
    assert_int_equal(count_of(cache, "*"), 1);
    assert_int_equal(count_of(cache, "s*"), 0);
    strata_close(&cache);
}

/* Without write-through a set takes the value out of Redis, past the walk through L1. */
static void what_goes_back_to_l1_meanwhile_is_named(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.write_through = STRATA_OFF});
    struct strata_keys *keys = NULL;
    struct strata_bytes name;
    assert_int_equal(set_text(cache, "a", "x", 0), STRATA_OK);
    redis_do("SET", PREFIX "k", "x");
    assert_int_equal(strata_keys_open(&keys, cache, NULL), STRATA_OK);
    assert_int_equal(strata_keys_next(keys, &name, NULL), STRATA_OK);
    assert_memory_equal(name.data, "a", 1);
    assert_int_equal(set_text(cache, "k", "y", 0), STRATA_OK);
    assert_in_redis(PREFIX "k", NULL);
    assert_int_equal(strata_keys_next(keys, &name, NULL), STRATA_OK);
    assert_memory_equal(name.data, "k", 1);
    assert_int_equal(strata_keys_next(keys, &name, NULL), STRATA_MISS);
    strata_keys_close(&keys);
    strata_close(&cache);
}

static void memory_has_a_bound_and_need_not_be_taken(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct strata_keys *keys = NULL;
    struct strata_error error;
    size_t count;
    fill(PREFIX, 20000);
    assert_int_equal(
        strata_keys_open(&keys, cache, &(struct strata_keys_options){.max_bytes = 100000}),
        STRATA_OK);
    assert_int_equal(walk_all(keys, &count, &error), STRATA_ERR_TOO_BIG);
    assert_true(count > 500 && count < 20000);
    char told[64];
    (void)snprintf(told, sizeof told, "%zu names have been told", count);
    assert_non_null(strstr(error.text, told));
    assert_non_null(strstr(error.text, "max_bytes (100000)"));
    strata_keys_close(&keys);
    assert_int_equal(
        strata_keys_open(&keys, cache,
                         &(struct strata_keys_options){.max_bytes = 1, .repeats = STRATA_ON}),
        STRATA_OK);
    assert_int_equal(walk_all(keys, &count, NULL), STRATA_MISS);
    assert_true(count >= 20000);
    strata_keys_close(&keys);
    strata_close(&cache);
}

static void options_are_checked(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct strata_keys *keys = NULL;
    static const struct strata_keys_options wrong[] = {
        {.page = 100001}, {.share = 101}, {.patience_ms = 3600001}, {.pattern = {NULL, 1}}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(strata_keys_open(&keys, cache, &wrong[i]), STRATA_ERR_INVALID);
    char *pattern = calloc(1, 70000);
    assert_int_equal(
        strata_keys_open(&keys, cache,
                         &(struct strata_keys_options){.pattern = strata_bytes(pattern, 70000)}),
        STRATA_ERR_TOO_BIG);
    free(pattern);
    assert_null(keys);
    assert_int_equal(strata_keys_open(&keys, cache, NULL), STRATA_OK);
    strata_keys_close(&keys); /* it has asked nothing */
    strata_keys_close(&keys);
    strata_close(&cache);
}

/* Half of the names are taken, then all connections break; cursors of the old ones go on to mean
 * something, but nobody can know that. */
static void connections_that_break_lose_no_key(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct strata_keys *keys = NULL;
    struct strata_bytes name;
    struct name_list named = {.count = 0}, expected;
    fill(PREFIX "k:", 60000);
    assert_int_equal(strata_keys_open(&keys, cache, &(struct strata_keys_options){.page = 50}),
                     STRATA_OK);
    for (unsigned kills = 0; kills < 3; kills++) {
        for (unsigned i = 0; i < 15000; i++) {
            assert_int_equal(strata_keys_next(keys, &name, NULL), STRATA_OK);
            name_list_add(&named, name);
        }
        freeReplyObject(redisCommand(cache_rig_foreign(), "CLIENT KILL TYPE normal SKIPME yes"));
    }
    while (strata_keys_next(keys, &name, NULL) == STRATA_OK)
        name_list_add(&named, name);
    strata_keys_close(&keys);
    expected = oracle(PREFIX, strata_text("*"));
    name_list_assert_equal(&named, &expected);
    name_list_clear(&named);
    name_list_clear(&expected);
    strata_close(&cache);
}

static void a_user_without_the_right_to_scan_is_told(void **state)
{
    (void)state;
    char url[128];
    struct strata_keys *keys = NULL;
    struct strata_error error;
    size_t count;
    freeReplyObject(redisCommand(cache_rig_foreign(), "ACL SETUSER meek on >pw ~* &* +@all -scan"));
    (void)snprintf(url, sizeof url, "redis://meek:pw@%s", strstr(cache_rig_url(), "127."));
    struct strata *cache = cache_rig_open((struct strata_options){.redis_url = url});
    assert_int_equal(strata_keys_open(&keys, cache, NULL), STRATA_OK);
    assert_int_equal(walk_all(keys, &count, &error), STRATA_ERR_DENIED);
    assert_int_equal(count, 0);
    assert_non_null(strstr(error.text, "NOPERM"));
    assert_non_null(strstr(error.text, "127.0.0.1:"));
    strata_keys_close(&keys);
    strata_close(&cache);
}

/* A server of its own, for it dies. */
static void a_server_that_dies_in_the_middle_is_told(void **state)
{
    (void)state;
    struct redis_server *server;
    struct strata_keys *keys = NULL;
    struct strata_bytes name;
    struct strata_error error;
    size_t count;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    struct strata *cache =
        cache_rig_open((struct strata_options){.redis_url = redis_server_url(server)});
    redisContext *redis = redisConnectUnix(redis_server_socket(server));
    freeReplyObject(redisCommand(redis, "EVAL %s 0",
                                 "for i=1,100000 do redis.call('SET','atp:cache:'..i,'x') end"));
    redisFree(redis);
    assert_int_equal(
        strata_keys_open(&keys, cache,
                         &(struct strata_keys_options){.page = 50, .patience_ms = 300}),
        STRATA_OK);
    assert_int_equal(strata_keys_next(keys, &name, NULL), STRATA_OK);
    redis_server_kill9(server);
    int status = walk_all(keys, &count, &error);
    assert_true(status == STRATA_ERR_UNAVAILABLE || status == STRATA_ERR_LOST);
    assert_true(count < 99999);
    assert_non_null(strstr(error.text, "127.0.0.1:"));
    strata_keys_close(&keys);
    strata_close(&cache);
    redis_server_stop(&server);
}

/* What is under way then is nobody's loss. */
static void an_iterator_may_be_closed_at_any_time(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    fill(PREFIX, 30000);
    for (unsigned i = 0; i < 40; i++) {
        struct strata_keys *keys = NULL;
        struct strata_bytes name;
        assert_int_equal(strata_keys_open(&keys, cache, NULL), STRATA_OK);
        for (unsigned n = 0; n < i * 50; n++)
            assert_int_equal(strata_keys_next(keys, &name, NULL), STRATA_OK);
        strata_keys_close(&keys);
    }
    strata_close(&cache); /* with one perhaps under way */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_key_is_named_once, cache_rig_flush),
        cmocka_unit_test_setup(names_and_patterns_may_be_any_bytes, cache_rig_flush),
        cmocka_unit_test_setup(what_l1_has_alone_is_named_and_what_it_knows_to_be_absent_is_not,
                               cache_rig_flush),
        cmocka_unit_test_setup(keys_of_stratas_own_are_not_named, cache_rig_flush),
        cmocka_unit_test_setup(what_goes_back_to_l1_meanwhile_is_named, cache_rig_flush),
        cmocka_unit_test_setup(memory_has_a_bound_and_need_not_be_taken, cache_rig_flush),
        cmocka_unit_test_setup(options_are_checked, cache_rig_flush),
        cmocka_unit_test_setup(connections_that_break_lose_no_key, cache_rig_flush),
        cmocka_unit_test_setup(a_user_without_the_right_to_scan_is_told, cache_rig_flush),
        cmocka_unit_test_setup(a_server_that_dies_in_the_middle_is_told, cache_rig_flush),
        cmocka_unit_test_setup(an_iterator_may_be_closed_at_any_time, cache_rig_flush),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
