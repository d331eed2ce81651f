/* SPDX-License-Identifier: MIT
 *
 * Sessions against a server in memory: whatever the sizes and splits, what is said arrives, and
 * how it ended is known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "strata/tls.h"
#include "tls/openssl_inside.h"
#include "tls_link.h"

static struct certificate_folder files;

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

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

static void link_up(struct tls_link *link, int version, size_t step)
{
    tls_link_init(link, &(struct sta_tls_settings){.ca_file = files.ca_file},
                  &(struct tls_peer_plan){.certificate = &files.server, .version = version},
                  "localhost");
    link->step = step;
    tls_link_run(link);
    assert_true(link->ready && link->peer.ready);
    assert_int_equal(link->status, STA_TLS_MORE);
}

static uint8_t *pattern(size_t len)
{
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 251);
    return bytes;
}

/* ---- bytes ---- */

static void bytes_of_any_number_arrive_in_both_directions(void **state)
{
    (void)state;
    static const size_t lens[] = {1, 2, 100, 16383, 16384, 16385, 40000, 200000};
    for (size_t v = 0; v < 2; v++) {
        struct tls_link link;
        link_up(&link, versions[v], 0);
        for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
            uint8_t *bytes = pattern(lens[i]);
            link.peer.got = 0;
            sta_buffer_clear(&link.got);
            tls_link_say(&link, strata_bytes(bytes, lens[i]));
            assert_int_equal(link.peer.got, lens[i]);
            assert_memory_equal(link.peer.plain, bytes, lens[i]);
            tls_peer_say(&link.peer, strata_bytes(bytes, lens[i]), 0);
            tls_link_run(&link);
            assert_int_equal(sta_buffer_len(&link.got), lens[i]);
            assert_memory_equal(sta_buffer_bytes(&link.got).data, bytes, lens[i]);
            free(bytes);
        }
        tls_link_fini(&link);
    }
}

static void records_of_one_byte_arrive(void **state)
{
    (void)state;
    struct tls_link link;
    uint8_t *bytes = pattern(3000);
    link_up(&link, TLS1_3_VERSION, 0);
    tls_peer_say(&link.peer, strata_bytes(bytes, 3000), 1);
    tls_link_run(&link);
    assert_int_equal(sta_buffer_len(&link.got), 3000);
    assert_memory_equal(sta_buffer_bytes(&link.got).data, bytes, 3000);
    free(bytes);
    tls_link_fini(&link);
}

static void a_wire_that_carries_single_bytes_is_enough(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        struct tls_link link;
        uint8_t *bytes = pattern(20000);
        link_up(&link, versions[v], 1);
        tls_link_say(&link, strata_bytes(bytes, 20000));
        assert_memory_equal(link.peer.plain, bytes, 20000);
        tls_peer_say(&link.peer, strata_bytes(bytes, 20000), 0);
        tls_link_run(&link);
        assert_int_equal(sta_buffer_len(&link.got), 20000);
        assert_memory_equal(sta_buffer_bytes(&link.got).data, bytes, 20000);
        free(bytes);
        tls_link_fini(&link);
    }
}

/* Everything that the server ever says in a short conversation, in two parts. */
static void input_may_be_cut_anywhere(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        bool was_longer = true;
        for (size_t cut = 1; was_longer; cut++) {
            struct tls_link link;
            tls_link_init(
                &link, &(struct sta_tls_settings){.ca_file = files.ca_file},
                &(struct tls_peer_plan){.certificate = &files.server, .version = versions[v]},
                "localhost");
            tls_link_feed(&link, strata_bytes(NULL, 0));
            tls_peer_take(&link.peer, sta_buffer_bytes(&link.wire));
            sta_buffer_clear(&link.wire);
            struct strata_bytes flight = tls_peer_out(&link.peer);
            was_longer = cut < flight.len;
            link.step = was_longer ? cut : 0;
            tls_link_feed(&link, strata_bytes(flight.data, was_longer ? cut : flight.len));
            if (was_longer)
                tls_link_feed(&link,
                              strata_bytes((const char *)flight.data + cut, flight.len - cut));
            tls_peer_drop(&link.peer, flight.len);
            link.step = 0;
            tls_link_run(&link);
            assert_true(link.ready && link.peer.ready);
            tls_link_fini(&link);
        }
    }
}

static void the_answer_may_come_with_the_end_of_the_handshake(void **state)
{
    (void)state;
    struct tls_link link;
    tls_link_init(&link, &(struct sta_tls_settings){.ca_file = files.ca_file},
                  &(struct tls_peer_plan){.certificate = &files.server, .version = TLS1_2_VERSION},
                  "localhost");
    tls_link_feed(&link, strata_bytes(NULL, 0));
    for (unsigned i = 0; i < 2; i++) { /* in TLS 1.2 the server has the last word */
        tls_peer_take(&link.peer, sta_buffer_bytes(&link.wire));
        sta_buffer_clear(&link.wire);
        if (i == 0) {
            struct strata_bytes flight = tls_peer_out(&link.peer);
            tls_link_feed(&link, flight);
            tls_peer_drop(&link.peer, flight.len);
        }
    }
    assert_true(link.peer.ready && !link.ready);
    tls_peer_say(&link.peer, strata_text("+PONG\r\n"), 0);
    tls_link_run(&link);
    assert_int_equal(sta_buffer_len(&link.got), 7);
    tls_link_fini(&link);
}

/* ---- keys ---- */

static void the_servers_new_keys_are_taken_and_answered(void **state)
{
    (void)state;
    struct tls_link link;
    link_up(&link, TLS1_3_VERSION, 1);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(SSL_key_update(link.peer.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        tls_peer_say(&link.peer, strata_text("hello"), 0);
        tls_link_run(&link);
        tls_link_say(&link, strata_text("there"));
    }
    assert_int_equal(sta_buffer_len(&link.got), 50);
    assert_int_equal(link.peer.got, 50);
    tls_link_fini(&link);
}

static unsigned key_updates;

static void count_key_updates(int write, int version, int kind, const void *bytes, size_t len,
                              SSL *ssl, void *arg)
{
    (void)version;
    (void)ssl;
    (void)arg;
    if (write == 0 && kind == SSL3_RT_HANDSHAKE && len > 0 &&
        *(const uint8_t *)bytes == SSL3_MT_KEY_UPDATE)
        key_updates++;
}

static void keys_are_renewed_before_they_have_served_too_long(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        struct tls_link link;
        link_up(&link, versions[v], 0);
        SSL_set_msg_callback(link.peer.ssl, count_key_updates);
        key_updates = 0;
        tls_link_say(&link, strata_text("one"));
        assert_int_equal(key_updates, 0);
        link.session->records = (UINT64_C(1) << 22) - 1;
        tls_link_say(&link, strata_text("two"));
        assert_int_equal(key_updates, versions[v] == TLS1_3_VERSION);
        assert_int_equal(link.session->records < 10, 1);
        tls_peer_say(&link.peer, strata_text("three"), 0);
        tls_link_run(&link);
        assert_memory_equal(sta_buffer_bytes(&link.got).data, "three", 5);
        assert_memory_equal(link.peer.plain, "onetwo", 6);
        tls_link_fini(&link);
    }
}

static void renegotiation_is_refused(void **state)
{
    (void)state;
    struct tls_link link;
    link_up(&link, TLS1_2_VERSION, 0);
    assert_int_equal(SSL_renegotiate(link.peer.ssl), 1);
    (void)SSL_do_handshake(link.peer.ssl);
    tls_link_run(&link);
    assert_true(SSL_get_state(link.session->ssl) == TLS_ST_OK); /* it did not begin again */
    tls_link_fini(&link);
}

/* ---- the end ---- */

static void a_goodbye_is_heard_and_said(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        struct tls_link link;
        link_up(&link, versions[v], 0);
        tls_peer_say(&link.peer, strata_text("last"), 0);
        (void)SSL_shutdown(link.peer.ssl);
        struct strata_bytes bytes = tls_peer_out(&link.peer);
        tls_link_feed(&link, bytes);
        tls_peer_drop(&link.peer, bytes.len);
        assert_int_equal(link.status, STA_TLS_END);
        assert_memory_equal(sta_buffer_bytes(&link.got).data, "last", 4);
        tls_link_feed(&link, strata_bytes(NULL, 0));
        assert_int_equal(link.status, STA_TLS_END); /* and stays so */
        tls_link_say(&link, strata_text("bye"));
        tls_link_goodbye(&link);
        assert_memory_equal(link.peer.plain, "bye", 3); /* our half was still open */
        assert_true(link.peer.ended);
        tls_link_fini(&link);
    }
}

static void a_changed_byte_ends_the_session(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        struct tls_link link;
        uint8_t wire[256];
        link_up(&link, versions[v], 0);
        tls_peer_say(&link.peer, strata_text("hello"), 0);
        struct strata_bytes bytes = tls_peer_out(&link.peer);
        assert_true(bytes.len < sizeof wire);
        memcpy(wire, bytes.data, bytes.len);
        wire[bytes.len - 3] ^= 1;
        tls_link_feed(&link, strata_bytes(wire, bytes.len));
        assert_int_equal(link.status, STRATA_ERR_PROTOCOL);
        assert_string_equal(link.reason, "a record was changed on its way (its code does not fit)");
        assert_int_equal(sta_buffer_len(&link.got), 0);
        tls_link_fini(&link);
    }
}

static void what_came_before_a_bad_record_is_delivered(void **state)
{
    (void)state;
    struct tls_link link;
    uint8_t wire[512];
    link_up(&link, TLS1_3_VERSION, 0);
    tls_peer_say(&link.peer, strata_text("hello"), 1);
    struct strata_bytes bytes = tls_peer_out(&link.peer);
    assert_true(bytes.len < sizeof wire);
    memcpy(wire, bytes.data, bytes.len);
    wire[bytes.len - 1] ^= 1;
    tls_link_feed(&link, strata_bytes(wire, bytes.len));
    assert_int_equal(link.status, STRATA_ERR_PROTOCOL);
    assert_int_equal(sta_buffer_len(&link.got), 4);
    assert_memory_equal(sta_buffer_bytes(&link.got).data, "hell", 4);
    tls_link_fini(&link);
}

static void a_wire_that_takes_no_more_ends_the_session_with_its_code(void **state)
{
    (void)state;
    struct tls_link link;
    link_up(&link, TLS1_3_VERSION, 0);
    link.put_status = STRATA_ERR_TOO_BIG;
    assert_int_equal(tls_link_try_to_say(&link, strata_text("hello")), STRATA_ERR_TOO_BIG);
    assert_string_equal(link.reason, "");
    tls_link_fini(&link);
}

/* ---- tickets, names ---- */

static void a_server_that_is_met_again_is_known(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        struct tls_link link;
        link_up(&link, versions[v], 0);
        assert_non_null(link.ticket);
        assert_int_equal(SSL_session_reused(link.session->ssl), 0);
        for (unsigned i = 0; i < 3; i++) { /* the server vanishes without a word each time */
            tls_link_again(&link, "localhost");
            tls_link_run(&link);
            assert_true(link.ready && link.peer.ready);
            assert_int_equal(SSL_session_reused(link.session->ssl), 1);
            tls_link_say(&link, strata_text("hello again"));
            assert_int_equal(link.peer.got, 11);
        }
        tls_link_fini(&link);
    }
}

static void a_ticket_that_nobody_knows_does_no_harm(void **state)
{
    (void)state;
    struct tls_link link;
    struct tls_peer restarted;
    link_up(&link, TLS1_3_VERSION, 0);
    tls_link_again(&link, "localhost");
    tls_peer_open(&restarted, &(struct tls_peer_plan){.certificate = &files.server});
    tls_peer_close(&link.peer);
    link.peer = restarted;
    SSL_set_app_data(link.peer.ssl, &link.peer);
    tls_link_run(&link);
    assert_true(link.ready);
    assert_int_equal(SSL_session_reused(link.session->ssl), 0);
    tls_link_fini(&link);
}

static const char *asked_name(const struct tls_link *link)
{
    return SSL_get_servername(link->peer.ssl, TLSEXT_NAMETYPE_host_name);
}

static void hosts_are_asked_for_by_name_and_addresses_are_not(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        const char *asked;
    } cases[] = {
        {"localhost", "localhost"}, {"localhost.", "localhost"}, {"127.0.0.1", NULL}, {"::1", NULL},
        {"::1%lo", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tls_link link;
        tls_link_init(&link, &(struct sta_tls_settings){.ca_file = files.ca_file},
                      &(struct tls_peer_plan){.certificate = &files.server}, cases[i].host);
        tls_link_run(&link);
        if (!link.ready)
            fail_msg("%s: %s", cases[i].host, link.reason);
        if (cases[i].asked != NULL)
            assert_string_equal(asked_name(&link), cases[i].asked);
        else
            assert_null(asked_name(&link));
        tls_link_fini(&link);
    }
}

static void the_configured_name_goes_before_the_host(void **state)
{
    (void)state;
    struct tls_link link;
    tls_link_init(&link,
                  &(struct sta_tls_settings){.ca_file = files.ca_file, .server_name = "localhost"},
                  &(struct tls_peer_plan){.certificate = &files.server}, "10.1.2.3");
    tls_link_run(&link);
    assert_true(link.ready);
    assert_string_equal(asked_name(&link), "localhost");
    tls_link_fini(&link);
}

static void a_host_that_no_certificate_can_name_is_refused(void **state)
{
    (void)state;
    const struct strata_tls_provider *tls = strata_tls_openssl();
    struct sta_tls_context *context = NULL;
    struct sta_tls_session *session = NULL;
    char too_long[300];
    memset(too_long, 'a', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    assert_int_equal(
        tls->context_open(&context, &(struct sta_tls_settings){.ca_file = files.ca_file}, NULL),
        STRATA_OK);
    assert_int_equal(tls->session_create(&session, context, "", NULL), STRATA_ERR_INVALID);
    assert_int_equal(tls->session_create(&session, context, too_long, NULL), STRATA_ERR_INVALID);
    assert_null(session);
    tls->context_close(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_any_number_arrive_in_both_directions),
        cmocka_unit_test(records_of_one_byte_arrive),
        cmocka_unit_test(a_wire_that_carries_single_bytes_is_enough),
        cmocka_unit_test(input_may_be_cut_anywhere),
        cmocka_unit_test(the_answer_may_come_with_the_end_of_the_handshake),
        cmocka_unit_test(the_servers_new_keys_are_taken_and_answered),
        cmocka_unit_test(keys_are_renewed_before_they_have_served_too_long),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(a_goodbye_is_heard_and_said),
        cmocka_unit_test(a_changed_byte_ends_the_session),
        cmocka_unit_test(what_came_before_a_bad_record_is_delivered),
        cmocka_unit_test(a_wire_that_takes_no_more_ends_the_session_with_its_code),
        cmocka_unit_test(a_server_that_is_met_again_is_known),
        cmocka_unit_test(a_ticket_that_nobody_knows_does_no_harm),
        cmocka_unit_test(hosts_are_asked_for_by_name_and_addresses_are_not),
        cmocka_unit_test(the_configured_name_goes_before_the_host),
        cmocka_unit_test(a_host_that_no_certificate_can_name_is_refused),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
