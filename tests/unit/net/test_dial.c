/* SPDX-License-Identifier: MIT
 *
 * Connecting over unix and TCP listeners on loopback: success, refusal, deadlines, giving up.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "end.h"
#include "strata/status.h"

/* ---- connecting ---- */

struct listener {
    int fd;
    char folder[64];
    struct sta_endpoint endpoint;
};

static void listen_unix(struct listener *listener, int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(listener->folder, sizeof listener->folder, "/tmp/strata-stream-XXXXXX");
    assert_non_null(mkdtemp(listener->folder));
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", listener->folder);
    listener->endpoint = (struct sta_endpoint){.kind = STA_ENDPOINT_UNIX};
    (void)snprintf(listener->endpoint.address, sizeof listener->endpoint.address, "%s",
                   address.sun_path);
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener->fd, backlog), 0);
}

static void listen_tcp(struct listener *listener)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    listener->folder[0] = 0;
    listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener->fd, 8), 0);
    assert_int_equal(getsockname(listener->fd, (struct sockaddr *)&address, &len), 0);
    listener->endpoint = (struct sta_endpoint){
        .kind = STA_ENDPOINT_TCP, .port = ntohs(address.sin_port), .address = "127.0.0.1"};
}

static void listener_close(struct listener *listener)
{
    close(listener->fd);
    if (listener->folder[0] == 0)
        return;
    (void)unlink(listener->endpoint.address);
    (void)rmdir(listener->folder);
}

static void end_connect(struct end *end, const struct sta_endpoint *endpoint, uint64_t timeout_ns)
{
    uint64_t deadline_ns = sta_clock_after(sta_clock_now_ns(), timeout_ns);
    assert_int_equal(sta_stream_connect(&end->stream, end->loop, endpoint, deadline_ns, &end_roomy,
                                        &end_events, end),
                     STRATA_OK);
    assert_int_equal(end->opened, 0);
}

static void connect_and_talk(const struct listener *listener, const char *address)
{
    struct end end;
    struct sta_endpoint endpoint = listener->endpoint;
    if (address != NULL)
        (void)snprintf(endpoint.address, sizeof endpoint.address, "%s", address);
    end_init(&end);
    end_connect(&end, &endpoint, PATIENCE_NS);
    end_append_pattern(&end, 0, 10); /* before it is open: leaves when it is */
    end_run_until(&end, end_has_opened);
    assert_int_equal(end.status, STRATA_OK);
    end.peer = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK);
    assert_true(end.peer >= 0);
    end.wanted = 10;
    end_run_until(&end, end_peer_read);
    end_assert_pattern(sta_buffer_bytes(&end.got), 10);
    end.wanted = 15;
    end_peer_write(&end, "hello", 5);
    end_run_until(&end, end_got_wanted);
    end_fini(&end);
}

static void a_stream_connects_to_a_unix_socket(void **state)
{
    (void)state;
    struct listener listener;
    listen_unix(&listener, 8);
    connect_and_talk(&listener, NULL);
    listener_close(&listener);
}

static void a_stream_connects_to_a_tcp_address(void **state)
{
    (void)state;
    struct listener listener;
    listen_tcp(&listener);
    connect_and_talk(&listener, NULL);
    listener_close(&listener);
}

/* Where localhost is ::1 first, nobody listens there and the second address is taken. */
static void a_stream_connects_to_a_host_name(void **state)
{
    (void)state;
    struct listener listener;
    listen_tcp(&listener);
    connect_and_talk(&listener, "localhost");
    listener_close(&listener);
}

static void assert_connect_fails(const struct sta_endpoint *endpoint, uint64_t timeout_ns,
                                 int status)
{
    struct end end;
    end_init(&end);
    end_connect(&end, endpoint, timeout_ns);
    end_run_until(&end, end_has_opened);
    assert_int_equal(end.status, status);
    assert_true(strlen(end.reason) > 0);
    end_run_some_ticks(&end);
    assert_int_equal(end.opened, 1);
    assert_int_equal(end.closed, 0);
    end_fini(&end);
}

static void a_refused_connect_is_unavailable(void **state)
{
    (void)state;
    struct listener listener;
    listen_tcp(&listener);
    listener_close(&listener);
    assert_connect_fails(&listener.endpoint, PATIENCE_NS, STRATA_ERR_UNAVAILABLE);
    (void)snprintf(listener.endpoint.address, sizeof listener.endpoint.address, "localhost");
    assert_connect_fails(&listener.endpoint, PATIENCE_NS, STRATA_ERR_UNAVAILABLE);
    listen_unix(&listener, 8);
    listener_close(&listener);
    assert_connect_fails(&listener.endpoint, PATIENCE_NS, STRATA_ERR_UNAVAILABLE);
}

static void a_path_that_is_too_long_is_unavailable(void **state)
{
    (void)state;
    struct sta_endpoint endpoint = {.kind = STA_ENDPOINT_UNIX};
    memset(endpoint.address, 'a', 108);
    assert_connect_fails(&endpoint, PATIENCE_NS, STRATA_ERR_UNAVAILABLE);
}

/* Connections that nobody accepts fill a backlog of n + 1. */
static unsigned fill_backlog(const struct listener *listener, int fds[], unsigned cap)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    unsigned count = 0;
    memcpy(address.sun_path, listener->endpoint.address, sizeof address.sun_path);
    while (count < cap) {
        fds[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(fds[count], (struct sockaddr *)&address, sizeof address) != 0) {
            assert_int_equal(errno, EAGAIN);
            close(fds[count]);
            return count;
        }
        count++;
    }
    fail();
    return 0;
}

static void a_server_that_does_not_accept_is_given_up_at_the_deadline(void **state)
{
    (void)state;
    int fds[8];
    struct listener listener;
    listen_unix(&listener, 1);
    unsigned count = fill_backlog(&listener, fds, 8);
    uint64_t began_ns = sta_clock_now_ns();
    assert_connect_fails(&listener.endpoint, 50 * STA_NS_MS, STRATA_ERR_TIMEOUT);
    assert_true(sta_clock_now_ns() - began_ns >= 50 * STA_NS_MS);
    while (count > 0)
        close(fds[--count]);
    listener_close(&listener);
}

static void a_server_that_accepts_late_is_still_reached(void **state)
{
    (void)state;
    int fds[8];
    struct listener listener;
    struct end end;
    listen_unix(&listener, 1);
    unsigned count = fill_backlog(&listener, fds, 8);
    end_init(&end);
    end_connect(&end, &listener.endpoint, PATIENCE_NS);
    end_run_some_ticks(&end);
    assert_int_equal(end.opened, 0);
    for (unsigned i = 0; i < count; i++)
        close(accept(listener.fd, NULL, NULL));
    end_run_until(&end, end_has_opened);
    assert_int_equal(end.status, STRATA_OK);
    end_fini(&end);
    while (count > 0)
        close(fds[--count]);
    listener_close(&listener);
}

/* A listener whose queue is full drops what knocks: a connect then hangs, as in a black hole. */
static void a_tcp_connect_that_hangs_is_given_up_at_the_deadline(void **state)
{
    (void)state;
    struct listener listener;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fds[4];
    listen_tcp(&listener);
    assert_int_equal(listen(listener.fd, 0), 0);
    address.sin_port = htons(listener.endpoint.port);
    for (unsigned i = 0; i < 4; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fds[i], (struct sockaddr *)&address, sizeof address);
    }
    uint64_t began_ns = sta_clock_now_ns();
    assert_connect_fails(&listener.endpoint, 50 * STA_NS_MS, STRATA_ERR_TIMEOUT);
    assert_true(sta_clock_now_ns() - began_ns >= 50 * STA_NS_MS);
    assert_true(sta_clock_now_ns() - began_ns < 5 * STA_NS_SEC); /* the kernel would take 10 */
    for (unsigned i = 0; i < 4; i++)
        close(fds[i]);
    listener_close(&listener);
}

static void closing_while_connecting_calls_nothing_back(void **state)
{
    (void)state;
    struct listener listener;
    listen_tcp(&listener);
    for (unsigned named = 0; named <= 1; named++) {
        struct end end;
        end_init(&end);
        if (named)
            (void)snprintf(listener.endpoint.address, sizeof listener.endpoint.address,
                           "localhost");
        end_connect(&end, &listener.endpoint, PATIENCE_NS);
        sta_stream_close(&end.stream);
        end_run_some_ticks(&end);
        end_connect(&end, &listener.endpoint, PATIENCE_NS);
        end.wanted = 0;
        end_run_until(&end,
                      end_ticks_passed); /* the first step is done, perhaps the look-up begun */
        unsigned opened = end.opened;
        sta_stream_close(&end.stream);
        end_run_some_ticks(&end);
        assert_int_equal(end.opened, opened);
        end_fini(&end);
    }
    listener_close(&listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_connects_to_a_unix_socket),
        cmocka_unit_test(a_stream_connects_to_a_tcp_address),
        cmocka_unit_test(a_stream_connects_to_a_host_name),
        cmocka_unit_test(a_refused_connect_is_unavailable),
        cmocka_unit_test(a_path_that_is_too_long_is_unavailable),
        cmocka_unit_test(a_server_that_does_not_accept_is_given_up_at_the_deadline),
        cmocka_unit_test(a_server_that_accepts_late_is_still_reached),
        cmocka_unit_test(a_tcp_connect_that_hangs_is_given_up_at_the_deadline),
        cmocka_unit_test(closing_while_connecting_calls_nothing_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
