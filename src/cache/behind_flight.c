/* SPDX-License-Identifier: MIT
 *
 * How writes go to Redis: what is due is taken out of the queue in flights of a batch each, and
 * every key is answered, settled and tried again by itself.
 *
 *     free --fly(): something is due--> open --answered, ... ended--> free, and fly() again
 *                                  '--> held --recorded--> open
 *                                         '--the journal broke--> free: what it had waits
 *
 * Nothing goes to Redis that the journal would not know of after a crash: a flight waits until the
 * records of what it carries are safe. Else a version guard could take for the work of others what
 * the process that died had written, and drop what it had acknowledged; and what it had sent could
 * come after what the next one has written, who would not know that it has to be repeated.
 * It is the flight that waits and not the key, or one that is written again and again would never
 * go.
 *
 * Memory: bounded by the flights, which are made once. Lock: held while a flight is filled, a
 * batch and FLIGHT_BYTES at most, and for each answer.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "cache/aged.h"
#include "cache/behind_inside.h"
#include "cache/coherence.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mutant.h"
#include "strata/status.h"

/* A flight that has so much takes no more. */
#define FLIGHT_BYTES ((size_t)1 << 20)

#define TELL_AGAIN_NS (10 * STA_NS_SEC)

static enum sta_behind_outcome outcome_of(int status)
{
    switch (status) {
    case STRATA_OK:
    case STRATA_MISS: /* deleted, and it was not there */
        return STA_BEHIND_WRITTEN;
    case STRATA_ERR_SERVER:
    case STRATA_ERR_DENIED:
    case STRATA_ERR_TOO_BIG:
        return STA_BEHIND_REFUSED;
    case STRATA_ERR_TIMEOUT:
    case STRATA_ERR_LOST:
    case STRATA_ERR_PROTOCOL:
        return STA_BEHIND_UNKNOWN;
    default:
        return STA_BEHIND_NOT_SENT;
    }
}

/* ---- landing ---- */

/* When what was written ends, by what was read back of it; 0: something else is there. */
static uint64_t landed_until_ns(const struct sta_behind_flight *flight,
                                const struct sta_behind_entry *entry, struct strata_bytes replies)
{
    uint64_t ttl_ms;
    if (!sta_batch_read_set_kept(replies, sta_behind_entry_value(entry), &ttl_ms))
        return STA_MUTANT(BEHIND_KEPT) ? entry->expires_ns : 0;
    if (ttl_ms > STA_NEVER / STA_NS_MS || STA_MUTANT(BEHIND_KEPT_TTL))
        return entry->expires_ns;
    uint64_t until_ns = sta_clock_after(flight->begun_ns, ttl_ms * STA_NS_MS);
    return until_ns < entry->expires_ns ? until_ns : entry->expires_ns;
}

/* Redis has the newest value. What L1 has of it came from the write, and nobody would tell when it
 * changes: it stays only as what Redis tracks, or where nothing is tracked. */
static void land_in_l1(struct sta_behind_flight *flight, struct sta_behind_flown *flown, int source,
                       struct strata_bytes replies, uint64_t now_ns)
{
    struct sta_cache *cache = flight->behind->cache;
    const struct sta_behind_entry *entry = flown->entry;
    struct sta_key key = sta_behind_entry_key(entry);
    struct strata_bytes value = sta_behind_entry_value(entry);
    uint64_t now_ms = now_ns / STA_NS_MS;
    if (cache->l1 == NULL || source == 0 || entry->is_delete)
        return;
    uint64_t until_ns = landed_until_ns(flight, entry, replies);
    if (until_ns <= now_ns || !sta_coherence_reads_back(cache, value)) {
        (void)sta_l1_invalidate(cache->l1, &key, now_ms, NULL);
        return;
    }
    if (!sta_coherence_admit(cache, &key, source, &flown->token, now_ms))
        return;
    uint64_t left_ms = until_ns == STA_NEVER ? UINT64_MAX : (until_ns - now_ns) / STA_NS_MS;
    struct sta_aged_entry kept = {
        .key = &key,
        .stored = value,
        .ttl_ms = left_ms > 0 ? left_ms : 1,
        .since_ms = now_ms,
        .replaces = true,
        .token = flown->token,
    };
    if (sta_aged_fill(cache, &kept, now_ms) != STRATA_OK)
        (void)sta_l1_invalidate(cache->l1, &key, now_ms, NULL);
}

static void flight_count(struct sta_cache *cache, bool is_delete, enum sta_behind_outcome outcome)
{
    struct sta_tier_counters *counters = &cache->l2_counters;
    if (outcome != STA_BEHIND_WRITTEN)
        sta_tiers_count(&counters->errors);
    else
        sta_tiers_count(is_delete ? &counters->deletes : &counters->sets);
}

static void flight_answered(struct sta_behind_flight *flight, struct sta_batch *batch, uint32_t tag,
                            int status, struct strata_bytes replies)
{
    struct sta_behind *behind = flight->behind;
    struct sta_behind_flown *flown = &flight->flown[tag];
    struct sta_behind_entry *entry = flown->entry;
    enum sta_behind_outcome outcome = outcome_of(status);
    uint64_t now_ns = sta_loop_now_ns(behind->cache->loop);
    bool is_delete = entry->guard != NULL ? entry->guard->sent_gone : batch == &flight->deletes;
    flight_count(behind->cache, is_delete, outcome);
    pthread_mutex_lock(&behind->lock);
    bool gone = sta_behind_queue_settle(behind->queue, entry, outcome, now_ns);
    if (gone && behind->journal != NULL)
        sta_behind_record_done(behind, entry);
    if (gone && outcome == STA_BEHIND_WRITTEN && !entry->is_delete)
        sta_barriers_exempt(&behind->cache->barriers, sta_behind_entry_key(entry).bytes, now_ns);
    if (gone)
        land_in_l1(flight, flown, batch->source, replies, now_ns);
    else if (entry->state == STA_BEHIND_PARKED)
        behind->refusal = status;
    pthread_mutex_unlock(&behind->lock);
    if (gone)
        sta_behind_queue_free_entry(entry);
}

/* Redis has told what is there, to a look or because it is not ours. */
static void flight_seen(struct sta_behind_flight *flight, uint32_t tag,
                        const struct sta_guard_state *seen)
{
    struct sta_behind *behind = flight->behind;
    struct sta_cache *cache = behind->cache;
    struct sta_behind_entry *entry = flight->flown[tag].entry;
    uint64_t now_ns = sta_loop_now_ns(cache->loop);
    pthread_mutex_lock(&behind->lock);
    bool gone = sta_behind_queue_settle_seen(behind->queue, entry, seen, now_ns);
    if (gone && behind->journal != NULL)
        sta_behind_record_done(behind, entry);
    else if (behind->journal != NULL)
        sta_behind_record_basis(behind, entry, now_ns);
    if (gone && cache->l1 != NULL) {
        struct sta_key key = sta_behind_entry_key(entry);
        (void)sta_l1_invalidate(cache->l1, &key, now_ns / STA_NS_MS, NULL);
    }
    pthread_mutex_unlock(&behind->lock);
    if (gone)
        sta_behind_queue_free_entry(entry);
}

static void on_script(struct sta_batch *batch, uint32_t tag, int status,
                      struct strata_bytes replies)
{
    struct sta_behind_flight *flight = STA_CONTAINER(batch, struct sta_behind_flight, scripts);
    struct sta_guard_state seen;
    struct strata_bytes text;
    if (status == STRATA_OK)
        status = sta_batch_read_script(replies, &text);
    if (status == STRATA_SKIPPED)
        status = sta_guard_read(text, flight->begun_ns, &seen) == STRATA_OK ? STRATA_SKIPPED
                                                                            : STRATA_ERR_PROTOCOL;
    if (status == STRATA_SKIPPED)
        flight_seen(flight, tag, &seen);
    else
        flight_answered(flight, batch, tag, status, replies);
}

static void on_set(struct sta_batch *batch, uint32_t tag, int status, struct strata_bytes replies)
{
    struct sta_behind_flight *flight = STA_CONTAINER(batch, struct sta_behind_flight, sets);
    if (status == STRATA_OK)
        status = sta_batch_read_set(replies);
    flight_answered(flight, batch, tag, status, replies);
}

static void on_delete(struct sta_batch *batch, uint32_t tag, int status,
                      struct strata_bytes replies)
{
    struct sta_behind_flight *flight = STA_CONTAINER(batch, struct sta_behind_flight, deletes);
    if (status == STRATA_OK)
        status = sta_batch_read_delete(replies);
    flight_answered(flight, batch, tag, status, replies);
}

/* Not for every key: there may be many. */
static void behind_tell_refusals(struct sta_behind *behind)
{
    struct sta_behind_queue_statistics numbers;
    uint64_t now_ns = sta_loop_now_ns(behind->cache->loop);
    if (behind->refusal == STRATA_OK || now_ns < behind->refusals_told_ns)
        return;
    pthread_mutex_lock(&behind->lock);
    sta_behind_queue_statistics(behind->queue, &numbers);
    pthread_mutex_unlock(&behind->lock);
    sta_log_write(behind->cache->log, STRATA_LOG_WARNING, STA_ROOM_CACHE,
                  "write-behind: Redis refuses writes (%s); %" PRIu64
                  " keys are set aside and tried again every %u s",
                  strata_status_text(behind->refusal), numbers.parked,
                  (unsigned)(STA_BEHIND_PARK_NS / STA_NS_SEC));
    behind->refusal = STRATA_OK;
    behind->refusals_told_ns = now_ns + TELL_AGAIN_NS;
}

static void behind_tell_overtaken(struct sta_behind *behind)
{
    struct sta_behind_queue_statistics numbers;
    uint64_t now_ns = sta_loop_now_ns(behind->cache->loop);
    if (behind->config.guard == STA_BEHIND_UNGUARDED || now_ns < behind->overtaken_told_ns)
        return;
    pthread_mutex_lock(&behind->lock);
    sta_behind_queue_statistics(behind->queue, &numbers);
    pthread_mutex_unlock(&behind->lock);
    if (numbers.overtaken == behind->overtaken)
        return;
    sta_log_write(behind->cache->log, STRATA_LOG_WARNING, STA_ROOM_CACHE,
                  "write-behind: the writes of %" PRIu64
                  " keys were dropped, for others have written these keys meanwhile",
                  numbers.overtaken - behind->overtaken);
    behind->overtaken = numbers.overtaken;
    behind->overtaken_told_ns = now_ns + TELL_AGAIN_NS;
}

static void flight_end(struct sta_behind_flight *flight, struct sta_batch *batch)
{
    struct sta_behind *behind = flight->behind;
    sta_batch_fini(batch);
    if (--flight->open > 0)
        return;
    sta_loop_meet(behind->cache->loop);
    behind_tell_refusals(behind);
    behind_tell_overtaken(behind);
    sta_behind_look(behind);
}

static void on_sets_ended(struct sta_batch *batch)
{
    flight_end(STA_CONTAINER(batch, struct sta_behind_flight, sets), batch);
}

static void on_deletes_ended(struct sta_batch *batch)
{
    flight_end(STA_CONTAINER(batch, struct sta_behind_flight, deletes), batch);
}

static void on_scripts_ended(struct sta_batch *batch)
{
    flight_end(STA_CONTAINER(batch, struct sta_behind_flight, scripts), batch);
}

/* ---- the journal goes first ---- */

/* Not where it is broken, but with `always`, where nobody was told that it is done. */
static bool behind_saves_first(const struct sta_behind *behind)
{
    return behind->journal != NULL &&
           (behind->config.sync == STA_JOURNAL_ALWAYS || !sta_journal_is_broken(behind->journal));
}

/* The end of the record of what the entry owes; 0: there need not be one. */
static uint64_t saved_at(const struct sta_behind *behind, const struct sta_behind_entry *entry)
{
    bool looks = entry->guard != NULL && entry->guard->looking;
    if (looks || !behind_saves_first(behind) || STA_MUTANT(BEHIND_AHEAD))
        return 0;
    return entry->mark + 1; /* a record is safe as a whole */
}

static bool is_safe(const struct sta_behind *behind, uint64_t at)
{
    return at == 0 || (behind->journal != NULL && at <= sta_journal_safe(behind->journal));
}

/* Whether it will not be safe until the journal was mended. */
static bool is_stuck(const struct sta_behind *behind, uint64_t at)
{
    return !is_safe(behind, at) &&
           (behind->journal == NULL || sta_journal_is_broken(behind->journal));
}

/* ---- taking off ---- */

static int flight_append(struct sta_behind_flight *flight, const struct sta_behind_entry *entry,
                         uint64_t now_ns)
{
    struct sta_cache *cache = flight->behind->cache;
    struct strata_bytes key = sta_behind_entry_key(entry).bytes;
    struct strata_bytes value = sta_behind_entry_value(entry);
    uint32_t tag = (uint32_t)flight->count;
    bool gone = sta_behind_entry_is_gone(entry, now_ns);
    uint64_t left_ms = UINT64_MAX;
    if (!gone && entry->expires_ns != STA_NEVER)
        left_ms = (entry->expires_ns - now_ns + STA_NS_MS - 1) / STA_NS_MS;
    if (entry->guard != NULL) {
        const struct sta_guard_write write = {
            .key = key,
            .value = value,
            .ttl_ms = left_ms,
            .is_delete = gone,
            .reads = !gone && sta_coherence_reads_back(cache, value),
            .basis = entry->guard->looking ? NULL : &entry->guard->basis,
        };
        return sta_guard_append(&flight->scripts, tag, &write, now_ns);
    }
    if (gone)
        return sta_batch_delete(&flight->deletes, tag, key);
    return sta_coherence_reads_back(cache, value)
               ? sta_batch_set_read(&flight->sets, tag, key, value, left_ms)
               : sta_batch_set(&flight->sets, tag, key, value, left_ms);
}

static void flight_add_locked(struct sta_behind_flight *flight, struct sta_behind_entry *entry,
                              uint64_t now_ns)
{
    struct sta_behind *behind = flight->behind;
    struct sta_cache *cache = behind->cache;
    int status = flight_append(flight, entry, now_ns);
    if (status < 0) {
        (void)sta_behind_queue_settle(behind->queue, entry, outcome_of(status), now_ns);
        return;
    }
    uint64_t at = saved_at(behind, entry);
    struct sta_behind_flown *flown = &flight->flown[flight->count++];
    flight->saved_at = at > flight->saved_at ? at : flight->saved_at;
    struct sta_key key = sta_behind_entry_key(entry);
    flown->entry = entry;
    if (cache->l1 != NULL)
        flown->token = sta_l1_token(cache->l1, &key);
}

static size_t flight_bytes(const struct sta_behind_flight *flight)
{
    return sta_buffer_len(&flight->sets.wire) + sta_buffer_len(&flight->deletes.wire) +
           sta_buffer_len(&flight->scripts.wire);
}

/* False where nothing is due: then the loop will look again when something is. */
static bool flight_fill(struct sta_behind_flight *flight, uint64_t now_ns)
{
    struct sta_behind *behind = flight->behind;
    struct sta_cache *cache = behind->cache;
    sta_batch_init(&flight->sets, cache->l2, cache->prefix, on_set, on_sets_ended);
    sta_batch_init(&flight->deletes, cache->l2, cache->prefix, on_delete, on_deletes_ended);
    sta_batch_init(&flight->scripts, cache->l2, cache->prefix, on_script, on_scripts_ended);
    flight->count = 0;
    flight->saved_at = 0;
    flight->begun_ns = now_ns;
    pthread_mutex_lock(&behind->lock);
    for (uint64_t taken = 0; taken < behind->config.batch && flight_bytes(flight) < FLIGHT_BYTES;
         taken++) {
        struct sta_behind_entry *entry = sta_behind_queue_next(behind->queue, now_ns);
        if (entry == NULL)
            break;
        if (is_stuck(behind, saved_at(behind, entry)))
            (void)sta_behind_queue_settle(behind->queue, entry, STA_BEHIND_HELD, now_ns);
        else
            flight_add_locked(flight, entry, now_ns);
    }
    if (flight->count == 0)
        behind->looks_ns = sta_behind_queue_due_ns(behind->queue);
    pthread_mutex_unlock(&behind->lock);
    return flight->count > 0;
}

static void flight_start(struct sta_behind_flight *flight, uint64_t now_ns)
{
    struct sta_cache *cache = flight->behind->cache;
    uint64_t deadline_ns = sta_clock_after(now_ns, sta_live(&cache->live.budget_ns));
    struct sta_batch *batches[] = {&flight->sets, &flight->deletes, &flight->scripts};
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++)
        flight->open += sta_buffer_len(&batches[i]->wire) > 0;
    sta_loop_expect(cache->loop);
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        if (sta_buffer_len(&batches[i]->wire) > 0)
            sta_batch_submit(batches[i], deadline_ns);
        else
            sta_batch_fini(batches[i]);
    }
}

static void flight_fini_batches(struct sta_behind_flight *flight)
{
    sta_batch_fini(&flight->sets);
    sta_batch_fini(&flight->deletes);
    sta_batch_fini(&flight->scripts);
}

/* What it had waits again. */
static void flight_cancel(struct sta_behind_flight *flight, uint64_t now_ns)
{
    struct sta_behind *behind = flight->behind;
    pthread_mutex_lock(&behind->lock);
    for (size_t i = 0; i < flight->count; i++)
        (void)sta_behind_queue_settle(behind->queue, flight->flown[i].entry, STA_BEHIND_HELD,
                                      now_ns);
    pthread_mutex_unlock(&behind->lock);
    flight_fini_batches(flight);
    flight->held = false;
}

/* Full: it starts, is held, or is cancelled. */
static void flight_depart(struct sta_behind_flight *flight, uint64_t now_ns)
{
    flight->held = !is_safe(flight->behind, flight->saved_at);
    if (!flight->held)
        flight_start(flight, now_ns);
    else if (is_stuck(flight->behind, flight->saved_at))
        flight_cancel(flight, now_ns);
}

static struct sta_behind_flight *behind_free_flight(struct sta_behind *behind)
{
    for (size_t i = 0; i < STA_BEHIND_FLIGHTS; i++) {
        if (behind->flights[i].open == 0 && !behind->flights[i].held)
            return &behind->flights[i];
    }
    return NULL;
}

void sta_behind_fly(struct sta_behind *behind, uint64_t now_ns)
{
    struct sta_behind_flight *flight;
    for (size_t i = 0; i < STA_BEHIND_FLIGHTS; i++) {
        if (behind->flights[i].held)
            flight_depart(&behind->flights[i], now_ns);
    }
    while ((flight = behind_free_flight(behind)) != NULL) {
        if (!flight_fill(flight, now_ns)) {
            flight_fini_batches(flight);
            sta_timer_start(behind->cache->loop, &behind->timer, behind->looks_ns);
            return;
        }
        flight_depart(flight, now_ns);
    }
    pthread_mutex_lock(&behind->lock);
    behind->looks_ns = 0;
    pthread_mutex_unlock(&behind->lock);
}

void sta_behind_ground(struct sta_behind *behind, uint64_t now_ns)
{
    for (size_t i = 0; i < STA_BEHIND_FLIGHTS; i++) {
        if (behind->flights[i].held)
            flight_cancel(&behind->flights[i], now_ns);
    }
}

int sta_behind_flight_init(struct sta_behind_flight *flight, struct sta_behind *behind)
{
    flight->behind = behind;
    flight->flown = calloc(behind->config.batch, sizeof *flight->flown);
    return flight->flown != NULL ? STRATA_OK : STRATA_ERR_NOMEM;
}

void sta_behind_flight_fini(struct sta_behind_flight *flight)
{
    free(flight->flown);
}
