/* SPDX-License-Identifier: MIT
 *
 * The scripted server plays its script: seen with hiredis and with bare sockets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "support/fake_redis.h"
#include "support/fake_redis_words.h"

struct world {
    struct fake_redis *fake;
    redisContext *redis;
};

static void init(struct world *world)
{
    const struct timeval patience = {.tv_sec = 20};
    world->fake = fake_redis_start(NULL);
    world->redis = redisConnect("127.0.0.1", fake_redis_port(world->fake));
    assert_int_equal(world->redis->err, 0);
    (void)redisSetTimeout(world->redis, patience);
}

static void fini(struct world *world)
{
    redisFree(world->redis);
    fake_redis_stop(&world->fake);
    assert_null(world->fake);
}

static void assert_says(struct world *world, const char *command, const char *expected)
{
    redisReply *reply = redisCommand(world->redis, command);
    assert_non_null(reply);
    assert_string_equal(reply->str != NULL ? reply->str : "(null)", expected);
    freeReplyObject(reply);
}

static void send_text(const struct world *world, const char *text)
{
    assert_int_equal(send(world->redis->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void assert_receives(const struct world *world, const char *expected)
{
    char text[512] = "";
    size_t len = strlen(expected);
    assert_true(len < sizeof text);
    assert_int_equal(recv(world->redis->fd, text, len, MSG_WAITALL), len);
    assert_string_equal(text, expected);
}

static void without_a_script_it_is_an_empty_redis(void **state)
{
    (void)state;
    struct world world;
    init(&world);
    assert_says(&world, "PING", "PONG");
    assert_says(&world, "set a 1", "OK");
    assert_says(&world, "GET a", "(null)");
    assert_says(&world, "CLUSTER SLOTS", "ERR unknown command");
    send_text(&world, "HELLO 3 AUTH a b\r\n");
    assert_receives(&world, "%7\r\n$6\r\nserver\r\n");
    fini(&world);
}

static void rules_are_used_in_order_and_used_up(void **state)
{
    (void)state;
    struct world world;
    init(&world);
    fake_redis_say(world.fake, "GET a", 2, "-TRYAGAIN wait\r\n");
    fake_redis_say(world.fake, "GET *", 0, "$3\r\nyes\r\n");
    assert_says(&world, "GET a", "TRYAGAIN wait");
    assert_says(&world, "GET b", "yes");
    assert_says(&world, "get a", "TRYAGAIN wait");
    assert_says(&world, "GET a", "yes");
    fake_redis_forget(world.fake);
    assert_says(&world, "GET a", "(null)");
    fini(&world);
}

static void the_first_ones_may_be_skipped(void **state)
{
    (void)state;
    struct world world;
    init(&world);
    fake_redis_rule(world.fake,
                    &(struct fake_rule){
                        .pattern = "GET *", .skip = 1, .times = 1, .reply = "-LOADING data\r\n"});
    assert_says(&world, "GET a", "(null)");
    assert_says(&world, "GET a", "LOADING data");
    assert_says(&world, "GET a", "(null)");
    fini(&world);
}

static void what_has_come_is_remembered_with_its_connection(void **state)
{
    (void)state;
    struct world world;
    char text[64];
    init(&world);
    redisContext *other = redisConnect("127.0.0.1", fake_redis_port(world.fake));
    assert_says(&world, "ASKING", "OK");
    freeReplyObject(redisCommand(other, "GET %b", "a\n\0b", (size_t)4));
    assert_int_equal(fake_redis_seen(world.fake, "asking"), 1);
    assert_int_equal(fake_redis_seen(world.fake, "*"), 2);
    assert_int_equal(fake_redis_connections(world.fake), 2);
    assert_int_equal(fake_redis_command(world.fake, 0, text, sizeof text), 0);
    assert_string_equal(text, "ASKING");
    assert_int_equal(fake_redis_command(world.fake, 1, text, sizeof text), 1);
    assert_string_equal(text, "GET a..b");
    assert_int_equal(fake_redis_command(world.fake, 2, text, sizeof text), -1);
    redisFree(other);
    fini(&world);
}

static void a_pipeline_is_answered_in_order(void **state)
{
    (void)state;
    struct world world;
    init(&world);
    fake_redis_say(world.fake, "GET b", 0, ":5\r\n");
    send_text(&world, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n*2\r\n$4\r\nM");
    send_text(&world, "GET\r\n$1\r\na\r\nPING\r\n");
    assert_receives(&world, "$-1\r\n:5\r\n*1\r\n$-1\r\n+PONG\r\n");
    fini(&world);
}

static void a_reply_may_stop_in_the_middle(void **state)
{
    (void)state;
    struct world world;
    char byte;
    init(&world);
    fake_redis_rule(world.fake, &(struct fake_rule){.pattern = "GET half",
                                                    .times = 1,
                                                    .reply = "$5\r\nhello\r\n",
                                                    .cut_after = 6,
                                                    .deed = FAKE_CLOSE});
    send_text(&world, "GET half\r\n");
    assert_receives(&world, "$5\r\nhe");
    assert_int_equal(recv(world.redis->fd, &byte, 1, 0), 0);
    fini(&world);
}

static void a_connection_may_be_reset(void **state)
{
    (void)state;
    struct world world;
    char byte;
    init(&world);
    fake_redis_rule(world.fake, &(struct fake_rule){.pattern = "GET *", .deed = FAKE_RESET});
    send_text(&world, "GET a\r\n");
    assert_int_equal(recv(world.redis->fd, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    fini(&world);
}

static void a_connection_may_hang_while_another_is_served(void **state)
{
    (void)state;
    struct world world;
    init(&world);
    redisContext *first = world.redis;
    fake_redis_rule(world.fake,
                    &(struct fake_rule){.pattern = "GET *", .times = 1, .deed = FAKE_HANG});
    send_text(&world, "GET a\r\nPING\r\n");
    world.redis = redisConnect("127.0.0.1", fake_redis_port(world.fake));
    assert_says(&world, "PING", "PONG");
    assert_int_equal(fake_redis_seen(world.fake, "PING"), 1); /* not the one behind the GET */
    redisFree(first);
    fini(&world);
}

static void pushes_come_unasked_and_connections_can_be_dropped(void **state)
{
    (void)state;
    struct world world;
    char byte;
    init(&world);
    assert_says(&world, "PING", "PONG");
    fake_redis_push(world.fake, ">2\r\n+a\r\n+b\r\n");
    assert_receives(&world, ">2\r\n+a\r\n+b\r\n");
    fake_redis_drop(world.fake, false);
    assert_int_equal(recv(world.redis->fd, &byte, 1, 0), 0);
    fini(&world);
}

static void it_belongs_to_the_cluster_that_it_was_told_of(void **state)
{
    (void)state;
    struct world world;
    static const struct fake_range ranges[] = {
        {.first = 0, .last = 99, .host = "127.0.0.1", .port = 7001},
        {.first = 100, .last = 16383, .port = 7002},
    };
    init(&world);
    fake_redis_set_slots(world.fake, ranges, 2);
    redisReply *reply = redisCommand(world.redis, "CLUSTER SLOTS");
    assert_int_equal(reply->elements, 2);
    const redisReply *node = reply->element[0]->element[2];
    assert_string_equal(node->element[0]->str, "127.0.0.1");
    assert_int_equal(node->element[1]->integer, 7001);
    assert_int_equal(node->element[2]->len, 40);
    assert_int_equal(reply->element[1]->element[1]->integer, 16383);
    assert_int_equal(reply->element[1]->element[2]->element[0]->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);
    reply = redisCommand(world.redis, "CLUSTER INFO");
    assert_non_null(strstr(reply->str, "cluster_state:ok\r\n"));
    freeReplyObject(reply);
    fini(&world);
}

static void words_are_read_only_when_they_are_whole(void **state)
{
    (void)state;
    static const char command[] = "*2\r\n$3\r\nGET\r\n$4\r\nab\r\n\r\n";
    char text[32];
    unsigned words;
    long len = sizeof command - 1;
    for (long i = 0; i < len; i++)
        assert_int_equal(fake_redis_words(command, (size_t)i, text, sizeof text, &words), 0);
    assert_int_equal(fake_redis_words(command, (size_t)len, text, sizeof text, &words), len);
    assert_string_equal(text, "GET ab..");
    assert_int_equal(words, 2);
    assert_int_equal(fake_redis_words("*1\r\n:3\r\n", 8, text, sizeof text, &words), -1);
    assert_int_equal(fake_redis_words("*x\r\n", 4, text, sizeof text, &words), -1);
    assert_int_equal(fake_redis_words("GET a b\r\nX", 10, text, 6, &words), 9);
    assert_string_equal(text, "GET a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_script_it_is_an_empty_redis),
        cmocka_unit_test(rules_are_used_in_order_and_used_up),
        cmocka_unit_test(the_first_ones_may_be_skipped),
        cmocka_unit_test(what_has_come_is_remembered_with_its_connection),
        cmocka_unit_test(a_pipeline_is_answered_in_order),
        cmocka_unit_test(a_reply_may_stop_in_the_middle),
        cmocka_unit_test(a_connection_may_be_reset),
        cmocka_unit_test(a_connection_may_hang_while_another_is_served),
        cmocka_unit_test(pushes_come_unasked_and_connections_can_be_dropped),
        cmocka_unit_test(it_belongs_to_the_cluster_that_it_was_told_of),
        cmocka_unit_test(words_are_read_only_when_they_are_whole),
    };
    return cmocka_run_group_tests_name("fake_redis", tests, NULL, NULL);
}
