/* SPDX-License-Identifier: MIT
 *
 * strata top before a stratad with a real Redis: its node, which goes and comes back, and the hit
 * ratio of the time between two looks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "strata_program.h"
#include "support/redis_server.h"
#include "support/stratad_process.h"
#include "support/wait.h"

#define PATIENT_MS 30000u

static struct world {
    struct redis_server *server;
    struct stratad_process *stratad;
    char url[160];
    struct command_result result;
    _Atomic bool stop;
    _Atomic unsigned answered;
} world;

static int start(void **state)
{
    (void)state;
    if (redis_server_start(&world.server, NULL) != 0 ||
        stratad_process_start(&world.stratad, redis_server_url(world.server), NULL) != 0)
        return -1;
    (void)snprintf(world.url, sizeof world.url, "unix://%s", stratad_process_socket(world.stratad));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    command_result_fini(&world.result);
    stratad_process_stop(&world.stratad);
    redis_server_stop(&world.server);
    return 0;
}

static redisContext *client(void)
{
    redisContext *context = redisConnectUnix(stratad_process_socket(world.stratad));
    assert_non_null(context);
    assert_int_equal(context->err, 0);
    return context;
}

static void ask(redisContext *context, const char *command, int type)
{
    redisReply *reply = redisCommand(context, command);
    assert_non_null(reply);
    assert_int_equal(reply->type, type);
    freeReplyObject(reply);
}

/* The caller's. */
static json_t *top(void)
{
    command_result_fini(&world.result);
    assert_int_equal(strata_run(&world.result, NULL, world.url, "top", "--once", "--interval",
                                "0.1", "--json", NULL),
                     0);
    return strata_json(&world.result);
}

static void where_nothing_was_asked_there_is_no_hit_ratio(void **state)
{
    (void)state;
    json_t *document = top();
    assert_true(json_is_null(json_object_get(document, "hit_ratio")));
    assert_true(json_is_null(json_object_get(document, "l1_hit_ratio")));
    json_decref(document);
    command_result_fini(&world.result);
    assert_int_equal(
        strata_run(&world.result, NULL, world.url, "top", "--once", "--interval", "0.1", NULL), 0);
    assert_non_null(strstr(world.result.out, " none now (L1 none), "));
}

static void *read_hot(void *arg)
{
    redisContext *context = arg;
    while (!atomic_load(&world.stop)) {
        redisReply *reply = redisCommand(context, "GET hot");
        if (reply == NULL || reply->type != REDIS_REPLY_STRING)
            break;
        freeReplyObject(reply);
        atomic_fetch_add(&world.answered, 1);
    }
    return NULL;
}

static bool is_reading(void *arg)
{
    (void)arg;
    return atomic_load(&world.answered) > 0;
}

static void the_hit_ratio_is_that_between_two_looks(void **state)
{
    (void)state;
    char command[32];
    pthread_t reader;
    redisContext *context = client();
    for (unsigned i = 0; i < 2000; i++) {
        (void)snprintf(command, sizeof command, "GET none:%u", i);
        ask(context, command, REDIS_REPLY_NIL);
    }
    ask(context, "SET hot value", REDIS_REPLY_STATUS);
    ask(context, "GET hot", REDIS_REPLY_STRING);
    assert_int_equal(pthread_create(&reader, NULL, read_hot, context), 0);
    assert_true(wait_until(is_reading, NULL, PATIENT_MS));
    json_t *document = top();
    atomic_store(&world.stop, true);
    (void)pthread_join(reader, NULL);
    redisFree(context);
    assert_true(json_real_value(json_object_get(document, "hit_ratio")) == 1);
    assert_true(json_real_value(json_object_get(document, "l1_hit_ratio")) == 1);
    double total = json_real_value(json_object_get(document, "hit_ratio_total"));
    assert_true(total > 0 && total < 1);
    assert_true(json_number_value(json_object_get(document, "l1_hits_per_second")) > 0);
    assert_true(json_number_value(json_object_get(document, "l1_get_p99_seconds")) > 0);
    assert_true(json_number_value(json_object_get(document, "l2_get_p99_seconds")) > 0);
    json_decref(document);
}

static const json_t *node_of(const json_t *document)
{
    const json_t *nodes = json_object_get(document, "nodes");
    assert_int_equal(json_array_size(nodes), 1);
    return json_array_get(nodes, 0);
}

/* Workers tell of it now and then. */
static bool has_latency(void *arg)
{
    (void)arg;
    json_t *document = top();
    double mean = json_number_value(json_object_get(node_of(document), "latency_seconds"));
    double p99 = json_number_value(json_object_get(node_of(document), "latency_p99_seconds"));
    json_decref(document);
    return mean > 0 && p99 > 0;
}

static bool has_state(void *state)
{
    json_t *document = top();
    bool has = strcmp(json_string_value(json_object_get(node_of(document), "state")), state) == 0;
    json_decref(document);
    return has;
}

static void assert_line_says(const char *state)
{
    command_result_fini(&world.result);
    assert_int_equal(
        strata_run(&world.result, NULL, world.url, "top", "--once", "--interval", "0.1", NULL), 0);
    const char *line = strstr(world.result.out, "\nRedis node ");
    assert_non_null(line);
    assert_non_null(strstr(line, state));
}

static void a_node_has_its_state_as_it_goes_and_comes_back(void **state)
{
    (void)state;
    char up[] = "up", down[] = "down";
    assert_true(wait_until(has_latency, NULL, PATIENT_MS));
    json_t *document = top();
    const json_t *node = node_of(document);
    char address[32];
    (void)snprintf(address, sizeof address, "127.0.0.1:%d", redis_server_port(world.server));
    assert_string_equal(json_string_value(json_object_get(node, "address")), address);
    assert_string_equal(json_string_value(json_object_get(node, "state")), "up");
    assert_true(json_is_integer(json_object_get(node, "in_flight")));
    assert_int_equal(json_integer_value(json_object_get(node, "reconnects")), 0);
    json_decref(document);

    redis_server_kill9(world.server);
    assert_true(wait_until(has_state, down, PATIENT_MS));
    assert_line_says("down");
    assert_int_equal(redis_server_restart(world.server), 0);
    assert_true(wait_until(has_state, up, PATIENT_MS));
    assert_line_says(" up ");
    document = top();
    assert_true(json_integer_value(json_object_get(node_of(document), "reconnects")) > 0);
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_nothing_was_asked_there_is_no_hit_ratio),
        cmocka_unit_test(the_hit_ratio_is_that_between_two_looks),
        cmocka_unit_test(a_node_has_its_state_as_it_goes_and_comes_back),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
