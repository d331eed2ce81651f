/* SPDX-License-Identifier: MIT
 *
 * The fault proxy does to connections what it was told, and nothing else. The test plays both ends.
 * That nothing comes is only ever looked at after something else has passed the proxy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "support/fault_proxy.h"
#include "support/wait.h"

#define PATIENCE_MS 20000

struct world {
    int listener;
    char target[32];
    struct fault_proxy *proxy;
    int client;
    int server;
};

static int tcp_socket(void)
{
    const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static int listen_anywhere(char *text, size_t cap)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = tcp_socket();
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(text, cap, "127.0.0.1:%d", ntohs(address.sin_port));
    return fd;
}

/* A connection to the proxy, or -1 with errno. */
static int try_connect(const struct world *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)fault_proxy_port(world->proxy))};
    int fd = tcp_socket();
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int reason = errno;
    (void)close(fd);
    errno = reason;
    return -1;
}

static void connect_both(struct world *world)
{
    world->client = try_connect(world);
    assert_true(world->client >= 0);
    world->server = accept4(world->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(world->server >= 0);
}

static void init(struct world *world)
{
    *world = (struct world){.client = -1, .server = -1};
    world->listener = listen_anywhere(world->target, sizeof world->target);
    world->proxy = fault_proxy_start(NULL, world->target);
    connect_both(world);
}

static void close_both(struct world *world)
{
    (void)close(world->client);
    (void)close(world->server);
}

static void fini(struct world *world)
{
    close_both(world);
    fault_proxy_stop(&world->proxy);
    assert_null(world->proxy);
    (void)close(world->listener);
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void assert_hears(int fd, const char *expected)
{
    char text[64] = "";
    assert_int_equal(recv(fd, text, strlen(expected), MSG_WAITALL), strlen(expected));
    assert_string_equal(text, expected);
}

static void assert_hears_nothing(int fd)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&entry, 1, 0), 0);
}

static void assert_ends(int fd)
{
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

static void assert_is_reset(int fd)
{
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool has_counted(void *arg)
{
    struct world *world = arg;
    struct fault_statistics statistics = fault_proxy_statistics(world->proxy);
    return statistics.up_bytes == 8 && statistics.down_bytes == 15;
}

static void bytes_pass_in_both_directions_and_are_counted(void **state)
{
    (void)state;
    struct world world;
    init(&world);
    say(world.client, "question");
    assert_hears(world.server, "question");
    say(world.server, "a longer answer");
    assert_hears(world.client, "a longer answer");
    assert_true(wait_until(has_counted, &world, PATIENCE_MS));
    struct fault_statistics statistics = fault_proxy_statistics(world.proxy);
    assert_int_equal(statistics.accepted, 1);
    assert_int_equal(statistics.open, 1);
    fini(&world);
}

static bool has_no_link(void *arg)
{
    struct world *world = arg;
    return fault_proxy_statistics(world->proxy).open == 0;
}

static void an_end_is_passed_on_behind_the_last_byte(void **state)
{
    (void)state;
    struct world world;
    init(&world);
    fault_proxy_set_way(world.proxy, FAULT_UP, (struct fault_way){.delay_ms = 30});
    say(world.client, "last");
    assert_int_equal(shutdown(world.client, SHUT_WR), 0);
    assert_hears(world.server, "last");
    assert_ends(world.server);
    say(world.server, "still");
    assert_hears(world.client, "still");
    (void)shutdown(world.server, SHUT_WR);
    assert_ends(world.client);
    assert_true(wait_until(has_no_link, &world, PATIENCE_MS));
    fini(&world);
}

static void a_delay_in_one_direction_leaves_the_other_alone(void **state)
{
    (void)state;
    struct world world;
    init(&world);
    fault_proxy_set_way(world.proxy, FAULT_DOWN, (struct fault_way){.delay_ms = 100});
    int64_t start = now_ms();
    say(world.server, "late");
    say(world.client, "early");
    assert_hears(world.server, "early");
    assert_hears(world.client, "late");
    assert_true(now_ms() - start >= 99);
    fini(&world);
}

static void a_limited_rate_takes_its_time(void **state)
{
    (void)state;
    struct world world;
    static char block[20000];
    init(&world);
    fault_proxy_set_way(world.proxy, FAULT_UP, (struct fault_way){.bytes_per_second = 200000});
    int64_t start = now_ms();
    assert_int_equal(send(world.client, block, sizeof block, MSG_NOSIGNAL), sizeof block);
    assert_int_equal(recv(world.server, block, sizeof block, MSG_WAITALL), sizeof block);
    assert_true(now_ms() - start >= 79); /* five sends with 20 ms between them */
    fini(&world);
}

static void pieces_arrive_whole_after_all(void **state)
{
    (void)state;
    struct world world;
    init(&world);
    fault_proxy_set_way(world.proxy, FAULT_UP, (struct fault_way){.chunk_bytes = 1, .gap_us = 100});
    say(world.client, "one by one by one by one by one");
    assert_hears(world.server, "one by one by one by one by one");
    fini(&world);
}

static void what_is_frozen_comes_when_it_thaws(void **state)
{
    (void)state;
    struct world world;
    init(&world);
    fault_proxy_set_way(world.proxy, FAULT_DOWN, (struct fault_way){.freeze = true});
    say(world.server, "frozen");
    say(world.client, "passes");
    assert_hears(world.server, "passes");
    assert_hears_nothing(world.client);
    fault_proxy_heal(world.proxy);
    assert_hears(world.client, "frozen");
    fini(&world);
}

static bool has_dropped(void *arg)
{
    struct world *world = arg;
    return fault_proxy_statistics(world->proxy).dropped_bytes == 4;
}

static void what_is_dropped_never_comes_and_nobody_is_told(void **state)
{
    (void)state;
    struct world world;
    init(&world);
    fault_proxy_set_way(world.proxy, FAULT_UP, (struct fault_way){.drop = true});
    say(world.client, "gone");
    assert_true(wait_until(has_dropped, &world, PATIENCE_MS));
    (void)shutdown(world.client, SHUT_WR);
    say(world.server, "passes");
    assert_hears(world.client, "passes");
    assert_hears_nothing(world.server); /* no end either */
    fini(&world);
}

static void one_byte_is_not_what_it_was(void **state)
{
    (void)state;
    struct world world;
    init(&world);
    fault_proxy_set_way(world.proxy, FAULT_DOWN, (struct fault_way){.corrupt_at = 2});
    say(world.server, "aaa");
    assert_hears(world.client, "a\xe1"
                               "a");
    say(world.server, "aaa");
    assert_hears(world.client, "aaa");
    fini(&world);
}

static bool has_broken(void *arg)
{
    const struct world *world = arg;
    return fault_proxy_statistics(world->proxy).broken == 1;
}

static void a_connection_breaks_before_a_byte(void **state)
{
    (void)state;
    struct world world;
    init(&world);
    fault_proxy_set_way(world.proxy, FAULT_DOWN,
                        (struct fault_way){.break_at = 6, .break_silently = true});
    say(world.server, "four");
    assert_hears(world.client, "four");
    assert_int_equal(fault_proxy_statistics(world.proxy).broken, 0);
    say(world.server, "more");
    assert_hears(world.client, "m");
    assert_true(wait_until(has_broken, &world, PATIENCE_MS));
    say(world.client, "lost");
    assert_hears_nothing(world.server);
    assert_hears_nothing(world.client);
    close_both(&world);
    connect_both(&world); /* once */
    say(world.server, "passes again");
    assert_hears(world.client, "passes again");
    fault_proxy_set_way(world.proxy, FAULT_UP, (struct fault_way){.break_at = 1});
    say(world.client, "x");
    assert_is_reset(world.client);
    fini(&world);
}

static void a_cut_ends_both_sides(void **state)
{
    (void)state;
    struct world world;
    init(&world);
    fault_proxy_cut(world.proxy);
    assert_int_equal(fault_proxy_statistics(world.proxy).open, 0);
    assert_ends(world.client);
    assert_ends(world.server);
    close_both(&world);
    connect_both(&world); /* a new one is served */
    say(world.client, "again");
    assert_hears(world.server, "again");
    fini(&world);
}

static void a_reset_is_one(void **state)
{
    (void)state;
    struct world world;
    init(&world);
    fault_proxy_reset(world.proxy);
    assert_is_reset(world.client);
    assert_is_reset(world.server);
    fini(&world);
}

static void an_abandoned_connection_stays_open_and_silent(void **state)
{
    (void)state;
    struct world world;
    init(&world);
    int client = world.client;
    int server = world.server;
    fault_proxy_abandon(world.proxy);
    say(client, "into the void");
    say(server, "into the void");
    connect_both(&world);
    say(world.client, "heard");
    assert_hears(world.server, "heard");
    say(world.server, "heard");
    assert_hears(world.client, "heard");
    assert_hears_nothing(client);
    assert_hears_nothing(server);
    assert_int_equal(fault_proxy_statistics(world.proxy).open, 2);
    (void)close(client);
    (void)close(server);
    fini(&world);
}

static void arrivals_are_refused_hung_up_on_or_met_with_silence(void **state)
{
    (void)state;
    struct world world;
    init(&world);
    fault_proxy_set_arrival(world.proxy, FAULT_REFUSE);
    assert_int_equal(try_connect(&world), -1);
    assert_int_equal(errno, ECONNREFUSED);
    fault_proxy_set_arrival(world.proxy, FAULT_HANG_UP);
    int client = try_connect(&world);
    assert_true(client >= 0);
    assert_ends(client);
    (void)close(client);
    fault_proxy_set_arrival(world.proxy, FAULT_SILENT);
    client = try_connect(&world);
    assert_true(client >= 0);
    say(client, "anybody?");
    say(world.client, "the one before lives");
    assert_hears(world.server, "the one before lives");
    assert_hears_nothing(client);
    fault_proxy_heal(world.proxy);
    close_both(&world);
    connect_both(&world);
    say(world.client, "hello");
    assert_hears(world.server, "hello");
    (void)close(client);
    fini(&world);
}

static void the_target_may_change_and_may_be_gone(void **state)
{
    (void)state;
    struct world world;
    char other[32];
    init(&world);
    int listener = listen_anywhere(other, sizeof other);
    close_both(&world);
    fault_proxy_set_target(world.proxy, other);
    world.client = try_connect(&world);
    world.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    say(world.client, "elsewhere");
    assert_hears(world.server, "elsewhere");
    (void)close(listener);
    int client = try_connect(&world);
    assert_true(client >= 0); /* whoever listens at the proxy is there; the target is not */
    char byte;
    assert_true(recv(client, &byte, 1, 0) <= 0);
    (void)close(client);
    fault_proxy_set_target(world.proxy, NULL);
    client = try_connect(&world);
    assert_true(client >= 0);
    assert_ends(client);
    (void)close(client);
    fini(&world);
}

static void unix_sockets_are_as_good(void **state)
{
    (void)state;
    struct world world;
    char folder[] = "/tmp/strata-proxy-XXXXXX";
    char listen[64];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(folder));
    (void)snprintf(listen, sizeof listen, "unix:%s/proxy.sock", folder);
    world.listener = listen_anywhere(world.target, sizeof world.target);
    world.proxy = fault_proxy_start(listen, world.target);
    assert_int_equal(fault_proxy_port(world.proxy), 0);
    assert_string_equal(fault_proxy_address(world.proxy), listen);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", listen + strlen("unix:"));
    world.client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(world.client, (struct sockaddr *)&address, sizeof address), 0);
    world.server = accept4(world.listener, NULL, NULL, SOCK_CLOEXEC);
    say(world.client, "through a file");
    assert_hears(world.server, "through a file");
    fini(&world);
    assert_int_equal(rmdir(folder), 0); /* the socket's file is gone with the proxy */
}

static void megabytes_pass_unharmed(void **state)
{
    (void)state;
    struct world world;
    enum { TOTAL = 4 << 20 };
    unsigned char *sent = malloc(TOTAL);
    unsigned char *heard = malloc(TOTAL);
    size_t out = 0;
    size_t in = 0;
    init(&world);
    for (size_t i = 0; i < TOTAL; i++)
        sent[i] = (unsigned char)(i * 2654435761u >> 13);
    fault_proxy_set_way(world.proxy, FAULT_UP,
                        (struct fault_way){.chunk_bytes = 5000, .chunk_random = true});
    while (in < TOTAL) {
        ssize_t len = out < TOTAL ? send(world.client, sent + out, TOTAL - out, MSG_DONTWAIT) : 0;
        out += len > 0 ? (size_t)len : 0;
        len = recv(world.server, heard + in, TOTAL - in, out < TOTAL ? MSG_DONTWAIT : 0);
        in += len > 0 ? (size_t)len : 0;
        assert_true(len != 0);
    }
    assert_memory_equal(sent, heard, TOTAL);
    free(sent);
    free(heard);
    fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_in_both_directions_and_are_counted),
        cmocka_unit_test(an_end_is_passed_on_behind_the_last_byte),
        cmocka_unit_test(a_delay_in_one_direction_leaves_the_other_alone),
        cmocka_unit_test(a_limited_rate_takes_its_time),
        cmocka_unit_test(pieces_arrive_whole_after_all),
        cmocka_unit_test(what_is_frozen_comes_when_it_thaws),
        cmocka_unit_test(what_is_dropped_never_comes_and_nobody_is_told),
        cmocka_unit_test(one_byte_is_not_what_it_was),
        cmocka_unit_test(a_connection_breaks_before_a_byte),
        cmocka_unit_test(a_cut_ends_both_sides),
        cmocka_unit_test(a_reset_is_one),
        cmocka_unit_test(an_abandoned_connection_stays_open_and_silent),
        cmocka_unit_test(arrivals_are_refused_hung_up_on_or_met_with_silence),
        cmocka_unit_test(the_target_may_change_and_may_be_gone),
        cmocka_unit_test(unix_sockets_are_as_good),
        cmocka_unit_test(megabytes_pass_unharmed),
    };
    return cmocka_run_group_tests_name("fault_proxy", tests, NULL, NULL);
}
