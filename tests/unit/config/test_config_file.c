/* SPDX-License-Identifier: MIT
 *
 * The file: its grammar, sections, and errors with the number of the line.
 */
#include "unit/config/loading.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void names_values_and_comments_are_understood(void **state)
{
    (void)state;
    struct loading loading = {.file = "\xef\xbb\xbf; a comment\n"
                                      "# another\n"
                                      "\n"
                                      "l1_ttl=5\n"
                                      "  l2_ttl  =  6  ; behind\r\n"
                                      "\tnull_ttl: 7\n"
                                      "   \n"
                                      "redis_url = redis://h:1/2;x\n"
                                      "key_prefix =\n"
                                      "[stratad]\n"
                                      "workers = 9"};
    struct loading plain = {.file = "\xef\xbb\xbf; a comment\n"
                                    "# another\n"
                                    "\n"
                                    "l1_ttl=5\n"
                                    "  l2_ttl  =  6  ; behind\r\n"
                                    "\tnull_ttl: 7\n"
                                    "   \n"
                                    "redis_url = redis://h:1/2 ;x\n"
                                    "key_prefix =\n"
                                    "[stratad]\n"
                                    "workers = 9"};
    loading_must_not(&loading, STRATA_ERR_CONFIG,
                     "$:8: redis_url=\"redis://h:1/2;x\": the db must be a number from 0 to "
                     "2147483647; allowed: a redis://, rediss:// or unix:// URL");
    loading_must(&plain);
    assert_int_equal(plain.library.l1_ttl_ms, 5000);
    assert_int_equal(plain.library.l2_ttl_ms, 6000);
    assert_int_equal(plain.library.null_ttl_ms, 7000);
    assert_string_equal(plain.library.redis_url, "redis://h:1/2");
    assert_string_equal(plain.library.l2_key_prefix, "");
    assert_int_equal(plain.own.workers, 9);
    loading_end(&plain);
}

static void an_empty_file_is_fine(void **state)
{
    (void)state;
    struct loading empty = {.file = ""};
    loading_must(&empty);
    loading_end(&empty);
    struct loading blank = {.file = "\n\n  "};
    loading_must(&blank);
    loading_end(&blank);
}

static void an_indented_line_is_a_line_of_its_own(void **state)
{
    (void)state;
    struct loading loading = {.file = "  l1_ttl = 5\n    l2_ttl = 6\n"};
    loading_must(&loading);
    assert_int_equal(loading.library.l1_ttl_ms, 5000);
    assert_int_equal(loading.library.l2_ttl_ms, 6000);
    loading_end(&loading);
}

static void an_unknown_name_is_refused_with_its_line_and_the_nearest(void **state)
{
    (void)state;
    struct loading near = {.file = "l1_ttl = 5\n\nl1_tl = 6\n"};
    loading_must_not(&near, STRATA_ERR_CONFIG, "$:3: l1_tl: not an option; did you mean l1_ttl?");
    struct loading far = {.file = "zzzzzzzzz = 6\n"};
    loading_must_not(&far, STRATA_ERR_CONFIG, "$:1: zzzzzzzzz: not an option");
    struct loading own = {.file = "[stratad]\nworker = 6\n"};
    loading_must_not(&own, STRATA_ERR_CONFIG, "$:2: worker: not an option; did you mean workers?");
    struct loading nameless = {.file = "= 6\n"};
    loading_must_not(&nameless, STRATA_ERR_CONFIG, "$:1: : not an option");
}

static void an_option_in_the_wrong_part_is_sent_to_the_right_one(void **state)
{
    (void)state;
    struct loading top = {.file = "workers = 6\n"};
    loading_must_not(&top, STRATA_ERR_CONFIG, "$:1: workers: belongs under [stratad]");
    struct loading section = {.file = "[stratad]\nl1_ttl = 6\n"};
    loading_must_not(&section, STRATA_ERR_CONFIG,
                     "$:2: l1_ttl: belongs at the top, before any section");
}

static void sections_of_other_programs_are_passed_over(void **state)
{
    (void)state;
    struct loading loading = {.file = "[strata]\nanything = at all\n[stratad]\nworkers = 6\n"};
    loading_must(&loading);
    assert_int_equal(loading.own.workers, 6);
    loading_end(&loading);
}

static void unknown_sections_are_refused(void **state)
{
    (void)state;
    struct loading near = {.file = "[statd]\nworkers = 6\n"};
    loading_must_not(&near, STRATA_ERR_CONFIG,
                     "$:2: [statd]: not a section; did you mean "
                     "[stratad]?");
    struct loading far = {.file = "[l1]\nttl = 6\n"};
    loading_must_not(&far, STRATA_ERR_CONFIG, "$:2: [l1]: not a section");
}

static void a_bad_value_is_refused_with_its_line(void **state)
{
    (void)state;
    struct loading loading = {.file = "# one\nl1_enabled = maybe\n"};
    loading_must_not(&loading, STRATA_ERR_CONFIG,
                     "$:2: l1_enabled=\"maybe\": neither true nor false; allowed: true, false, "
                     "yes, no, on, off, 1, 0");
}

static void an_option_is_given_once_unless_it_is_a_list(void **state)
{
    (void)state;
    struct loading twice = {.file = "l1_ttl = 5\nl2_ttl = 5\nl1_ttl = 5\n"};
    loading_must_not(&twice, STRATA_ERR_CONFIG, "$:3: l1_ttl: given before, in line 1");
    struct loading list = {.file = "cluster_nodes = a:1\ncluster_nodes = [\"b:2\"]\n"};
    loading_must(&list);
    assert_int_equal(list.library.cluster_node_count, 2);
    loading_end(&list);
}

static void a_line_that_is_nothing_is_refused(void **state)
{
    (void)state;
    struct loading word = {.file = "l1_ttl = 5\nl1_enabled\n"};
    loading_must_not(&word, STRATA_ERR_CONFIG,
                     "$:2: neither \"name = value\" nor \"[section]\" nor a comment");
    struct loading bracket = {.file = "[stratad\nworkers = 5\n"};
    loading_must_not(&bracket, STRATA_ERR_CONFIG,
                     "$:1: neither \"name = value\" nor \"[section]\" nor a comment");
    struct loading first = {.file = "nonsense\nl1_ttl = x\n"};
    loading_must_not(&first, STRATA_ERR_CONFIG,
                     "$:1: neither \"name = value\" nor \"[section]\" nor a comment");
}

static void a_line_is_at_most_197_bytes_long(void **state)
{
    (void)state;
    char text[512];
    size_t len = (size_t)snprintf(text, sizeof text, "key_prefix = ");
    memset(text + len, 'x', sizeof text - len);
    strcpy(text + 197, "\r\nl1_ttl = 5\n");
    struct loading longest = {.file = text};
    loading_must(&longest);
    assert_int_equal(strlen(longest.library.l2_key_prefix), 197 - len);
    assert_int_equal(longest.library.l1_ttl_ms, 5000);
    loading_end(&longest);

    memset(text + len, 'x', sizeof text - len);
    strcpy(text + 198, "\nl1_ttl = 5\n");
    struct loading longer = {.file = text};
    loading_must_not(&longer, STRATA_ERR_CONFIG, "$:1: the line is longer than 197 bytes");
}

static void what_is_no_text_is_refused(void **state)
{
    (void)state;
    char path[] = "/tmp/strata-test-XXXXXX";
    struct loading zero = {0};
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "l1_ttl = 5\0\n", 12), 12);
    assert_int_equal(close(fd), 0);
    zero.argv[0] = "--config";
    zero.argv[1] = path;
    char expected[200];
    (void)snprintf(expected, sizeof expected, "%s: has zero bytes: not a text", path);
    loading_must_not(&zero, STRATA_ERR_CONFIG, expected);
    assert_int_equal(unlink(path), 0);

    struct loading folder = {.argv = {"--config", "/tmp"}};
    loading_must_not(&folder, STRATA_ERR_CONFIG, "/tmp: cannot be read: Is a directory");
}

/* Nobody writes the FIFO, and /dev/zero has no end. */
static void what_is_no_regular_file_is_refused_at_once(void **state)
{
    (void)state;
    char path[] = "/tmp/strata-test-XXXXXX", expected[200];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    struct loading fifo = {.argv = {"--config", path}};
    (void)snprintf(expected, sizeof expected, "%s: cannot be read: Not a regular file", path);
    loading_must_not(&fifo, STRATA_ERR_CONFIG, expected);
    assert_int_equal(unlink(path), 0);

    struct loading device = {.argv = {"--config", "/dev/zero"}};
    loading_must_not(&device, STRATA_ERR_CONFIG, "/dev/zero: cannot be read: Not a regular file");

    struct loading none = {.argv = {"--config", "/dev/null"}};
    loading_must(&none);
    loading_end(&none);
}

/* Root may read whatever it likes. */
static void a_file_that_may_not_be_read_is_an_error(void **state)
{
    (void)state;
    char path[] = "/tmp/strata-test-XXXXXX", expected[200];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0), 0);
    assert_int_equal(close(fd), 0);
    uid_t before = geteuid();
    if (before == 0)
        assert_int_equal(seteuid(65534), 0);
    struct loading closed = {.argv = {"--config", path}};
    (void)snprintf(expected, sizeof expected, "%s: cannot be read: Permission denied", path);
    loading_must_not(&closed, STRATA_ERR_CONFIG, expected);
    assert_int_equal(seteuid(before), 0);
    assert_int_equal(unlink(path), 0);
}

static void a_file_has_a_greatest_size(void **state)
{
    (void)state;
    size_t size = ((size_t)1 << 20) + 1;
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, '\n', size);
    text[size] = '\0';
    struct loading large = {.file = text};
    loading_must_not(&large, STRATA_ERR_CONFIG, "$: larger than 1 MiB");
    text[size - 1] = '\0';
    struct loading fits = {.file = text};
    loading_must(&fits);
    loading_end(&fits);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_values_and_comments_are_understood),
        cmocka_unit_test(an_empty_file_is_fine),
        cmocka_unit_test(an_indented_line_is_a_line_of_its_own),
        cmocka_unit_test(an_unknown_name_is_refused_with_its_line_and_the_nearest),
        cmocka_unit_test(an_option_in_the_wrong_part_is_sent_to_the_right_one),
        cmocka_unit_test(sections_of_other_programs_are_passed_over),
        cmocka_unit_test(unknown_sections_are_refused),
        cmocka_unit_test(a_bad_value_is_refused_with_its_line),
        cmocka_unit_test(an_option_is_given_once_unless_it_is_a_list),
        cmocka_unit_test(a_line_that_is_nothing_is_refused),
        cmocka_unit_test(a_line_is_at_most_197_bytes_long),
        cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(what_is_no_regular_file_is_refused_at_once),
        cmocka_unit_test(a_file_that_may_not_be_read_is_an_error),
        cmocka_unit_test(a_file_has_a_greatest_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
