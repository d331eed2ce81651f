/* SPDX-License-Identifier: MIT
 *
 * Prometheus' text format, to the letter.
 */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "observe/exposition.h"
#include "strata/status.h"

struct numbers {
    uint64_t count;
    uint64_t other;
    double ratio;
    uint64_t ns;
    int number;
};

static const struct sta_metric table[] = {
    {.name = "some_total",
     .labels = "kind=\"a\"",
     .offset = offsetof(struct numbers, count),
     .help = "Some."},
    {.name = "some_total",
     .labels = "kind=\"b\"",
     .offset = offsetof(struct numbers, other),
     .help = "Some."},
    {.name = "left_out", .parts = 4, .offset = offsetof(struct numbers, count), .help = "No."},
    {.path = "only.json", .offset = offsetof(struct numbers, count), .help = "No."},
    {.name = "some_ratio",
     .kind = STA_METRIC_GAUGE,
     .type = STA_METRIC_DOUBLE,
     .parts = 2,
     .offset = offsetof(struct numbers, ratio),
     .help = "A part."},
    {.name = "some_seconds",
     .kind = STA_METRIC_GAUGE,
     .type = STA_METRIC_NANOSECONDS,
     .offset = offsetof(struct numbers, ns),
     .help = "A time."},
    {.name = "some_number",
     .kind = STA_METRIC_GAUGE,
     .type = STA_METRIC_INT,
     .offset = offsetof(struct numbers, number),
     .help = "A number."},
    {0},
};

static void assert_text(struct sta_buffer *buffer, const char *expected)
{
    assert_int_equal(sta_buffer_append(buffer, strata_bytes("", 1)), STRATA_OK);
    assert_string_equal(sta_buffer_bytes(buffer).data, expected);
    sta_buffer_fini(buffer);
}

static void a_table_is_written_by_families(void **state)
{
    (void)state;
    const struct numbers numbers = {3, UINT64_MAX, 0.25, 1500000, -1};
    struct sta_exposition exposition;
    struct sta_buffer buffer;
    (void)setlocale(LC_ALL, "de_DE.UTF-8"); /* where there is one, its comma changes nothing */
    sta_buffer_init(&buffer, 65536);
    sta_exposition_init(&exposition, &buffer);
    sta_exposition_table(&exposition, table, &numbers, 2);
    (void)setlocale(LC_ALL, "C");
    assert_int_equal(exposition.status, STRATA_OK);
    assert_text(&buffer, "# HELP some_total Some.\n"
                         "# TYPE some_total counter\n"
                         "some_total{kind=\"a\"} 3\n"
                         "some_total{kind=\"b\"} 18446744073709551615\n"
                         "# HELP some_ratio A part.\n"
                         "# TYPE some_ratio gauge\n"
                         "some_ratio 0.25\n"
                         "# HELP some_seconds A time.\n"
                         "# TYPE some_seconds gauge\n"
                         "some_seconds 0.0015\n"
                         "# HELP some_number A number.\n"
                         "# TYPE some_number gauge\n"
                         "some_number -1\n");
}

static void labels_may_be_any_text(void **state)
{
    (void)state;
    const struct numbers numbers = {.count = 1, .ns = UINT64_C(7000000000)};
    struct sta_exposition exposition;
    struct sta_buffer buffer;
    sta_buffer_init(&buffer, 65536);
    sta_exposition_init(&exposition, &buffer);
    sta_exposition_metric(&exposition, &table[0], &numbers, "node", "a\\b\"c\nd");
    sta_exposition_metric(&exposition, &table[5], &numbers, "node", "x");
    assert_text(&buffer, "# HELP some_total Some.\n"
                         "# TYPE some_total counter\n"
                         "some_total{node=\"a\\\\b\\\"c\\nd\",kind=\"a\"} 1\n"
                         "# HELP some_seconds A time.\n"
                         "# TYPE some_seconds gauge\n"
                         "some_seconds{node=\"x\"} 7\n");
}

static void a_histogram_is_cumulative(void **state)
{
    (void)state;
    const uint64_t edges_ns[] = {100, 1000000};
    struct sta_histogram *histogram = calloc(1, sizeof *histogram);
    struct sta_exposition exposition;
    struct sta_buffer buffer;
    assert_non_null(histogram);
    sta_histogram_record(histogram, 99);
    sta_histogram_record(histogram, 100);
    sta_histogram_record(histogram, 102);
    sta_histogram_record(histogram, 2000000);
    sta_buffer_init(&buffer, 65536);
    sta_exposition_init(&exposition, &buffer);
    sta_exposition_histogram(&exposition, "d_seconds", "a=\"b\"", histogram, edges_ns, 2);
    free(histogram);
    assert_text(&buffer, "d_seconds_bucket{a=\"b\",le=\"0.0000001\"} 2\n"
                         "d_seconds_bucket{a=\"b\",le=\"0.001\"} 3\n"
                         "d_seconds_bucket{a=\"b\",le=\"+Inf\"} 4\n"
                         "d_seconds_sum{a=\"b\"} 0.002000301\n"
                         "d_seconds_count{a=\"b\"} 4\n");
}

static void what_does_not_fit_is_an_error(void **state)
{
    (void)state;
    const struct numbers numbers = {0};
    struct sta_exposition exposition;
    struct sta_buffer buffer;
    sta_buffer_init(&buffer, 100);
    sta_exposition_init(&exposition, &buffer);
    sta_exposition_table(&exposition, table, &numbers, 2);
    assert_int_equal(exposition.status, STRATA_ERR_TOO_BIG);
    assert_true(sta_buffer_len(&buffer) <= 100);
    sta_buffer_fini(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_written_by_families),
        cmocka_unit_test(labels_may_be_any_text),
        cmocka_unit_test(a_histogram_is_cumulative),
        cmocka_unit_test(what_does_not_fit_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
