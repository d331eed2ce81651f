/* SPDX-License-Identifier: MIT
 *
 * A log sink that keeps what it is told.
 */
#include "integration/log_record.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"

void log_record_init(struct log_record *record)
{
    (void)pthread_mutex_init(&record->lock, NULL);
    record->count = 0;
}

void log_record_sink(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    struct log_record *record = arg;
    (void)pthread_mutex_lock(&record->lock);
    if (record->count < LOG_RECORD_LINES) {
        record->lines[record->count].ns = sta_clock_now_ns();
        record->lines[record->count].level = level;
        (void)snprintf(record->lines[record->count].text, sizeof record->lines[0].text, "%s: %s",
                       room, line);
    }
    record->count++;
    (void)pthread_mutex_unlock(&record->lock);
}

static unsigned kept(const struct log_record *record)
{
    return record->count < LOG_RECORD_LINES ? record->count : LOG_RECORD_LINES;
}

unsigned log_record_count(struct log_record *record, const char *text, uint64_t since_ns)
{
    unsigned count = 0;
    (void)pthread_mutex_lock(&record->lock);
    for (unsigned i = 0; i < kept(record); i++)
        count += record->lines[i].ns >= since_ns && strstr(record->lines[i].text, text) != NULL;
    (void)pthread_mutex_unlock(&record->lock);
    return count;
}

unsigned log_record_peak(struct log_record *record, uint64_t since_ns, uint64_t window_ns)
{
    unsigned peak = 0;
    unsigned first = 0;
    (void)pthread_mutex_lock(&record->lock);
    for (unsigned last = 0; last < kept(record); last++) {
        while (first <= last && (record->lines[first].ns < since_ns ||
                                 record->lines[first].ns + window_ns < record->lines[last].ns))
            first++;
        if (last + 1 - first > peak)
            peak = last + 1 - first;
    }
    (void)pthread_mutex_unlock(&record->lock);
    return peak;
}

void log_record_print(struct log_record *record)
{
    (void)pthread_mutex_lock(&record->lock);
    for (unsigned i = 0; i < kept(record); i++)
        (void)fprintf(stderr, "%12.6f %d %s\n", (double)record->lines[i].ns / 1e9,
                      (int)record->lines[i].level, record->lines[i].text);
    (void)pthread_mutex_unlock(&record->lock);
}
