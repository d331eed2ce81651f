/* SPDX-License-Identifier: MIT
 *
 * The command table built from what a real server says, in both protocols, and keys compared
 * with what its own COMMAND GETKEYS finds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "integration/raw_redis.h"
#include "resp/command_table.h"
#include "resp/resp.h"
#include "strata/status.h"
#include "support/redis_server.h"

struct fixture {
    struct redis_server *server;
    struct sta_command_table *table[2]; /* from RESP2, from RESP3 */
};

static struct fixture fixture;

static struct sta_command_table *table_of(int protocol)
{
    struct raw_redis *redis = raw_redis_connect(redis_server_socket(fixture.server), protocol);
    struct sta_buffer frame;
    sta_buffer_init(&frame, 16u << 20);
    raw_redis_call(redis, "COMMAND", &frame);
    struct sta_command_table *table = NULL;
    assert_int_equal(sta_command_table_create(&table, sta_buffer_bytes(&frame)), STRATA_OK);
    sta_buffer_fini(&frame);
    raw_redis_close(&redis);
    return table;
}

static int start(void **state)
{
    (void)state;
    if (redis_server_start(&fixture.server, NULL) != 0)
        return -1;
    fixture.table[0] = table_of(2);
    fixture.table[1] = table_of(3);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    sta_command_table_destroy(&fixture.table[0]);
    sta_command_table_destroy(&fixture.table[1]);
    redis_server_stop(&fixture.server);
    return 0;
}

/* Splits at blanks, in place, as the server's inline commands would. */
static size_t split(const char *line, struct strata_bytes *argv, uint8_t *scratch)
{
    size_t argc = 0;
    assert_int_equal(sta_resp_request_count(strata_text(line), &argc), STRATA_OK);
    assert_true(argc <= 32);
    assert_int_equal(sta_resp_request_args(strata_text(line), argv, argc, scratch), STRATA_OK);
    return argc;
}

struct found {
    char text[512];
    const struct strata_bytes *argv;
};

static void found_add(struct found *found, const char *bytes, size_t len)
{
    size_t at = strlen(found->text);
    snprintf(found->text + at, sizeof(found->text) - at, "%s%.*s", at > 0 ? " " : "", (int)len,
             bytes);
}

static void visit(void *arg, size_t index)
{
    struct found *found = arg;
    found_add(found, found->argv[index].data, found->argv[index].len);
}

/* What the server finds: keys, or an empty text where it finds none or refuses. */
static void server_keys(redisContext *redis, const struct strata_bytes *argv, size_t argc,
                        struct found *found)
{
    const char *words[40] = {"COMMAND", "GETKEYS"};
    size_t lens[40] = {7, 7};
    for (size_t i = 0; i < argc; i++) {
        words[i + 2] = argv[i].data;
        lens[i + 2] = argv[i].len;
    }
    redisReply *reply = redisCommandArgv(redis, (int)argc + 2, words, lens);
    assert_non_null(reply);
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
        found_add(found, reply->element[i]->str, (size_t)reply->element[i]->len);
    freeReplyObject(reply);
}

static const char *const located[] = {
    "GET k",
    "SET k v EX 10 NX",
    "SET k v GET",
    "GETDEL k",
    "GETEX k PERSIST",
    "MGET a b c",
    "MSET a 1 b 2 c 3",
    "MSETNX a 1 b 2",
    "DEL a b",
    "UNLINK a",
    "EXISTS a a b",
    "TOUCH a b",
    "EXPIRE k 10 GT",
    "RENAME a b",
    "COPY a b DB 1",
    "APPEND k v",
    "INCRBYFLOAT k 1.5",
    "HSET h f v g w",
    "HGETALL h",
    "LPUSH l a b",
    "LMOVE a b LEFT RIGHT",
    "BLPOP a b 0",
    "BLMOVE a b LEFT RIGHT 0",
    "LMPOP 2 a b LEFT COUNT 3",
    "BLMPOP 0 2 a b LEFT",
    "SINTERSTORE d a b",
    "SINTERCARD 2 a b LIMIT 1",
    "SMOVE a b m",
    "ZADD z 1 a 2 b",
    "ZUNIONSTORE d 2 a b WEIGHTS 1 2",
    "ZUNION 2 a b",
    "ZDIFFSTORE d 1 a",
    "ZRANGESTORE d s 0 -1",
    "ZMPOP 2 a b MIN",
    "BZMPOP 0 2 a b MAX",
    "BZPOPMIN a b 1",
    "EVAL script 2 a b c d",
    "EVALSHA sha 1 k",
    "EVAL_RO script 1 k x",
    "FCALL f 2 a b c",
    "XADD s * f v",
    "XREAD COUNT 2 STREAMS a b 0 0",
    "XREADGROUP GROUP g c COUNT 1 STREAMS a b > >",
    "XGROUP CREATE s g $",
    "XINFO STREAM s",
    "GEORADIUS g 1 2 3 m",
    "GEORADIUS g 1 2 3 m STORE d",
    "GEORADIUS g 1 2 3 m STOREDIST d",
    "GEORADIUSBYMEMBER g m 3 m COUNT 1 STORE d",
    "GEOSEARCHSTORE d s FROMMEMBER m BYRADIUS 1 m",
    "OBJECT ENCODING k",
    "object freq k",
    "MEMORY USAGE k",
    "PFMERGE d a b",
    "PFCOUNT a b",
    "BITOP AND d a b",
    "BITFIELD k GET u4 0",
    "DUMP k",
    "RESTORE k 0 v",
    "WATCH a b",
    "LCS a b",
    "SUBSTR k 0 1",
};

static const char *const without_keys[] = {
    "PING",        "PUBLISH c m",  "SPUBLISH c m",  "CONFIG GET maxmemory",
    "CLIENT ID",   "FLUSHALL",     "EVAL script 0", "FCALL f 0 a",
    "SCAN 0",      "KEYS *",       "SUBSCRIBE a b", "RANDOMKEY",
    "OBJECT HELP", "SSUBSCRIBE a",
};

/* The keys depend on what the server alone knows, or the call is none that it would take. */
static const char *const skipped[] = {
    "SORT k",
    "SORT k BY nosort STORE d",
    "SORT_RO k",
    "MIGRATE h 1 k 0 10",
    "MIGRATE h 1 '' 0 10 KEYS a b",
    "EVAL script x a",
    "EVAL script -1 a",
    "EVAL script 3 a b",
    "EVAL script 99999999999999999999 a",
    "ZUNIONSTORE d 2 a",
    "GET",
    "GET a b",
    "MSET a",
    "BLMPOP 0 2 a",
    "GEORADIUS g 1 2 3 m STORE d STORE e",
    "GEORADIUS g 1 2 3 m ASC STORE",
    "XREAD STREAMS streams 0",
};

static void expect_keys(int which, redisContext *redis, const char *line)
{
    struct strata_bytes argv[32];
    uint8_t scratch[256];
    size_t argc = split(line, argv, scratch);
    const struct sta_known_command *command = sta_command_find(fixture.table[which], argv, argc);
    assert_non_null(command);
    struct found ours = {.argv = argv}, theirs = {.argv = argv};
    assert_int_equal(sta_command_keys(command, argv, argc, visit, &ours), STRATA_OK);
    server_keys(redis, argv, argc, &theirs);
    if (strcmp(ours.text, theirs.text) != 0)
        fail_msg("%s: we find [%s], the server [%s]", line, ours.text, theirs.text);
}

static redisContext *connect_hiredis(void)
{
    redisContext *redis = redisConnectUnix(redis_server_socket(fixture.server));
    assert_non_null(redis);
    assert_int_equal(redis->err, 0);
    return redis;
}

static void keys_are_those_that_the_server_finds(void **state)
{
    (void)state;
    redisContext *redis = connect_hiredis();
    for (int which = 0; which < 2; which++) {
        for (size_t i = 0; i < sizeof(located) / sizeof(located[0]); i++)
            expect_keys(which, redis, located[i]);
    }
    redisFree(redis);
}

static void never(void *arg, size_t index)
{
    fail_msg("%s: key at %zu", (const char *)arg, index);
}

static void expect_none(const char *line, int status)
{
    struct strata_bytes argv[32];
    uint8_t scratch[256];
    size_t argc = split(line, argv, scratch);
    char name[128];
    snprintf(name, sizeof(name), "%s", line);
    for (int which = 0; which < 2; which++) {
        const struct sta_known_command *command =
            sta_command_find(fixture.table[which], argv, argc);
        assert_non_null(command);
        int got = sta_command_keys(command, argv, argc, never, name);
        if (got != status)
            fail_msg("%s: %s", line, strata_status_name(got));
    }
}

static void commands_without_keys_have_none(void **state)
{
    (void)state;
    redisContext *redis = connect_hiredis();
    for (size_t i = 0; i < sizeof(without_keys) / sizeof(without_keys[0]); i++) {
        expect_none(without_keys[i], STRATA_OK);
        expect_keys(0, redis, without_keys[i]);
    }
    redisFree(redis);
}

static void keys_that_only_the_server_can_locate_are_not_guessed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(skipped) / sizeof(skipped[0]); i++)
        expect_none(skipped[i], STRATA_SKIPPED);
}

static const struct sta_known_command *find(int which, const char *line)
{
    struct strata_bytes argv[32];
    uint8_t scratch[256];
    size_t argc = split(line, argv, scratch);
    return sta_command_find(fixture.table[which], argv, argc);
}

static void commands_are_found_with_arity_and_flags(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++) {
        const struct sta_known_command *get = find(which, "gEt k");
        assert_string_equal(get->name, "get");
        assert_int_equal(get->arity, 2);
        assert_int_equal(get->flags, STA_COMMAND_READONLY);
        assert_true(find(which, "SET k v")->flags & STA_COMMAND_WRITE);
        assert_true(find(which, "BLPOP k 0")->flags & STA_COMMAND_BLOCKING);
        assert_true(find(which, "SUBSCRIBE c")->flags & STA_COMMAND_PUBSUB);
        assert_true(find(which, "SHUTDOWN")->flags & STA_COMMAND_ADMIN);
        assert_true(find(which, "SHUTDOWN")->flags & STA_COMMAND_NO_MULTI);
        assert_true(find(which, "EVAL s 0")->flags & STA_COMMAND_MOVABLE_KEYS);
        assert_string_equal(find(which, "CONFIG get x")->name, "config|get");
        assert_true(find(which, "CONFIG")->flags & STA_COMMAND_CONTAINER);
        assert_string_equal(find(which, "CONFIG nothing")->name, "config");
        assert_null(find(which, "nothing"));
        assert_null(find(which, "\"\" a"));
    }
}

static void both_protocols_tell_the_same(void **state)
{
    (void)state;
    redisContext *redis = connect_hiredis();
    redisReply *names = redisCommand(redis, "COMMAND LIST");
    assert_non_null(names);
    assert_true(names->elements > 200);
    for (size_t i = 0; i < names->elements; i++) {
        const struct sta_known_command *a = find(0, names->element[i]->str);
        const struct sta_known_command *b = find(1, names->element[i]->str);
        assert_non_null(a);
        assert_non_null(b);
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->arity, b->arity);
        assert_int_equal(a->flags, b->flags);
        assert_int_equal(a->first_key, b->first_key);
        assert_int_equal(a->last_key, b->last_key);
        assert_int_equal(a->key_step, b->key_step);
        assert_int_equal(a->spec_count, b->spec_count);
    }
    freeReplyObject(names);
    redisFree(redis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_those_that_the_server_finds),
        cmocka_unit_test(commands_without_keys_have_none),
        cmocka_unit_test(keys_that_only_the_server_can_locate_are_not_guessed),
        cmocka_unit_test(commands_are_found_with_arity_and_flags),
        cmocka_unit_test(both_protocols_tell_the_same),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
