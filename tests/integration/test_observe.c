/* SPDX-License-Identifier: MIT
 *
 * What a cache before a real Redis tells of itself: statistics as JSON, numbers for Prometheus
 * (which its own promtool reads), health while Redis hangs, dies and comes back.
 */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "integration/cache_rig.h"
#include "support/command.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define PATIENT_MS 30000u

static char *metrics_of(struct strata *cache)
{
    char *text = NULL;
    assert_int_equal(strata_metrics_text(cache, &text), STRATA_OK);
    assert_non_null(text);
    return text;
}

/* The sample whose name and labels are these. */
static double sample(const char *text, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = text; (at = strstr(at, name)) != NULL; at++) {
        if ((at == text || at[-1] == '\n') && at[len] == ' ')
            return strtod(at + len, NULL);
    }
    fail_msg("no %s in:\n%s", name, text);
    return 0;
}

static json_t *json_of(int (*call)(struct strata *, char **), struct strata *cache)
{
    char *text = NULL;
    json_error_t error;
    assert_int_equal(call(cache, &text), STRATA_OK);
    json_t *document = json_loads(text, 0, &error);
    if (document == NULL)
        fail_msg("%s in %s", error.text, text);
    strata_text_free(&text);
    assert_null(text);
    return document;
}

/* The number at a path like "metrics.l1.hits". */
static double number(json_t *document, const char *path)
{
    json_t *at = document;
    char copy[128], *rest = copy;
    (void)snprintf(copy, sizeof copy, "%s", path);
    for (char *name; (name = strsep(&rest, ".")) != NULL;)
        at = json_object_get(at, name);
    if (!json_is_number(at))
        fail_msg("no number at %s", path);
    return json_number_value(at);
}

static size_t series_in(const char *text)
{
    size_t count = 0;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
        count += *line != '#';
    return count;
}

static void use_it(struct strata *cache)
{
    assert_int_equal(set_text(cache, "a", "1", 0), STRATA_OK);
    assert_int_equal(set_text(cache, "b", "2", 0), STRATA_OK);
    for (int i = 0; i < 1000; i++)
        assert_value(cache, "a", "1");
    assert_int_equal(get_status(cache, "none"), STRATA_MISS);
    assert_int_equal(strata_delete(cache, strata_text("b")), STRATA_OK);
    assert_int_equal(get_status(cache, "b"), STRATA_MISS);
}

static void the_paths_that_users_know_are_there(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    use_it(cache);
    json_t *document = json_of(strata_statistics_json, cache);
    assert_true(number(document, "metrics.l1.hits") >= 998);
    assert_true(number(document, "metrics.l1.misses") >= 2);
    assert_true(number(document, "metrics.l2.misses") == 2);
    assert_true(number(document, "metrics.l1.sets") == 2);
    assert_true(number(document, "metrics.l2.deletes") == 1);
    assert_true(number(document, "metrics.combined.hit_ratio") > 0.9);
    assert_true(number(document, "metrics.combined.hit_ratio") < 1);
    assert_true(number(document, "l1_cache.total_entries") == 1);
    assert_true(number(document, "l1_cache.memory_usage_bytes") > 0);
    assert_true(number(document, "l2_cache.connected") == 1);
    assert_true(number(document, "latency.set.l2.count") == 2);
    assert_true(number(document, "latency.set.l2.p99_seconds") > 0);
    assert_int_equal(
        json_array_size(json_object_get(json_object_get(document, "l2_cache"), "nodes")), 1);
    json_decref(document);
    strata_close(&cache);
}

static void each_miss_has_one_reason(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open(
        (struct strata_options){.l1_max_size = 200, .tracking = STRATA_TRACKING_OFF});
    char key[32];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++) {
            (void)snprintf(key, sizeof key, "key%d", i);
            (void)get_status(cache, key);
            assert_int_equal(set_text(cache, key, "x", round == 0 ? 1 : 0), STRATA_OK);
        }
        assert_int_equal(strata_delete(cache, strata_text(key)), STRATA_OK);
        (void)get_status(cache, key);
    }
    char *text = metrics_of(cache);
    double sum = sample(text, "strata_l1_misses_total{reason=\"cold\"}") +
                 sample(text, "strata_l1_misses_total{reason=\"expired\"}") +
                 sample(text, "strata_l1_misses_total{reason=\"evicted\"}") +
                 sample(text, "strata_l1_misses_total{reason=\"invalidated\"}") +
                 sample(text, "strata_l1_misses_total{reason=\"suspect\"}");
    assert_true(sum == sample(text, "cache_l1_misses_total"));
    assert_true(sample(text, "strata_l1_misses_total{reason=\"cold\"}") >= 900);
    assert_true(sample(text, "strata_l1_misses_total{reason=\"evicted\"}") > 0);
    assert_true(sample(text, "strata_l1_misses_total{reason=\"invalidated\"}") > 0);
    strata_text_free(&text);
    strata_close(&cache);
}

static void promtool_finds_nothing_wrong(const char *text)
{
    struct command_result result;
    const char *const argv[] = {"promtool", "check", "metrics", NULL};
    const struct command_input input = {.data = text, .len = strlen(text)};
    command_run(&result, &input, argv);
    if (result.code != 0 || result.len != 0 || result.err[0] != '\0')
        fail_msg("promtool: %d\n%s%s", result.code, result.out, result.err);
    command_result_fini(&result);
}

static void prometheus_reads_it(void **state)
{
    (void)state;
    static const char *const names[] = {"cache_l1_hits_total",    "cache_l1_misses_total",
                                        "cache_l2_hits_total",    "cache_l2_misses_total",
                                        "cache_hit_ratio",        "cache_l1_memory_bytes",
                                        "redis_cluster_slots_ok", "redis_cluster_nodes_healthy"};
    struct strata *cache = cache_rig_open((struct strata_options){0});
    use_it(cache);
    char *text = metrics_of(cache);
    promtool_finds_nothing_wrong(text);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)sample(text, names[i]);
    assert_true(sample(text, "redis_cluster_slots_ok") == 16384);
    assert_true(sample(text, "redis_cluster_nodes_healthy") == 1);
    assert_true(
        sample(text, "cache_operation_duration_seconds_count{operation=\"get\",tier=\"l2\"}") == 2);
    /* One in 64 of a thousand; that it is none has a probability of 10^-7. */
    assert_in_range(
        sample(text, "cache_operation_duration_seconds_count{operation=\"get\",tier=\"l1\"}"), 1,
        200);
    assert_in_range(series_in(text), 100, 500);
    assert_null(strstr(text, "node=\""));
    strata_text_free(&text);
    strata_close(&cache);
}

static void hits_by_copy_are_sampled_too(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    char buffer[8];
    size_t len;
    assert_int_equal(set_text(cache, "a", "1", 0), STRATA_OK);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(strata_get_copy(cache, strata_text("a"), buffer, sizeof buffer, &len),
                         STRATA_OK);
    char *text = metrics_of(cache);
    assert_in_range(
        sample(text, "cache_operation_duration_seconds_count{operation=\"get\",tier=\"l1\"}"), 1,
        400);
    strata_text_free(&text);
    strata_close(&cache);
}

static void what_is_off_is_not_there(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.metrics_enabled = STRATA_OFF});
    use_it(cache);
    char *text = metrics_of(cache);
    promtool_finds_nothing_wrong(text);
    assert_null(strstr(text, "cache_operation_duration_seconds"));
    assert_true(sample(text, "cache_l1_hits_total") >= 998);
    strata_text_free(&text);
    strata_close(&cache);

    cache = cache_rig_open((struct strata_options){.l2_enabled = STRATA_OFF});
    text = metrics_of(cache);
    promtool_finds_nothing_wrong(text);
    assert_null(strstr(text, "redis_"));
    assert_null(strstr(text, "tier=\"l2\""));
    strata_text_free(&text);
    struct strata_health health;
    assert_int_equal(strata_health(cache, &health), STRATA_OK);
    assert_int_equal(health.overall.state, STRATA_HEALTHY);
    assert_int_equal(health.l2_cache.state, STRATA_HEALTH_DISABLED);
    strata_close(&cache);
}

static void details_are_by_node(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.metrics_detailed = STRATA_ON});
    use_it(cache);
    char name[128], *text = metrics_of(cache);
    promtool_finds_nothing_wrong(text);
    int address_len = (int)strcspn(cache_rig_url() + strlen("redis://"), "/");
    (void)snprintf(name, sizeof name, "strata_l2_node_state{node=\"%.*s\"}", address_len,
                   cache_rig_url() + strlen("redis://"));
    assert_true(sample(text, name) == 0);
    (void)snprintf(name, sizeof name,
                   "strata_l2_node_errors_total{node=\"%.*s\",kind=\"timeouts\"}", address_len,
                   cache_rig_url() + strlen("redis://"));
    assert_true(sample(text, name) == 0);
    strata_text_free(&text);
    strata_close(&cache);
}

struct growth {
    struct strata *cache;
    const char *name;
    double wanted;
};

static bool has_grown(void *arg)
{
    const struct growth *growth = arg;
    char *text = metrics_of(growth->cache);
    double value = sample(text, growth->name);
    strata_text_free(&text);
    return value >= growth->wanted;
}

static void kill_connections(void)
{
    redisContext *redis = cache_rig_foreign();
    freeReplyObject(redisCommand(redis, "CLIENT KILL TYPE normal SKIPME yes"));
}

/* A large value opens a second one, which is none that was lost. */
static void only_connections_made_again_count_as_such(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.l1_enabled = STRATA_OFF});
    static char large[100000];
    assert_int_equal(strata_set(cache, strata_text("large"), strata_bytes(large, sizeof large), 0),
                     STRATA_OK);
    struct growth sent = {cache, "strata_l2_sent_bytes_total", sizeof large};
    assert_true(wait_until(has_grown, &sent, PATIENT_MS));
    char *text = metrics_of(cache);
    assert_true(sample(text, "strata_l2_reconnects_total") == 0);
    strata_text_free(&text);
    kill_connections();
    struct growth again = {cache, "strata_l2_reconnects_total", 2};
    assert_true(wait_until(has_grown, &again, PATIENT_MS));
    strata_close(&cache);
}

/* The page that people read, whole. */
static char *page_of_metrics(void)
{
    char *page = calloc(1, 65536);
    FILE *file = fopen(STRATA_SOURCE_DIR "/docs/metrics.md", "r");
    assert_non_null(page);
    assert_non_null(file);
    assert_true(fread(page, 1, 65535, file) > 1000);
    (void)fclose(file);
    return page;
}

static void every_metric_is_documented(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.metrics_detailed = STRATA_ON});
    use_it(cache);
    char *text = metrics_of(cache), *page = page_of_metrics();
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, "# HELP ")) != NULL; count++) {
        at += strlen("# HELP ");
        int len = (int)strcspn(at, " ");
        char name[128];
        (void)snprintf(name, sizeof name, "| `%.*s` |", len, at);
        if (strstr(page, name) == NULL)
            fail_msg("docs/metrics.md has no row %s", name);
    }
    assert_true(count > 40);
    free(page);
    strata_text_free(&text);
    strata_close(&cache);
}

/* ---- health ---- */

struct wanted {
    struct strata *cache;
    enum strata_health_state l1_cache, l2_cache, overall;
};

static bool is_as_wanted(void *arg)
{
    const struct wanted *wanted = arg;
    struct strata_health health;
    assert_int_equal(strata_health(wanted->cache, &health), STRATA_OK);
    return health.l1_cache.state == wanted->l1_cache && health.l2_cache.state == wanted->l2_cache &&
           health.overall.state == wanted->overall;
}

/* Nobody calls the cache meanwhile: it finds out by itself. */
static void becomes(struct strata *cache, enum strata_health_state l1_cache,
                    enum strata_health_state l2_cache, enum strata_health_state overall)
{
    struct wanted wanted = {cache, l1_cache, l2_cache, overall};
    if (!wait_until(is_as_wanted, &wanted, PATIENT_MS)) {
        char *text = NULL;
        assert_int_equal(strata_health_json(cache, &text), STRATA_OK);
        fail_msg("%s", text);
    }
}

/* As JSON has it; right after the loss it is still to be seen. */
static bool is_unreachable(void *arg)
{
    json_t *document = json_of(strata_health_json, arg);
    json_t *l2 = json_object_get(document, "l2_cache");
    assert_string_equal(json_string_value(json_object_get(l2, "state")), "unhealthy");
    bool so = strcmp(json_string_value(json_object_get(l2, "reason")), "unreachable") == 0;
    json_decref(document);
    return so;
}

static void health_follows(struct redis_server *server, struct strata *cache,
                           enum strata_health_state l1_without, enum strata_health_state without)
{
    becomes(cache, STRATA_HEALTHY, STRATA_HEALTHY, STRATA_HEALTHY);
    redis_server_freeze(server);
    becomes(cache, l1_without, STRATA_UNHEALTHY, without);
    redis_server_thaw(server);
    becomes(cache, STRATA_HEALTHY, STRATA_HEALTHY, STRATA_HEALTHY);
    redis_server_kill9(server);
    becomes(cache, l1_without, STRATA_UNHEALTHY, without);
    assert_true(wait_until(is_unreachable, cache, PATIENT_MS));
    assert_int_equal(redis_server_restart(server), 0);
    becomes(cache, STRATA_HEALTHY, STRATA_HEALTHY, STRATA_HEALTHY);
}

static void health_follows_a_redis_that_hangs_and_dies(void **state)
{
    (void)state;
    struct redis_server *server;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    struct strata *cache =
        cache_rig_open((struct strata_options){.redis_url = redis_server_url(server)});
    health_follows(server, cache, STRATA_UNHEALTHY, STRATA_UNHEALTHY);
    strata_close(&cache);

    cache = cache_rig_open((struct strata_options){.redis_url = redis_server_url(server),
                                                   .tracking = STRATA_TRACKING_OFF});
    health_follows(server, cache, STRATA_HEALTHY, STRATA_DEGRADED);
    strata_close(&cache);
    redis_server_stop(&server);
}

/* Not that Redis refuses to tell of changes: nobody has asked it yet. */
static void right_after_the_opening_nothing_is_said_to_be_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct strata_health health;
        struct strata *cache =
            cache_rig_open((struct strata_options){.redis_url = "redis://127.0.0.1:1/0"});
        assert_int_equal(strata_health(cache, &health), STRATA_OK);
        assert_string_equal(health.l1_cache.reason, "in_doubt");
        strata_close(&cache);
    }
}

static void a_refused_password_is_told(void **state)
{
    (void)state;
    struct redis_server *server;
    const char *const args[] = {"--requirepass", "secret", NULL};
    assert_int_equal(redis_server_start(&server, args), 0);
    struct strata *cache =
        cache_rig_open((struct strata_options){.redis_url = redis_server_url(server)});
    struct strata_health health;
    for (unsigned i = 0;; i++) {
        (void)get_status(cache, "key");
        assert_int_equal(strata_health(cache, &health), STRATA_OK);
        if (strcmp(health.l2_cache.reason, "refused") == 0)
            break;
        assert_in_range(i, 0, 1000000);
    }
    assert_int_equal(health.l2_cache.state, STRATA_UNHEALTHY);
    strata_close(&cache);
    redis_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_paths_that_users_know_are_there),
        cmocka_unit_test(each_miss_has_one_reason),
        cmocka_unit_test(prometheus_reads_it),
        cmocka_unit_test(hits_by_copy_are_sampled_too),
        cmocka_unit_test(what_is_off_is_not_there),
        cmocka_unit_test(details_are_by_node),
        cmocka_unit_test(only_connections_made_again_count_as_such),
        cmocka_unit_test(every_metric_is_documented),
        cmocka_unit_test(health_follows_a_redis_that_hangs_and_dies),
        cmocka_unit_test(right_after_the_opening_nothing_is_said_to_be_refused),
        cmocka_unit_test(a_refused_password_is_told),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
