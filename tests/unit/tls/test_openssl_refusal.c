/* SPDX-License-Identifier: MIT
 *
 * What we refuse, each with the reason that a log line gives: servers that cannot prove who they
 * are, servers that refuse us, and what is no TLS that we take.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "strata/tls.h"
#include "tls/openssl_inside.h"
#include "tls_link.h"

#define DAY_S 86400

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

/* ---- meeting a server ---- */

static struct sta_tls_settings settings(void)
{
    return (struct sta_tls_settings){.ca_file = files.ca_file};
}

/* What a certificate signed by our root says, but for what a test makes wrong. */
static struct certificate_plan good(void)
{
    return (struct certificate_plan){.cn = "Test Server",
                                     .names = "DNS:localhost",
                                     .usage = "serverAuth",
                                     .issuer = &files.root};
}

/* The server is refused with this text, over TLS 1.2 and 1.3; it gets to know, too. */
static void check_refused(const struct sta_tls_settings *ours, const struct tls_peer_plan *theirs,
                          const char *host, const char *reason)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t v = 0; v < 2; v++) {
        struct tls_link link;
        struct tls_peer_plan plan = *theirs;
        plan.version = versions[v];
        tls_link_init(&link, ours, &plan, host);
        tls_link_run(&link);
        assert_false(link.ready);
        assert_string_equal(link.reason, reason);
        assert_int_equal(link.status, STRATA_ERR_UNTRUSTED);
        assert_true(link.peer.failed && link.peer.alert[0] != '\0');
        assert_int_equal(link.peer.got, 0);
        tls_link_fini(&link);
    }
}

static void check_plan(const struct certificate_plan *plan, const char *reason)
{
    struct certificate bad;
    struct sta_tls_settings ours = settings();
    certificate_make(&bad, plan);
    check_refused(&ours, &(struct tls_peer_plan){.certificate = &bad}, "localhost", reason);
    certificate_fini(&bad);
}

static void a_good_certificate_is_taken(void **state)
{
    (void)state;
    struct tls_link link;
    struct certificate server;
    struct sta_tls_settings ours = settings();
    struct certificate_plan plan = good();
    certificate_make(&server, &plan);
    tls_link_init(&link, &ours, &(struct tls_peer_plan){.certificate = &server}, "localhost");
    tls_link_run(&link);
    assert_true(link.ready && link.peer.ready);
    tls_link_fini(&link);
    certificate_fini(&server);
}

/* ---- certificates ---- */

static void date(char *text, size_t cap, const ASN1_TIME *when)
{
    struct tm parts;
    assert_int_equal(ASN1_TIME_to_tm(when, &parts), 1);
    assert_true(strftime(text, cap, "%Y-%m-%d %H:%M:%S UTC", &parts) > 0);
}

static void one_that_has_expired(void **state)
{
    (void)state;
    struct certificate bad;
    char when[64], reason[200];
    struct sta_tls_settings ours = settings();
    struct certificate_plan plan = good();
    plan.from_s = -3 * DAY_S;
    plan.until_s = -DAY_S;
    certificate_make(&bad, &plan);
    date(when, sizeof when, X509_get0_notAfter(bad.x509));
    (void)snprintf(reason, sizeof reason, "the server's certificate has expired (%s)", when);
    check_refused(&ours, &(struct tls_peer_plan){.certificate = &bad}, "localhost", reason);
    certificate_fini(&bad);
}

static void one_that_is_not_valid_yet(void **state)
{
    (void)state;
    struct certificate bad;
    char when[64], reason[200];
    struct sta_tls_settings ours = settings();
    struct certificate_plan plan = good();
    plan.from_s = DAY_S;
    plan.until_s = 3 * DAY_S;
    certificate_make(&bad, &plan);
    date(when, sizeof when, X509_get0_notBefore(bad.x509));
    (void)snprintf(reason, sizeof reason, "the server's certificate is not valid yet (before %s)",
                   when);
    check_refused(&ours, &(struct tls_peer_plan){.certificate = &bad}, "localhost", reason);
    certificate_fini(&bad);
}

static void one_for_another_host(void **state)
{
    (void)state;
    struct certificate_plan plan = good();
    plan.names = "DNS:redis1.example,DNS:redis2.example,IP:10.0.0.1";
    check_plan(&plan, "the server's certificate is for redis1.example, redis2.example, 10.0.0.1, "
                      "not for localhost");
}

static void one_for_many_others(void **state)
{
    (void)state;
    struct certificate_plan plan = good();
    plan.names = "DNS:a-rather-long-name.number-one.example,DNS:a-rather-long-name.number-two."
                 "example,DNS:a-rather-long-name.number-three.example";
    check_plan(&plan, "the server's certificate is for a-rather-long-name.number-one.example, "
                      "a-rather-long-name.number-two.example and 1 more, not for localhost");
}

static void one_for_another_address(void **state)
{
    (void)state;
    static const char *const addresses[] = {"127.0.0.2", "::2"};
    struct sta_tls_settings ours = settings();
    for (size_t i = 0; i < 2; i++) {
        char reason[200];
        (void)snprintf(reason, sizeof reason,
                       "the server's certificate is for localhost, 127.0.0.1, ::1, not for %s",
                       addresses[i]);
        check_refused(&ours, &(struct tls_peer_plan){.certificate = &files.server}, addresses[i],
                      reason);
    }
}

/* A name that reads like an address does not name that address. */
static void one_whose_name_only_looks_like_the_address(void **state)
{
    (void)state;
    struct certificate bad;
    struct sta_tls_settings ours = settings();
    struct certificate_plan plan = good();
    plan.names = "DNS:127.0.0.1";
    certificate_make(&bad, &plan);
    check_refused(&ours, &(struct tls_peer_plan){.certificate = &bad}, "127.0.0.1",
                  "the server's certificate is for DNS:127.0.0.1, not for 127.0.0.1");
    certificate_fini(&bad);
}

static void one_that_names_the_host_in_its_common_name_only(void **state)
{
    (void)state;
    struct certificate_plan plan = good();
    plan.cn = "localhost";
    plan.names = NULL;
    check_plan(&plan, "the server's certificate names no host, and should name localhost (a common "
                      "name does not count: it needs a subjectAltName)");
}

static void one_whose_asterisk_is_part_of_a_label(void **state)
{
    (void)state;
    struct certificate bad;
    struct sta_tls_settings ours = settings();
    struct certificate_plan plan = good();
    plan.names = "DNS:re*.example.org";
    certificate_make(&bad, &plan);
    check_refused(&ours, &(struct tls_peer_plan){.certificate = &bad}, "redis.example.org",
                  "the server's certificate is for re*.example.org, not for redis.example.org");
    certificate_fini(&bad);
}

static void one_that_is_self_signed(void **state)
{
    (void)state;
    struct certificate_plan plan = good();
    plan.issuer = NULL;
    check_plan(&plan, "the server's certificate is self-signed, and not one that we trust "
                      "(tls_ca_file)");
}

static void one_of_an_unknown_ca(void **state)
{
    (void)state;
    struct certificate other, bad;
    struct sta_tls_settings ours = settings();
    struct certificate_plan plan = good();
    certificate_make(&other, &(struct certificate_plan){.cn = "Other Root", .ca = true});
    plan.issuer = &other;
    certificate_make(&bad, &plan);
    check_refused(
        &ours, &(struct tls_peer_plan){.certificate = &bad}, "localhost",
        "the server's certificate is signed by \"Other Root\", which we neither trust nor "
        "were sent: an unknown CA, or the server leaves out an intermediate certificate");
    check_refused(&ours, &(struct tls_peer_plan){.certificate = &bad, .extra = &other}, "localhost",
                  "the certificate of the CA \"Other Root\" is none that we trust (tls_ca_file)");
    certificate_fini(&bad);
    certificate_fini(&other);
}

static void one_whose_intermediate_is_left_out(void **state)
{
    (void)state;
    struct tls_link link;
    struct certificate middle, server;
    struct sta_tls_settings ours = settings();
    struct certificate_plan plan = good();
    certificate_make(&middle, &(struct certificate_plan){
                                  .cn = "Test Middle", .ca = true, .issuer = &files.root});
    plan.issuer = &middle;
    certificate_make(&server, &plan);
    check_refused(
        &ours, &(struct tls_peer_plan){.certificate = &server}, "localhost",
        "the server's certificate is signed by \"Test Middle\", which we neither trust nor "
        "were sent: an unknown CA, or the server leaves out an intermediate certificate");
    tls_link_init(&link, &ours, &(struct tls_peer_plan){.certificate = &server, .extra = &middle},
                  "localhost");
    tls_link_run(&link);
    assert_true(link.ready); /* sent along, it is fine */
    tls_link_fini(&link);
    certificate_fini(&server);
    certificate_fini(&middle);
}

static void one_whose_issuer_is_no_ca(void **state)
{
    (void)state;
    struct certificate bad;
    struct sta_tls_settings ours = settings();
    struct certificate_plan plan = good();
    plan.issuer = &files.server;
    certificate_make(&bad, &plan);
    check_refused(&ours, &(struct tls_peer_plan){.certificate = &bad, .extra = &files.server},
                  "localhost",
                  "the certificate of the CA \"Test Server\" is refused: invalid CA certificate");
    certificate_fini(&bad);
}

static void one_that_is_made_for_clients(void **state)
{
    (void)state;
    struct certificate_plan plan = good();
    plan.usage = "clientAuth";
    check_plan(&plan, "the server's certificate is not made for servers (extended key usage)");
}

static void one_with_a_short_key(void **state)
{
    (void)state;
    struct certificate_plan plan = good();
    plan.rsa_bits = 1024;
    check_plan(&plan, "the server's certificate has a key that is too short (1024 bits)");
}

static void one_with_a_weak_signature(void **state)
{
    (void)state;
    struct certificate_plan plan = good();
    plan.digest = "SHA1";
    check_plan(&plan,
               "the server's certificate is signed with a hash that is too weak (ecdsa-with-SHA1)");
}

static void one_that_has_been_revoked(void **state)
{
    (void)state;
    struct tls_link link;
    const char *path = certificate_folder_path(&files, "revoked.crl");
    struct sta_tls_settings ours = settings();
    ours.crl_file = path;
    certificate_write_crl(path, &files.root, &files.server, DAY_S);
    check_refused(&ours, &(struct tls_peer_plan){.certificate = &files.server}, "localhost",
                  "the server's certificate has been revoked (tls_crl_file)");
    certificate_write_crl(path, &files.root, &files.client, DAY_S);
    tls_link_init(&link, &ours, &(struct tls_peer_plan){.certificate = &files.server}, "localhost");
    tls_link_run(&link);
    assert_true(link.ready); /* another one was */
    tls_link_fini(&link);
}

static void one_that_may_have_been_revoked(void **state)
{
    (void)state;
    struct certificate other;
    struct sta_tls_settings ours = settings();
    const char *path = certificate_folder_path(&files, "other.crl");
    ours.crl_file = path;
    certificate_write_crl(path, &files.root, NULL, -DAY_S / 24);
    check_refused(&ours, &(struct tls_peer_plan){.certificate = &files.server}, "localhost",
                  "the server's certificate may be revoked: the list by \"Test Root\" in "
                  "tls_crl_file has expired");
    certificate_make(&other, &(struct certificate_plan){.cn = "Other Root", .ca = true});
    certificate_write_crl(path, &other, NULL, DAY_S);
    check_refused(&ours, &(struct tls_peer_plan){.certificate = &files.server}, "localhost",
                  "the server's certificate may be revoked: tls_crl_file holds no list by \"Test "
                  "Root\"");
    certificate_fini(&other);
}

static void what_a_certificate_says_of_itself_is_cleaned(void **state)
{
    (void)state;
    struct certificate other, bad;
    struct sta_tls_settings ours = settings();
    struct certificate_plan plan = good();
    certificate_make(&other, &(struct certificate_plan){.cn = "Evil\n\"\x1b[31m Root", .ca = true});
    plan.issuer = &other;
    certificate_make(&bad, &plan);
    check_refused(&ours, &(struct tls_peer_plan){.certificate = &bad, .extra = &other}, "localhost",
                  "the certificate of the CA \"Evil???[31m Root\" is none that we trust "
                  "(tls_ca_file)");
    certificate_fini(&bad);
    certificate_fini(&other);
}

static void verification_can_be_weakened_on_demand_only(void **state)
{
    (void)state;
    static const enum strata_tls_verify levels[] = {STRATA_TLS_VERIFY_CA, STRATA_TLS_VERIFY_NONE};
    struct certificate other, foreign;
    struct certificate_plan plan = good();
    certificate_make(&other, &(struct certificate_plan){.cn = "Other Root", .ca = true});
    plan.issuer = &other;
    certificate_make(&foreign, &plan);
    for (size_t i = 0; i < 2; i++) {
        struct tls_link link;
        struct sta_tls_settings ours = settings();
        ours.verify = levels[i];
        tls_link_init(&link, &ours, &(struct tls_peer_plan){.certificate = &files.server},
                      "elsewhere.example");
        tls_link_run(&link);
        assert_true(link.ready); /* for somebody else */
        tls_link_fini(&link);
        tls_link_init(&link, &ours, &(struct tls_peer_plan){.certificate = &foreign}, "localhost");
        tls_link_run(&link);
        assert_int_equal(link.ready, levels[i] == STRATA_TLS_VERIFY_NONE);
        tls_link_fini(&link);
    }
    certificate_fini(&foreign);
    certificate_fini(&other);
}

/* ---- servers that refuse us ---- */

static void check_denied(const struct sta_tls_settings *ours, int version, const char *reason,
                         int status)
{
    struct tls_link link;
    tls_link_init(&link, ours,
                  &(struct tls_peer_plan){
                      .certificate = &files.server, .clients = &files.root, .version = version},
                  "localhost");
    tls_link_run(&link);
    assert_string_equal(link.reason, reason);
    assert_int_equal(link.status, status);
    tls_link_fini(&link);
}

static void a_server_that_wants_a_certificate_and_gets_none(void **state)
{
    (void)state;
    struct sta_tls_settings ours = settings();
    static const char reason[] =
        "the server wants a client certificate, and none is configured (tls_cert_file)";
    check_denied(&ours, TLS1_2_VERSION, reason, STRATA_ERR_DENIED);
    check_denied(&ours, TLS1_3_VERSION, reason, STRATA_ERR_DENIED);
}

static void a_server_that_gets_the_certificate_of_another_ca(void **state)
{
    (void)state;
    struct certificate other, client;
    const struct certificate *chain = &client;
    struct sta_tls_settings ours = settings();
    static const char reason[] =
        "the server refuses our certificate (tls_cert_file): it does not know its CA";
    certificate_make(&other, &(struct certificate_plan){.cn = "Other Root", .ca = true});
    certificate_make(&client, &(struct certificate_plan){.cn = "Other Client", .issuer = &other});
    ours.cert_file = certificate_folder_path(&files, "other.crt");
    ours.key_file = certificate_folder_path(&files, "other.key");
    certificate_write(ours.cert_file, &chain, 1);
    certificate_write_key(ours.key_file, &client, NULL);
    check_denied(&ours, TLS1_2_VERSION, reason, STRATA_ERR_DENIED);
    check_denied(&ours, TLS1_3_VERSION, reason, STRATA_ERR_DENIED);
    certificate_fini(&client);
    certificate_fini(&other);
}

static void a_server_that_gets_an_expired_certificate(void **state)
{
    (void)state;
    struct certificate client;
    const struct certificate *chain = &client;
    struct sta_tls_settings ours = settings();
    certificate_make(&client, &(struct certificate_plan){.cn = "Old Client",
                                                         .from_s = -3 * DAY_S,
                                                         .until_s = -DAY_S,
                                                         .issuer = &files.root});
    ours.cert_file = certificate_folder_path(&files, "old.crt");
    ours.key_file = certificate_folder_path(&files, "old.key");
    certificate_write(ours.cert_file, &chain, 1);
    certificate_write_key(ours.key_file, &client, NULL);
    check_denied(&ours, TLS1_3_VERSION,
                 "the server refuses our certificate (tls_cert_file): it has expired",
                 STRATA_ERR_DENIED);
    certificate_fini(&client);
}

static void a_server_that_gets_the_right_certificate_is_content(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct sta_tls_settings ours = settings();
    ours.cert_file = files.client_file;
    ours.key_file = files.client_key;
    for (size_t v = 0; v < 2; v++) {
        struct tls_link link;
        tls_link_init(&link, &ours,
                      &(struct tls_peer_plan){.certificate = &files.server,
                                              .clients = &files.root,
                                              .version = versions[v]},
                      "localhost");
        tls_link_run(&link);
        assert_true(link.ready && link.peer.ready);
        tls_link_fini(&link);
    }
}

/* ---- what is no TLS that we take ---- */

static void a_version_that_is_too_old(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION};
    struct sta_tls_settings ours = settings();
    for (size_t v = 0; v < 2; v++) {
        struct tls_link link;
        tls_link_init(&link, &ours,
                      &(struct tls_peer_plan){.certificate = &files.server, .version = versions[v]},
                      "localhost");
        tls_link_run(&link);
        assert_string_equal(link.reason, "the server speaks no TLS of version 1.2 or newer");
        assert_int_equal(link.status, STRATA_ERR_PROTOCOL);
        tls_link_fini(&link);
    }
}

static void a_peer_that_speaks_no_tls(void **state)
{
    (void)state;
    static const char *const words[] = {"-ERR unknown command\r\n",
                                        "HTTP/1.1 400 Bad Request\r\n\r\n", "+PONG\r\n",
                                        "\x15\x03\x01\x7f\xff a record that is too long"};
    struct sta_tls_settings ours = settings();
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct tls_link link;
        tls_link_init(&link, &ours, &(struct tls_peer_plan){.certificate = &files.server},
                      "localhost");
        tls_link_feed(&link, strata_bytes(NULL, 0));
        tls_link_feed(&link, strata_text(words[i]));
        assert_string_equal(link.reason, "the peer does not speak TLS: is this a plain port?");
        assert_int_equal(link.status, STRATA_ERR_PROTOCOL);
        tls_link_fini(&link);
    }
}

static void a_server_that_leaves_during_the_handshake(void **state)
{
    (void)state;
    struct tls_link link;
    static const char goodbye[] = "\x15\x03\x03\x00\x02\x01\x00"; /* an alert, close_notify */
    struct sta_tls_settings ours = settings();
    tls_link_init(&link, &ours, &(struct tls_peer_plan){.certificate = &files.server}, "localhost");
    tls_link_feed(&link, strata_bytes(NULL, 0));
    tls_link_feed(&link, strata_bytes(goodbye, sizeof goodbye - 1));
    assert_string_equal(link.reason, "closed by the peer during the TLS handshake");
    assert_int_equal(link.status, STRATA_ERR_LOST);
    tls_link_fini(&link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_certificate_is_taken),
        cmocka_unit_test(one_that_has_expired),
        cmocka_unit_test(one_that_is_not_valid_yet),
        cmocka_unit_test(one_for_another_host),
        cmocka_unit_test(one_for_many_others),
        cmocka_unit_test(one_for_another_address),
        cmocka_unit_test(one_whose_name_only_looks_like_the_address),
        cmocka_unit_test(one_that_names_the_host_in_its_common_name_only),
        cmocka_unit_test(one_whose_asterisk_is_part_of_a_label),
        cmocka_unit_test(one_that_is_self_signed),
        cmocka_unit_test(one_of_an_unknown_ca),
        cmocka_unit_test(one_whose_intermediate_is_left_out),
        cmocka_unit_test(one_whose_issuer_is_no_ca),
        cmocka_unit_test(one_that_is_made_for_clients),
        cmocka_unit_test(one_with_a_short_key),
        cmocka_unit_test(one_with_a_weak_signature),
        cmocka_unit_test(one_that_has_been_revoked),
        cmocka_unit_test(one_that_may_have_been_revoked),
        cmocka_unit_test(what_a_certificate_says_of_itself_is_cleaned),
        cmocka_unit_test(verification_can_be_weakened_on_demand_only),
        cmocka_unit_test(a_server_that_wants_a_certificate_and_gets_none),
        cmocka_unit_test(a_server_that_gets_the_certificate_of_another_ca),
        cmocka_unit_test(a_server_that_gets_an_expired_certificate),
        cmocka_unit_test(a_server_that_gets_the_right_certificate_is_content),
        cmocka_unit_test(a_version_that_is_too_old),
        cmocka_unit_test(a_peer_that_speaks_no_tls),
        cmocka_unit_test(a_server_that_leaves_during_the_handshake),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
