/* SPDX-License-Identifier: MIT
 *
 * See exposition.h.
 */
#include "observe/exposition.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "strata/status.h"

void sta_exposition_init(struct sta_exposition *exposition, struct sta_buffer *out)
{
    *exposition = (struct sta_exposition){.out = out};
}

static void put(struct sta_exposition *exposition, struct strata_bytes bytes)
{
    if (exposition->status == STRATA_OK)
        exposition->status = sta_buffer_append(exposition->out, bytes);
}

static void put_text(struct sta_exposition *exposition, const char *text)
{
    put(exposition, strata_text(text));
}

/* Whole numbers and constants only: nothing here knows a locale. */
static void put_format(struct sta_exposition *exposition, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put_format(struct sta_exposition *exposition, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    put(exposition, strata_bytes(text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1));
}

/* In 10^-9, without the zeros at the end. */
static void put_nanos(struct sta_exposition *exposition, uint64_t nanos)
{
    char digits[16];
    (void)snprintf(digits, sizeof digits, "%09" PRIu64, nanos % STA_NS_SEC);
    size_t len = 9;
    while (len > 0 && digits[len - 1] == '0')
        digits[--len] = '\0';
    put_format(exposition, "%" PRIu64 "%s%s", nanos / STA_NS_SEC, len > 0 ? "." : "", digits);
}

/* As a label's value: any byte but the three that have a meaning stands for itself. */
static void put_escaped(struct sta_exposition *exposition, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"')
            put_format(exposition, "\\%c", *value);
        else if (*value == '\n')
            put_text(exposition, "\\n");
        else
            put(exposition, strata_bytes(value, 1));
    }
}

void sta_exposition_family(struct sta_exposition *exposition, const char *name, const char *type,
                           const char *help)
{
    if (exposition->family != NULL && strcmp(exposition->family, name) == 0)
        return;
    exposition->family = name;
    put_format(exposition, "# HELP %s ", name);
    put_text(exposition, help);
    put_format(exposition, "\n# TYPE %s %s\n", name, type);
}

static void put_value(struct sta_exposition *exposition, const struct sta_metric *metric,
                      const void *object)
{
    const char *at = (const char *)object + metric->offset;
    uint64_t whole;
    double real;
    int number;
    switch (metric->type) {
    case STA_METRIC_UINT64:
        memcpy(&whole, at, sizeof whole);
        put_format(exposition, "%" PRIu64, whole);
        break;
    case STA_METRIC_NANOSECONDS:
        memcpy(&whole, at, sizeof whole);
        put_nanos(exposition, whole);
        break;
    case STA_METRIC_DOUBLE: /* ratios and times: not negative, and not large */
        memcpy(&real, at, sizeof real);
        put_nanos(exposition, (uint64_t)(real * 1e9 + 0.5));
        break;
    case STA_METRIC_INT:
        memcpy(&number, at, sizeof number);
        put_format(exposition, "%d", number);
        break;
    }
}

void sta_exposition_metric(struct sta_exposition *exposition, const struct sta_metric *metric,
                           const void *object, const char *label, const char *value)
{
    sta_exposition_family(exposition, metric->name,
                          metric->kind == STA_METRIC_COUNTER ? "counter" : "gauge", metric->help);
    put_text(exposition, metric->name);
    if (label != NULL || metric->labels != NULL)
        put_text(exposition, "{");
    if (label != NULL) {
        put_format(exposition, "%s=\"", label);
        put_escaped(exposition, value);
        put_text(exposition, metric->labels != NULL ? "\"," : "\"");
    }
    if (metric->labels != NULL)
        put_text(exposition, metric->labels);
    put_text(exposition, label != NULL || metric->labels != NULL ? "} " : " ");
    put_value(exposition, metric, object);
    put_text(exposition, "\n");
}

void sta_exposition_table(struct sta_exposition *exposition, const struct sta_metric *table,
                          const void *object, unsigned parts)
{
    for (const struct sta_metric *metric = table; metric->help != NULL; metric++) {
        if (metric->name != NULL && (metric->parts & parts) == metric->parts)
            sta_exposition_metric(exposition, metric, object, NULL, NULL);
    }
}

void sta_exposition_histogram(struct sta_exposition *exposition, const char *name,
                              const char *labels, const struct sta_histogram *histogram,
                              const uint64_t *edges_ns, size_t edge_count)
{
    uint32_t bucket = 0;
    uint64_t count = 0;
    for (size_t i = 0; i < edge_count; i++) {
        count += sta_histogram_count_on(histogram, &bucket, edges_ns[i]);
        put_format(exposition, "%s_bucket{%s,le=\"", name, labels);
        put_nanos(exposition, edges_ns[i]);
        put_format(exposition, "\"} %" PRIu64 "\n", count);
    }
    put_format(exposition, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", name, labels,
               histogram->count);
    put_format(exposition, "%s_sum{%s} ", name, labels);
    put_nanos(exposition, histogram->sum);
    put_format(exposition, "\n%s_count{%s} %" PRIu64 "\n", name, labels, histogram->count);
}
