/* SPDX-License-Identifier: MIT
 *
 * What tables render to: the list of flags, and the tables of the documentation.
 */
#include "unit/config/loading.h"

typedef int renderer(const struct sta_option_set *sets, size_t count, struct sta_buffer *out);

/* Both sets rendered into `text`. */
static void rendered(renderer *render, char *text, size_t cap)
{
    struct loading loading = {0};
    struct sta_option_set sets[LOADING_SET_COUNT];
    struct sta_buffer out;
    loading_sets(&loading, sets);
    sta_buffer_init(&out, cap - 1);
    assert_int_equal(sta_buffer_append(&out, strata_text("before\n")), STRATA_OK);
    assert_int_equal(render(sets, LOADING_SET_COUNT, &out), STRATA_OK);
    memcpy(text, sta_buffer_bytes(&out).data, sta_buffer_len(&out));
    text[sta_buffer_len(&out)] = '\0';
    sta_buffer_fini(&out);
}

static void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void help_lists_flags_with_all_that_is_known_of_them(void **state)
{
    (void)state;
    char text[1 << 16];
    rendered(sta_config_help, text, sizeof text);
    assert_contains(text, "before\nOwn\n\n"
                          "  --workers NUMBER\n"
                          "          Threads.\n"
                          "          Allowed: 1 to 64 threads.\n"
                          "          Default: 4. Variable: STRATA_WORKERS. Live.\n"
                          "\n"
                          "  --eager BOOLEAN\n"
                          "          Not from the environment.\n"
                          "          Allowed: true, false, yes, no, on, off, 1, 0.\n"
                          "          Default: no. Live.\n");
    assert_contains(text, "\n\nLooks\n\n  --colour WORD\n");
    assert_contains(text, "May be given several times.\n"
                          "          Default: 127.0.0.1:6380. Variable: STRATA_LISTEN. Live.\n");
    assert_contains(text, "Default: unlimited. Variable: CACHE_L1_MAX_SIZE. Live.\n");
    assert_contains(text, "Default: empty. Variable: CACHE_L2_KEY_PREFIX.\n");
    assert_contains(text, "Default: none. Variable: STRATA_WRITE_BEHIND_JOURNAL.\n");
    assert_contains(text, "  --config FILE\n");
    assert_contains(text, "  --help, -h\n");
    assert_contains(text, "  --version\n");
    assert_contains(text, "\n  STRATA_NAME=TEXT\n"
                          "          Without a flag and a default. A|B.\n"
                          "          Allowed: 1 to 16 bytes.\n"
                          "          Default: none. Live.\n\n");
}

static void help_fits_a_terminal_of_80_columns(void **state)
{
    (void)state;
    char text[1 << 16];
    rendered(sta_config_help, text, sizeof text);
    for (const char *line = text; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        assert_true(len <= 80);
        assert_true(len == 0 || line[len - 1] != ' ');
        line += len + 1;
    }
}

static void documentation_has_a_table_per_group(void **state)
{
    (void)state;
    char text[1 << 16];
    rendered(sta_config_markdown, text, sizeof text);
    assert_contains(
        text,
        "before\n### Own\n\nIn the file these stand under `[stratad]`.\n\n"
        "| variable | flag | in the file | default | allowed | live | meaning |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
        "| `STRATA_WORKERS` | `--workers` | `workers` | `4` | 1 to 64 threads | yes | Threads. "
        "|\n|  | `--eager` | `eager` | `no` |");
    assert_contains(text,
                    "| `STRATA_NAME` |  | `name` | none | 1 to 16 bytes | yes | Without a flag and "
                    "a default. A\\|B. |\n");
    assert_contains(text, "| Not to be shown. |\n\n### Looks\n");
    assert_contains(text, "|\n\n### L1: memory of this process\n\n| variable");
    assert_contains(text, " | no: connections are made with it | ");
    for (size_t i = 0; i < STA_OPTION_TABLE_COUNT; i++)
        assert_contains(text, sta_option_table[i].env);
}

static void check_cut(renderer *render)
{
    struct loading loading = {0};
    struct sta_option_set sets[LOADING_SET_COUNT];
    struct sta_buffer out;
    loading_sets(&loading, sets);
    sta_buffer_init(&out, 2000);
    assert_int_equal(sta_buffer_append(&out, strata_text("before")), STRATA_OK);
    assert_int_equal(render(sets, LOADING_SET_COUNT, &out), STRATA_ERR_TOO_BIG);
    assert_int_equal(sta_buffer_len(&out), 6);
    assert_memory_equal(sta_buffer_bytes(&out).data, "before", 6);
    sta_buffer_fini(&out);
}

static void what_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    check_cut(sta_config_help);
    check_cut(sta_config_markdown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_lists_flags_with_all_that_is_known_of_them),
        cmocka_unit_test(help_fits_a_terminal_of_80_columns),
        cmocka_unit_test(documentation_has_a_table_per_group),
        cmocka_unit_test(what_does_not_fit_leaves_the_buffer_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
