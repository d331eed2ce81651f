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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/child.h"
#include "support/redis_server.h"

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

/* What it printed, to `told`. */
static void run(const char *program, char *told, size_t cap)
{
    const char *argv[] = {program, NULL};
    struct child child;
    char log[256];
    (void)snprintf(log, sizeof log, "%s/example.log", redis_server_folder(server));
    (void)remove(log);
    assert_int_equal(child_start(&child, argv, log), 0);
    assert_int_equal(child_wait(&child, PATIENT_MS), 0);
    FILE *file = fopen(log, "r");
    assert_non_null(file);
    told[fread(told, 1, cap - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    (void)remove(log);
    if (child.status != 0)
        fail_msg("%s: status %d: %s", program, child.status, told);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_through_renders_a_page_once),
        cmocka_unit_test(read_through_many_asks_one_question),
        cmocka_unit_test(write_behind_gives_redis_the_last_of_many),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
