/* SPDX-License-Identifier: MIT
 *
 * strata cluster, as a person runs it: before a real cluster, before one that has lost a node, and
 * before what is none; and strata get, set and del before a cluster.
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

/* Six keys of six slots: whichever node is asked, most live elsewhere. */
static void keys_are_found_wherever_they_live(void **state)
{
    struct world *world = *state;
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f"};
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(strata_run(&world->result, NULL, world->url, "set", keys[i], keys[5 - i],
                                    "--ttl", "600", NULL),
                         0);
        command_result_fini(&world->result);
        int owner =
            redis_cluster_primary(world->cluster, redis_cluster_slot(world->cluster, keys[i]));
        assert_int_equal(
            redis_cluster_tell(world->cluster, (unsigned)owner, "APPEND %s !", keys[i]), 0);
    }
    assert_int_equal(
        strata_run(&world->result, NULL, world->url, "get", "a", "b", "c", "d", "e", "f", NULL), 0);
    assert_string_equal(world->result.out, "f!\ne!\nd!\nc!\nb!\na!\n");
    command_result_fini(&world->result);
    assert_int_equal(strata_run(&world->result, NULL, world->url, "del", "a", "b", "c", "d", "e",
                                "f", "none", NULL),
                     6);
    assert_string_equal(world->result.out, "6\n");
}

/* What is half moved is asked for where it is, with ASKING. */
static void a_key_in_a_slot_that_moves_is_found(void **state)
{
    struct world *world = *state;
    unsigned slot = redis_cluster_slot(world->cluster, "{moving}1");
    unsigned from = (unsigned)redis_cluster_primary(world->cluster, slot);
    unsigned to = (from + 1) % 3;
    assert_int_equal(strata_run(&world->result, NULL, world->url, "set", "{moving}1", "here", NULL),
                     0);
    command_result_fini(&world->result);
    assert_int_equal(redis_cluster_begin_move(world->cluster, slot, to), 0);
    assert_int_equal(redis_cluster_move_keys(world->cluster, slot, to, 100), 0);
    assert_int_equal(strata_run(&world->result, NULL, world->url, "get", "{moving}1", NULL), 0);
    assert_string_equal(world->result.out, "here");
    command_result_fini(&world->result);
    assert_int_equal(strata_run(&world->result, NULL, world->url, "set", "{moving}2", "new", NULL),
                     0);
    command_result_fini(&world->result);
    assert_int_equal(redis_cluster_finish_move(world->cluster, slot, to), 0);
    assert_int_equal(
        strata_run(&world->result, NULL, world->url, "del", "{moving}1", "{moving}2", NULL), 0);
    assert_string_equal(world->result.out, "2\n");
    command_result_fini(&world->result);
    assert_int_equal(redis_cluster_move_slot(world->cluster, slot, from), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(info_says_how_the_cluster_is, discard),
        cmocka_unit_test_teardown(nodes_and_map_name_every_node, discard),
        cmocka_unit_test_teardown(all_of_it_is_there_as_json, discard),
        cmocka_unit_test_teardown(without_a_server_named_the_environment_says_where_the_cluster_is,
                                  discard),
        cmocka_unit_test_teardown(keys_are_found_wherever_they_live, discard),
        cmocka_unit_test_teardown(a_key_in_a_slot_that_moves_is_found, discard),
        cmocka_unit_test_teardown(watching_is_looking_again_and_again, discard),
        cmocka_unit_test_teardown(a_node_that_died_is_seen, discard),
        cmocka_unit_test_teardown(what_cannot_be_shown_is_one_clear_line, discard),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
