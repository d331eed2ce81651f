/* SPDX-License-Identifier: MIT
 *
 * Lists of endpoints, quotas and labels in all the forms in which they come.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/option_list.h"

static const struct sta_option nodes = {.type = STA_OPTION_NODES, .most = 4};
static const struct sta_option endpoints = {.type = STA_OPTION_ENDPOINTS, .most = 4};
static const struct sta_option endpoint = {.type = STA_OPTION_ENDPOINTS, .most = 1};
static const struct sta_option quotas = {.type = STA_OPTION_QUOTAS, .most = 4};
static const struct sta_option labels = {.type = STA_OPTION_LABELS, .most = 4};

/* `text` is taken, and its members, joined by spaces, are `expected`. */
static void check_list(const struct sta_option *option, const char *text, const char *expected)
{
    struct sta_option_value value = {0};
    struct strata_error error = {0};
    char joined[400] = "";
    if (sta_option_list_parse(option, text, NULL, &value, &error) != STRATA_OK)
        fail_msg("\"%s\" is refused: %s", text, error.text);
    for (size_t i = 0; i < value.count; i++) {
        strcat(joined, i > 0 ? " " : "");
        strcat(joined, value.list[i]);
    }
    assert_string_equal(joined, expected);
    sta_option_value_fini(&value);
}

static void check_refused(const struct sta_option *option, const char *text, const char *reason)
{
    struct sta_option_value value = {.number = 77};
    struct strata_error error = {0};
    assert_int_equal(sta_option_list_parse(option, text, NULL, &value, &error), STRATA_ERR_CONFIG);
    assert_int_equal(value.number, 77);
    if (strncmp(error.text, reason, strlen(reason)) != 0)
        fail_msg("\"%s\": the reason is \"%s\", not \"%s\"", text, error.text, reason);
}

static void json_lists_are_taken(void **state)
{
    (void)state;
    check_list(&nodes, "[\"redis1:6379\",\"redis2:6379\",\"redis3:6379\"]",
               "redis1:6379 redis2:6379 redis3:6379");
    check_list(&nodes, " [ \"a:1\" , \"[::1]:2\" ] ", "a:1 [::1]:2");
    check_list(&nodes, "[\"\\u0061:1\"]", "a:1");
    check_list(&nodes, "[]", "");
    check_list(&nodes, "[ ]", "");
}

static void lists_with_commas_are_taken(void **state)
{
    (void)state;
    check_list(&nodes, "a:1", "a:1");
    check_list(&nodes, "a:1,b:2 , c:3", "a:1 b:2 c:3");
    check_list(&nodes, "[::1]:1,[::2]:2", "[::1]:1 [::2]:2");
    check_list(&nodes, "", "");
    check_list(&nodes, "  ", "");
}

static void json_lists_whose_quotes_a_shell_took_are_taken(void **state)
{
    (void)state;
    check_list(&nodes, "[redis1:6379,redis2:6379]", "redis1:6379 redis2:6379");
    check_list(&nodes, "[[::1]:1, b:2]", "[::1]:1 b:2");
}

static void bad_members_are_refused_and_named(void **state)
{
    (void)state;
    check_refused(&nodes, "a:1,b",
                  "\"b\": the port is missing; allowed: host:port and [v6]:port, as a JSON list or "
                  "with commas");
    check_refused(&nodes, "a:1,", "\"\": the host is missing");
    check_refused(&nodes, "a:1,,b:2", "\"\": the host is missing");
    check_refused(&nodes, "a:0", "\"a:0\": the port must be 1 to 65535");
    check_refused(&nodes, "a:65536", "\"a:65536\": the port is more than 65535");
    check_refused(&nodes, "::1:6379", "\"::1:6379\": an IPv6 address stands in brackets");
    check_refused(&nodes, "[\"a:1\",\"\"]", "\"\": the host is missing");
    check_refused(&nodes, "[\"bob:sEcReT@h:1\"]", "\"***@h:1\":");
}

static void broken_json_is_refused(void **state)
{
    (void)state;
    check_refused(&nodes, "[\"a:1\",]", "not a JSON list");
    check_refused(&nodes, "[\"a:1\" \"b:1\"]", "not a JSON list");
    check_refused(&nodes, "[\"a:1]", "not a JSON list");
    check_refused(&nodes, "[\"a:1\\u0000b\"]", "not a JSON list");
    check_refused(&nodes, "[\"a:1\", 5]", "a member is not a JSON string");
    check_refused(&nodes, "[[\"a:1\"]]", "a member is not a JSON string");
    check_refused(&nodes, "{\"a\":1}", "\"{\"a\":1}\": ");
}

static void nodes_are_tcp_and_endpoints_may_be_sockets(void **state)
{
    (void)state;
    check_list(&endpoints, "unix:/run/x.sock,127.0.0.1:0", "unix:/run/x.sock 127.0.0.1:0");
    check_list(&nodes, "unix:6379", "unix:6379");
    check_refused(&nodes, "unix:/run/x.sock", "\"unix:/run/x.sock\": the port is not a number");
    check_refused(&endpoints, "unix:",
                  "\"unix:\": the path of the socket is missing; allowed: host:port, [v6]:port and "
                  "unix:PATH, as a JSON list or with commas");
    check_list(&endpoint, "unix:/run/x.sock", "unix:/run/x.sock");
    check_refused(&endpoint, "unix:",
                  "\"unix:\": the path of the socket is missing; allowed: one of host:port, "
                  "[v6]:port and unix:PATH");
}

static void lists_have_a_greatest_length(void **state)
{
    (void)state;
    check_list(&nodes, "a:1,b:1,c:1,d:1", "a:1 b:1 c:1 d:1");
    check_refused(&nodes, "a:1,b:1,c:1,d:1,e:1", "more than 4 members");
    check_refused(&nodes, "[\"a:1\",\"b:1\",\"c:1\",\"d:1\",\"e:1\"]", "more than 4 members");
}

static void a_list_adds_to_the_one_before(void **state)
{
    (void)state;
    struct sta_option_value first = {0};
    struct sta_option_value both = {0};
    struct strata_error error;
    assert_int_equal(sta_option_list_parse(&nodes, "a:1,b:2", NULL, &first, NULL), STRATA_OK);
    assert_int_equal(sta_option_list_parse(&nodes, "c:3", &first, &both, NULL), STRATA_OK);
    assert_int_equal(sta_option_list_parse(&nodes, "d:4,e:5", &both, &first, &error),
                     STRATA_ERR_CONFIG);
    assert_string_equal(error.text, "more than 4 members");
    sta_option_value_fini(&first);
    assert_int_equal(both.count, 3);
    assert_string_equal(both.list[0], "a:1");
    assert_string_equal(both.list[1], "b:2");
    assert_string_equal(both.list[2], "c:3");
    sta_option_value_fini(&both);
}

static void quotas_are_taken_and_bad_ones_named(void **state)
{
    (void)state;
    check_list(&quotas, "session:=16MiB,user:=8mib/1000, few:=/100",
               "session:=16MiB user:=8mib/1000 few:=/100");
    check_list(&quotas, "[\"a,b=1\", \"x=y=/2\"]", "a,b=1 x=y=/2");
    check_list(&quotas, "[]", "");
    check_refused(&quotas, "a:1", "\"a:1\": the = between prefix and bound is missing");
    check_refused(&quotas, "=1", "\"=1\": the prefix is missing");
    check_refused(&quotas, "a=", "\"a=\": the bound is missing");
    check_refused(&quotas, "a=0", "\"a=0\": the bytes must be 1 or more");
    check_refused(&quotas, "a=18446744073709551616", "\"a=18446744073709551616\": the bytes");
    check_refused(&quotas, "a=1/", "\"a=1/\": the entries must be 1 to 4294967295");
    check_refused(&quotas, "a=/4294967296", "\"a=/4294967296\": the entries must be");
    check_refused(&quotas, "a=1,b=1,c=1,d=1,e=1", "more than 4 members");
}

static void labels_are_plain_words_that_differ(void **state)
{
    (void)state;
    check_list(&labels, "user:, a/b.c-d_E9", "user: a/b.c-d_E9");
    check_list(&labels, "[\"01234567890123456789012345678901\"]",
               "01234567890123456789012345678901");
    check_refused(&labels, "012345678901234567890123456789012", "\"0123");
    check_refused(&labels, "[\"\"]",
                  "\"\": not a label; allowed: 1 to 32 letters, digits and _ . : / -");
    check_refused(&labels, "a b", "\"a b\": not a label; allowed: 1 to 32 letters");
    check_refused(&labels, "caf\xc3\xa9", "\"caf");
    check_refused(&labels, "other", "\"other\": the word for all that have no row");
    check_refused(&labels, "a,b,a", "the prefix \"a\" is there twice");
    check_refused(&labels, "a,b,c,d,e", "more than 4 members");
}

static void two_quotas_for_one_prefix_are_refused(void **state)
{
    (void)state;
    check_refused(&quotas, "a:=1,b:=2,a:=/3", "two quotas for the prefix \"a:\"");
    check_refused(&quotas, "[\"x=y=1\", \"x=y=1\"]", "two quotas for the prefix \"x=y\"");
    check_list(&quotas, "a=1,a:=1,a=:=1", "a=1 a:=1 a=:=1");
    check_list(&endpoints, "a:1,a:1", "a:1 a:1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lists_are_taken),
        cmocka_unit_test(lists_with_commas_are_taken),
        cmocka_unit_test(json_lists_whose_quotes_a_shell_took_are_taken),
        cmocka_unit_test(bad_members_are_refused_and_named),
        cmocka_unit_test(broken_json_is_refused),
        cmocka_unit_test(nodes_are_tcp_and_endpoints_may_be_sockets),
        cmocka_unit_test(lists_have_a_greatest_length),
        cmocka_unit_test(a_list_adds_to_the_one_before),
        cmocka_unit_test(quotas_are_taken_and_bad_ones_named),
        cmocka_unit_test(labels_are_plain_words_that_differ),
        cmocka_unit_test(two_quotas_for_one_prefix_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
