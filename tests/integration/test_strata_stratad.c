/* SPDX-License-Identifier: MIT
 *
 * strata against stratad: what only stratad has, and that everything else works there as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "integration/strata_program.h"
#include "support/stratad_process.h"

#define TRACE STRATA_SOURCE_DIR "/bench/traces/orm_busy.rks.zst"

/* A stratad before the fixture's Redis, and its URL. */
static struct stratad_process *start(struct strata_fixture *fixture, const char *const *arguments,
                                     char url[160])
{
    struct stratad_process *stratad = NULL;
    assert_int_equal(stratad_process_start(&stratad, redis_server_url(fixture->server), arguments),
                     0);
    (void)snprintf(url, 160, "unix://%s", stratad_process_socket(stratad));
    return stratad;
}

static int run(struct strata_fixture *fixture, const char *url, const char *command,
               const char *first, const char *second)
{
    command_result_fini(&fixture->result);
    return strata_run(&fixture->result, NULL, url, command, first, second, NULL);
}

static void values_go_through_it_and_are_in_redis(void **state)
{
    struct strata_fixture *f = *state;
    char url[160];
    struct stratad_process *stratad = start(f, NULL, url);
    assert_int_equal(run(f, url, "ping", NULL, NULL), 0);
    assert_int_equal(run(f, url, "set", "k", "v"), 0);
    redisReply *reply = redisCommand(f->redis, "GET k");
    assert_string_equal(reply->str, "v");
    freeReplyObject(reply);
    assert_int_equal(run(f, url, "get", "k", NULL), 0);
    assert_string_equal(f->result.out, "v");
    assert_int_equal(run(f, url, "get", "k", "none"), 6);
    assert_int_equal(run(f, url, "del", "k", NULL), 0);
    assert_int_equal(run(f, url, "get", "k", NULL), 1);
    stratad_process_stop(&stratad);
}

static void stats_are_its_counters_as_lines_and_as_its_document(void **state)
{
    struct strata_fixture *f = *state;
    char url[160];
    struct stratad_process *stratad = start(f, NULL, url);
    assert_int_equal(run(f, url, "set", "k", "v"), 0);
    assert_int_equal(run(f, url, "get", "k", NULL), 0);
    assert_int_equal(run(f, url, "get", "k", NULL), 0);
    assert_int_equal(run(f, url, "stats", NULL, NULL), 0);
    assert_non_null(strstr(f->result.out, "\nl1.hits "));
    assert_non_null(strstr(f->result.out, "\nsessions.open "));
    assert_int_equal(run(f, url, "stats", "--json", NULL), 0);
    json_t *document = strata_json(&f->result);
    json_int_t hits = 0;
    assert_int_equal(json_unpack(document, "{s:{s:I}}", "l1", "hits", &hits), 0);
    assert_in_range(hits, 1, 2);
    json_decref(document);
    stratad_process_stop(&stratad);
}

static void latency_is_shown_by_operation_and_tier(void **state)
{
    struct strata_fixture *f = *state;
    char url[160];
    struct stratad_process *stratad = start(f, NULL, url);
    for (int i = 0; i < 3; i++)
        assert_int_equal(run(f, url, "set", "k", "v"), 0);
    for (int i = 0; i < 200; i++)
        assert_int_equal(run(f, url, "get", "k", NULL), 0);
    assert_int_equal(run(f, url, "latency", NULL, NULL), 0);
    assert_int_equal(strncmp(f->result.out, "operation tier", 14), 0);
    assert_non_null(strstr(f->result.out, "\nset       l2              3"));
    assert_non_null(strstr(f->result.out, "\nget       l1 "));
    assert_null(strstr(f->result.out, "\ndelete"));
    assert_int_equal(run(f, url, "latency", "--json", NULL), 0);
    json_t *document = strata_json(&f->result);
    json_int_t count = 0;
    double p99 = 0, mean = 0;
    assert_int_equal(json_unpack(document, "{s:{s:{s:I,s:F,s:F}}}", "set", "l2", "count", &count,
                                 "p99_seconds", &p99, "mean_seconds", &mean),
                     0);
    assert_int_equal(count, 3);
    assert_true(p99 >= mean / 2 && mean > 0);
    json_decref(document);
    command_result_fini(&f->result);
    assert_int_equal(strata_run(&f->result, NULL, url, "latency", "--watch", "--count", "2",
                                "--interval", "0.01", NULL),
                     0);
    const char *second = strstr(f->result.out + 1, "operation tier");
    assert_non_null(second);
    stratad_process_stop(&stratad);
}

static void what_is_not_timed_has_no_latency(void **state)
{
    static const char *const arguments[] = {"--metrics-enabled", "false", NULL};
    struct strata_fixture *f = *state;
    char url[160];
    struct stratad_process *stratad = start(f, arguments, url);
    assert_int_equal(run(f, url, "latency", NULL, NULL), 1);
    assert_non_null(strstr(f->result.err, "CACHE_METRICS_ENABLED"));
    assert_int_equal(run(f, f->url, "latency", NULL, NULL), 1); /* a Redis */
    stratad_process_stop(&stratad);
}

/* Replays, and returns what was answered by each tier. */
static void replay(struct strata_fixture *fixture, const char *url, json_int_t counts[4])
{
    command_result_fini(&fixture->result);
    assert_int_equal(strata_run(&fixture->result, NULL, url, "replay", TRACE, "--limit", "20000",
                                "--pipeline", "8", "--compare", fixture->url, "--json", NULL),
                     0);
    json_t *document = strata_json(&fixture->result);
    assert_int_equal(json_unpack(document, "{s:{s:I,s:I,s:I,s:I}}", "through", "hits", &counts[0],
                                 "l1", &counts[1], "l2", &counts[2], "loader", &counts[3]),
                     0);
    json_decref(document);
}

static void a_replay_tells_what_each_tier_answered(void **state)
{
    struct strata_fixture *f = *state;
    char url[160];
    json_int_t counts[4];
    struct stratad_process *stratad = start(f, NULL, url);
    replay(f, url, counts);
    assert_int_equal(counts[0], counts[1] + counts[2]);
    assert_int_equal(counts[0] + counts[3], 20000);
    assert_true(counts[1] > 10000); /* the trace has 4,174 keys here */
    stratad_process_stop(&stratad);
}

static void without_l1_everything_found_comes_from_l2(void **state)
{
    static const char *const arguments[] = {"--l1-enabled", "false", NULL};
    struct strata_fixture *f = *state;
    char url[160];
    json_int_t counts[4];
    struct stratad_process *stratad = start(f, arguments, url);
    replay(f, url, counts);
    assert_int_equal(counts[1], 0);
    assert_int_equal(counts[2], counts[0]);
    stratad_process_stop(&stratad);
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, strata_fixture_empty, strata_fixture_discard)
    const struct CMUnitTest tests[] = {
        TEST(values_go_through_it_and_are_in_redis),
        TEST(stats_are_its_counters_as_lines_and_as_its_document),
        TEST(latency_is_shown_by_operation_and_tier),
        TEST(what_is_not_timed_has_no_latency),
        TEST(a_replay_tells_what_each_tier_answered),
        TEST(without_l1_everything_found_comes_from_l2),
    };
#undef TEST
    return cmocka_run_group_tests(tests, strata_fixture_open, strata_fixture_close);
}
