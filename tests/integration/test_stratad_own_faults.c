/* SPDX-License-Identifier: MIT
 *
 * Connections of clients' own where a client leaves, stratad ends, or Redis dies or hangs.
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
#include <sys/socket.h>
#include <unistd.h>

#include "integration/own_rig.h"
#include "support/wait.h"

/* ---- clients that leave ---- */

enum leaving { LEAVES, RESETS, SHUTS_ITS_SIDE };

static void leave(int fd, enum leaving how)
{
    const struct linger at_once = {.l_onoff = how == RESETS, .l_linger = 0};
    if (how == SHUTS_ITS_SIDE) {
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        return;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    (void)close(fd);
}

/* As with Redis: what is pushed behind its end is still there, and nobody's. */
static void who_leaves_takes_what_blocks_along(void **state)
{
    (void)state;
    static const char *const lines[] = {"BLPOP left 0\n", "BLPOP left 0\nGET a\nBLPOP left 0\n",
                                        "WATCH k\nBLPOP left 0\nMULTI\nSET k 1\nEXEC\n"};
    struct stratad_process *stratad = rig_start(NULL);
    redisContext *direct = direct_client(), *client = rig_client(stratad);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        for (enum leaving how = LEAVES; how <= SHUTS_ITS_SIDE; how++) {
            int fd = rig_socket(stratad);
            say(fd, lines[i]);
            wait_for_blocked(direct, 1);
            leave(fd, how);
            wait_for_blocked(direct, 0);
            if (how == SHUTS_ITS_SIDE)
                (void)close(fd);
        }
    redisReply *reply = redisCommand(direct, "RPUSH left x");
    assert_int_equal(reply->integer, 1);
    freeReplyObject(reply);
    freeReplyObject(redisCommand(direct, "DEL left"));
    struct fact fact = {client, "open", 0};
    assert_true(wait_until(own_is, &fact, OWN_RIG_PATIENCE_MS));
    redisFree(client);
    redisFree(direct);
    stratad_process_stop(&stratad);
}

static void the_end_of_stratad_does_not_wait_for_what_blocks(void **state)
{
    (void)state;
    static const char *const args[] = {"--drain-timeout", "600", NULL};
    struct stratad_process *stratad = rig_start(args);
    redisContext *direct = direct_client();
    int fd = rig_socket(stratad), other = rig_socket(stratad);
    say(fd, "BLPOP drained 0\n");
    say(other, "SUBSCRIBE drained\n");
    wait_for_blocked(direct, 1);
    wait_for_subscribers(direct, "drained", 1);
    assert_int_equal(stratad_process_terminate(stratad, OWN_RIG_PATIENCE_MS), 0);
    expect(fd, "-LOST strata: the connection to redis broke before the answer; "
               "a write may have happened\n");
    expect_closed(fd);
    expect(other, "*3\n$9\nsubscribe\n$7\ndrained\n:1\n");
    expect_closed(other);
    redisFree(direct);
    stratad_process_stop(&stratad);
}

/* ---- Redis dies ---- */

static void where_redis_dies_everybody_is_told(void **state)
{
    (void)state;
    static const char *const args[] = {"--socket-timeout", "1", NULL};
    struct stratad_process *stratad = rig_start(args);
    redisContext *direct = direct_client(), *client = rig_client(stratad),
                 *watcher = rig_client(stratad);
    int blocked = rig_socket(stratad), subscribed = rig_socket(stratad);
    say(blocked, "BLPOP killed 0\n");
    say(subscribed, "SUBSCRIBE killed\n");
    ASSERT_SAYS(watcher, "OK", "WATCH killed:key");
    wait_for_blocked(direct, 1);
    wait_for_subscribers(direct, "killed", 1);
    redisFree(direct);
    redis_server_kill9(rig_server);
    expect(blocked, "-LOST strata: the connection to redis broke before the answer; "
                    "a write may have happened\n");
    expect(subscribed, "*3\n$9\nsubscribe\n$6\nkilled\n:1\n");
    expect_closed(subscribed);
    ASSERT_SAYS(client, "UNAVAILABLE strata: redis cannot be reached", "BLPOP killed 0");
    assert_int_equal(redis_server_restart(rig_server), 0);
    assert_true(wait_until(answers_ok, client, OWN_RIG_PATIENCE_MS));
    assert_true(wait_until(answers_ok, watcher, OWN_RIG_PATIENCE_MS));
    ASSERT_SAYS(watcher, "OK", "MULTI");
    ASSERT_SAYS(watcher, "QUEUED", "SET killed:key inside");
    ASSERT_SAYS(watcher, "EXECABORT strata: the connection to redis on which keys were watched",
                "EXEC");
    redisReply *reply = redisCommand(watcher, "GET killed:key");
    assert_int_equal(reply->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);
    ASSERT_SAYS(watcher, "OK", "WATCH killed:key");
    ASSERT_SAYS(watcher, "OK", "MULTI");
    reply = redisCommand(watcher, "EXEC");
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    freeReplyObject(reply);
    say(blocked, "BLPOP killed 0.01\n");
    expect(blocked, "*-1\n");
    (void)close(blocked);
    redisFree(client);
    redisFree(watcher);
    stratad_process_stop(&stratad);
}

/* It is the clear end of their connection, and not silence: they subscribe anew, as they would at
 * Redis, and hear of what is published then. */
static void who_listens_is_closed_when_redis_dies(void **state)
{
    (void)state;
    enum { CHANNEL, PATTERN, SHARD, RESP3, MONITOR, LISTENERS };
    static const char *const lines[LISTENERS] = {
        "SUBSCRIBE news\n",          "PSUBSCRIBE n*\n", "SSUBSCRIBE news\n",
        "HELLO 3\nSUBSCRIBE news\n", "MONITOR\n",
    };
    static const char *const answers[LISTENERS] = {
        "subscribe\r\n$4\r\nnews\r\n:1\r\n",
        "psubscribe\r\n$2\r\nn*\r\n:1\r\n",
        "ssubscribe\r\n$4\r\nnews\r\n:1\r\n",
        ">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n",
        "+OK\r\n",
    };
    struct stratad_process *stratad = rig_start(NULL);
    redisContext *client = rig_client(stratad);
    int fds[LISTENERS];
    for (size_t i = 0; i < LISTENERS; i++) {
        fds[i] = rig_socket(stratad);
        say(fds[i], lines[i]);
        expect_until(fds[i], answers[i]);
    }
    redis_server_kill9(rig_server);
    for (size_t i = 0; i < LISTENERS; i++)
        expect_closed(fds[i]);
    assert_int_equal(redis_server_restart(rig_server), 0);
    assert_true(wait_until(answers_ok, client, OWN_RIG_PATIENCE_MS));
    int again = rig_socket(stratad);
    say(again, lines[CHANNEL]);
    expect_until(again, answers[CHANNEL]);
    redisReply *reply = redisCommand(client, "PUBLISH news back");
    assert_int_equal(reply->integer, 1);
    freeReplyObject(reply);
    expect(again, "*3\n$7\nmessage\n$4\nnews\n$4\nback\n");
    (void)close(again);
    redisFree(client);
    stratad_process_stop(&stratad);
}

static void where_redis_hangs_its_own_time_and_the_budget_are_over(void **state)
{
    (void)state;
    static const char *const args[] = {"--socket-timeout", "0.3", NULL};
    struct stratad_process *stratad = rig_start(args);
    redisContext *client = rig_client(stratad), *watcher = rig_client(stratad),
                 *fresh = rig_client(stratad), *direct = direct_client();
    ASSERT_SAYS(client, "OK", "SET frozen old");
    ASSERT_SAYS(watcher, "OK", "WATCH frozen");
    ASSERT_SAYS(watcher, "OK", "MULTI");
    ASSERT_SAYS(watcher, "QUEUED", "SET frozen new");
    redisReply *reply = redisCommand(client, "BLPOP none 0.001");
    assert_int_equal(reply->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);
    redis_server_freeze(rig_server);
    ASSERT_SAYS(client, "TIMEOUT strata: ", "BLPOP none 0.1");
    ASSERT_SAYS(watcher, "TIMEOUT strata: ", "EXEC");
    ASSERT_SAYS(fresh, "UNAVAILABLE strata: ", "BLPOP none 0");
    redis_server_thaw(rig_server);
    assert_true(wait_until(answers_ok, client, OWN_RIG_PATIENCE_MS));
    reply = redisCommand(direct, "GET frozen");
    for (int i = 0; i < 20; i++)
        ASSERT_SAYS(client, reply->str, "GET frozen");
    freeReplyObject(reply);
    reply = redisCommand(watcher, "BLPOP none 0.001");
    assert_int_equal(reply->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);
    redisFree(client);
    redisFree(watcher);
    redisFree(fresh);
    redisFree(direct);
    stratad_process_stop(&stratad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_leaves_takes_what_blocks_along),
        cmocka_unit_test(the_end_of_stratad_does_not_wait_for_what_blocks),
        cmocka_unit_test(where_redis_dies_everybody_is_told),
        cmocka_unit_test(who_listens_is_closed_when_redis_dies),
        cmocka_unit_test(where_redis_hangs_its_own_time_and_the_budget_are_over),
    };
    return cmocka_run_group_tests(tests, rig_start_server, rig_stop_server);
}
