/* SPDX-License-Identifier: MIT
 *
 * stratad's administration over HTTP: what it answers, and whom.
 */
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "integration/admin_rig.h"
#include "support/command.h"
#include "support/wait.h"

#define TOKEN "0123456789abcdef"

/* The value of a series of the one node. */
static double of_node(int port, const char *name)
{
    double value = -1;
    char *text = admin_rig_page(port, "/metrics", 200), begin[128];
    (void)snprintf(begin, sizeof begin, "\n%s{node=", name);
    const char *at = strstr(text, begin);
    if (at == NULL || sscanf(strstr(at, "} "), "} %lf", &value) != 1)
        fail_msg("no %s:\n%s", name, text);
    free(text);
    return value;
}

/* ---- */

static void pages_tell_what_they_should(void **state)
{
    (void)state;
    struct admin_daemon daemon;
    admin_rig_start(&daemon, redis_server_url(rig_server));
    redisContext *client = rig_client(daemon.stratad);
    ASSERT_SAYS(client, "OK", "SET key value");
    for (int i = 0; i < 100; i++)
        ASSERT_SAYS(client, "value", "GET key");
    freeReplyObject(redisCommand(client, "GET none"));
    redisFree(client);
    admin_rig_assert_page_has(daemon.port, "/livez", 200, "ok");
    admin_rig_assert_page_has(daemon.port, "/readyz", 200, "ok");
    admin_rig_assert_page_has(daemon.port, "/health", 200, "\"overall\":{\"state\":\"healthy\"");
    admin_rig_assert_page_has(daemon.port, "/metrics", 200, "\ncache_l1_hits_total ");
    admin_rig_assert_page_has(daemon.port, "/metrics", 200, "\ncache_l2_misses_total 1\n");
    admin_rig_assert_page_has(daemon.port, "/metrics", 200, "\nredis_cluster_nodes_healthy 1\n");
    admin_rig_assert_page_has(daemon.port, "/metrics", 200, "\nredis_cluster_slots_ok 16384\n");
    admin_rig_assert_page_has(daemon.port, "/metrics", 200, "\ncache_hit_ratio 0.9");
    admin_rig_assert_page_has(daemon.port, "/metrics", 200, "\nstrata_l2_reconnects_total 0\n");
    assert_true(of_node(daemon.port, "strata_l2_node_reconnects_total") == 0);
    admin_rig_assert_page_has(
        daemon.port, "/metrics", 200,
        "\ncache_operation_duration_seconds_count{operation=\"set\",tier=\"l2\"} 1\n");
    admin_rig_assert_page_has(daemon.port, "/metrics", 200, "\nstratad_commands_total ");
    char *text = admin_rig_page(daemon.port, "/stats", 200);
    json_error_t error;
    json_t *document = json_loads(text, 0, &error);
    assert_non_null(document);
    json_t *l1 = json_object_get(document, "l1_cache");
    assert_int_equal(json_integer_value(json_object_get(l1, "total_entries")), 1);
    json_decref(document);
    free(text);
    stratad_process_stop(&daemon.stratad);
}

static void prometheus_reads_the_metrics(void **state)
{
    (void)state;
    struct admin_daemon daemon;
    struct command_result result;
    const char *const argv[] = {"promtool", "check", "metrics", NULL};
    admin_rig_start(&daemon, redis_server_url(rig_server));
    redisContext *client = rig_client(daemon.stratad);
    for (int i = 0; i < 100; i++)
        freeReplyObject(redisCommand(client, "GET %b%d:x", "a\"\\\n", (size_t)4, i));
    redisFree(client);
    char *text = admin_rig_page(daemon.port, "/metrics", 200);
    assert_non_null(strstr(text, "\nstrata_prefix_misses_total{prefix=\"a___"));
    const struct command_input input = {.data = text, .len = strlen(text)};
    command_run(&result, &input, argv);
    if (result.code != 0 || result.err[0] != '\0')
        fail_msg("promtool: %d\n%s%s", result.code, result.out, result.err);
    command_result_fini(&result);
    free(text);
    stratad_process_stop(&daemon.stratad);
}

static void every_metric_is_documented(void **state)
{
    (void)state;
    struct admin_daemon daemon;
    char *doc = calloc(1, 65536);
    FILE *file = fopen(STRATA_SOURCE_DIR "/docs/metrics.md", "r");
    assert_non_null(doc);
    assert_non_null(file);
    assert_true(fread(doc, 1, 65535, file) > 1000);
    (void)fclose(file);
    admin_rig_start(&daemon, redis_server_url(rig_server));
    char *text = admin_rig_page(daemon.port, "/metrics", 200);
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, "# HELP ")) != NULL; count++) {
        at += strlen("# HELP ");
        char name[128];
        (void)snprintf(name, sizeof name, "| `%.*s` |", (int)strcspn(at, " "), at);
        if (strstr(doc, name) == NULL)
            fail_msg("docs/metrics.md has no row %s", name);
    }
    assert_true(count > 50);
    free(text);
    free(doc);
    stratad_process_stop(&daemon.stratad);
}

static int run(const char *address)
{
    char text[4096];
    const char *const args[] = {"--admin-listen", address, "--listen", "127.0.0.1:0", NULL};
    int code = stratad_process_run(args, text, sizeof text);
    if (strstr(text, "STRATA_ADMIN_TOKEN") == NULL)
        fail_msg("%d: %s", code, text);
    return code;
}

static void without_a_token_others_cannot_reach_it(void **state)
{
    (void)state;
    assert_int_equal(run("0.0.0.0:0"), 2);
    assert_int_equal(run("[::]:0"), 2);
}

static void a_token_is_asked_for(void **state)
{
    (void)state;
    struct admin_daemon daemon;
    (void)setenv("STRATA_ADMIN_TOKEN", TOKEN, 1);
    admin_rig_start(&daemon, redis_server_url(rig_server));
    (void)unsetenv("STRATA_ADMIN_TOKEN");
    admin_rig_assert_page_has(daemon.port, "/livez", 200, "ok");
    admin_rig_assert_page_has(daemon.port, "/metrics", 401, "token");
    assert_int_equal(admin_rig_status(daemon.port, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
                                                   "Authorization: Bearer " TOKEN "\r\n\r\n"),
                     200);
    stratad_process_stop(&daemon.stratad);
}

/* ---- PUT /config ---- */

/* It is answered with this status, and JSON whose "error", if there is one, has `says`. */
static void assert_put(int port, const char *body, int expected, const char *says)
{
    char *request = malloc(strlen(body) + 256);
    assert_non_null(request);
    (void)sprintf(request,
                  "PUT /config HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s",
                  strlen(body), body);
    char *answer = admin_rig_exchange(port, request);
    const char *end = strstr(answer, "\r\n\r\n");
    if (admin_rig_status_of(answer) != expected || end == NULL)
        fail_msg("%s is answered with: %s", body, answer);
    json_t *document = json_loads(end + 4, 0, NULL);
    const char *error = json_string_value(json_object_get(document, "error"));
    if (document == NULL || (expected != 200 && (error == NULL || strstr(error, says) == NULL)))
        fail_msg("%s is answered with: %s", body, answer);
    json_decref(document);
    free(answer);
    free(request);
}

/* Where a text is cut for its error, no character may be. */
static void assert_long_is_refused(int port, const char *format, const char *says)
{
    for (size_t at = 90; at < 130; at++) {
        char text[256], body[600];
        memset(text, 'x', at);
        (void)strcpy(text + at, "\xe2\x82\xac\xe2\x82\xac and more of it than is shown");
        (void)snprintf(body, sizeof body, format, text);
        assert_put(port, body, 400, says);
    }
}

static void every_bad_change_is_answered_with_400_and_why(void **state)
{
    (void)state;
    struct admin_daemon daemon;
    admin_rig_start(&daemon, redis_server_url(rig_server));
    int port = daemon.port;
    assert_put(port, "{\"l1_ttl\": 60}", 200, NULL);
    assert_put(port, "", 400, "not JSON: line 1, column 0");
    assert_put(port, "{\"l1_ttl\": 60", 400, "not JSON: line 1, column 13: '}' expected");
    assert_put(port, "{\"l1_ttl\": 60} x", 400,
               "not JSON: line 1, column 16: end of file expected");
    assert_put(port, "{\"l1_ttl\": 60, \"l1_ttl\": 61}", 400, "duplicate object key");
    assert_put(port, "{\"l1_ttl\": \"\xff\"}", 400,
               "not JSON: line 1, column 12: unable to decode");
    assert_put(port, "{\"l1_ttl\": 1e999}", 400, "real number overflow");
    assert_put(port, "[\"l1_ttl\", 60]", 400, "not a JSON object of options and values");
    assert_put(port, "{\"l1_tl\": 60}", 400, "l1_tl: not an option; did you mean l1_ttl?");
    assert_put(port, "{\"l1_ttl\": \"abc\"}", 400,
               "l1_ttl=\"abc\": not a number; allowed: seconds");
    assert_put(port, "{\"l1_ttl\": null}", 400, "l1_ttl=\"null\": not a number; allowed: seconds");
    assert_put(port, "{\"l1_ttl\": [1]}", 400, "l1_ttl=\"[1]\": not a number; allowed: seconds");
    assert_put(port, "{\"serve_stale\": {}}", 400, "allowed: true, false, error");
    assert_put(port, "{\"workers\": 2}", 400, "workers: does not change while running");
    assert_put(port, "{\"null_ttl\": 2}", 400, "null_ttl: has no effect in stratad");
    assert_put(port, "{\"l1_max_bytes\": \"100GiB\"}", 400, "allowed while running");
    assert_long_is_refused(port, "{\"%s\": 1}", "not an option");
    assert_long_is_refused(port, "{\"%s\": null}", "not an option");
    assert_long_is_refused(port, "{\"l1_ttl\": \"%s\"}", "not a number; allowed: seconds");
    admin_rig_assert_page_has(port, "/config", 200, "\"l1_ttl\":{\"value\":60,");
    stratad_process_stop(&daemon.stratad);
}

/* ---- names ---- */

/* A path may be any bytes, and JSON may not. */
static void a_socket_whose_name_is_no_text_is_told_of_all_the_same(void **state)
{
    (void)state;
    char folder[] = "/tmp/stratad-admin-XXXXXX", path[64], argument[80];
    struct stratad_process *stratad;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/\xff", folder);
    (void)snprintf(argument, sizeof argument, "unix:%s", path);
    const char *const args[] = {"--listen", argument, NULL};
    assert_int_equal(stratad_process_start(&stratad, redis_server_url(rig_server), args), 0);
    redisContext *client = rig_connect(path);
    redisReply *reply = redisCommand(client, "STRATA STATS");
    assert_non_null(reply);
    json_t *document = json_loads(reply->str, 0, NULL);
    const char *listen = json_string_value(json_object_get(document, "listen"));
    assert_non_null(listen);
    assert_non_null(strstr(listen, "/?"));
    json_decref(document);
    freeReplyObject(reply);
    redisFree(client);
    stratad_process_stop(&stratad);
    (void)unlink(path);
    (void)rmdir(folder);
}

/* ---- health ---- */

static bool is_unready(void *arg)
{
    return admin_rig_status(*(int *)arg, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n") == 503;
}

static bool is_unwell(void *arg)
{
    return admin_rig_status(*(int *)arg, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n") == 503;
}

static bool is_ready(void *arg)
{
    return admin_rig_status(*(int *)arg, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n") == 200;
}

static bool hears_that(void *arg)
{
    char *body = admin_rig_page(*(int *)arg, "/metrics", 200);
    bool so = strstr(body, "\nredis_cluster_nodes_healthy 0\n") != NULL;
    free(body);
    return so;
}

static void a_redis_that_hangs_or_dies_is_seen(void **state)
{
    struct redis_server *server;
    struct admin_daemon daemon;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    admin_rig_start_with(&daemon, redis_server_url(server), *state);
    int port = daemon.port;
    assert_true(wait_until(is_ready, &port, 30000));
    redis_server_freeze(server);
    assert_true(wait_until(is_unready, &port, 30000));
    assert_true(wait_until(is_unwell, &port, 30000));
    assert_true(wait_until(hears_that, &port, 30000));
    redis_server_thaw(server);
    assert_true(wait_until(is_ready, &port, 30000));
    redis_server_kill9(server);
    assert_true(wait_until(is_unready, &port, 30000));
    admin_rig_assert_page_has(port, "/livez", 200, "ok");
    assert_int_equal(redis_server_restart(server), 0);
    assert_true(wait_until(is_ready, &port, 30000));
    assert_true(of_node(port, "strata_l2_node_reconnects_total") >= 2);
    stratad_process_stop(&daemon.stratad);
    redis_server_stop(&server);
}

struct slowed {
    const struct admin_daemon *daemon;
    redisContext *redis, *client;
};

/* More than half of the 1.2 s that a command has; where all is so slow that its time is over, it is
 * tried again. */
static bool is_slow(void *arg)
{
    const struct slowed *slowed = arg;
    freeReplyObject(redisCommand(slowed->redis, "CLIENT PAUSE 800 ALL"));
    freeReplyObject(redisCommand(slowed->client, "INCR slowly"));
    char *body = admin_rig_page(slowed->daemon->port, "/health", 200);
    bool so = strstr(body, "\"reason\":\"slow\"") != NULL;
    free(body);
    return so;
}

static void a_redis_that_is_slow_is_seen(void **state)
{
    (void)state;
    struct redis_server *server;
    struct admin_daemon daemon;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    admin_rig_start(&daemon, redis_server_url(server));
    struct slowed slowed = {&daemon, redisConnectUnix(redis_server_socket(server)),
                            rig_client(daemon.stratad)};
    assert_true(of_node(daemon.port, "strata_l2_node_latency_seconds") == 0);
    assert_true(of_node(daemon.port, "strata_l2_node_latency_p99_seconds") == 0);
    assert_true(wait_until(is_slow, &slowed, 60000));
    double p99 = of_node(daemon.port, "strata_l2_node_latency_p99_seconds");
    assert_true(p99 >= 0.6 && p99 < 1.5);
    double mean = of_node(daemon.port, "strata_l2_node_latency_seconds");
    assert_true(mean > 0 && mean < p99);
    redisFree(slowed.client);
    redisFree(slowed.redis);
    stratad_process_stop(&daemon.stratad);
    redis_server_stop(&server);
}

/* ---- under load ---- */

struct load {
    const struct stratad_process *stratad;
    _Atomic bool over;
    _Atomic uint64_t replies;
};

static void *load_run(void *arg)
{
    struct load *load = arg;
    redisContext *client = rig_client(load->stratad);
    while (!atomic_load(&load->over)) {
        for (int i = 0; i < 32; i++)
            redisAppendCommand(client, i % 4 == 0 ? "SET key%d v" : "GET key%d", i);
        for (int i = 0; i < 32; i++) {
            redisReply *reply = NULL;
            if (redisGetReply(client, (void **)&reply) != REDIS_OK)
                return NULL;
            freeReplyObject(reply);
        }
        atomic_fetch_add(&load->replies, 32);
    }
    redisFree(client);
    return NULL;
}

static void scrapes_and_clients_go_on_together(void **state)
{
    (void)state;
    struct admin_daemon daemon;
    pthread_t thread;
    admin_rig_start(&daemon, redis_server_url(rig_server));
    struct load load = {.stratad = daemon.stratad};
    assert_int_equal(pthread_create(&thread, NULL, load_run, &load), 0);
    uint64_t before = 0;
    for (int i = 0; i < 100; i++) {
        admin_rig_assert_page_has(daemon.port, i % 2 == 0 ? "/metrics" : "/stats", 200, "l1");
        if (i == 50)
            before = atomic_load(&load.replies);
    }
    atomic_store(&load.over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(atomic_load(&load.replies) > before);
    stratad_process_stop(&daemon.stratad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_tell_what_they_should),
        cmocka_unit_test(prometheus_reads_the_metrics),
        cmocka_unit_test(every_metric_is_documented),
        cmocka_unit_test(without_a_token_others_cannot_reach_it),
        cmocka_unit_test(a_token_is_asked_for),
        cmocka_unit_test(a_socket_whose_name_is_no_text_is_told_of_all_the_same),
        cmocka_unit_test(every_bad_change_is_answered_with_400_and_why),
        cmocka_unit_test_prestate(a_redis_that_hangs_or_dies_is_seen, "true"),
        cmocka_unit_test_prestate(a_redis_that_hangs_or_dies_is_seen, "false"),
        cmocka_unit_test(a_redis_that_is_slow_is_seen),
        cmocka_unit_test(scrapes_and_clients_go_on_together),
    };
    return cmocka_run_group_tests(tests, rig_start_server, rig_stop_server);
}
