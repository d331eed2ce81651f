/* SPDX-License-Identifier: MIT
 *
 * Tables (report.h).
 */
#include "bench/l1/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_WIDTH   28
#define NUMBER_WIDTH 9

void report_begin(struct report *report, const char *workload, uint32_t threads,
                  const struct report_column *columns)
{
    report->workload = workload;
    report->threads = threads;
    report->columns = columns;
    report->count = 0;
    while (columns[report->count].name != NULL)
        report->count++;
    if (report->json)
        return;
    printf("\n%s, %u thread%s\n%-*s", workload, threads, threads == 1 ? "" : "s", NAME_WIDTH, "");
    for (uint32_t i = 0; i < report->count; i++) {
        if (columns[i].title != NULL)
            printf(" %*s", NUMBER_WIDTH, columns[i].title);
    }
    printf("\n");
}

static void print_json(const struct report *report, const double *values)
{
    for (uint32_t i = 0; i < report->count; i++) {
        const struct report_column *column = &report->columns[i];
        if (isnan(values[i]))
            printf(", \"%s\": null", column->name);
        else
            printf(", \"%s\": %.*f", column->name, column->decimals, values[i]);
    }
}

static void print_text(const struct report *report, const double *values)
{
    for (uint32_t i = 0; i < report->count; i++) {
        const struct report_column *column = &report->columns[i];
        if (column->title == NULL)
            continue;
        if (isnan(values[i]))
            printf(" %*s", NUMBER_WIDTH, "-");
        else
            printf(" %*.*f", NUMBER_WIDTH, column->decimals, values[i]);
    }
}

void report_row(const struct report *report, const char *contender, const double *values)
{
    if (report->json) {
        printf("{\"workload\": \"%s\", \"threads\": %u, \"contender\": \"%s\"", report->workload,
               report->threads, contender);
        print_json(report, values);
        printf("}\n");
    } else {
        printf("  %-*s", NAME_WIDTH - 2, contender);
        print_text(report, values);
        printf("\n");
    }
    fflush(stdout);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

double report_median(double *numbers, uint32_t count)
{
    if (count == 0)
        return NAN;
    qsort(numbers, count, sizeof *numbers, by_size);
    return numbers[count / 2];
}
