/* SPDX-License-Identifier: MIT
 *
 * A real Prometheus that scrapes a stratad under load: each expression of the dashboard and of the
 * alerts is evaluated by it, and each of the dashboard's has data that the panel can name.
 */
#include <ctype.h>
#include <jansson.h>
#include <math.h>
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
#include "support/child.h"
#include "support/command.h"
#include "support/port.h"
#include "support/wait.h"

#define GRAFANA  STRATA_SOURCE_DIR "/packaging/grafana/"
#define PATIENCE 60000

static struct admin_daemon served;
static struct child prometheus;
static int port; /* Prometheus' */
static char folder[] = "/tmp/strata-prometheus-XXXXXX";

/* ---- load: hits, misses, writes of others, of keys with prefixes ---- */

static pthread_t loader;
static _Atomic bool over;

static void load_pass(redisContext *client, const char *format, int count)
{
    for (int i = 0; i < count; i++)
        redisAppendCommand(client, format, i);
    for (int i = 0; i < count; i++) {
        redisReply *reply = NULL;
        if (redisGetReply(client, (void **)&reply) == REDIS_OK)
            freeReplyObject(reply);
    }
}

static void *load_run(void *arg)
{
    redisContext *client = rig_client(served.stratad);
    redisContext *other = redisConnectUnix(redis_server_socket(rig_server));
    (void)arg;
    while (!atomic_load(&over)) {
        load_pass(client, "SET user:%d value", 50);
        for (int i = 0; i < 10; i++)
            load_pass(client, "GET user:%d", 50);
        load_pass(client, "GET none:%d", 10);
        load_pass(client, "DEL user:%d", 10);
        load_pass(other, "SET user:%d changed", 20);
    }
    redisFree(other);
    redisFree(client);
    return NULL;
}

/* ---- HTTP ---- */

static json_t *api(const char *path)
{
    char request[2048];
    (void)snprintf(request, sizeof request, "GET /api/v1/%s HTTP/1.0\r\nHost: localhost\r\n\r\n",
                   path);
    int fd = admin_rig_ask(port, request, strlen(request));
    if (fd < 0)
        return NULL;
    char *answer = admin_rig_read_all(fd);
    const char *body = strstr(answer, "\r\n\r\n");
    json_t *document = body != NULL ? json_loads(body + 4, 0, NULL) : NULL;
    free(answer);
    return document;
}

/* The results of an expression; NULL where it is refused. To be given back by json_decref(). */
static json_t *evaluate(const char *expression)
{
    char path[1800] = "query?query=";
    size_t len = strlen(path);
    for (const char *at = expression; *at != '\0' && len + 4 < sizeof path; at++)
        len += (size_t)snprintf(path + len, 4, isalnum((unsigned char)*at) ? "%c" : "%%%02X",
                                (unsigned char)*at);
    json_t *document = api(path);
    json_t *result = json_incref(json_object_get(json_object_get(document, "data"), "result"));
    json_decref(document);
    return result;
}

/* ---- fixtures ---- */

static void write_configuration(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file,
                  "global: {scrape_interval: 250ms, evaluation_interval: 250ms}\n"
                  "rule_files: [%salerts.yaml]\n"
                  "scrape_configs:\n"
                  "  - job_name: strata\n"
                  "    static_configs: [{targets: ['127.0.0.1:%d']}]\n",
                  GRAFANA, served.port);
    assert_int_equal(fclose(file), 0);
}

/* It listens and has looked twice: what is a rate needs both. */
static bool has_data(void *arg)
{
    (void)arg;
    json_t *result = evaluate("count_over_time(cache_hit_ratio[1m]) > 2");
    bool so = json_array_size(result) > 0;
    json_decref(result);
    return so || child_is_running(&prometheus) == 0;
}

static int start(void **state)
{
    char config[64], data[80], listen[64], log[64];
    const char *const argv[] = {"prometheus", config, data, listen, NULL};
    if (rig_start_server(state) != 0 || mkdtemp(folder) == NULL)
        return -1;
    admin_rig_start(&served, redis_server_url(rig_server));
    if (pthread_create(&loader, NULL, load_run, NULL) != 0)
        return -1;
    (void)snprintf(config, sizeof config, "%s/prometheus.yml", folder);
    write_configuration(config);
    (void)snprintf(config, sizeof config, "--config.file=%s/prometheus.yml", folder);
    (void)snprintf(data, sizeof data, "--storage.tsdb.path=%s/data", folder);
    (void)snprintf(log, sizeof log, "%s/log", folder);
    port = port_choose("127.0.0.1");
    (void)snprintf(listen, sizeof listen, "--web.listen-address=127.0.0.1:%d", port);
    if (child_start(&prometheus, argv, log) != 0 || !wait_until(has_data, NULL, PATIENCE))
        return -1;
    return child_is_running(&prometheus) == 1 ? 0 : -1;
}

static int stop(void **state)
{
    struct command_result result;
    const char *const argv[] = {"rm", "-r", folder, NULL};
    atomic_store(&over, true);
    (void)pthread_join(loader, NULL);
    child_kill(&prometheus);
    stratad_process_stop(&served.stratad);
    command_run(&result, NULL, argv);
    command_result_fini(&result);
    return rig_stop_server(state);
}

/* ---- the dashboard ---- */

/* As Grafana would put it, of all instances. */
static void fill_in(char *text, size_t cap, const char *expression)
{
    static const char *const words[][2] = {{"$__rate_interval", "30s"}, {"$instance", ".+"}};
    size_t len = 0;
    while (*expression != '\0' && len + 64 < cap) {
        size_t i = 0;
        while (i < 2 && strncmp(expression, words[i][0], strlen(words[i][0])) != 0)
            i++;
        if (i < 2)
            len += (size_t)snprintf(text + len, cap - len, "%s", words[i][1]);
        else
            text[len++] = *expression;
        expression += i < 2 ? strlen(words[i][0]) : 1;
    }
    text[len] = '\0';
    assert_null(strchr(text, '$'));
}

/* A result with a number, not with NaN. */
static bool has_number(const char *expression)
{
    size_t i;
    bool so = false;
    json_t *each, *result = evaluate(expression);
    json_array_foreach(result, i, each)
    {
        const char *value = json_string_value(json_array_get(json_object_get(each, "value"), 1));
        so = so || (value != NULL && isfinite(strtod(value, NULL)));
    }
    json_decref(result);
    return so;
}

static bool has_number_by_now(void *arg)
{
    return has_number(arg);
}

/* Each {{label}} of the legend is one of every result. */
static void assert_legend(const char *legend, const char *expression)
{
    size_t i;
    json_t *each, *result = evaluate(expression);
    for (const char *at = legend; (at = strstr(at, "{{")) != NULL; at++) {
        char label[64];
        (void)snprintf(label, sizeof label, "%.*s", (int)strcspn(at + 2, "}"), at + 2);
        json_array_foreach(result, i, each)
        {
            if (json_object_get(json_object_get(each, "metric"), label) == NULL)
                fail_msg("%s has no label %s", expression, label);
        }
    }
    json_decref(result);
}

static void each_panel_has_data(void **state)
{
    (void)state;
    size_t i, j, count = 0;
    char expression[1024];
    json_t *panel, *target, *document = json_load_file(GRAFANA "dashboard.json", 0, NULL);
    assert_non_null(document);
    json_array_foreach(json_object_get(document, "panels"), i, panel)
    {
        json_array_foreach(json_object_get(panel, "targets"), j, target)
        {
            fill_in(expression, sizeof expression,
                    json_string_value(json_object_get(target, "expr")));
            if (!wait_until(has_number_by_now, expression, PATIENCE))
                fail_msg("%s: no data", expression);
            assert_legend(json_string_value(json_object_get(target, "legendFormat")), expression);
            count++;
        }
    }
    assert_true(count > 30);
    json_decref(document);
}

/* What the list of instances is made of. */
static void the_instances_can_be_chosen(void **state)
{
    (void)state;
    char target[64];
    (void)snprintf(target, sizeof target, "127.0.0.1:%d", served.port);
    json_t *result = evaluate("cache_hit_ratio");
    json_t *metric = json_object_get(json_array_get(result, 0), "metric");
    assert_string_equal(json_string_value(json_object_get(metric, "instance")), target);
    json_decref(result);
}

/* ---- the alerts ---- */

static json_t *rules(void)
{
    json_t *document = api("rules");
    json_t *groups = json_object_get(json_object_get(document, "data"), "groups");
    json_t *found = json_incref(json_object_get(json_array_get(groups, 0), "rules"));
    json_decref(document);
    return found;
}

static bool are_evaluated(void *arg)
{
    size_t i;
    json_t *rule, *all = rules();
    bool so = json_array_size(all) > 8;
    (void)arg;
    json_array_foreach(all, i, rule)
    {
        const char *health = json_string_value(json_object_get(rule, "health"));
        so = so && health != NULL && strcmp(health, "unknown") != 0;
    }
    json_decref(all);
    return so;
}

/* All of them can be evaluated, and a stratad that is well sets none off. */
static void alerts_are_evaluated_and_silent(void **state)
{
    (void)state;
    size_t i;
    json_t *rule;
    assert_true(wait_until(are_evaluated, NULL, PATIENCE));
    json_t *all = rules();
    json_array_foreach(all, i, rule)
    {
        const char *name = json_string_value(json_object_get(rule, "name"));
        if (strcmp(json_string_value(json_object_get(rule, "health")), "ok") != 0)
            fail_msg("%s: %s", name, json_string_value(json_object_get(rule, "lastError")));
        if (strcmp(json_string_value(json_object_get(rule, "state")), "inactive") != 0)
            fail_msg("%s goes off", name);
    }
    json_decref(all);
}

static bool is_pending(void *arg)
{
    size_t i;
    json_t *rule, *all = rules();
    bool so = false;
    json_array_foreach(all, i, rule)
    {
        so = so || (strcmp(json_string_value(json_object_get(rule, "name")), arg) == 0 &&
                    strcmp(json_string_value(json_object_get(rule, "state")), "pending") == 0);
    }
    json_decref(all);
    return so;
}

static void an_alert_hears_of_a_redis_that_hangs(void **state)
{
    (void)state;
    redis_server_freeze(rig_server);
    bool heard = wait_until(is_pending, "StrataRedisUnreachable", PATIENCE);
    redis_server_thaw(rig_server);
    assert_true(heard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_panel_has_data),
        cmocka_unit_test(the_instances_can_be_chosen),
        cmocka_unit_test(alerts_are_evaluated_and_silent),
        cmocka_unit_test(an_alert_hears_of_a_redis_that_hangs),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
