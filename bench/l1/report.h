/* SPDX-License-Identifier: MIT
 *
 * Tables of numbers, a row for each contender: as text with a heading, or as one JSON object a
 * line. A number that does not exist is NaN: "-" or null.
 */
#ifndef BENCH_L1_REPORT_H
#define BENCH_L1_REPORT_H

#include <stdbool.h>
#include <stdint.h>

struct report_column {
    const char *name;  /* in JSON */
    const char *title; /* in text; NULL: not shown there */
    int decimals;
};

struct report {
    bool json;
    /* of the table that was begun */
    const char *workload;
    uint32_t threads;
    const struct report_column *columns;
    uint32_t count;
};

/* Columns end with one without a name. */
void report_begin(struct report *report, const char *workload, uint32_t threads,
                  const struct report_column *columns);
void report_row(const struct report *report, const char *contender, const double *values);

/* Sorts `numbers`; NaN where there are none. */
double report_median(double *numbers, uint32_t count);

#endif
