/* SPDX-License-Identifier: MIT
 *
 * Write-behind and its journal (journal.h). Every write that comes is recorded under the lock that
 * also orders the queue, so the records of a key stand in the order of its writes; so do the DONEs
 * of what Redis has acknowledged.
 *
 * Each entry of the queue is marked with the position of its record. The lowest mark says which
 * segments are still needed: those before it are deleted from the oldest on, and never one from the
 * middle, or an older write of a key could come back that a newer one had replaced. An entry that
 * stays for long (parked, or its node is away) would keep all that came after it: it is recorded
 * anew when the journal is more than JOURNAL_MOST times the queue's bound.
 *
 * A DONE is appended only when nothing is owed for its key any more. Replay pushes each record into
 * the queue, and a DONE takes out whatever is owed for its key; what is left is recorded in a
 * segment of ours, and only when that is on disk are the old ones deleted.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cache/behind_inside.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/log.h"
#include "core/mutant.h"
#include "strata/status.h"

#define JOURNAL_MOST 2u
#define SLACK_BYTES  ((uint64_t)64 << 20)

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / STA_NS_MS;
}

/* ---- recording, under the lock ---- */

/* With a version guard: the record's basis, in `bytes` as long as the record is. */
static void record_basis(struct sta_journal_record *record, struct sta_behind_entry *entry,
                         const struct sta_behind_push *push, uint64_t now_ns, uint8_t *bytes)
{
    struct sta_guard_basis basis;
    sta_behind_queue_basis(entry, push, &basis);
    record->basis = strata_bytes(bytes, sta_guard_encode(&basis, now_ns, bytes));
}

int sta_behind_record(struct sta_behind *behind, const struct sta_key *key,
                      const struct sta_behind_push *push, uint64_t now_ns, uint64_t *position)
{
    uint8_t basis[STA_GUARD_BYTES_MOST];
    struct sta_journal_record record = {
        .type = push->is_delete ? STA_JOURNAL_DELETE : STA_JOURNAL_SET,
        .version = sta_behind_queue_newest(behind->queue) + 1,
        .ttl_ms = STA_NEVER,
        .wall_ms = wall_ms(),
        .key = key->bytes,
    };
    if (!push->is_delete)
        record.value = push->value;
    if (push->expires_ns != STA_NEVER)
        record.ttl_ms = push->expires_ns > now_ns ? (push->expires_ns - now_ns) / STA_NS_MS : 0;
    if (behind->config.guard != STA_BEHIND_UNGUARDED)
        record_basis(&record, sta_behind_queue_find(behind->queue, key), push, now_ns, basis);
    return sta_journal_append(behind->journal, &record, position);
}

/* What the entry owes, at the journal's end. */
static int behind_record_again(struct sta_behind *behind, struct sta_behind_entry *entry,
                               uint64_t now_ns)
{
    uint64_t position = 0;
    uint8_t basis[STA_GUARD_BYTES_MOST];
    struct sta_journal_record record = {
        .type = entry->is_delete ? STA_JOURNAL_DELETE : STA_JOURNAL_SET,
        .version = entry->version,
        .ttl_ms = STA_NEVER,
        .wall_ms = wall_ms(),
        .key = sta_behind_entry_key(entry).bytes,
        .value = sta_behind_entry_value(entry),
    };
    if (entry->expires_ns != STA_NEVER)
        record.ttl_ms = entry->expires_ns > now_ns ? (entry->expires_ns - now_ns) / STA_NS_MS : 0;
    if (entry->guard != NULL)
        record_basis(&record, entry, NULL, now_ns, basis);
    int status = sta_journal_append(behind->journal, &record, &position);
    if (status < 0)
        return status;
    sta_behind_queue_place(behind->queue, entry, position);
    if (entry->guard != NULL && entry->guard->mark == STA_NEVER)
        entry->guard->mark = position + 1;
    return STRATA_OK;
}

static void behind_trim(struct sta_behind *behind)
{
    const struct sta_behind_entry *first = sta_behind_queue_first_placed(behind->queue);
    sta_journal_trim(behind->journal, first != NULL && !STA_MUTANT(BEHIND_TRIM)
                                          ? first->mark
                                          : sta_journal_end(behind->journal));
}

void sta_behind_recorded(struct sta_behind *behind, struct sta_behind_entry *entry,
                         uint64_t position, uint64_t now_ns)
{
    sta_behind_queue_place(behind->queue, entry, position);
    /* Two for one, so that it shrinks. */
    for (int i = 0; i < 2; i++) {
        struct sta_behind_entry *first = sta_behind_queue_first_placed(behind->queue);
        if (first->mark + JOURNAL_MOST * behind->config.max_bytes + SLACK_BYTES > position ||
            behind_record_again(behind, first, now_ns) < 0)
            break;
    }
    behind_trim(behind);
}

/* Where it cannot be recorded, the write is repeated after a crash; the journal is not whole then,
 * and nothing goes past it. */
static void behind_append_done(struct sta_behind *behind, uint64_t version, struct strata_bytes key)
{
    uint64_t position;
    struct sta_journal_record done = {.type = STA_JOURNAL_DONE, .version = version, .key = key};
    if (!STA_MUTANT(BEHIND_DONE) &&
        sta_journal_append(behind->journal, &done, &position) == STRATA_OK)
        behind->done_at = position + 1;
}

/* Where it cannot be recorded, it is when who waits for it is looked after, or with all the rest
 * when the journal is mended. */
void sta_behind_record_basis(struct sta_behind *behind, struct sta_behind_entry *entry,
                             uint64_t now_ns)
{
    uint8_t basis[STA_GUARD_BYTES_MOST];
    uint64_t position;
    struct sta_journal_record record = {
        .type = STA_JOURNAL_BASIS,
        .version = entry->version,
        .wall_ms = wall_ms(),
        .key = sta_behind_entry_key(entry).bytes,
    };
    record_basis(&record, entry, NULL, now_ns, basis);
    bool recorded = sta_journal_append(behind->journal, &record, &position) == STRATA_OK;
    entry->guard->mark = recorded ? position + 1 : STA_NEVER;
}

/* The write was recorded, and there was no memory for it: what was owed before is owed. */
void sta_behind_take_back(struct sta_behind *behind, const struct sta_key *key, uint64_t now_ns)
{
    struct sta_behind_entry *entry = sta_behind_queue_find(behind->queue, key);
    if (entry != NULL)
        (void)behind_record_again(behind, entry, now_ns);
    else
        behind_append_done(behind, sta_behind_queue_newest(behind->queue) + 1, key->bytes);
}

void sta_behind_record_done(struct sta_behind *behind, const struct sta_behind_entry *entry)
{
    behind_append_done(behind, entry->version, sta_behind_entry_key(entry).bytes);
    behind_trim(behind);
}

/* All that is owed, to a segment that has none of it. */
static int behind_record_all(struct sta_behind *behind, uint64_t now_ns)
{
    int status = STRATA_OK;
    struct sta_behind_queue_statistics numbers;
    sta_behind_queue_statistics(behind->queue, &numbers);
    for (uint64_t i = 0; i < numbers.entries && status == STRATA_OK; i++)
        status = behind_record_again(behind, sta_behind_queue_first_placed(behind->queue), now_ns);
    if (status == STRATA_OK) {
        behind_trim(behind);
        sta_journal_mend(behind->journal);
    }
    return status;
}

/* ---- news of the journal ---- */

void sta_behind_hear(struct sta_task *task)
{
    struct sta_behind *behind = STA_CONTAINER(task, struct sta_behind, news);
    /* acquire and release, partner: on_news(): what it has seen is seen here. */
    atomic_store_explicit(&behind->news_posted, false, memory_order_release);
    if (behind->closed)
        return;
    if (sta_journal_is_mended(behind->journal)) {
        pthread_mutex_lock(&behind->lock);
        (void)behind_record_all(behind, sta_loop_now_ns(behind->cache->loop)); /* or once more */
        pthread_mutex_unlock(&behind->lock);
    }
    sta_behind_look(behind);
}

static void on_news(void *arg)
{
    struct sta_behind *behind = arg;
    if (!atomic_exchange_explicit(&behind->news_posted, true, memory_order_acquire))
        sta_loop_post(behind->cache->loop, &behind->news);
}

/* ---- opening ---- */

struct behind_replay {
    struct sta_behind *behind;
    uint64_t now_ns;
    uint64_t wall_ms;
};

/* What was recorded last of the key says what its basis is, or that it is not known. */
static void replay_basis(const struct behind_replay *replay, struct sta_behind_entry *entry,
                         const struct sta_journal_record *record)
{
    struct sta_guard_basis basis;
    uint64_t passed_ms = replay->wall_ms > record->wall_ms ? replay->wall_ms - record->wall_ms : 0;
    sta_guard_decode(record->basis, passed_ms, replay->now_ns, &basis);
    sta_behind_queue_rebase(entry, &basis);
}

static int behind_replayed(void *arg, const struct sta_journal_record *record)
{
    struct behind_replay *replay = arg;
    struct sta_behind_queue *queue = replay->behind->queue;
    struct sta_key key = sta_behind_key(replay->behind, record->key);
    struct sta_behind_entry *entry = sta_behind_queue_find(queue, &key);
    if (record->type == STA_JOURNAL_DONE) {
        if (entry != NULL) /* an older write, if a newer one of before it is torn */
            sta_behind_queue_drop(queue, entry);
        return STRATA_OK;
    }
    if (record->type == STA_JOURNAL_BASIS) {
        if (entry != NULL) /* or its write is torn */
            replay_basis(replay, entry, record);
        return STRATA_OK;
    }
    uint64_t left_ms = sta_journal_record_left_ms(record, replay->wall_ms);
    uint64_t left_ns = left_ms > STA_NEVER / STA_NS_MS ? STA_NEVER : left_ms * STA_NS_MS;
    struct sta_behind_push push = {
        .value = record->value,
        .is_delete = record->type == STA_JOURNAL_DELETE,
        .expires_ns = sta_clock_after(replay->now_ns, left_ns),
    };
    if (entry != NULL && STA_MUTANT(BEHIND_REPLAY))
        return STRATA_OK;
    int status = sta_behind_queue_restore(queue, &key, &push, replay->now_ns);
    if (status == STRATA_OK)
        replay_basis(replay, sta_behind_queue_find(queue, &key), record);
    return status;
}

static void behind_tell_replay(const struct sta_behind *behind)
{
    const struct sta_log *log = behind->cache->log;
    struct sta_behind_queue_statistics numbers;
    sta_behind_queue_statistics(behind->queue, &numbers);
    if (numbers.entries > 0)
        sta_log_write(log, STRATA_LOG_INFO, STA_ROOM_CACHE,
                      "journal: %" PRIu64 " keys were not in Redis yet, and will be written",
                      numbers.entries);
    if (numbers.entries > behind->config.max_entries || numbers.bytes > behind->config.max_bytes)
        sta_log_write(
            log, STRATA_LOG_WARNING, STA_ROOM_CACHE,
            "journal: holds more than write_behind_max_entries or max_bytes allow; writes "
            "find no room until Redis has enough of it");
}

/* `errno` says why it is STRATA_ERR_SYSTEM. */
static int journal_failed(struct strata_error *error, int status, const char *directory)
{
    char reason[128];
    const char *why = status == STRATA_ERR_BUSY     ? "another process uses it"
                      : status == STRATA_ERR_SYSTEM ? strerror_r(errno, reason, sizeof reason)
                                                    : strata_status_text(status);
    return sta_error_set(error, status, "write_behind_journal=\"%.300s\": %s", directory, why);
}

int sta_behind_open_journal(struct sta_behind *behind, struct strata_error *error)
{
    struct behind_replay replay = {behind, sta_clock_now_ns(), wall_ms()};
    const char *directory = behind->config.journal;
    int status =
        sta_journal_open(&behind->journal, directory, behind->config.sync, behind->cache->log);
    behind->config.journal = NULL; /* the caller's */
    if (status == STRATA_OK && behind->config.guard != STA_BEHIND_UNGUARDED)
        sta_journal_hold_bases(behind->journal);
    if (status == STRATA_OK)
        status = sta_journal_replay(behind->journal, behind_replayed, &replay);
    if (status == STRATA_OK)
        status = sta_journal_start(behind->journal, on_news, behind);
    if (status < 0)
        return journal_failed(error, status, directory);
    behind_tell_replay(behind);
    return behind_record_all(behind, replay.now_ns);
}

/* ---- who waits for the disk, or for a look, on the loop ---- */

/* Whether it is known what Redis has of the key; with `always`, the journal is to have that. */
static bool entry_is_seen(struct sta_behind *behind, struct sta_behind_entry *entry)
{
    const struct sta_behind_guard *guard = entry->guard;
    if (guard->basis.count > 0 && guard->mark == STA_NEVER && behind->journal != NULL)
        sta_behind_record_basis(behind, entry, sta_clock_now_ns());
    return guard->basis.count > 0 &&
           (guard->mark != STA_NEVER || behind->config.sync != STA_JOURNAL_ALWAYS);
}

/* Whether it is known of all keys what Redis has; then the disk is to have that, too. */
static bool write_is_seen(struct sta_behind *behind, struct sta_write *write)
{
    bool seen = true;
    pthread_mutex_lock(&behind->lock);
    for (size_t i = 0; i < write->count && seen; i++) {
        if (write->statuses[i] != STRATA_OK)
            continue;
        const struct sta_key key = sta_behind_key(behind, write->items[i].key);
        struct sta_behind_entry *entry = sta_behind_queue_find(behind->queue, &key);
        if (entry == NULL || entry->guard == NULL)
            continue;
        seen = entry_is_seen(behind, entry);
        if (seen && write->behind.saved_at < entry->guard->mark)
            write->behind.saved_at = entry->guard->mark;
    }
    pthread_mutex_unlock(&behind->lock);
    return seen;
}

bool sta_behind_is_safe(struct sta_behind *behind, struct sta_write *write)
{
    write->behind.looks =
        write->behind.looks && !write_is_seen(behind, write) && !STA_MUTANT(BEHIND_LOOK);
    if (write->behind.looks)
        return false;
    if (write->behind.saved_at == 0 || behind->config.sync != STA_JOURNAL_ALWAYS ||
        STA_MUTANT(BEHIND_SAFE))
        return true;
    uint64_t safe = behind->journal != NULL ? sta_journal_safe(behind->journal) : behind->safe;
    return write->behind.saved_at <= safe;
}

static void write_end(struct sta_write *write, int status)
{
    for (size_t i = 0; i < write->count; i++) {
        if (status < 0 && write->statuses[i] >= 0)
            write->statuses[i] = status;
    }
    write->done(write);
}

static uint64_t unsafe_until(const struct sta_behind *behind, const struct sta_write *write)
{
    return sta_clock_after(write->begun_ns, sta_live(&behind->cache->live.budget_ns));
}

void sta_behind_finish(struct sta_behind *behind, struct sta_write *write)
{
    if (sta_behind_is_safe(behind, write)) {
        write->done(write);
    } else if (behind->closed && behind->journal == NULL) { /* neither will come any more */
        write_end(write, STRATA_ERR_CLOSED);
    } else {
        sta_list_push_back(&behind->unsafe, &write->behind.link);
        if (!behind->closed)
            sta_behind_be_patient(behind, unsafe_until(behind, write));
    }
}

uint64_t sta_behind_end_safe(struct sta_behind *behind, uint64_t now_ns)
{
    uint64_t until_ns = STA_NEVER;
    struct sta_list *node = behind->unsafe.next;
    while (node != &behind->unsafe) {
        struct sta_write *write = STA_CONTAINER(node, struct sta_write, behind.link);
        uint64_t deadline_ns = unsafe_until(behind, write);
        bool safe = sta_behind_is_safe(behind, write);
        node = node->next;
        if (safe || deadline_ns <= now_ns) {
            sta_list_remove(&write->behind.link);
            write_end(write, safe ? STRATA_OK : STRATA_ERR_TIMEOUT);
        } else if (deadline_ns < until_ns) {
            until_ns = deadline_ns;
        }
    }
    return until_ns;
}

/* One more attempt where the journal cannot be written, or was not mended in time. */
static bool behind_save_rest(struct sta_behind *behind)
{
    behind_trim(behind);
    int status = sta_journal_stop(behind->journal);
    if (status < 0 && sta_journal_renew(behind->journal) == STRATA_OK &&
        behind_record_all(behind, sta_clock_now_ns()) == STRATA_OK)
        status = sta_journal_stop(behind->journal);
    return status == STRATA_OK;
}

void sta_behind_close_journal(struct sta_behind *behind)
{
    if (behind->journal != NULL) {
        behind->saved = behind_save_rest(behind);
        behind->safe = sta_journal_safe(behind->journal);
    }
    sta_journal_close(&behind->journal);
    while (!sta_list_empty(&behind->unsafe)) {
        struct sta_write *write = STA_CONTAINER(behind->unsafe.next, struct sta_write, behind.link);
        sta_list_remove(&write->behind.link);
        sta_behind_finish(behind, write);
    }
}
