/* SPDX-License-Identifier: MIT
 *
 * Streams over socket pairs and over unix and TCP listeners on loopback. The loop runs on the
 * test's own thread until what is waited for is true; the other end of a stream is a plain
 * nonblocking socket in the test's hands.
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
#include "net/loop.h"
#include "net/stream.h"
#include "strata/status.h"

#define PATIENCE_NS (20 * STA_NS_SEC)

struct end {
    struct sta_loop *loop;
    struct sta_stream *stream;
    struct sta_timer poll; /* looks whether what run_until() waits for is true */
    bool (*until)(struct end *end);
    uint64_t give_up_ns;
    bool gave_up;
    int peer; /* the other end; -1: none */

    /* What received() consumes of what it is shown: all, nothing below `least`, or `step`. */
    size_t least;
    size_t step;

    struct sta_buffer got; /* consumed */
    size_t shown;          /* the latest sight */
    unsigned sights;
    unsigned opened;
    unsigned closed;
    unsigned drained;
    int status;
    char reason[128];
    uint64_t wanted; /* for until */
    bool close_in_received;
    bool close_in_drained;
    bool pause_in_received;
};

static size_t on_received(void *arg, struct strata_bytes data)
{
    struct end *end = arg;
    size_t used = data.len;
    end->sights++;
    end->shown = data.len;
    if (end->step > 0 && used > end->step)
        used = end->step;
    if (data.len < end->least)
        used = 0;
    assert_int_equal(sta_buffer_append(&end->got, strata_bytes(data.data, used)), 0);
    if (end->pause_in_received)
        sta_stream_pause(end->stream);
    if (end->close_in_received) {
        sta_stream_close(&end->stream);
        assert_memory_equal(data.data, "x", 1); /* readable until return, even so */
    }
    return used;
}

static void end_note(struct end *end, int status, const char *reason)
{
    end->status = status;
    (void)snprintf(end->reason, sizeof end->reason, "%s", reason);
    if (status != STRATA_OK || end->closed > 0)
        sta_stream_close(&end->stream);
}

static void on_opened(void *arg, int status, const char *reason)
{
    struct end *end = arg;
    end->opened++;
    end_note(end, status, reason);
}

static void on_closed(void *arg, int status, const char *reason)
{
    struct end *end = arg;
    end->closed++;
    end_note(end, status, reason);
}

static void on_drained(void *arg)
{
    struct end *end = arg;
    end->drained++;
    if (end->close_in_drained)
        sta_stream_close(&end->stream);
}

static const struct sta_stream_events events = {
    .opened = on_opened, .received = on_received, .drained = on_drained, .closed = on_closed};

static const struct sta_stream_config roomy = {.in_limit = 64u << 20, .out_limit = 64u << 20};

/* ---- the fixture ---- */

static void on_poll(struct sta_timer *timer)
{
    struct end *end = STA_CONTAINER(timer, struct end, poll);
    uint64_t now_ns = sta_clock_now_ns();
    end->gave_up = now_ns >= end->give_up_ns;
    if (end->gave_up || end->until(end))
        sta_loop_stop(end->loop);
    else
        sta_timer_start(end->loop, timer, now_ns + STA_NS_MS / 2);
}

static void run_until(struct end *end, bool (*until)(struct end *end))
{
    end->until = until;
    end->give_up_ns = sta_clock_now_ns() + PATIENCE_NS;
    sta_timer_start(end->loop, &end->poll, 1);
    sta_loop_run(end->loop);
    assert_false(end->gave_up);
}

static void end_init(struct end *end)
{
    *end = (struct end){.peer = -1};
    assert_int_equal(sta_loop_create(&end->loop, NULL), STRATA_OK);
    sta_timer_init(&end->poll, on_poll);
    sta_buffer_init(&end->got, 256u << 20);
}

static void end_init_pair(struct end *end, const struct sta_stream_config *config)
{
    int fds[2];
    end_init(end);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    end->peer = fds[1];
    assert_int_equal(sta_stream_adopt(&end->stream, end->loop, fds[0], config, &events, end),
                     STRATA_OK);
}

static void end_fini(struct end *end)
{
    sta_stream_close(&end->stream);
    assert_null(end->stream);
    sta_loop_destroy(&end->loop);
    sta_buffer_fini(&end->got);
    if (end->peer >= 0)
        close(end->peer);
}

static void peer_write(struct end *end, const void *bytes, size_t len)
{
    assert_int_equal(send(end->peer, bytes, len, MSG_NOSIGNAL), len);
}

static bool got_wanted(struct end *end)
{
    return sta_buffer_len(&end->got) >= end->wanted;
}

static bool saw_wanted(struct end *end)
{
    return end->shown >= end->wanted;
}

static bool has_closed(struct end *end)
{
    return end->closed > 0;
}

static bool has_opened(struct end *end)
{
    return end->opened > 0;
}

static bool has_drained(struct end *end)
{
    return end->drained > 0;
}

static bool stream_gone(struct end *end)
{
    return end->stream == NULL;
}

static bool some_ticks_passed(struct end *end)
{
    return end->wanted-- == 0;
}

/* Lets the loop turn a few times, for what must not happen. */
static void run_some_ticks(struct end *end)
{
    end->wanted = 5;
    run_until(end, some_ticks_passed);
}

static uint8_t pattern_at(size_t i)
{
    return (uint8_t)(i * 31 + i / 251);
}

static void assert_pattern(struct strata_bytes bytes, size_t len)
{
    const uint8_t *data = bytes.data;
    assert_int_equal(bytes.len, len);
    for (size_t i = 0; i < len; i++)
        if (data[i] != pattern_at(i))
            fail_msg("byte %zu differs", i);
}

/* ---- reading ---- */

static void bytes_arrive_whatever_the_splits(void **state)
{
    (void)state;
    static const char text[] = "abcdefghij";
    for (size_t cut = 1; cut < sizeof text - 1; cut++) {
        struct end end;
        end_init_pair(&end, &roomy);
        end.least = sizeof text - 1; /* the first half is kept and shown again with the second */
        peer_write(&end, text, cut);
        end.wanted = cut;
        run_until(&end, saw_wanted);
        assert_int_equal(end.shown, cut);
        peer_write(&end, text + cut, sizeof text - 1 - cut);
        end.wanted = sizeof text - 1;
        run_until(&end, got_wanted);
        assert_int_equal(end.sights, 2);
        assert_memory_equal(sta_buffer_bytes(&end.got).data, text, sizeof text - 1);
        end_fini(&end);
    }
}

struct source {
    struct end *end;
    size_t sent;
    size_t total;
};

/* Writes what the socket takes, whenever it is asked whether all has arrived. */
static struct source source;

static bool all_of_source_came(struct end *end)
{
    uint8_t chunk[8192];
    while (source.sent < source.total) {
        size_t len =
            source.total - source.sent < sizeof chunk ? source.total - source.sent : sizeof chunk;
        for (size_t i = 0; i < len; i++)
            chunk[i] = pattern_at(source.sent + i);
        ssize_t count = send(end->peer, chunk, len, MSG_NOSIGNAL);
        if (count < 0)
            break;
        source.sent += (size_t)count;
    }
    return sta_buffer_len(&end->got) >= source.total;
}

static void receive_megabytes(size_t least, size_t step)
{
    struct end end;
    end_init_pair(&end, &roomy);
    end.least = least;
    end.step = step;
    source = (struct source){.total = 3u << 20};
    run_until(&end, all_of_source_came);
    assert_pattern(sta_buffer_bytes(&end.got), source.total);
    end_fini(&end);
}

static void megabytes_arrive_consumed_as_they_come(void **state)
{
    (void)state;
    receive_megabytes(0, 0);
}

static void megabytes_arrive_kept_until_they_are_whole(void **state)
{
    (void)state;
    receive_megabytes(3u << 20, 0);
}

static void more_than_the_input_limit_unconsumed_ends_the_stream(void **state)
{
    (void)state;
    static const uint8_t bytes[1024];
    const struct sta_stream_config tight = {.in_limit = 2048, .out_limit = 2048};
    for (unsigned shots = 2; shots <= 3; shots++) {
        struct end end;
        end_init_pair(&end, &tight);
        end.least = SIZE_MAX;
        for (unsigned i = 0; i < shots; i++) {
            peer_write(&end, bytes, sizeof bytes);
            run_some_ticks(&end);
        }
        assert_int_equal(end.closed, shots == 3);
        assert_int_equal(end.status, shots == 3 ? STRATA_ERR_TOO_BIG : STRATA_OK);
        end_fini(&end);
    }
}

static void more_than_the_input_limit_consumed_at_once_is_fine(void **state)
{
    (void)state;
    static const uint8_t bytes[16384];
    const struct sta_stream_config tight = {.in_limit = 100, .out_limit = 100};
    struct end end;
    end_init_pair(&end, &tight);
    peer_write(&end, bytes, sizeof bytes);
    end.wanted = sizeof bytes;
    run_until(&end, got_wanted);
    assert_int_equal(end.closed, 0);
    end_fini(&end);
}

static void a_paused_stream_reads_nothing_and_loses_nothing(void **state)
{
    (void)state;
    struct end end;
    end_init_pair(&end, &roomy);
    sta_stream_pause(end.stream);
    peer_write(&end, "hello", 5);
    run_some_ticks(&end);
    assert_int_equal(end.sights, 0);
    sta_stream_resume(end.stream);
    end.wanted = 5;
    run_until(&end, got_wanted);
    assert_memory_equal(sta_buffer_bytes(&end.got).data, "hello", 5);
    end_fini(&end);
}

static void resuming_shows_what_was_kept_without_new_input(void **state)
{
    (void)state;
    struct end end;
    end_init_pair(&end, &roomy);
    end.pause_in_received = true;
    end.step = 2;
    peer_write(&end, "hello", 5);
    for (size_t got = 2; got <= 6; got += 2) {
        end.wanted = got < 5 ? got : 5;
        run_until(&end, got_wanted);
        run_some_ticks(&end);
        assert_int_equal(sta_buffer_len(&end.got), got < 5 ? got : 5);
        unsigned sights = end.sights;
        sta_stream_resume(end.stream);
        assert_int_equal(end.sights, sights); /* later, not from within the call */
    }
    assert_memory_equal(sta_buffer_bytes(&end.got).data, "hello", 5);
    end_fini(&end);
}

static void the_peers_end_is_reported_after_its_last_bytes(void **state)
{
    (void)state;
    struct end end;
    end_init_pair(&end, &roomy);
    peer_write(&end, "last", 4);
    close(end.peer);
    end.peer = -1;
    run_until(&end, has_closed);
    assert_int_equal(end.status, STRATA_OK);
    assert_int_equal(sta_buffer_len(&end.got), 4);
    run_some_ticks(&end);
    assert_int_equal(end.closed, 1);
    end_fini(&end);
}

static void a_reset_by_the_peer_is_an_error(void **state)
{
    (void)state;
    struct end end;
    end_init_pair(&end, &roomy);
    assert_int_equal(sta_buffer_append(sta_stream_out(end.stream), strata_text("unread")), 0);
    sta_stream_flush(end.stream);
    run_until(&end, has_drained);
    close(end.peer); /* with input that it has not read: a reset */
    end.peer = -1;
    run_until(&end, has_closed);
    assert_int_equal(end.status, STRATA_ERR_LOST);
    assert_string_equal(end.reason, "connection reset by peer");
    end_fini(&end);
}

/* ---- writing ---- */

static bool peer_read(struct end *end)
{
    static uint8_t chunk[3000];
    ssize_t count = recv(end->peer, chunk, sizeof chunk, 0);
    if (count > 0)
        assert_int_equal(sta_buffer_append(&end->got, strata_bytes(chunk, (size_t)count)), 0);
    return sta_buffer_len(&end->got) >= end->wanted;
}

static void append_pattern(struct end *end, size_t from, size_t len)
{
    struct sta_buffer *out = sta_stream_out(end->stream);
    assert_int_equal(sta_buffer_reserve(out, len), 0);
    for (size_t i = 0; i < len; i++)
        sta_buffer_end(out)[i] = pattern_at(from + i);
    sta_buffer_advance(out, len);
    sta_stream_flush(end->stream);
}

static void what_one_tick_appends_arrives_in_order(void **state)
{
    (void)state;
    struct end end;
    end_init_pair(&end, &roomy);
    for (size_t i = 0; i < 100; i++)
        append_pattern(&end, i * 10, 10);
    end.wanted = 1000;
    run_until(&end, peer_read);
    assert_pattern(sta_buffer_bytes(&end.got), 1000);
    assert_int_equal(end.drained, 1); /* one send for all */
    end_fini(&end);
}

static void a_slow_peer_gets_everything_in_the_end(void **state)
{
    (void)state;
    const int small = 4096;
    int fds[2];
    struct end end;
    end_init(&end);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    end.peer = fds[1];
    assert_int_equal(sta_stream_adopt(&end.stream, end.loop, fds[0], &roomy, &events, &end), 0);
    append_pattern(&end, 0, 200000);
    run_some_ticks(&end);
    assert_int_equal(end.drained, 0);
    append_pattern(&end, 200000, 1000); /* behind what is still waiting */
    end.wanted = 201000;
    run_until(&end, peer_read);
    assert_pattern(sta_buffer_bytes(&end.got), 201000);
    run_until(&end, has_drained);
    assert_int_equal(end.drained, 1);
    assert_int_equal(sta_stream_out(end.stream)->cap, 0); /* the memory was given back */
    end_fini(&end);
}

static void appending_past_the_output_limit_is_refused(void **state)
{
    (void)state;
    const struct sta_stream_config tight = {.in_limit = 100, .out_limit = 100};
    struct end end;
    end_init_pair(&end, &tight);
    struct sta_buffer *out = sta_stream_out(end.stream);
    uint8_t bytes[101] = {0};
    assert_int_equal(sta_buffer_append(out, strata_bytes(bytes, 101)), STRATA_ERR_TOO_BIG);
    assert_int_equal(sta_buffer_append(out, strata_bytes(bytes, 100)), STRATA_OK);
    end_fini(&end);
}

static void writing_to_a_peer_that_left_is_an_error_and_no_signal(void **state)
{
    (void)state;
    struct end end;
    end_init_pair(&end, &roomy);
    sta_stream_pause(end.stream); /* so that the end is found by writing */
    close(end.peer);
    end.peer = -1;
    append_pattern(&end, 0, 10);
    run_until(&end, has_closed);
    assert_int_equal(end.status, STRATA_ERR_LOST);
    assert_string_equal(end.reason, "broken pipe");
    end_fini(&end);
}

/* ---- closing from within callbacks ---- */

static void a_stream_may_be_closed_from_received(void **state)
{
    (void)state;
    for (unsigned kept = 0; kept <= 1; kept++) {
        struct end end;
        end_init_pair(&end, &roomy);
        if (kept) {
            end.least = 2;
            peer_write(&end, "x", 1);
            end.wanted = 1;
            run_until(&end, saw_wanted);
        }
        end.close_in_received = true;
        peer_write(&end, "xyz", 3);
        run_until(&end, stream_gone);
        run_some_ticks(&end);
        assert_int_equal(end.closed, 0);
        end_fini(&end);
    }
}

static void a_stream_may_be_closed_from_drained(void **state)
{
    (void)state;
    struct end end;
    end_init_pair(&end, &roomy);
    end.close_in_drained = true;
    append_pattern(&end, 0, 10);
    run_until(&end, stream_gone);
    end.wanted = 10;
    run_until(&end, peer_read); /* what was drained has arrived */
    end_fini(&end);
}

static void a_stream_may_be_closed_while_shown_what_was_kept(void **state)
{
    (void)state;
    struct end end;
    end_init_pair(&end, &roomy);
    end.least = 2;
    end.pause_in_received = true;
    peer_write(&end, "x", 1);
    end.wanted = 1;
    run_until(&end, saw_wanted);
    run_some_ticks(&end);
    end.close_in_received = true;
    end.pause_in_received = false;
    sta_stream_resume(end.stream);
    run_until(&end, stream_gone);
    end_fini(&end);
}

static void a_loop_closes_the_streams_that_are_left(void **state)
{
    (void)state;
    struct end end;
    struct sta_endpoint nowhere = {.kind = STA_ENDPOINT_TCP, .port = 9, .address = "127.0.0.1"};
    struct sta_stream *dialing;
    end_init_pair(&end, &roomy);
    assert_int_equal(
        sta_stream_connect(&dialing, end.loop, &nowhere, STA_NEVER, &roomy, &events, &end),
        STRATA_OK);
    sta_loop_destroy(&end.loop); /* the leak checker judges */
    end.stream = NULL;
    end_fini(&end);
}

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
    assert_int_equal(
        sta_stream_connect(&end->stream, end->loop, endpoint, deadline_ns, &roomy, &events, end),
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
    append_pattern(&end, 0, 10); /* before it is open: leaves when it is */
    run_until(&end, has_opened);
    assert_int_equal(end.status, STRATA_OK);
    end.peer = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK);
    assert_true(end.peer >= 0);
    end.wanted = 10;
    run_until(&end, peer_read);
    assert_pattern(sta_buffer_bytes(&end.got), 10);
    end.wanted = 15;
    peer_write(&end, "hello", 5);
    run_until(&end, got_wanted);
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
    run_until(&end, has_opened);
    assert_int_equal(end.status, status);
    assert_true(strlen(end.reason) > 0);
    run_some_ticks(&end);
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
    run_some_ticks(&end);
    assert_int_equal(end.opened, 0);
    for (unsigned i = 0; i < count; i++)
        close(accept(listener.fd, NULL, NULL));
    run_until(&end, has_opened);
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
    assert_connect_fails(&listener.endpoint, 50 * STA_NS_MS, STRATA_ERR_TIMEOUT);
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
        run_some_ticks(&end);
        end_connect(&end, &listener.endpoint, PATIENCE_NS);
        end.wanted = 0;
        run_until(&end, some_ticks_passed); /* the first step is done, perhaps the look-up begun */
        unsigned opened = end.opened;
        sta_stream_close(&end.stream);
        run_some_ticks(&end);
        assert_int_equal(end.opened, opened);
        end_fini(&end);
    }
    listener_close(&listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_whatever_the_splits),
        cmocka_unit_test(megabytes_arrive_consumed_as_they_come),
        cmocka_unit_test(megabytes_arrive_kept_until_they_are_whole),
        cmocka_unit_test(more_than_the_input_limit_unconsumed_ends_the_stream),
        cmocka_unit_test(more_than_the_input_limit_consumed_at_once_is_fine),
        cmocka_unit_test(a_paused_stream_reads_nothing_and_loses_nothing),
        cmocka_unit_test(resuming_shows_what_was_kept_without_new_input),
        cmocka_unit_test(the_peers_end_is_reported_after_its_last_bytes),
        cmocka_unit_test(a_reset_by_the_peer_is_an_error),
        cmocka_unit_test(what_one_tick_appends_arrives_in_order),
        cmocka_unit_test(a_slow_peer_gets_everything_in_the_end),
        cmocka_unit_test(appending_past_the_output_limit_is_refused),
        cmocka_unit_test(writing_to_a_peer_that_left_is_an_error_and_no_signal),
        cmocka_unit_test(a_stream_may_be_closed_from_received),
        cmocka_unit_test(a_stream_may_be_closed_from_drained),
        cmocka_unit_test(a_stream_may_be_closed_while_shown_what_was_kept),
        cmocka_unit_test(a_loop_closes_the_streams_that_are_left),
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
