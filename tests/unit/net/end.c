/* SPDX-License-Identifier: MIT
 *
 * The fixture of the stream tests; see end.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "end.h"
#include "strata/status.h"

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
    if (status != STRATA_OK || (end->closed > 0 && !end->stay_after_end))
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

const struct sta_stream_events end_events = {
    .opened = on_opened, .received = on_received, .drained = on_drained, .closed = on_closed};

const struct sta_stream_config end_roomy = {.in_limit = 64u << 20, .out_limit = 64u << 20};

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

void end_run_until(struct end *end, bool (*until)(struct end *end))
{
    end->until = until;
    end->give_up_ns = sta_clock_now_ns() + PATIENCE_NS;
    sta_timer_start(end->loop, &end->poll, 1);
    sta_loop_run(end->loop);
    assert_false(end->gave_up);
}

void end_init(struct end *end)
{
    *end = (struct end){.peer = -1};
    assert_int_equal(sta_loop_create(&end->loop), STRATA_OK);
    sta_timer_init(&end->poll, on_poll);
    sta_buffer_init(&end->got, 256u << 20);
}

void end_init_pair(struct end *end, const struct sta_stream_config *config)
{
    int fds[2];
    end_init(end);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    end->peer = fds[1];
    assert_int_equal(sta_stream_adopt(&end->stream, end->loop, fds[0], config, &end_events, end),
                     STRATA_OK);
}

void end_fini(struct end *end)
{
    sta_stream_close(&end->stream);
    assert_null(end->stream);
    sta_loop_destroy(&end->loop);
    sta_buffer_fini(&end->got);
    if (end->peer >= 0)
        close(end->peer);
}

void end_peer_write(struct end *end, const void *bytes, size_t len)
{
    assert_int_equal(send(end->peer, bytes, len, MSG_NOSIGNAL), len);
}

bool end_got_wanted(struct end *end)
{
    return sta_buffer_len(&end->got) >= end->wanted;
}

bool end_saw_wanted(struct end *end)
{
    return end->shown >= end->wanted;
}

bool end_has_closed(struct end *end)
{
    return end->closed > 0;
}

bool end_has_opened(struct end *end)
{
    return end->opened > 0;
}

bool end_has_drained(struct end *end)
{
    return end->drained > 0;
}

bool end_is_gone(struct end *end)
{
    return end->stream == NULL;
}

bool end_ticks_passed(struct end *end)
{
    return end->wanted-- == 0;
}

/* Lets the loop turn a few times, for what must not happen. */
void end_run_some_ticks(struct end *end)
{
    end->wanted = 5;
    end_run_until(end, end_ticks_passed);
}

uint8_t end_pattern_at(size_t i)
{
    return (uint8_t)(i * 31 + i / 251);
}

void end_assert_pattern(struct strata_bytes bytes, size_t len)
{
    const uint8_t *data = bytes.data;
    assert_int_equal(bytes.len, len);
    for (size_t i = 0; i < len; i++)
        if (data[i] != end_pattern_at(i))
            fail_msg("byte %zu differs", i);
}

bool end_peer_read(struct end *end)
{
    static uint8_t chunk[3000];
    ssize_t count = recv(end->peer, chunk, sizeof chunk, 0);
    if (count > 0)
        assert_int_equal(sta_buffer_append(&end->got, strata_bytes(chunk, (size_t)count)), 0);
    return sta_buffer_len(&end->got) >= end->wanted;
}

void end_append_pattern(struct end *end, size_t from, size_t len)
{
    struct sta_buffer *out = sta_stream_out(end->stream);
    assert_int_equal(sta_buffer_reserve(out, len), 0);
    for (size_t i = 0; i < len; i++)
        sta_buffer_end(out)[i] = end_pattern_at(from + i);
    sta_buffer_advance(out, len);
    sta_stream_flush(end->stream);
}
