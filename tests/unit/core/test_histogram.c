/* SPDX-License-Identifier: MIT
 *
 * src/core/histogram: buckets that cover everything, quantiles within the promised error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/histogram.h"
#include "core/random.h"

static int setup(void **state)
{
    *state = calloc(2, sizeof(struct sta_histogram));
    return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void an_empty_one_answers_zero(void **state)
{
    const struct sta_histogram *histogram = *state;
    assert_int_equal(sta_histogram_quantile(histogram, 0.5), 0);
    assert_int_equal(sta_histogram_quantile(histogram, 1.0), 0);
    assert_true(sta_histogram_mean(histogram) == 0.0);
}

static void buckets_follow_the_values_without_gap_from_zero_to_the_largest(void **state)
{
    (void)state;
    assert_int_equal(sta_histogram_bucket(0), 0);
    assert_int_equal(sta_histogram_bucket(UINT64_MAX), STA_HISTOGRAM_BUCKETS - 1);
    for (uint64_t value = 1; value < 1u << 20; value++) {
        uint32_t step = sta_histogram_bucket(value) - sta_histogram_bucket(value - 1);
        assert_true(step <= 1);
    }
    for (unsigned power = 20; power < 64; power++) {
        uint64_t first = UINT64_C(1) << power;
        assert_int_equal(sta_histogram_bucket(first), sta_histogram_bucket(first - 1) + 1);
    }
}

static void small_values_are_exact(void **state)
{
    struct sta_histogram *histogram = *state;
    for (uint64_t value = 0; value < 128; value++)
        sta_histogram_record(histogram, value);
    for (uint64_t rank = 1; rank < 128; rank++)
        assert_int_equal(sta_histogram_quantile(histogram, (double)rank / 128.0), rank - 1);
}

/* What a lone value between two extremes answers is what its bucket answers for it. */
static void assert_close(struct sta_histogram *histogram, uint64_t value)
{
    *histogram = (struct sta_histogram){0};
    sta_histogram_record(histogram, 0);
    sta_histogram_record(histogram, value);
    sta_histogram_record(histogram, UINT64_MAX);
    uint64_t answer = sta_histogram_quantile(histogram, 0.5);
    uint64_t error = answer > value ? answer - value : value - answer;
    assert_true((double)error <= 0.008 * (double)value);
}

static void every_answer_is_within_one_percent_of_the_value(void **state)
{
    struct sta_histogram *histogram = *state;
    uint64_t random = 42;
    for (unsigned power = 0; power < 64; power++) {
        uint64_t low = UINT64_C(1) << power;
        assert_close(histogram, low);
        assert_close(histogram, low + (low - 1));
        for (int i = 0; i < 20; i++)
            assert_close(histogram, low + sta_random_below(&random, low));
    }
}

static int compare_values(const void *left, const void *right)
{
    const uint64_t *a = left;
    const uint64_t *b = right;
    return (*a > *b) - (*a < *b);
}

static void quantiles_of_many_values_are_those_of_the_sorted_values(void **state)
{
    struct sta_histogram *histogram = *state;
    enum { COUNT = 20000 };
    uint64_t *values = calloc(COUNT, sizeof *values);
    assert_non_null(values);
    uint64_t random = 7;
    for (int i = 0; i < COUNT; i++) {
        values[i] = sta_random_next(&random) >> (24 + sta_random_below(&random, 40));
        sta_histogram_record(histogram, values[i]);
    }
    qsort(values, COUNT, sizeof *values, compare_values);
    for (int permille = 1; permille <= 1000; permille++) {
        uint64_t exact = values[COUNT / 1000 * permille - 1];
        uint64_t answer = sta_histogram_quantile(histogram, permille / 1000.0);
        uint64_t error = answer > exact ? answer - exact : exact - answer;
        assert_true((double)error <= 0.008 * (double)exact);
    }
    free(values);
}

static void the_ends_are_the_exact_extremes(void **state)
{
    struct sta_histogram *histogram = *state;
    sta_histogram_record(histogram, 1000003);
    assert_int_equal(sta_histogram_quantile(histogram, 0.5), 1000003);
    sta_histogram_record(histogram, 77777777);
    assert_int_equal(sta_histogram_quantile(histogram, 0.0), 1000003);
    assert_int_equal(sta_histogram_quantile(histogram, -1.0), 1000003);
    assert_int_equal(sta_histogram_quantile(histogram, 1.0), 77777777);
    assert_int_equal(sta_histogram_quantile(histogram, 2.0), 77777777);
}

static void merging_counts_as_if_one_had_recorded_all(void **state)
{
    struct sta_histogram *pair = *state;
    sta_histogram_merge(&pair[0], &pair[1]);
    assert_int_equal(pair[0].count, 0);
    for (uint64_t value = 500; value < 1000; value++)
        sta_histogram_record(&pair[1], value);
    sta_histogram_merge(&pair[0], &pair[1]);
    assert_int_equal(pair[0].min, 500);
    for (uint64_t value = 1; value < 500; value++)
        sta_histogram_record(&pair[1], value);
    pair[0] = (struct sta_histogram){0};
    sta_histogram_record(&pair[0], 5000);
    sta_histogram_merge(&pair[0], &pair[1]);
    assert_int_equal(pair[0].count, 1000);
    assert_int_equal(pair[0].min, 1);
    assert_int_equal(pair[0].max, 5000);
    assert_true(sta_histogram_mean(&pair[0]) == (999.0 * 1000.0 / 2.0 + 5000.0) / 1000.0);
    assert_in_range(sta_histogram_quantile(&pair[0], 0.5), 496, 504);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_one_answers_zero),
        TEST(buckets_follow_the_values_without_gap_from_zero_to_the_largest),
        TEST(small_values_are_exact),
        TEST(every_answer_is_within_one_percent_of_the_value),
        TEST(quantiles_of_many_values_are_those_of_the_sorted_values),
        TEST(the_ends_are_the_exact_extremes),
        TEST(merging_counts_as_if_one_had_recorded_all),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
