/* SPDX-License-Identifier: MIT
 *
 * Durations that several threads record, and what is read of them.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/latency.h"

static struct sta_histogram *read_of(const struct sta_latency *latency)
{
    struct sta_histogram *histogram = calloc(1, sizeof *histogram);
    assert_non_null(histogram);
    sta_latency_read(latency, histogram);
    return histogram;
}

static void assert_within(uint64_t is, uint64_t wanted, double part)
{
    double error = (double)is / (double)wanted - 1;
    if (error > part || error < -part)
        fail_msg("%llu, not %llu", (unsigned long long)is, (unsigned long long)wanted);
}

/* How many of the sorted values do not exceed it. */
static size_t count_to(const uint64_t *values, size_t count, double most)
{
    size_t i = 0;
    while (i < count && (double)values[i] <= most)
        i++;
    return i;
}

static void quantiles_are_within_one_percent(void **state)
{
    (void)state;
    struct sta_latency *latency = calloc(1, sizeof *latency);
    assert_non_null(latency);
    /* From 50 ns to 5 s, each 0.1 % more than the one before. */
    uint64_t values[20000];
    size_t count = 0;
    for (double value = 50; value < 5e9; value *= 1.001)
        values[count++] = (uint64_t)value;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sta_latency_record(latency, values[i]);
        sum += values[i];
    }
    struct sta_histogram *histogram = read_of(latency);
    assert_int_equal(histogram->count, count);
    assert_int_equal(histogram->sum, sum);
    for (unsigned percent = 1; percent < 100; percent++)
        assert_within(sta_histogram_quantile(histogram, percent / 100.0),
                      values[(count * percent + 99) / 100 - 1], 0.01);
    uint32_t bucket = 0;
    uint64_t to = 0;
    for (size_t i = 0; i < count; i += 100) {
        /* All that are clearly less, none that is clearly more. */
        to += sta_histogram_count_on(histogram, &bucket, values[i]);
        assert_true(to >= count_to(values, count, 0.985 * (double)values[i]));
        assert_true(to <= count_to(values, count, 1.015 * (double)values[i]));
    }
    assert_int_equal(to + sta_histogram_count_on(histogram, &bucket, UINT64_MAX), count);
    assert_int_equal(sta_histogram_count_on(histogram, &bucket, UINT64_MAX), 0);
    free(histogram);
    free(latency);
}

static void what_is_too_long_is_counted_in_the_last_bucket(void **state)
{
    (void)state;
    struct sta_latency *latency = calloc(1, sizeof *latency);
    assert_non_null(latency);
    sta_latency_record(latency, UINT64_MAX / 2);
    sta_latency_record(latency, 0);
    struct sta_histogram *histogram = read_of(latency);
    assert_int_equal(histogram->count, 2);
    assert_true(histogram->max > UINT64_C(60000000000));
    assert_int_equal(histogram->min, 0);
    free(histogram);
    free(latency);
}

#define THREADS 4
#define EACH    20000u

static void *record_many(void *arg)
{
    for (uint64_t i = 0; i < EACH; i++)
        sta_latency_record(arg, i);
    return NULL;
}

static void threads_lose_nothing(void **state)
{
    (void)state;
    struct sta_latency *latency = calloc(1, sizeof *latency);
    pthread_t threads[THREADS];
    assert_non_null(latency);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, record_many, latency), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    struct sta_histogram *histogram = read_of(latency);
    assert_int_equal(histogram->count, THREADS * EACH);
    assert_int_equal(histogram->sum, THREADS * (uint64_t)EACH * (EACH - 1) / 2);
    free(histogram);
    free(latency);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_within_one_percent),
        cmocka_unit_test(what_is_too_long_is_counted_in_the_last_bucket),
        cmocka_unit_test(threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
