/* SPDX-License-Identifier: MIT
 *
 * strata doctor, strata health, strata top: things are broken on purpose, and each must be named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "integration/strata_program.h"
#include "support/fault_proxy.h"
#include "support/port.h"
#include "support/stratad_process.h"
#include "support/wait.h"

#define NOWHERE "unix:///nonexistent/stratad.sock"

/* Runs doctor on this Redis (NULL: the fixture's) and stratad (NULL: none); the caller owns what it
 * printed. */
static json_t *doctor(struct strata_fixture *f, const char *redis, const char *stratad,
                      const char *environment)
{
    const struct command_input input = {.environment = environment};
    command_result_fini(&f->result);
    (void)strata_run(&f->result, &input, stratad != NULL ? stratad : NOWHERE, "doctor", "--json",
                     "--timeout", "3", "--redis", redis != NULL ? redis : f->url, NULL);
    return strata_json(&f->result);
}

/* The same, where the environment says which Redis. */
static json_t *doctor_of(struct strata_fixture *f, const char *environment)
{
    const struct command_input input = {.environment = environment};
    command_result_fini(&f->result);
    (void)strata_run(&f->result, &input, NOWHERE, "doctor", "--json", "--timeout", "3", NULL);
    return strata_json(&f->result);
}

static const json_t *find(const json_t *document, const char *check)
{
    size_t i;
    json_t *finding;
    json_array_foreach(json_object_get(document, "checks"), i, finding)
    {
        if (strcmp(json_string_value(json_object_get(finding, "check")), check) == 0)
            return finding;
    }
    return NULL;
}

/* The check said this; where it is not ok, it says what to do. Takes the document. */
static void assert_says(json_t *document, const char *check, const char *state)
{
    const json_t *finding = find(document, check);
    char *all = json_dumps(document, JSON_INDENT(1));
    if (finding == NULL || strcmp(json_string_value(json_object_get(finding, "state")), state) != 0)
        fail_msg("%s is not %s:\n%s", check, state, all);
    bool advises = json_string_value(json_object_get(finding, "advice"))[0] != '\0';
    assert_int_equal(advises, strcmp(state, "ok") != 0);
    if (strcmp(state, "fail") == 0)
        assert_int_equal(json_integer_value(json_object_get(document, "exit")), 1);
    free(all);
    json_decref(document);
}

static void redis_do(struct strata_fixture *f, const char *command)
{
    redisReply *reply = redisCommand(f->redis, command);
    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", command, reply->str);
    freeReplyObject(reply);
}

static void what_is_well_is_ok(void **state)
{
    struct strata_fixture *f = *state;
    struct stratad_process *stratad = NULL;
    char url[160];
    assert_int_equal(stratad_process_start(&stratad, f->url, NULL), 0);
    (void)snprintf(url, sizeof url, "unix://%s", stratad_process_socket(stratad));
    redis_do(f, "CONFIG SET maxmemory 500mb maxmemory-policy allkeys-lru");
    json_t *document = doctor(f, NULL, url, NULL);
    size_t i;
    json_t *finding;
    json_array_foreach(json_object_get(document, "checks"), i, finding)
    {
        if (strcmp(json_string_value(json_object_get(finding, "state")), "ok") != 0)
            fail_msg("%s", f->result.out);
    }
    assert_true(i >= 12);
    assert_int_equal(f->result.code, 0);
    json_decref(document);
    command_result_fini(&f->result);
    assert_int_equal(strata_run(&f->result, NULL, url, "health", NULL), 0);
    assert_non_null(strstr(f->result.out, "overall   healthy"));
    redis_do(f, "CONFIG SET maxmemory 0 maxmemory-policy noeviction");
    stratad_process_stop(&stratad);
}

static void memory_without_a_bound_and_a_policy_that_refuses(void **state)
{
    assert_says(doctor(*state, NULL, NULL, NULL), "memory", "warn");
    assert_says(doctor(*state, NULL, NULL, NULL), "eviction", "warn");
}

static void memory_that_is_full(void **state)
{
    struct strata_fixture *f = *state;
    redis_do(f, "CONFIG SET maxmemory 1");
    json_t *document = doctor(f, NULL, NULL, NULL);
    redis_do(f, "CONFIG SET maxmemory 0");
    assert_says(document, "memory", "fail");
}

static void a_redis_that_is_not_there(void **state)
{
    char url[64];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", port_choose("127.0.0.1"));
    assert_says(doctor(*state, url, NULL, NULL), "redis", "fail");
}

static void a_redis_that_hangs(void **state)
{
    struct redis_server *server;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    redis_server_freeze(server);
    json_t *document = doctor(*state, redis_server_url(server), NULL, NULL);
    redis_server_thaw(server);
    assert_says(document, "redis", "fail");
    redis_server_stop(&server);
}

static void a_password_that_is_missing_or_wrong(void **state)
{
    struct redis_server *server;
    const char *const args[] = {"--requirepass", "secret", NULL};
    char url[64];
    assert_int_equal(redis_server_start(&server, args), 0);
    assert_says(doctor(*state, redis_server_url(server), NULL, NULL), "redis auth", "fail");
    (void)snprintf(url, sizeof url, "redis://:wrong@127.0.0.1:%d", redis_server_port(server));
    assert_says(doctor(*state, url, NULL, NULL), "redis auth", "fail");
    (void)snprintf(url, sizeof url, "redis://:secret@127.0.0.1:%d", redis_server_port(server));
    assert_says(doctor(*state, url, NULL, NULL), "redis", "ok");
    redis_server_stop(&server);
}

static void rights_that_are_missing(void **state)
{
    struct strata_fixture *f = *state;
    char url[64];
    redis_do(f, "ACL SETUSER poor on >poor ~* +@all -client|tracking");
    redis_do(f, "ACL SETUSER blind on >blind ~* +@all -info");
    const char *at = strstr(f->url, "127.0.0.1");
    (void)snprintf(url, sizeof url, "redis://poor:poor@%s", at);
    assert_says(doctor(f, url, NULL, NULL), "tracking", "fail");
    (void)snprintf(url, sizeof url, "redis://blind:blind@%s", at);
    assert_says(doctor(f, url, NULL, NULL), "redis info", "warn");
    assert_says(doctor(f, NULL, NULL, NULL), "tracking", "ok");
}

static void a_replica(void **state)
{
    struct strata_fixture *f = *state;
    redis_do(f, "REPLICAOF 127.0.0.1 1");
    json_t *document = doctor(f, NULL, NULL, NULL);
    redis_do(f, "REPLICAOF NO ONE");
    assert_says(document, "role", "fail");
}

static void a_cluster_that_is_none_and_the_reverse(void **state)
{
    struct redis_server *server;
    const char *const args[] = {"--cluster-enabled", "yes", NULL};
    assert_says(doctor(*state, NULL, NULL, "REDIS_CLUSTER_ENABLED=true"), "cluster mode", "fail");
    assert_int_equal(redis_server_start(&server, args), 0);
    assert_says(doctor(*state, redis_server_url(server), NULL, NULL), "cluster mode", "fail");
    assert_says(doctor(*state, redis_server_url(server), NULL, "REDIS_CLUSTER_ENABLED=true"),
                "cluster", "fail");
    redis_server_stop(&server);
}

static void connections_that_run_out(void **state)
{
    struct strata_fixture *f = *state;
    redis_do(f, "CONFIG SET maxclients 2");
    json_t *document = doctor(f, NULL, NULL, NULL);
    redis_do(f, "CONFIG SET maxclients 10000");
    assert_says(document, "clients", "fail");
}

/* Half of what a call has, at least, on the way there. */
static void a_redis_that_is_far_away(void **state)
{
    struct strata_fixture *f = *state;
    char url[64], target[32];
    (void)snprintf(target, sizeof target, "127.0.0.1:%d", redis_server_port(f->server));
    struct fault_proxy *proxy = fault_proxy_start(NULL, target);
    const struct fault_way slow = {.delay_ms = 50};
    (void)snprintf(url, sizeof url, "redis://%s", fault_proxy_address(proxy));
    fault_proxy_set_way(proxy, FAULT_UP, slow);
    json_t *document = doctor(f, url, NULL, "REDIS_SOCKET_TIMEOUT=0.1");
    fault_proxy_stop(&proxy);
    assert_says(document, "latency", "warn");
}

static void a_table_of_tracked_keys_that_is_full(void **state)
{
    struct strata_fixture *f = *state;
    redis_do(f, "CONFIG SET tracking-table-max-keys 2");
    redisContext *reader = redisConnectUnix(redis_server_socket(f->server));
    redisReply *id = redisCommand(f->redis, "CLIENT ID");
    redisReply *reply = redisCommand(reader, "CLIENT TRACKING ON REDIRECT %lld", id->integer);
    assert_int_equal(reply->type, REDIS_REPLY_STATUS);
    freeReplyObject(reply);
    freeReplyObject(id);
    freeReplyObject(redisCommand(reader, "MGET one two"));
    json_t *document = doctor(f, NULL, NULL, NULL);
    redisFree(reader);
    redis_do(f, "CONFIG SET tracking-table-max-keys 1000000");
    assert_says(document, "tracking table", "warn");
}

static void a_configuration_that_is_wrong(void **state)
{
    assert_says(doctor(*state, NULL, NULL, "CACHE_L1_TTL=soon"), "configuration", "fail");
    assert_says(doctor(*state, NULL, NULL, "CACHE_WRITE_BEHIND=true"), "configuration", "fail");
}

/* Which Redis that is nobody knows then, and another one is none of ours. */
static void a_configuration_that_is_wrong_names_no_redis(void **state)
{
    json_t *document = doctor_of(*state, "CACHE_L1_TTL=soon");
    assert_null(find(document, "version"));
    assert_says(document, "redis", "warn");
}

static void a_cluster_is_found_by_its_nodes(void **state)
{
    struct redis_server *server;
    const char *const args[] = {"--cluster-enabled", "yes", NULL};
    char nodes[96], expected[64];
    assert_int_equal(redis_server_start(&server, args), 0);
    (void)snprintf(nodes, sizeof nodes, "REDIS_CLUSTER_NODES=127.0.0.1:%d,127.0.0.1:1",
                   redis_server_port(server));
    (void)snprintf(expected, sizeof expected, "127.0.0.1:%d", redis_server_port(server));
    (void)setenv("REDIS_CLUSTER_ENABLED", "true", 1);
    json_t *document = doctor_of(*state, nodes);
    (void)unsetenv("REDIS_CLUSTER_ENABLED");
    const char *text = json_string_value(json_object_get(find(document, "redis"), "text"));
    if (text == NULL || strstr(text, expected) == NULL)
        fail_msg("%s: %s", expected, text);
    assert_says(document, "redis", "ok");
    redis_server_stop(&server);
}

static void a_stratad_that_is_not_there_or_is_none(void **state)
{
    struct strata_fixture *f = *state;
    assert_says(doctor(f, NULL, NULL, NULL), "stratad", "warn");
    assert_says(doctor(f, NULL, f->url, NULL), "stratad", "warn");
}

static void a_hit_ratio_that_is_low(void **state)
{
    struct strata_fixture *f = *state;
    struct stratad_process *stratad = NULL;
    char url[160];
    assert_int_equal(stratad_process_start(&stratad, f->url, NULL), 0);
    (void)snprintf(url, sizeof url, "unix://%s", stratad_process_socket(stratad));
    redisContext *client = redisConnectUnix(stratad_process_socket(stratad));
    for (int i = 0; i < 1500; i++)
        freeReplyObject(redisCommand(client, "GET none:%d", i));
    redisFree(client);
    json_t *document = doctor(f, NULL, url, NULL);
    assert_non_null(strstr(
        json_string_value(json_object_get(find(document, "hit ratio"), "advice")), "only once"));
    assert_says(document, "hit ratio", "warn");
    stratad_process_stop(&stratad);
}

static void top_shows_rates(void **state)
{
    struct strata_fixture *f = *state;
    struct stratad_process *stratad = NULL;
    char url[160];
    assert_int_equal(stratad_process_start(&stratad, f->url, NULL), 0);
    (void)snprintf(url, sizeof url, "unix://%s", stratad_process_socket(stratad));
    command_result_fini(&f->result);
    assert_int_equal(
        strata_run(&f->result, NULL, url, "top", "--once", "--interval", "0.2", "--json", NULL), 0);
    json_t *document = strata_json(&f->result);
    /* It counts itself: each look is a command. */
    double rate = json_number_value(json_object_get(document, "commands_per_second"));
    assert_true(rate > 0 && rate < 1000);
    json_t *health = json_object_get(document, "health");
    assert_string_equal(json_string_value(json_object_get(health, "overall")), "healthy");
    assert_true(json_number_value(json_object_get(document, "l1_memory_bytes")) > 0);
    json_decref(document);
    command_result_fini(&f->result);
    assert_int_equal(
        strata_run(&f->result, NULL, url, "top", "--count", "2", "--interval", "0.1", NULL), 0);
    const char *first = strstr(f->result.out, "commands/s");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "commands/s"));
    const struct command_input input = {.terminal = true};
    command_result_fini(&f->result);
    assert_int_equal(
        strata_run(&f->result, &input, url, "top", "--count", "1", "--interval", "0.1", NULL), 0);
    assert_non_null(strstr(f->result.out, "\x1b[H\x1b[J"));
    stratad_process_stop(&stratad);
    command_result_fini(&f->result);
    assert_int_equal(strata_run(&f->result, NULL, NOWHERE, "top", NULL), 3);
}

struct unwell {
    struct strata_fixture *fixture;
    const char *url;
};

static bool is_unwell(void *arg)
{
    const struct unwell *unwell = arg;
    struct strata_fixture *f = unwell->fixture;
    command_result_fini(&f->result);
    return strata_run(&f->result, NULL, unwell->url, "health", "--json", NULL) == 1;
}

static void a_stratad_without_its_redis(void **state)
{
    struct strata_fixture *f = *state;
    struct redis_server *server;
    struct stratad_process *stratad = NULL;
    char url[160];
    assert_int_equal(redis_server_start(&server, NULL), 0);
    assert_int_equal(stratad_process_start(&stratad, redis_server_url(server), NULL), 0);
    (void)snprintf(url, sizeof url, "unix://%s", stratad_process_socket(stratad));
    redis_server_kill9(server);
    struct unwell unwell = {f, url};
    assert_true(wait_until(is_unwell, &unwell, 30000));
    json_t *document = strata_json(&f->result);
    json_t *overall = json_object_get(document, "overall");
    assert_string_equal(json_string_value(json_object_get(overall, "state")), "unhealthy");
    json_decref(document);
    assert_says(doctor(f, NULL, url, NULL), "stratad l2", "fail");
    command_result_fini(&f->result);
    assert_int_equal(strata_run(&f->result, NULL, url, "health", "--watch", "--count", "2",
                                "--interval", "0.1", NULL),
                     1);
    assert_non_null(strstr(f->result.out, "l2_cache  unhealthy"));
    stratad_process_stop(&stratad);
    redis_server_stop(&server);
}

static void health_is_stratads(void **state)
{
    struct strata_fixture *f = *state;
    command_result_fini(&f->result);
    assert_int_equal(strata_run(&f->result, NULL, f->url, "health", NULL), 1);
    assert_non_null(strstr(f->result.err, "not stratad"));
    command_result_fini(&f->result);
    assert_int_equal(strata_run(&f->result, NULL, NOWHERE, "health", NULL), 3);
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, strata_fixture_empty, strata_fixture_discard)
    const struct CMUnitTest tests[] = {
        TEST(what_is_well_is_ok),
        TEST(memory_without_a_bound_and_a_policy_that_refuses),
        TEST(memory_that_is_full),
        TEST(a_redis_that_is_not_there),
        TEST(a_redis_that_hangs),
        TEST(a_password_that_is_missing_or_wrong),
        TEST(rights_that_are_missing),
        TEST(a_replica),
        TEST(a_cluster_that_is_none_and_the_reverse),
        TEST(connections_that_run_out),
        TEST(a_redis_that_is_far_away),
        TEST(a_table_of_tracked_keys_that_is_full),
        TEST(a_configuration_that_is_wrong),
        TEST(a_configuration_that_is_wrong_names_no_redis),
        TEST(a_cluster_is_found_by_its_nodes),
        TEST(a_stratad_that_is_not_there_or_is_none),
        TEST(a_hit_ratio_that_is_low),
        TEST(top_shows_rates),
        TEST(a_stratad_without_its_redis),
        TEST(health_is_stratads),
    };
    return cmocka_run_group_tests(tests, strata_fixture_open, strata_fixture_close);
}
