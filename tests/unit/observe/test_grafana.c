/* SPDX-License-Identifier: MIT
 *
 * packaging/grafana: the rules are rules, and rules and dashboard speak of metrics that there are.
 */
#include <ctype.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/stats.h"
#include "observe/metric_table.h"
#include "support/command.h"

#define FOLDER STRATA_SOURCE_DIR "/packaging/grafana/"

#define COUNTER_NAME(name, meaning) "stratad_" #name "_total",
static const char *const others[] = {"cache_operation_duration_seconds_bucket", "stratad_sessions",
                                     STA_STATS_COUNTERS(COUNTER_NAME)};

static bool is_in(const struct sta_metric *table, const char *name)
{
    for (; table->help != NULL; table++) {
        if (table->name != NULL && strcmp(table->name, name) == 0)
            return true;
    }
    return false;
}

static bool is_exported(const char *name)
{
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(others[i], name) == 0)
            return true;
    }
    return is_in(sta_metric_table, name) || is_in(sta_metric_node_table, name) ||
           is_in(sta_metric_prefix_table, name);
}

/* Every word that begins as our metrics do. Returns how many there were. */
static size_t check_names(const char *expression)
{
    static const char *const beginnings[] = {"cache_", "strata_", "stratad_", "redis_cluster_"};
    size_t count = 0, len = 0;
    for (const char *at = expression; *at != '\0'; at += len > 0 ? len : 1) {
        char name[128];
        for (len = 0; isalnum((unsigned char)at[len]) || at[len] == '_';)
            len++;
        (void)snprintf(name, sizeof name, "%.*s", (int)len, at);
        for (size_t i = 0; len > 0 && i < sizeof beginnings / sizeof beginnings[0]; i++) {
            if (strncmp(name, beginnings[i], strlen(beginnings[i])) != 0)
                continue;
            if (!is_exported(name))
                fail_msg("there is no metric %s", name);
            count++;
            break;
        }
    }
    return count;
}

static void the_dashboard_shows_what_there_is(void **state)
{
    (void)state;
    json_error_t error;
    size_t i, j, count = 0;
    json_t *panel, *target, *document = json_load_file(FOLDER "dashboard.json", 0, &error);
    if (document == NULL)
        fail_msg("%s", error.text);
    json_array_foreach(json_object_get(document, "panels"), i, panel)
    {
        json_array_foreach(json_object_get(panel, "targets"), j, target)
        {
            size_t names = check_names(json_string_value(json_object_get(target, "expr")));
            assert_true(names > 0);
            count += names;
        }
    }
    assert_true(count > 25);
    json_decref(document);
}

/* Whether two panels lie over each other. */
static bool overlap(const json_t *one, const json_t *two)
{
    long long a[4], b[4];
    static const char *const names[] = {"x", "y", "w", "h"};
    for (size_t i = 0; i < 4; i++) {
        a[i] = json_integer_value(json_object_get(json_object_get(one, "gridPos"), names[i]));
        b[i] = json_integer_value(json_object_get(json_object_get(two, "gridPos"), names[i]));
        assert_true(i < 2 || (a[i] > 0 && b[i] > 0));
    }
    assert_true(a[0] + a[2] <= 24);
    return a[0] < b[0] + b[2] && b[0] < a[0] + a[2] && a[1] < b[1] + b[3] && b[1] < a[1] + a[3];
}

static void panels_have_their_own_numbers_and_places(void **state)
{
    (void)state;
    size_t i, j;
    json_t *one, *two, *document = json_load_file(FOLDER "dashboard.json", 0, NULL);
    json_t *panels = json_object_get(document, "panels");
    json_array_foreach(panels, i, one)
    {
        assert_true(strlen(json_string_value(json_object_get(one, "title"))) > 0);
        assert_non_null(json_object_get(one, "datasource"));
        for (j = 0; j < i; j++) {
            two = json_array_get(panels, j);
            assert_false(json_equal(json_object_get(one, "id"), json_object_get(two, "id")));
            assert_false(overlap(one, two));
        }
    }
    json_decref(document);
}

/* The alerts' words are all looked at; what they tell people has no such words but metrics. */
static void alerts_watch_what_there_is(void **state)
{
    (void)state;
    static char text[65536];
    FILE *file = fopen(FOLDER "alerts.yaml", "r");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof text - 1, file) > 1000);
    (void)fclose(file);
    assert_true(check_names(text) > 10);
}

static void promtool_takes_the_rules(void **state)
{
    (void)state;
    struct command_result result;
    const char *const argv[] = {"promtool", "check", "rules", FOLDER "alerts.yaml", NULL};
    command_run(&result, NULL, argv);
    if (result.code != 0)
        fail_msg("%s%s", result.out, result.err);
    command_result_fini(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_dashboard_shows_what_there_is),
        cmocka_unit_test(panels_have_their_own_numbers_and_places),
        cmocka_unit_test(alerts_watch_what_there_is),
        cmocka_unit_test(promtool_takes_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
