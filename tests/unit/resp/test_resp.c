/* SPDX-License-Identifier: MIT
 *
 * Walking over frames: each type's content, and that no walk leaves its bytes.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "resp/resp.h"
#include "strata/status.h"
#include "unit/resp/examples.h"

static struct sta_resp_value value_of(const char *wire)
{
    struct sta_resp_walk walk = sta_resp_walk(strata_text(wire));
    struct sta_resp_value value;
    assert_int_equal(sta_resp_next(&walk, &value), STRATA_OK);
    return value;
}

static void expect_bytes(const char *wire, enum sta_resp_type type, const char *bytes)
{
    struct sta_resp_value value = value_of(wire);
    assert_int_equal(value.type, type);
    assert_int_equal(value.bytes.len, strlen(bytes));
    assert_memory_equal(value.bytes.data, bytes, value.bytes.len);
    assert_int_equal(value.raw.len, strlen(wire));
}

static void values_of_bytes_hold_them(void **state)
{
    (void)state;
    expect_bytes("+OK\r\n", STA_RESP_SIMPLE, "OK");
    expect_bytes("-ERR no\r\n", STA_RESP_ERROR, "ERR no");
    expect_bytes("$5\r\na\r\nb \r\n", STA_RESP_BULK, "a\r\nb ");
    expect_bytes("!6\r\nERR no\r\n", STA_RESP_BULK_ERROR, "ERR no");
    expect_bytes("(-12\r\n", STA_RESP_BIG_NUMBER, "-12");
    expect_bytes("=8\r\nmkd:# hi\r\n", STA_RESP_VERBATIM, "# hi");
    assert_string_equal(value_of("=8\r\nmkd:# hi\r\n").format, "mkd");
}

static void values_that_are_numbers_hold_them(void **state)
{
    (void)state;
    assert_int_equal(value_of(":-42\r\n").integer, -42);
    assert_true(value_of(":-9223372036854775808\r\n").integer == INT64_MIN);
    assert_true(value_of(":9223372036854775807\r\n").integer == INT64_MAX);
    assert_int_equal(value_of("#t\r\n").integer, 1);
    assert_int_equal(value_of("#f\r\n").integer, 0);
    assert_int_equal(value_of("#f\r\n").type, STA_RESP_BOOLEAN);
    expect_bytes(",1.50\r\n", STA_RESP_DOUBLE, "1.50");
    assert_true(value_of(",1.50\r\n").real == 1.5);
    assert_true(value_of(",-inf\r\n").real < 0 && isinf(value_of(",-inf\r\n").real));
    assert_true(isnan(value_of(",nan\r\n").real));
}

static void the_forms_of_null_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(value_of("_\r\n").type, STA_RESP_NULL);
    assert_int_equal(value_of("$-1\r\n").type, STA_RESP_NULL);
    assert_int_equal(value_of("*-1\r\n").type, STA_RESP_NULL_ARRAY);
}

static void aggregates_count_elements_and_pairs(void **state)
{
    (void)state;
    assert_int_equal(value_of("*2\r\n:1\r\n:2\r\n").count, 2);
    assert_int_equal(value_of("~1\r\n:1\r\n").type, STA_RESP_SET);
    assert_int_equal(value_of(">1\r\n:1\r\n").type, STA_RESP_PUSH);
    struct sta_resp_value map = value_of("%1\r\n:1\r\n:2\r\n");
    assert_int_equal(map.type, STA_RESP_MAP);
    assert_int_equal(map.count, 1);
    assert_int_equal(map.raw.len, 4);
    assert_int_equal(value_of("|1\r\n:1\r\n:2\r\n:3\r\n").count, 1);
}

static void elements_follow_their_aggregate_one_by_one(void **state)
{
    (void)state;
    struct sta_resp_walk walk = sta_resp_walk(strata_text("*2\r\n%1\r\n+k\r\n:5\r\n_\r\n:6\r\n"));
    static const enum sta_resp_type types[] = {STA_RESP_ARRAY,   STA_RESP_MAP,  STA_RESP_SIMPLE,
                                               STA_RESP_INTEGER, STA_RESP_NULL, STA_RESP_INTEGER};
    struct sta_resp_value value;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        assert_int_equal(sta_resp_next(&walk, &value), STRATA_OK);
        assert_int_equal(value.type, types[i]);
    }
    assert_int_equal(sta_resp_next(&walk, &value), STRATA_MISS);
    assert_int_equal(sta_resp_next(&walk, &value), STRATA_MISS);
}

static void skip_passes_over_whole_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < reply_example_count; i++) {
        struct sta_resp_walk walk =
            sta_resp_walk(strata_bytes(reply_examples[i].wire, reply_examples[i].len));
        struct strata_bytes raw = {0};
        assert_int_equal(sta_resp_skip(&walk, &raw), STRATA_OK);
        assert_ptr_equal(raw.data, reply_examples[i].wire);
        assert_int_equal(raw.len, reply_examples[i].len);
        assert_int_equal(sta_resp_skip(&walk, &raw), STRATA_MISS);
    }
}

/* Any cut of any example: never read past, never taken for whole. */
static void a_frame_that_is_cut_is_a_protocol_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < reply_example_count; i++) {
        for (size_t len = 1; len < reply_examples[i].len; len++) {
            char *copy = malloc(len);
            memcpy(copy, reply_examples[i].wire, len);
            struct sta_resp_walk walk = sta_resp_walk(strata_bytes(copy, len));
            assert_int_equal(sta_resp_skip(&walk, NULL), STRATA_ERR_PROTOCOL);
            assert_int_equal(walk.rest.len, len);
            free(copy);
        }
    }
}

static void malformed_values_are_protocol_errors_and_leave_the_walk_in_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < bad_reply_count; i++) {
        if (bad_replies[i].status != STRATA_ERR_PROTOCOL)
            continue;
        struct sta_resp_walk walk =
            sta_resp_walk(strata_bytes(bad_replies[i].wire, bad_replies[i].len));
        struct sta_resp_value value = {.integer = 4711};
        int status = STRATA_OK;
        while (status == STRATA_OK)
            status = sta_resp_next(&walk, &value);
        assert_int_equal(status, STRATA_ERR_PROTOCOL);
        assert_true(walk.rest.len > 0);
    }
}

static void counts_beyond_the_bytes_that_are_left_are_refused(void **state)
{
    (void)state;
    static const char *const lies[] = {
        "*2\r\n:1\r\n",
        "%1\r\n:1\r\n",
        "*9223372036854775807\r\n:1\r\n",
        "%9223372036854775807\r\n:1\r\n",
        "|9223372036854775807\r\n:1\r\n",
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct sta_resp_walk walk = sta_resp_walk(strata_text(lies[i]));
        assert_int_equal(sta_resp_skip(&walk, NULL), STRATA_ERR_PROTOCOL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_bytes_hold_them),
        cmocka_unit_test(values_that_are_numbers_hold_them),
        cmocka_unit_test(the_forms_of_null_are_told_apart),
        cmocka_unit_test(aggregates_count_elements_and_pairs),
        cmocka_unit_test(elements_follow_their_aggregate_one_by_one),
        cmocka_unit_test(skip_passes_over_whole_frames),
        cmocka_unit_test(a_frame_that_is_cut_is_a_protocol_error),
        cmocka_unit_test(malformed_values_are_protocol_errors_and_leave_the_walk_in_place),
        cmocka_unit_test(counts_beyond_the_bytes_that_are_left_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
