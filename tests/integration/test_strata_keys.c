/* SPDX-License-Identifier: MIT
 *
 * strata keys and strata invalidate, as a person runs them: before one Redis, and before a cluster
 * that the command finds out about by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "strata_program.h"
#include "support/redis_cluster.h"

static void fill(const struct strata_fixture *fixture, const char *prefix, unsigned count)
{
    freeReplyObject(redisCommand(
        fixture->redis, "EVAL %s 0 %s %u",
        "for i=1,tonumber(ARGV[2]) do redis.call('SET',ARGV[1]..i,'x') end", prefix, count));
}

static long long size_of(const struct strata_fixture *fixture)
{
    redisReply *reply = redisCommand(fixture->redis, "DBSIZE");
    long long size = reply->integer;
    freeReplyObject(reply);
    return size;
}

static int compare(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Takes the text apart. */
static size_t sorted_lines(char *text, char **lines, size_t cap)
{
    size_t count = 0;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;)
        if (line[0] != '\0' && count < cap)
            lines[count++] = line;
    qsort(lines, count, sizeof *lines, compare);
    return count;
}

static void keys_prints_what_redis_cli_prints(void **state)
{
    static const char *const patterns[] = {"*", "user:1*", "*9", "user:[^1-8]??", "nobody"};
    static char *ours[8000], *theirs[8000];
    struct strata_fixture *fixture = *state;
    fill(fixture, "user:", 3000);
    fill(fixture, "order:", 500);
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        struct command_result oracle = {0};
        const char *const argv[] = {"redis-cli", "-s",        redis_server_socket(fixture->server),
                                    "--scan",    "--pattern", patterns[i],
                                    NULL};
        command_run(&oracle, NULL, argv);
        assert_int_equal(oracle.code, 0);
        assert_int_equal(
            strata_run(&fixture->result, NULL, fixture->url, "keys", patterns[i], NULL), 0);
        size_t count = sorted_lines(fixture->result.out, ours, 8000);
        assert_int_equal(sorted_lines(oracle.out, theirs, 8000), count);
        for (size_t n = 0; n < count; n++)
            assert_string_equal(ours[n], theirs[n]);
        command_result_fini(&oracle);
        command_result_fini(&fixture->result);
    }
}

static void keys_prints_as_many_as_are_wanted_and_any_bytes_as_json(void **state)
{
    struct strata_fixture *fixture = *state;
    fill(fixture, "k", 100);
    assert_int_equal(
        strata_run(&fixture->result, NULL, fixture->url, "keys", "*", "--count", "7", NULL), 0);
    static char *lines[200];
    assert_int_equal(sorted_lines(fixture->result.out, lines, 200), 7);
    command_result_fini(&fixture->result);
    freeReplyObject(redisCommand(fixture->redis, "SET %b x", "\xff\0", (size_t)2));
    assert_int_equal(
        strata_run(&fixture->result, NULL, fixture->url, "--json", "keys", "\xff*", NULL), 0);
    json_t *document = strata_json(&fixture->result);
    json_t *keys = json_object_get(document, "keys");
    assert_int_equal(json_array_size(keys), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(keys, 0), "key_base64")),
                        "/wA=");
    json_decref(document);
}

static void invalidate_deletes_keys_by_name(void **state)
{
    struct strata_fixture *fixture = *state;
    fill(fixture, "k", 3);
    assert_int_equal(
        strata_run(&fixture->result, NULL, fixture->url, "invalidate", "k1", "k2", NULL), 0);
    assert_string_equal(fixture->result.out, "2\n");
    command_result_fini(&fixture->result);
    assert_int_equal(
        strata_run(&fixture->result, NULL, fixture->url, "invalidate", "k1", "k3", NULL), 6);
    assert_string_equal(fixture->result.out, "1\n");
    command_result_fini(&fixture->result);
    assert_int_equal(strata_run(&fixture->result, NULL, fixture->url, "invalidate", "k1", NULL), 1);
    assert_int_equal(size_of(fixture), 0);
}

static void invalidate_deletes_what_matches_and_counts_it(void **state)
{
    struct strata_fixture *fixture = *state;
    fill(fixture, "s:", 2000);
    fill(fixture, "t:", 10);
    assert_int_equal(strata_run(&fixture->result, NULL, fixture->url, "invalidate", "--pattern",
                                "s:1*", "--dry-run", NULL),
                     0);
    assert_string_equal(fixture->result.out, "1111\n");
    assert_int_equal(size_of(fixture), 2010);
    command_result_fini(&fixture->result);
    assert_int_equal(strata_run(&fixture->result, NULL, fixture->url, "invalidate", "--pattern",
                                "s:1*", "--share", "100", NULL),
                     0);
    assert_string_equal(fixture->result.out, "1111\n");
    assert_int_equal(size_of(fixture), 899);
    command_result_fini(&fixture->result);
    assert_int_equal(strata_run(&fixture->result, NULL, fixture->url, "--json", "invalidate",
                                "--pattern", "s:*", NULL),
                     0);
    json_t *document = strata_json(&fixture->result);
    assert_int_equal(json_integer_value(json_object_get(document, "deleted")), 889);
    assert_int_equal(json_integer_value(json_object_get(document, "unsure")), 0);
    json_decref(document);
    assert_int_equal(size_of(fixture), 10);
}

/* The first key of a barrier that is put up from now on. */
static void assert_barrier_in(redisContext *monitor, const char *name)
{
    char word[64];
    (void)snprintf(word, sizeof word, "\"%s\"", name);
    for (bool found = false; !found;) {
        redisReply *line = NULL;
        assert_int_equal(redisGetReply(monitor, (void **)&line), REDIS_OK);
        found = strstr(line->str, "strata:barriers") != NULL;
        if (found && strstr(line->str, word) == NULL)
            fail_msg("%s", line->str);
        freeReplyObject(line);
    }
}

static redisContext *monitor_begin(const struct strata_fixture *fixture)
{
    redisContext *monitor = redisConnectUnix(redis_server_socket(fixture->server));
    assert_int_equal(redisSetTimeout(monitor, (struct timeval){.tv_sec = 20}), REDIS_OK);
    redisReply *reply = redisCommand(monitor, "MONITOR");
    assert_non_null(reply);
    freeReplyObject(reply);
    return monitor;
}

/* The barrier stands where the caches of that prefix look. */
static void with_a_key_prefix_it_is_the_caches_names_that_match(void **state)
{
    struct strata_fixture *fixture = *state;
    redisContext *monitor = monitor_begin(fixture);
    fill(fixture, "app:s:", 100);
    fill(fixture, "s:", 50);
    assert_int_equal(strata_run(&fixture->result, NULL, fixture->url, "invalidate", "--key-prefix",
                                "app:", "--pattern", "s:1*", "--dry-run", NULL),
                     0);
    assert_string_equal(fixture->result.out, "12\n");
    assert_string_equal(fixture->result.err, "strata: 12 keys that match app:s:1* are there\n");
    assert_int_equal(size_of(fixture), 150);
    command_result_fini(&fixture->result);
    assert_int_equal(strata_run(&fixture->result, NULL, fixture->url, "invalidate", "--key-prefix",
                                "app:", "--pattern", "s:1*", NULL),
                     0);
    assert_string_equal(fixture->result.out, "12\n");
    assert_string_equal(fixture->result.err, "strata: 12 keys that match app:s:1* were deleted\n");
    assert_int_equal(size_of(fixture), 138);
    assert_barrier_in(monitor, "app:strata:barriers");
    command_result_fini(&fixture->result);
    assert_int_equal(strata_run(&fixture->result, NULL, fixture->url, "--json", "invalidate",
                                "--key-prefix=app:", "--pattern=*", NULL),
                     0);
    json_t *document = strata_json(&fixture->result);
    assert_int_equal(json_integer_value(json_object_get(document, "deleted")), 88);
    assert_string_equal(json_string_value(json_object_get(document, "key_prefix")), "app:");
    json_decref(document);
    command_result_fini(&fixture->result);
    assert_int_equal(strata_run(&fixture->result, NULL, fixture->url, "invalidate", "--key-prefix",
                                "s:", "1", "2", "51", NULL),
                     6);
    assert_string_equal(fixture->result.out, "2\n");
    assert_int_equal(size_of(fixture), 48);
    redisFree(monitor);
}

static void without_one_they_are_whole_names(void **state)
{
    struct strata_fixture *fixture = *state;
    redisContext *monitor = monitor_begin(fixture);
    fill(fixture, "app:s:", 100);
    assert_int_equal(strata_run(&fixture->result, NULL, fixture->url, "invalidate", "--pattern",
                                "app:s:1*", NULL),
                     0);
    assert_string_equal(fixture->result.out, "12\n");
    assert_string_equal(fixture->result.err, "");
    assert_barrier_in(monitor, "strata:barriers");
    redisFree(monitor);
}

static void what_is_not_clear_deletes_nothing(void **state)
{
    struct strata_fixture *fixture = *state;
    static const char *const lines[][5] = {{"invalidate", NULL},
                                           {"invalidate", "k1", "--pattern", "*", NULL},
                                           {"invalidate", "--pattern", "", NULL},
                                           {"invalidate", "k1", "--dry-run", NULL},
                                           {"invalidate", "--pattern", "*", "--share=101", NULL}};
    fill(fixture, "k", 3);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(strata_run(&fixture->result, NULL, fixture->url, lines[i][0], lines[i][1],
                                    lines[i][2], lines[i][3], lines[i][4], NULL),
                         2);
        command_result_fini(&fixture->result);
    }
    assert_int_equal(size_of(fixture), 3);
}

static void nobody_there_is_told(void **state)
{
    struct strata_fixture *fixture = *state;
    static const char url[] = "unix:///nowhere/at/all";
    assert_int_equal(strata_run(&fixture->result, NULL, url, "keys", "*", NULL), 3);
    command_result_fini(&fixture->result);
    assert_int_equal(strata_run(&fixture->result, NULL, url, "invalidate", "k", NULL), 3);
}

/* From any node, the keys of all. */
static void a_cluster_is_recognized(void **state)
{
    struct strata_fixture *fixture = *state;
    struct redis_cluster *cluster;
    char url[64], key[32];
    assert_int_equal(redis_cluster_start(&cluster, &(struct redis_cluster_config){0}), 0);
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(key, sizeof key, "c:%u", i);
        int owner = redis_cluster_primary(cluster, redis_cluster_slot(cluster, key));
        assert_int_equal(redis_cluster_tell(cluster, (unsigned)owner, "SET %s x", key), 0);
    }
    (void)snprintf(url, sizeof url, "redis://%s", redis_cluster_address(cluster, 1));
    static char *lines[400];
    assert_int_equal(strata_run(&fixture->result, NULL, url, "keys", "c:*", NULL), 0);
    assert_int_equal(sorted_lines(fixture->result.out, lines, 400), 300);
    command_result_fini(&fixture->result);
    assert_int_equal(
        strata_run(&fixture->result, NULL, url, "invalidate", "c:0", "c:1", "c:2", "c:3", NULL), 0);
    assert_string_equal(fixture->result.out, "4\n");
    command_result_fini(&fixture->result);
    assert_int_equal(
        strata_run(&fixture->result, NULL, url, "invalidate", "--pattern", "c:*", NULL), 0);
    assert_string_equal(fixture->result.out, "296\n");
    redis_cluster_stop(&cluster);
}

#define CASE(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, strata_fixture_empty, strata_fixture_discard)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(keys_prints_what_redis_cli_prints),
        CASE(keys_prints_as_many_as_are_wanted_and_any_bytes_as_json),
        CASE(invalidate_deletes_keys_by_name),
        CASE(invalidate_deletes_what_matches_and_counts_it),
        CASE(with_a_key_prefix_it_is_the_caches_names_that_match),
        CASE(without_one_they_are_whole_names),
        CASE(what_is_not_clear_deletes_nothing),
        CASE(nobody_there_is_told),
        CASE(a_cluster_is_recognized),
    };
    return cmocka_run_group_tests(tests, strata_fixture_open, strata_fixture_close);
}
