/* SPDX-License-Identifier: MIT
 *
 * A saved hot set as a file (what stands in it: hot_record.h). It is written beside its name and
 * then renamed, so that under the name there is a whole one, the old or the new, whatever happens;
 * a file that was torn all the same is read up to the tear.
 * Threads: one owner.
 */
#ifndef STA_HOT_FILE_H
#define STA_HOT_FILE_H

#include <stdio.h>

#include "cache/hot_record.h"

struct sta_hot_reader {
    FILE *file;
    struct sta_hot_head head;
    uint64_t read;           /* records */
    struct sta_buffer bytes; /* of one record: as many as have arrived, not as were announced */
};

/* STRATA_ERR_SYSTEM: it cannot be opened; else as sta_hot_head_read(). `error` (may be NULL) names
 * the file and why. */
int sta_hot_reader_open(struct sta_hot_reader *reader, const char *path,
                        struct strata_error *error);

/* The same for a file that is open, and is closed with the reader; on failure at once. `name` is
 * for errors. */
int sta_hot_reader_init(struct sta_hot_reader *reader, FILE *file, const char *name,
                        struct strata_error *error);
void sta_hot_reader_fini(struct sta_hot_reader *reader);

/* STRATA_OK with a record that is readable until the next call; STRATA_MISS: that was all;
 * STRATA_ERR_PROTOCOL: what follows is torn or damaged; STRATA_ERR_SYSTEM (errno),
 * STRATA_ERR_NOMEM. An end or error is the last. */
int sta_hot_reader_next(struct sta_hot_reader *reader, struct sta_hot_record *record);

/* Writes the head and `lists`, one behind another, to `path`: a name beside it, fsync, rename.
 * STRATA_ERR_SYSTEM, and what was there is untouched. */
int sta_hot_file_write(const char *path, const struct sta_hot_head *head,
                       const struct sta_buffer *lists, size_t count, struct strata_error *error);

/* Whether it could be written now: makes a name beside it, and removes that. Errors as above. */
int sta_hot_file_try(const char *path, struct strata_error *error);

#endif
