/* SPDX-License-Identifier: MIT
 *
 * Changes while running, from their texts to the options: names, values, bounds, all or nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "config/live.h"
#include "config/options.h"
#include "unit/config/loading.h"

static struct strata_options in_force(void)
{
    struct strata_options options;
    const struct strata_options zero = {0};
    assert_int_equal(sta_options_resolve(&zero, &options, NULL), STRATA_OK);
    return options;
}

static int read_into(struct strata_options *options, const struct strata_setting *settings,
                     size_t count, struct strata_error *error)
{
    const struct sta_option_set set = {
        .options = sta_option_table, .count = STA_OPTION_TABLE_COUNT, .target = options};
    struct sta_config *read = NULL;
    int status = sta_live_read(&read, &set, 1, settings, count, error);
    if (status == STRATA_OK)
        sta_config_destroy(&read);
    return status;
}

static void assert_refused(const char *name, const char *value, int status, const char *text)
{
    struct strata_options options = in_force();
    struct strata_error error = {0};
    const struct strata_setting setting = {name, value};
    assert_int_equal(read_into(&options, &setting, 1, &error), status);
    assert_string_equal(error.text, text);
}

static void settings_are_read_as_in_files(void **state)
{
    (void)state;
    struct strata_options options = in_force();
    const struct strata_setting settings[] = {
        {"l1_max_size", "500"},    {"l1_max_bytes", "2MiB"}, {"l1_ttl", "0.25"},
        {"l2_ttl", "unlimited"},   {"null_values", "on"},    {"write_behind_full", "reject"},
        {"log_level_l2", "debug"}, {"l1_max_size", "600"},   {"metrics_detailed", "1"},
    };
    assert_int_equal(read_into(&options, settings, sizeof settings / sizeof settings[0], NULL),
                     STRATA_OK);
    assert_int_equal(options.l1_max_size, 600);
    assert_int_equal(options.l1_max_bytes, 2 << 20);
    assert_int_equal(options.l1_ttl_ms, 250);
    assert_true(options.l2_ttl_ms == STRATA_UNLIMITED);
    assert_int_equal(options.null_values, STRATA_ON);
    assert_int_equal(options.write_behind_full, STRATA_FULL_REJECT);
    assert_int_equal(options.log_level_l2, STRATA_LOG_DEBUG);
    assert_int_equal(options.metrics_detailed, STRATA_ON);
}

static void errors_say_what_where_and_what_is_allowed(void **state)
{
    (void)state;
    assert_refused("l1_tl", "1", STRATA_ERR_INVALID, "l1_tl: not an option; did you mean l1_ttl?");
    assert_refused("nothing_like_it", "1", STRATA_ERR_INVALID, "nothing_like_it: not an option");
    assert_refused("l1_ttl", "abc", STRATA_ERR_CONFIG,
                   "l1_ttl=\"abc\": not a number; allowed: seconds, 0.001 to 31536000, fractions "
                   "allowed, or unlimited");
    assert_refused("log_level", "loud", STRATA_ERR_CONFIG,
                   "log_level=\"loud\": not one of the values; allowed: error, warning, info, "
                   "debug");
    assert_refused("redis_url", "redis://u:secret@h", STRATA_ERR_UNSUPPORTED,
                   "redis_url: does not change while running: connections are made with it");
    assert_refused(NULL, "1", STRATA_ERR_INVALID, "a setting without a name or a value");
    assert_refused("l1_ttl", NULL, STRATA_ERR_INVALID, "a setting without a name or a value");
}

/* What is fixed is refused, whatever the value. */
static void every_option_is_either_live_or_says_why_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < STA_OPTION_TABLE_COUNT; i++) {
        const struct sta_option *option = &sta_option_table[i];
        struct strata_options options = in_force();
        struct strata_error error = {0};
        const char *text = option->default_text != NULL ? option->default_text : "x";
        const struct strata_setting setting = {option->name, text};
        int status = read_into(&options, &setting, 1, &error);
        if (option->fixed == NULL) {
            assert_int_equal(status, STRATA_OK);
        } else {
            assert_int_equal(status, STRATA_ERR_UNSUPPORTED);
            assert_non_null(strstr(error.text, option->fixed));
        }
    }
}

static void assert_differences(const struct sta_config *before, const struct sta_config *after,
                               const char *expected)
{
    json_t *list = sta_live_differences(before, after);
    assert_non_null(list);
    char *text = json_dumps(list, JSON_COMPACT | JSON_REAL_PRECISION(15));
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
    json_decref(list);
}

/* In a program that has no use for it, whatever the table says. */
static void what_does_nothing_here_is_refused_and_no_difference(void **state)
{
    (void)state;
    static const char *const names[] = {"l2_ttl", "read_through", NULL};
    struct strata_options options = in_force();
    struct strata_error error = {0};
    const struct sta_option_set set = {.options = sta_option_table,
                                       .count = STA_OPTION_TABLE_COUNT,
                                       .target = &options,
                                       .unused = names,
                                       .unused_because = "has no effect here"};
    const struct strata_setting live = {"l2_ttl", "5"}, fixed = {"read_through", "off"};
    const struct strata_setting other = {"l1_ttl", "5"};
    struct sta_config *read = NULL;
    assert_int_equal(sta_live_read(&read, &set, 1, &live, 1, &error), STRATA_ERR_UNSUPPORTED);
    assert_string_equal(error.text, "l2_ttl: has no effect here");
    assert_int_equal(sta_live_read(&read, &set, 1, &fixed, 1, &error), STRATA_ERR_UNSUPPORTED);
    assert_string_equal(error.text, "read_through: has no effect here");
    assert_int_equal(sta_live_read(&read, &set, 1, &other, 1, &error), STRATA_OK);
    sta_config_destroy(&read);

    char *one[] = {"CACHE_L2_TTL=5", NULL}, *two[] = {"CACHE_L2_TTL=6", NULL};
    char *argv[] = {"program", NULL};
    struct sta_config *before = NULL, *after = NULL;
    struct sta_config_input input = {
        .program = "program", .sets = &set, .set_count = 1, .argc = 1, .argv = argv};
    input.environment = one;
    assert_int_equal(sta_config_load(&before, &input, NULL), STRATA_OK);
    input.environment = two;
    assert_int_equal(sta_config_load(&after, &input, NULL), STRATA_OK);
    assert_differences(before, after, "[]");
    json_t *listed = sta_config_json(before);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(listed, "l2_ttl"), "fixed_because")),
        "has no effect here");
    json_decref(listed);
    sta_config_destroy(&before);
    sta_config_destroy(&after);
}

static void l1_does_not_outgrow_what_it_was_made_for(void **state)
{
    (void)state;
    struct strata_options options = in_force();
    struct strata_error error = {0};
    options.l1_max_bytes = 1600;
    assert_int_equal(sta_live_check(&options, 100, &error), STRATA_OK);
    assert_int_equal(sta_live_check(&options, 99, &error), STRATA_ERR_CONFIG);
    assert_string_equal(error.text, "l1_max_bytes=1600: L1 was made for 99; allowed while running: "
                                    "up to 16 times that, 1584");
}

static void a_room_follows_the_level_of_all_unless_it_has_its_own(void **state)
{
    (void)state;
    struct sta_log log;
    struct strata_options options = {.log_level = STRATA_LOG_WARNING,
                                     .log_level_l2 = STRATA_LOG_DEBUG};
    sta_log_init(&log, strata_log_text, NULL, STRATA_LOG_INFO);
    sta_live_log(&log, &options);
    assert_true(sta_log_enabled(&log, STA_ROOM_L2, STRATA_LOG_DEBUG));
    assert_false(sta_log_enabled(&log, STA_ROOM_CACHE, STRATA_LOG_INFO));
    assert_false(sta_log_enabled(&log, STA_ROOM_DAEMON, STRATA_LOG_INFO));
    options.log_level_l2 = STRATA_LOG_DEFAULT;
    sta_live_log(&log, &options);
    assert_false(sta_log_enabled(&log, STA_ROOM_L2, STRATA_LOG_INFO));
}

/* ---- of a program that has its config ---- */

static void differences_name_values_and_origins_but_no_value_of_what_is_fixed(void **state)
{
    (void)state;
    struct loading before = {.environment = {"CACHE_L1_TTL=5", "ROUTER_REDIS_URL=redis://u:p@h"}};
    struct loading after = {.environment = {"CACHE_L1_TTL=0.5", "ROUTER_REDIS_URL=redis://u:q@h"}};
    loading_must(&before);
    loading_must(&after);
    assert_differences(before.config, before.config, "[]");
    assert_differences(before.config, after.config,
                       "[{\"name\":\"l1_ttl\",\"live\":true,\"before\":5,\"after\":0.5,"
                       "\"origin\":\"environment CACHE_L1_TTL\"},"
                       "{\"name\":\"redis_url\",\"live\":false,"
                       "\"fixed_because\":\"connections are made with it\","
                       "\"origin\":\"environment ROUTER_REDIS_URL\"}]");
    sta_live_adopt(before.config, after.config);
    assert_differences(before.config, after.config,
                       "[{\"name\":\"redis_url\",\"live\":false,"
                       "\"fixed_because\":\"connections are made with it\","
                       "\"origin\":\"environment ROUTER_REDIS_URL\"}]");
    loading_end(&before);
    loading_end(&after);
}

static void a_copy_takes_settings_and_leaves_the_original(void **state)
{
    (void)state;
    struct loading loading = {.environment = {"CACHE_L1_TTL=5"}};
    const struct strata_setting settings[] = {{"l1_ttl", "7"}, {"null_ttl", "9"}};
    struct strata_options library = {.l2_ttl_ms = 1};
    const struct sta_option_set set = {
        .options = sta_option_table, .count = STA_OPTION_TABLE_COUNT, .target = &library};
    loading_must(&loading);
    struct sta_config *copy = sta_live_copy(loading.config);
    assert_non_null(copy);
    assert_differences(loading.config, copy, "[]");
    assert_int_equal(sta_live_offer(copy, settings, 2, NULL), STRATA_OK);
    assert_differences(loading.config, copy,
                       "[{\"name\":\"l1_ttl\",\"live\":true,\"before\":5,\"after\":7,"
                       "\"origin\":\"changed while running\"},"
                       "{\"name\":\"null_ttl\",\"live\":true,\"before\":60,\"after\":9,"
                       "\"origin\":\"changed while running\"}]");
    sta_live_store(copy, &set, 1);
    assert_int_equal(library.l1_ttl_ms, 7000);
    assert_int_equal(library.l2_ttl_ms, 3600000); /* all that is live */
    assert_null(library.redis_url);               /* and nothing else */
    sta_config_destroy(&copy);
    loading_end(&loading);
}

/* A list takes the place of the one before, and outlives the config that it was read into. */
static void a_list_is_replaced_and_not_added_to(void **state)
{
    (void)state;
    struct loading loading = {.environment = {"STRATA_L1_QUOTAS=a:=/5,b:=/6"}};
    const struct strata_setting twice[] = {{"l1_quotas", "a:=/1"}, {"l1_quotas", "b:=/2,a:=/3"}};
    const struct strata_setting other = {"l1_ttl", "7"}, empty = {"l1_quotas", "[]"};
    struct strata_options library = {0};
    const struct sta_option_set set = {
        .options = sta_option_table, .count = STA_OPTION_TABLE_COUNT, .target = &library};
    loading_must(&loading);
    for (int i = 0; i < 2; i++) {
        struct sta_config *copy = sta_live_copy(loading.config);
        assert_non_null(copy);
        assert_int_equal(sta_live_offer(copy, twice, 2, NULL), STRATA_OK);
        sta_live_adopt(loading.config, copy);
        sta_config_destroy(&copy);
        sta_live_store(loading.config, &set, 1);
        assert_int_equal(library.l1_quota_count, 2);
        assert_string_equal(library.l1_quotas[0], "b:=/2");
        assert_string_equal(library.l1_quotas[1], "a:=/3");
    }
    struct sta_config *copy = sta_live_copy(loading.config);
    assert_non_null(copy);
    assert_int_equal(sta_live_offer(copy, &other, 1, NULL), STRATA_OK);
    sta_live_adopt(loading.config, copy);
    sta_config_destroy(&copy);
    sta_live_store(loading.config, &set, 1);
    assert_string_equal(library.l1_quotas[1], "a:=/3"); /* it stays where another was changed */
    copy = sta_live_copy(loading.config);
    assert_non_null(copy);
    assert_int_equal(sta_live_offer(copy, &empty, 1, NULL), STRATA_OK);
    sta_live_adopt(loading.config, copy);
    sta_config_destroy(&copy);
    sta_live_store(loading.config, &set, 1);
    assert_int_equal(library.l1_quota_count, 0);
    loading_end(&loading);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_read_as_in_files),
        cmocka_unit_test(errors_say_what_where_and_what_is_allowed),
        cmocka_unit_test(every_option_is_either_live_or_says_why_not),
        cmocka_unit_test(what_does_nothing_here_is_refused_and_no_difference),
        cmocka_unit_test(l1_does_not_outgrow_what_it_was_made_for),
        cmocka_unit_test(differences_name_values_and_origins_but_no_value_of_what_is_fixed),
        cmocka_unit_test(a_copy_takes_settings_and_leaves_the_original),
        cmocka_unit_test(a_list_is_replaced_and_not_added_to),
        cmocka_unit_test(a_room_follows_the_level_of_all_unless_it_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
