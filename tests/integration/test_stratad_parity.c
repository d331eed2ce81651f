/* SPDX-License-Identifier: MIT
 *
 * What a client is answered through stratad is, byte for byte, what Redis would have answered:
 * command by command, and in random pipelines of all kinds of commands, in both protocols, with
 * L1 and without. Two Redis servers get the same commands: one directly, one through stratad. So it
 * is before a cluster, which gets them instead of the second one, but for what a cluster cannot do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "integration/raw_redis.h"
#include "resp/resp.h"
#include "strata/status.h"
#include "support/redis_cluster.h"
#include "support/redis_server.h"
#include "support/stratad_process.h"

struct pair {
    struct redis_server *reference;
    struct redis_server *behind;
    struct redis_cluster *cluster; /* instead of it, in the second group */
    struct stratad_process *stratad;
    struct stratad_process *uncached;
};

static int start(void **state)
{
    static const char *const off[] = {"--l1-enabled", "no", NULL};
    struct pair *pair = calloc(1, sizeof *pair);
    *state = pair;
    if (redis_server_start(&pair->reference, NULL) != 0 ||
        redis_server_start(&pair->behind, NULL) != 0)
        return -1;
    if (stratad_process_start(&pair->stratad, redis_server_url(pair->behind), NULL) != 0)
        return -1;
    return stratad_process_start(&pair->uncached, redis_server_url(pair->behind), off);
}

static int start_cluster(void **state)
{
    static const struct redis_cluster_config config = {.no_replicas = true};
    struct pair *pair = calloc(1, sizeof *pair);
    char url[64];
    *state = pair;
    if (redis_server_start(&pair->reference, NULL) != 0 ||
        redis_cluster_start(&pair->cluster, &config) != 0)
        return -1;
    const char *const on[] = {"--cluster-enabled", "yes", NULL};
    const char *const off[] = {"--cluster-enabled", "yes", "--l1-enabled", "no", NULL};
    (void)snprintf(url, sizeof url, "redis://%s", redis_cluster_address(pair->cluster, 1));
    if (stratad_process_start(&pair->stratad, url, on) != 0)
        return -1;
    return stratad_process_start(&pair->uncached, url, off);
}

static int stop(void **state)
{
    struct pair *pair = *state;
    stratad_process_stop(&pair->stratad);
    stratad_process_stop(&pair->uncached);
    redis_server_stop(&pair->behind);
    redis_cluster_stop(&pair->cluster);
    redis_server_stop(&pair->reference);
    free(pair);
    return 0;
}

/* ---- command by command ---- */

/* Each line leaves its traces for the next ones. Nothing here depends on time or chance. */
static const char *const script[] = {
    "FLUSHALL",
    "SET s hello",
    "GET s",
    "GET s",
    "GET none",
    "SET s2 \"\"",
    "GET s2",
    "SET s v NX",
    "SET s v2 XX",
    "GET s",
    "SET none v XX",
    "SET s v3 GET",
    "SET n v GET",
    "SET s v4 EX 1000",
    "SET s v5 KEEPTTL",
    "SET s v6 EXAT 33177117420",
    "EXPIRETIME s",
    "PEXPIRETIME s",
    "PERSIST s",
    "PERSIST s",
    "TTL s",
    "PTTL none",
    "SET s v EX 0",
    "SET s v EX abc",
    "SET s v BLA",
    "SET s",
    "SET",
    "GET",
    "GET a b",
    "APPEND s tail",
    "STRLEN s",
    "GETRANGE s 0 2",
    "SUBSTR s 0 2",
    "SETRANGE s 2 XX",
    "GET s",
    "SETNX s v",
    "SETNX s3 v",
    "SETEX s4 1000 v",
    "SETEX s4 0 v",
    "PSETEX s4 100000 w",
    "GETSET s4 x",
    "GETDEL s4",
    "GETDEL s4",
    "GETEX s3",
    "GETEX s3 PERSIST",
    "GETEX s3 EXAT 33177117420",
    "SETBIT b 7 1",
    "GETBIT b 7",
    "GET b",
    "BITCOUNT b",
    "BITPOS b 1",
    "BITOP NOT b2 b",
    "GET b2",
    "BITFIELD b SET u8 0 200 GET u8 0 INCRBY u2 100 1",
    "BITFIELD_RO b GET u8 0",
    "GET b",
    "INCR n",
    "SET i 10",
    "INCR i",
    "INCRBY i 5",
    "DECR i",
    "DECRBY i 3",
    "INCRBYFLOAT i 0.5",
    "INCR i",
    "GET i",
    "MSET a 1 b 2 c 3",
    "MSETNX a 9 z 9",
    "MSET a",
    "MGET a b c none a",
    "MGET a b c none a",
    "MGET",
    "EXISTS a b none a",
    "TOUCH a none",
    "TYPE a",
    "TYPE none",
    "OBJECT ENCODING a",
    "OBJECT FREQ a",
    "DEL a none",
    "MGET a b c",
    "UNLINK b none",
    "GET b",
    "RENAME c d",
    "GET c",
    "GET d",
    "RENAME none x",
    "RENAMENX d s",
    "COPY d e",
    "GET e",
    "COPY d e",
    "COPY d e REPLACE",
    "DUMP none",
    "EXPIRE d 0",
    "GET d",
    "EXPIRE e abc",
    "EXPIREAT e 33177117420 NX",
    "EXPIREAT e 33177117420 NX",
    "EXPIRETIME e",
    "PEXPIREAT e 33177117420000 GT",
    "HSET h f1 v1 f2 v2",
    "HGETALL h",
    "HGET h f1",
    "HGET h none",
    "HMGET h f1 none",
    "HMSET h f3 v3",
    "HDEL h f3",
    "HINCRBY h n 5",
    "HINCRBYFLOAT h x 1.5",
    "HKEYS h",
    "HVALS h",
    "HLEN h",
    "HSTRLEN h f1",
    "HEXISTS h f1",
    "HSETNX h f1 v",
    "HRANDFIELD h 0",
    "HRANDFIELD none 3 WITHVALUES",
    "HSCAN h 0",
    "GET h",
    "MGET h s",
    "INCR h",
    "APPEND h x",
    "SET h v GET",
    "GETSET h x",
    "RPUSH l a b c d e",
    "LPUSH l z",
    "LRANGE l 0 -1",
    "LPOP l",
    "LPOP l 2",
    "LPOP none",
    "LPOP none 2",
    "RPOP l",
    "LINDEX l 0",
    "LINDEX l 99",
    "LLEN l",
    "LINSERT l BEFORE d x",
    "LSET l 0 y",
    "LSET l 99 y",
    "LREM l 0 none",
    "LPOS l d",
    "LPOS l none",
    "LPOS l d COUNT 2",
    "LTRIM l 0 1",
    "LMOVE l l2 LEFT RIGHT",
    "RPOPLPUSH l l2",
    "LMPOP 2 none l2 LEFT COUNT 2",
    "LMPOP 1 none LEFT",
    "SADD st 1 2 3",
    "SMEMBERS st",
    "SCARD st",
    "SISMEMBER st 1",
    "SMISMEMBER st 1 9",
    "SREM st 3",
    "SADD st2 2 4",
    "SINTER st st2",
    "SINTERCARD 2 st st2",
    "SUNION st st2",
    "SDIFF st st2",
    "SINTERSTORE sto st st2",
    "SMOVE st st2 1",
    "SPOP none",
    "SPOP none 2",
    "SRANDMEMBER none",
    "SRANDMEMBER none 2",
    "SSCAN st2 0",
    "ZADD z 1 a 2.5 b 3 c",
    "ZADD z INCR 1 a",
    "ZADD z NX INCR 1 a",
    "ZSCORE z b",
    "ZSCORE z none",
    "ZMSCORE z b none",
    "ZRANGE z 0 -1",
    "ZRANGE z 0 -1 WITHSCORES",
    "ZRANGEBYSCORE z -inf +inf WITHSCORES LIMIT 0 1",
    "ZREVRANGE z 0 -1 WITHSCORES",
    "ZRANK z b",
    "ZRANK z none",
    "ZINCRBY z 0.1 b",
    "ZCARD z",
    "ZCOUNT z 0 3",
    "ZADD z2 5 b 6 x",
    "ZUNION 2 z z2 WITHSCORES",
    "ZINTER 2 z z2 WITHSCORES",
    "ZDIFF 2 z z2 WITHSCORES",
    "ZUNIONSTORE zo 2 z z2",
    "ZRANGESTORE zr z 0 1",
    "ZPOPMIN z",
    "ZPOPMIN z 2",
    "ZPOPMAX none",
    "ZMPOP 1 z2 MIN COUNT 5",
    "ZMPOP 1 none MIN",
    "ZRANDMEMBER none 3 WITHSCORES",
    "ZSCAN zo 0",
    "ZREMRANGEBYRANK zo 0 0",
    "ZLEXCOUNT zo - +",
    "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
    "GEODIST g Palermo Catania km",
    "GEOPOS g Palermo none",
    "GEOHASH g Palermo",
    "GEOSEARCH g FROMMEMBER Palermo BYRADIUS 200 km ASC WITHCOORD WITHDIST",
    "GEORADIUS g 15 37 200 km WITHDIST ASC",
    "PFADD hll a b c",
    "GET hll",
    "PFCOUNT hll",
    "GET hll",
    "PFADD hll2 c d",
    "PFMERGE hll3 hll hll2",
    "PFCOUNT hll3 hll",
    "XADD x 1-1 f v",
    "XADD x 1-2 f v2",
    "XADD x 1-1 f v",
    "XRANGE x - +",
    "XREVRANGE x + - COUNT 1",
    "XLEN x",
    "XREAD COUNT 1 STREAMS x 0",
    "XREAD STREAMS x 9-9",
    "XGROUP CREATE x grp 0",
    "XREADGROUP GROUP grp me COUNT 1 STREAMS x >",
    "XPENDING x grp",
    "XACK x grp 1-1",
    "XINFO GROUPS x",
    "XDEL x 1-1",
    "XTRIM x MAXLEN 0",
    "EVAL \"return redis.call('set', KEYS[1], ARGV[1])\" 1 s scripted",
    "GET s",
    "EVAL \"return {1, 'two', {3}, false}\" 0",
    "EVAL \"redis.setresp(3); return redis.call('hgetall', KEYS[1])\" 1 hh",
    "EVAL \"return redis.error_reply('MY error')\" 0",
    "EVAL \"return nope\" 0",
    "SCRIPT LOAD \"return 1\"",
    "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0",
    "EVALSHA nosuchsha 0",
    "FUNCTION LIST",
    "SORT l2 ALPHA",
    "SORT l2 ALPHA STORE s",
    "TYPE s",
    "GET s",
    "DBSIZE",
    "KEYS none*",
    "SCAN 0 MATCH none* COUNT 1000",
    "PUBLISH c m",
    "PUBSUB CHANNELS",
    "CONFIG GET maxmemory-policy",
    "CONFIG SET nosuchthing 1",
    "COMMAND COUNT",
    "COMMAND INFO get nosuch",
    "ACL WHOAMI",
    "MEMORY USAGE none",
    "LOLWUT VERSION 9",
    "NOSUCHCOMMAND a b",
    "nosuchcommand",
    "PING",
    "PING hi",
    "PING a b",
    "ECHO hi",
    "ECHO",
    "SELECT 0",
    "SELECT abc",
    "CLIENT GETNAME",
    "CLIENT SETNAME me",
    "CLIENT GETNAME",
    "CLIENT SETNAME \"with space\"",
    "CLIENT SETNAME \"\"",
    "CLIENT GETNAME",
    "AUTH x",
    "AUTH default x",
    "AUTH nobody x",
    "AUTH",
    "AUTH a b c",
    "HELLO 9",
    "HELLO abc",
    "HELLO 3 BLA",
    "HELLO 2 AUTH nobody x",
    "FLUSHDB",
    "GET s",
    "MGET a b",
    "DBSIZE",
};

/* What no cluster does, and what stratad leaves to its nodes: an error that says so. */
static bool is_refused_before_a_cluster(struct strata_bytes reply)
{
    static const char several[] = "-CROSSSLOT ", alone[] = "concerns one node of the cluster";
    return memmem(reply.data, reply.len, several, sizeof several - 1) == reply.data ||
           (*(const char *)reply.data == '-' &&
            memmem(reply.data, reply.len, alone, sizeof alone - 1) != NULL);
}

/* False: it was refused, and Redis was not asked either. */
static bool compare(struct raw_redis *direct, struct raw_redis *through, const char *line)
{
    struct sta_buffer expected, got;
    sta_buffer_init(&expected, 1u << 20);
    sta_buffer_init(&got, 1u << 20);
    raw_redis_call(through, line, &got);
    struct strata_bytes b = sta_buffer_bytes(&got);
    bool answered = !is_refused_before_a_cluster(b);
    if (answered)
        raw_redis_call(direct, line, &expected);
    struct strata_bytes a = answered ? sta_buffer_bytes(&expected) : b;
    if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0)
        fail_msg("%s\n  redis:   %.*s\n  stratad: %.*s", line, (int)a.len, (const char *)a.data,
                 (int)b.len, (const char *)b.data);
    sta_buffer_fini(&expected);
    sta_buffer_fini(&got);
    return answered;
}

/* Lines that a cluster has to refuse: those with keys in several slots that are no matter of one
 * key after the other, and those that concern one node. */
#define REFUSED 29u

static void run_script(const struct pair *pair, const struct stratad_process *stratad, int protocol)
{
    struct raw_redis *direct = raw_redis_connect(redis_server_socket(pair->reference), protocol);
    struct raw_redis *through = raw_redis_connect(stratad_process_socket(stratad), protocol);
    unsigned refused = 0;
    for (size_t i = 0; i < sizeof script / sizeof script[0]; i++)
        if (pair->cluster == NULL || strncmp(script[i], "SCAN ", 5) != 0) /* goes on elsewhere */
            refused += !compare(direct, through, script[i]);
    assert_int_equal(refused, pair->cluster != NULL ? REFUSED : 0);
    raw_redis_close(&direct);
    raw_redis_close(&through);
}

static void every_command_answers_as_redis_in_resp2(void **state)
{
    struct pair *pair = *state;
    run_script(pair, pair->stratad, 2);
}

static void every_command_answers_as_redis_in_resp3(void **state)
{
    struct pair *pair = *state;
    run_script(pair, pair->stratad, 3);
}

static void and_with_l1_switched_off(void **state)
{
    struct pair *pair = *state;
    run_script(pair, pair->uncached, 2);
    run_script(pair, pair->uncached, 3);
}

/* ---- random pipelines ---- */

/* %k: one of a few keys of strings; %h: of hashes; %v: a value; %n: a small number. */
static const char *const templates[] = {
    "GET %k",
    "GET %k",
    "GET %k",
    "GET %k",
    "MGET %k %k %k",
    "MGET %k %h",
    "SET %k %v",
    "SET %k %v",
    "SET %k %v EXAT 33177117420", /* a span of time would end at two times on two servers */
    "SET %k %v NX",
    "SET %k %v XX GET",
    "SET %k %v KEEPTTL",
    "GETSET %k %v",
    "GETDEL %k",
    "APPEND %k %v",
    "STRLEN %k",
    "INCRBY %k %n",
    "DEL %k",
    "DEL %k %h %k",
    "UNLINK %k",
    "EXISTS %k %k",
    "PERSIST %k",
    "EXPIREAT %k 33177117420",
    "EXPIRETIME %k",
    "MSET %k %v %k %v",
    "SETRANGE %k %n %v",
    "GETRANGE %k 0 %n",
    "RENAME %k %k",
    "COPY %k %k REPLACE",
    "HSET %h %v %v",
    "HGETALL %h",
    "HDEL %h %v",
    "GET %h",
    "TYPE %k",
    "BITOP NOT %k %k",
    "EVAL \"return redis.call('append', KEYS[1], ARGV[1])\" 1 %k %v",
    "EVAL \"return redis.call('get', KEYS[1])\" 1 %k",
    "SORT %h",
    "PING",
    "PING %v",
    "ECHO %v",
    "CLIENT GETNAME",
    "CLIENT SETNAME %v",
    "SELECT 0",
    "NOSUCH %k",
    "DBSIZE",
};

/* With several keys that have to be in one slot. */
static bool needs_one_slot(const char *template)
{
    return strncmp(template, "RENAME", 6) == 0 || strncmp(template, "COPY", 4) == 0 ||
           strncmp(template, "BITOP", 5) == 0;
}

static uint64_t below(uint64_t *random, uint64_t bound)
{
    return sta_random_below(random, bound);
}

static void expand(uint64_t *random, const char *template, char *line, size_t cap)
{
    size_t len = 0;
    for (; *template != '\0' && len + 24 < cap; template ++) {
        if (*template != '%') {
            line[len++] = *template;
            continue;
        }
        switch (*++template) {
        case 'k':
            len += (size_t)sprintf(line + len, "key:%u", (unsigned)below(random, 6));
            break;
        case 'h':
            len += (size_t)sprintf(line + len, "hash:%u", (unsigned)below(random, 3));
            break;
        case 'v':
            len += (size_t)sprintf(line + len, "%u", (unsigned)below(random, 100000));
            break;
        default:
            len += (size_t)sprintf(line + len, "%u", (unsigned)below(random, 50));
            break;
        }
    }
    line[len] = '\0';
}

static void append_command(struct sta_buffer *wire, const char *line)
{
    struct strata_bytes argv[16];
    uint8_t scratch[256];
    size_t argc = 0;
    assert_int_equal(sta_resp_request_count(strata_text(line), &argc), STRATA_OK);
    assert_int_equal(sta_resp_request_args(strata_text(line), argv, argc, scratch), STRATA_OK);
    assert_int_equal(sta_resp_write_command(wire, argv, argc), STRATA_OK);
}

/* Sends in pieces, so that commands arrive cut anywhere. */
static void send_in_pieces(struct raw_redis *redis, struct strata_bytes bytes, uint64_t *random)
{
    const char *at = bytes.data;
    for (size_t left = bytes.len; left > 0;) {
        size_t piece = 1 + below(random, left < 400 ? left : 400);
        raw_redis_send(redis, strata_bytes(at, piece));
        at += piece;
        left -= piece;
    }
}

/* What `count` replies to the commands are. */
static void collect(struct raw_redis *redis, struct strata_bytes wire, size_t count,
                    uint64_t *random, struct sta_buffer *replies)
{
    send_in_pieces(redis, wire, random);
    for (size_t i = 0; i < count; i++)
        assert_true(raw_redis_receive(redis, replies));
}

static void run_pipelines(const struct pair *pair, const struct stratad_process *stratad,
                          int protocol, uint64_t seed, unsigned rounds)
{
    struct raw_redis *direct = raw_redis_connect(redis_server_socket(pair->reference), protocol);
    struct raw_redis *through = raw_redis_connect(stratad_process_socket(stratad), protocol);
    struct sta_buffer wire, expected, got;
    uint64_t random = seed;
    sta_buffer_init(&wire, 1u << 20);
    sta_buffer_init(&expected, 1u << 20);
    sta_buffer_init(&got, 1u << 20);
    (void)compare(direct, through, "FLUSHALL");
    for (unsigned round = 0; round < rounds; round++) {
        size_t count = 1 + below(&random, 60);
        for (size_t i = 0; i < count; i++) {
            char line[256];
            size_t which = below(&random, sizeof templates / sizeof templates[0]);
            if (pair->cluster != NULL && needs_one_slot(templates[which]))
                which = 0;
            expand(&random, templates[which], line, sizeof line);
            append_command(&wire, line);
        }
        struct strata_bytes bytes = sta_buffer_bytes(&wire);
        collect(direct, bytes, count, &random, &expected);
        collect(through, bytes, count, &random, &got);
        struct strata_bytes a = sta_buffer_bytes(&expected), b = sta_buffer_bytes(&got);
        if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0)
            fail_msg("seed %llu round %u\ncommands:\n%.*s\nredis:\n%.*s\nstratad:\n%.*s",
                     (unsigned long long)seed, round, (int)bytes.len, (const char *)bytes.data,
                     (int)a.len, (const char *)a.data, (int)b.len, (const char *)b.data);
        sta_buffer_clear(&wire);
        sta_buffer_clear(&expected);
        sta_buffer_clear(&got);
    }
    sta_buffer_fini(&wire);
    sta_buffer_fini(&expected);
    sta_buffer_fini(&got);
    raw_redis_close(&direct);
    raw_redis_close(&through);
}

static void random_pipelines_answer_as_redis(void **state)
{
    struct pair *pair = *state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        run_pipelines(pair, pair->stratad, seed % 2 == 0 ? 2 : 3, seed, 300);
}

static void random_pipelines_answer_as_redis_without_l1(void **state)
{
    struct pair *pair = *state;
    for (uint64_t seed = 11; seed <= 12; seed++)
        run_pipelines(pair, pair->uncached, seed % 2 == 0 ? 2 : 3, seed, 200);
}

/* ---- the edges of the protocol ---- */

/* Sends raw bytes to both and compares all that comes until both have closed or answered PING. */
static void compare_raw(const struct pair *pair, const char *bytes, size_t len)
{
    struct sta_buffer replies[2];
    struct raw_redis *connections[2] = {
        raw_redis_connect(redis_server_socket(pair->reference), 2),
        raw_redis_connect(stratad_process_socket(pair->stratad), 2),
    };
    for (unsigned i = 0; i < 2; i++) {
        sta_buffer_init(&replies[i], 1u << 20);
        raw_redis_send(connections[i], strata_bytes(bytes, len));
        raw_redis_send(connections[i], strata_text("\r\nECHO that-is-all\r\n"));
        while (raw_redis_receive(connections[i], &replies[i])) {
            struct strata_bytes all = sta_buffer_bytes(&replies[i]);
            if (memmem(all.data, all.len, "that-is-all", 11) != NULL)
                break;
        }
        raw_redis_close(&connections[i]);
    }
    struct strata_bytes a = sta_buffer_bytes(&replies[0]), b = sta_buffer_bytes(&replies[1]);
    if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0)
        fail_msg("%.*s\n  redis:   %.*s\n  stratad: %.*s", (int)len, bytes, (int)a.len,
                 (const char *)a.data, (int)b.len, (const char *)b.data);
    sta_buffer_fini(&replies[0]);
    sta_buffer_fini(&replies[1]);
}

static void inline_commands_and_protocol_errors_are_as_redis(void **state)
{
    static const char *const requests[] = {
        "PING",
        "  ping  hello  ",
        "SET inline \"a b\\x41\\n\"\r\nGET inline",
        "GET 'inline'",
        "SET x \"unbalanced",
        "",
        "\r\n\r\nPING",
        "*0\r\nPING",
        "*-1\r\nPING",
        "*1\r\n$4\r\nPING",
        "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING",
        "*a\r\n",
        "*1\r\n$-1\r\n",
        "*1\r\n$abc\r\n",
        "*3000000000\r\n",
        "*1\r\n$600000000\r\n",
        "*2\r\n$3\r\nGET\r\n$3\r\nabc\r\n*x\r\n",
        "QUIT",
        "RESET",
        "*1\r\n$0\r\n\r\nPING",
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        compare_raw(*state, requests[i], strlen(requests[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_answers_as_redis_in_resp2),
        cmocka_unit_test(every_command_answers_as_redis_in_resp3),
        cmocka_unit_test(and_with_l1_switched_off),
        cmocka_unit_test(random_pipelines_answer_as_redis),
        cmocka_unit_test(random_pipelines_answer_as_redis_without_l1),
        cmocka_unit_test(inline_commands_and_protocol_errors_are_as_redis),
    };
    const struct CMUnitTest cluster_tests[] = {
        cmocka_unit_test(every_command_answers_as_redis_in_resp2),
        cmocka_unit_test(every_command_answers_as_redis_in_resp3),
        cmocka_unit_test(and_with_l1_switched_off),
        cmocka_unit_test(random_pipelines_answer_as_redis),
        cmocka_unit_test(random_pipelines_answer_as_redis_without_l1),
        cmocka_unit_test(inline_commands_and_protocol_errors_are_as_redis),
    };
    return cmocka_run_group_tests(tests, start, stop) +
           cmocka_run_group_tests_name("before a cluster", cluster_tests, start_cluster, stop);
}
