/* SPDX-License-Identifier: MIT
 *
 * The journal of write-behind: segment files (journal_record.h) in a directory, written by a thread
 * of its own, so that neither callers nor the loop ever wait in a write() or an fsync().
 *
 *   any thread    append() ---> bytes that wait      positions count every byte ever appended
 *   the thread      '---> write() ---> fdatasync()     safe(): positions below it outlive us
 *                            '------------- '--- news(): the owner looks
 *   any thread    trim(position): segments that end below it are deleted, the oldest first
 *
 * One fsync is shared by all that waited while the one before it ran.
 *
 *     GOOD --write or fsync fails--> BROKEN --a new segment can be made--> MENDED
 *       ^                             (tried twice a second)                  |
 *       '------ mend(): the owner has appended anew all that it owes ---------'
 *
 * What was appended and is not safe is lost to the journal where it breaks: nobody knows what a
 * failed fsync has left. So the owner appends everything again, to a new segment. Until then
 * append() answers STRATA_ERR_BUSY.
 * Files: a lock file keeps a second process out. Segments have ascending numbers for names.
 * Threads: append(), mend(), trim(), safe() under a lock of the owner's or not; open(), replay()
 * and close() by one.
 */
#ifndef STA_JOURNAL_H
#define STA_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/journal_record.h"
#include "core/log.h"

enum sta_journal_sync {
    STA_JOURNAL_ALWAYS,   /* as soon as there is something; only what is synced is safe */
    STA_JOURNAL_INTERVAL, /* written within 10 ms, fsync every second */
    STA_JOURNAL_NEVER     /* written within 10 ms; fsync is the system's */
};

struct sta_journal;

/* What a replay calls for each record, oldest first; a negative answer ends it. */
typedef int (*sta_journal_replayed)(void *arg, const struct sta_journal_record *record);

/* Makes the directory (not its parents) and locks it; makes no segment yet. STRATA_ERR_BUSY:
 * another process has it; STRATA_ERR_SYSTEM with errno; STRATA_ERR_NOMEM. `log` may be NULL. */
int sta_journal_open(struct sta_journal **out, const char *directory, enum sta_journal_sync sync,
                     const struct sta_log *log);

/* Before start(): records with a basis will come. Programs that know none do not read such
 * segments. */
void sta_journal_hold_bases(struct sta_journal *journal);

/* Reads what earlier processes left. A torn tail is cut: logged, and no error. Before start().
 * STRATA_ERR_SYSTEM with errno, STRATA_ERR_NOMEM, or what replayed() answered. */
int sta_journal_replay(struct sta_journal *journal, sta_journal_replayed replayed, void *arg);

/* Makes the first segment of ours and starts the thread; the state is MENDED. news() is called by
 * the thread: safe() has moved, or the state has changed. STRATA_ERR_SYSTEM with errno,
 * STRATA_ERR_NOMEM. */
int sta_journal_start(struct sta_journal *journal, void (*news)(void *arg), void *arg);

/* Ends the thread, and writes and syncs what was appended, by the thread or, where that has ended
 * already, here. No news after it. STRATA_OK: the journal is whole and on disk (`never`: in files);
 * STRATA_ERR_SYSTEM: it is not; then, as a last attempt, renew(). */
int sta_journal_stop(struct sta_journal *journal);

/* After stop(): makes a new segment, and the state is MENDED: append, mend() and stop() again.
 * STRATA_ERR_SYSTEM with errno, STRATA_ERR_NOMEM. */
int sta_journal_renew(struct sta_journal *journal);

/* stop(), and unlocks. NULL is fine. */
void sta_journal_close(struct sta_journal **journal);

/* `position` takes where it begins. STRATA_OK; STRATA_ERR_BUSY: broken, or too much waits;
 * STRATA_ERR_NOMEM. */
int sta_journal_append(struct sta_journal *journal, const struct sta_journal_record *record,
                       uint64_t *position);

/* All that is appended ends here. */
uint64_t sta_journal_end(struct sta_journal *journal);

/* What stands below it outlives this process; with `always` the machine as well. */
uint64_t sta_journal_safe(struct sta_journal *journal);

/* Whether a replay would bring back only what is owed: not where it is broken, or a DONE could not
 * be recorded, until all that stood before that is trimmed and gone. */
bool sta_journal_is_whole(struct sta_journal *journal);

/* What is appended and not safe may never be, until it is mended and all is recorded anew. */
bool sta_journal_is_broken(struct sta_journal *journal);

bool sta_journal_is_mended(struct sta_journal *journal);
void sta_journal_mend(struct sta_journal *journal);

/* Nothing below `position` is needed any more. */
void sta_journal_trim(struct sta_journal *journal, uint64_t position);

#endif
