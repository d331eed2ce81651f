/* SPDX-License-Identifier: MIT
 *
 * strata replay against a real Redis: what it counts, what it notices, how it ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "integration/strata_program.h"

#define TRACE STRATA_SOURCE_DIR "/bench/traces/orm_busy.rks.zst"

#define REPLAY(fixture, input, file, ...)                                                          \
    (command_result_fini(&(fixture)->result),                                                      \
     strata_run(&(fixture)->result, input, (fixture)->url, "replay", file, __VA_ARGS__, NULL))

/* What a replay with --json says of one side. */
struct counts {
    json_int_t requests, hits, loader, wrong, errors;
};

static struct counts counts_of(const struct command_result *result, const char *side)
{
    struct counts counts;
    json_t *document = strata_json(result);
    assert_int_equal(json_unpack(document, "{s:{s:I,s:I,s:I,s:I,s:I}}", side, "requests",
                                 &counts.requests, "hits", &counts.hits, "loader", &counts.loader,
                                 "wrong", &counts.wrong, "errors", &counts.errors),
                     0);
    json_decref(document);
    return counts;
}

static long long keys_stored(struct strata_fixture *fixture)
{
    redisReply *reply = redisCommand(fixture->redis, "DBSIZE");
    long long count = reply->integer;
    freeReplyObject(reply);
    return count;
}

static void one_connection_loads_every_key_once(void **state)
{
    struct strata_fixture *f = *state;
    assert_int_equal(REPLAY(f, NULL, TRACE, "--limit", "20000", "--connections=1", "--json"), 0);
    struct counts counts = counts_of(&f->result, "through");
    assert_int_equal(counts.requests, 20000);
    assert_int_equal(counts.hits + counts.loader, 20000);
    assert_int_equal(counts.loader, keys_stored(f));
    assert_int_equal(counts.loader, 4174); /* distinct keys of the trace's first 20,000 requests */
    assert_string_equal(f->result.err, "");
}

static void a_warm_cache_answers_everything(void **state)
{
    struct strata_fixture *f = *state;
    for (int warm = 0; warm < 2; warm++) {
        assert_int_equal(REPLAY(f, NULL, TRACE, "--limit=5000", "--prefix=p:", "--json"), 0);
        struct counts counts = counts_of(&f->result, "through");
        assert_int_equal(counts.hits + counts.loader, 5000);
        assert_true(warm ? counts.loader == 0 : counts.loader > 0);
    }
}

static void many_connections_and_deep_pipelines_get_the_right_values(void **state)
{
    struct strata_fixture *f = *state;
    assert_int_equal(REPLAY(f, NULL, TRACE, "--limit", "50000", "--connections", "16", "--pipeline",
                            "64", "--value-bytes", "3000", "--json"),
                     0);
    struct counts counts = counts_of(&f->result, "through");
    assert_int_equal(counts.hits + counts.loader, 50000);
    assert_int_equal(counts.wrong + counts.errors, 0);
}

static void the_compared_server_is_asked_the_same_under_other_keys(void **state)
{
    struct strata_fixture *f = *state;
    assert_int_equal(REPLAY(f, NULL, TRACE, "--limit", "5000", "--compare", f->url, "--connections",
                            "1", "--json"),
                     0);
    struct counts through = counts_of(&f->result, "through");
    struct counts direct = counts_of(&f->result, "direct");
    assert_int_equal(direct.requests, 5000);
    assert_int_equal(direct.loader, through.loader);
    assert_int_equal(keys_stored(f), through.loader + direct.loader);
}

static void what_is_stored_lives_as_long_as_told(void **state)
{
    struct strata_fixture *f = *state;
    assert_int_equal(REPLAY(f, NULL, TRACE, "--limit", "1", "--ttl", "77", "--prefix", "p:"), 0);
    redisReply *reply = redisCommand(f->redis, "PTTL p:t:00000000010000f0");
    assert_in_range(reply->integer, 20000, 77000);
    freeReplyObject(reply);
}

static void it_stops_when_its_time_is_over(void **state)
{
    struct strata_fixture *f = *state;
    assert_int_equal(REPLAY(f, NULL, TRACE, "--duration", "0.2", "--json"), 0);
    struct counts counts = counts_of(&f->result, "through");
    assert_in_range(counts.requests, 1, 4999999);
    assert_int_equal(counts.hits + counts.loader, counts.requests);
}

static void the_table_has_what_it_promises(void **state)
{
    static const char *const rows[] = {
        "requests",    "answered by the server", "answered by the loader", "hit ratio",
        "latency p50", "latency p99 ",           "latency p99.9",          "directly",
        " us\n",       "4 connections"};
    struct strata_fixture *f = *state;
    assert_int_equal(REPLAY(f, NULL, TRACE, "--limit", "5000", "--compare", f->url), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_non_null(strstr(f->result.out, rows[i]));
    assert_string_equal(f->result.err, "");
}

static void progress_is_for_terminals(void **state)
{
    const struct command_input input = {.terminal = true};
    struct strata_fixture *f = *state;
    assert_int_equal(REPLAY(f, &input, TRACE, "--limit", "100000"), 0);
    assert_non_null(strstr(f->result.out, " %  "));
    assert_non_null(strstr(f->result.out, "\r\x1b[K"));
}

static void a_wrong_value_is_noticed_and_named(void **state)
{
    struct strata_fixture *f = *state;
    assert_int_equal(REPLAY(f, NULL, TRACE, "--limit", "100", "--prefix", "p:"), 0);
    /* The value of another key, as a mixed-up reply would bring it. */
    freeReplyObject(
        redisCommand(f->redis, "COPY p:t:0000000000020088 p:t:00000000010000f0 REPLACE"));
    assert_int_equal(REPLAY(f, NULL, TRACE, "--limit", "100", "--prefix", "p:"), 1);
    assert_non_null(strstr(f->result.out, "WRONG VALUES"));
    assert_non_null(strstr(f->result.err, "key 00000000010000f0 was answered with 100 bytes: "
                                          "\"0000000000020088:"));
    assert_int_equal(REPLAY(f, NULL, TRACE, "--limit", "1", "--prefix", "p:", "--json"), 1);
    assert_int_equal(counts_of(&f->result, "through").wrong, 1);
}

static void error_replies_are_counted_and_the_first_is_shown(void **state)
{
    struct strata_fixture *f = *state;
    freeReplyObject(redisCommand(f->redis, "LPUSH p:t:00000000010000f0 x"));
    assert_int_equal(REPLAY(f, NULL, TRACE, "--limit", "1", "--prefix", "p:"), 1);
    assert_non_null(strstr(f->result.err, "WRONGTYPE"));
    assert_non_null(strstr(f->result.out, "error replies"));
}

/* A copy of the first `len` bytes of the shipped trace; unlinked by the caller. */
static void copy_part(char *path, size_t len)
{
    char *bytes = malloc(len);
    FILE *whole = fopen(TRACE, "rb");
    int fd = mkstemp(path);
    assert_true(bytes != NULL && whole != NULL && fd >= 0);
    assert_int_equal(fread(bytes, 1, len, whole), len);
    assert_int_equal(write(fd, bytes, len), len);
    (void)fclose(whole);
    (void)close(fd);
    free(bytes);
}

static void a_trace_that_is_cut_short_or_missing_is_an_error_with_its_place(void **state)
{
    struct strata_fixture *f = *state;
    char path[] = "/tmp/strata-test-cut-XXXXXX";
    copy_part(path, 20000);
    int code = REPLAY(f, NULL, path, "--json");
    (void)unlink(path);
    assert_int_equal(code, 1);
    assert_non_null(strstr(f->result.err, path));
    assert_non_null(strstr(f->result.err, "at byte 20000 of 20000"));
    json_decref(strata_json(&f->result));
    assert_int_equal(REPLAY(f, NULL, "/nonexistent.rks.zst", "--json"), 1);
}

static void options_out_of_bounds_are_refused(void **state)
{
    struct strata_fixture *f = *state;
    assert_int_equal(REPLAY(f, NULL, TRACE, "--connections", "0"), 2);
    assert_int_equal(REPLAY(f, NULL, TRACE, "--connections", "257"), 2);
    assert_int_equal(REPLAY(f, NULL, TRACE, "--pipeline", "1025"), 2);
    assert_int_equal(REPLAY(f, NULL, TRACE, "--value-bytes", "31"), 2);
    assert_int_equal(REPLAY(f, NULL, TRACE, "--limit", "0"), 2);
    assert_int_equal(REPLAY(f, NULL, TRACE, "--compare", "x"), 2);
    assert_int_equal(REPLAY(f, NULL, TRACE, "--prefix",
                            "0123456789012345678901234567890123456789012345678901234567890123"),
                     2);
    assert_int_equal(keys_stored(f), 0);
}

static void a_server_that_is_not_there_ends_it_with_code_3(void **state)
{
    struct strata_fixture *f = *state;
    assert_int_equal(REPLAY(f, NULL, TRACE, "--compare", "redis://127.0.0.1:1"), 3);
    command_result_fini(&f->result);
    assert_int_equal(strata_run(&f->result, NULL, "redis://127.0.0.1:1", "replay", TRACE, NULL), 3);
}

static void a_server_that_falls_silent_ends_it_with_code_5(void **state)
{
    struct strata_fixture *f = *state;
    redis_server_freeze(f->server);
    int code = REPLAY(f, NULL, TRACE, "--timeout", "0.2");
    redis_server_thaw(f->server);
    assert_int_equal(code, 5);
}

/* The first server answers all along; the other one takes connections, and that is all. */
static void a_compared_server_that_falls_silent_ends_it_too(void **state)
{
    struct strata_fixture *f = *state;
    struct redis_server *other = NULL;
    assert_int_equal(redis_server_start(&other, NULL), 0);
    redis_server_freeze(other);
    int code = REPLAY(f, NULL, TRACE, "--compare", redis_server_url(other), "--timeout", "0.2");
    redis_server_thaw(other);
    redis_server_stop(&other);
    assert_int_equal(code, 5);
    assert_non_null(strstr(f->result.err, "no answer within 0.2 s"));
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, strata_fixture_empty, strata_fixture_discard)
    const struct CMUnitTest tests[] = {
        TEST(one_connection_loads_every_key_once),
        TEST(a_warm_cache_answers_everything),
        TEST(many_connections_and_deep_pipelines_get_the_right_values),
        TEST(the_compared_server_is_asked_the_same_under_other_keys),
        TEST(what_is_stored_lives_as_long_as_told),
        TEST(it_stops_when_its_time_is_over),
        TEST(the_table_has_what_it_promises),
        TEST(progress_is_for_terminals),
        TEST(a_wrong_value_is_noticed_and_named),
        TEST(error_replies_are_counted_and_the_first_is_shown),
        TEST(a_trace_that_is_cut_short_or_missing_is_an_error_with_its_place),
        TEST(options_out_of_bounds_are_refused),
        TEST(a_server_that_is_not_there_ends_it_with_code_3),
        TEST(a_server_that_falls_silent_ends_it_with_code_5),
        TEST(a_compared_server_that_falls_silent_ends_it_too),
    };
#undef TEST
    return cmocka_run_group_tests(tests, strata_fixture_open, strata_fixture_close);
}
