/* SPDX-License-Identifier: MIT
 *
 * The programs in examples/: each runs before a private Redis, and says what it should.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "support/child.h"
#include "support/folder.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define PATIENT_MS 20000u

static struct redis_server *server;

static int start(void **state)
{
    (void)state;
    if (redis_server_start(&server, NULL) != 0)
        return -1;
    return setenv("ROUTER_REDIS_URL", redis_server_url(server), 1);
}

static int stop(void **state)
{
    (void)state;
    redis_server_stop(&server);
    return 0;
}

static char log_path[256];

static void begin(struct child *child, const char *const *argv)
{
    (void)snprintf(log_path, sizeof log_path, "%s/example.log", redis_server_folder(server));
    (void)remove(log_path);
    assert_int_equal(child_start(child, argv, log_path), 0);
}

/* What it printed, to `told`. Returns its status. */
static int end(struct child *child, char *told, size_t cap)
{
    assert_int_equal(child_wait(child, PATIENT_MS), 0);
    FILE *file = fopen(log_path, "r");
    assert_non_null(file);
    told[fread(told, 1, cap - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    (void)remove(log_path);
    return child->status;
}

static void run_with(const char *program, const char *arg, char *told, size_t cap)
{
    const char *argv[] = {program, arg, NULL};
    struct child child;
    begin(&child, argv);
    int status = end(&child, told, cap);
    if (status != 0)
        fail_msg("%s: status %d: %s", program, status, told);
}

static void run(const char *program, char *told, size_t cap)
{
    run_with(program, NULL, told, cap);
}

static void the_quickstart_says_hello(void **state)
{
    (void)state;
    char told[64];
    run(EXAMPLE_QUICKSTART, told, sizeof told);
    assert_string_equal(told, "hello\n");
}

static void cache_aside_asks_the_source_where_it_must(void **state)
{
    (void)state;
    char told[256];
    run(EXAMPLE_CACHE_ASIDE, told, sizeof told);
    assert_string_equal(told, "stock 7, from the source (asked 1 times)\n"
                              "stock 7, from the cache\n"
                              "stock 6, from the source (asked 2 times)\n");
}

static void read_through_renders_a_page_once(void **state)
{
    (void)state;
    char told[512];
    run(EXAMPLE_READ_THROUGH, told, sizeof told);
    assert_string_equal(told, "page:7: <h1>page:7</h1> (rendered 1)\n"
                              "page:7: <h1>page:7</h1> (rendered 1)\n"
                              "nonsense: the key is not there\n");
}

static void read_through_many_asks_one_question(void **state)
{
    (void)state;
    char told[512];
    run(EXAMPLE_READ_THROUGH_MANY, told, sizeof told);
    static const char once[] =
        "price:apple: 11.00\nprice:fig: 9.00\nprice:quince: 12.00\nprice:?: \n"
        "1 question(s) to the price list\n";
    assert_int_equal(strlen(told), 2 * strlen(once));
    assert_memory_equal(told, once, strlen(once));
    assert_string_equal(told + strlen(once), once);
}

/* The last value is in Redis when the program has ended, and the others are not all. */
static void write_behind_gives_redis_the_last_of_many(void **state)
{
    (void)state;
    char told[512];
    unsigned seen = 0;
    run(EXAMPLE_WRITE_BEHIND, told, sizeof told);
    assert_int_equal(sscanf(told, "of 1000 writes Redis saw %u", &seen), 1);
    assert_in_range(seen, 1, 500);
    redisContext *redis = redisConnectUnix(redis_server_socket(server));
    redisReply *reply = redisCommand(redis, "GET atp:cache:visits");
    assert_string_equal(reply->str, "1000");
    freeReplyObject(reply);
    redisFree(redis);
}

/* ---- a service that writes behind and is ended ---- */

#define WRITERS 4
#define KEYS    2000u /* of each; as in the example */

static redisReply *ask(redisContext *redis, const char *command, unsigned writer, unsigned key)
{
    redisReply *reply = redisCommand(redis, "%s atp:cache:count:%u:%u", command, writer, key);
    assert_non_null(reply);
    return reply;
}

static bool each_has_written(void *arg)
{
    (void)arg;
    bool all = true;
    redisContext *redis = redisConnectUnix(redis_server_socket(server));
    for (unsigned i = 0; all && i < WRITERS; i++) {
        redisReply *reply = ask(redis, "EXISTS", i, KEYS - 1);
        all = reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
        freeReplyObject(reply);
    }
    redisFree(redis);
    return all;
}

static void service_begin(struct child *child, const char *seconds)
{
    const char *argv[] = {EXAMPLE_WRITE_BEHIND_SERVICE, seconds, NULL};
    begin(child, argv);
    assert_true(wait_until(each_has_written, NULL, PATIENT_MS));
}

/* Ends it under load. */
static int service_end(struct child *child, char *told, size_t cap)
{
    child_signal(child, SIGTERM);
    int status = end(child, told, cap);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* How many writes of each writer were acknowledged, as the service said. */
static void read_acknowledged(const char *told, unsigned *acknowledged)
{
    for (int i = 0; i < WRITERS; i++) {
        char begin[32];
        (void)snprintf(begin, sizeof begin, "writer %d: ", i);
        const char *at = strstr(told, begin);
        assert_non_null(at);
        assert_int_equal(sscanf(at + strlen(begin), "%u writes", &acknowledged[i]), 1);
        assert_true(acknowledged[i] >= KEYS);
    }
}

/* What was acknowledged last of each key. */
static void assert_redis_has(const unsigned *acknowledged)
{
    redisContext *redis = redisConnectUnix(redis_server_socket(server));
    for (unsigned i = 0; i < WRITERS; i++) {
        for (unsigned last = acknowledged[i]; last + KEYS > acknowledged[i]; last--) {
            char expected[16];
            redisReply *reply = ask(redis, "GET", i, last % KEYS);
            (void)snprintf(expected, sizeof expected, "%u", last);
            assert_int_equal(reply->type, REDIS_REPLY_STRING);
            assert_string_equal(reply->str, expected);
            freeReplyObject(reply);
        }
    }
    redisFree(redis);
}

static void a_service_that_is_ended_under_load_loses_nothing(void **state)
{
    (void)state;
    char told[2048];
    unsigned acknowledged[WRITERS];
    struct child child;
    service_begin(&child, "20");
    assert_int_equal(service_end(&child, told, sizeof told), 0);
    assert_null(strstr(told, "were in Redis"));
    read_acknowledged(told, acknowledged);
    assert_redis_has(acknowledged);
}

/* The deadline is too short for what is left: Redis does not answer. */
static void a_service_that_could_not_write_all_says_how_much_and_fails(void **state)
{
    (void)state;
    char told[8192];
    unsigned keys = 0;
    struct child child;
    service_begin(&child, "0.05");
    redis_server_freeze(server);
    assert_int_equal(service_end(&child, told, sizeof told), 1);
    const char *said = strstr(told, "write-behind: closed before ");
    assert_non_null(said);
    assert_int_equal(sscanf(said, "write-behind: closed before %u keys", &keys), 1);
    assert_in_range(keys, 1, WRITERS * KEYS);
    assert_non_null(strstr(said, "were in Redis: these writes are lost"));
    redis_server_thaw(server);
}

/* The same with a journal: the next start writes what was left. */
static void with_a_journal_the_next_start_writes_what_was_left(void **state)
{
    (void)state;
    char told[8192], journal[FOLDER_CAP];
    unsigned acknowledged[WRITERS];
    struct child child;
    assert_int_equal(folder_make(journal, "test_examples"), 0);
    assert_int_equal(setenv("STRATA_WRITE_BEHIND_JOURNAL", journal, 1), 0);
    service_begin(&child, "0.05");
    redis_server_freeze(server);
    assert_int_equal(service_end(&child, told, sizeof told), 1);
    assert_non_null(strstr(told, "were in Redis: these writes are in the journal"));
    read_acknowledged(told, acknowledged);
    redis_server_thaw(server);
    run(EXAMPLE_WRITE_BEHIND, told, sizeof told); /* any program that opens the journal */
    assert_redis_has(acknowledged);
    assert_int_equal(unsetenv("STRATA_WRITE_BEHIND_JOURNAL"), 0);
    assert_int_equal(folder_remove(journal), 0);
}

static void what_was_hot_is_in_memory_after_the_start(void **state)
{
    (void)state;
    char told[256], path[256];
    (void)snprintf(path, sizeof path, "%s/hot", redis_server_folder(server));
    assert_int_equal(setenv("STRATA_MAX_STALENESS", "60", 1), 0); /* though the machine stalls */
    run_with(EXAMPLE_WARM_START, path, told, sizeof told);
    assert_int_equal(unsetenv("STRATA_MAX_STALENESS"), 0);
    assert_string_equal(told, "3 keys are hot\n"
                              "3 of 3 are in memory again\n"
                              "3 gets, 3 answered from memory\n");
}

static int empty(void **state)
{
    (void)state;
    return redis_server_restart(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_quickstart_says_hello),
        cmocka_unit_test(cache_aside_asks_the_source_where_it_must),
        cmocka_unit_test(read_through_renders_a_page_once),
        cmocka_unit_test(read_through_many_asks_one_question),
        cmocka_unit_test(what_was_hot_is_in_memory_after_the_start),
        cmocka_unit_test(write_behind_gives_redis_the_last_of_many),
        cmocka_unit_test_setup(a_service_that_is_ended_under_load_loses_nothing, empty),
        cmocka_unit_test_setup(a_service_that_could_not_write_all_says_how_much_and_fails, empty),
        cmocka_unit_test_setup(with_a_journal_the_next_start_writes_what_was_left, empty),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
