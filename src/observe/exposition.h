/* SPDX-License-Identifier: MIT
 *
 * Writing Prometheus' text format, version 0.0.4: families with their HELP and TYPE, and samples.
 * Numbers have a decimal point whatever the program's locale is.
 *
 * Threads: one owner. Memory: one buffer; a failure is remembered, and what follows does nothing.
 */
#ifndef STA_EXPOSITION_H
#define STA_EXPOSITION_H

#include "core/buffer.h"
#include "core/histogram.h"
#include "observe/metric.h"

struct sta_exposition {
    struct sta_buffer *out;
    int status;         /* STRATA_OK, STRATA_ERR_NOMEM, STRATA_ERR_TOO_BIG */
    const char *family; /* whose HELP and TYPE were written at last */
};

void sta_exposition_init(struct sta_exposition *exposition, struct sta_buffer *out);

/* Begins a family, where it is not the one that was begun at last. `type`: "counter", ... */
void sta_exposition_family(struct sta_exposition *exposition, const char *name, const char *type,
                           const char *help);

/* One row's value in `object`. `label` (may be NULL) is the name of one more label, whose value may
 * be any text. */
void sta_exposition_metric(struct sta_exposition *exposition, const struct sta_metric *metric,
                           const void *object, const char *label, const char *value);

/* The rows of a table, of which there are no more after one without a help, that have a name and
 * all of whose parts are there. */
void sta_exposition_table(struct sta_exposition *exposition, const struct sta_metric *table,
                          const void *object, unsigned parts);

/* The samples of a histogram of nanoseconds as seconds, with these upper bounds, ascending. */
void sta_exposition_histogram(struct sta_exposition *exposition, const char *name,
                              const char *labels, const struct sta_histogram *histogram,
                              const uint64_t *edges_ns, size_t edge_count);

#endif
