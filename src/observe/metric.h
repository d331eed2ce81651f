/* SPDX-License-Identifier: MIT
 *
 * What one number is called, and what it means: a row of a table, from which the Prometheus text,
 * the JSON and the documentation come. Rows of one name stand next to each other. A name ends in
 * its unit (_seconds, _bytes, _ratio); of others the help says what they count.
 */
#ifndef STA_METRIC_H
#define STA_METRIC_H

#include <stddef.h>
#include <stdint.h>

enum sta_metric_kind {
    STA_METRIC_COUNTER, /* only grows */
    STA_METRIC_GAUGE
};

enum sta_metric_type {
    STA_METRIC_UINT64,
    STA_METRIC_DOUBLE,
    STA_METRIC_INT,        /* and enums */
    STA_METRIC_NANOSECONDS /* uint64_t; shown as seconds */
};

struct sta_metric {
    const char *name;   /* in Prometheus; NULL: not there */
    const char *labels; /* `reason="cold"`; NULL: none */
    const char *path;   /* in JSON, dots between members; NULL: not there */
    enum sta_metric_kind kind;
    enum sta_metric_type type;
    unsigned parts; /* without all of these there is no such number */
    size_t offset;  /* in the struct that the table is of */
    const char *help;
};

#endif
