/* SPDX-License-Identifier: MIT
 *
 * Every allocation of the daemon fails once: while it is created, while a client comes in, while
 * its commands are under way. It may lose that client or give it an error; it may not crash, leak,
 * give a wrong reply, or be the worse for it afterwards. The daemon lives inside the test here,
 * with one worker whose loop runs on the test's thread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "daemon/acceptor.h"
#include "daemon/stratad.h"
#include "daemon/worker.h"
#include "strata/status.h"
#include "support/fail_alloc.h"
#include "support/redis_cluster.h"
#include "support/redis_server.h"

#define PATIENCE_NS (20 * STA_NS_SEC)

/* Reads and writes of all kinds, on all lanes, in one pipeline. */
static const char commands[] = "DEL a b h\r\n"
                               "SET a 1\r\n"
                               "GET a\r\n"
                               "GET b\r\n"
                               "MGET a b a\r\n"
                               "MSET a 2 b 3 c 4 d 5\r\n"
                               "MGET a b c d\r\n"
                               "HSET h f v\r\n"
                               "HGETALL h\r\n"
                               "CLIENT SETNAME me\r\n"
                               "CLIENT GETNAME\r\n"
                               "HELLO 3 SETNAME you\r\n"
                               "HGETALL h\r\n"
                               "STRATA STATS\r\n"
                               "FLUSHALL\r\n"
                               "PING done\r\n";
static const char farewell[] = "$4\r\ndone\r\n";

struct rig {
    struct sta_stratad *stratad;
    struct sta_timer poll;
    int fd; /* the client's end */
    uint64_t give_up_ns;
    char got[65536];
    size_t got_len;
    bool closed;
};

static struct redis_server *server;
static char url[256];
static char listen_address[128];
static struct redis_cluster *cluster; /* in the second group, instead of the server */
static const char *seeds[1];
static const char *const listen_list[] = {listen_address};

static int start_server(void **state)
{
    (void)state;
    if (redis_server_start(&server, NULL) != 0)
        return -1;
    (void)snprintf(url, sizeof url, "unix://%s", redis_server_socket(server));
    (void)snprintf(listen_address, sizeof listen_address, "unix:%s.stratad",
                   redis_server_socket(server));
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    redis_server_stop(&server);
    return 0;
}

static int start_cluster(void **state)
{
    static const struct redis_cluster_config config = {.no_replicas = true};
    (void)state;
    if (redis_cluster_start(&cluster, &config) != 0)
        return -1;
    seeds[0] = redis_cluster_address(cluster, 0);
    (void)snprintf(url, sizeof url, "redis://%s", seeds[0]);
    (void)snprintf(listen_address, sizeof listen_address, "unix:%s.stratad",
                   redis_cluster_socket(cluster, 0));
    return 0;
}

static int stop_cluster(void **state)
{
    (void)state;
    redis_cluster_stop(&cluster);
    return 0;
}

static struct sta_stratad_options options(void)
{
    return (struct sta_stratad_options){
        .listen = listen_list,
        .listen_count = 1,
        .workers = 1,
        .clients_max = 10,
        .user = "default",
        .drain_timeout_ms = 1000,
        .query_limit = (uint64_t)1 << 20,
        .output_limit = (uint64_t)1 << 20,
        .pipeline_limit = 64,
        .cache = {.l1_enabled = STRATA_ON,
                  .l1_max_bytes = (uint64_t)16 << 20,
                  .l1_max_size = STRATA_UNLIMITED,
                  .l1_ttl_ms = 60000,
                  .redis_url = url,
                  .cluster_enabled = cluster != NULL ? STRATA_ON : STRATA_OFF,
                  .cluster_nodes = seeds,
                  .cluster_node_count = cluster != NULL ? 1 : 0,
                  .socket_timeout_ms = 5000},
    };
}

static bool has_all(const struct rig *rig)
{
    return rig->got_len >= sizeof farewell - 1 &&
           memcmp(rig->got + rig->got_len - (sizeof farewell - 1), farewell, sizeof farewell - 1) ==
               0;
}

static void on_poll(struct sta_timer *timer)
{
    struct rig *rig = STA_CONTAINER(timer, struct rig, poll);
    struct sta_loop *loop = rig->stratad->workers[0]->loop;
    ssize_t count;
    while ((count = recv(rig->fd, rig->got + rig->got_len, sizeof rig->got - rig->got_len,
                         MSG_DONTWAIT)) > 0)
        rig->got_len += (size_t)count;
    rig->closed = count == 0;
    if (rig->closed || has_all(rig) || sta_clock_now_ns() > rig->give_up_ns)
        sta_loop_stop(loop);
    else
        sta_timer_start(loop, timer, sta_loop_now_ns(loop) + STA_NS_MS);
}

/* Sends the commands as a new client, and runs the loop until all is answered or it is closed. */
static void run_commands(struct rig *rig, const char *text)
{
    struct sta_worker *worker = rig->stratad->workers[0];
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    rig->fd = pair[0];
    rig->got_len = 0;
    rig->closed = false;
    rig->give_up_ns = sta_clock_now_ns() + PATIENCE_NS;
    assert_int_equal(send(rig->fd, text, strlen(text), 0), strlen(text));
    sta_worker_adopt(worker, pair[1]);
    sta_timer_init(&rig->poll, on_poll);
    sta_timer_start(worker->loop, &rig->poll, 0);
    sta_loop_run(worker->loop);
    sta_timer_stop(worker->loop, &rig->poll);
    (void)close(rig->fd);
    assert_true(rig->closed || has_all(rig)); /* no hang */
}

static void run_client(struct rig *rig)
{
    run_commands(rig, commands);
}

/* As far as it goes, what came is right: the first replies, or an error in place of one. */
static void check_replies(const struct rig *rig)
{
    static const char expected[] = "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n1\r\n";
    const char *mget = memmem(rig->got, rig->got_len, "*3\r\n", 4);
    if (rig->closed || memmem(rig->got, rig->got_len, "strata: ", 8) != NULL)
        return;
    assert_non_null(mget);
    assert_memory_equal(mget, expected, sizeof expected - 1);
}

/* One run with the n-th allocation failing; false where it needed fewer. */
static bool run_with_failure_at(uint64_t n)
{
    static struct rig rig;
    const struct sta_stratad_options wanted = options();
    struct sta_log log;
    struct strata_error error = {0};
    sta_log_init(&log, NULL, NULL, STRATA_LOG_ERROR);
    fail_alloc_at(n);
    int status = sta_stratad_create(&rig.stratad, &wanted, &log, &error);
    if (status < 0) {
        assert_true(fail_alloc_end());
        assert_true(error.text[0] != '\0');
        return true;
    }
    run_client(&rig);
    check_replies(&rig);
    bool failed = fail_alloc_end();
    run_client(&rig); /* nothing is left of it */
    while (memmem(rig.got, rig.got_len, "UNAVAILABLE strata", 18) != NULL ||
           memmem(rig.got, rig.got_len, "PARTIAL strata", 14) != NULL)
        run_client(&rig); /* but a lane may have to connect anew */
    assert_true(has_all(&rig));
    if (memmem(rig.got, rig.got_len, "strata: ", 8) != NULL)
        fail_msg("allocation %llu: %.*s", (unsigned long long)n, (int)rig.got_len, rig.got);
    check_replies(&rig);
    sta_stratad_destroy(&rig.stratad);
    return failed;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    uint64_t n = 1;
    while (run_with_failure_at(n))
        n++;
    assert_true(n > 50);
}

/* ---- before a cluster: what a write says of itself ---- */

/* What follows `begins` in the answer as a number; -1: nothing does. */
static long number_behind(struct rig *rig, const char *begins)
{
    rig->got[rig->got_len < sizeof rig->got ? rig->got_len : sizeof rig->got - 1] = '\0';
    const char *at = strstr(rig->got, begins);
    return at != NULL ? strtol(at + strlen(begins), NULL, 10) : -1;
}

/* Four keys in four slots: of these parts so many were carried out as the answer says, unless it
 * says that nobody knows. False where it needed fewer allocations. */
static bool split_write_with_failure_at(struct rig *rig, uint64_t n)
{
    long parts = 0;
    do
        run_commands(rig, "DEL a b c d\r\nPING done\r\n");
    while (rig->got[0] != ':'); /* a lane may have to connect anew */
    fail_alloc_at(n);
    run_commands(rig, "MSET a 2 b 3 c 4 d 5\r\nPING done\r\n");
    bool failed = fail_alloc_end();
    bool unknown = rig->closed || number_behind(rig, "-LOST strata:") >= 0;
    if (rig->got[0] == '+')
        parts = 4;
    else if (number_behind(rig, "-PARTIAL strata: ") > 0)
        parts = number_behind(rig, "-PARTIAL strata: ");
    if (unknown)
        return failed;
    char said[200];
    (void)snprintf(said, sizeof said, "%.*s", (int)strcspn(rig->got, "\r"), rig->got);
    run_commands(rig, "EXISTS a b c d\r\nPING done\r\n");
    if (number_behind(rig, ":") != parts)
        fail_msg("allocation %llu: %ld were carried out: %s", (unsigned long long)n,
                 number_behind(rig, ":"), said);
    return failed;
}

static void no_write_is_called_undone_that_was_done(void **state)
{
    static struct rig rig;
    const struct sta_stratad_options wanted = options();
    struct sta_log log;
    uint64_t n = 1;
    (void)state;
    sta_log_init(&log, NULL, NULL, STRATA_LOG_ERROR);
    assert_int_equal(sta_stratad_create(&rig.stratad, &wanted, &log, NULL), STRATA_OK);
    while (split_write_with_failure_at(&rig, n))
        n++;
    assert_true(n > 10);
    sta_stratad_destroy(&rig.stratad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
    const struct CMUnitTest cluster_tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(no_write_is_called_undone_that_was_done),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server) +
           cmocka_run_group_tests_name("before a cluster", cluster_tests, start_cluster,
                                       stop_cluster);
}
