/* SPDX-License-Identifier: MIT
 *
 * Options that change while stratad runs: by SIGHUP, and by the commands `strata config set` and
 * `strata log-level`.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "integration/strata_program.h"
#include "support/stratad_process.h"
#include "support/wait.h"

#define PATIENT_MS 20000u

/* A stratad with a file of its own, administered at a socket. */
struct daemon {
    char folder[32];
    char file[64];
    char admin[64]; /* "unix:..." */
    struct stratad_process *stratad;
    redisContext *client;
    struct command_result result;
};

static void write_file(const struct daemon *daemon, const char *content)
{
    FILE *file = fopen(daemon->file, "we");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void daemon_start(struct daemon *daemon, const struct strata_fixture *fixture,
                         const char *content)
{
    *daemon = (struct daemon){.folder = "/tmp/stratad-live-XXXXXX"};
    assert_non_null(mkdtemp(daemon->folder));
    (void)snprintf(daemon->file, sizeof daemon->file, "%s/conf", daemon->folder);
    (void)snprintf(daemon->admin, sizeof daemon->admin, "unix:%s/admin", daemon->folder);
    write_file(daemon, content);
    const char *const args[] = {"--config", daemon->file, "--admin-listen", daemon->admin, NULL};
    assert_int_equal(
        stratad_process_start(&daemon->stratad, redis_server_url(fixture->server), args), 0);
    daemon->client = redisConnectUnix(stratad_process_socket(daemon->stratad));
    assert_true(daemon->client != NULL && daemon->client->err == 0);
}

static void daemon_end(struct daemon *daemon)
{
    command_result_fini(&daemon->result);
    redisFree(daemon->client);
    stratad_process_stop(&daemon->stratad);
    (void)unlink(daemon->file);
    (void)unlink(daemon->admin + strlen("unix:"));
    (void)rmdir(daemon->folder);
}

/* What its log said after it, at the latest some time later. */
static void hang_up(const struct daemon *daemon, const char *content, const char *says)
{
    write_file(daemon, content);
    assert_int_equal(kill(stratad_process_pid(daemon->stratad), SIGHUP), 0);
    if (!stratad_process_says(daemon->stratad, says))
        fail_msg("it does not say: %s", says);
}

static int set(struct daemon *daemon, const char *name, const char *value, const char *name2,
               const char *value2)
{
    command_result_fini(&daemon->result);
    return strata_run(&daemon->result, NULL, NULL, "config", "--admin", daemon->admin, "set", name,
                      value, name2, value2, NULL);
}

/* What `strata config get` has of an option: "value" or "origin", as compact JSON. */
static void assert_in_force(struct daemon *daemon, const char *name, const char *member,
                            const char *expected)
{
    command_result_fini(&daemon->result);
    assert_int_equal(strata_run(&daemon->result, NULL, NULL, "config", "--admin", daemon->admin,
                                "get", "--json", NULL),
                     0);
    json_t *root = strata_json(&daemon->result);
    json_t *option = json_object_get(json_object_get(root, "options"), name);
    char *text = json_dumps(json_object_get(option, member), JSON_ENCODE_ANY);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
    json_decref(root);
}

static json_int_t l1_entries(const struct daemon *daemon)
{
    redisReply *reply = redisCommand(daemon->client, "STRATA STATS");
    assert_non_null(reply);
    json_t *root = json_loads(reply->str, 0, NULL);
    assert_non_null(root);
    json_int_t entries =
        json_integer_value(json_object_get(json_object_get(root, "l1_cache"), "total_entries"));
    json_decref(root);
    freeReplyObject(reply);
    return entries;
}

/* So that L1 has them: read twice, for the first read fills. */
static void fill(const struct daemon *daemon, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        freeReplyObject(redisCommand(daemon->client, "SET k%u v", i));
        freeReplyObject(redisCommand(daemon->client, "GET k%u", i));
    }
}

/* ---- SIGHUP ---- */

static void a_hangup_makes_it_read_its_file_again(void **state)
{
    struct daemon daemon;
    daemon_start(&daemon, *state, "l1_ttl = 300\n");
    fill(&daemon, 200);
    assert_true(l1_entries(&daemon) > 100);
    hang_up(&daemon, "l1_ttl = 60\nl1_max_size = 10\n", "SIGHUP: l1_max_size: unlimited -> 10 (");
    assert_true(stratad_process_says(daemon.stratad, "SIGHUP: l1_ttl: 300 -> 60 ("));
    assert_true(stratad_process_said(daemon.stratad, "/conf:1)"));
    assert_true(l1_entries(&daemon) <= 10);
    assert_in_force(&daemon, "l1_ttl", "value", "60");
    hang_up(&daemon, "l1_ttl = 60\nl1_max_size = 10\n", "SIGHUP: no option has changed");
    hang_up(&daemon, "", "SIGHUP: l1_ttl: 60 -> 300 (default)");
    daemon_end(&daemon);
}

static void fill_few(const struct daemon *daemon)
{
    for (unsigned i = 0; i < 300; i++) {
        freeReplyObject(redisCommand(daemon->client, "SET few:%u v", i));
        freeReplyObject(redisCommand(daemon->client, "GET few:%u", i));
    }
}

/* What others have in L1 is so many. */
static void quotas_change_by_file_and_by_command(void **state)
{
    struct daemon daemon;
    daemon_start(&daemon, *state, "l1_quotas = few:=/100\n");
    fill(&daemon, 50);
    json_int_t others = l1_entries(&daemon);
    fill_few(&daemon);
    assert_int_equal(l1_entries(&daemon), others + 100);
    hang_up(&daemon, "l1_quotas = few:=/10\n",
            "SIGHUP: l1_quotas: [\"few:=/100\"] -> [\"few:=/10\"] (");
    assert_in_range(l1_entries(&daemon), others + 1, others + 10);
    assert_int_equal(set(&daemon, "l1_quotas", "few:=/40", NULL, NULL), 0);
    fill_few(&daemon);
    assert_int_equal(l1_entries(&daemon), others + 40);
    assert_int_equal(set(&daemon, "l1_quotas", "few:=/30", NULL, NULL), 0); /* and not both */
    assert_in_range(l1_entries(&daemon), others + 1, others + 30);
    assert_int_equal(set(&daemon, "l1_ttl", "77", NULL, NULL), 0); /* the quotas stay */
    assert_in_force(&daemon, "l1_ttl", "value", "77");
    assert_int_equal(set(&daemon, "l1_quotas", "some:=/30", "l1_ttl", "7"), 2);
    assert_non_null(strstr(daemon.result.err, "l1_quotas: other prefixes than at the start"));
    assert_in_force(&daemon, "l1_ttl", "value", "77");
    hang_up(&daemon, "l1_ttl = 7\n", "SIGHUP: nothing was changed: l1_quotas: other prefixes");
    assert_in_force(&daemon, "l1_ttl", "value", "77");
    hang_up(&daemon, "l1_quotas = few:=/200\n", "[\"few:=/30\"] -> [\"few:=/200\"] (");
    fill_few(&daemon);
    assert_int_equal(l1_entries(&daemon), others + 200);
    daemon_end(&daemon);
}

static void a_bad_file_changes_nothing_and_is_one_line(void **state)
{
    struct daemon daemon;
    daemon_start(&daemon, *state, "");
    fill(&daemon, 200);
    json_int_t before = l1_entries(&daemon);
    hang_up(&daemon, "l1_max_size = 10\nl1_ttl = abc\n",
            "/conf:2: l1_ttl=\"abc\": not a number; allowed: seconds");
    assert_int_equal(stratad_process_times_said(daemon.stratad, "SIGHUP: "), 1);
    assert_true(
        stratad_process_said(daemon.stratad, "error daemon: SIGHUP: nothing was changed: "));
    hang_up(&daemon, "l1_max_size = 10\nwrite_behind = true\nwrite_through = false\n",
            "SIGHUP: nothing was changed: write-behind");
    hang_up(&daemon, "l1_max_size = 10\nl1_max_bytes = 100GiB\n",
            "allowed while running: up to 16 times that, 4294967296");
    assert_int_equal(unlink(daemon.file), 0);
    assert_int_equal(kill(stratad_process_pid(daemon.stratad), SIGHUP), 0);
    assert_true(stratad_process_says(daemon.stratad, "/conf: cannot be read: "));
    assert_int_equal(l1_entries(&daemon), before);
    assert_in_force(&daemon, "l1_max_size", "value", "\"unlimited\"");
    daemon_end(&daemon);
}

static void what_is_not_live_and_differs_is_named(void **state)
{
    struct daemon daemon;
    daemon_start(&daemon, *state, "[stratad]\npassword = first\n");
    hang_up(&daemon, "l1_ttl = 7\n[stratad]\nworkers = 1\npassword = second\n",
            "SIGHUP: l1_ttl: 300 -> 7 (");
    assert_true(stratad_process_says(daemon.stratad,
                                     "SIGHUP: workers: another one is given (/tmp/stratad-live-"));
    assert_true(stratad_process_said(daemon.stratad, "it does not change while running: threads "
                                                     "are started once; start stratad anew"));
    assert_true(stratad_process_says(daemon.stratad, "SIGHUP: password: another one is given ("));
    assert_false(stratad_process_said(daemon.stratad, "second"));
    redisReply *reply = redisCommand(daemon.client, "AUTH first");
    assert_int_equal(reply->type, REDIS_REPLY_STATUS);
    freeReplyObject(reply);
    assert_in_force(&daemon, "l1_ttl", "value", "7");
    daemon_end(&daemon);
}

/* A file may be a program's as well. */
static void what_does_nothing_in_it_is_no_news(void **state)
{
    struct daemon daemon;
    daemon_start(&daemon, *state, "l2_ttl = 5\n");
    hang_up(&daemon, "l2_ttl = 6\nnull_values = false\n", "SIGHUP: no option has changed");
    assert_in_force(&daemon, "l2_ttl", "live", "false");
    daemon_end(&daemon);
}

static void flags_and_what_was_set_follow_their_order(void **state)
{
    struct daemon daemon;
    daemon_start(&daemon, *state, "l1_ttl = 300\n");
    assert_int_equal(set(&daemon, "l1_ttl", "5", NULL, NULL), 0);
    assert_string_equal(daemon.result.out, "l1_ttl: 300 -> 5\n");
    assert_in_force(&daemon, "l1_ttl", "origin", "\"changed while running\"");
    hang_up(&daemon, "l1_ttl = 300\n", "SIGHUP: l1_ttl: 5 -> 300 ("); /* files count again */
    daemon_end(&daemon);
}

/* ---- strata config set ---- */

static void a_command_changes_all_that_it_names_or_nothing(void **state)
{
    struct daemon daemon;
    daemon_start(&daemon, *state, "");
    fill(&daemon, 200);
    assert_int_equal(set(&daemon, "l1_max_size", "10", "l1_ttl", "abc"), 2);
    assert_non_null(strstr(daemon.result.err, "l1_ttl=\"abc\": not a number; allowed: seconds"));
    assert_true(l1_entries(&daemon) > 100);
    assert_int_equal(set(&daemon, "l1_max_size", "10", "workers", "2"), 2);
    assert_non_null(strstr(daemon.result.err, "workers: does not change while running: threads are "
                                              "started once"));
    assert_int_equal(set(&daemon, "l1_max_siz", "10", NULL, NULL), 2);
    assert_non_null(strstr(daemon.result.err, "not an option; did you mean l1_max_size?"));
    assert_int_equal(set(&daemon, "l1_max_size", "10", "l2_ttl", "5"), 2);
    assert_non_null(
        strstr(daemon.result.err, "l2_ttl: has no effect in stratad: it is the library's"));
    assert_true(l1_entries(&daemon) > 100);
    assert_int_equal(set(&daemon, "l1_max_size", "10", "clients_max", "1"), 0);
    assert_string_equal(daemon.result.out,
                        "clients_max: 10000 -> 1\nl1_max_size: unlimited -> 10\n");
    assert_true(l1_entries(&daemon) <= 10);
    redisContext *second = redisConnectUnix(stratad_process_socket(daemon.stratad));
    void *refusal = NULL; /* comes unasked */
    assert_int_equal(redisGetReply(second, &refusal), REDIS_OK);
    assert_int_equal(((redisReply *)refusal)->type, REDIS_REPLY_ERROR);
    freeReplyObject(refusal);
    redisFree(second);
    assert_true(stratad_process_says(daemon.stratad,
                                     "administration: clients_max: 10000 -> 1 (changed while"));
    assert_int_equal(set(&daemon, "clients_max", "1", NULL, NULL), 0);
    assert_string_equal(daemon.result.out, "it was so before\n");
    daemon_end(&daemon);
}

static void what_is_too_large_is_refused_in_stratads_words(void **state)
{
    struct daemon daemon;
    static char value[20000];
    memset(value, 'x', sizeof value - 1);
    daemon_start(&daemon, *state, "");
    assert_int_equal(set(&daemon, "l1_ttl", value, NULL, NULL), 2);
    assert_non_null(strstr(daemon.result.err, "administration: larger than 16 KiB"));
    daemon_end(&daemon);
}

static void a_command_says_where_it_cannot_ask(void **state)
{
    struct command_result result = {0};
    (void)state;
    assert_int_equal(strata_run(&result, NULL, NULL, "config", "set", "l1_ttl", "5", NULL), 2);
    assert_non_null(strstr(result.err, "--admin ADDRESS or STRATA_ADMIN_LISTEN"));
    command_result_fini(&result);
    assert_int_equal(strata_run(&result, NULL, NULL, "config", "set", "l1_ttl", "5", "--admin",
                                "unix:/nowhere/at/all", NULL),
                     3);
    command_result_fini(&result);
}

static void assert_wrong(const char *first, const char *second, const char *says)
{
    struct command_result result = {0};
    assert_int_equal(strata_run(&result, NULL, NULL, "config", first, second, NULL), 2);
    if (strstr(result.err, says) == NULL)
        fail_msg("'%s' has no '%s'", result.err, says);
    command_result_fini(&result);
}

static void what_is_missing_is_named_with_what_is_allowed(void **state)
{
    (void)state;
    assert_wrong("set", "l1_ttl", "l1_ttl=\"\": not a number; allowed: seconds, 0.001 to 31536000");
    assert_wrong("set", "serve_stale", "allowed: true, false, error");
    assert_wrong("set", "clients_max",
                 "clients_max: its value is missing; what is allowed stratad would say: ");
    assert_wrong("set", NULL, "set: no option is named; usage: strata config set NAME VALUE ...");
    assert_wrong("get", "l1_ttl", "get: shows all options, and takes none");
    assert_wrong("put", NULL, "put: not known here; allowed: get, set NAME VALUE ..., or nothing");
}

static void assert_missing(struct daemon *daemon, const char *name, const char *says)
{
    assert_int_equal(set(daemon, name, NULL, NULL, NULL), 2);
    if (strstr(daemon->result.err, says) == NULL)
        fail_msg("'%s' has no '%s'", daemon->result.err, says);
}

static void of_its_own_options_stratad_says_what_is_allowed(void **state)
{
    struct daemon daemon;
    daemon_start(&daemon, *state, "");
    assert_missing(&daemon, "clients_max",
                   "clients_max: its value is missing; allowed: 1 to 1000000 clients");
    assert_missing(&daemon, "log_level_daemon", "allowed: same, error, warning, info, debug");
    assert_missing(&daemon, "workers",
                   "workers: does not change while running: threads are started once");
    assert_missing(&daemon, "worker", "worker: not an option");
    daemon_end(&daemon);
}

static void a_token_is_asked_for_where_there_is_one(void **state)
{
    struct daemon daemon;
    const struct command_input with = {.environment = "STRATA_ADMIN_TOKEN=0123456789abcdef"};
    daemon_start(&daemon, *state, "[stratad]\nadmin_token = 0123456789abcdef\n");
    assert_int_equal(set(&daemon, "l1_ttl", "5", NULL, NULL), 4);
    assert_non_null(strstr(daemon.result.err, "the token is missing or wrong"));
    command_result_fini(&daemon.result);
    assert_int_equal(strata_run(&daemon.result, &with, NULL, "config", "--admin", daemon.admin,
                                "set", "l1_ttl", "5", NULL),
                     0);
    daemon_end(&daemon);
}

/* ---- strata log-level ---- */

static int log_level(struct daemon *daemon, const char *room, const char *level)
{
    command_result_fini(&daemon->result);
    return strata_run(&daemon->result, NULL, NULL, "log-level", "--admin", daemon->admin, room,
                      level, NULL);
}

struct hearing {
    const struct strata_fixture *fixture;
    const struct daemon *daemon;
};

/* A connection that is lost is made again, of which l2 tells at debug. */
static bool debug_is_heard(void *arg)
{
    const struct hearing *hearing = arg;
    freeReplyObject(redisCommand(hearing->fixture->redis, "CLIENT KILL TYPE normal SKIPME yes"));
    freeReplyObject(redisCommand(hearing->daemon->client, "GET k"));
    return stratad_process_said(hearing->daemon->stratad, "debug l2: ");
}

static void a_room_is_made_to_talk(void **state)
{
    struct daemon daemon;
    const struct hearing hearing = {*state, &daemon};
    daemon_start(&daemon, *state, "");
    assert_int_equal(log_level(&daemon, "daemon", "debug"), 0);
    assert_false(debug_is_heard((void *)(uintptr_t)&hearing));
    assert_int_equal(log_level(&daemon, "l2", "debug"), 0);
    assert_string_equal(daemon.result.out, "log_level_l2: same -> debug\n");
    assert_true(wait_until(debug_is_heard, (void *)(uintptr_t)&hearing, PATIENT_MS));
    assert_int_equal(log_level(&daemon, "net", "debug"), 2);
    assert_non_null(strstr(daemon.result.err, "net: not a room; allowed: all, cache, daemon, l2"));
    assert_int_equal(log_level(&daemon, "cache", "error"), 0);
    assert_string_equal(daemon.result.out, "log_level_cache: same -> error\n");
    assert_int_equal(log_level(&daemon, "l2", "loud"), 2);
    assert_non_null(strstr(daemon.result.err, "allowed: same, error, warning, info, debug"));
    assert_int_equal(log_level(&daemon, "all", "error"), 0);
    daemon_end(&daemon);
}

/* ---- under way ---- */

struct load {
    const struct daemon *daemon;
    pthread_t thread;
    unsigned number;
    atomic_bool *over;
    unsigned wrong;
};

static void *work(void *arg)
{
    struct load *load = arg;
    redisContext *client = redisConnectUnix(stratad_process_socket(load->daemon->stratad));
    for (unsigned i = 0; !atomic_load(load->over); i++) {
        redisReply *set = redisCommand(client, "SET %u:%u %u", load->number, i % 50, i);
        redisReply *first = redisCommand(client, "GET %u:%u", load->number, i % 50);
        redisReply *again = redisCommand(client, "GET %u:%u", load->number, i % 50);
        if (set == NULL || first == NULL || again == NULL || first->type != REDIS_REPLY_STRING ||
            again->type != REDIS_REPLY_STRING || strtoul(first->str, NULL, 10) != i ||
            strtoul(again->str, NULL, 10) != i)
            load->wrong++;
        freeReplyObject(set);
        freeReplyObject(first);
        freeReplyObject(again);
    }
    redisFree(client);
    return NULL;
}

static void clients_see_right_values_while_all_of_it_changes(void **state)
{
    struct daemon daemon;
    struct load loads[3];
    atomic_bool over = false;
    static const char *const values[][4] = {{"l1_max_bytes", "64KiB", "l1_ttl", "0.01"},
                                            {"l1_max_size", "3", "serve_stale", "on"},
                                            {"l1_max_bytes", "64MiB", "pipeline_limit", "2"},
                                            {"l1_max_size", "unlimited", "log_level", "error"},
                                            {"socket_timeout", "30", "metrics_detailed", "on"}};
    daemon_start(&daemon, *state, "socket_timeout = 60\n");
    for (unsigned i = 0; i < 3; i++) {
        loads[i] = (struct load){.daemon = &daemon, .number = i, .over = &over};
        assert_int_equal(pthread_create(&loads[i].thread, NULL, work, &loads[i]), 0);
    }
    for (unsigned i = 0; i < 15; i++) {
        const char *const *pair = values[i % 5];
        assert_int_equal(set(&daemon, pair[0], pair[1], pair[2], pair[3]), 0);
        if (i % 4 == 3)
            assert_int_equal(kill(stratad_process_pid(daemon.stratad), SIGHUP), 0);
    }
    atomic_store(&over, true);
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(loads[i].thread, NULL);
        assert_int_equal(loads[i].wrong, 0);
    }
    daemon_end(&daemon);
}

#define TEST(name) cmocka_unit_test_setup(name, strata_fixture_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hangup_makes_it_read_its_file_again),
        TEST(quotas_change_by_file_and_by_command),
        TEST(a_bad_file_changes_nothing_and_is_one_line),
        TEST(what_is_not_live_and_differs_is_named),
        TEST(flags_and_what_was_set_follow_their_order),
        TEST(a_command_changes_all_that_it_names_or_nothing),
        TEST(what_is_too_large_is_refused_in_stratads_words),
        TEST(a_command_says_where_it_cannot_ask),
        TEST(what_is_missing_is_named_with_what_is_allowed),
        TEST(of_its_own_options_stratad_says_what_is_allowed),
        TEST(what_does_nothing_in_it_is_no_news),
        TEST(a_token_is_asked_for_where_there_is_one),
        TEST(a_room_is_made_to_talk),
        TEST(clients_see_right_values_while_all_of_it_changes),
    };
    return cmocka_run_group_tests(tests, strata_fixture_open, strata_fixture_close);
}
