/* SPDX-License-Identifier: MIT
 *
 * The door of cache/journal.h over sim_disk.h. Records are the real ones; segments are small, so
 * that they come and go; what is written is on disk when the round that writes it is over. A
 * directory that is full takes a part of what is written, and then breaks the journal.
 * Not modelled: power that is lost (what is in a file outlives its process), locks of directories.
 */
#include "cache/journal.h"

#include <assert.h>
#include <stdlib.h>

#include "core/clock.h"
#include "sim/sim_disk.h"
#include "strata/status.h"

#define FIRST         1u /* as in cache/journal.c */
#define SEGMENT_BYTES 2048u
#define SYNC_MOST_NS  (5 * STA_NS_MS)
#define WRITE_NS      (10 * STA_NS_MS)
#define SYNC_NS       STA_NS_SEC
#define TRY_NS        (STA_NS_SEC / 2)

enum state { GOOD, BROKEN, MENDED };

struct sta_journal {
    struct sim *sim;
    struct sim_directory *directory;
    enum sta_journal_sync sync;
    bool guarded, open; /* there is a segment that is being written */
    void (*news)(void *arg);
    void *arg;
    enum state state;
    struct sta_buffer waiting;
    uint64_t end, safe, synced, trim, first, missing;
    uint64_t synced_ns;
    bool planned; /* a round */
};

/* ---- segments ---- */

static struct sim_segment *last_segment(struct sta_journal *journal)
{
    return &journal->directory->segments[journal->directory->count - 1];
}

static void segment_end(struct sta_journal *journal, uint64_t end)
{
    if (journal->open)
        last_segment(journal)->end = end;
    journal->open = false;
}

static bool is_full(const struct sta_journal *journal)
{
    return !journal->directory->dead &&
           sim_now_ns(journal->sim) < journal->directory->full_until_ns;
}

static void put(struct sta_journal *journal, struct strata_bytes bytes)
{
    int status = sta_buffer_append(&last_segment(journal)->bytes, bytes);
    assert(status == STRATA_OK);
    (void)status;
}

static struct strata_bytes some_of(struct sta_journal *journal, struct strata_bytes bytes)
{
    return strata_bytes(bytes.data, sim_below(journal->sim, bytes.len));
}

static bool segment_begin(struct sta_journal *journal, uint64_t begin)
{
    struct sim_directory *directory = journal->directory;
    segment_end(journal, begin);
    if (is_full(journal))
        return false;
    if (directory->dead)
        return true;
    if (directory->count == directory->cap) {
        directory->cap = directory->cap == 0 ? 8 : 2 * directory->cap;
        directory->segments =
            realloc(directory->segments, directory->cap * sizeof *directory->segments);
        assert(directory->segments != NULL);
    }
    directory->segments[directory->count++] = (struct sim_segment){.begin = begin};
    sta_buffer_init(&last_segment(journal)->bytes, SIZE_MAX);
    put(journal, strata_text(journal->guarded ? STA_JOURNAL_HEAD_GUARDED : STA_JOURNAL_HEAD));
    journal->open = true;
    return true;
}

/* The oldest first, up to one that is needed. */
static void segments_trim(struct sta_journal *journal)
{
    struct sim_directory *directory = journal->directory;
    size_t gone = 0;
    while (!directory->dead && gone < directory->count && directory->segments[gone].end != 0 &&
           directory->segments[gone].end <= journal->trim)
        sta_buffer_fini(&directory->segments[gone++].bytes);
    for (size_t i = gone; i < directory->count; i++)
        directory->segments[i - gone] = directory->segments[i];
    directory->count -= gone;
    if (directory->count > 0)
        journal->first = directory->segments[0].begin;
}

/* ---- rounds: what the thread does ---- */

static void journal_plan(struct sta_journal *journal);

static void journal_break(struct sta_journal *journal)
{
    struct strata_bytes bytes = sta_buffer_bytes(&journal->waiting);
    sim_log(journal->sim, "disk %s: a write fails", journal->directory->name);
    if (journal->open)
        put(journal, some_of(journal, bytes));
    sta_buffer_consume(&journal->waiting, bytes.len);
    journal->state = BROKEN;
    journal->missing = journal->end;
    segment_end(journal, journal->end);
}

static void journal_write(struct sta_journal *journal, uint64_t now_ns)
{
    struct strata_bytes bytes = sta_buffer_bytes(&journal->waiting);
    uint64_t begin = journal->end - bytes.len;
    bool full = journal->open && sta_buffer_len(&last_segment(journal)->bytes) >= SEGMENT_BYTES;
    if (is_full(journal) || (full && !segment_begin(journal, begin))) {
        journal_break(journal);
        return;
    }
    if (journal->open)
        put(journal, journal->directory->dead ? some_of(journal, bytes) : bytes);
    journal->open &= !journal->directory->dead; /* killed in the middle of it */
    sta_buffer_consume(&journal->waiting, bytes.len);
    journal->safe = journal->end;
    if (journal->sync == STA_JOURNAL_INTERVAL && now_ns - journal->synced_ns < SYNC_NS)
        return;
    journal->synced_ns = now_ns;
    journal->synced = journal->end;
    segments_trim(journal);
}

static void on_round(void *arg)
{
    struct sta_journal *journal = arg;
    uint64_t now_ns = sim_now_ns(journal->sim);
    journal->planned = false;
    if (journal->state == BROKEN && segment_begin(journal, journal->end))
        journal->state = MENDED;
    else if (journal->state == GOOD)
        journal_write(journal, now_ns);
    journal_plan(journal);
    journal->news(journal->arg);
}

/* With `interval` something may be left to be synced. */
static void journal_plan(struct sta_journal *journal)
{
    uint64_t now_ns = sim_now_ns(journal->sim);
    uint64_t pause_ns =
        journal->sync == STA_JOURNAL_ALWAYS ? sim_below(journal->sim, SYNC_MOST_NS) : WRITE_NS;
    bool idle = sta_buffer_len(&journal->waiting) == 0 && journal->synced == journal->end;
    if (journal->planned || (journal->state == GOOD && idle) || journal->state == MENDED)
        return;
    journal->planned = true;
    sim_at(journal->sim, now_ns + (journal->state == BROKEN ? TRY_NS : pause_ns), on_round,
           journal);
}

/* ---- the door ---- */

int sta_journal_append(struct sta_journal *journal, const struct sta_journal_record *record,
                       uint64_t *position)
{
    size_t before = sta_buffer_len(&journal->waiting);
    int status = journal->state == BROKEN ? STRATA_ERR_BUSY
                                          : sta_journal_record_append(&journal->waiting, record);
    if (status < 0) {
        if (record->type == STA_JOURNAL_DONE)
            journal->missing = journal->end;
        return status;
    }
    *position = journal->end;
    journal->end += sta_buffer_len(&journal->waiting) - before;
    journal_plan(journal);
    return STRATA_OK;
}

uint64_t sta_journal_end(struct sta_journal *journal)
{
    return journal->end;
}

uint64_t sta_journal_safe(struct sta_journal *journal)
{
    return journal->safe;
}

bool sta_journal_is_whole(struct sta_journal *journal)
{
    return journal->state == GOOD && journal->missing <= journal->first;
}

bool sta_journal_is_broken(struct sta_journal *journal)
{
    return journal->state == BROKEN;
}

bool sta_journal_is_mended(struct sta_journal *journal)
{
    return journal->state == MENDED;
}

void sta_journal_mend(struct sta_journal *journal)
{
    journal->state = GOOD;
    journal_plan(journal);
}

void sta_journal_trim(struct sta_journal *journal, uint64_t position)
{
    journal->trim = position;
}

void sta_journal_hold_bases(struct sta_journal *journal)
{
    journal->guarded = true;
}

int sta_journal_open(struct sta_journal **out, const char *name, enum sta_journal_sync sync,
                     const struct sta_log *log)
{
    struct sta_journal *journal = calloc(1, sizeof *journal);
    (void)log;
    if (journal == NULL)
        return STRATA_ERR_NOMEM;
    journal->sim = sim_current();
    journal->directory = sim_disk_directory(sim_disk_current(), name);
    journal->directory->dead = false;
    journal->sync = sync;
    journal->end = journal->safe = journal->synced = FIRST;
    sta_buffer_init(&journal->waiting, SIZE_MAX);
    for (size_t i = 0; i < journal->directory->count; i++) {
        journal->directory->segments[i].begin = 0;
        journal->directory->segments[i].end = FIRST;
    }
    *out = journal;
    return STRATA_OK;
}

int sta_journal_replay(struct sta_journal *journal, sta_journal_replayed replayed, void *arg)
{
    int status = STRATA_OK;
    for (size_t i = 0; i < journal->directory->count && status >= 0; i++) {
        struct strata_bytes rest = sta_buffer_bytes(&journal->directory->segments[i].bytes);
        struct sta_journal_record record;
        rest = strata_bytes((const char *)rest.data + STA_JOURNAL_HEAD_LEN,
                            rest.len - STA_JOURNAL_HEAD_LEN);
        while (status >= 0 && sta_journal_record_next(&rest, &record) == STRATA_OK)
            status = replayed(arg, &record);
    }
    return status;
}

int sta_journal_start(struct sta_journal *journal, void (*news)(void *arg), void *arg)
{
    journal->news = news;
    journal->arg = arg;
    if (!segment_begin(journal, FIRST))
        return STRATA_ERR_SYSTEM;
    journal->state = MENDED;
    return STRATA_OK;
}

int sta_journal_stop(struct sta_journal *journal)
{
    sim_call_off(journal->sim, journal);
    journal->planned = true; /* no more of them */
    journal->synced_ns = 0;
    if (journal->state == GOOD)
        journal_write(journal, sim_now_ns(journal->sim));
    bool whole = journal->state == GOOD && journal->safe == journal->end;
    return whole ? STRATA_OK : STRATA_ERR_SYSTEM;
}

int sta_journal_renew(struct sta_journal *journal)
{
    if (journal->state != MENDED && !segment_begin(journal, journal->end))
        return STRATA_ERR_SYSTEM;
    journal->state = MENDED;
    return STRATA_OK;
}

void sta_journal_close(struct sta_journal **at)
{
    struct sta_journal *journal = *at;
    *at = NULL;
    if (journal == NULL)
        return;
    sim_call_off(journal->sim, journal);
    segment_end(journal, journal->end);
    sta_buffer_fini(&journal->waiting);
    free(journal);
}
