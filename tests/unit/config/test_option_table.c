/* SPDX-License-Identifier: MIT
 *
 * The library's table: the promised names and defaults, and that it is well formed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/option_value.h"

static const struct sta_option *by_env(const char *env)
{
    for (size_t i = 0; i < STA_OPTION_TABLE_COUNT; i++) {
        if (strcmp(sta_option_table[i].env, env) == 0)
            return &sta_option_table[i];
    }
    fail_msg("%s is not in the table", env);
    return NULL;
}

static void the_promised_variables_have_the_promised_defaults(void **state)
{
    (void)state;
    static const struct {
        const char *env;
        const char *text;
    } promised[] = {
        {"CACHE_L1_ENABLED", "true"},
        {"CACHE_L1_TTL", "300"},
        {"CACHE_L1_MAX_SIZE", "1000"},
        {"STRATA_L1_MAX_BYTES", "64MiB"},
        {"STRATA_L1_QUOTAS", "[]"},
        {"CACHE_L1_CLEANUP_INTERVAL", "60"},
        {"CACHE_L2_ENABLED", "true"},
        {"CACHE_L2_TTL", "3600"},
        {"CACHE_L2_KEY_PREFIX", "atp:cache:"},
        {"ROUTER_REDIS_URL", "redis://localhost:6379/0"},
        {"REDIS_CLUSTER_ENABLED", "false"},
        {"REDIS_CLUSTER_NODES", "[]"},
        {"REDIS_MAX_CONNECTIONS", "20"},
        {"REDIS_SOCKET_TIMEOUT", "5"},
        {"STRATA_TLS_VERIFY", "full"},
        {"CACHE_WRITE_THROUGH", "true"},
        {"CACHE_WRITE_BEHIND", "false"},
        {"STRATA_WRITE_BEHIND_FSYNC", "always"},
        {"STRATA_WRITE_BEHIND_INTERVAL", "0.1"},
        {"STRATA_WRITE_BEHIND_BATCH_SIZE", "256"},
        {"STRATA_WRITE_BEHIND_MAX_ENTRIES", "100000"},
        {"STRATA_WRITE_BEHIND_MAX_BYTES", "64MiB"},
        {"STRATA_WRITE_BEHIND_FULL", "block"},
        {"STRATA_WRITE_BEHIND_GUARD", "off"},
        {"STRATA_WRITE_BEHIND_RATE", "unlimited"},
        {"STRATA_WRITE_BEHIND_DRAIN_TIMEOUT", "5"},
        {"CACHE_READ_THROUGH", "true"},
        {"CACHE_NULL_VALUES", "false"},
        {"STRATA_NULL_TTL", "60"},
        {"STRATA_TRACKING", "auto"},
        {"STRATA_MAX_STALENESS", "1.5"},
        {"STRATA_SERVE_STALE", "false"},
        {"STRATA_REPAIR_RATE", "20000"},
        {"CACHE_INVALIDATION_ENABLED", "true"},
        {"CACHE_INVALIDATION_BATCH_SIZE", "100"},
        {"CACHE_INVALIDATION_TIMEOUT", "1"},
        {"CACHE_METRICS_ENABLED", "true"},
        {"CACHE_METRICS_DETAILED", "false"},
        {"STRATA_METRICS_PREFIXES", "[]"},
        {"STRATA_METRICS_DELIMITER", ":"},
        {"STRATA_LOG_LEVEL", "info"},
        {"STRATA_LOG_LEVEL_CACHE", "same"},
        {"STRATA_LOG_LEVEL_L2", "same"},
    };
    for (size_t i = 0; i < sizeof promised / sizeof promised[0]; i++)
        assert_string_equal(by_env(promised[i].env)->default_text, promised[i].text);
    static const char *const without[] = {"STRATA_WRITE_BEHIND_JOURNAL", "STRATA_TLS_CA_FILE",
                                          "STRATA_TLS_CA_DIR",           "STRATA_TLS_CRL_FILE",
                                          "STRATA_TLS_CERT_FILE",        "STRATA_TLS_KEY_FILE",
                                          "STRATA_TLS_KEY_PASSWORD",     "STRATA_TLS_SERVER_NAME"};
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++)
        assert_null(by_env(without[i])->default_text);
    assert_int_equal(STA_OPTION_TABLE_COUNT,
                     sizeof promised / sizeof promised[0] + sizeof without / sizeof without[0]);
}

/* Secrets have none: command lines are seen by everybody. */
static void every_flag_is_its_name_with_dashes(void **state)
{
    (void)state;
    for (size_t i = 0; i < STA_OPTION_TABLE_COUNT; i++) {
        char flag[80];
        assert_int_equal(sta_option_table[i].flag == NULL, sta_option_table[i].secret);
        if (sta_option_table[i].secret)
            continue;
        (void)snprintf(flag, sizeof flag, "--%s", sta_option_table[i].name);
        for (char *c = flag; *c != '\0'; c++)
            *c = *c == '_' ? '-' : *c;
        assert_string_equal(sta_option_table[i].flag, flag);
    }
}

static bool zero_has_a_word(const struct sta_option *option)
{
    return option->type == STA_OPTION_CHOICE && option->choices[0][0] != '\0';
}

static void every_default_is_a_good_value_other_than_zero(void **state)
{
    (void)state;
    for (size_t i = 0; i < STA_OPTION_TABLE_COUNT; i++) {
        const struct sta_option *option = &sta_option_table[i];
        struct sta_option_value value = {0};
        struct strata_error error;
        if (option->default_text == NULL)
            continue;
        if (sta_option_value_parse(option, option->default_text, NULL, &value, &error) != STRATA_OK)
            fail_msg("%s: %s", option->name, error.text);
        assert_true(!sta_option_value_is_unset(option, &value) ||
                    sta_option_value_is_list(option) || zero_has_a_word(option));
        sta_option_value_fini(&value);
    }
}

static void every_entry_says_all_that_its_type_needs(void **state)
{
    (void)state;
    for (size_t i = 0; i < STA_OPTION_TABLE_COUNT; i++) {
        const struct sta_option *option = &sta_option_table[i];
        bool number = option->type == STA_OPTION_COUNT || option->type == STA_OPTION_BYTES ||
                      option->type == STA_OPTION_SECONDS;
        assert_non_null(option->field);
        assert_non_null(option->group);
        assert_true(strlen(option->help) > 10);
        assert_true(option->help[strlen(option->help) - 1] == '.' ||
                    option->help[strlen(option->help) - 1] == '?');
        if (number)
            assert_true(option->least >= 1 && option->least < option->most);
        if (option->type == STA_OPTION_COUNT)
            assert_non_null(option->unit);
        if (option->type == STA_OPTION_CHOICE)
            assert_non_null(option->choices);
        if (sta_option_value_is_list(option))
            assert_true(option->most > 0 && option->count_offset > 0);
    }
}

/* What is live is stored in place, and nobody frees it, but for lists (config/live.c). */
static void what_is_live_and_no_list_has_no_memory_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < STA_OPTION_TABLE_COUNT; i++) {
        const struct sta_option *option = &sta_option_table[i];
        bool owns = option->type == STA_OPTION_STRING || option->type == STA_OPTION_URL;
        assert_true(option->fixed != NULL ? strlen(option->fixed) > 10 : !owns);
    }
}

static void no_name_and_no_field_is_taken_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < STA_OPTION_TABLE_COUNT; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(sta_option_table[i].name, sta_option_table[j].name);
            assert_string_not_equal(sta_option_table[i].env, sta_option_table[j].env);
            assert_true(sta_option_table[i].offset != sta_option_table[j].offset);
        }
    }
}

static void entries_of_a_group_stand_together(void **state)
{
    (void)state;
    for (size_t i = 1; i < STA_OPTION_TABLE_COUNT; i++) {
        for (size_t j = 0; j + 1 < i; j++) {
            bool same = strcmp(sta_option_table[i].group, sta_option_table[j].group) == 0;
            assert_true(!same ||
                        strcmp(sta_option_table[i - 1].group, sta_option_table[i].group) == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_promised_variables_have_the_promised_defaults),
        cmocka_unit_test(every_flag_is_its_name_with_dashes),
        cmocka_unit_test(every_default_is_a_good_value_other_than_zero),
        cmocka_unit_test(every_entry_says_all_that_its_type_needs),
        cmocka_unit_test(what_is_live_and_no_list_has_no_memory_of_its_own),
        cmocka_unit_test(no_name_and_no_field_is_taken_twice),
        cmocka_unit_test(entries_of_a_group_stand_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
