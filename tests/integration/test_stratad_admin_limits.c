/* SPDX-License-Identifier: MIT
 *
 * Who asks stratad's administration badly, slowly or in crowds: what is answered, and that it hurts
 * nobody.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "integration/admin_rig.h"
#include "support/wait.h"

/* ---- words ---- */

static void bad_requests_are_refused(void **state)
{
    (void)state;
    struct admin_daemon daemon;
    admin_rig_start(&daemon, redis_server_url(rig_server));
    int port = daemon.port;
    assert_int_equal(admin_rig_status(port, "GET /stats HTTP/1.1\r\n\r\n"), 400);
    assert_int_equal(admin_rig_status(port, "GET /stats HTTP/1.0\r\n\r\n"), 400);
    assert_int_equal(admin_rig_status(port, "HEAD /livez HTTP/1.0\r\n\r\n"), 400);
    assert_int_equal(admin_rig_status(port, "GET /stats HTTP/1.0\r\nHost: localhost\r\n\r\n"), 200);
    assert_int_equal(admin_rig_status(port, "GET /stats HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
                     403);
    assert_int_equal(admin_rig_status(port, "HEAD /stats HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
                     403);
    assert_int_equal(admin_rig_status(port, "GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n"), 404);
    assert_int_equal(admin_rig_status(port, "POST /stats HTTP/1.1\r\nHost: localhost\r\n"
                                            "Content-Length: 3\r\n\r\nabc"),
                     405);
    assert_int_equal(admin_rig_status(port, "DELETE /stats HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                     405);
    /* What is no HTTP is answered with an error, or with nothing. */
    char *answer = admin_rig_exchange(port, "*1\r\n$4\r\nPING\r\n\r\n");
    assert_int_not_equal(admin_rig_status_of(answer), 200);
    free(answer);
    admin_rig_assert_page_has(port, "/livez", 200, "ok");
    stratad_process_stop(&daemon.stratad);
}

/* Large ones: a value, the path, many small headers. The first 16 KiB decide. */
static void headers_have_a_limit(void **state)
{
    (void)state;
    static char huge[1 << 20];
    static const char *const parts[] = {"x", "X: y\r\n"};
    struct admin_daemon daemon;
    admin_rig_start(&daemon, redis_server_url(rig_server));
    for (size_t i = 0; i < 3; i++) {
        const char *part = parts[i == 2];
        size_t len = (size_t)snprintf(huge, sizeof huge, "GET /stats%s",
                                      i == 1 ? "?" : " HTTP/1.1\r\nHost: localhost\r\nX: ");
        if (i == 2)
            len += (size_t)snprintf(huge + len, sizeof huge - len, "y\r\n");
        for (; len + strlen(part) < sizeof huge; len += strlen(part))
            memcpy(huge + len, part, strlen(part));
        int fd = admin_rig_ask(daemon.port, huge, len);
        assert_true(fd >= 0);
        char *answer = admin_rig_read_all(fd);
        assert_int_not_equal(admin_rig_status_of(answer), 200);
        free(answer);
    }
    admin_rig_assert_page_has(daemon.port, "/livez", 200, "ok");
    stratad_process_stop(&daemon.stratad);
}

/* The value of a header of an answer; -1: it has none. */
static long header_of(const char *answer, const char *name)
{
    const char *at = strstr(answer, name);
    return at != NULL ? strtol(at + strlen(name), NULL, 10) : -1;
}

static void head_is_answered_as_get_without_a_body(void **state)
{
    (void)state;
    static const char *const paths[] = {"/livez", "/readyz", "/health", "/metrics",
                                        "/stats", "/config", "/none"};
    struct admin_daemon daemon;
    admin_rig_start(&daemon, redis_server_url(rig_server));
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char request[128];
        (void)snprintf(request, sizeof request, "HEAD %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                       paths[i]);
        char *answer = admin_rig_exchange(daemon.port, request);
        int expected = strcmp(paths[i], "/none") == 0 ? 404 : 200;
        char *body = admin_rig_page(daemon.port, paths[i], expected);
        assert_int_equal(admin_rig_status_of(answer), expected);
        assert_true(header_of(answer, "\r\nContent-Length: ") > 0);
        assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
        if (strcmp(paths[i], "/metrics") != 0 && strcmp(paths[i], "/stats") != 0)
            assert_int_equal(header_of(answer, "\r\nContent-Length: "), strlen(body));
        free(body);
        free(answer);
    }
    /* A body that is announced is not waited for, and nothing is changed. */
    assert_int_equal(admin_rig_status(daemon.port, "HEAD /config HTTP/1.1\r\nHost: localhost\r\n"
                                                   "Content-Length: 14\r\n\r\n{\"l1_ttl\": 60}"),
                     200);
    admin_rig_assert_page_has(daemon.port, "/config", 200, "\"l1_ttl\":{\"value\":300,");
    stratad_process_stop(&daemon.stratad);
}

/* ---- time ---- */

struct visit {
    int dawdler;     /* before one stratad */
    uint64_t due_ns; /* its next byte */
    int latecomer;   /* before the other, behind a crowd */
    bool is_out, is_answered;
};

/* A byte now and then, so that it is never silent for long. */
static bool is_shut_out(struct visit *visit)
{
    char byte;
    uint64_t now_ns = sta_clock_now_ns();
    if (now_ns >= visit->due_ns) {
        visit->due_ns = now_ns + 500 * STA_NS_MS;
        if (send(visit->dawdler, "x", 1, MSG_NOSIGNAL) < 0)
            return true;
    }
    return recv(visit->dawdler, &byte, 1, MSG_DONTWAIT) == 0;
}

static bool is_answered(const struct visit *visit)
{
    char answer[16] = "";
    return recv(visit->latecomer, answer, sizeof answer - 1, MSG_DONTWAIT) > 0 &&
           admin_rig_status_of(answer) == 200;
}

static bool are_both_over(void *arg)
{
    struct visit *visit = arg;
    visit->is_out = visit->is_out || is_shut_out(visit);
    visit->is_answered = visit->is_answered || is_answered(visit);
    return visit->is_out && visit->is_answered;
}

/* At the same time, before a stratad each: what is waited for is theirs. */
static void who_dawdles_or_says_nothing_is_sent_away(void **state)
{
    (void)state;
    static const char begin[] = "GET /stats HTTP/1.1\r\nHost: localhost\r\nX: ";
    static const char whole[] = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct admin_daemon slow, full;
    int fds[40]; /* more than are let in */
    admin_rig_start(&slow, redis_server_url(rig_server));
    admin_rig_start(&full, redis_server_url(rig_server));
    for (size_t i = 0; i < 40; i++)
        fds[i] = admin_rig_ask(full.port, "GET", 3);
    struct visit visit = {.dawdler = admin_rig_ask(slow.port, begin, sizeof begin - 1),
                          .latecomer = admin_rig_ask(full.port, whole, sizeof whole - 1)};
    assert_true(visit.dawdler >= 0 && visit.latecomer >= 0);
    /* Clients of the cache do not notice. */
    redisContext *client = rig_client(full.stratad);
    ASSERT_SAYS(client, "PONG", "PING");
    redisFree(client);
    assert_true(wait_until(are_both_over, &visit, 60000));
    (void)close(visit.dawdler);
    (void)close(visit.latecomer);
    for (size_t i = 0; i < 40; i++)
        (void)close(fds[i]);
    admin_rig_assert_page_has(slow.port, "/livez", 200, "ok");
    stratad_process_stop(&full.stratad);
    stratad_process_stop(&slow.stratad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(headers_have_a_limit),
        cmocka_unit_test(head_is_answered_as_get_without_a_body),
        cmocka_unit_test(who_dawdles_or_says_nothing_is_sent_away),
    };
    return cmocka_run_group_tests(tests, rig_start_server, rig_stop_server);
}
