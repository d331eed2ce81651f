/* SPDX-License-Identifier: MIT
 *
 * Streams with TLS: the contract of a stream, whatever the wire does between the two sides.
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
#include "strata/status.h"
#include "strata/tls.h"
#include "tls_end.h"

static struct certificate_folder files;

static int make_files(void **state)
{
    (void)state;
    certificate_folder_open(&files);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    certificate_folder_close(&files);
    return 0;
}

/* ---- bytes ---- */

static void bytes_arrive_in_both_directions(void **state)
{
    (void)state;
    struct tls_end at;
    tls_end_open(&at, &files, &end_roomy);
    assert_int_equal(at.end.opened, 1);
    end_append_pattern(&at.end, 0, 1000);
    at.end.wanted = 1000;
    tls_end_run_until(&at, tls_end_peer_got_wanted);
    end_assert_pattern(strata_bytes(at.peer.plain, at.peer.got), 1000);
    assert_int_equal(at.end.drained > 0, 1);
    tls_end_peer_says(&at, 2000);
    at.end.wanted = 2000;
    tls_end_run_until(&at, end_got_wanted);
    end_assert_pattern(sta_buffer_bytes(&at.end.got), 2000);
    assert_int_equal(at.end.sights, 1);
    tls_end_fini(&at);
}

static void what_is_appended_before_the_handshake_waits_for_it(void **state)
{
    (void)state;
    struct tls_end at;
    tls_end_init(&at, &files, &end_roomy);
    end_append_pattern(&at.end, 0, 100);
    at.peer_is_deaf = true;
    tls_end_run_some_ticks(&at);
    assert_int_equal(sta_buffer_len(sta_stream_out(at.end.stream)), 100);
    assert_int_equal(at.end.opened, 0);
    at.peer_is_deaf = false;
    at.end.wanted = 100;
    tls_end_run_until(&at, tls_end_peer_got_wanted);
    assert_int_equal(at.end.opened, 1);
    end_assert_pattern(strata_bytes(at.peer.plain, at.peer.got), 100);
    tls_end_fini(&at);
}

static void a_wire_of_single_bytes_is_enough(void **state)
{
    (void)state;
    struct tls_end at;
    tls_end_init(&at, &files, &end_roomy);
    at.step = 1;
    end_append_pattern(&at.end, 0, 300);
    at.end.wanted = 300;
    tls_end_run_until(&at, tls_end_peer_got_wanted);
    end_assert_pattern(strata_bytes(at.peer.plain, at.peer.got), 300);
    tls_end_peer_says(&at, 300);
    tls_end_run_until(&at, end_got_wanted);
    end_assert_pattern(sta_buffer_bytes(&at.end.got), 300);
    tls_end_fini(&at);
}

static void receive_megabytes(size_t least, size_t step)
{
    struct tls_end at;
    const size_t len = 3u << 20;
    tls_end_open(&at, &files, &end_roomy);
    at.end.least = least;
    at.end.step = step;
    tls_end_peer_says(&at, len);
    at.end.wanted = len;
    tls_end_run_until(&at, end_got_wanted);
    end_assert_pattern(sta_buffer_bytes(&at.end.got), len);
    tls_end_fini(&at);
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

static void records_of_one_byte_are_shown_together(void **state)
{
    (void)state;
    struct tls_end at;
    uint8_t bytes[500];
    tls_end_open(&at, &files, &end_roomy);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = end_pattern_at(i);
    tls_peer_say(&at.peer, strata_bytes(bytes, sizeof bytes), 1);
    at.end.wanted = sizeof bytes;
    tls_end_run_until(&at, end_got_wanted);
    end_assert_pattern(sta_buffer_bytes(&at.end.got), sizeof bytes);
    assert_true(at.end.sights <= 2);
    tls_end_fini(&at);
}

static void a_slow_peer_gets_everything_in_the_end(void **state)
{
    (void)state;
    struct tls_end at;
    const size_t len = 6u << 20; /* more than sockets, chunks and a tick's turns take */
    tls_end_open(&at, &files, &end_roomy);
    tls_end_run_some_ticks(&at);
    at.end.drained = 0;
    at.peer_is_deaf = true;
    end_append_pattern(&at.end, 0, len);
    tls_end_run_some_ticks(&at);
    assert_int_equal(at.end.drained, 0);
    end_append_pattern(&at.end, len, 1000); /* behind what is still waiting */
    at.peer_is_deaf = false;
    at.end.wanted = len + 1000;
    tls_end_run_until(&at, tls_end_peer_got_wanted);
    end_assert_pattern(strata_bytes(at.peer.plain, at.peer.got), len + 1000);
    tls_end_run_until(&at, end_has_drained);
    assert_int_equal(at.end.drained, 1);
    assert_int_equal(sta_stream_out(at.end.stream)->cap, 0); /* the memory was given back */
    tls_end_fini(&at);
}

static void more_than_the_input_limit_unconsumed_ends_the_stream(void **state)
{
    (void)state;
    struct tls_end at;
    const struct sta_stream_config tight = {.in_limit = 2048, .out_limit = 2048};
    tls_end_open(&at, &files, &tight);
    at.end.least = SIZE_MAX;
    tls_end_peer_says(&at, 2048);
    tls_end_run_some_ticks(&at);
    assert_int_equal(at.end.closed, 0);
    tls_end_peer_says(&at, 1);
    tls_end_run_until(&at, end_has_closed);
    assert_int_equal(at.end.status, STRATA_ERR_TOO_BIG);
    tls_end_fini(&at);
}

/* ---- pausing ---- */

/* More than one recv() and one record bring. */
static void pausing_from_received_loses_nothing(void **state)
{
    (void)state;
    struct tls_end at;
    const size_t len = 500000;
    tls_end_open(&at, &files, &end_roomy);
    at.end.pause_in_received = true;
    tls_end_peer_says(&at, len);
    for (unsigned i = 0; sta_buffer_len(&at.end.got) < len; i++) {
        unsigned sights = at.end.sights;
        sta_stream_resume(at.end.stream);
        at.end.wanted = sta_buffer_len(&at.end.got) + 1;
        tls_end_run_until(&at, end_got_wanted);
        tls_end_run_some_ticks(&at);
        assert_int_equal(at.end.sights, sights + 1); /* paused is paused */
    }
    end_assert_pattern(sta_buffer_bytes(&at.end.got), len);
    tls_end_fini(&at);
}

static void the_end_that_came_while_paused_is_told_after_what_was_kept(void **state)
{
    (void)state;
    struct tls_end at;
    tls_end_open(&at, &files, &end_roomy);
    at.end.pause_in_received = true;
    at.end.step = 10;
    tls_end_peer_says(&at, 20);
    (void)SSL_shutdown(at.peer.ssl);
    at.end.wanted = 10;
    tls_end_run_until(&at, end_got_wanted);
    tls_end_run_some_ticks(&at);
    assert_int_equal(at.end.closed, 0);
    sta_stream_resume(at.end.stream); /* shows the rest; paused again by that */
    at.end.wanted = 20;
    tls_end_run_until(&at, end_got_wanted);
    tls_end_run_some_ticks(&at);
    assert_int_equal(at.end.closed, 0);
    sta_stream_resume(at.end.stream);
    tls_end_run_until(&at, end_has_closed);
    assert_int_equal(at.end.status, STRATA_OK);
    tls_end_fini(&at);
}

/* ---- the end ---- */

static void a_goodbye_is_the_end_after_the_last_bytes(void **state)
{
    (void)state;
    struct tls_end at;
    tls_end_open(&at, &files, &end_roomy);
    tls_end_peer_says(&at, 4);
    (void)SSL_shutdown(at.peer.ssl);
    tls_end_run_until(&at, end_has_closed);
    assert_int_equal(at.end.status, STRATA_OK);
    assert_int_equal(sta_buffer_len(&at.end.got), 4);
    tls_end_run_some_ticks(&at);
    assert_int_equal(at.end.closed, 1);
    tls_end_fini(&at);
}

static void after_the_peers_goodbye_it_is_still_written_to(void **state)
{
    (void)state;
    struct tls_end at;
    tls_end_open(&at, &files, &end_roomy);
    at.end.stay_after_end = true;
    (void)SSL_shutdown(at.peer.ssl);
    tls_end_run_until(&at, end_has_closed);
    assert_int_equal(at.end.status, STRATA_OK);
    end_append_pattern(&at.end, 0, 1u << 20);
    at.end.wanted = 1u << 20;
    tls_end_run_until(&at, tls_end_peer_got_wanted);
    end_assert_pattern(strata_bytes(at.peer.plain, at.peer.got), 1u << 20);
    tls_end_fini(&at);
}

static void a_connection_that_is_cut_between_records_is_an_error(void **state)
{
    (void)state;
    struct tls_end at;
    tls_end_open(&at, &files, &end_roomy);
    tls_end_peer_says(&at, 4);
    at.end.wanted = 4;
    tls_end_run_until(&at, end_got_wanted);
    tls_end_cut(&at);
    tls_end_run_until(&at, end_has_closed);
    assert_int_equal(at.end.status, STRATA_ERR_LOST);
    assert_string_equal(at.end.reason,
                        "cut off: closed by the peer without the end that TLS demands");
    tls_end_fini(&at);
}

static void a_connection_that_is_cut_within_a_record_is_an_error(void **state)
{
    (void)state;
    for (size_t part = 1; part < 26; part++) { /* of 4 + 22 bytes */
        struct tls_end at;
        tls_end_open(&at, &files, &end_roomy);
        tls_end_run_some_ticks(&at); /* tickets */
        at.peer_is_mute = true;
        tls_end_peer_says(&at, 4);
        struct strata_bytes record = tls_peer_out(&at.peer);
        assert_int_equal(record.len, 26);
        assert_int_equal(send(at.end.peer, record.data, part, MSG_NOSIGNAL), part);
        tls_end_cut(&at);
        tls_end_run_until(&at, end_has_closed);
        assert_int_equal(at.end.status, STRATA_ERR_LOST);
        assert_int_equal(at.end.sights, 0);
        tls_end_fini(&at);
    }
}

static void a_connection_that_is_cut_within_the_handshake_is_not_opened(void **state)
{
    (void)state;
    static const size_t parts[] = {0, 1, 5, 100, 500, 700};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct tls_end at;
        tls_end_init(&at, &files, &end_roomy);
        at.peer_is_mute = true;
        tls_end_run_some_ticks(&at);
        struct strata_bytes flight = tls_peer_out(&at.peer);
        assert_true(flight.len > parts[i]);
        assert_int_equal(send(at.end.peer, flight.data, parts[i], MSG_NOSIGNAL), parts[i]);
        tls_end_cut(&at);
        tls_end_run_until(&at, end_has_opened);
        assert_int_equal(at.end.status, STRATA_ERR_LOST);
        assert_string_equal(at.end.reason, "closed by the peer during the TLS handshake");
        assert_int_equal(at.end.closed, 0);
        tls_end_fini(&at);
    }
}

static void a_changed_byte_ends_the_stream_and_the_peer_is_told(void **state)
{
    (void)state;
    struct tls_end at;
    uint8_t record[26];
    tls_end_open(&at, &files, &end_roomy);
    tls_end_run_some_ticks(&at);
    at.peer_is_mute = true;
    tls_end_peer_says(&at, 4);
    memcpy(record, tls_peer_out(&at.peer).data, sizeof record);
    record[20] ^= 1;
    end_peer_write(&at.end, record, sizeof record);
    tls_end_run_until(&at, end_has_closed);
    assert_int_equal(at.end.status, STRATA_ERR_PROTOCOL);
    tls_end_run_some_ticks(&at);
    assert_string_equal(at.peer.alert, "bad record mac");
    tls_end_fini(&at);
}

static void a_server_that_is_refused_is_not_opened_and_is_told(void **state)
{
    (void)state;
    struct tls_end at;
    tls_end_init_with(
        &at, &files, &end_roomy,
        &(struct sta_tls_settings){.ca_file = files.ca_file, .server_name = "elsewhere.example"},
        &(struct tls_peer_plan){.certificate = &files.server});
    end_append_pattern(&at.end, 0, 100);
    tls_end_run_until(&at, end_has_opened);
    assert_int_equal(at.end.status, STRATA_ERR_UNTRUSTED);
    assert_string_equal(at.end.reason, "the server's certificate is for localhost, 127.0.0.1, ::1, "
                                       "not for elsewhere.example");
    tls_end_run_some_ticks(&at);
    assert_true(at.peer.alert[0] != '\0');
    assert_int_equal(at.peer.got, 0);
    assert_int_equal(at.end.closed, 0);
    tls_end_fini(&at);
}

static void a_server_that_refuses_us_ends_the_stream_with_its_reason(void **state)
{
    (void)state;
    struct tls_end at;
    tls_end_init_with(
        &at, &files, &end_roomy,
        &(struct sta_tls_settings){.ca_file = files.ca_file, .server_name = "localhost"},
        &(struct tls_peer_plan){.certificate = &files.server, .clients = &files.root});
    tls_end_run_until(&at, end_is_gone); /* TLS 1.3: it is opened before the server has looked */
    assert_int_equal(at.end.status, STRATA_ERR_DENIED);
    assert_string_equal(
        at.end.reason,
        "the server wants a client certificate, and none is configured (tls_cert_file)");
    tls_end_fini(&at);
}

static void a_handshake_that_never_ends_is_given_up_in_time(void **state)
{
    (void)state;
    struct tls_end at;
    struct sta_stream_config own = end_roomy;
    tls_end_init(&at, &files, &end_roomy);
    sta_stream_close(&at.end.stream);
    own.tls = at.tls;
    assert_int_equal(sta_stream_connect(&at.end.stream, at.end.loop, &at.endpoint,
                                        sta_clock_now_ns() + 50 * STA_NS_MS, &own, &end_events,
                                        &at.end),
                     STRATA_OK);
    at.peer_is_mute = true;
    tls_end_run_until(&at, end_has_opened);
    assert_int_equal(at.end.status, STRATA_ERR_TIMEOUT);
    assert_string_equal(at.end.reason,
                        "no answer to the TLS handshake in time: is this a TLS port, "
                        "and not a plain one?");
    tls_end_run_some_ticks(&at);
    assert_int_equal(at.end.opened, 1);
    tls_end_fini(&at);
}

static void the_time_of_the_handshake_does_not_bound_the_stream(void **state)
{
    (void)state;
    struct tls_end at;
    struct sta_stream_config own = end_roomy;
    tls_end_init(&at, &files, &end_roomy);
    sta_stream_close(&at.end.stream);
    own.tls = at.tls;
    uint64_t deadline_ns = sta_clock_now_ns() + 2 * STA_NS_SEC;
    assert_int_equal(sta_stream_connect(&at.end.stream, at.end.loop, &at.endpoint, deadline_ns,
                                        &own, &end_events, &at.end),
                     STRATA_OK);
    tls_end_run_until(&at, end_has_opened);
    assert_int_equal(at.end.status, STRATA_OK);
    while (sta_clock_now_ns() < deadline_ns + 20 * STA_NS_MS)
        tls_end_run_some_ticks(&at);
    assert_int_equal(at.end.closed, 0);
    tls_end_fini(&at);
}

static void who_closes_says_goodbye(void **state)
{
    (void)state;
    struct tls_end at;
    tls_end_open(&at, &files, &end_roomy);
    tls_end_run_some_ticks(&at);
    sta_stream_close(&at.end.stream);
    tls_end_run_until(&at, tls_end_peer_ended);
    tls_end_fini(&at);
}

/* ---- closing from within callbacks ---- */

static void a_stream_may_be_closed_from_received(void **state)
{
    (void)state;
    struct tls_end at;
    tls_end_open(&at, &files, &end_roomy);
    at.end.close_in_received = true;
    tls_peer_say(&at.peer, strata_text("xyz"), 1);
    tls_end_run_until(&at, end_is_gone);
    tls_end_run_some_ticks(&at);
    assert_int_equal(at.end.sights, 1);
    assert_int_equal(at.end.closed, 0);
    tls_end_fini(&at);
}

static void a_stream_may_be_closed_from_drained(void **state)
{
    (void)state;
    struct tls_end at;
    tls_end_open(&at, &files, &end_roomy);
    at.end.close_in_drained = true;
    end_append_pattern(&at.end, 0, 10);
    tls_end_run_until(&at, end_is_gone);
    tls_end_run_some_ticks(&at);
    assert_int_equal(at.end.closed, 0);
    tls_end_fini(&at);
}

static void a_loop_closes_the_streams_that_are_left(void **state)
{
    (void)state;
    struct tls_end at;
    tls_end_open(&at, &files, &end_roomy);
    sta_loop_destroy(&at.end.loop); /* the leak checker judges */
    at.end.stream = NULL;
    tls_end_fini(&at);
}

/* ---- tickets, providers ---- */

static void a_ticket_shortens_the_next_handshake(void **state)
{
    (void)state;
    struct tls_end at;
    struct sta_stream_config own = end_roomy;
    tls_end_open(&at, &files, &end_roomy);
    tls_end_run_some_ticks(&at);
    assert_non_null(at.ticket);
    sta_stream_close(&at.end.stream);
    close(at.end.peer);
    at.end.peer = -1;
    tls_peer_again(&at.peer);
    own.tls = at.tls;
    own.tls_ticket = &at.ticket;
    at.end.opened = 0;
    assert_int_equal(sta_stream_connect(&at.end.stream, at.end.loop, &at.endpoint, STA_NEVER, &own,
                                        &end_events, &at.end),
                     STRATA_OK);
    tls_end_run_until(&at, end_has_opened);
    assert_int_equal(at.end.status, STRATA_OK);
    assert_int_equal(SSL_session_reused(at.peer.ssl), 1);
    tls_end_fini(&at);
}

static void without_a_provider_it_is_said_what_to_link(void **state)
{
    (void)state;
    struct sta_tls *tls = NULL;
    struct strata_error error;
    const struct sta_tls_settings settings = {.ca_file = files.ca_file};
    assert_int_equal(sta_tls_open(&tls, NULL, &settings, &error), STRATA_ERR_UNSUPPORTED);
    assert_string_equal(error.text, "rediss:// needs TLS, which is a library of its own: link "
                                    "libstrata_tls (-lstrata_tls) and set tls_provider = "
                                    "strata_tls_openssl() in the options (strata/tls.h)");
    struct strata_tls_provider other = *strata_tls_openssl();
    other.abi++;
    assert_int_equal(sta_tls_open(&tls, &other, &settings, &error), STRATA_ERR_UNSUPPORTED);
    assert_string_equal(error.text, "libstrata_tls is of another version than libstrata (table 2, "
                                    "not 1): install both from one version");
    assert_null(tls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_in_both_directions),
        cmocka_unit_test(what_is_appended_before_the_handshake_waits_for_it),
        cmocka_unit_test(a_wire_of_single_bytes_is_enough),
        cmocka_unit_test(megabytes_arrive_consumed_as_they_come),
        cmocka_unit_test(megabytes_arrive_kept_until_they_are_whole),
        cmocka_unit_test(records_of_one_byte_are_shown_together),
        cmocka_unit_test(a_slow_peer_gets_everything_in_the_end),
        cmocka_unit_test(more_than_the_input_limit_unconsumed_ends_the_stream),
        cmocka_unit_test(pausing_from_received_loses_nothing),
        cmocka_unit_test(the_end_that_came_while_paused_is_told_after_what_was_kept),
        cmocka_unit_test(a_goodbye_is_the_end_after_the_last_bytes),
        cmocka_unit_test(after_the_peers_goodbye_it_is_still_written_to),
        cmocka_unit_test(a_connection_that_is_cut_between_records_is_an_error),
        cmocka_unit_test(a_connection_that_is_cut_within_a_record_is_an_error),
        cmocka_unit_test(a_connection_that_is_cut_within_the_handshake_is_not_opened),
        cmocka_unit_test(a_changed_byte_ends_the_stream_and_the_peer_is_told),
        cmocka_unit_test(a_server_that_is_refused_is_not_opened_and_is_told),
        cmocka_unit_test(a_server_that_refuses_us_ends_the_stream_with_its_reason),
        cmocka_unit_test(a_handshake_that_never_ends_is_given_up_in_time),
        cmocka_unit_test(the_time_of_the_handshake_does_not_bound_the_stream),
        cmocka_unit_test(who_closes_says_goodbye),
        cmocka_unit_test(a_stream_may_be_closed_from_received),
        cmocka_unit_test(a_stream_may_be_closed_from_drained),
        cmocka_unit_test(a_loop_closes_the_streams_that_are_left),
        cmocka_unit_test(a_ticket_shortens_the_next_handshake),
        cmocka_unit_test(without_a_provider_it_is_said_what_to_link),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
