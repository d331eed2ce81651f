/* SPDX-License-Identifier: MIT
 *
 * What a SET leaves in L1 is what Redis says of the key right behind it: SET, GET, PTTL. A scripted
 * server lets others write between these, which a real one does too seldom to be waited for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "integration/stratad_rig.h"
#include "support/fake_redis.h"
#include "support/wait.h"

#define PATIENT_MS 20000u
#define NAMED      ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
#define VALUE      "$3\r\nown\r\n"

struct bench {
    struct fake_redis *fake;
    struct stratad_process *stratad;
    redisContext *client;
};

static uint64_t asked(const struct bench *bench)
{
    return fake_redis_seen(bench->fake, "GET k");
}

static void assert_answer(const struct bench *bench, const char *command, const char *expected)
{
    redisReply *reply = redisCommand(bench->client, command);
    assert_non_null(reply);
    assert_string_equal(reply->str, expected);
    freeReplyObject(reply);
}

static bool canary_is_read(void *arg)
{
    const struct bench *bench = arg;
    return fake_redis_seen(bench->fake, "GET strata:canary:*") > 0;
}

/* Its own write of the canary comes back as a push: L1 may answer from now on. */
static void prove_canary(struct bench *bench)
{
    char text[128] = "", push[256];
    const char *name = NULL;
    assert_true(wait_until(canary_is_read, bench, PATIENT_MS));
    for (size_t i = 0; name == NULL && fake_redis_command(bench->fake, i, text, sizeof text) >= 0;
         i++)
        name = strncmp(text, "GET strata:canary:", 18) == 0 ? text + 4 : NULL;
    assert_non_null(name);
    (void)snprintf(push, sizeof push, ">2\r\n$10\r\ninvalidate\r\n*1\r\n$%zu\r\n%s\r\n",
                   strlen(name), name);
    fake_redis_push(bench->fake, push);
}

/* `set`, `got`, `left`: what is answered to SET, GET and PTTL. */
static void set_with(struct bench *bench, const char *set, const char *got, const char *left)
{
    static const char *const args[] = {"--workers", "1", "--max-staleness", "3600", NULL};
    char url[64];
    *bench = (struct bench){.fake = fake_redis_start(NULL)};
    fake_redis_say(bench->fake, "SET k *", 0, set);
    fake_redis_say(bench->fake, "GET k", 0, got);
    fake_redis_say(bench->fake, "PTTL k", 0, left);
    (void)snprintf(url, sizeof url, "redis://%s/0", fake_redis_address(bench->fake));
    assert_int_equal(stratad_process_start(&bench->stratad, url, args), 0);
    bench->client = rig_client(bench->stratad);
    freeReplyObject(redisCommand(bench->client, "GET another")); /* so that there is a canary */
    prove_canary(bench);
    assert_answer(bench, "SET k own", "OK");
    assert_int_equal(asked(bench), 1);
}

static void end(struct bench *bench)
{
    redisFree(bench->client);
    stratad_process_stop(&bench->stratad);
    fake_redis_stop(&bench->fake);
}

static void what_was_set_is_answered_from_l1(void **state)
{
    (void)state;
    struct bench bench;
    set_with(&bench, "+OK\r\n", VALUE, ":-1\r\n");
    assert_answer(&bench, "GET k", "own");
    assert_int_equal(asked(&bench), 1);
    end(&bench);
}

static void so_it_is_where_its_own_push_comes_before_it(void **state)
{
    (void)state;
    struct bench bench;
    set_with(&bench, "+OK\r\n" NAMED, VALUE, ":-1\r\n");
    assert_answer(&bench, "GET k", "own");
    assert_int_equal(asked(&bench), 1);
    end(&bench);
}

static void not_where_another_wrote_before_it_was_read_back(void **state)
{
    (void)state;
    struct bench bench;
    set_with(&bench, "+OK\r\n", "$5\r\nother\r\n", ":-1\r\n");
    assert_answer(&bench, "GET k", "other");
    assert_int_equal(asked(&bench), 2);
    end(&bench);
}

static void nor_where_another_wrote_between_its_value_and_its_ttl(void **state)
{
    (void)state;
    struct bench bench;
    set_with(&bench, "+OK\r\n", VALUE NAMED, ":-1\r\n");
    assert_answer(&bench, "GET k", "own");
    assert_int_equal(asked(&bench), 2);
    end(&bench);
}

static bool is_asked_again(void *arg)
{
    const struct bench *bench = arg;
    assert_answer(bench, "GET k", "own");
    return asked(bench) > 1;
}

static void it_ends_by_the_ttl_that_another_gave_it_meanwhile(void **state)
{
    (void)state;
    struct bench bench;
    set_with(&bench, "+OK\r\n", VALUE, ":40\r\n");
    assert_true(wait_until(is_asked_again, &bench, PATIENT_MS));
    end(&bench);
}

static void without_its_ttl_it_is_not_kept(void **state)
{
    (void)state;
    struct bench bench;
    set_with(&bench, "+OK\r\n", VALUE, "-NOPERM no permissions to run the 'pttl' command\r\n");
    assert_answer(&bench, "GET k", "own");
    assert_int_equal(asked(&bench), 2);
    end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_set_is_answered_from_l1),
        cmocka_unit_test(so_it_is_where_its_own_push_comes_before_it),
        cmocka_unit_test(not_where_another_wrote_before_it_was_read_back),
        cmocka_unit_test(nor_where_another_wrote_between_its_value_and_its_ttl),
        cmocka_unit_test(it_ends_by_the_ttl_that_another_gave_it_meanwhile),
        cmocka_unit_test(without_its_ttl_it_is_not_kept),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* hiredis writes to whoever has closed */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
