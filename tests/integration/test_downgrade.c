/* SPDX-License-Identifier: MIT
 *
 * sta_resp_downgrade() against a real server: every command runs once over RESP3 and once over
 * RESP2, on databases that go through the same states, and the downgraded answer must be the
 * other, byte for byte. Commands whose answers have two shapes are listed too, so that the list
 * in docs/internals/resp.md stays true.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "integration/raw_redis.h"
#include "resp/resp.h"
#include "strata/status.h"
#include "support/redis_server.h"

static struct redis_server *server;

static int start(void **state)
{
    (void)state;
    static const char *const arguments[] = {"--enable-debug-command", "yes",
                                            "--slowlog-log-slower-than", "-1", NULL};
    return redis_server_start(&server, arguments);
}

static int stop(void **state)
{
    (void)state;
    redis_server_stop(&server);
    return 0;
}

/* Those that begin with '?' only happen to be alike: another answer to them would not be. */
static const char *const alike[] = {
    "PING",
    "PING hello",
    "ECHO 'a b'",
    "SET k v",
    "SET k w NX",
    "SET k w GET",
    "GET k",
    "GET none",
    "GETRANGE k 0 0",
    "APPEND k x",
    "STRLEN k",
    "GETDEL none",
    "MSET a 1 b 2",
    "MGET a none b",
    "INCR a",
    "INCRBYFLOAT a 1.5",
    "INCR k",
    "DEL b none",
    "EXISTS a a",
    "EXPIRE a 100",
    "PERSIST a",
    "TTL none",
    "PTTL a",
    "TYPE a",
    "OBJECT ENCODING a",
    "OBJECT ENCODING none",
    "DUMP none",
    "HSET h f v g 2",
    "HGET h f",
    "HGET h none",
    "HGETALL h",
    "HGETALL none",
    "HMGET h f none g",
    "HKEYS h",
    "HVALS h",
    "HEXISTS h f",
    "HINCRBY h g 3",
    "HINCRBYFLOAT h g 0.5",
    "HSCAN h 0",
    "HRANDFIELD none",
    "SADD s a",
    "SMEMBERS s",
    "SMEMBERS none",
    "SISMEMBER s a",
    "SMISMEMBER s a b",
    "SINTER s s",
    "SUNION s none",
    "SDIFF s none",
    "SPOP none",
    "SPOP none 2",
    "SRANDMEMBER s",
    "SRANDMEMBER s 2",
    "SSCAN s 0",
    "RPUSH l a b c",
    "LRANGE l 0 -1",
    "LINDEX l 0",
    "LINDEX l 9",
    "LPOS l b",
    "LPOS l none",
    "LPOS l a COUNT 0",
    "LPOP l",
    "?LPOP l 2",
    "LPOP none",
    "RPOPLPUSH none l",
    "ZADD z 1 a 2.5 b inf c -inf d 3.0000000000000004 e 1e21 f",
    "ZADD z INCR 1 a",
    "ZADD z NX INCR 1 a",
    "ZSCORE z b",
    "ZSCORE z c",
    "ZSCORE z e",
    "ZSCORE z f",
    "ZSCORE z none",
    "ZMSCORE z a none d",
    "ZINCRBY z 0.1 b",
    "ZRANGE z 0 -1",
    "ZRANGEBYSCORE z -inf inf",
    "ZRANK z a",
    "ZRANK z none",
    "ZCARD z",
    "ZRANDMEMBER none",
    "ZPOPMIN z",
    "ZPOPMAX none",
    "ZSCAN z 0",
    "GEOADD g 13.361389 38.115556 p 15.087269 37.502669 q",
    "GEODIST g p q",
    "GEODIST g p none",
    "GEOHASH g p none",
    "XAUTOCLAIM x none me 0 0",
    "SORT l GET #",
    "GEOSEARCH g FROMMEMBER p BYRADIUS 200 km ASC WITHCOORD WITHDIST WITHHASH",
    "XADD x 1-1 f v",
    "XADD x NOMKSTREAM 1-2 f v",
    "XADD none NOMKSTREAM 1-2 f v",
    "XRANGE x - +",
    "XLEN x",
    "XINFO STREAM x",
    "XINFO GROUPS x",
    "XGROUP CREATE x grp 0",
    "XINFO GROUPS x",
    "SETBIT bits 7 1",
    "BITFIELD bits GET u8 0 OVERFLOW FAIL INCRBY u2 0 9",
    "PFADD hll a b",
    "PFCOUNT hll",
    "LCS k k",
    "LCS k k IDX",
    "SCAN 0 MATCH none* COUNT 1000",
    "KEYS none*",
    "DBSIZE",
    "EVAL 'return {1,2,{3,\"x\"},false,true}' 0",
    "EVAL 'return redis.error_reply(\"ERR no\")' 0",
    "EVAL 'return redis.status_reply(\"FINE\")' 0",
    "EVAL 'return redis.call(\"GET\",KEYS[1])' 1 a",
    "EVAL 'return redis.call(\"HGETALL\",KEYS[1])' 1 h",
    "SCRIPT EXISTS 0000000000000000000000000000000000000000",
    "FUNCTION LIST",
    "CONFIG GET maxmemory*",
    "CONFIG GET none",
    "COMMAND COUNT",
    "COMMAND INFO get none",
    "COMMAND GETKEYS MGET a b",
    "COMMAND GETKEYSANDFLAGS GET a",
    "COMMAND DOCS get",
    "CLIENT GETNAME",
    "CLIENT TRACKINGINFO",
    "ACL WHOAMI",
    "ACL GETUSER default",
    "ACL LIST",
    "LATENCY LATEST",
    "SLOWLOG GET",
    "PUBSUB NUMSUB c",
    "PUBLISH c m",
    "MODULE LIST",
    "MEMORY USAGE a",
    "LOLWUT VERSION 5 1 1 1",
    "WAIT 0 0",
    "nothing a b",
    "GET",
    "LPUSH a x",
    "MULTI",
    "GET a",
    "HGETALL h",
    "ZSCORE z b",
    "?EXEC",
    "DEBUG PROTOCOL string",
    "DEBUG PROTOCOL integer",
    "DEBUG PROTOCOL double",
    "DEBUG PROTOCOL null",
    "DEBUG PROTOCOL array",
    "DEBUG PROTOCOL set",
    "DEBUG PROTOCOL map",
    "DEBUG PROTOCOL attrib",
    "DEBUG PROTOCOL bignum",
    "DEBUG PROTOCOL true",
    "DEBUG PROTOCOL false",
    "DEBUG PROTOCOL verbatim",
};

/* The shape depends on the protocol. Those that begin with '.' prepare the next. */
static const char *const unlike[] = {
    /* RESP3 nests the pairs that RESP2 lists flat */
    ".ZADD w 1 a 2 b 3 c 4 d 5 e",
    "ZRANGE w 0 -1 WITHSCORES",
    "ZREVRANGE w 0 -1 WITHSCORES",
    "ZRANGEBYSCORE w 0 9 WITHSCORES",
    "ZREVRANGEBYSCORE w 9 0 WITHSCORES",
    "ZUNION 1 w WITHSCORES",
    "ZINTER 1 w WITHSCORES",
    "ZDIFF 2 w none WITHSCORES",
    "ZRANDMEMBER w 9 WITHSCORES",
    "ZPOPMIN w 1",
    "ZPOPMAX w 1",
    ".HSET h f v",
    "HRANDFIELD h 9 WITHVALUES",
    /* RESP3 has a map where RESP2 nests pairs */
    ".XADD x 1-1 f v",
    "XREAD COUNT 1 STREAMS x 0",
    ".XGROUP CREATE x grp 0",
    "XREADGROUP GROUP grp me COUNT 1 STREAMS x >",
    /* a missing array is "_" there and "*-1" here */
    "LPOP none 1",
    "RPOP none 1",
    "BLPOP none 0.01",
    "BRPOP none 0.01",
    "BZPOPMIN none 0.01",
    "BLMOVE none none LEFT LEFT 0.01",
    "LMPOP 1 none LEFT",
    "ZMPOP 1 none MIN",
    "BLMPOP 0.01 1 none LEFT",
    "BZMPOP 0.01 1 none MIN",
    "BRPOPLPUSH none none 0.01",
    "XREAD STREAMS none 0",
    "XREADGROUP GROUP grp me COUNT 1 STREAMS x >",
    "GEOPOS none a",
    ".GEOADD g 1 2 p",
    "GEOPOS g p none",
    ".XGROUP CREATE x idle 0",
    "XPENDING x idle",
    ".WATCH h",
    ".MULTI",
    ".HSET h f w",
    "EXEC",
};

struct pair {
    struct raw_redis *redis[2]; /* RESP2, RESP3 */
    struct sta_buffer answer[2];
    struct sta_buffer down;
};

static void pair_open(struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        pair->redis[i] = raw_redis_connect(redis_server_socket(server), 2 + i);
        sta_buffer_init(&pair->answer[i], 16u << 20);
        raw_redis_call(pair->redis[i], i == 0 ? "SELECT 0" : "SELECT 1", &pair->answer[i]);
    }
    sta_buffer_init(&pair->down, 16u << 20);
}

static void pair_close(struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        raw_redis_close(&pair->redis[i]);
        sta_buffer_fini(&pair->answer[i]);
    }
    sta_buffer_fini(&pair->down);
}

/* What the library says of the command without having seen its answer. */
static bool is_exact(const char *command)
{
    struct strata_bytes argv[64];
    uint8_t scratch[256];
    size_t argc = 0;
    assert_int_equal(sta_resp_request_count(strata_text(command), &argc), STRATA_OK);
    assert_int_equal(sta_resp_request_args(strata_text(command), argv, argc, scratch), STRATA_OK);
    return sta_resp_downgrade_is_exact(argv, argc);
}

/* Whether the downgraded answer is the one of RESP2. */
static bool pair_agrees(struct pair *pair, const char *command)
{
    sta_buffer_clear(&pair->down);
    for (int i = 0; i < 2; i++) {
        sta_buffer_clear(&pair->answer[i]);
        raw_redis_call(pair->redis[i], command, &pair->answer[i]);
    }
    assert_int_equal(sta_resp_downgrade(&pair->down, sta_buffer_bytes(&pair->answer[1])),
                     STRATA_OK);
    struct strata_bytes down = sta_buffer_bytes(&pair->down);
    struct strata_bytes due = sta_buffer_bytes(&pair->answer[0]);
    return down.len == due.len && memcmp(down.data, due.data, due.len) == 0;
}

static void print_answers(const struct pair *pair, const char *command)
{
    struct strata_bytes resp2 = sta_buffer_bytes(&pair->answer[0]);
    struct strata_bytes resp3 = sta_buffer_bytes(&pair->answer[1]);
    print_message("%s\nRESP2 %.*s\nRESP3 %.*s\n", command, (int)resp2.len, (char *)resp2.data,
                  (int)resp3.len, (char *)resp3.data);
}

static void downgraded_answers_are_those_of_resp2(void **state)
{
    (void)state;
    unsigned wrong = 0;
    struct pair pair;
    pair_open(&pair);
    for (size_t i = 0; i < sizeof(alike) / sizeof(alike[0]); i++) {
        bool chance = alike[i][0] == '?';
        const char *command = alike[i] + chance;
        if (!pair_agrees(&pair, command) || is_exact(command) == chance) {
            print_answers(&pair, alike[i]);
            wrong++;
        }
    }
    pair_close(&pair);
    assert_int_equal(wrong, 0);
}

/* Changes a key of both databases from outside. */
static void touch(const char *key)
{
    struct pair other;
    char command[64];
    pair_open(&other);
    snprintf(command, sizeof(command), "HSET %s touched 1", key);
    assert_true(pair_agrees(&other, command));
    pair_close(&other);
}

static void answers_of_two_shapes_are_known(void **state)
{
    (void)state;
    unsigned wrong = 0;
    struct pair pair;
    pair_open(&pair);
    for (size_t i = 0; i < sizeof(unlike) / sizeof(unlike[0]); i++) {
        bool prepares = unlike[i][0] == '.';
        const char *command = unlike[i] + prepares;
        /* EXEC differs only where a watched key has changed meanwhile. */
        if (strcmp(command, "EXEC") == 0)
            touch("h");
        if (pair_agrees(&pair, command) != prepares || is_exact(command) != prepares) {
            print_answers(&pair, unlike[i]);
            wrong++;
        }
    }
    pair_close(&pair);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(downgraded_answers_are_those_of_resp2),
        cmocka_unit_test(answers_of_two_shapes_are_known),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
