/* SPDX-License-Identifier: MIT
 *
 * cli/arguments, cli/command_table, cli/target: the command line, and what is said about a bad one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/target.h"

enum { TTL, FAST };

static const struct cli_option own[] = {
    [TTL] = {"ttl", "SECONDS", ""},
    [FAST] = {"fast", NULL, ""},
    {0},
};

struct parsed {
    struct cli_arguments arguments;
    char *argv[8];
    size_t count;
    struct strata_error error;
};

/* Parses a NULL-terminated list of arguments; the result is the status. */
static int parse(struct parsed *parsed, bool until_first, const char *const *argv)
{
    size_t argc = 0;
    *parsed = (struct parsed){.arguments.tables = {cli_command_options, own}};
    for (; argv[argc] != NULL; argc++)
        parsed->argv[argc] = (char *)(uintptr_t)argv[argc];
    return cli_arguments_parse(&parsed->arguments, parsed->argv, argc, until_first, &parsed->count,
                               &parsed->error);
}
#define PARSE(parsed, until_first, ...)                                                            \
    parse(parsed, until_first, (const char *const[]){__VA_ARGS__, NULL})

static void options_and_operands_may_be_mixed(void **state)
{
    (void)state;
    struct parsed parsed;
    assert_int_equal(PARSE(&parsed, false, "a", "--ttl", "3", "b", "--json", "--fast", "c"), 0);
    assert_int_equal(parsed.count, 3);
    assert_string_equal(parsed.argv[0], "a");
    assert_string_equal(parsed.argv[1], "b");
    assert_string_equal(parsed.argv[2], "c");
    assert_string_equal(parsed.arguments.values[1][TTL], "3");
    assert_string_equal(parsed.arguments.values[1][FAST], "");
    assert_string_equal(parsed.arguments.values[0][CLI_OPTION_JSON], "");
    assert_null(parsed.arguments.values[0][CLI_OPTION_URL]);
}

static void a_value_may_follow_an_equals_sign_and_the_last_one_counts(void **state)
{
    (void)state;
    struct parsed parsed;
    assert_int_equal(PARSE(&parsed, false, "--ttl=3", "--ttl=", "--ttl=a=b"), 0);
    assert_string_equal(parsed.arguments.values[1][TTL], "a=b");
    assert_int_equal(parsed.count, 0);
}

static void after_two_dashes_everything_is_an_operand(void **state)
{
    (void)state;
    struct parsed parsed;
    assert_int_equal(PARSE(&parsed, false, "--fast", "--", "--ttl", "--"), 0);
    assert_int_equal(parsed.count, 2);
    assert_string_equal(parsed.argv[0], "--ttl");
    assert_string_equal(parsed.argv[1], "--");
}

static void single_dashes_are_operands(void **state)
{
    (void)state;
    struct parsed parsed;
    assert_int_equal(PARSE(&parsed, false, "-", "-5", "-x"), 0);
    assert_int_equal(parsed.count, 3);
}

static void parsing_may_stop_at_the_first_operand(void **state)
{
    (void)state;
    struct parsed parsed;
    assert_int_equal(PARSE(&parsed, true, "--json", "get", "--unknown", "k"), 0);
    assert_int_equal(parsed.count, 3);
    assert_string_equal(parsed.argv[0], "get");
    assert_string_equal(parsed.argv[1], "--unknown");
}

static void an_unknown_option_is_answered_with_the_nearest_and_without_its_value(void **state)
{
    (void)state;
    struct parsed parsed;
    assert_int_equal(PARSE(&parsed, false, "--tll=secret"), STRATA_ERR_INVALID);
    assert_string_equal(parsed.error.text, "unknown option --tll; did you mean --ttl?");
    assert_int_equal(PARSE(&parsed, false, "--frobnicate"), STRATA_ERR_INVALID);
    assert_string_equal(parsed.error.text, "unknown option --frobnicate");
    /* The begin of a name is not the name. */
    assert_int_equal(PARSE(&parsed, false, "--tt"), STRATA_ERR_INVALID);
    assert_int_equal(PARSE(&parsed, false, "--ttls"), STRATA_ERR_INVALID);
}

static void a_missing_or_superfluous_value_is_an_error(void **state)
{
    (void)state;
    struct parsed parsed;
    assert_int_equal(PARSE(&parsed, false, "a", "--ttl"), STRATA_ERR_INVALID);
    assert_string_equal(parsed.error.text, "--ttl needs a value: SECONDS");
    assert_int_equal(PARSE(&parsed, false, "--fast=1"), STRATA_ERR_INVALID);
    assert_string_equal(parsed.error.text, "--fast takes no value");
}

static void numbers_are_checked_and_absent_ones_leave_the_default(void **state)
{
    (void)state;
    struct strata_error error;
    uint64_t number = 7;
    assert_int_equal(cli_arguments_number(&own[TTL], NULL, 1, 10, &number, &error), STRATA_OK);
    assert_int_equal(number, 7);
    assert_int_equal(cli_arguments_number(&own[TTL], "10", 1, 10, &number, &error), STRATA_OK);
    assert_int_equal(number, 10);
    static const char *const bad[] = {"0", "11", "", "-1", "1.5", "1x", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(cli_arguments_number(&own[TTL], bad[i], 1, 10, &number, &error),
                         STRATA_ERR_INVALID);
        assert_int_equal(number, 10);
    }
    assert_non_null(strstr(error.text, "--ttl 99999999999999999999: "));
    assert_non_null(strstr(error.text, "from 1 to 10"));
}

static void seconds_may_have_a_fraction_but_not_be_nothing(void **state)
{
    (void)state;
    struct strata_error error;
    uint64_t ms = 7;
    assert_int_equal(cli_arguments_seconds(&own[TTL], NULL, &ms, &error), STRATA_OK);
    assert_int_equal(ms, 7);
    assert_int_equal(cli_arguments_seconds(&own[TTL], "0.25", &ms, &error), STRATA_OK);
    assert_int_equal(ms, 250);
    static const char *const bad[] = {"0", "0.0001", "", "-1", "abc", "315360001"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(cli_arguments_seconds(&own[TTL], bad[i], &ms, &error), STRATA_ERR_INVALID);
    assert_int_equal(ms, 250);
}

static void every_command_is_found_by_its_name_and_a_near_miss_is_corrected(void **state)
{
    (void)state;
    struct strata_error error;
    const struct cli_command *found = NULL;
    for (size_t i = 0; cli_command_table[i] != NULL; i++) {
        assert_int_equal(cli_command_find(cli_command_table[i]->name, &found, &error), STRATA_OK);
        assert_ptr_equal(found, cli_command_table[i]);
        assert_non_null(found->run);
        assert_true(found->least <= found->most);
    }
    assert_int_equal(cli_command_find("repaly", &found, &error), STRATA_ERR_INVALID);
    assert_string_equal(error.text, "unknown command repaly; did you mean replay?");
    assert_int_equal(cli_command_find("xyzzy", &found, &error), STRATA_ERR_INVALID);
    assert_non_null(strstr(error.text, "strata help"));
}

static void option_tables_fit_their_places(void **state)
{
    (void)state;
    for (size_t i = 0; cli_command_table[i] != NULL; i++) {
        const struct cli_option *options = cli_command_table[i]->options;
        size_t count = 0;
        while (options != NULL && options[count].name != NULL)
            count++;
        assert_true(count <= CLI_OPTIONS_MAX);
    }
}

static void the_server_is_what_the_options_say_then_the_environment_then_stratad(void **state)
{
    (void)state;
    struct parsed parsed;
    struct strata_error error;
    struct cli_target target;
    assert_int_equal(PARSE(&parsed, false, "--url", "unix:///tmp/a?db=2"), 0);
    assert_int_equal(cli_target_resolve(&parsed.arguments, "redis://env", &target, &error),
                     STRATA_OK);
    assert_string_equal(target.url.endpoint.address, "/tmp/a");
    assert_int_equal(target.url.db, 2);
    assert_int_equal(PARSE(&parsed, false, "--port", "7000"), 0);
    assert_int_equal(cli_target_resolve(&parsed.arguments, "redis://env", &target, &error),
                     STRATA_OK);
    assert_string_equal(target.url.endpoint.address, "127.0.0.1");
    assert_int_equal(target.url.endpoint.port, 7000);
    assert_int_equal(PARSE(&parsed, false, "--host=::1"), 0);
    assert_int_equal(cli_target_resolve(&parsed.arguments, NULL, &target, &error), STRATA_OK);
    assert_string_equal(target.url.endpoint.address, "::1");
    assert_int_equal(target.url.endpoint.port, 6380);
    assert_int_equal(PARSE(&parsed, false, "x"), 0);
    assert_int_equal(cli_target_resolve(&parsed.arguments, "redis://env:99/3", &target, &error), 0);
    assert_string_equal(target.url.endpoint.address, "env");
    assert_int_equal(target.url.endpoint.port, 99);
    assert_int_equal(cli_target_resolve(&parsed.arguments, "", &target, &error), STRATA_OK);
    assert_string_equal(target.url.endpoint.address, "127.0.0.1");
    assert_int_equal(target.url.endpoint.port, 6380);
}

static void a_bad_server_is_refused_with_the_name_of_where_it_was_said(void **state)
{
    (void)state;
    struct parsed parsed;
    struct strata_error error;
    struct cli_target target;
    assert_int_equal(PARSE(&parsed, false, "--url=redis://a", "--host", "b"), 0);
    assert_int_equal(cli_target_resolve(&parsed.arguments, NULL, &target, &error),
                     STRATA_ERR_INVALID);
    assert_int_equal(PARSE(&parsed, false, "--host", "no such host"), 0);
    assert_int_equal(cli_target_resolve(&parsed.arguments, NULL, &target, &error),
                     STRATA_ERR_INVALID);
    assert_non_null(strstr(error.text, "--host no such host: "));
    assert_int_equal(PARSE(&parsed, false, "x"), 0);
    assert_int_equal(cli_target_resolve(&parsed.arguments, "http://x", &target, &error),
                     STRATA_ERR_INVALID);
    assert_non_null(strstr(error.text, "STRATA_URL: "));
    assert_int_equal(PARSE(&parsed, false, "--url=rediss://:secret@x?cacert=/nowhere/ca.crt"), 0);
    assert_int_equal(cli_target_resolve(&parsed.arguments, NULL, &target, &error),
                     STRATA_ERR_CONFIG);
    assert_string_equal(error.text,
                        "--url: tls_ca_file=\"/nowhere/ca.crt\": No such file or directory");
}

/* Whether docs/cli.md has `text`, in backquotes up to its next backquote or blank. */
static bool is_documented(const char *documentation, const char *dashes, const char *text)
{
    char quoted[80];
    (void)snprintf(quoted, sizeof quoted, "`%s%s", dashes, text);
    const char *at = documentation;
    while ((at = strstr(at, quoted)) != NULL) {
        at += strlen(quoted);
        if (*at == '`' || *at == ' ')
            return true;
    }
    return false;
}

static void the_documentation_has_every_command_option_and_exit_code(void **state)
{
    (void)state;
    static char page[1 << 16];
    FILE *file = fopen(STRATA_SOURCE_DIR "/docs/cli.md", "rb");
    assert_non_null(file);
    size_t len = fread(page, 1, sizeof page - 1, file);
    page[len] = '\0';
    (void)fclose(file);
    for (size_t i = 0; cli_command_table[i] != NULL; i++) {
        const struct cli_option *option = cli_command_table[i]->options;
        assert_true(is_documented(page, "", cli_command_table[i]->name));
        for (; option != NULL && option->name != NULL; option++)
            assert_true(is_documented(page, "--", option->name));
    }
    for (size_t i = 0; cli_command_options[i].name != NULL; i++)
        assert_true(is_documented(page, "--", cli_command_options[i].name));
#define EXIT_ROW(name, code, meaning) assert_non_null(strstr(page, "| " #code " | " meaning " |"));
    CLI_EXIT_LIST(EXIT_ROW)
#undef EXIT_ROW
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_operands_may_be_mixed),
        cmocka_unit_test(a_value_may_follow_an_equals_sign_and_the_last_one_counts),
        cmocka_unit_test(after_two_dashes_everything_is_an_operand),
        cmocka_unit_test(single_dashes_are_operands),
        cmocka_unit_test(parsing_may_stop_at_the_first_operand),
        cmocka_unit_test(an_unknown_option_is_answered_with_the_nearest_and_without_its_value),
        cmocka_unit_test(a_missing_or_superfluous_value_is_an_error),
        cmocka_unit_test(numbers_are_checked_and_absent_ones_leave_the_default),
        cmocka_unit_test(seconds_may_have_a_fraction_but_not_be_nothing),
        cmocka_unit_test(every_command_is_found_by_its_name_and_a_near_miss_is_corrected),
        cmocka_unit_test(option_tables_fit_their_places),
        cmocka_unit_test(the_server_is_what_the_options_say_then_the_environment_then_stratad),
        cmocka_unit_test(the_documentation_has_every_command_option_and_exit_code),
        cmocka_unit_test(a_bad_server_is_refused_with_the_name_of_where_it_was_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
