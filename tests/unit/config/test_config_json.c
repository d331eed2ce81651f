/* SPDX-License-Identifier: MIT
 *
 * The listing as JSON: values, units, origins, no secrets.
 */
#include "unit/config/loading.h"

#include <jansson.h>
#include <stdio.h>

#include "config/setting.h"

/* The entry of `name`, as text. */
static void check_entry(const json_t *root, const char *name, const char *expected)
{
    char text[1024];
    json_t *entry = json_object_get(root, name);
    assert_non_null(entry);
    /* of these speaks a test of its own */
    (void)json_object_del(entry, "live");
    (void)json_object_del(entry, "allowed");
    (void)json_object_del(entry, "fixed_because");
    size_t len = json_dumpb(entry, text, sizeof text - 1, JSON_REAL_PRECISION(15));
    assert_true(len < sizeof text - 1);
    text[len] = '\0';
    assert_string_equal(text, expected);
}

static json_t *listed(struct loading *loading)
{
    loading_must(loading);
    json_t *root = sta_config_json(loading->config);
    assert_non_null(root);
    return root;
}

static void every_type_is_listed_as_its_json_type(void **state)
{
    (void)state;
    struct loading loading = {.argv = {"--l1-ttl", "0.1"}};
    json_t *root = listed(&loading);
    check_entry(root, "l1_enabled", "{\"value\": true, \"origin\": \"default\"}");
    check_entry(root, "write_behind", "{\"value\": false, \"origin\": \"default\"}");
    check_entry(root, "l1_ttl",
                "{\"value\": 0.1, \"unit\": \"seconds\", \"origin\": \"flag --l1-ttl\"}");
    check_entry(root, "l2_ttl",
                "{\"value\": 3600, \"unit\": \"seconds\", \"origin\": \"default\"}");
    check_entry(root, "l1_max_size",
                "{\"value\": \"unlimited\", \"unit\": \"entries\", \"origin\": \"default\"}");
    check_entry(root, "l1_max_bytes",
                "{\"value\": 67108864, \"unit\": \"bytes\", \"origin\": \"default\"}");
    check_entry(root, "key_prefix", "{\"value\": \"\", \"origin\": \"default\"}");
    check_entry(root, "redis_url",
                "{\"value\": \"redis://localhost:6379/0\", \"origin\": \"default\"}");
    check_entry(root, "cluster_nodes", "{\"value\": [], \"origin\": \"default\"}");
    check_entry(root, "listen", "{\"value\": [\"127.0.0.1:6380\"], \"origin\": \"default\"}");
    check_entry(root, "colour", "{\"value\": \"green\", \"origin\": \"default\"}");
    check_entry(root, "name", "{\"value\": null, \"origin\": \"default\"}");
    check_entry(root, "write_behind_journal", "{\"value\": null, \"origin\": \"default\"}");
    check_entry(root, "config_file", "{\"value\": null, \"origin\": \"default\"}");
    json_decref(root);
    loading_end(&loading);
}

static void origins_say_where_a_value_came_from(void **state)
{
    (void)state;
    char expected[200];
    struct loading loading = {
        .file = "\nl1_ttl = 5\nl2_ttl = 5\ncluster_nodes = a:1\ncluster_nodes = b:2\n",
        .environment = {"CACHE_L2_TTL=6", "STRATA_WORKERS=2"},
        .argv = {"--workers=3"},
    };
    json_t *root = listed(&loading);
    (void)snprintf(expected, sizeof expected,
                   "{\"value\": 5, \"unit\": \"seconds\", \"origin\": \"%s:2\"}", loading.path);
    check_entry(root, "l1_ttl", expected);
    check_entry(root, "l2_ttl",
                "{\"value\": 6, \"unit\": \"seconds\", \"origin\": \"environment CACHE_L2_TTL\"}");
    check_entry(root, "workers",
                "{\"value\": 3, \"unit\": \"threads\", \"origin\": \"flag --workers\"}");
    (void)snprintf(expected, sizeof expected,
                   "{\"value\": [\"a:1\", \"b:2\"], \"origin\": \"%s:5\"}", loading.path);
    check_entry(root, "cluster_nodes", expected);
    (void)snprintf(expected, sizeof expected, "{\"value\": \"%s\", \"origin\": \"flag --config\"}",
                   loading.path);
    check_entry(root, "config_file", expected);
    json_decref(root);
    loading_end(&loading);
}

static void passwords_are_masked(void **state)
{
    (void)state;
    struct loading loading = {
        .environment = {"ROUTER_REDIS_URL=redis://bob:sEcReT@h:1/2", "STRATA_PASSWORD=sEcReT"}};
    json_t *root = listed(&loading);
    check_entry(root, "redis_url",
                "{\"value\": \"redis://***@h:1/2\", \"origin\": \"environment ROUTER_REDIS_URL\"}");
    check_entry(root, "password",
                "{\"value\": \"***\", \"origin\": \"environment STRATA_PASSWORD\"}");
    check_entry(root, "password",
                "{\"value\": \"***\", \"origin\": \"environment STRATA_PASSWORD\"}");
    json_decref(root);
    loading_end(&loading);
}

static void texts_that_are_not_utf_8_are_listed_in_ascii(void **state)
{
    (void)state;
    struct loading loading = {.environment = {"CACHE_L2_KEY_PREFIX=a\xff\xfe"
                                              "b",
                                              "STRATA_NAME=\xc3\xa4"}};
    json_t *root = listed(&loading);
    check_entry(root, "key_prefix",
                "{\"value\": \"a??b\", \"origin\": \"environment CACHE_L2_KEY_PREFIX\"}");
    check_entry(root, "name", "{\"value\": \"\xc3\xa4\", \"origin\": \"environment STRATA_NAME\"}");
    json_decref(root);
    loading.config->settings[0].source = STA_SOURCE_FILE;
    loading.config->settings[0].line = 7;
    assert_int_equal(
        sta_setting_offer_file(loading.config, STA_SOURCE_FLAG, "/tmp/\xff/conf", NULL), STRATA_OK);
    root = sta_config_json(loading.config);
    assert_non_null(root);
    const char *name = loading.config->settings[0].option->name;
    assert_string_equal(json_string_value(json_object_get(json_object_get(root, name), "origin")),
                        "/tmp/?/conf:7");
    check_entry(root, "config_file", "{\"value\": \"/tmp/?/conf\", \"origin\": \"flag --config\"}");
    json_decref(root);
    loading_end(&loading);
}

static void every_option_is_listed_in_the_order_of_the_tables(void **state)
{
    (void)state;
    struct loading loading = {0};
    struct sta_option_set sets[LOADING_SET_COUNT];
    json_t *root = listed(&loading);
    loading_sets(&loading, sets);
    assert_int_equal(json_object_size(root), 1 + sets[0].count + sets[1].count);
    void *entry = json_object_iter_next(root, json_object_iter(root));
    for (size_t s = 0; s < LOADING_SET_COUNT; s++) {
        for (size_t i = 0; i < sets[s].count; i++) {
            assert_string_equal(json_object_iter_key(entry), sets[s].options[i].name);
            entry = json_object_iter_next(root, entry);
        }
    }
    json_decref(root);
    loading_end(&loading);
}

static void it_is_said_what_is_live_and_why_the_rest_is_not(void **state)
{
    (void)state;
    struct loading loading = {0};
    json_t *root = listed(&loading);
    const json_t *live = json_object_get(root, "l1_ttl");
    const json_t *fixed = json_object_get(root, "redis_url");
    assert_true(json_is_true(json_object_get(live, "live")));
    assert_null(json_object_get(live, "fixed_because"));
    assert_true(json_is_false(json_object_get(fixed, "live")));
    assert_string_equal(json_string_value(json_object_get(fixed, "fixed_because")),
                        "connections are made with it");
    const json_t *file = json_object_get(root, "config_file");
    assert_true(json_is_false(json_object_get(file, "live")));
    assert_string_equal(json_string_value(json_object_get(file, "fixed_because")),
                        "it is named once, at the start");
    json_decref(root);
    loading_end(&loading);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_listed_as_its_json_type),
        cmocka_unit_test(origins_say_where_a_value_came_from),
        cmocka_unit_test(passwords_are_masked),
        cmocka_unit_test(texts_that_are_not_utf_8_are_listed_in_ascii),
        cmocka_unit_test(it_is_said_what_is_live_and_why_the_rest_is_not),
        cmocka_unit_test(every_option_is_listed_in_the_order_of_the_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
