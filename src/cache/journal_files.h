/* SPDX-License-Identifier: MIT
 *
 * The files of a journal: a directory that one process at a time may use, and the segments in it.
 * Threads: one owner at a time.
 */
#ifndef STA_JOURNAL_FILES_H
#define STA_JOURNAL_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "strata/bytes.h"

struct sta_journal_file {
    uint64_t number;
    uint64_t begin; /* position of its first byte; 0: by an earlier process */
    uint64_t end;   /* position behind its last byte; 0: it is being written */
    uint64_t bytes;
};

struct sta_journal_files {
    int directory; /* descriptors; -1: none */
    int lock;
    int current;                    /* the segment that is being written; the last of `files` */
    struct sta_journal_file *files; /* by ascending number */
    size_t count;
    size_t room;
    uint64_t next_number;
    const char *head; /* of segments that will be made */
};

/* Makes the directory where it is not there, and has its name on disk.
 * STRATA_ERR_BUSY: somebody else uses it; STRATA_ERR_SYSTEM with errno; STRATA_ERR_NOMEM. Lists the
 * segments that are there, with `end` as their end. fini() is right after a failure, too. */
int sta_journal_files_init(struct sta_journal_files *files, const char *directory, uint64_t end);
void sta_journal_files_fini(struct sta_journal_files *files);

/* The whole of a segment, to be freed. STRATA_ERR_SYSTEM with errno, STRATA_ERR_NOMEM. */
int sta_journal_files_read(const struct sta_journal_files *files,
                           const struct sta_journal_file *file, struct strata_bytes *out);

/* Ends the current segment at `end`, and begins one. After a failure there is none. What the one
 * that ends has is not synced here. */
int sta_journal_files_roll(struct sta_journal_files *files, uint64_t end);

/* STRATA_ERR_SYSTEM with errno: nobody knows how much of it was written, or is on disk. */
int sta_journal_files_write(struct sta_journal_files *files, struct strata_bytes bytes);
int sta_journal_files_sync(struct sta_journal_files *files);

/* The current one is not to be written to any more. */
void sta_journal_files_abandon(struct sta_journal_files *files, uint64_t end);

/* Deletes segments that end at `position` or below, the oldest first, up to one that does not. */
void sta_journal_files_trim(struct sta_journal_files *files, uint64_t position);

/* Whether that would delete one. */
bool sta_journal_files_would_trim(const struct sta_journal_files *files, uint64_t position);

/* Where the oldest segment begins; there must be one. */
uint64_t sta_journal_files_first(const struct sta_journal_files *files);

/* Of the name of a segment. */
#define STA_JOURNAL_NAME_CAP 32u
void sta_journal_files_name(uint64_t number, char *name);

#endif
