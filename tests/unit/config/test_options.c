/* SPDX-License-Identifier: MIT
 *
 * The library's options as callers use them: from the environment, and resolved.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/options.h"

static int clean_environment(void **state)
{
    (void)state;
    return clearenv();
}

/* ---- from the environment ---- */

static void an_empty_environment_gives_the_defaults(void **state)
{
    (void)state;
    struct strata_options options = {0};
    assert_int_equal(strata_options_from_environment(&options, NULL), STRATA_OK);
    assert_int_equal(options.l1_max_size, 1000);
    assert_string_equal(options.l2_key_prefix, "atp:cache:");
    assert_int_equal(options.socket_timeout_ms, 5000);
    assert_non_null(options.owned);
    strata_options_fini(&options);
    assert_null(options.owned);
    assert_null(options.l2_key_prefix);
}

static void variables_are_taken(void **state)
{
    (void)state;
    struct strata_options options = {0};
    setenv("CACHE_L1_TTL", "0.5", 1);
    setenv("REDIS_CLUSTER_NODES", "[\"a:1\"]", 1);
    assert_int_equal(strata_options_from_environment(&options, NULL), STRATA_OK);
    assert_int_equal(options.l1_ttl_ms, 500);
    assert_string_equal(options.cluster_nodes[0], "a:1");
    strata_options_fini(&options);
}

static void a_bad_variable_leaves_the_options_untouched(void **state)
{
    (void)state;
    struct strata_options options, before;
    struct strata_error error;
    memset(&options, 0xa5, sizeof options);
    options.log_sink = NULL;
    before = options;
    setenv("CACHE_L1_TTL", "5", 1);
    setenv("CACHE_READ_THROUGH", "maybe", 1);
    assert_int_equal(strata_options_from_environment(&options, &error), STRATA_ERR_CONFIG);
    assert_non_null(strstr(error.text, "CACHE_READ_THROUGH=\"maybe\""));
    assert_memory_equal(&options, &before, sizeof options);
}

static void count_line(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    (void)level;
    (void)room;
    assert_non_null(strstr(line, "did you mean CACHE_L1_TTL?"));
    ++*(int *)arg;
}

static void the_sink_that_stands_there_is_kept_and_warned(void **state)
{
    (void)state;
    int lines = 0;
    struct strata_options options = {.log_sink = count_line, .log_arg = &lines};
    setenv("CACHE_L1_TTTL", "5", 1);
    assert_int_equal(strata_options_from_environment(&options, NULL), STRATA_OK);
    assert_int_equal(lines, 1);
    assert_ptr_equal(options.log_sink, count_line);
    assert_ptr_equal(options.log_arg, &lines);
    strata_options_fini(&options);
}

/* ---- resolved ---- */

static void zero_fields_get_their_defaults(void **state)
{
    (void)state;
    struct strata_options in = {0};
    struct strata_options out;
    assert_int_equal(sta_options_resolve(&in, &out, NULL), STRATA_OK);
    assert_int_equal(out.l1_enabled, STRATA_ON);
    assert_int_equal(out.l1_ttl_ms, 300000);
    assert_int_equal(out.l1_max_size, 1000);
    assert_int_equal(out.l1_max_bytes, 64 << 20);
    assert_int_equal(out.l1_cleanup_interval_ms, 60000);
    assert_int_equal(out.l2_enabled, STRATA_ON);
    assert_int_equal(out.l2_ttl_ms, 3600000);
    assert_string_equal(out.l2_key_prefix, "atp:cache:");
    assert_string_equal(out.redis_url, "redis://localhost:6379/0");
    assert_int_equal(out.cluster_enabled, STRATA_OFF);
    assert_int_equal(out.cluster_node_count, 0);
    assert_int_equal(out.max_connections, 20);
    assert_int_equal(out.socket_timeout_ms, 5000);
    assert_int_equal(out.write_through, STRATA_ON);
    assert_int_equal(out.write_behind, STRATA_OFF);
    assert_null(out.write_behind_journal);
    assert_int_equal(out.read_through, STRATA_ON);
    assert_int_equal(out.null_values, STRATA_OFF);
    assert_int_equal(out.null_ttl_ms, 60000);
    assert_int_equal(out.invalidation_enabled, STRATA_ON);
    assert_int_equal(out.invalidation_batch_size, 100);
    assert_int_equal(out.invalidation_timeout_ms, 1000);
    assert_int_equal(out.metrics_enabled, STRATA_ON);
    assert_int_equal(out.metrics_detailed, STRATA_OFF);
    assert_int_equal(out.log_level, STRATA_LOG_INFO);
    assert_null(out.owned);
}

static void given_fields_stay_and_are_borrowed(void **state)
{
    (void)state;
    const char *nodes[] = {"a:1"};
    int arg = 0;
    struct strata_options in = {
        .l1_enabled = STRATA_OFF,
        .l1_ttl_ms = STRATA_UNLIMITED,
        .l1_max_size = STRATA_UNLIMITED,
        .l2_key_prefix = "",
        .redis_url = "unix:///run/r.sock",
        .cluster_nodes = nodes,
        .cluster_node_count = 1,
        .write_through = STRATA_OFF,
        .log_level = STRATA_LOG_ERROR,
        .log_sink = count_line,
        .log_arg = &arg,
        .owned = &arg,
    };
    struct strata_options out = in;
    assert_int_equal(sta_options_resolve(&out, &out, NULL), STRATA_OK);
    assert_int_equal(out.l1_enabled, STRATA_OFF);
    assert_true(out.l1_ttl_ms == STRATA_UNLIMITED);
    assert_true(out.l1_max_size == STRATA_UNLIMITED);
    assert_ptr_equal(out.l2_key_prefix, in.l2_key_prefix);
    assert_ptr_equal(out.redis_url, in.redis_url);
    assert_ptr_equal(out.cluster_nodes, nodes);
    assert_int_equal(out.write_through, STRATA_OFF);
    assert_int_equal(out.log_level, STRATA_LOG_ERROR);
    assert_ptr_equal(out.log_sink, count_line);
    assert_ptr_equal(out.log_arg, &arg);
    assert_null(out.owned);
}

static void what_the_environment_gave_resolves_to_itself(void **state)
{
    (void)state;
    struct strata_options options = {0};
    struct strata_options from_zero, from_environment;
    assert_int_equal(sta_options_resolve(&options, &from_zero, NULL), STRATA_OK);
    assert_int_equal(strata_options_from_environment(&options, NULL), STRATA_OK);
    assert_int_equal(sta_options_resolve(&options, &from_environment, NULL), STRATA_OK);
    assert_string_equal(from_environment.l2_key_prefix, from_zero.l2_key_prefix);
    assert_string_equal(from_environment.redis_url, from_zero.redis_url);
    from_environment.l2_key_prefix = from_zero.l2_key_prefix;
    from_environment.redis_url = from_zero.redis_url;
    assert_string_equal(from_environment.metrics_delimiter, from_zero.metrics_delimiter);
    from_environment.metrics_delimiter = from_zero.metrics_delimiter;
    assert_memory_equal(&from_environment, &from_zero, sizeof from_zero);
    strata_options_fini(&options);
}

static void check_refused(struct strata_options in, int status, const char *text)
{
    struct strata_options out, before;
    struct strata_error error = {0};
    memset(&out, 0xa5, sizeof out);
    before = out;
    assert_int_equal(sta_options_resolve(&in, &out, &error), status);
    assert_int_equal(error.status, status);
    assert_string_equal(error.text, text);
    assert_memory_equal(&out, &before, sizeof out);
}

static void values_out_of_bounds_are_named_by_their_field(void **state)
{
    (void)state;
    const char *nodes[] = {"a:1", "b"};
    check_refused((struct strata_options){.l1_max_bytes = 5}, STRATA_ERR_CONFIG,
                  "l1_max_bytes=5: too small; allowed: 64KiB to 1024GiB; bytes, or with KiB, MiB, "
                  "GiB");
    check_refused((struct strata_options){.max_connections = STRATA_UNLIMITED}, STRATA_ERR_CONFIG,
                  "max_connections=18446744073709551615: too large; allowed: 1 to 10000 "
                  "connections");
    check_refused((struct strata_options){.l1_enabled = (enum strata_switch)3}, STRATA_ERR_CONFIG,
                  "l1_enabled=3: neither on nor off; allowed: true, false, yes, no, on, off, 1, 0");
    check_refused((struct strata_options){.log_level = (enum strata_log_level)9}, STRATA_ERR_CONFIG,
                  "log_level=9: not one of the values; allowed: error, warning, info, debug");
    check_refused((struct strata_options){.cluster_nodes = nodes, .cluster_node_count = 2},
                  STRATA_ERR_CONFIG,
                  "cluster_nodes: \"b\": the port is missing; allowed: host:port and [v6]:port, "
                  "as a JSON list or with commas");
    check_refused((struct strata_options){.write_behind_journal = ""}, STRATA_ERR_CONFIG,
                  "write_behind_journal=\"\": empty; allowed: 1 to 4095 bytes");
}

static void a_bad_url_is_refused_without_its_password(void **state)
{
    (void)state;
    check_refused((struct strata_options){.redis_url = "redis://:sEcReT@h:x"}, STRATA_ERR_CONFIG,
                  "redis_url=\"redis://***@h:x\": the port is not a number; allowed: a redis://, "
                  "rediss:// or unix:// URL");
}

static void both_write_strategies_exclude_each_other(void **state)
{
    (void)state;
    static const char text[] =
        "write_through and write_behind are both on; write_through is on by default: for "
        "write-behind set CACHE_WRITE_THROUGH=false as well";
    check_refused((struct strata_options){.write_through = STRATA_ON, .write_behind = STRATA_ON},
                  STRATA_ERR_CONFIG, text);
    check_refused((struct strata_options){.write_behind = STRATA_ON}, STRATA_ERR_CONFIG, text);
}

static void a_journal_without_write_behind_is_refused(void **state)
{
    (void)state;
    check_refused((struct strata_options){.write_behind_journal = "/tmp/journal"},
                  STRATA_ERR_CONFIG,
                  "write_behind_journal is given and write_behind is off: nothing would be written "
                  "to it");
}

static void write_behind_needs_something_behind_it(void **state)
{
    (void)state;
    struct strata_options in = {.write_through = STRATA_OFF, .write_behind = STRATA_ON};
    struct strata_options out;
    assert_int_equal(sta_options_resolve(&in, &out, NULL), STRATA_OK);
    assert_int_equal(out.write_behind_full, STRATA_FULL_BLOCK);
    assert_int_equal(out.write_behind_interval_ms, 100);
    in.l2_enabled = STRATA_OFF;
    check_refused(in, STRATA_ERR_CONFIG,
                  "write_behind is on and l2_enabled is off: there is nothing to write to");
}

static void what_a_cluster_has_not_is_refused(void **state)
{
    (void)state;
    static const char *const nodes[] = {"a:1"};
    struct strata_options in = {.cluster_enabled = STRATA_ON, .redis_url = "redis://h/2"};
    struct strata_options out;
    check_refused(in, STRATA_ERR_CONFIG,
                  "redis_url names database 2; a cluster (cluster_enabled) has only 0");
    in.redis_url = "unix:///tmp/redis";
    check_refused(in, STRATA_ERR_CONFIG,
                  "a cluster (cluster_enabled) is reached by TCP: name nodes to begin with "
                  "(cluster_nodes, REDIS_CLUSTER_NODES)");
    in.cluster_nodes = nodes;
    in.cluster_node_count = 1;
    assert_int_equal(sta_options_resolve(&in, &out, NULL), STRATA_OK);
}

static void without_l2_it_does_not_matter_what_l2_cannot_do(void **state)
{
    (void)state;
    struct strata_options in = {.l2_enabled = STRATA_OFF, .cluster_enabled = STRATA_ON};
    struct strata_options out;
    assert_int_equal(sta_options_resolve(&in, &out, NULL), STRATA_OK);
    in.redis_url = "nonsense";
    assert_int_equal(sta_options_resolve(&in, &out, NULL), STRATA_ERR_CONFIG);
}

static void the_timeout_of_the_url_goes_before_the_option(void **state)
{
    (void)state;
    struct strata_options in = {.redis_url = "redis://h?timeout=0.5", .socket_timeout_ms = 9000};
    struct strata_options out;
    assert_int_equal(sta_options_resolve(&in, &out, NULL), STRATA_OK);
    assert_int_equal(out.socket_timeout_ms, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_environment_gives_the_defaults, clean_environment),
        cmocka_unit_test_setup(variables_are_taken, clean_environment),
        cmocka_unit_test_setup(a_bad_variable_leaves_the_options_untouched, clean_environment),
        cmocka_unit_test_setup(the_sink_that_stands_there_is_kept_and_warned, clean_environment),
        cmocka_unit_test(zero_fields_get_their_defaults),
        cmocka_unit_test(given_fields_stay_and_are_borrowed),
        cmocka_unit_test_setup(what_the_environment_gave_resolves_to_itself, clean_environment),
        cmocka_unit_test(values_out_of_bounds_are_named_by_their_field),
        cmocka_unit_test(a_bad_url_is_refused_without_its_password),
        cmocka_unit_test(both_write_strategies_exclude_each_other),
        cmocka_unit_test(a_journal_without_write_behind_is_refused),
        cmocka_unit_test(write_behind_needs_something_behind_it),
        cmocka_unit_test(what_a_cluster_has_not_is_refused),
        cmocka_unit_test(without_l2_it_does_not_matter_what_l2_cannot_do),
        cmocka_unit_test(the_timeout_of_the_url_goes_before_the_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
