/* SPDX-License-Identifier: MIT
 *
 * Flags and operands.
 */
#include "unit/config/loading.h"

static void values_stand_behind_a_space_or_an_equals_sign(void **state)
{
    (void)state;
    struct loading loading = {.argv = {"--workers", "7", "--l1-ttl=0.5", "--key-prefix=--a=b",
                                       "--redis-url", "unix:///run/r.sock", "--eager", "On"}};
    loading_must(&loading);
    assert_int_equal(loading.own.workers, 7);
    assert_int_equal(loading.library.l1_ttl_ms, 500);
    assert_string_equal(loading.library.l2_key_prefix, "--a=b");
    assert_string_equal(loading.library.redis_url, "unix:///run/r.sock");
    assert_int_equal(loading.own.eager, STRATA_ON);
    loading_end(&loading);
}

static void the_last_of_a_flag_wins(void **state)
{
    (void)state;
    struct loading loading = {.argv = {"--workers", "7", "--workers=8"}};
    loading_must(&loading);
    assert_int_equal(loading.own.workers, 8);
    loading_end(&loading);
}

static void a_value_may_be_empty_where_that_means_something(void **state)
{
    (void)state;
    struct loading loading = {.argv = {"--key-prefix=", "--key-prefix", ""}};
    loading_must(&loading);
    assert_string_equal(loading.library.l2_key_prefix, "");
    loading_end(&loading);
    struct loading bad = {.argv = {"--workers="}};
    loading_must_not(&bad, STRATA_ERR_CONFIG,
                     "--workers=\"\": not a number; allowed: 1 to 64 threads");
}

static void a_bad_value_is_named_with_its_flag(void **state)
{
    (void)state;
    struct loading loading = {.argv = {"--l1-max-bytes", "12MB"}};
    loading_must_not(&loading, STRATA_ERR_CONFIG,
                     "--l1-max-bytes=\"12MB\": not a number; allowed: 64KiB to 1024GiB; bytes, or "
                     "with KiB, MiB, GiB");
}

static void a_missing_value_is_a_usage_error(void **state)
{
    (void)state;
    struct loading last = {.argv = {"--workers"}};
    loading_must_not(
        &last, STRATA_ERR_INVALID,
        "--workers: needs a value; one that begins with -- is written --workers=--...");
    struct loading before = {.argv = {"--workers", "--l1-ttl", "5"}};
    loading_must_not(
        &before, STRATA_ERR_INVALID,
        "--workers: needs a value; one that begins with -- is written --workers=--...");
    struct loading config = {.argv = {"--config"}};
    loading_must_not(&config, STRATA_ERR_INVALID,
                     "--config: needs a value; one that begins with -- is written --config=--...");
}

static void an_unknown_flag_is_a_usage_error_that_names_the_nearest(void **state)
{
    (void)state;
    struct loading near = {.argv = {"--l1-tll=5"}};
    loading_must_not(&near, STRATA_ERR_INVALID, "--l1-tll: not a flag; did you mean --l1-ttl?");
    struct loading help = {.argv = {"--hlep"}};
    loading_must_not(&help, STRATA_ERR_INVALID, "--hlep: not a flag; did you mean --help?");
    struct loading far = {.argv = {"--zzzzzzzzzzzz"}};
    loading_must_not(&far, STRATA_ERR_INVALID, "--zzzzzzzzzzzz: not a flag; see --help");
    struct loading prefix = {.argv = {"--worker", "5"}};
    loading_must_not(&prefix, STRATA_ERR_INVALID, "--worker: not a flag; did you mean --workers?");
    struct loading one = {.argv = {"-w"}};
    loading_must_not(&one, STRATA_ERR_INVALID, "-w: not a flag; see --help");
    struct loading named = {.argv = {"--name", "x"}};
    loading_must_not(&named, STRATA_ERR_INVALID, "--name: not a flag; see --help");
}

static void secrets_in_misspelt_flags_are_not_shown(void **state)
{
    (void)state;
    struct loading loading = {.argv = {"--redis-ulr=redis://:sEcReT@h"}};
    loading_must_not(&loading, STRATA_ERR_INVALID,
                     "--redis-ulr: not a flag; did you mean --redis-url?");
    struct loading operand = {.argv = {"redis://bob:sEcReT@h"}};
    loading_must_not(&operand, STRATA_ERR_INVALID, "\"redis://***@h\": not expected; see --help");
    struct loading value = {.argv = {"--redis-url", "redis://bob:sEcReT@h:x"}};
    loading_must_not(&value, STRATA_ERR_CONFIG,
                     "--redis-url=\"redis://***@h:x\": the port is not a number; allowed: a "
                     "redis://, rediss:// or unix:// URL");
    struct loading own = {.argv = {"--password", "sEcReTsEcReT"}};
    loading_must_not(&own, STRATA_ERR_CONFIG,
                     "--password=\"***\": too long; allowed: 1 to 8 bytes");
}

static void check_outcome(char *first, char *second, int outcome)
{
    struct loading loading = {.argv = {first, second, NULL}};
    loading.own.workers = 99;
    loading_run(&loading);
    assert_int_equal(loading.status, outcome);
    assert_null(loading.config);
    assert_int_equal(loading.own.workers, 99);
}

static void help_and_version_are_outcomes(void **state)
{
    (void)state;
    check_outcome("--help", NULL, STA_CONFIG_HELP);
    check_outcome("-h", NULL, STA_CONFIG_HELP);
    check_outcome("--version", NULL, STA_CONFIG_VERSION);
    check_outcome("--workers=5", "--help", STA_CONFIG_HELP);
    check_outcome("--help", "--nonsense", STA_CONFIG_HELP);
}

static void operands_are_refused_where_none_are_expected(void **state)
{
    (void)state;
    struct loading loading = {.argv = {"--workers", "5", "get"}};
    loading_must_not(&loading, STRATA_ERR_INVALID, "\"get\": not expected; see --help");
    struct loading dashes = {.argv = {"--", "get"}};
    loading_must_not(&dashes, STRATA_ERR_INVALID, "\"get\": not expected; see --help");
    struct loading ended = {.argv = {"--workers", "5", "--"}};
    loading_must(&ended);
    assert_int_equal(sta_config_operands(ended.config), 4);
    loading_end(&ended);
}

static void flags_end_where_operands_begin(void **state)
{
    (void)state;
    struct loading loading = {.argv = {"--workers", "5", "get", "--workers", "6"},
                              .operands = true};
    loading_must(&loading);
    assert_int_equal(loading.own.workers, 5);
    assert_int_equal(sta_config_operands(loading.config), 3);
    loading_end(&loading);
    struct loading dashes = {.argv = {"--", "--workers", "6"}, .operands = true};
    loading_must(&dashes);
    assert_int_equal(dashes.own.workers, 4);
    assert_int_equal(sta_config_operands(dashes.config), 2);
    loading_end(&dashes);
    struct loading dash = {.argv = {"-"}, .operands = true};
    loading_must(&dash);
    assert_int_equal(sta_config_operands(dash.config), 1);
    loading_end(&dash);
    struct loading none = {.argv = {"--workers", "6"}, .operands = true};
    loading_must(&none);
    assert_int_equal(sta_config_operands(none.config), 3);
    loading_end(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_stand_behind_a_space_or_an_equals_sign),
        cmocka_unit_test(the_last_of_a_flag_wins),
        cmocka_unit_test(a_value_may_be_empty_where_that_means_something),
        cmocka_unit_test(a_bad_value_is_named_with_its_flag),
        cmocka_unit_test(a_missing_value_is_a_usage_error),
        cmocka_unit_test(an_unknown_flag_is_a_usage_error_that_names_the_nearest),
        cmocka_unit_test(secrets_in_misspelt_flags_are_not_shown),
        cmocka_unit_test(help_and_version_are_outcomes),
        cmocka_unit_test(operands_are_refused_where_none_are_expected),
        cmocka_unit_test(flags_end_where_operands_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
