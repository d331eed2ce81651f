/* SPDX-License-Identifier: MIT
 *
 * strata cluster, as a person runs it: before a real cluster, before one that has lost a node, and
 * before what is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "strata_program.h"
#include "support/port.h"
#include "support/redis_cluster.h"
#include "support/wait.h"

#define PATIENT_MS 30000u

struct world {
    struct redis_cluster *cluster;
    char url[64];
    struct command_result result;
};

static int start(void **state)
{
    static struct world world;
    if (redis_cluster_start(&world.cluster, &(struct redis_cluster_config){0}) != 0)
        return -1;
    (void)snprintf(world.url, sizeof world.url, "redis://%s",
                   redis_cluster_address(world.cluster, 0));
    *state = &world;
    return 0;
}

static int stop(void **state)
{
    struct world *world = *state;
    redis_cluster_stop(&world->cluster);
    return 0;
}

static int discard(void **state)
{
    struct world *world = *state;
    command_result_fini(&world->result);
    return 0;
}

static unsigned count(const char *text, const char *part)
{
    unsigned found = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        found++;
    return found;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static int number_of(const json_t *object, const char *name)
{
    return (int)json_integer_value(json_object_get(object, name));
}

static void info_says_how_the_cluster_is(void **state)
{
    struct world *world = *state;
    assert_int_equal(strata_run(&world->result, NULL, world->url, "cluster", "info", NULL), 0);
    static const char expected[] = "state          ok\n"
                                   "healthy nodes  6 of 6\n"
                                   "slots          16384 assigned, 16384 ok, 0 pfail, 0 fail\n"
                                   "epoch          ";
    assert_memory_equal(world->result.out, expected, sizeof expected - 1);
    assert_int_equal(count(world->result.out, "\n"), 4);
    assert_string_equal(world->result.err, "");
}

static void nodes_and_map_name_every_node(void **state)
{
    struct world *world = *state;
    assert_int_equal(strata_run(&world->result, NULL, world->url, "cluster", "nodes", NULL), 0);
    for (unsigned node = 0; node < 6; node++)
        assert_non_null(strstr(world->result.out, redis_cluster_address(world->cluster, node)));
    assert_int_equal(count(world->result.out, "  primary  up "), 3);
    assert_int_equal(count(world->result.out, "  replica  up "), 3);
    command_result_fini(&world->result);
    assert_int_equal(strata_run(&world->result, NULL, world->url, "cluster", "map", NULL), 0);
    assert_int_equal(count(world->result.out, "\n"), 4); /* and the heads */
    char line[200];
    (void)snprintf(line, sizeof line, "\n0-5460       5461   %s  %s\n",
                   redis_cluster_address(world->cluster, 0),
                   redis_cluster_address(world->cluster, 3));
    assert_non_null(strstr(world->result.out, line));
}

static void all_of_it_is_there_as_json(void **state)
{
    struct world *world = *state;
    assert_int_equal(
        strata_run(&world->result, NULL, world->url, "cluster", "nodes", "--json", NULL), 0);
    json_t *document = strata_json(&world->result);
    assert_string_equal(text_of(document, "cluster_state"), "ok");
    assert_int_equal(number_of(document, "healthy_nodes"), 6);
    assert_int_equal(number_of(document, "slots_ok"), 16384);
    json_t *first = json_array_get(json_object_get(document, "nodes"), 0);
    assert_string_equal(text_of(first, "address"), redis_cluster_address(world->cluster, 0));
    assert_string_equal(text_of(first, "id"), redis_cluster_id(world->cluster, 0));
    assert_string_equal(text_of(first, "role"), "primary");
    assert_int_equal(number_of(first, "slots"), 5461);
    json_decref(document);
    command_result_fini(&world->result);
    assert_int_equal(strata_run(&world->result, NULL, world->url, "--json", "cluster", "map", NULL),
                     0);
    document = strata_json(&world->result);
    json_t *last = json_array_get(json_object_get(document, "slots"), 2);
    assert_int_equal(number_of(last, "first"), 10922);
    assert_int_equal(number_of(last, "last"), 16383);
    assert_string_equal(text_of(last, "address"), redis_cluster_address(world->cluster, 2));
    json_decref(document);
}

static void without_a_server_named_the_environment_says_where_the_cluster_is(void **state)
{
    struct world *world = *state;
    char nodes[100];
    (void)snprintf(nodes, sizeof nodes, "[\"%s\"]", redis_cluster_address(world->cluster, 1));
    (void)setenv("REDIS_CLUSTER_NODES", nodes, 1);
    int code = strata_run(&world->result, NULL, NULL, "cluster", "info", NULL);
    (void)unsetenv("REDIS_CLUSTER_NODES");
    assert_int_equal(code, 0);
    assert_non_null(strstr(world->result.out, "healthy nodes  6 of 6\n"));
}

static void watching_is_looking_again_and_again(void **state)
{
    struct world *world = *state;
    assert_int_equal(strata_run(&world->result, NULL, world->url, "cluster", "info", "--watch",
                                "--interval", "0.1", "--count", "3", NULL),
                     0);
    assert_int_equal(count(world->result.out, "state          ok\n"), 3);
    assert_null(strchr(world->result.out, '\x1b')); /* it is no terminal */
}

static bool shows_the_dead_one(void *arg)
{
    struct world *world = arg;
    command_result_fini(&world->result);
    (void)strata_run(&world->result, NULL, world->url, "cluster", "nodes", NULL);
    return count(world->result.out, " down ") + count(world->result.out, " failed ") == 1;
}

static void a_node_that_died_is_seen(void **state)
{
    struct world *world = *state;
    redis_cluster_kill9(world->cluster, 4);
    assert_true(wait_until(shows_the_dead_one, world, PATIENT_MS));
    command_result_fini(&world->result);
    assert_int_equal(strata_run(&world->result, NULL, world->url, "cluster", "info", NULL), 0);
    assert_non_null(strstr(world->result.out, "healthy nodes  5 of 6\n"));
}

static void what_cannot_be_shown_is_one_clear_line(void **state)
{
    struct world *world = *state;
    char url[64];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", port_choose("127.0.0.1"));
    assert_int_equal(strata_run(&world->result, NULL, url, "cluster", "info", NULL), 3);
    assert_string_equal(world->result.out, "");
    assert_int_equal(count(world->result.err, "\n"), 1);
    command_result_fini(&world->result);
    assert_int_equal(strata_run(&world->result, NULL, world->url, "cluster", "slots", NULL), 2);
    assert_string_equal(world->result.err, "strata: cluster slots: info, nodes or map\n");
    command_result_fini(&world->result);
    assert_int_equal(strata_run(&world->result, NULL, world->url, "cluster", NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(info_says_how_the_cluster_is, discard),
        cmocka_unit_test_teardown(nodes_and_map_name_every_node, discard),
        cmocka_unit_test_teardown(all_of_it_is_there_as_json, discard),
        cmocka_unit_test_teardown(without_a_server_named_the_environment_says_where_the_cluster_is,
                                  discard),
        cmocka_unit_test_teardown(watching_is_looking_again_and_again, discard),
        cmocka_unit_test_teardown(a_node_that_died_is_seen, discard),
        cmocka_unit_test_teardown(what_cannot_be_shown_is_one_clear_line, discard),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
