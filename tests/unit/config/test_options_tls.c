/* SPDX-License-Identifier: MIT
 *
 * What TLS is opened with: options, what the URL says in their place, and the environment. The
 * provider is one that only looks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/options.h"

/* ---- a provider ---- */

static struct sta_tls_settings seen; /* strings are copied */
static char strings[8][64];
static struct sta_tls_context *const context = (struct sta_tls_context *)&seen;

static const char *keep(unsigned i, const char *text)
{
    if (text == NULL)
        return NULL;
    (void)snprintf(strings[i], sizeof strings[i], "%s", text);
    return strings[i];
}

static int on_open(struct sta_tls_context **out, const struct sta_tls_settings *settings,
                   struct strata_error *error)
{
    (void)error;
    seen = (struct sta_tls_settings){
        .ca_file = keep(0, settings->ca_file),
        .ca_dir = keep(1, settings->ca_dir),
        .crl_file = keep(2, settings->crl_file),
        .cert_file = keep(3, settings->cert_file),
        .key_file = keep(4, settings->key_file),
        .key_password = keep(5, settings->key_password),
        .server_name = keep(6, settings->server_name),
        .verify = settings->verify,
    };
    *out = context;
    return STRATA_OK;
}

static void on_close(struct sta_tls_context **at)
{
    *at = NULL;
}

static const struct strata_tls_provider provider = {
    .abi = STA_TLS_ABI, .context_open = on_open, .context_close = on_close};

/* ---- a log ---- */

static char logged[256];

static void log_sink(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    (void)arg;
    (void)room;
    assert_int_equal(level, STRATA_LOG_WARNING);
    (void)snprintf(logged, sizeof logged, "%s", line);
}

/* Resolves, opens, closes. */
static void look(struct strata_options options)
{
    struct sta_tls *tls = NULL;
    struct strata_error error = {0};
    struct sta_log log;
    options.tls_provider = &provider;
    logged[0] = '\0';
    sta_log_init(&log, log_sink, NULL, STRATA_LOG_INFO);
    if (sta_options_resolve(&options, &options, &error) < 0 ||
        sta_options_open_tls(&tls, &options, &log, &error) < 0)
        fail_msg("%s", error.text);
    assert_non_null(tls);
    sta_tls_close(&tls);
}

static const struct strata_options all = {
    .redis_url = "rediss://h",
    .tls_ca_file = "ca",
    .tls_ca_dir = "cas",
    .tls_crl_file = "crl",
    .tls_cert_file = "cert",
    .tls_key_file = "key",
    .tls_key_password = "sEcReT",
    .tls_server_name = "name",
    .tls_verify = STRATA_TLS_VERIFY_CA,
};

static void all_options_are_handed_over(void **state)
{
    (void)state;
    look(all);
    assert_string_equal(seen.ca_file, "ca");
    assert_string_equal(seen.ca_dir, "cas");
    assert_string_equal(seen.crl_file, "crl");
    assert_string_equal(seen.cert_file, "cert");
    assert_string_equal(seen.key_file, "key");
    assert_string_equal(seen.key_password, "sEcReT");
    assert_string_equal(seen.server_name, "name");
    assert_int_equal(seen.verify, STRATA_TLS_VERIFY_CA);
    look((struct strata_options){.redis_url = "rediss://h"});
    assert_null(seen.ca_file);
    assert_null(seen.ca_dir);
    assert_null(seen.crl_file);
    assert_null(seen.cert_file);
    assert_null(seen.key_file);
    assert_null(seen.key_password);
    assert_null(seen.server_name);
    assert_int_equal(seen.verify, STRATA_TLS_VERIFY_FULL);
}

static void what_the_url_says_goes_before_them(void **state)
{
    (void)state;
    struct strata_options options = all;
    options.redis_url = "rediss://h?sni=other&verify=full";
    look(options);
    assert_string_equal(seen.server_name, "other");
    assert_int_equal(seen.verify, STRATA_TLS_VERIFY_FULL);
    assert_string_equal(seen.ca_file, "ca");
    assert_string_equal(seen.key_file, "key");
}

/* A CA of the URL is the only one that is trusted, and its certificate has no key of another. */
static void what_belongs_together_is_replaced_together(void **state)
{
    (void)state;
    struct strata_options options = all;
    options.redis_url = "rediss://h?cacert=mine";
    look(options);
    assert_string_equal(seen.ca_file, "mine");
    assert_null(seen.ca_dir);
    assert_string_equal(seen.cert_file, "cert");
    options.redis_url = "rediss://h?cacertdir=mine";
    look(options);
    assert_null(seen.ca_file);
    assert_string_equal(seen.ca_dir, "mine");
    options.redis_url = "rediss://h?cert=mine";
    look(options);
    assert_string_equal(seen.cert_file, "mine");
    assert_null(seen.key_file);
    assert_string_equal(seen.ca_file, "ca");
}

static void who_verifies_nobody_is_warned(void **state)
{
    (void)state;
    struct strata_options options = all;
    look(options);
    assert_string_equal(logged, "");
    options.tls_verify = STRATA_TLS_VERIFY_NONE;
    look(options);
    assert_string_equal(logged, "rediss:// without verification (tls_verify is none): whoever is "
                                "in between can read and change everything");
}

static void a_plain_url_needs_no_tls(void **state)
{
    (void)state;
    static const char *const urls[] = {"redis://h", "unix:///s"};
    for (size_t i = 0; i < 2; i++) {
        struct strata_options options = all;
        struct sta_tls *tls = (struct sta_tls *)&seen;
        options.redis_url = urls[i];
        assert_int_equal(sta_options_open_tls(&tls, &options, NULL, NULL), STRATA_OK);
        assert_null(tls);
    }
}

static void without_a_provider_it_is_refused(void **state)
{
    (void)state;
    struct sta_tls *tls = NULL;
    struct strata_error error = {0};
    assert_int_equal(sta_options_open_tls(&tls, &all, NULL, &error), STRATA_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.text, "-lstrata_tls"));
    assert_null(tls);
}

static void a_level_that_is_none_is_refused(void **state)
{
    (void)state;
    struct strata_options options = all;
    struct strata_error error = {0};
    options.tls_verify = (enum strata_tls_verify)9;
    assert_int_equal(sta_options_resolve(&options, &options, &error), STRATA_ERR_CONFIG);
    assert_string_equal(error.text, "tls_verify=9: not one of the values; allowed: full, ca, none");
}

/* ---- the environment, for programs that read nothing else there ---- */

static void the_variables_of_tls_are_read(void **state)
{
    (void)state;
    char *environment[] = {"CACHE_L1_TTL=nonsense",     "STRATA_TLS_CA_FILE=a",
                           "STRATA_TLS_CA_DIR=b",       "STRATA_TLS_CRL_FILE=c",
                           "STRATA_TLS_CERT_FILE=d",    "STRATA_TLS_KEY_FILE=e",
                           "STRATA_TLS_KEY_PASSWORD=f", "STRATA_TLS_SERVER_NAME=g",
                           "STRATA_TLS_VERIFY=none",    NULL};
    struct strata_options options = {0};
    assert_int_equal(sta_options_read_tls(&options, environment, NULL), STRATA_OK);
    assert_string_equal(options.tls_ca_file, "a");
    assert_string_equal(options.tls_ca_dir, "b");
    assert_string_equal(options.tls_crl_file, "c");
    assert_string_equal(options.tls_cert_file, "d");
    assert_string_equal(options.tls_key_file, "e");
    assert_string_equal(options.tls_key_password, "f");
    assert_string_equal(options.tls_server_name, "g");
    assert_int_equal(options.tls_verify, STRATA_TLS_VERIFY_NONE);
    assert_int_equal(options.l1_ttl_ms, 0);
}

static void a_bad_variable_is_named(void **state)
{
    (void)state;
    char *verify[] = {"STRATA_TLS_VERIFY=maybe", NULL};
    char *empty[] = {"STRATA_TLS_CA_FILE=", NULL};
    struct strata_options options = {0};
    struct strata_error error = {0};
    assert_int_equal(sta_options_read_tls(&options, verify, &error), STRATA_ERR_CONFIG);
    assert_string_equal(error.text,
                        "STRATA_TLS_VERIFY: not one of the values; allowed: full, ca, none");
    assert_int_equal(sta_options_read_tls(&options, empty, &error), STRATA_ERR_CONFIG);
    assert_string_equal(error.text, "STRATA_TLS_CA_FILE: empty; allowed: 1 to 4095 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_options_are_handed_over),
        cmocka_unit_test(what_the_url_says_goes_before_them),
        cmocka_unit_test(what_belongs_together_is_replaced_together),
        cmocka_unit_test(who_verifies_nobody_is_warned),
        cmocka_unit_test(a_plain_url_needs_no_tls),
        cmocka_unit_test(without_a_provider_it_is_refused),
        cmocka_unit_test(a_level_that_is_none_is_refused),
        cmocka_unit_test(the_variables_of_tls_are_read),
        cmocka_unit_test(a_bad_variable_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
