/* SPDX-License-Identifier: MIT
 *
 * Who may ask for what over HTTP.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/admin_request.h"

static const struct sta_admin_rules open_rules = {.address = "127.0.0.1:9380"};
static const struct sta_admin_rules locked = {.address = "10.1.2.3:9380",
                                              .hosts = "cache.example,other.example",
                                              .token = "0123456789abcdef"};

static unsigned judge(const struct sta_admin_rules *rules, const char *method, const char *path,
                      const char *host, const char *authorization)
{
    enum sta_admin_page page = STA_ADMIN_NONE;
    const struct sta_admin_words words = {method, path, host, authorization};
    unsigned status = sta_admin_request_judge(rules, &words, &page);
    assert_int_equal(status == 200, page != STA_ADMIN_NONE);
    return status;
}

static void pages_are_found_by_their_whole_path(void **state)
{
    (void)state;
    assert_int_equal(judge(&open_rules, "GET", "/livez", "localhost", NULL), 200);
    assert_int_equal(judge(&open_rules, "GET", "/readyz", "localhost", NULL), 200);
    assert_int_equal(judge(&open_rules, "GET", "/health", "localhost", NULL), 200);
    assert_int_equal(judge(&open_rules, "GET", "/metrics", "localhost", NULL), 200);
    assert_int_equal(judge(&open_rules, "GET", "/stats", "localhost", NULL), 200);
    assert_int_equal(judge(&open_rules, "GET", "/", "localhost", NULL), 404);
    assert_int_equal(judge(&open_rules, "GET", "/metrics/", "localhost", NULL), 404);
    assert_int_equal(judge(&open_rules, "GET", "/../stats", "localhost", NULL), 404);
    assert_int_equal(judge(&open_rules, "GET", NULL, "localhost", NULL), 404);
}

static void only_get_and_head_are_answered(void **state)
{
    (void)state;
    assert_int_equal(judge(&open_rules, "HEAD", "/stats", "localhost", NULL), 200);
    assert_int_equal(judge(&open_rules, "HEAD", "/none", "localhost", NULL), 404);
    assert_int_equal(judge(&locked, "HEAD", "/stats", "localhost", NULL), 401);
    assert_int_equal(judge(&open_rules, "POST", "/stats", "localhost", NULL), 405);
    assert_int_equal(judge(&open_rules, "OPTIONS", "/stats", "localhost", NULL), 405);
    assert_int_equal(judge(&open_rules, "get", "/stats", "localhost", NULL), 405);
    assert_int_equal(judge(&open_rules, "head", "/stats", "localhost", NULL), 405);
}

static void options_are_shown_by_get_and_changed_by_put(void **state)
{
    (void)state;
    enum sta_admin_page page = STA_ADMIN_NONE;
    struct sta_admin_words words = {"PUT", "/config", "localhost", NULL};
    assert_int_equal(sta_admin_request_judge(&open_rules, &words, &page), 200);
    assert_int_equal(page, STA_ADMIN_CHANGE);
    words.method = "GET";
    assert_int_equal(sta_admin_request_judge(&open_rules, &words, &page), 200);
    assert_int_equal(page, STA_ADMIN_CONFIG);
    assert_int_equal(judge(&open_rules, "POST", "/config", "localhost", NULL), 405);
    assert_int_equal(judge(&open_rules, "PUT", "/stats", "localhost", NULL), 405);
    assert_int_equal(judge(&open_rules, "PUT", "/config", "evil.example", NULL), 403);
    assert_int_equal(judge(&locked, "PUT", "/config", "localhost", NULL), 401);
    assert_int_equal(judge(&locked, "PUT", "/config", "localhost", "Bearer 0123456789abcdef"), 200);
}

static void names_of_others_are_refused(void **state)
{
    (void)state;
    static const char *const fine[] = {"localhost",   "LOCALHOST:9380", "127.0.0.1",
                                       "127.0.0.1:1", "[::1]",          "[::1]:9380"};
    static const char *const bad[] = {
        "evil.example", "localhost.evil.example", "", ":9380", "127.0.0.10", "[::2]",
        "[::1",         "localhost,127.0.0.1"};
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
        assert_int_equal(judge(&open_rules, "GET", "/stats", fine[i], NULL), 200);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(judge(&open_rules, "GET", "/stats", bad[i], NULL), 403);
    assert_int_equal(judge(&open_rules, "GET", "/stats", NULL, NULL), 400);
    const struct sta_admin_rules at_path = {.address = "unix:/run/admin.sock"};
    assert_int_equal(judge(&at_path, "GET", "/stats", "anything", NULL), 200);
}

static void more_names_may_be_allowed(void **state)
{
    (void)state;
    const char *token = "Bearer 0123456789abcdef";
    assert_int_equal(judge(&locked, "GET", "/stats", "cache.example:9380", token), 200);
    assert_int_equal(judge(&locked, "GET", "/stats", "Other.Example", token), 200);
    assert_int_equal(judge(&locked, "GET", "/stats", "10.1.2.3:9380", token), 200);
    assert_int_equal(judge(&locked, "GET", "/stats", "cache.exampl", token), 403);
    assert_int_equal(judge(&locked, "GET", "/stats", "cache.example.evil", token), 403);
}

static void without_the_token_only_livez_is_answered(void **state)
{
    (void)state;
    assert_int_equal(judge(&locked, "GET", "/livez", "localhost", NULL), 200);
    assert_int_equal(judge(&locked, "GET", "/readyz", "localhost", NULL), 401);
    assert_int_equal(judge(&locked, "GET", "/none", "localhost", NULL), 401);
    assert_int_equal(judge(&locked, "GET", "/stats", "localhost", "Bearer 0123456789abcdeg"), 401);
    assert_int_equal(judge(&locked, "GET", "/stats", "localhost", "Bearer 0123456789abcde"), 401);
    assert_int_equal(judge(&locked, "GET", "/stats", "localhost", "Basic 0123456789abcdef"), 401);
    assert_int_equal(judge(&locked, "GET", "/stats", "localhost", ""), 401);
    assert_int_equal(judge(&locked, "GET", "/stats", "localhost", "bearer 0123456789abcdef"), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_found_by_their_whole_path),
        cmocka_unit_test(only_get_and_head_are_answered),
        cmocka_unit_test(options_are_shown_by_get_and_changed_by_put),
        cmocka_unit_test(names_of_others_are_refused),
        cmocka_unit_test(more_names_may_be_allowed),
        cmocka_unit_test(without_the_token_only_livez_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
