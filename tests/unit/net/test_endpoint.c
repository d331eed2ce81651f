/* SPDX-License-Identifier: MIT
 *
 * Endpoints from text and to text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/endpoint.h"
#include "strata/status.h"

static void check_tcp(const char *text, const char *address, unsigned port)
{
    struct sta_endpoint endpoint;
    memset(&endpoint, 0xa5, sizeof endpoint);
    assert_int_equal(sta_endpoint_parse(text, &endpoint, NULL), STRATA_OK);
    assert_int_equal(endpoint.kind, STA_ENDPOINT_TCP);
    assert_string_equal(endpoint.address, address);
    assert_int_equal(endpoint.port, port);
}

/* `text` is refused for a reason that has `part` in it, and nothing is written. */
static void check_refused(const char *text, const char *part)
{
    struct sta_endpoint endpoint, before;
    const char *reason = "";
    memset(&endpoint, 0xa5, sizeof endpoint);
    before = endpoint;
    assert_int_equal(sta_endpoint_parse(text, &endpoint, &reason), STRATA_ERR_INVALID);
    if (strstr(reason, part) == NULL)
        fail_msg("\"%s\": the reason is \"%s\", not \"%s\"", text, reason, part);
    assert_memory_equal(&endpoint, &before, sizeof endpoint);
    assert_int_equal(sta_endpoint_parse(text, &endpoint, NULL), STRATA_ERR_INVALID);
}

static void hosts_and_ports_are_taken_apart(void **state)
{
    (void)state;
    check_tcp("localhost:6379", "localhost", 6379);
    check_tcp("127.0.0.1:1", "127.0.0.1", 1);
    check_tcp("redis_1.my-net.example.:65535", "redis_1.my-net.example.", 65535);
    check_tcp("1e.2.3.4:80", "1e.2.3.4", 80);
    check_tcp("a:80", "a", 80);
}

static void ipv6_addresses_stand_in_brackets(void **state)
{
    (void)state;
    check_tcp("[::1]:6379", "::1", 6379);
    check_tcp("[2001:db8::8a2e:370:7334]:7000", "2001:db8::8a2e:370:7334", 7000);
    check_tcp("[::ffff:10.0.0.1]:7000", "::ffff:10.0.0.1", 7000);
    check_tcp("[fe80::1%eth0]:7000", "fe80::1%eth0", 7000);
    check_refused("::1:6379", "brackets");
    check_refused("2001:db8::1", "brackets");
    check_refused("[::1", "]");
    check_refused("[]:6379", "host is missing");
    check_refused("[127.0.0.1]:6379", "no IPv6");
    check_refused("[localhost]:6379", "no IPv6");
    check_refused("[::1%]:6379", "no IPv6");
    check_refused("[fe80::1%e/0]:7000", "no IPv6");
    check_refused("[1:2:3:4:5:6:7:8:9]:6379", "no IPv6");
    check_refused("[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb]:6379", "no IPv6");
    check_refused("[::1]6379", "port is missing");
    check_refused("[::1]", "port is missing");
}

static void ports_are_numbers_up_to_65535(void **state)
{
    (void)state;
    check_tcp("localhost:0", "localhost", 0);
    check_refused("localhost", "port is missing");
    check_refused("localhost:", "port is missing");
    check_refused("localhost:65536", "more than 65535");
    check_refused("localhost:99999999999999999999999", "more than 65535");
    check_refused("localhost:abc", "not a number");
    check_refused("localhost:-1", "not a number");
    check_refused("localhost:+1", "not a number");
    check_refused("localhost: 80", "not a number");
    check_refused("localhost:80 ", "not a number");
    check_refused("localhost:80/0", "not a number");
}

static void hosts_that_cannot_be_are_refused(void **state)
{
    (void)state;
    check_refused("", "host is missing");
    check_refused(":6379", "host is missing");
    check_refused("my host:6379", "no host name");
    check_refused("-a:6379", "no host name");
    check_refused("a-:6379", "no host name");
    check_refused("a-.b:6379", "no host name");
    check_refused("a..b:6379", "no host name");
    check_refused(".a:6379", "no host name");
    check_refused("*:6379", "no host name");
    check_refused("user@host:6379", "no host name");
    check_refused("h\xc3\xb6st:6379", "no host name");
    check_refused("256.0.0.1:6379", "no IPv4");
    check_refused("1.2.3:6379", "no IPv4");
    check_refused("1.2.3.4.5:6379", "no IPv4");
    check_refused("...:6379", "no IPv4");
}

static void the_lengths_of_hosts_are_bounded(void **state)
{
    (void)state;
    char text[400];
    struct sta_endpoint endpoint;
    memset(text, 'a', sizeof text);
    for (size_t i = 63; i < sizeof text; i += 64)
        text[i] = '.';
    strcpy(text + 253, ":1");
    assert_int_equal(sta_endpoint_parse(text, &endpoint, NULL), STRATA_OK);
    assert_int_equal(strlen(endpoint.address), 253);
    strcpy(text + 253, "a:1");
    check_refused(text, "no host name");
    memset(text, 'a', sizeof text);
    strcpy(text + 63, ":1");
    assert_int_equal(sta_endpoint_parse(text, &endpoint, NULL), STRATA_OK);
    strcpy(text + 63, "a:1");
    check_refused(text, "no host name");
    memset(text, 'a', sizeof text);
    strcpy(text + 256, ":1");
    check_refused(text, "too long");
}

static void unix_sockets_are_paths(void **state)
{
    (void)state;
    struct sta_endpoint endpoint;
    char text[200];
    assert_int_equal(sta_endpoint_parse("unix:/run/a b:c.sock", &endpoint, NULL), STRATA_OK);
    assert_int_equal(endpoint.kind, STA_ENDPOINT_UNIX);
    assert_string_equal(endpoint.address, "/run/a b:c.sock");
    assert_int_equal(endpoint.port, 0);
    assert_int_equal(sta_endpoint_parse("unix:relative", &endpoint, NULL), STRATA_OK);
    assert_string_equal(endpoint.address, "relative");

    memset(text, 'x', sizeof text);
    memcpy(text, "unix:", 5);
    text[5 + 107] = '\0';
    assert_int_equal(sta_endpoint_parse(text, &endpoint, NULL), STRATA_OK);
    text[5 + 107] = 'x';
    text[5 + 108] = '\0';
    check_refused(text, "longer than 107");
    check_refused("unix:", "path of the socket is missing");
    check_refused("unix:/a\nb", "control character");
    check_refused("unix:/a\x7f", "control character");
}

static void a_host_may_be_called_unix_where_only_tcp_is_meant(void **state)
{
    (void)state;
    struct sta_endpoint endpoint;
    assert_int_equal(sta_endpoint_parse_tcp("unix:6379", &endpoint, NULL), STRATA_OK);
    assert_int_equal(endpoint.kind, STA_ENDPOINT_TCP);
    assert_string_equal(endpoint.address, "unix");
    assert_int_equal(endpoint.port, 6379);
    assert_int_equal(sta_endpoint_parse_tcp("unix:/run/x", &endpoint, NULL), STRATA_ERR_INVALID);
}

static void formatting_is_the_reverse_of_parsing(void **state)
{
    (void)state;
    static const char *const texts[] = {"localhost:6379",       "[::1]:6379",
                                        "[fe80::1%eth0]:1",     "10.0.0.1:65535",
                                        "unix:/run/redis.sock", "unix:a:b"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sta_endpoint endpoint;
        char text[300];
        assert_int_equal(sta_endpoint_parse(texts[i], &endpoint, NULL), STRATA_OK);
        sta_endpoint_format(&endpoint, text, sizeof text);
        assert_string_equal(text, texts[i]);
    }
}

static void formatting_cuts_at_the_end_of_the_room(void **state)
{
    (void)state;
    struct sta_endpoint endpoint;
    char text[8] = "#######";
    assert_int_equal(sta_endpoint_parse("localhost:6379", &endpoint, NULL), STRATA_OK);
    sta_endpoint_format(&endpoint, text, 5);
    assert_string_equal(text, "loca");
    assert_int_equal(text[5], '#');
}

static void a_host_and_a_port_told_apart_make_an_endpoint(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        uint64_t port;
        const char *address; /* NULL: refused */
    } rows[] = {
        {"localhost", 1, "localhost"},
        {"10.0.0.1", 65535, "10.0.0.1"},
        {"::1", 6379, "::1"},
        {"[::1]", 6379, "::1"},
        {"2001:db8::8a2e:370:7334", 7000, "2001:db8::8a2e:370:7334"},
        {"", 6379, NULL},
        {"[]", 6379, NULL},
        {"[", 6379, NULL},
        {"a:b", 6379, NULL},
        {"10.0.0.256", 6379, NULL},
        {"a b", 6379, NULL},
        {"a\n", 6379, NULL},
        {"localhost", 0, NULL},
        {"localhost", 65536, NULL},
        {"localhost", UINT64_MAX, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sta_endpoint endpoint = {.address = "untouched"};
        int status =
            sta_endpoint_from_host(strata_text(rows[i].host), rows[i].port, &endpoint, NULL);
        if ((status == STRATA_OK) != (rows[i].address != NULL))
            fail_msg("\"%s\" %llu: %d", rows[i].host, (unsigned long long)rows[i].port, status);
        assert_string_equal(endpoint.address,
                            rows[i].address == NULL ? "untouched" : rows[i].address);
        assert_true(status < 0 || endpoint.port == rows[i].port);
    }
    struct sta_endpoint endpoint;
    char long_host[300];
    memset(long_host, 'a', sizeof long_host);
    assert_int_equal(
        sta_endpoint_from_host(strata_bytes(long_host, sizeof long_host), 1, &endpoint, NULL),
        STRATA_ERR_INVALID);
    assert_int_equal(sta_endpoint_from_host(strata_bytes("a\0b", 3), 1, &endpoint, NULL),
                     STRATA_ERR_INVALID);
}

static void endpoints_are_equal_by_their_text(void **state)
{
    (void)state;
    const struct sta_endpoint one = {.kind = STA_ENDPOINT_TCP, .port = 1, .address = "Host.a"};
    struct sta_endpoint other = {.kind = STA_ENDPOINT_TCP, .port = 1, .address = "hosT.A"};
    assert_true(sta_endpoint_equal(&one, &other));
    other.port = 2;
    assert_false(sta_endpoint_equal(&one, &other));
    other = one;
    other.kind = STA_ENDPOINT_UNIX;
    assert_false(sta_endpoint_equal(&one, &other));
    other = one;
    other.address[5] = 'b';
    assert_false(sta_endpoint_equal(&one, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_and_ports_are_taken_apart),
        cmocka_unit_test(ipv6_addresses_stand_in_brackets),
        cmocka_unit_test(ports_are_numbers_up_to_65535),
        cmocka_unit_test(hosts_that_cannot_be_are_refused),
        cmocka_unit_test(the_lengths_of_hosts_are_bounded),
        cmocka_unit_test(unix_sockets_are_paths),
        cmocka_unit_test(a_host_may_be_called_unix_where_only_tcp_is_meant),
        cmocka_unit_test(formatting_is_the_reverse_of_parsing),
        cmocka_unit_test(formatting_cuts_at_the_end_of_the_room),
        cmocka_unit_test(a_host_and_a_port_told_apart_make_an_endpoint),
        cmocka_unit_test(endpoints_are_equal_by_their_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
