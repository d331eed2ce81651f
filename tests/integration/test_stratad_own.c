/* SPDX-License-Identifier: MIT
 *
 * What needs a connection of a client's own: WATCH, subscriptions, commands that block, MONITOR and
 * WAIT, through stratad as at Redis.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "integration/own_rig.h"
#include "support/wait.h"

/* ---- as Redis ---- */

static int port_socket(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static char *all_of(int fd, const char *lines)
{
    size_t len;
    say(fd, lines);
    char *text = rig_read_to_end(fd, &len);
    (void)close(fd);
    return text;
}

static void replies_are_those_of_redis(void **state)
{
    (void)state;
    static const char *const pipelines[] = {
        "SET k 5\nWATCH k\nGET k\nMULTI\nINCR k\nEXEC\nGET k\nUNWATCH\nQUIT\n",
        "SET k 5\nWATCH k\nSET k 6\nMULTI\nINCR k\nEXEC\nGET k\nQUIT\n",
        "SET k 5\nWATCH k\nSET k 6\nUNWATCH\nMULTI\nINCR k\nEXEC\nQUIT\n",
        "SET k 5\nWATCH k\nSET k 6\nMULTI\nDISCARD\nMULTI\nINCR k\nEXEC\nQUIT\n",
        "SET k 5\nWATCH k\nMULTI\nWATCH k\nUNWATCH\nINCR k\nEXEC\nGET k\nQUIT\n",
        "SET k 5\nWATCH k\nMGET k no\nSTRLEN k\nHSET wh f v\nHGETALL wh\nDEL wh\nEXEC\nUNWATCH\n"
        "QUIT\n",
        "SET k 5\nWATCH k\nSET k 6\nRESET\nMULTI\nINCR k\nEXEC\nQUIT\n",
        "WATCH\nSUBSCRIBE\nPSUBSCRIBE\nBLPOP q\nUNWATCH\nQUIT\n",
        "DEL q\nRPUSH q x y z\nBLPOP q 0\nBRPOP none q 1\nBLMOVE q r LEFT RIGHT 1\nBLPOP q 0.02\n"
        "BLMPOP 0.02 1 q LEFT\nBLPOP q nonsense\nBLPOP q -1\nLRANGE r 0 -1\nDEL r\nQUIT\n",
        "DEL zz\nZADD zz 1 a 2 b\nBZPOPMIN zz 0\nBZPOPMAX zz 0\nBZPOPMIN zz 0.02\nQUIT\n",
        "DEL st\nXADD st 1-1 f v\nXREAD BLOCK 0 STREAMS st 0\nXREAD BLOCK 20 STREAMS st $\n"
        "XGROUP CREATE st g 0\nXREADGROUP GROUP g c BLOCK 20 STREAMS st >\n"
        "XREADGROUP GROUP g c BLOCK 20 STREAMS st >\nDEL st\nQUIT\n",
        "MULTI\nBLPOP q 0\nWAIT 0 0\nXREAD BLOCK 0 STREAMS st $\nEXEC\nQUIT\n",
        "SET a 1\nBLPOP q 0.02\nGET a\nSET a 2\nBLPOP q 0.02\nBLPOP q 0.02\nGET a\nPING\nQUIT\n",
        "UNSUBSCRIBE\nPUNSUBSCRIBE\nSUNSUBSCRIBE\nUNSUBSCRIBE c d\nGET nothing\nQUIT\n",
        "SUBSCRIBE a a b\nUNSUBSCRIBE\nPING\nGET nothing\nQUIT\n",
        "SUBSCRIBE a\nPING\nPING hello\nGET a\nECHO x\nHELLO 3\nMULTI\nWATCH a\n"
        "BLPOP q 0\nMONITOR\nSUBSCRIBE c\nPUNSUBSCRIBE\nPSUBSCRIBE q*\nUNSUBSCRIBE\nGET a\n"
        "PUNSUBSCRIBE q*\nGET nothing\nQUIT\n",
        "SUBSCRIBE a\nRESET\nPING\nGET nothing\nQUIT\n",
        "SUBSCRIBE a\nSUBSCRIBE\nUNSUBSCRIBE zz\nUNSUBSCRIBE a\nGET nothing\nQUIT\n",
        "SSUBSCRIBE a b\nSUNSUBSCRIBE\nPING\nSSUBSCRIBE c\nSUNSUBSCRIBE c\nGET nothing\nQUIT\n",
        "WAIT 0 0\nWAIT 1 10\nWAIT\nQUIT\n",
    };
    struct stratad_process *stratad = rig_start(NULL);
    for (size_t i = 0; i < sizeof pipelines / sizeof pipelines[0]; i++) {
        char *wanted = all_of(port_socket(redis_server_port(rig_server)), pipelines[i]);
        char *got = all_of(rig_socket(stratad), pipelines[i]);
        assert_string_equal(got, wanted);
        free(wanted);
        free(got);
    }
    stratad_process_stop(&stratad);
}

static void so_they_are_in_resp3(void **state)
{
    (void)state;
    static const char *const pipelines[] = {
        "DEL q zz st\nZADD zz 1 a\nRPUSH q x\nXADD st 1-1 f v\nBLPOP q 0\nBLPOP q 0.02\n"
        "BZPOPMIN zz 0\nXREAD BLOCK 0 STREAMS st 0\nWATCH k\nGET none\nHSET wh f v\nHGETALL wh\n"
        "DEL wh\nMULTI\nGET none\nEXEC\nSET k 1\nWATCH k\nSET k 2\nMULTI\nEXEC\nDEL q zz "
        "st\nQUIT\n",
        "SUBSCRIBE a\nGET nothing\nPING\nPSUBSCRIBE b* c*\nBLPOP q 0.02\nWATCH k\nMULTI\nEXEC\n"
        "UNSUBSCRIBE\nPUNSUBSCRIBE\nUNSUBSCRIBE\nPING\nQUIT\n",
    };
    struct stratad_process *stratad = rig_start(NULL);
    for (size_t i = 0; i < sizeof pipelines / sizeof pipelines[0]; i++) {
        int theirs = port_socket(redis_server_port(rig_server)), ours = rig_socket(stratad);
        say(theirs, "HELLO 3\nECHO behind\n");
        say(ours, "HELLO 3\nECHO behind\n");
        char *wanted = all_of(theirs, pipelines[i]), *got = all_of(ours, pipelines[i]);
        assert_non_null(strstr(wanted, "behind"));
        assert_string_equal(strstr(got, "behind"), strstr(wanted, "behind"));
        free(wanted);
        free(got);
    }
    stratad_process_stop(&stratad);
}

/* ---- WATCH ---- */

/* L1 is told of nothing here: what it has of the key is old, and may not be read behind WATCH, or
 * it would be taken for what is watched. */
static void behind_watch_redis_is_read(void **state)
{
    (void)state;
    assert_int_equal(setenv("STRATA_TRACKING", "off", 1), 0);
    struct stratad_process *stratad = rig_start(NULL);
    (void)unsetenv("STRATA_TRACKING");
    redisContext *client = rig_client(stratad), *direct = direct_client();
    ASSERT_SAYS(client, "OK", "SET watched old");
    ASSERT_SAYS(client, "old", "GET watched");
    ASSERT_SAYS(direct, "OK", "SET watched new");
    ASSERT_SAYS(client, "old", "GET watched");
    ASSERT_SAYS(client, "OK", "WATCH watched");
    ASSERT_SAYS(client, "new", "GET watched");
    ASSERT_SAYS(client, "OK", "UNWATCH");
    ASSERT_SAYS(client, "new", "GET watched");
    redisFree(client);
    redisFree(direct);
    stratad_process_stop(&stratad);
}

#define WATCHERS 4
#define ROUNDS   200

static void *increment_many(void *arg)
{
    redisContext *client = rig_client(arg);
    for (int done = 0; done < ROUNDS;) {
        ASSERT_SAYS(client, "OK", "WATCH counter");
        redisReply *reply = redisCommand(client, "GET counter");
        long value = strtol(reply->str, NULL, 10);
        freeReplyObject(reply);
        ASSERT_SAYS(client, "OK", "MULTI");
        ASSERT_SAYS(client, "QUEUED", "SET counter %ld", value + 1);
        reply = redisCommand(client, "EXEC");
        bool carried_out = reply->type == REDIS_REPLY_ARRAY;
        assert_true(carried_out || reply->type == REDIS_REPLY_NIL);
        freeReplyObject(reply);
        done += carried_out;
        reply = redisCommand(client, "GET counter");
        assert_true(!carried_out || strtol(reply->str, NULL, 10) >= value + 1);
        freeReplyObject(reply);
    }
    redisFree(client);
    return NULL;
}

static void nothing_is_lost_among_those_who_watch(void **state)
{
    (void)state;
    static const char *const args[] = {"--workers", "2", "--max-staleness", "60", NULL};
    struct stratad_process *stratad = rig_start(args);
    redisContext *client = rig_client(stratad);
    pthread_t threads[WATCHERS];
    ASSERT_SAYS(client, "OK", "SET counter 0");
    for (size_t i = 0; i < WATCHERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, increment_many, stratad), 0);
    for (size_t i = 0; i < WATCHERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    char wanted[16];
    (void)snprintf(wanted, sizeof wanted, "%d", WATCHERS * ROUNDS);
    ASSERT_SAYS(client, wanted, "GET counter");
    assert_true(own_number(client, "opened") <= WATCHERS + 1);
    redisFree(client);
    stratad_process_stop(&stratad);
}

/* ---- order ---- */

/* What stands behind a command that blocks is carried out when that has been. */
static void what_stands_behind_is_as_late(void **state)
{
    (void)state;
    struct stratad_process *stratad = rig_start(NULL);
    redisContext *other = rig_client(stratad), *direct = direct_client();
    int fd = rig_socket(stratad);
    ASSERT_SAYS(other, "OK", "SET late before");
    ASSERT_SAYS(other, "before", "GET late");
    say(fd, "BLPOP order 0\nGET late\nPING\n");
    wait_for_blocked(direct, 1);
    ASSERT_SAYS(other, "OK", "SET late after");
    freeReplyObject(redisCommand(other, "RPUSH order x"));
    expect(fd, "*2\n$5\norder\n$1\nx\n$5\nafter\n+PONG\n");
    (void)close(fd);
    redisFree(other);
    redisFree(direct);
    stratad_process_stop(&stratad);
}

/* Its own time counts, and not the budget of other commands, which is over when Redis has let
 * another client wait for longer. */
static void a_command_may_block_longer_than_others_may_take(void **state)
{
    (void)state;
    static const char *const args[] = {"--socket-timeout", "1", NULL};
    struct stratad_process *stratad = rig_start(args);
    redisContext *direct = direct_client();
    int fd = rig_socket(stratad);
    say(fd, "BLPOP patient 600\n");
    wait_for_blocked(direct, 1);
    redisReply *reply = redisCommand(direct, "BLPOP nobody 1.5");
    assert_int_equal(reply->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);
    freeReplyObject(redisCommand(direct, "RPUSH patient x"));
    expect(fd, "*2\n$7\npatient\n$1\nx\n");
    (void)close(fd);
    redisFree(direct);
    stratad_process_stop(&stratad);
}

/* L1 is told of nothing here, so what it has of the keys is old until the command drops it. */
static void what_blocks_drops_its_keys(void **state)
{
    (void)state;
    static const char *const commands[] = {
        "BLPOP drop:a 0",
        "BRPOP drop:none drop:a 0",
        "BLMPOP 0 2 drop:none drop:a LEFT",
        "BLMOVE drop:a drop:b LEFT RIGHT 0",
        "BRPOPLPUSH drop:a drop:b 0",
        "BZPOPMIN drop:z 0",
        "BZPOPMAX drop:none drop:z 0",
        "BZMPOP 0 2 drop:none drop:z MIN",
    };
    assert_int_equal(setenv("STRATA_TRACKING", "off", 1), 0);
    struct stratad_process *stratad = rig_start(NULL);
    (void)unsetenv("STRATA_TRACKING");
    redisContext *client = rig_client(stratad), *direct = direct_client();
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const bool sorted = strstr(commands[i], "drop:z") != NULL;
        const char *key = sorted ? "drop:z" : "drop:a";
        const bool moves = strstr(commands[i], "drop:b") != NULL;
        ASSERT_SAYS(client, "OK", "SET %s old", key);
        ASSERT_SAYS(client, "old", "GET %s", key);
        if (moves) {
            ASSERT_SAYS(client, "OK", "SET drop:b old");
            ASSERT_SAYS(client, "old", "GET drop:b");
        }
        freeReplyObject(redisCommand(direct, "DEL drop:a drop:b drop:z"));
        freeReplyObject(sorted ? redisCommand(direct, "ZADD %s 1 x", key)
                               : redisCommand(direct, "RPUSH %s x", key));
        ASSERT_SAYS(client, "old", "GET %s", key);
        redisReply *reply = redisCommand(client, commands[i]);
        assert_true(reply->type == REDIS_REPLY_ARRAY || reply->type == REDIS_REPLY_STRING);
        freeReplyObject(reply);
        reply = redisCommand(client, "GET %s", key);
        if (reply->type != REDIS_REPLY_NIL)
            fail_msg("%s, and L1 has %s", commands[i], reply->str);
        freeReplyObject(reply);
        if (moves)
            ASSERT_SAYS(client, "WRONGTYPE ", "GET drop:b");
    }
    freeReplyObject(redisCommand(direct, "DEL drop:a drop:b drop:z"));
    redisFree(client);
    redisFree(direct);
    stratad_process_stop(&stratad);
}

/* ---- user and password ---- */

/* Redis lets the default user do nothing here: whatever is carried out, is by the URL's user. */
static void own_connections_are_the_urls_user(void **state)
{
    (void)state;
    char url[128];
    struct stratad_process *stratad = NULL;
    redisContext *admin = direct_client();
    ASSERT_SAYS(admin, "OK",
                "ACL SETUSER app on >secret ~* +@all -@dangerous +info resetchannels &mine");
    ASSERT_SAYS(admin, "OK", "ACL SETUSER boss on >boss ~* &* +@all");
    (void)snprintf(url, sizeof url, "redis://app:secret@127.0.0.1:%d/0",
                   redis_server_port(rig_server));
    assert_int_equal(stratad_process_start(&stratad, url, NULL), 0);
    redisContext *client = rig_client(stratad);
    ASSERT_SAYS(admin, "OK", "AUTH boss boss");
    ASSERT_SAYS(admin, "OK", "ACL SETUSER default -@all");
    ASSERT_SAYS(client, "OK", "WATCH acl");
    ASSERT_SAYS(client, "OK", "MULTI");
    ASSERT_SAYS(client, "QUEUED", "ACL WHOAMI");
    redisReply *reply = redisCommand(client, "EXEC");
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    assert_string_equal(reply->element[0]->str, "app");
    freeReplyObject(reply);
    reply = redisCommand(client, "BLPOP none 0.001");
    assert_int_equal(reply->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);
    reply = redisCommand(client, "WAIT 0 0");
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    freeReplyObject(reply);
    ASSERT_SAYS(client, "NOPERM ", "MONITOR"); /* is @dangerous */
    ASSERT_SAYS(client, "NOPERM ", "SUBSCRIBE others");
    reply = redisCommand(client, "SUBSCRIBE mine");
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    freeReplyObject(reply);

    /* One that is opened from now on is let in no more, and its client told so. */
    redisContext *late = rig_client(stratad);
    ASSERT_SAYS(admin, "OK", "ACL SETUSER app resetpass >other");
    ASSERT_SAYS(late, "UNAVAILABLE strata: ", "BLPOP none 0");
    ASSERT_SAYS(admin, "OK", "ACL SETUSER default +@all");
    freeReplyObject(redisCommand(admin, "ACL DELUSER app"));
    redisFree(late);
    redisFree(client);
    stratad_process_stop(&stratad);
    ASSERT_SAYS(admin, "OK", "AUTH default any");
    freeReplyObject(redisCommand(admin, "ACL DELUSER boss"));
    redisFree(admin);
}

/* ---- subscriptions, MONITOR ---- */

static void messages_come_in_the_clients_protocol(void **state)
{
    (void)state;
    struct stratad_process *stratad = rig_start(NULL);
    redisContext *direct = direct_client();
    int two = rig_socket(stratad), three = rig_socket(stratad);
    say(two, "SUBSCRIBE news\nPSUBSCRIBE n*\n");
    expect(two, "*3\n$9\nsubscribe\n$4\nnews\n:1\n*3\n$10\npsubscribe\n$2\nn*\n:2\n");
    say(three, "HELLO 3 SETNAME x\nSUBSCRIBE news\nGET nothing\n");
    wait_for_subscribers(direct, "news", 2);
    freeReplyObject(redisCommand(direct, "PUBLISH news one"));
    expect(two, "*3\n$7\nmessage\n$4\nnews\n$3\none\n"
                "*4\n$8\npmessage\n$2\nn*\n$4\nnews\n$3\none\n");
    freeReplyObject(redisCommand(direct, "PUBLISH news two"));
    say(two, "PING\n");
    expect(two, "*3\n$7\nmessage\n$4\nnews\n$3\ntwo\n"
                "*4\n$8\npmessage\n$2\nn*\n$4\nnews\n$3\ntwo\n*2\n$4\npong\n$0\n\n");
    say(three, "QUIT\n");
    size_t len;
    char *got = rig_read_to_end(three, &len);
    const char *first = strstr(got, "message\r\n$4\r\nnews\r\n$3\r\none\r\n");
    assert_non_null(strstr(got, ">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"));
    assert_non_null(first);
    assert_non_null(strstr(first, ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$3\r\ntwo\r\n"));
    assert_non_null(strstr(got, "_\r\n"));
    free(got);
    (void)close(three);
    (void)close(two);
    wait_for_subscribers(direct, "news", 0);
    redisFree(direct);
    stratad_process_stop(&stratad);
}

#define FLOOD     40
#define PUBLISHED ((size_t)256 << 10)

/* He does not read while ten times of what stratad keeps for him is published. */
static void who_reads_slowly_misses_nothing(void **state)
{
    (void)state;
    struct stratad_process *stratad = rig_start(NULL);
    redisContext *direct = direct_client(), *client = rig_client(stratad);
    char *message = malloc(PUBLISHED);
    assert_non_null(message);
    ASSERT_SAYS(direct, "OK", "CONFIG SET client-output-buffer-limit %s", "pubsub 0 0 0");
    freeReplyObject(redisCommand(client, "SUBSCRIBE flood"));
    for (int i = 0; i < FLOOD; i++) {
        memset(message, 'a' + i % 26, PUBLISHED);
        freeReplyObject(redisCommand(direct, "PUBLISH flood %b", message, PUBLISHED));
    }
    for (int i = 0; i < FLOOD; i++) {
        redisReply *reply = NULL;
        assert_int_equal(redisGetReply(client, (void **)&reply), REDIS_OK);
        assert_int_equal(reply->element[2]->len, PUBLISHED);
        assert_int_equal(reply->element[2]->str[PUBLISHED - 1], 'a' + i % 26);
        freeReplyObject(reply);
    }
    free(message);
    redisFree(client);
    redisFree(direct);
    stratad_process_stop(&stratad);
}

static void monitor_shows_what_redis_is_told(void **state)
{
    (void)state;
    struct stratad_process *stratad = rig_start(NULL);
    redisContext *direct = direct_client(), *client = rig_client(stratad);
    redisReply *reply = NULL;
    ASSERT_SAYS(client, "OK", "MONITOR");
    ASSERT_SAYS(direct, "seen", "ECHO seen");
    do {
        freeReplyObject(reply);
        assert_int_equal(redisGetReply(client, (void **)&reply), REDIS_OK);
    } while (strstr(reply->str, "\"ECHO\" \"seen\"") == NULL);
    freeReplyObject(reply);
    redisFree(client);

    int fd = rig_socket(stratad);
    say(fd, "MONITOR\n");
    expect(fd, "+OK\n");
    say(fd, "RESET\nQUIT\n");
    size_t len;
    char *rest = rig_read_to_end(fd, &len);
    assert_true(len >= 13);
    assert_string_equal(rest + len - 13, "+RESET\r\n+OK\r\n");
    free(rest);
    (void)close(fd);
    redisFree(direct);
    stratad_process_stop(&stratad);
}

/* ---- WAIT ---- */

static bool has_a_replica(void *arg)
{
    redisReply *reply = redisCommand(arg, "WAIT 1 1000");
    bool has = reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
    freeReplyObject(reply);
    return has;
}

static void expect_waited(redisReply *reply, long long replicas)
{
    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER)
        fail_msg("WAIT: %s", reply != NULL ? reply->str : "closed");
    assert_int_equal(reply->integer, replicas);
    freeReplyObject(reply);
}

/* It waits for what the client has written, though that went by another connection. */
static void wait_waits_for_what_the_client_has_written(void **state)
{
    (void)state;
    char port[16];
    struct redis_server *replica = NULL;
    (void)snprintf(port, sizeof port, "%d", redis_server_port(rig_server));
    const char *const args[] = {"--replicaof", "127.0.0.1", port, NULL};
    assert_int_equal(redis_server_start(&replica, args), 0);
    struct stratad_process *stratad = rig_start(NULL);
    redisContext *client = rig_client(stratad);
    ASSERT_SAYS(client, "OK", "SET waited 1");
    assert_true(wait_until(has_a_replica, client, 60000));
    redis_server_freeze(replica);
    ASSERT_SAYS(client, "OK", "SET waited 2");
    expect_waited(redisCommand(client, "WAIT 1 50"), 0);
    redis_server_thaw(replica);
    expect_waited(redisCommand(client, "WAIT 1 10000"), 1);
    redisFree(client);
    stratad_process_stop(&stratad);
    redis_server_stop(&replica);
}

/* ---- the bound ---- */

static void beyond_the_bound_clients_are_told_so(void **state)
{
    (void)state;
    static const char *const args[] = {"--own-connections-max", "2", "--workers", "1", NULL};
    struct stratad_process *stratad = rig_start(args);
    redisContext *client = rig_client(stratad), *direct = direct_client();
    int fd = rig_socket(stratad), other = rig_socket(stratad);
    say(fd, "BLPOP bound 0\n");
    say(other, "SUBSCRIBE bound\n");
    expect(other, "*3\n$9\nsubscribe\n$5\nbound\n:1\n");
    wait_for_blocked(direct, 1);
    assert_int_equal(own_number(client, "open"), 2);
    ASSERT_SAYS(client, "BUSY strata: ", "BLPOP none 0");
    ASSERT_SAYS(client, "BUSY strata: ", "WATCH k");
    ASSERT_SAYS(client, "OK", "UNWATCH");
    assert_int_equal(own_number(client, "refused"), 2);
    freeReplyObject(redisCommand(direct, "RPUSH bound x"));
    expect(fd, "*2\n$5\nbound\n$1\nx\n");
    int three = rig_socket(stratad);
    say(three, "HELLO 3\nECHO ~\n");
    for (char last = '\0'; last != '~';)
        assert_int_equal(recv(three, &last, 1, 0), 1);
    expect(three, "\n");
    for (int i = 0; i < 20; i++) { /* one that is idle serves, also in the other protocol */
        say(three, "BLPOP none 0.001\n");
        expect(three, "_\n");
        say(fd, "BLPOP none 0.001\n");
        expect(fd, "*-1\n");
    }
    assert_int_equal(own_number(client, "open"), 2);
    (void)close(three);
    (void)close(fd);
    (void)close(other);
    redisFree(client);
    redisFree(direct);
    stratad_process_stop(&stratad);
}

/* As with Redis: what is held stays, and is told of in the other protocol. */
static void the_protocol_may_change_while_something_is_held(void **state)
{
    (void)state;
    struct stratad_process *stratad = rig_start(NULL);
    redisContext *direct = direct_client();
    int fd = rig_socket(stratad), news = rig_socket(stratad);
    say(fd, "WATCH held\nHELLO 3 SETNAME me\n");
    expect_until(fd, "modules\r\n*0\r\n");
    say(fd, "GET none\nCLIENT GETNAME\nMULTI\nGET none\nEXEC\nGET none\n");
    expect(fd, "_\n$2\nme\n+OK\n+QUEUED\n*1\n_\n_\n");
    say(fd, "WATCH held\nHELLO 2\n");
    expect_until(fd, "modules\r\n*0\r\n");
    ASSERT_SAYS(direct, "OK", "SET held others");
    say(fd, "MULTI\nSET held mine\nEXEC\nGET held\nGET none\n");
    expect(fd, "+OK\n+QUEUED\n*-1\n$6\nothers\n$-1\n");

    say(fd, "WATCH held\nHELLO 3\nHELLO 3\nGET none\nHELLO 2\nHELLO 3\nUNWATCH\nGET none\n");
    expect_until(fd, "+OK\r\n_\r\n");

    say(news, "HELLO 3\nSUBSCRIBE held:news\n");
    expect_until(news, "held:news\r\n:1\r\n");
    say(news, "GET none\nHELLO 2\n");
    expect_until(news, "modules\r\n*0\r\n");
    freeReplyObject(redisCommand(direct, "PUBLISH held:news x"));
    expect(news, "*3\n$7\nmessage\n$9\nheld:news\n$1\nx\n");
    say(news, "HELLO 3\nUNSUBSCRIBE\nHELLO 3\n");
    expect_until(news, "in this context\r\n");
    expect(news, "*3\n$11\nunsubscribe\n$9\nheld:news\n:0\n%7\n");
    (void)close(fd);
    (void)close(news);
    redisFree(direct);
    stratad_process_stop(&stratad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_those_of_redis),
        cmocka_unit_test(so_they_are_in_resp3),
        cmocka_unit_test(behind_watch_redis_is_read),
        cmocka_unit_test(nothing_is_lost_among_those_who_watch),
        cmocka_unit_test(what_stands_behind_is_as_late),
        cmocka_unit_test(a_command_may_block_longer_than_others_may_take),
        cmocka_unit_test(what_blocks_drops_its_keys),
        cmocka_unit_test(own_connections_are_the_urls_user),
        cmocka_unit_test(messages_come_in_the_clients_protocol),
        cmocka_unit_test(who_reads_slowly_misses_nothing),
        cmocka_unit_test(monitor_shows_what_redis_is_told),
        cmocka_unit_test(wait_waits_for_what_the_client_has_written),
        cmocka_unit_test(beyond_the_bound_clients_are_told_so),
        cmocka_unit_test(the_protocol_may_change_while_something_is_held),
    };
    return cmocka_run_group_tests(tests, rig_start_server, rig_stop_server);
}
