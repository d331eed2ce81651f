/* SPDX-License-Identifier: MIT
 *
 * The arguments of requests: arrays sliced in place, inline commands split as Redis does it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "resp/resp.h"
#include "strata/status.h"
#include "unit/resp/examples.h"

static void every_example_has_its_arguments(void **state)
{
    (void)state;
    for (size_t i = 0; i < request_example_count; i++) {
        const struct request_example *example = &request_examples[i];
        struct strata_bytes frame = strata_bytes(example->wire, example->len);
        uint8_t *scratch = malloc(frame.len); /* exactly: ASan sees what the promise is worth */
        struct strata_bytes argv[8];
        size_t argc = 4711;
        assert_int_equal(sta_resp_request_count(frame, &argc), STRATA_OK);
        assert_int_equal(argc, example->argc);
        assert_int_equal(sta_resp_request_args(frame, argv, argc, scratch), STRATA_OK);
        for (size_t k = 0; k < argc; k++) {
            assert_int_equal(argv[k].len, example->argv[k].len);
            assert_memory_equal(argv[k].data, example->argv[k].data, argv[k].len);
        }
        free(scratch);
    }
}

static void arguments_lie_in_the_frame_unless_they_were_quoted(void **state)
{
    (void)state;
    const char *wire = "set a 'b'\r\n";
    uint8_t scratch[16];
    struct strata_bytes argv[3];
    assert_int_equal(sta_resp_request_args(strata_text(wire), argv, 3, scratch), STRATA_OK);
    assert_ptr_equal(argv[0].data, wire);
    assert_ptr_equal(argv[1].data, wire + 4);
    assert_ptr_equal(argv[2].data, scratch);
}

static void unbalanced_quotes_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\"a\r\n", "'a\r\n",     "a \"b\r\n",     "\"a\"b\r\n", "'a'b\r\n",
        "\"\r\n",  "\"\\\"\r\n", "\"a\\\\\\\"\n", "'\\'\r\n",   "a\"b\"c\r\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t argc = 4711;
        uint8_t scratch[16];
        struct strata_bytes argv[2];
        assert_int_equal(sta_resp_request_count(strata_text(bad[i]), &argc), STRATA_ERR_PROTOCOL);
        assert_int_equal(argc, 4711);
        assert_int_equal(sta_resp_request_args(strata_text(bad[i]), argv, 2, scratch),
                         STRATA_ERR_PROTOCOL);
    }
}

static void an_array_that_is_cut_or_lies_is_refused_and_not_read_past(void **state)
{
    (void)state;
    const char *wire = "*2\r\n$3\r\nGET\r\n$5\r\nhello\r\n";
    for (size_t len = 1; len < strlen(wire); len++) {
        char *copy = malloc(len);
        struct strata_bytes argv[2];
        memcpy(copy, wire, len);
        assert_int_equal(sta_resp_request_args(strata_bytes(copy, len), argv, 2, NULL),
                         STRATA_ERR_PROTOCOL);
        free(copy);
    }
    size_t argc = 4711;
    struct strata_bytes argv[1];
    assert_int_equal(sta_resp_request_count(strata_text("*1000000\r\n"), &argc),
                     STRATA_ERR_PROTOCOL);
    assert_int_equal(sta_resp_request_args(strata_text(wire), argv, 1, NULL), STRATA_ERR_PROTOCOL);
}

/* Whatever the answer is to a request that was cut: nothing behind it is read (ASan). */
static void nothing_is_read_behind_a_request_that_was_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < request_example_count; i++) {
        for (size_t len = 1; len < request_examples[i].len; len++) {
            char *copy = malloc(len);
            uint8_t *scratch = malloc(len);
            struct strata_bytes argv[8];
            size_t argc = 0;
            memcpy(copy, request_examples[i].wire, len);
            struct strata_bytes frame = strata_bytes(copy, len);
            if (sta_resp_request_count(frame, &argc) == STRATA_OK && argc <= 8)
                sta_resp_request_args(frame, argv, argc, scratch);
            free(copy);
            free(scratch);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_has_its_arguments),
        cmocka_unit_test(arguments_lie_in_the_frame_unless_they_were_quoted),
        cmocka_unit_test(unbalanced_quotes_are_refused),
        cmocka_unit_test(nothing_is_read_behind_a_request_that_was_cut),
        cmocka_unit_test(an_array_that_is_cut_or_lies_is_refused_and_not_read_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
