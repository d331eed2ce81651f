/* SPDX-License-Identifier: MIT
 *
 * strata, the command, and a Redis with TLS.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "integration/strata_program.h"
#include "integration/tls_rig.h"

static struct command_result result;

static int discard(void **state)
{
    (void)state;
    command_result_fini(&result);
    return 0;
}

#define RUN(input, url, ...)                                                                       \
    (command_result_fini(&result), strata_run(&result, input, url, __VA_ARGS__, NULL))

static void values_are_set_and_got(void **state)
{
    struct tls_rig *rig = *state;
    const char *url = tls_rig_url(rig, rig->redis, "localhost", "");
    assert_int_equal(RUN(NULL, url, "set", "k", "two words"), 0);
    assert_string_equal(result.out, "OK\n");
    assert_int_equal(RUN(NULL, url, "get", "k"), 0);
    assert_string_equal(result.out, "two words");
    assert_int_equal(RUN(NULL, url, "ping"), 0);
    assert_memory_equal(result.out, "PONG from rediss://localhost:", 29);
}

static void a_large_value_goes_both_ways(void **state)
{
    struct tls_rig *rig = *state;
    const char *url = tls_rig_url(rig, rig->redis, "127.0.0.1", "");
    const size_t len = 3u << 20;
    char *value = malloc(len);
    assert_non_null(value);
    for (size_t i = 0; i < len; i++)
        value[i] = (char)('a' + i % 26);
    const struct command_input input = {.data = value, .len = len};
    assert_int_equal(RUN(&input, url, "set", "big", "-"), 0);
    assert_int_equal(RUN(NULL, url, "get", "big"), 0);
    assert_int_equal(result.len, len);
    assert_memory_equal(result.out, value, len);
    free(value);
}

static void the_environment_names_the_files(void **state)
{
    struct tls_rig *rig = *state;
    char url[64], variable[200];
    (void)snprintf(url, sizeof url, "rediss://localhost:%d", redis_tls_port(rig->redis));
    (void)snprintf(variable, sizeof variable, "STRATA_TLS_CA_FILE=%s", rig->files.ca_file);
    assert_int_equal(RUN(&(struct command_input){.environment = variable}, url, "ping"), 0);
    assert_int_equal(
        RUN(&(struct command_input){.environment = "STRATA_TLS_CA_FILE=/no"}, url, "ping"), 2);
    assert_string_equal(result.err, "strata: --url: tls_ca_file=\"/no\": No such file or "
                                    "directory\n");
    assert_int_equal(
        RUN(&(struct command_input){.environment = "STRATA_TLS_VERIFY=no"}, url, "ping"), 2);
    assert_string_equal(result.err, "strata: --url: STRATA_TLS_VERIFY: not one of the values; "
                                    "allowed: full, ca, none\n");
}

static void a_server_that_is_not_trusted_is_exit_3_with_the_reason(void **state)
{
    struct tls_rig *rig = *state;
    char expected[300];
    (void)snprintf(expected, sizeof expected,
                   "strata: cannot connect to localhost:%d: the server's certificate is for "
                   "localhost, 127.0.0.1, ::1, not for redis.example\n",
                   redis_tls_port(rig->redis));
    assert_int_equal(
        RUN(NULL, tls_rig_url(rig, rig->redis, "localhost", "&sni=redis.example"), "ping"), 3);
    assert_string_equal(result.err, expected);
}

static void a_server_that_refuses_us_is_exit_4_with_the_reason(void **state)
{
    struct tls_rig *rig = *state;
    assert_int_equal(RUN(NULL, tls_rig_url(rig, rig->careful, "localhost", ""), "ping"), 4);
    assert_non_null(strstr(result.err, "the server wants a client certificate, and none is "
                                       "configured (tls_cert_file)"));
}

static void a_plain_port_is_given_up_in_time(void **state)
{
    struct tls_rig *rig = *state;
    char url[300];
    (void)snprintf(url, sizeof url, "rediss://localhost:%d?cacert=%s",
                   redis_server_port(redis_tls_server(rig->redis)), rig->files.ca_file);
    assert_int_equal(RUN(NULL, url, "--timeout", "0.2", "ping"), 5);
    assert_non_null(strstr(result.err, "no answer to the TLS handshake in time"));
}

/* ---- doctor ---- */

/* Its check of Redis at this URL fails by this name, with these words in the text, and advice. */
static void assert_doctor_names(const char *url, const char *check, const char *words)
{
    size_t i;
    json_t *finding;
    assert_int_equal(RUN(NULL, "unix:///nonexistent/stratad.sock", "doctor", "--json", "--timeout",
                         "5", "--redis", url),
                     1);
    json_t *document = strata_json(&result);
    bool named = false;
    json_array_foreach(json_object_get(document, "checks"), i, finding)
    {
        named =
            named || (strcmp(json_string_value(json_object_get(finding, "check")), check) == 0 &&
                      strcmp(json_string_value(json_object_get(finding, "state")), "fail") == 0 &&
                      strstr(json_string_value(json_object_get(finding, "text")), words) != NULL &&
                      json_string_length(json_object_get(finding, "advice")) > 0);
    }
    if (!named)
        fail_msg("%s: %s is not named:\n%s", check, words, result.out);
    json_decref(document);
}

/* The host by which doctor goes is none of those that the certificate of a server that is fine
 * otherwise names. */
static void doctor_names_a_certificate_for_another_host(void **state)
{
    struct tls_rig *rig = *state;
    const struct certificate_plan plan = {.cn = "localhost", .names = "DNS:redis.example"};
    struct redis_tls *redis = tls_rig_start(rig, &plan);
    assert_doctor_names(tls_rig_url(rig, redis, "localhost", ""), "redis tls",
                        "the server's certificate is for redis.example, not for localhost");
    assert_doctor_names(tls_rig_url(rig, redis, "127.0.0.1", ""), "redis tls",
                        "the server's certificate is for redis.example, not for 127.0.0.1");
    redis_tls_stop(&redis);
    assert_doctor_names(tls_rig_url(rig, rig->redis, "localhost", "&sni=redis.example"),
                        "redis tls", "not for redis.example");
}

static void doctor_names_what_else_is_wrong_with_certificates(void **state)
{
    struct tls_rig *rig = *state;
    const struct certificate_plan old = {
        .cn = "Old", .names = "DNS:localhost", .from_s = -7200, .until_s = -3600};
    char url[160];
    struct redis_tls *redis = tls_rig_start(rig, &old);
    assert_doctor_names(tls_rig_url(rig, redis, "localhost", ""), "redis tls", "has expired");
    redis_tls_stop(&redis);
    (void)snprintf(url, sizeof url, "rediss://localhost:%d", redis_tls_port(rig->redis));
    assert_doctor_names(url, "redis tls", "trust");
    assert_doctor_names(tls_rig_url(rig, rig->careful, "localhost", ""), "redis auth",
                        "wants a client certificate");
}

static void doctor_looks_at_a_redis_with_tls_that_is_well(void **state)
{
    struct tls_rig *rig = *state;
    assert_int_equal(RUN(NULL, "unix:///nonexistent/stratad.sock", "doctor", "--redis",
                         tls_rig_url(rig, rig->redis, "localhost", "")),
                     0);
    assert_non_null(strstr(result.out, "CLIENT TRACKING is allowed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(doctor_names_a_certificate_for_another_host, discard),
        cmocka_unit_test_teardown(doctor_names_what_else_is_wrong_with_certificates, discard),
        cmocka_unit_test_teardown(doctor_looks_at_a_redis_with_tls_that_is_well, discard),
        cmocka_unit_test_teardown(values_are_set_and_got, discard),
        cmocka_unit_test_teardown(a_large_value_goes_both_ways, discard),
        cmocka_unit_test_teardown(the_environment_names_the_files, discard),
        cmocka_unit_test_teardown(a_server_that_is_not_trusted_is_exit_3_with_the_reason, discard),
        cmocka_unit_test_teardown(a_server_that_refuses_us_is_exit_4_with_the_reason, discard),
        cmocka_unit_test_teardown(a_plain_port_is_given_up_in_time, discard),
    };
    return cmocka_run_group_tests(tests, tls_rig_open, tls_rig_close);
}
