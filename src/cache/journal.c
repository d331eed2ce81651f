/* SPDX-License-Identifier: MIT
 *
 * See journal.h.
 */
#include "cache/journal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cache/journal_files.h"
#include "core/clock.h"
#include "strata/status.h"

#define SEGMENT_BYTES ((uint64_t)16 << 20)
#define WAITING_MOST  ((size_t)16 << 20) /* but one record is always taken */
#define WRITE_NS      (10 * STA_NS_MS)
#define SYNC_NS       STA_NS_SEC
#define TRY_NS        (STA_NS_SEC / 2)
#define FIRST         1u /* position; what earlier processes left ends there */

enum journal_state { JOURNAL_GOOD, JOURNAL_BROKEN, JOURNAL_MENDED };

struct sta_journal {
    /* Fixed before start(). */
    enum sta_journal_sync sync;
    const struct sta_log *log;
    void (*news)(void *arg);
    void *arg;
    pthread_t thread;
    bool started;

    /* Guarded by lock. */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    enum journal_state state;
    struct sta_buffer waiting;
    uint64_t end;
    uint64_t safe;
    uint64_t trim;
    uint64_t first;   /* where what is still in files begins */
    uint64_t missing; /* of what stands before it a DONE is not in the journal; 0: all are */
    bool closing;

    /* Of the thread; before start() of who opens. */
    struct sta_journal_files files;
    struct sta_buffer writing;
    uint64_t synced_ns; /* when; 0: everything is */
};

/* ---- callers ---- */

static int journal_append_locked(struct sta_journal *journal, struct strata_bytes bytes,
                                 uint64_t *position)
{
    size_t waits = sta_buffer_len(&journal->waiting);
    bool full = journal->state == JOURNAL_GOOD && waits > 0 && waits + bytes.len > WAITING_MOST;
    if (journal->state == JOURNAL_BROKEN || full)
        return STRATA_ERR_BUSY;
    int status = sta_buffer_append(&journal->waiting, bytes);
    if (status < 0)
        return status;
    *position = journal->end;
    journal->end += bytes.len;
    if (waits == 0)
        pthread_cond_signal(&journal->wake);
    return STRATA_OK;
}

/* The record is made before the lock is taken: the thread needs it, and a CRC takes its time. */
int sta_journal_append(struct sta_journal *journal, const struct sta_journal_record *record,
                       uint64_t *position)
{
    struct sta_buffer made;
    sta_buffer_init(&made, SIZE_MAX);
    int status = sta_journal_record_append(&made, record);
    pthread_mutex_lock(&journal->lock);
    if (status == STRATA_OK)
        status = journal_append_locked(journal, sta_buffer_bytes(&made), position);
    if (status < 0 && record->type == STA_JOURNAL_DONE)
        journal->missing = journal->end;
    pthread_mutex_unlock(&journal->lock);
    sta_buffer_fini(&made);
    return status;
}

static uint64_t journal_read(struct sta_journal *journal, const uint64_t *field)
{
    pthread_mutex_lock(&journal->lock);
    uint64_t value = *field;
    pthread_mutex_unlock(&journal->lock);
    return value;
}

uint64_t sta_journal_end(struct sta_journal *journal)
{
    return journal_read(journal, &journal->end);
}

uint64_t sta_journal_safe(struct sta_journal *journal)
{
    return journal_read(journal, &journal->safe);
}

static bool journal_is(struct sta_journal *journal, enum journal_state state)
{
    pthread_mutex_lock(&journal->lock);
    bool is = journal->state == state;
    pthread_mutex_unlock(&journal->lock);
    return is;
}

bool sta_journal_is_broken(struct sta_journal *journal)
{
    return journal_is(journal, JOURNAL_BROKEN);
}

bool sta_journal_is_mended(struct sta_journal *journal)
{
    return journal_is(journal, JOURNAL_MENDED);
}

bool sta_journal_is_whole(struct sta_journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    bool whole = journal->state == JOURNAL_GOOD && journal->missing <= journal->first;
    pthread_mutex_unlock(&journal->lock);
    return whole;
}

void sta_journal_mend(struct sta_journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    journal->state = JOURNAL_GOOD;
    pthread_cond_signal(&journal->wake);
    pthread_mutex_unlock(&journal->lock);
}

void sta_journal_trim(struct sta_journal *journal, uint64_t position)
{
    pthread_mutex_lock(&journal->lock);
    journal->trim = position;
    pthread_mutex_unlock(&journal->lock);
}

/* ---- the thread ---- */

static void journal_wait_locked(struct sta_journal *journal, uint64_t for_ns)
{
    struct timespec until;
    uint64_t until_ns = sta_clock_now_ns() + for_ns;
    until.tv_sec = (time_t)(until_ns / STA_NS_SEC);
    until.tv_nsec = (long)(until_ns % STA_NS_SEC);
    (void)pthread_cond_timedwait(&journal->wake, &journal->lock, &until);
}

/* Lets go of the lock while it tries. */
static void journal_try_locked(struct sta_journal *journal)
{
    uint64_t end = journal->end;
    journal_wait_locked(journal, TRY_NS);
    if (journal->closing)
        return;
    pthread_mutex_unlock(&journal->lock);
    int status = sta_journal_files_roll(&journal->files, end);
    if (status == STRATA_OK)
        sta_log_write(
            journal->log, STRATA_LOG_WARNING, STA_ROOM_CACHE,
            "journal: can be written again; all that Redis has not is written to it anew");
    pthread_mutex_lock(&journal->lock);
    if (status == STRATA_OK)
        journal->state = JOURNAL_MENDED;
}

static void journal_break(struct sta_journal *journal, int reason)
{
    sta_log_write(journal->log, STRATA_LOG_ERROR, STA_ROOM_CACHE,
                  "journal: cannot be written: %s; writes find no room until it can",
                  strerror(reason));
    pthread_mutex_lock(&journal->lock);
    journal->state = JOURNAL_BROKEN;
    journal->missing = journal->end;
    sta_buffer_clear(&journal->waiting);
    sta_journal_files_abandon(&journal->files, journal->end);
    pthread_mutex_unlock(&journal->lock);
    journal->synced_ns = 0;
}

/* A segment that is left is on disk, whatever the way: nobody syncs it later. */
static int journal_roll(struct sta_journal *journal, uint64_t begin)
{
    int status = sta_journal_files_sync(&journal->files);
    if (status == STRATA_OK)
        status = sta_journal_files_roll(&journal->files, begin);
    return status;
}

static bool journal_sync_is_due(const struct sta_journal *journal, uint64_t now_ns)
{
    if (journal->synced_ns == 0)
        return false;
    return journal->sync == STA_JOURNAL_ALWAYS ||
           (journal->sync == STA_JOURNAL_INTERVAL && now_ns - journal->synced_ns >= SYNC_NS);
}

/* What was taken goes to the file, and to the disk where it is time for that, or where segments
 * will be deleted: what replaces them is safe before. */
static int journal_write(struct sta_journal *journal, uint64_t begin, bool closing, bool deletes)
{
    struct sta_journal_files *files = &journal->files;
    struct strata_bytes bytes = sta_buffer_bytes(&journal->writing);
    int status = STRATA_OK;
    uint64_t now_ns = sta_clock_now_ns();
    if (bytes.len > 0 && files->files[files->count - 1].bytes >= SEGMENT_BYTES)
        status = journal_roll(journal, begin);
    if (status == STRATA_OK)
        status = sta_journal_files_write(files, bytes);
    if (status == STRATA_OK && bytes.len > 0 && journal->synced_ns == 0)
        journal->synced_ns = now_ns;
    bool never = journal->sync == STA_JOURNAL_NEVER;
    bool due = (closing && journal->synced_ns != 0) || (never && deletes) ||
               journal_sync_is_due(journal, now_ns);
    if (status == STRATA_OK && due)
        status = sta_journal_files_sync(files);
    if (due || never)
        journal->synced_ns = 0;
    return status;
}

/* One round: takes what waits, and writes it. */
static void journal_round(struct sta_journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    struct sta_buffer taken = journal->waiting;
    journal->waiting = journal->writing;
    journal->writing = taken;
    uint64_t end = journal->end;
    uint64_t trim = journal->trim;
    bool closing = journal->closing;
    pthread_mutex_unlock(&journal->lock);
    uint64_t begin = end - sta_buffer_len(&journal->writing);
    bool deletes = sta_journal_files_would_trim(&journal->files, trim);
    int status = journal_write(journal, begin, closing, deletes);
    int reason = errno;
    sta_buffer_consume(&journal->writing, sta_buffer_len(&journal->writing));
    if (status < 0) {
        journal_break(journal, status == STRATA_ERR_NOMEM ? ENOMEM : reason);
        return;
    }
    if (journal->synced_ns == 0) {
        if (closing && trim >= end)
            sta_journal_files_abandon(&journal->files, end);
        sta_journal_files_trim(&journal->files, trim);
    }
    pthread_mutex_lock(&journal->lock);
    journal->safe = end; /* with `always` it is synced by now */
    if (journal->files.count > 0)
        journal->first = sta_journal_files_first(&journal->files);
    pthread_mutex_unlock(&journal->lock);
}

/* Waits until there is something to do. False: the end. */
static bool journal_rest(struct sta_journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    enum journal_state before = journal->state;
    bool always = journal->sync == STA_JOURNAL_ALWAYS;
    if (journal->state == JOURNAL_BROKEN)
        journal_try_locked(journal);
    else if (journal->state == JOURNAL_MENDED)
        journal_wait_locked(journal, TRY_NS);
    else if (sta_buffer_len(&journal->waiting) == 0 && journal->synced_ns == 0)
        while (!journal->closing && sta_buffer_len(&journal->waiting) == 0)
            pthread_cond_wait(&journal->wake, &journal->lock);
    if (journal->state == JOURNAL_GOOD && before == JOURNAL_GOOD && !always && !journal->closing)
        journal_wait_locked(journal, WRITE_NS);
    bool ends = journal->closing;
    bool good = journal->state == JOURNAL_GOOD;
    pthread_mutex_unlock(&journal->lock);
    if (good)
        journal_round(journal);
    journal->news(journal->arg);
    return !ends;
}

static void *journal_thread(void *arg)
{
    struct sta_journal *journal = arg;
    (void)pthread_setname_np(pthread_self(), "strata-journal");
    while (journal_rest(journal))
        continue;
    return NULL;
}

/* ---- life ---- */

int sta_journal_open(struct sta_journal **out, const char *directory, enum sta_journal_sync sync,
                     const struct sta_log *log)
{
    pthread_condattr_t monotonic;
    struct sta_journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL)
        return STRATA_ERR_NOMEM;
    journal->sync = sync;
    journal->log = log;
    journal->end = FIRST;
    journal->safe = FIRST;
    pthread_mutex_init(&journal->lock, NULL);
    pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&journal->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    sta_buffer_init(&journal->waiting, SIZE_MAX);
    sta_buffer_init(&journal->writing, SIZE_MAX);
    int status = sta_journal_files_init(&journal->files, directory, FIRST);
    if (status < 0) {
        int reason = errno;
        sta_log_write(log, STRATA_LOG_ERROR, STA_ROOM_CACHE, "journal: %s: %s", directory,
                      status == STRATA_ERR_BUSY ? "another process uses it" : strerror(reason));
        sta_journal_close(&journal);
        errno = reason;
        return status;
    }
    *out = journal;
    return STRATA_OK;
}

void sta_journal_hold_bases(struct sta_journal *journal)
{
    journal->files.head = STA_JOURNAL_HEAD_GUARDED;
}

static bool is_segment(struct strata_bytes bytes)
{
    return bytes.len >= STA_JOURNAL_HEAD_LEN &&
           (memcmp(bytes.data, STA_JOURNAL_HEAD, STA_JOURNAL_HEAD_LEN) == 0 ||
            memcmp(bytes.data, STA_JOURNAL_HEAD_GUARDED, STA_JOURNAL_HEAD_LEN) == 0);
}

static int replay_file(struct sta_journal *journal, const struct sta_journal_file *file,
                       struct strata_bytes bytes, sta_journal_replayed replayed, void *arg)
{
    struct sta_journal_record record;
    struct strata_bytes rest = bytes;
    char name[STA_JOURNAL_NAME_CAP];
    int status = STRATA_ERR_PROTOCOL;
    if (is_segment(bytes)) {
        rest = strata_bytes((const uint8_t *)bytes.data + STA_JOURNAL_HEAD_LEN,
                            bytes.len - STA_JOURNAL_HEAD_LEN);
        while ((status = sta_journal_record_next(&rest, &record)) == STRATA_OK) {
            int answer = replayed(arg, &record);
            if (answer < 0)
                return answer;
        }
    }
    if (status != STRATA_ERR_PROTOCOL || bytes.len == 0)
        return STRATA_OK;
    sta_journal_files_name(file->number, name);
    sta_log_write(journal->log, STRATA_LOG_WARNING, STA_ROOM_CACHE,
                  "journal: %s is torn: its last %zu of %zu bytes are not replayed", name, rest.len,
                  bytes.len);
    return STRATA_OK;
}

int sta_journal_replay(struct sta_journal *journal, sta_journal_replayed replayed, void *arg)
{
    for (size_t i = 0; i < journal->files.count; i++) {
        struct strata_bytes bytes;
        const struct sta_journal_file *file = &journal->files.files[i];
        int status = sta_journal_files_read(&journal->files, file, &bytes);
        if (status < 0)
            return status;
        status = replay_file(journal, file, bytes, replayed, arg);
        free((void *)bytes.data);
        if (status < 0)
            return status;
    }
    return STRATA_OK;
}

int sta_journal_start(struct sta_journal *journal, void (*news)(void *arg), void *arg)
{
    sigset_t all, before;
    journal->news = news;
    journal->arg = arg;
    int status = sta_journal_files_roll(&journal->files, FIRST);
    int reason = errno;
    if (status < 0) {
        sta_log_write(journal->log, STRATA_LOG_ERROR, STA_ROOM_CACHE,
                      "journal: cannot be written: %s", strerror(reason));
        errno = reason;
        return status;
    }
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    journal->state = JOURNAL_MENDED;
    reason = pthread_create(&journal->thread, NULL, journal_thread, journal);
    journal->started = reason == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = reason;
    return journal->started ? STRATA_OK : STRATA_ERR_SYSTEM;
}

static void journal_end_thread(struct sta_journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    journal->closing = true;
    pthread_cond_signal(&journal->wake);
    pthread_mutex_unlock(&journal->lock);
    pthread_join(journal->thread, NULL);
    journal->started = false;
}

int sta_journal_stop(struct sta_journal *journal)
{
    if (journal->started)
        journal_end_thread(journal);
    else if (journal->state == JOURNAL_GOOD)
        journal_round(journal);
    bool whole = journal->state == JOURNAL_GOOD && journal->safe == journal->end;
    return whole ? STRATA_OK : STRATA_ERR_SYSTEM;
}

int sta_journal_renew(struct sta_journal *journal)
{
    int status = STRATA_OK;
    if (journal->state != JOURNAL_MENDED)
        status = sta_journal_files_roll(&journal->files, journal->end);
    if (status == STRATA_OK)
        journal->state = JOURNAL_MENDED;
    return status;
}

void sta_journal_close(struct sta_journal **journal_ptr)
{
    struct sta_journal *journal = *journal_ptr;
    if (journal == NULL)
        return;
    if (journal->started)
        journal_end_thread(journal);
    sta_journal_files_fini(&journal->files);
    sta_buffer_fini(&journal->waiting);
    sta_buffer_fini(&journal->writing);
    pthread_cond_destroy(&journal->wake);
    pthread_mutex_destroy(&journal->lock);
    free(journal);
    *journal_ptr = NULL;
}
