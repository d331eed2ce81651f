/* SPDX-License-Identifier: MIT
 *
 * Variables: known ones, unknown ones that look like ours, and the file's name.
 */
#include "unit/config/loading.h"

static void variables_reach_their_fields(void **state)
{
    (void)state;
    struct loading loading = {.environment = {
                                  "PATH=/bin",
                                  "CACHE_L1_ENABLED=FALSE",
                                  "STRATA_L1_MAX_BYTES=2GiB",
                                  "REDIS_CLUSTER_NODES=[\"redis1:6379\",\"[::1]:6380\"]",
                                  "STRATA_LOG_LEVEL=Debug",
                                  "STRATA_NAME=a=b",
                                  "nothing",
                              }};
    loading_must(&loading);
    assert_int_equal(loading.library.l1_enabled, STRATA_OFF);
    assert_true(loading.library.l1_max_bytes == UINT64_C(2) << 30);
    assert_int_equal(loading.library.cluster_node_count, 2);
    assert_string_equal(loading.library.cluster_nodes[1], "[::1]:6380");
    assert_int_equal(loading.library.log_level, STRATA_LOG_DEBUG);
    assert_string_equal(loading.own.name, "a=b");
    assert_string_equal(loading.warnings, "");
    loading_end(&loading);
}

static void a_bad_value_is_named_with_its_variable(void **state)
{
    (void)state;
    struct loading number = {.environment = {"CACHE_L1_TTL=abc"}};
    loading_must_not(&number, STRATA_ERR_CONFIG,
                     "CACHE_L1_TTL=\"abc\": not a number; allowed: seconds, 0.001 to 31536000, "
                     "fractions allowed, or unlimited");
    struct loading empty = {.environment = {"CACHE_L1_ENABLED="}};
    loading_must_not(&empty, STRATA_ERR_CONFIG,
                     "CACHE_L1_ENABLED=\"\": neither true nor false; allowed: true, false, yes, "
                     "no, on, off, 1, 0");
    struct loading url = {.environment = {"ROUTER_REDIS_URL=http://bob:sEcReT@h"}};
    loading_must_not(&url, STRATA_ERR_CONFIG,
                     "ROUTER_REDIS_URL=\"http://***@h\": the URL must begin with redis://, "
                     "rediss:// or unix://; allowed: a redis://, rediss:// or unix:// URL");
    struct loading nodes = {.environment = {"REDIS_CLUSTER_NODES=a:1,redis://:sEcReT@h"}};
    loading_must_not(
        &nodes, STRATA_ERR_CONFIG,
        "REDIS_CLUSTER_NODES=\"a:1,redis://***@h\": \"redis://***@h\": an IPv6 "
        "address stands in brackets: [::1]:6379; allowed: host:port and [v6]:port, as a "
        "JSON list or with commas");
}

static void control_characters_of_a_value_are_not_repeated(void **state)
{
    (void)state;
    struct loading loading = {.environment = {"STRATA_WORKERS=1\n2\x1b[1m"}};
    loading_must_not(&loading, STRATA_ERR_CONFIG,
                     "STRATA_WORKERS=\"1?2?[1m\": not a number; allowed: 1 to 64 threads");
}

static void unknown_names_that_look_like_ours_are_warned_about(void **state)
{
    (void)state;
    struct loading loading = {.environment = {
                                  "CACHE_L1_TTTL=5",
                                  "REDIS_MAX_CONECTIONS=5",
                                  "REDIS_CLUSTER_FOO=5",
                                  "STRATA_WORKER=5",
                                  "STRATA_CONFIG_FIEL=5",
                                  "CACHE_ZZZZZZZZZZZ=5",
                              }};
    loading_must(&loading);
    assert_string_equal(
        loading.warnings,
        "the variable CACHE_L1_TTTL is not an option of program; did you mean CACHE_L1_TTL?\n"
        "the variable REDIS_MAX_CONECTIONS is not an option of program; did you mean "
        "REDIS_MAX_CONNECTIONS?\n"
        "the variable REDIS_CLUSTER_FOO is not an option of program; did you mean "
        "REDIS_CLUSTER_NODES?\n"
        "the variable STRATA_WORKER is not an option of program; did you mean STRATA_WORKERS?\n"
        "the variable STRATA_CONFIG_FIEL is not an option of program; did you mean "
        "STRATA_CONFIG_FILE?\n"
        "the variable CACHE_ZZZZZZZZZZZ is not an option of program\n");
    loading_end(&loading);
}

static void other_names_are_nobody_s_business(void **state)
{
    (void)state;
    struct loading loading = {.environment = {
                                  "ROUTER_FOO=1",
                                  "CACHEL1_TTL=1",
                                  "cache_l1_ttl=1",
                                  "XCACHE_L1_TTL=1",
                                  "STRATA=1",
                                  "",
                                  "=",
                              }};
    loading_must(&loading);
    assert_string_equal(loading.warnings, "");
    loading_end(&loading);
}

static void names_that_containers_inject_are_not_warned_about(void **state)
{
    (void)state;
    struct loading loading = {.environment = {
                                  "REDIS_SERVICE_HOST=10.0.0.1",
                                  "REDIS_SERVICE_PORT=6379",
                                  "REDIS_SERVICE_PORT_CLIENT=6379",
                                  "REDIS_PORT=tcp://10.0.0.1:6379",
                                  "REDIS_PORT_6379_TCP=tcp://10.0.0.1:6379",
                                  "REDIS_PORT_6379_TCP_ADDR=10.0.0.1",
                                  "STRATA_PORT_6380_TCP_PROTO=tcp",
                                  "CACHE_PORT_X=1",
                              }};
    loading_must(&loading);
    assert_string_equal(loading.warnings,
                        "the variable CACHE_PORT_X is not an option of program\n");
    loading_end(&loading);
}

static void variables_of_other_programs_are_not_warned_about(void **state)
{
    (void)state;
    struct loading loading = {
        .environment = {"STRATA_URL=x", "STRATA_DRAIN_TIMEOUT=x", "STRATA_URLS=x"}};
    loading_must(&loading);
    assert_string_equal(loading.warnings, "the variable STRATA_URLS is not an option of program\n");
    loading_end(&loading);
}

static void long_unknown_names_are_cut(void **state)
{
    (void)state;
    char name[300] = "CACHE_";
    memset(name + 6, 'A', 200);
    name[206] = '=';
    struct loading loading = {.environment = {name}};
    loading_must(&loading);
    assert_non_null(strstr(loading.warnings, "AAA... is not an option of program\n"));
    assert_true(strlen(loading.warnings) < 150);
    loading_end(&loading);
}

static void the_file_may_be_named_by_a_variable(void **state)
{
    (void)state;
    struct loading missing = {.environment = {"STRATA_CONFIG_FILE=/nonexistent/strata.conf"}};
    loading_must_not(&missing, STRATA_ERR_CONFIG,
                     "/nonexistent/strata.conf: cannot be read: No such file or directory");
    struct loading empty = {.environment = {"STRATA_CONFIG_FILE="}};
    loading_must(&empty);
    loading_end(&empty);
    struct loading flag = {.environment = {"STRATA_CONFIG_FILE=/nonexistent/strata.conf"},
                           .file = "l1_ttl = 9\n"};
    loading_must(&flag);
    assert_int_equal(flag.library.l1_ttl_ms, 9000);
    loading_end(&flag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_reach_their_fields),
        cmocka_unit_test(a_bad_value_is_named_with_its_variable),
        cmocka_unit_test(control_characters_of_a_value_are_not_repeated),
        cmocka_unit_test(unknown_names_that_look_like_ours_are_warned_about),
        cmocka_unit_test(other_names_are_nobody_s_business),
        cmocka_unit_test(names_that_containers_inject_are_not_warned_about),
        cmocka_unit_test(variables_of_other_programs_are_not_warned_about),
        cmocka_unit_test(long_unknown_names_are_cut),
        cmocka_unit_test(the_file_may_be_named_by_a_variable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
