/* SPDX-License-Identifier: MIT
 *
 * The fixture of the connection tests; see rig.h.
 */
#include "rig.h"

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
#include "strata/status.h"

#define PATIENCE_NS (20 * STA_NS_SEC)

static void log_sink(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    struct rig *rig = arg;
    size_t len = strlen(rig->logged);
    (void)room;
    rig->lines[level]++;
    (void)snprintf(rig->logged + len, sizeof rig->logged - len, "%s\n", line);
}

/* ---- the loop ---- */

static void on_poll(struct sta_timer *timer)
{
    struct rig *rig = STA_CONTAINER(timer, struct rig, poll);
    uint64_t now_ns = sta_clock_now_ns();
    rig->gave_up = now_ns >= rig->give_up_ns;
    if (rig->gave_up || rig->until(rig))
        sta_loop_stop(rig->loop);
    else
        sta_timer_start(rig->loop, timer, now_ns + STA_NS_MS / 2);
}

void rig_run_until(struct rig *rig, bool (*until)(struct rig *rig))
{
    rig->until = until;
    rig->give_up_ns = sta_clock_now_ns() + PATIENCE_NS;
    sta_timer_start(rig->loop, &rig->poll, 1);
    sta_loop_run(rig->loop);
    assert_false(rig->gave_up);
}

static bool ticks_passed(struct rig *rig)
{
    return rig->ticks-- == 0;
}

void rig_run_some_ticks(struct rig *rig)
{
    rig->ticks = 5;
    rig_run_until(rig, ticks_passed);
}

static bool never(struct rig *rig)
{
    (void)rig;
    return false;
}

void rig_run_ms(struct rig *rig, unsigned ms)
{
    rig->until = never;
    rig->give_up_ns = sta_clock_now_ns() + ms * STA_NS_MS;
    sta_timer_start(rig->loop, &rig->poll, 1);
    sta_loop_run(rig->loop);
}

bool rig_is_ready(struct rig *rig)
{
    return sta_connection_state(rig->connection) == STA_CONNECTION_READY;
}

bool rig_is_in_backoff(struct rig *rig)
{
    return sta_connection_state(rig->connection) == STA_CONNECTION_BACKOFF;
}

bool rig_is_gone(struct rig *rig)
{
    return rig->connection == NULL;
}

bool rig_all_done(struct rig *rig)
{
    for (unsigned i = 0; i < rig->asked; i++)
        if (rig->asks[i].done == 0)
            return false;
    return true;
}

/* ---- the server ---- */

static bool accepted(struct rig *rig)
{
    rig->peer = accept4(rig->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return rig->peer >= 0;
}

void rig_accept(struct rig *rig)
{
    assert_int_equal(rig->peer, -1);
    rig_run_until(rig, accepted);
}

static bool got_as_much(struct rig *rig)
{
    uint8_t chunk[4096];
    ssize_t count = recv(rig->peer, chunk, sizeof chunk, 0);
    if (count > 0)
        assert_int_equal(sta_buffer_append(&rig->got, strata_bytes(chunk, (size_t)count)), 0);
    return sta_buffer_len(&rig->got) >= rig->wanted_len;
}

void rig_expect(struct rig *rig, const char *wire)
{
    rig->wanted = wire;
    rig->wanted_len = strlen(wire);
    rig_run_until(rig, got_as_much);
    assert_int_equal(sta_buffer_len(&rig->got), strlen(wire));
    assert_memory_equal(sta_buffer_bytes(&rig->got).data, wire, strlen(wire));
    sta_buffer_clear(&rig->got);
}

void rig_say(struct rig *rig, const char *bytes)
{
    assert_int_equal(send(rig->peer, bytes, strlen(bytes), MSG_NOSIGNAL), strlen(bytes));
}

void rig_greet(struct rig *rig)
{
    rig_accept(rig);
    rig_expect(rig, HELLO3 PING);
    rig_say(rig, WELCOME3);
    rig_run_until(rig, rig_is_ready);
}

void rig_hang_up(struct rig *rig)
{
    close(rig->peer);
    rig->peer = -1;
    sta_buffer_clear(&rig->got);
}

static void listen_here(struct rig *rig)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(rig->folder, sizeof rig->folder, "/tmp/strata-rig-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", rig->folder);
    rig->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(rig->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(rig->listener, 8), 0);
    rig->url.endpoint.kind = STA_ENDPOINT_UNIX;
    (void)snprintf(rig->url.endpoint.address, sizeof rig->url.endpoint.address, "%s",
                   address.sun_path);
}

/* ---- the connection ---- */

static void note(struct rig *rig, const char *what, struct strata_bytes bytes)
{
    size_t len = strlen(rig->events);
    (void)snprintf(rig->events + len, sizeof rig->events - len, "%s%.*s;", what, (int)bytes.len,
                   (const char *)bytes.data);
    if (rig->then != NULL)
        rig->then(rig);
}

static void on_state(void *arg, enum sta_connection_state state, const char *reason)
{
    assert_true(strlen(reason) > 0);
    note(arg, state == STA_CONNECTION_READY ? "ready" : "backoff", strata_bytes("", 0));
}

static void on_silent(void *arg, bool silent)
{
    note(arg, silent ? "silent" : "speaks", strata_bytes("", 0));
}

static void on_push(void *arg, struct strata_bytes frame)
{
    note(arg, "push ", frame);
}

static void on_done(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct ask *ask = STA_CONTAINER(request, struct ask, request);
    ask->done++;
    ask->status = status;
    assert_true(status == STRATA_OK || replies.len == 0);
    (void)snprintf(ask->replies, sizeof ask->replies, "%.*s", (int)replies.len,
                   (const char *)replies.data);
    if (ask->then != NULL)
        ask->then(ask);
}

struct ask *rig_ask(struct rig *rig, const char *wire, unsigned commands, uint64_t timeout_ns)
{
    assert_true(rig->asked < RIG_ASKS);
    struct ask *ask = &rig->asks[rig->asked++];
    ask->rig = rig;
    ask->request = (struct sta_request){
        .wire = strata_text(wire),
        .commands = commands,
        .deadline_ns = sta_clock_after(sta_clock_now_ns(), timeout_ns),
        .done = on_done,
    };
    sta_connection_submit(rig->connection, &ask->request);
    return ask;
}

struct sta_connection_statistics rig_statistics(const struct rig *rig)
{
    struct sta_connection_statistics statistics;
    sta_connection_statistics(rig->connection, &statistics);
    return statistics;
}

void rig_init(struct rig *rig)
{
    *rig = (struct rig){.peer = -1};
    rig->config.url = &rig->url;
    rig->config.jitter_seed = 1;
    rig->config.connect_timeout_ns = PATIENCE_NS;
    sta_log_init(&rig->log, log_sink, rig, STRATA_LOG_INFO);
    sta_buffer_init(&rig->got, 64u << 20);
    sta_timer_init(&rig->poll, on_poll);
    assert_int_equal(sta_loop_create(&rig->loop), STRATA_OK);
    listen_here(rig);
}

void rig_open(struct rig *rig)
{
    const struct sta_connection_events events = {
        .state = on_state, .silent = on_silent, .push = on_push};
    assert_int_equal(
        sta_connection_open(&rig->connection, rig->loop, &rig->log, &rig->config, &events, rig),
        STRATA_OK);
}

void rig_init_ready(struct rig *rig)
{
    rig_init(rig);
    rig_open(rig);
    rig_greet(rig);
}

void rig_fini(struct rig *rig)
{
    sta_connection_close(&rig->connection);
    for (unsigned i = 0; i < rig->asked; i++)
        assert_int_equal(rig->asks[i].done, 1);
    sta_loop_destroy(&rig->loop);
    sta_buffer_fini(&rig->got);
    if (rig->peer >= 0)
        close(rig->peer);
    if (rig->listener >= 0)
        close(rig->listener);
    (void)unlink(rig->url.endpoint.address);
    (void)rmdir(rig->folder);
}
