/* SPDX-License-Identifier: MIT
 *
 * Large answers through stratad: nothing small waits behind one that was as large the last time,
 * and what comes so is right, in order, and not kept. Redis' MONITOR shows on which connection it
 * is asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "integration/own_rig.h"
#include "integration/stratad_cluster_rig.h"
#include "support/wait.h"

#define BIG ((size_t)1 << 20)

struct bench {
    struct stratad_process *stratad;
    redisContext *client, *direct, *monitor;
    char asked_from[64]; /* the connection on which the last GET came */
    char *big;
};

static struct bench bench_open(struct stratad_process *stratad, redisContext *direct,
                               redisContext *monitor)
{
    struct bench bench = {.stratad = stratad, .direct = direct, .monitor = monitor};
    bench.client = rig_client(stratad);
    assert_true(wait_until(answers_ok, bench.client, OWN_RIG_PATIENCE_MS));
    ASSERT_SAYS(monitor, "OK", "MONITOR");
    bench.big = malloc(BIG + 1);
    assert_non_null(bench.big);
    memset(bench.big, 'b', BIG);
    bench.big[BIG] = '\0';
    return bench;
}

static void bench_close(struct bench *bench)
{
    free(bench->big);
    redisFree(bench->client);
    redisFree(bench->direct);
    redisFree(bench->monitor);
    stratad_process_stop(&bench->stratad);
}

/* GET of the key by this client asks Redis; where it came from is noted. */
static redisReply *get(struct bench *bench, redisContext *client, const char *key)
{
    char command[64], *found, *from, *end;
    redisReply *line, *reply = redisCommand(client, "GET %s", key);
    assert_non_null(reply);
    (void)snprintf(command, sizeof command, "\"GET\" \"%s\"", key);
    do {
        assert_int_equal(redisGetReply(bench->monitor, (void **)&line), REDIS_OK);
        found = strstr(line->str, command);
        if (found != NULL) {
            from = strstr(line->str, "[0 ");
            end = from != NULL ? strchr(from, ']') : NULL;
            assert_non_null(end);
            *end = '\0';
            (void)snprintf(bench->asked_from, sizeof bench->asked_from, "%s", from + 3);
        }
        freeReplyObject(line);
    } while (found == NULL);
    return reply;
}

static void get_text(struct bench *bench, const char *key, const char *wanted)
{
    redisReply *reply = get(bench, bench->client, key);
    assert_non_null(reply->str);
    assert_int_equal(reply->len, strlen(wanted));
    assert_memory_equal(reply->str, wanted, reply->len);
    freeReplyObject(reply);
}

static void set_directly(const struct bench *bench, const char *key, const char *value)
{
    ASSERT_SAYS(bench->direct, "OK", "SET %s %s", key, value);
}

/* The first time nobody knows; from then on aside, until it was small for once. */
static void large_ones_go_aside(struct bench *bench)
{
    char main_one[64], aside[64];
    set_directly(bench, "{l}small", "s");
    set_directly(bench, "{l}big", bench->big);
    get_text(bench, "{l}small", "s");
    memcpy(main_one, bench->asked_from, sizeof main_one);
    get_text(bench, "{l}big", bench->big);
    assert_string_equal(bench->asked_from, main_one);
    get_text(bench, "{l}big", bench->big);
    memcpy(aside, bench->asked_from, sizeof aside);
    assert_string_not_equal(aside, main_one);
    bench->big[0] = 'c';
    set_directly(bench, "{l}big", bench->big);
    get_text(bench, "{l}big", bench->big);
    assert_string_equal(bench->asked_from, aside);

    set_directly(bench, "{l}big", "little");
    get_text(bench, "{l}big", "little");
    assert_string_equal(bench->asked_from, aside);
    get_text(bench, "{l}big", "little");
    assert_string_equal(bench->asked_from, main_one);
}

/* The reply is a large one that begins so. */
static void expect_big(int fd, char first)
{
    char head[64], *bytes = malloc(BIG + 2);
    assert_non_null(bytes);
    (void)snprintf(head, sizeof head, "$%zu\n", BIG);
    expect(fd, head);
    for (size_t got = 0; got < BIG + 2;) {
        ssize_t count = read(fd, bytes + got, BIG + 2 - got);
        assert_true(count > 0);
        got += (size_t)count;
    }
    assert_int_equal(bytes[0], first);
    free(bytes);
}

/* What reads behind a write that takes its time goes by another connection, and reads it. */
static void order_is_kept(struct bench *bench, int fd, const char *key)
{
    char line[128];
    ASSERT_SAYS(bench->client, bench->big, "GET %s", key);
    ASSERT_SAYS(bench->client, bench->big, "GET %s", key);
    bench->big[0] = 'z';
    (void)snprintf(line, sizeof line, "*3\n$3\nSET\n$%zu\n%s\n$%zu\n", strlen(key), key, BIG);
    say(fd, line);
    say(fd, bench->big);
    (void)snprintf(line, sizeof line, "\nGET %s\nPING\n", key);
    say(fd, line);
    bench->big[0] = 'b';
    expect(fd, "+OK\n");
    expect_big(fd, 'z');
    expect(fd, "+PONG\n");
}

/* In both protocols, with a null as each has it. */
static void answers_are_right(struct bench *bench)
{
    static const char *const keys[] = {"{l}two", "{l}three"};
    static const char *const nulls[] = {"$-1\n+PONG\n", "_\n+PONG\n"};
    int fds[2] = {rig_socket(bench->stratad), rig_socket(bench->stratad)};
    bench->big[0] = 'b';
    say(fds[1], "HELLO 3\n");
    expect_until(fds[1], "modules\r\n*0\r\n");
    for (unsigned i = 0; i < 2; i++) {
        char line[128];
        set_directly(bench, keys[i], bench->big);
        order_is_kept(bench, fds[i], keys[i]);
        freeReplyObject(redisCommand(bench->direct, "DEL %s", keys[i]));
        (void)snprintf(line, sizeof line, "GET %s\nPING\n", keys[i]);
        say(fds[i], line);
        expect(fds[i], nulls[i]);
        (void)close(fds[i]);
    }
}

static void before_redis(const char *const *args)
{
    redisContext *monitor = direct_client();
    struct bench bench = bench_open(rig_start(args), direct_client(), monitor);
    large_ones_go_aside(&bench);
    answers_are_right(&bench);
    bench_close(&bench);
}

static void large_answers_go_aside(void **state)
{
    static const char *const args[] = {"--workers", "1", "--l1-max-bytes", "1MiB", NULL};
    (void)state;
    before_redis(args);
}

static void without_l1_too(void **state)
{
    static const char *const args[] = {"--workers", "1", "--l1-enabled", "no", NULL};
    (void)state;
    before_redis(args);
}

static void before_a_cluster_too(void **state)
{
    static const char *const args[] = {"--l1-max-bytes", "1MiB", NULL};
    struct cluster_rig *rig = *state;
    unsigned owner = stratad_cluster_owner_of(rig->cluster, "{l}");
    struct bench bench =
        bench_open(stratad_cluster_start(rig, args), redis_cluster_connect(rig->cluster, owner),
                   redis_cluster_connect(rig->cluster, owner));
    large_ones_go_aside(&bench);
    answers_are_right(&bench);
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(large_answers_go_aside),
        cmocka_unit_test(without_l1_too),
    };
    const struct CMUnitTest clusters[] = {
        cmocka_unit_test_setup(before_a_cluster_too, cluster_rig_settle),
    };
    int failed = cmocka_run_group_tests(alone, rig_start_server, rig_stop_server);
    return failed + cmocka_run_group_tests(clusters, cluster_rig_start, cluster_rig_stop);
}
