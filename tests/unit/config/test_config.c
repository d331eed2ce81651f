/* SPDX-License-Identifier: MIT
 *
 * Loading as a whole: defaults, precedence, and that nothing is read half.
 */
#include "unit/config/loading.h"

static void without_any_source_targets_hold_the_defaults(void **state)
{
    (void)state;
    struct loading loading = {0};
    loading_must(&loading);
    assert_int_equal(loading.own.workers, 4);
    assert_int_equal(loading.own.eager, STRATA_OFF);
    assert_int_equal(loading.own.listen_count, 1);
    assert_string_equal(loading.own.listen[0], "127.0.0.1:6380");
    assert_null(loading.own.name);
    assert_int_equal(loading.own.colour, 1);
    assert_int_equal(loading.library.l1_ttl_ms, 300000);
    assert_int_equal(loading.library.l1_enabled, STRATA_ON);
    assert_string_equal(loading.library.redis_url, "redis://localhost:6379/0");
    assert_null(loading.library.write_behind_journal);
    assert_int_equal(loading.library.cluster_node_count, 0);
    assert_null(loading.library.cluster_nodes);
    assert_int_equal(loading.library.log_level, STRATA_LOG_INFO);
    loading_end(&loading);
}

static void a_set_may_replace_defaults_of_its_table(void **state)
{
    (void)state;
    struct loading loading = {0};
    loading_must(&loading);
    assert_true(loading.library.l1_max_size == STRATA_UNLIMITED);
    assert_string_equal(loading.library.l2_key_prefix, "");
    loading_end(&loading);

    struct loading given = {.environment = {"CACHE_L1_MAX_SIZE=7", "CACHE_L2_KEY_PREFIX=p:"}};
    loading_must(&given);
    assert_int_equal(given.library.l1_max_size, 7);
    assert_string_equal(given.library.l2_key_prefix, "p:");
    loading_end(&given);
}

static void flags_go_before_environment_and_environment_before_file(void **state)
{
    (void)state;
    struct loading loading = {
        .file = "l1_ttl = 1\nl2_ttl = 1\nnull_ttl = 1\n",
        .environment = {"CACHE_L1_TTL=2", "CACHE_L2_TTL=2"},
        .argv = {"--l1-ttl", "3"},
    };
    loading_must(&loading);
    assert_int_equal(loading.library.l1_ttl_ms, 3000);
    assert_int_equal(loading.library.l2_ttl_ms, 2000);
    assert_int_equal(loading.library.null_ttl_ms, 1000);
    loading_end(&loading);
}

static void a_value_that_is_overridden_is_checked_all_the_same(void **state)
{
    (void)state;
    struct loading variable = {.environment = {"STRATA_WORKERS=x"}, .argv = {"--workers", "3"}};
    loading_must_not(&variable, STRATA_ERR_CONFIG,
                     "STRATA_WORKERS=\"x\": not a number; allowed: 1 to 64 threads");
    struct loading line = {.file = "[stratad]\nworkers = 65\n", .argv = {"--workers", "3"}};
    loading_must_not(&line, STRATA_ERR_CONFIG,
                     "$:2: workers=\"65\": too large; allowed: 1 to 64 threads");
}

static void lists_of_a_stronger_source_replace_those_of_a_weaker_one(void **state)
{
    (void)state;
    struct loading loading = {
        .file = "[stratad]\nlisten = a:1\nlisten = b:2\n",
        .environment = {"REDIS_CLUSTER_NODES=[\"c:3\",\"d:4\"]"},
        .argv = {"--listen", "e:5", "--listen=f:6,g:7", "--cluster-nodes", "h:8"},
    };
    loading_must(&loading);
    assert_int_equal(loading.own.listen_count, 3);
    assert_string_equal(loading.own.listen[0], "e:5");
    assert_string_equal(loading.own.listen[1], "f:6");
    assert_string_equal(loading.own.listen[2], "g:7");
    assert_int_equal(loading.library.cluster_node_count, 1);
    assert_string_equal(loading.library.cluster_nodes[0], "h:8");
    loading_end(&loading);
}

static void a_good_value_before_a_bad_one_is_not_stored(void **state)
{
    (void)state;
    struct loading loading = {.environment = {"CACHE_L1_TTL=2", "CACHE_L2_TTL=abc"}};
    loading_must_not(&loading, STRATA_ERR_CONFIG,
                     "CACHE_L2_TTL=\"abc\": not a number; allowed: seconds, 0.001 to 31536000, "
                     "fractions allowed, or unlimited");
}

static void values_outlive_what_they_were_read_from(void **state)
{
    (void)state;
    char url[] = "ROUTER_REDIS_URL=redis://h:1/2";
    char nodes[] = "a:1";
    struct loading loading = {.environment = {url}, .argv = {"--cluster-nodes", nodes}};
    loading_must(&loading);
    memset(url, 'x', sizeof url - 1);
    memset(nodes, 'x', sizeof nodes - 1);
    assert_string_equal(loading.library.redis_url, "redis://h:1/2");
    assert_string_equal(loading.library.cluster_nodes[0], "a:1");
    loading_end(&loading);
}

static void a_set_without_a_target_is_checked_only(void **state)
{
    (void)state;
    struct sta_config *config = NULL;
    struct sta_option_set set = {.options = sta_option_table, .count = STA_OPTION_TABLE_COUNT};
    char *environment[] = {"CACHE_L1_TTL=5", NULL};
    struct sta_config_input input = {
        .program = "program", .sets = &set, .set_count = 1, .environment = environment};
    assert_int_equal(sta_config_load(&config, &input, NULL), STRATA_OK);
    sta_config_destroy(&config);
    environment[0] = "CACHE_L1_TTL=x";
    assert_int_equal(sta_config_load(&config, &input, NULL), STRATA_ERR_CONFIG);
    assert_null(config);
}

static void destroying_nothing_is_fine(void **state)
{
    (void)state;
    struct sta_config *config = NULL;
    sta_config_destroy(&config);
    assert_null(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_any_source_targets_hold_the_defaults),
        cmocka_unit_test(a_set_may_replace_defaults_of_its_table),
        cmocka_unit_test(flags_go_before_environment_and_environment_before_file),
        cmocka_unit_test(a_value_that_is_overridden_is_checked_all_the_same),
        cmocka_unit_test(lists_of_a_stronger_source_replace_those_of_a_weaker_one),
        cmocka_unit_test(a_good_value_before_a_bad_one_is_not_stored),
        cmocka_unit_test(values_outlive_what_they_were_read_from),
        cmocka_unit_test(a_set_without_a_target_is_checked_only),
        cmocka_unit_test(destroying_nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
