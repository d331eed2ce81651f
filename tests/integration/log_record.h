/* SPDX-License-Identifier: MIT
 *
 * A log sink that keeps what it is told, with the time of each line.
 */
#ifndef TEST_LOG_RECORD_H
#define TEST_LOG_RECORD_H

#include <pthread.h>
#include <stdint.h>

#include "strata/log.h"

#define LOG_RECORD_LINES 4096

struct log_record {
    pthread_mutex_t lock;
    unsigned count;
    struct {
        uint64_t ns;
        enum strata_log_level level;
        char text[240];
    } lines[LOG_RECORD_LINES]; /* later ones are counted only */
};

void log_record_init(struct log_record *record);
void log_record_sink(void *record, enum strata_log_level level, const char *room, const char *line);

/* How many lines hold `text` ("" for all) and came at `since_ns` or later. */
unsigned log_record_count(struct log_record *record, const char *text, uint64_t since_ns);

/* The most lines that came within any `window_ns`, of those since `since_ns`. */
unsigned log_record_peak(struct log_record *record, uint64_t since_ns, uint64_t window_ns);

/* All of it to stderr, for a test that fails. */
void log_record_print(struct log_record *record);

#endif
