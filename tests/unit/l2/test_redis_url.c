/* SPDX-License-Identifier: MIT
 *
 * URLs of Redis: what is taken, what is refused and why, and that no text shows a password.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "l2/redis_url.h"

static struct sta_redis_url parsed(const char *text)
{
    struct sta_redis_url url;
    struct strata_error error = {0};
    memset(&url, 0xa5, sizeof url);
    if (sta_redis_url_parse(text, &url, &error) != STRATA_OK)
        fail_msg("\"%s\" is refused: %s", text, error.text);
    return url;
}

/* `text` is refused for a reason that has `part` in it; nothing is written, and "sEcReT", which
 * stands for a secret, is not repeated. */
static void check_refused(const char *text, const char *part)
{
    struct sta_redis_url url, before;
    struct strata_error error = {0};
    memset(&url, 0xa5, sizeof url);
    before = url;
    assert_int_equal(sta_redis_url_parse(text, &url, &error), STRATA_ERR_INVALID);
    assert_int_equal(error.status, STRATA_ERR_INVALID);
    if (strstr(error.text, part) == NULL)
        fail_msg("\"%s\": the reason is \"%s\", not \"%s\"", text, error.text, part);
    if (strstr(error.text, "sEcReT") != NULL)
        fail_msg("\"%s\": the reason shows a secret: \"%s\"", text, error.text);
    assert_memory_equal(&url, &before, sizeof url);
    assert_int_equal(sta_redis_url_parse(text, &url, NULL), STRATA_ERR_INVALID);
}

static void check_tcp(const char *text, const char *host, unsigned port, uint32_t db)
{
    struct sta_redis_url url = parsed(text);
    assert_int_equal(url.endpoint.kind, STA_ENDPOINT_TCP);
    assert_string_equal(url.endpoint.address, host);
    assert_int_equal(url.endpoint.port, port);
    assert_int_equal(url.db, db);
    assert_string_equal(url.user, "");
    assert_string_equal(url.password, "");
    assert_int_equal(url.timeout_ms, 0);
}

static void the_default_url_is_understood(void **state)
{
    (void)state;
    check_tcp("redis://localhost:6379/0", "localhost", 6379, 0);
    assert_false(parsed("redis://localhost:6379/0").tls);
}

static void port_and_db_have_defaults(void **state)
{
    (void)state;
    check_tcp("redis://h", "h", 6379, 0);
    check_tcp("redis://h/", "h", 6379, 0);
    check_tcp("redis://h/7", "h", 6379, 7);
    check_tcp("redis://h:1234", "h", 1234, 0);
    check_tcp("redis://h?db=3", "h", 6379, 3);
    check_tcp("redis://h/?db=3", "h", 6379, 3);
    check_tcp("redis://h:1?", "h", 1, 0);
    check_tcp("redis://h?db=5&", "h", 6379, 5);
    check_tcp("redis://unix:6379", "unix", 6379, 0);
    check_tcp("redis://h/2147483647", "h", 6379, 2147483647);
}

static void schemes_are_of_any_case_and_there_are_three(void **state)
{
    (void)state;
    check_tcp("REDIS://h", "h", 6379, 0);
    assert_true(parsed("rediss://h:6390/1").tls);
    assert_int_equal(parsed("rediss://h:6390/1").endpoint.port, 6390);
    assert_int_equal(parsed("rediss://h:6390/1").db, 1);
    assert_false(parsed("Unix:///run/redis.sock").tls);
    check_refused("", "must begin with");
    check_refused("localhost:6379", "must begin with");
    check_refused("http://h", "must begin with");
    check_refused("redis:/h", "must begin with");
    check_refused("redis+unix:///x", "must begin with");
    check_refused(" redis://h", "must begin with");
}

static void ipv6_hosts_stand_in_brackets(void **state)
{
    (void)state;
    check_tcp("redis://[::1]", "::1", 6379, 0);
    check_tcp("redis://[::1]/4", "::1", 6379, 4);
    check_tcp("redis://[2001:db8::1]:7001/4", "2001:db8::1", 7001, 4);
    assert_string_equal(parsed("redis://u:p@[::1]:7").endpoint.address, "::1");
    check_refused("redis://::1", "brackets");
    check_refused("redis://2001:db8::1/0", "brackets");
    check_refused("redis://[::1", "]");
    check_refused("redis://[::1]x", "port is missing");
    check_refused("redis://[nonsense]", "no IPv6");
}

static void a_missing_or_impossible_host_is_refused(void **state)
{
    (void)state;
    check_refused("redis://", "host is missing");
    check_refused("redis:///0", "host is missing");
    check_refused("redis://:6379", "host is missing");
    check_refused("redis://:sEcReT@", "host is missing");
    check_refused("redis://:sEcReT@:6379/0", "host is missing");
    check_refused("redis://a b", "no host name");
    check_refused("redis://a%20b", "no host name");
    check_refused("redis://300.1.1.1", "no IPv4");
    check_refused("redis://a,b:6379", "no host name");
}

static void the_length_of_a_host_is_bounded(void **state)
{
    (void)state;
    char text[2000] = "redis://";
    memset(text + 8, 'a', 1000);
    check_refused(text, "too long");
    text[8 + 256] = '\0';
    check_refused(text, "too long");
    text[8 + 200] = '\0';
    check_refused(text, "no host name");
}

static void bad_ports_are_refused(void **state)
{
    (void)state;
    check_refused("redis://h:", "port is missing");
    check_refused("redis://h:/0", "port is missing");
    check_refused("redis://h:0", "1 to 65535");
    check_refused("redis://h:65536", "more than 65535");
    check_refused("redis://h:abc/0", "not a number");
    check_refused("redis://h:-1/0", "not a number");
    check_refused("redis://h:63 79/0", "not a number");
}

static void a_db_is_a_number(void **state)
{
    (void)state;
    check_refused("redis://h/abc", "the db must be a number");
    check_refused("redis://h/-1", "the db must be a number");
    check_refused("redis://h/1/2", "the db must be a number");
    check_refused("redis://h/0 ", "the db must be a number");
    check_refused("redis://h/2147483648", "the db must be a number");
    check_refused("redis://h?db=", "the db must be a number");
    check_refused("redis://h?db", "the db must be a number");
    check_refused("redis://h?db=x", "the db must be a number");
    check_refused("redis://h?db=00000000000000000000000000000000000000001", "must be a number");
}

static void a_db_is_given_once(void **state)
{
    (void)state;
    check_refused("redis://h/1?db=1", "given twice");
    check_refused("redis://h?db=1&db=1", "given twice");
    check_refused("unix:///s?db=0&db=1", "given twice");
}

static void users_and_passwords_are_taken_apart(void **state)
{
    (void)state;
    struct sta_redis_url url = parsed("redis://bob:sEcReT@h:1/2");
    assert_string_equal(url.user, "bob");
    assert_string_equal(url.password, "sEcReT");
    assert_string_equal(url.endpoint.address, "h");
    assert_int_equal(url.endpoint.port, 1);
    assert_int_equal(url.db, 2);

    url = parsed("redis://:sEcReT@h");
    assert_string_equal(url.user, "");
    assert_string_equal(url.password, "sEcReT");

    url = parsed("redis://bob:with:colons@h");
    assert_string_equal(url.user, "bob");
    assert_string_equal(url.password, "with:colons");

    url = parsed("redis://bob:with@ats@h");
    assert_string_equal(url.password, "with@ats");
    assert_string_equal(url.endpoint.address, "h");
}

static void no_user_and_no_password_may_be_spelled_out(void **state)
{
    (void)state;
    check_tcp("redis://@h", "h", 6379, 0);
    check_tcp("redis://:@h", "h", 6379, 0);
}

static void a_user_without_a_password_is_refused(void **state)
{
    (void)state;
    check_refused("redis://sEcReT@h", "no password");
    check_refused("redis://sEcReT:@h", "no password");
    check_refused("unix://sEcReT@/run/redis.sock", "no password");
}

static void percent_encoding_is_undone(void **state)
{
    (void)state;
    struct sta_redis_url url = parsed("redis://b%6fb%3a:%40%2F%3f%23%25%fF%0A@h?db=%31");
    assert_string_equal(url.user, "bob:");
    assert_string_equal(url.password, "@/?#%\xff\n");
    assert_int_equal(url.db, 1);
    assert_string_equal(parsed("unix:///run/a%20b%3fc").endpoint.address, "/run/a b?c");
}

static void broken_percent_encoding_is_refused(void **state)
{
    (void)state;
    check_refused("redis://u:sEcReT%@h", "password has a %");
    check_refused("redis://u:sEcReT%4@h", "password has a %");
    check_refused("redis://u:sEcReT%G0@h", "password has a %");
    check_refused("redis://u:sEcReT%0g@h", "password has a %");
    check_refused("redis://u:sEcReT%00@h", "password has a %");
    check_refused("redis://sEcReT%zz:p@h", "user has a %");
    check_refused("unix:///a%", "path has a %");
    check_refused("unix:///a%00b", "path has a %");
    check_refused("redis://h?db=%3", "db must be a number");
}

static void the_lengths_of_user_and_password_are_bounded(void **state)
{
    (void)state;
    char text[1200];
    char fill[600];
    memset(fill, 'x', sizeof fill);
    (void)snprintf(text, sizeof text, "redis://%.127s:%.511s@h", fill, fill);
    assert_int_equal(strlen(parsed(text).user), 127);
    assert_int_equal(strlen(parsed(text).password), 511);
    (void)snprintf(text, sizeof text, "redis://%.128s:%.511s@h", fill, fill);
    check_refused(text, "longer than 127");
    (void)snprintf(text, sizeof text, "redis://%.127s:%.512s@h", fill, fill);
    check_refused(text, "longer than 511");
}

static void misplaced_characters_of_a_password_show_nothing(void **state)
{
    (void)state;
    check_refused("redis://u:12/sEcReT@h:6379/0", "%2F");
    check_refused("redis://u:12?sEcReT@h:6379/0", "%3F");
    check_refused("redis://u:12#sEcReT@h:6379/0", "%23");
    check_refused("redis://h/sEcReT", "db must be");
    check_refused("redis://u:sEcReT", "not a number");
    check_refused("unix://u:12/sEcReT@/run/x", "no host");
    check_refused("redis://h?db=sEcReT", "db must be");
    check_refused("redis://h?sEcReT/x", "unknown option");
}

static void unix_sockets_are_understood(void **state)
{
    (void)state;
    struct sta_redis_url url = parsed("unix:///run/redis.sock");
    assert_int_equal(url.endpoint.kind, STA_ENDPOINT_UNIX);
    assert_string_equal(url.endpoint.address, "/run/redis.sock");
    assert_int_equal(url.db, 0);
    url = parsed("unix://bob:sEcReT@/run/r@1.sock?db=9");
    assert_string_equal(url.user, "bob");
    assert_string_equal(url.password, "sEcReT");
    assert_string_equal(url.endpoint.address, "/run/r@1.sock");
    assert_int_equal(url.db, 9);
    check_refused("unix://", "path of the socket is missing");
    check_refused("unix://:sEcReT@", "path of the socket is missing");
    check_refused("unix://run/redis.sock", "no host");
    check_refused("unix:///a%0ab", "control character");
}

static void the_length_of_a_path_is_bounded(void **state)
{
    (void)state;
    char text[600] = "unix:///";
    memset(text + 8, 'x', 500);
    check_refused(text, "longer than 107");
    text[7 + 108] = '\0';
    check_refused(text, "longer than 107");
    text[7 + 107] = '\0';
    assert_int_equal(strlen(parsed(text).endpoint.address), 107);
}

static void the_timeout_is_an_option(void **state)
{
    (void)state;
    assert_int_equal(parsed("redis://h?timeout=5").timeout_ms, 5000);
    assert_int_equal(parsed("redis://h/1?timeout=0.25").timeout_ms, 250);
    assert_int_equal(parsed("unix:///s?db=1&timeout=3600").timeout_ms, 3600000);
    check_refused("redis://h?timeout=", "timeout must be");
    check_refused("redis://h?timeout=0", "timeout must be");
    check_refused("redis://h?timeout=3600.001", "timeout must be");
    check_refused("redis://h?timeout=-1", "timeout must be");
    check_refused("redis://h?timeout=5s", "timeout must be");
    check_refused("redis://h?timeout=1&timeout=2", "given twice");
}

static void unknown_options_are_refused_and_named(void **state)
{
    (void)state;
    check_refused("redis://h?ssl=1", "unknown option \"ssl\"; allowed: db, timeout");
    check_refused("redis://h?DB=1", "unknown option \"DB\"");
    check_refused("redis://h?db=1&&timeout=1", "unknown option; allowed: db, timeout");
    check_refused("redis://h?=1", "unknown option;");
    check_refused("redis://h?a\nb=1", "unknown option;");
    check_refused("redis://h?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "option;");
}

/* ---- TLS ---- */

static struct sta_redis_url_tls tls_of(const char *text)
{
    struct sta_redis_url url;
    struct sta_redis_url_tls tls;
    struct strata_error error = {0};
    memset(&tls, 0xa5, sizeof tls);
    if (sta_redis_url_parse_tls(text, &url, &tls, &error) != STRATA_OK)
        fail_msg("\"%s\" is refused: %s", text, error.text);
    return tls;
}

static void tls_has_options_of_its_own(void **state)
{
    (void)state;
    struct sta_redis_url_tls tls = tls_of("rediss://h");
    assert_string_equal(tls.ca_file, "");
    assert_int_equal(tls.verify, STRATA_TLS_VERIFY_DEFAULT);
    tls = tls_of("rediss://h/1?cacert=/etc/ca%26b.crt&cacertdir=/etc/cas&cert=c&key=k&timeout=1&"
                 "sni=redis.example&verify=ca");
    assert_string_equal(tls.ca_file, "/etc/ca&b.crt");
    assert_string_equal(tls.ca_dir, "/etc/cas");
    assert_string_equal(tls.cert_file, "c");
    assert_string_equal(tls.key_file, "k");
    assert_string_equal(tls.server_name, "redis.example");
    assert_int_equal(tls.verify, STRATA_TLS_VERIFY_CA);
    assert_int_equal(tls_of("rediss://h?verify=full").verify, STRATA_TLS_VERIFY_FULL);
    assert_int_equal(tls_of("rediss://h?verify=none").verify, STRATA_TLS_VERIFY_NONE);
}

static void the_names_that_python_has_for_them_are_understood(void **state)
{
    (void)state;
    struct sta_redis_url_tls tls =
        tls_of("rediss://h?ssl_ca_certs=a&ssl_ca_path=b&ssl_certfile=c&ssl_keyfile=d");
    assert_string_equal(tls.ca_file, "a");
    assert_string_equal(tls.ca_dir, "b");
    assert_string_equal(tls.cert_file, "c");
    assert_string_equal(tls.key_file, "d");
    static const struct {
        const char *text;
        enum strata_tls_verify verify;
    } cases[] = {
        {"rediss://h?ssl_cert_reqs=required", STRATA_TLS_VERIFY_FULL},
        {"rediss://h?ssl_cert_reqs=CERT_REQUIRED", STRATA_TLS_VERIFY_FULL},
        {"rediss://h?ssl_cert_reqs=none", STRATA_TLS_VERIFY_NONE},
        {"rediss://h?ssl_cert_reqs=CERT_NONE&ssl_check_hostname=true", STRATA_TLS_VERIFY_NONE},
        {"rediss://h?ssl_cert_reqs=required&ssl_check_hostname=False", STRATA_TLS_VERIFY_CA},
        {"rediss://h?ssl_check_hostname=false", STRATA_TLS_VERIFY_CA},
        {"rediss://h?ssl_check_hostname=true", STRATA_TLS_VERIFY_FULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(tls_of(cases[i].text).verify, cases[i].verify);
}

static void options_of_tls_are_checked(void **state)
{
    (void)state;
    char text[400] = "rediss://h?cacert=";
    check_refused("redis://h?cacert=x", "the option cacert is for rediss:// only");
    check_refused("unix:///s?verify=full", "the option verify is for rediss:// only");
    check_refused("rediss://h?cacert=", "the option cacert is empty");
    check_refused("rediss://h?cacert", "the option cacert is empty");
    check_refused("rediss://h?cacert=a&ssl_ca_certs=b", "the option ssl_ca_certs is given twice");
    check_refused("rediss://h?cert=%zz", "the option cert is longer than 255 bytes, or has a %");
    check_refused("rediss://h?verify=maybe", "the option verify must be full, ca or none");
    check_refused("rediss://h?verify=", "the option verify must be full, ca or none");
    check_refused("rediss://h?verify=full&verify=none", "the option verify is given twice");
    check_refused("rediss://h?ssl_cert_reqs=optional", "must be required or none");
    check_refused("rediss://h?ssl_check_hostname=1", "must be true or false");
    check_refused("rediss://h?tls=1", "unknown option \"tls\"; allowed: db, timeout, cacert, "
                                      "cacertdir, cert, key, sni, verify");
    size_t begin = strlen(text);
    memset(text + begin, 'x', 256);
    check_refused(text, "the option cacert is longer than 255 bytes");
    text[begin + 255] = '\0';
    assert_int_equal(strlen(tls_of(text).ca_file), 255);
}

static void a_fragment_is_refused(void **state)
{
    (void)state;
    check_refused("redis://h#x", "%23");
    check_refused("redis://h/0#x", "%23");
}

static void check_format(const char *text, const char *expected)
{
    char formatted[400];
    struct sta_redis_url url = parsed(text);
    sta_redis_url_format(&url, formatted, sizeof formatted);
    assert_string_equal(formatted, expected);
}

static void formatting_leaves_the_secrets_out(void **state)
{
    (void)state;
    check_format("redis://bob:sEcReT@h", "redis://h:6379/0");
    check_format("rediss://bob:sEcReT@[::1]:7/3", "rediss://[::1]:7/3");
    check_format("unix://:sEcReT@/run/x.sock", "unix:///run/x.sock");
    check_format("unix:///run/x.sock?db=4", "unix:///run/x.sock?db=4");
}

static void check_mask(const char *text, const char *expected)
{
    char masked[200];
    sta_redis_url_mask(text, masked, sizeof masked);
    assert_string_equal(masked, expected);
}

static void masking_hides_what_may_be_a_secret_even_in_bad_urls(void **state)
{
    (void)state;
    check_mask("redis://localhost:6379/0", "redis://localhost:6379/0");
    check_mask("redis://[::1]:6379/0?timeout=1", "redis://[::1]:6379/0?timeout=1");
    check_mask("redis://:sEcReT@h/0", "redis://***@h/0");
    check_mask("redis://bob:sEcReT@h:1/0", "redis://***@h:1/0");
    check_mask("redis://bob:sEc/ReT@h:1/0", "redis://***@h:1/0");
    check_mask("redis://bob:s@E@h", "redis://***@h");
    check_mask("redis://bob:sEcReT/0", "redis://***/0");
    check_mask("bob:sEcReT@h", "***@h");
    check_mask("localhost:6379", "localhost:6379");
    check_mask("unix:///run/x.sock", "unix:///run/x.sock");
    check_mask("", "");
}

static void masking_cuts_at_the_end_of_the_room(void **state)
{
    (void)state;
    char masked[12] = "###########";
    sta_redis_url_mask("redis://:sEcReT@localhost", masked, 10);
    assert_string_equal(masked, "redis://*");
    assert_int_equal(masked[10], '#');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_url_is_understood),
        cmocka_unit_test(port_and_db_have_defaults),
        cmocka_unit_test(schemes_are_of_any_case_and_there_are_three),
        cmocka_unit_test(ipv6_hosts_stand_in_brackets),
        cmocka_unit_test(a_missing_or_impossible_host_is_refused),
        cmocka_unit_test(the_length_of_a_host_is_bounded),
        cmocka_unit_test(bad_ports_are_refused),
        cmocka_unit_test(a_db_is_a_number),
        cmocka_unit_test(a_db_is_given_once),
        cmocka_unit_test(users_and_passwords_are_taken_apart),
        cmocka_unit_test(no_user_and_no_password_may_be_spelled_out),
        cmocka_unit_test(a_user_without_a_password_is_refused),
        cmocka_unit_test(percent_encoding_is_undone),
        cmocka_unit_test(broken_percent_encoding_is_refused),
        cmocka_unit_test(the_lengths_of_user_and_password_are_bounded),
        cmocka_unit_test(misplaced_characters_of_a_password_show_nothing),
        cmocka_unit_test(unix_sockets_are_understood),
        cmocka_unit_test(the_length_of_a_path_is_bounded),
        cmocka_unit_test(the_timeout_is_an_option),
        cmocka_unit_test(unknown_options_are_refused_and_named),
        cmocka_unit_test(tls_has_options_of_its_own),
        cmocka_unit_test(the_names_that_python_has_for_them_are_understood),
        cmocka_unit_test(options_of_tls_are_checked),
        cmocka_unit_test(a_fragment_is_refused),
        cmocka_unit_test(formatting_leaves_the_secrets_out),
        cmocka_unit_test(masking_hides_what_may_be_a_secret_even_in_bad_urls),
        cmocka_unit_test(masking_cuts_at_the_end_of_the_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
