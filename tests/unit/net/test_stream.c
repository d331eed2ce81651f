/* SPDX-License-Identifier: MIT
 *
 * Streams over socket pairs: reading, writing, limits, pausing, closing from within callbacks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "end.h"
#include "strata/status.h"

/* ---- reading ---- */

static void bytes_arrive_whatever_the_splits(void **state)
{
    (void)state;
    static const char text[] = "abcdefghij";
    for (size_t cut = 1; cut < sizeof text - 1; cut++) {
        struct end end;
        end_init_pair(&end, &end_roomy);
        end.least = sizeof text - 1; /* the first half is kept and shown again with the second */
        end_peer_write(&end, text, cut);
        end.wanted = cut;
        end_run_until(&end, end_saw_wanted);
        assert_int_equal(end.shown, cut);
        end_peer_write(&end, text + cut, sizeof text - 1 - cut);
        end.wanted = sizeof text - 1;
        end_run_until(&end, end_got_wanted);
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
            chunk[i] = end_pattern_at(source.sent + i);
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
    end_init_pair(&end, &end_roomy);
    end.least = least;
    end.step = step;
    source = (struct source){.total = 3u << 20};
    end_run_until(&end, all_of_source_came);
    end_assert_pattern(sta_buffer_bytes(&end.got), source.total);
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

#define PIECE ((size_t)64 << 10) /* of a large message, in a tick */

/* A small stream beside a large one on the same loop. */
struct beside {
    struct sta_stream *stream;
    int peer;
    struct end *big;
    size_t big_had; /* when the byte was written that is on its way */
    bool on_its_way;
    unsigned answers;
    size_t most; /* bytes of the large one that a byte waited for */
};

static struct beside beside;

static size_t beside_received(void *arg, struct strata_bytes data)
{
    size_t waited = beside.big->shown - beside.big_had;
    (void)arg;
    assert_int_equal(data.len, 1);
    beside.on_its_way = false;
    beside.answers++;
    beside.most = waited > beside.most ? waited : beside.most;
    return data.len;
}

static void beside_closed(void *arg, int status, const char *reason)
{
    (void)arg;
    fail_msg("%d: %s", status, reason);
}

/* The large one's socket is always full. */
static bool all_came_and_small_ones_beside(struct end *end)
{
    static const uint8_t zeros[65536];
    while (send(end->peer, zeros, sizeof zeros, MSG_NOSIGNAL) > 0)
        continue;
    if (!beside.on_its_way) {
        beside.on_its_way = true;
        beside.big_had = end->shown;
        assert_int_equal(send(beside.peer, "x", 1, MSG_NOSIGNAL), 1);
    }
    return end->shown >= (8u << 20);
}

static void what_is_small_waits_for_a_piece_of_what_is_large_beside_it(void **state)
{
    (void)state;
    static const struct sta_stream_events events = {.received = beside_received,
                                                    .closed = beside_closed};
    int fds[2];
    struct end end;
    end_init_pair(&end, &end_roomy);
    end.least = SIZE_MAX;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    beside = (struct beside){.peer = fds[1], .big = &end};
    assert_int_equal(sta_stream_adopt(&beside.stream, end.loop, fds[0], &end_roomy, &events, NULL),
                     STRATA_OK);
    end_run_until(&end, all_came_and_small_ones_beside);
    assert_true(beside.answers > 10);
    assert_in_range(beside.most, 0, PIECE);
    sta_stream_close(&beside.stream);
    close(beside.peer);
    end_fini(&end);
}

/* ---- room for what is expected ---- */

struct expecting {
    struct sta_stream *stream;
    size_t total;
    bool tells;
    const void *at;
    unsigned moves;
    size_t shown;
};

static struct expecting expecting;

static size_t expecting_received(void *arg, struct strata_bytes data)
{
    (void)arg;
    expecting.moves += data.len > PIECE && data.data != expecting.at;
    expecting.at = data.data;
    expecting.shown = data.len;
    if (expecting.tells)
        sta_stream_expect(expecting.stream, expecting.total - data.len);
    return 0;
}

static bool all_expected_came(struct end *end)
{
    static const uint8_t zeros[16384];
    while (source.sent < source.total &&
           send(end->peer, zeros, sizeof zeros, MSG_NOSIGNAL) == sizeof zeros)
        source.sent += sizeof zeros;
    return expecting.shown == source.total;
}

static unsigned moves_of_a_message(size_t total, size_t limit, bool tells)
{
    static const struct sta_stream_events events = {.received = expecting_received,
                                                    .closed = beside_closed};
    const struct sta_stream_config config = {.in_limit = limit, .out_limit = limit};
    int fds[2];
    struct end end;
    end_init(&end);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    end.peer = fds[1];
    source = (struct source){.total = total};
    expecting = (struct expecting){.total = total, .tells = tells};
    assert_int_equal(sta_stream_adopt(&expecting.stream, end.loop, fds[0], &config, &events, NULL),
                     STRATA_OK);
    end_run_until(&end, all_expected_came);
    sta_stream_close(&expecting.stream);
    end_fini(&end);
    return expecting.moves;
}

static void what_is_expected_is_not_moved_as_it_grows(void **state)
{
    (void)state;
    const size_t total = 10u << 20;
    assert_int_equal(moves_of_a_message(total, 2 * total, true), 1);
    assert_int_equal(moves_of_a_message(total, total, true), 1); /* the limit leaves room for it */
    assert_true(moves_of_a_message(total, 2 * total, false) > 5);
}

/* ---- messages whose memory is taken ---- */

#define MESSAGE  ((size_t)300 << 10)
#define MESSAGES 4u

struct taking {
    struct sta_stream *stream;
    uint8_t *messages[MESSAGES];
    size_t count;
};

static struct taking taking;

static size_t taking_received(void *arg, struct strata_bytes data)
{
    struct sta_buffer *memory = sta_stream_memory(taking.stream);
    (void)arg;
    assert_int_equal(memory != NULL, data.len > PIECE);
    sta_stream_expect(taking.stream, MESSAGE - data.len % MESSAGE);
    if (data.len < MESSAGE)
        return 0;
    assert_int_equal(data.len, MESSAGE); /* though the next one has come, too */
    assert_ptr_equal(sta_buffer_bytes(memory).data, data.data);
    assert_int_equal(memory->head, 0);
    sta_stream_expect(taking.stream, 0);
    taking.messages[taking.count++] = sta_buffer_take(memory);
    return data.len;
}

static bool all_were_taken(struct end *end)
{
    while (source.sent < source.total) {
        uint8_t bytes[16384];
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = end_pattern_at(source.sent + i);
        ssize_t sent = send(end->peer, bytes, sizeof bytes, MSG_NOSIGNAL);
        if (sent < 0)
            break;
        source.sent += (size_t)sent;
    }
    return taking.count == MESSAGES;
}

static void what_is_expected_has_nothing_behind_it_and_its_memory_may_be_taken(void **state)
{
    (void)state;
    static const struct sta_stream_events events = {.received = taking_received,
                                                    .closed = beside_closed};
    int fds[2];
    struct end end;
    end_init(&end);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    end.peer = fds[1];
    source = (struct source){.total = MESSAGES * MESSAGE};
    taking = (struct taking){.count = 0};
    assert_int_equal(sta_stream_adopt(&taking.stream, end.loop, fds[0], &end_roomy, &events, NULL),
                     STRATA_OK);
    end_run_until(&end, all_were_taken);
    sta_stream_close(&taking.stream);
    for (size_t i = 0; i < MESSAGES * MESSAGE; i++)
        assert_int_equal(taking.messages[i / MESSAGE][i % MESSAGE], end_pattern_at(i));
    for (size_t i = 0; i < MESSAGES; i++)
        free(taking.messages[i]);
    end_fini(&end);
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
            end_peer_write(&end, bytes, sizeof bytes);
            end_run_some_ticks(&end);
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
    end_peer_write(&end, bytes, sizeof bytes);
    end.wanted = sizeof bytes;
    end_run_until(&end, end_got_wanted);
    assert_int_equal(end.closed, 0);
    end_fini(&end);
}

static void a_paused_stream_reads_nothing_and_loses_nothing(void **state)
{
    (void)state;
    struct end end;
    end_init_pair(&end, &end_roomy);
    sta_stream_pause(end.stream);
    end_peer_write(&end, "hello", 5);
    end_run_some_ticks(&end);
    assert_int_equal(end.sights, 0);
    sta_stream_resume(end.stream);
    end.wanted = 5;
    end_run_until(&end, end_got_wanted);
    assert_memory_equal(sta_buffer_bytes(&end.got).data, "hello", 5);
    end_fini(&end);
}

static void pausing_from_received_stops_reading_at_once(void **state)
{
    (void)state;
    static const uint8_t bytes[150000]; /* more than one read brings */
    struct end end;
    end_init_pair(&end, &end_roomy);
    end.pause_in_received = true;
    end_peer_write(&end, bytes, sizeof bytes);
    end.wanted = 1;
    end_run_until(&end, end_got_wanted);
    end_run_some_ticks(&end);
    assert_int_equal(end.sights, 1);
    assert_true(sta_buffer_len(&end.got) < sizeof bytes);
    end.pause_in_received = false;
    sta_stream_resume(end.stream);
    end.wanted = sizeof bytes;
    end_run_until(&end, end_got_wanted);
    end_fini(&end);
}

static void resuming_shows_what_was_kept_without_new_input(void **state)
{
    (void)state;
    struct end end;
    end_init_pair(&end, &end_roomy);
    end.pause_in_received = true;
    end.step = 2;
    end_peer_write(&end, "hello", 5);
    for (size_t got = 2; got <= 6; got += 2) {
        end.wanted = got < 5 ? got : 5;
        end_run_until(&end, end_got_wanted);
        end_run_some_ticks(&end);
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
    end_init_pair(&end, &end_roomy);
    end_peer_write(&end, "last", 4);
    close(end.peer);
    end.peer = -1;
    end_run_until(&end, end_has_closed);
    assert_int_equal(end.status, STRATA_OK);
    assert_int_equal(sta_buffer_len(&end.got), 4);
    end_run_some_ticks(&end);
    assert_int_equal(end.closed, 1);
    end_fini(&end);
}

static void a_reset_by_the_peer_is_an_error(void **state)
{
    (void)state;
    struct end end;
    end_init_pair(&end, &end_roomy);
    assert_int_equal(sta_buffer_append(sta_stream_out(end.stream), strata_text("unread")), 0);
    sta_stream_flush(end.stream);
    end_run_until(&end, end_has_drained);
    close(end.peer); /* with input that it has not read: a reset */
    end.peer = -1;
    end_run_until(&end, end_has_closed);
    assert_int_equal(end.status, STRATA_ERR_LOST);
    assert_string_equal(end.reason, "connection reset by peer");
    end_fini(&end);
}

static void what_came_before_a_reset_is_still_read(void **state)
{
    (void)state;
    static const uint8_t bytes[8192];
    const int large = 1 << 20;
    size_t sent = 0;
    struct end end;
    end_init_pair(&end, &end_roomy);
    assert_int_equal(setsockopt(end.peer, SOL_SOCKET, SO_SNDBUF, &large, sizeof large), 0);
    end_append_pattern(&end, 0, 10); /* what the peer leaves unread makes its end a reset */
    end_run_until(&end, end_has_drained);
    sta_stream_pause(end.stream);
    end_run_some_ticks(&end);
    for (ssize_t count = 0; count >= 0; count = send(end.peer, bytes, sizeof bytes, MSG_NOSIGNAL))
        sent += (size_t)count;
    close(end.peer);
    end.peer = -1;
    sta_stream_resume(end.stream);
    end_run_until(&end, end_has_closed);
    assert_int_equal(end.status, STRATA_ERR_LOST);
    assert_int_equal(sta_buffer_len(&end.got), sent);
    assert_true(sent > 4 * 65536); /* more than one tick reads */
    end_fini(&end);
}

/* ---- writing ---- */

static void what_one_tick_appends_arrives_in_order(void **state)
{
    (void)state;
    struct end end;
    end_init_pair(&end, &end_roomy);
    for (size_t i = 0; i < 100; i++)
        end_append_pattern(&end, i * 10, 10);
    end.wanted = 1000;
    end_run_until(&end, end_peer_read);
    end_assert_pattern(sta_buffer_bytes(&end.got), 1000);
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
    assert_int_equal(sta_stream_adopt(&end.stream, end.loop, fds[0], &end_roomy, &end_events, &end),
                     0);
    end_append_pattern(&end, 0, 200000);
    end_run_some_ticks(&end);
    assert_int_equal(end.drained, 0);
    end_append_pattern(&end, 200000, 1000); /* behind what is still waiting */
    end.wanted = 201000;
    end_run_until(&end, end_peer_read);
    end_assert_pattern(sta_buffer_bytes(&end.got), 201000);
    end_run_until(&end, end_has_drained);
    assert_int_equal(end.drained, 1);
    assert_int_equal(sta_stream_out(end.stream)->cap, 0); /* the memory was given back */
    end_fini(&end);
}

static void an_idle_stream_holds_little_output_memory(void **state)
{
    (void)state;
    struct end end;
    end_init_pair(&end, &end_roomy);
    end_append_pattern(&end, 0, 40000);
    end_run_until(&end, end_has_drained);
    assert_int_equal(sta_stream_out(end.stream)->cap, 0);
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
    end_init_pair(&end, &end_roomy);
    sta_stream_pause(end.stream); /* so that the end is found by writing */
    close(end.peer);
    end.peer = -1;
    end_append_pattern(&end, 0, 10);
    end_run_until(&end, end_has_closed);
    assert_int_equal(end.status, STRATA_ERR_LOST);
    assert_string_equal(end.reason, "broken pipe");
    end_fini(&end);
}

static void a_peer_that_only_stops_sending_is_still_written_to(void **state)
{
    (void)state;
    struct end end;
    end_init_pair(&end, &end_roomy);
    end.stay_after_end = true;
    assert_int_equal(shutdown(end.peer, SHUT_WR), 0);
    end_run_until(&end, end_has_closed);
    assert_int_equal(end.status, STRATA_OK);
    const size_t len = 4u << 20; /* more than the socket takes at once */
    end_append_pattern(&end, 0, len);
    end.wanted = len;
    end_run_until(&end, end_peer_read);
    end_assert_pattern(sta_buffer_bytes(&end.got), len);
    assert_int_equal(end.closed, 1);
    assert_true(end.drained > 0);
    end_fini(&end);
}

static bool has_closed_twice(struct end *end)
{
    return end->closed == 2;
}

static void writing_to_a_peer_that_is_gone_after_its_end_is_an_error(void **state)
{
    (void)state;
    struct end end;
    end_init_pair(&end, &end_roomy);
    end.stay_after_end = true;
    close(end.peer);
    end.peer = -1;
    end_run_until(&end, end_has_closed);
    assert_int_equal(end.status, STRATA_OK);
    end_append_pattern(&end, 0, 10);
    end_run_until(&end, has_closed_twice);
    assert_int_equal(end.status, STRATA_ERR_LOST);
    end_run_some_ticks(&end);
    assert_int_equal(end.closed, 2);
    end_fini(&end);
}

/* ---- closing from within callbacks ---- */

static void a_stream_may_be_closed_from_received(void **state)
{
    (void)state;
    const struct sta_stream_config tight = {.in_limit = 1, .out_limit = 1};
    for (unsigned kept = 0; kept <= 1; kept++) {
        struct end end;
        end_init_pair(&end, &tight);
        end.least = 100; /* nothing is consumed, and it is more than may be kept */
        if (kept) {
            end_peer_write(&end, "x", 1);
            end.wanted = 1;
            end_run_until(&end, end_saw_wanted);
        }
        end.close_in_received = true;
        end_peer_write(&end, "xyz", 3);
        end_run_until(&end, end_is_gone);
        end_run_some_ticks(&end);
        assert_int_equal(end.closed, 0);
        end_fini(&end);
    }
}

static void a_stream_may_be_closed_from_drained(void **state)
{
    (void)state;
    struct end end;
    end_init_pair(&end, &end_roomy);
    end.close_in_drained = true;
    end_append_pattern(&end, 0, 10);
    end_run_until(&end, end_is_gone);
    end.wanted = 10;
    end_run_until(&end, end_peer_read); /* what was drained has arrived */
    end_fini(&end);
}

static void a_stream_may_be_closed_while_shown_what_was_kept(void **state)
{
    (void)state;
    struct end end;
    end_init_pair(&end, &end_roomy);
    end.least = 2;
    end.pause_in_received = true;
    end_peer_write(&end, "x", 1);
    end.wanted = 1;
    end_run_until(&end, end_saw_wanted);
    end_run_some_ticks(&end);
    end.close_in_received = true;
    end.pause_in_received = false;
    sta_stream_resume(end.stream);
    end_run_until(&end, end_is_gone);
    end_fini(&end);
}

static void a_loop_closes_the_streams_that_are_left(void **state)
{
    (void)state;
    struct end end;
    struct sta_endpoint nowhere = {.kind = STA_ENDPOINT_TCP, .port = 9, .address = "127.0.0.1"};
    struct sta_stream *dialing;
    end_init_pair(&end, &end_roomy);
    assert_int_equal(
        sta_stream_connect(&dialing, end.loop, &nowhere, STA_NEVER, &end_roomy, &end_events, &end),
        STRATA_OK);
    sta_loop_destroy(&end.loop); /* the leak checker judges */
    end.stream = NULL;
    end_fini(&end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_whatever_the_splits),
        cmocka_unit_test(megabytes_arrive_consumed_as_they_come),
        cmocka_unit_test(megabytes_arrive_kept_until_they_are_whole),
        cmocka_unit_test(what_is_small_waits_for_a_piece_of_what_is_large_beside_it),
        cmocka_unit_test(what_is_expected_is_not_moved_as_it_grows),
        cmocka_unit_test(what_is_expected_has_nothing_behind_it_and_its_memory_may_be_taken),
        cmocka_unit_test(more_than_the_input_limit_unconsumed_ends_the_stream),
        cmocka_unit_test(more_than_the_input_limit_consumed_at_once_is_fine),
        cmocka_unit_test(a_paused_stream_reads_nothing_and_loses_nothing),
        cmocka_unit_test(pausing_from_received_stops_reading_at_once),
        cmocka_unit_test(resuming_shows_what_was_kept_without_new_input),
        cmocka_unit_test(the_peers_end_is_reported_after_its_last_bytes),
        cmocka_unit_test(a_reset_by_the_peer_is_an_error),
        cmocka_unit_test(what_came_before_a_reset_is_still_read),
        cmocka_unit_test(what_one_tick_appends_arrives_in_order),
        cmocka_unit_test(a_slow_peer_gets_everything_in_the_end),
        cmocka_unit_test(an_idle_stream_holds_little_output_memory),
        cmocka_unit_test(appending_past_the_output_limit_is_refused),
        cmocka_unit_test(writing_to_a_peer_that_left_is_an_error_and_no_signal),
        cmocka_unit_test(a_peer_that_only_stops_sending_is_still_written_to),
        cmocka_unit_test(writing_to_a_peer_that_is_gone_after_its_end_is_an_error),
        cmocka_unit_test(a_stream_may_be_closed_from_received),
        cmocka_unit_test(a_stream_may_be_closed_from_drained),
        cmocka_unit_test(a_stream_may_be_closed_while_shown_what_was_kept),
        cmocka_unit_test(a_loop_closes_the_streams_that_are_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
