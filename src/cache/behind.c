/* SPDX-License-Identifier: MIT
 *
 * The life of write-behind, its reads, who waits for a flush, and its numbers.
 */
#include "cache/behind.h"

#include <inttypes.h>
#include <stdlib.h>

#include "cache/behind_inside.h"
#include "cache/envelope.h"
#include "cache/value.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mutant.h"
#include "core/random.h"
#include "net/waiter.h"
#include "strata/status.h"

#define BACKOFF_MIN_NS (50 * STA_NS_MS)
#define BACKOFF_MAX_NS (2 * STA_NS_SEC)
#define SETTLE_NS      STA_NS_SEC

/* Every write that there will ever be. */
#define VERSION_ALL (STA_NEVER - 1)

struct sta_key sta_behind_key(const struct sta_behind *behind, struct strata_bytes bytes)
{
    const struct sta_cache *cache = behind->cache;
    return cache->l1 != NULL ? sta_l1_key(cache->l1, bytes) : sta_key_make(bytes, behind->seed);
}

/* ---- reads ---- */

/* Out of its envelope, if it is in one. What is stale is no answer. */
static int behind_read(const struct sta_behind_entry *entry, uint64_t now_ns,
                       struct strata_value *value)
{
    struct sta_envelope envelope;
    uint64_t left_ms = UINT64_MAX;
    if (entry->expires_ns != STA_NEVER)
        left_ms = (entry->expires_ns - now_ns + STA_NS_MS - 1) / STA_NS_MS;
    if (sta_envelope_read(sta_behind_entry_value(entry), &envelope) < 0 ||
        sta_envelope_fresh_ms(&envelope, left_ms) == 0)
        return STRATA_MISS;
    return sta_value_from_bytes(value, envelope.value);
}

int sta_behind_get(struct sta_behind *behind, const struct sta_key *key, uint64_t now_ns,
                   struct strata_value *value)
{
    struct sta_key hashed = sta_behind_key(behind, key->bytes);
    pthread_mutex_lock(&behind->lock);
    const struct sta_behind_entry *entry = sta_behind_queue_find(behind->queue, &hashed);
    int status = STRATA_MORE;
    if (STA_MUTANT(BEHIND_READ))
        entry = NULL;
    if (entry != NULL && sta_behind_entry_is_gone(entry, now_ns))
        status = STRATA_MISS;
    else if (entry != NULL)
        status = behind_read(entry, now_ns, value);
    pthread_mutex_unlock(&behind->lock);
    return status;
}

bool sta_behind_owes(struct sta_behind *behind, const struct sta_key *key)
{
    pthread_mutex_lock(&behind->lock);
    bool owes = sta_behind_queue_find(behind->queue, key) != NULL;
    pthread_mutex_unlock(&behind->lock);
    return owes;
}

/* ---- who waits for a flush ---- */

struct behind_flush {
    struct sta_list link;
    struct sta_behind *behind;
    struct sta_task task;
    struct sta_waiter waiter;
    uint64_t version; /* the last one that is waited for */
    uint64_t deadline_ns;
    int status;
};

static void behind_hurry(struct sta_behind *behind, bool on)
{
    pthread_mutex_lock(&behind->lock);
    sta_behind_queue_hurry(behind->queue, on, sta_loop_now_ns(behind->cache->loop));
    pthread_mutex_unlock(&behind->lock);
}

static void flush_end(struct behind_flush *flush, int status)
{
    struct sta_behind *behind = flush->behind;
    sta_list_remove(&flush->link);
    flush->status = status;
    if (sta_list_empty(&behind->flushes))
        behind_hurry(behind, false);
    sta_waiter_signal(&flush->waiter); /* it may be gone now */
}

static void flush_begin(struct sta_task *task)
{
    struct behind_flush *flush = STA_CONTAINER(task, struct behind_flush, task);
    struct sta_behind *behind = flush->behind;
    sta_list_push_back(&behind->flushes, &flush->link);
    if (behind->closed) {
        flush_end(flush, STRATA_ERR_CLOSED);
        return;
    }
    behind_hurry(behind, true);
    sta_behind_look(behind);
}

/* Returns until when the next one waits. */
static uint64_t behind_end_flushes(struct sta_behind *behind, uint64_t now_ns)
{
    uint64_t until_ns = STA_NEVER;
    pthread_mutex_lock(&behind->lock);
    uint64_t oldest = sta_behind_queue_oldest(behind->queue);
    pthread_mutex_unlock(&behind->lock);
    struct sta_list *node = behind->flushes.next;
    while (node != &behind->flushes) {
        struct behind_flush *flush = STA_CONTAINER(node, struct behind_flush, link);
        node = node->next;
        if (oldest > flush->version)
            flush_end(flush, STRATA_OK);
        else if (flush->deadline_ns <= now_ns)
            flush_end(flush, STRATA_ERR_TIMEOUT);
        else if (flush->deadline_ns < until_ns)
            until_ns = flush->deadline_ns;
    }
    return until_ns;
}

static int behind_flush_until(struct sta_behind *behind, uint64_t version, uint64_t deadline_ns)
{
    struct behind_flush flush = {
        .behind = behind, .version = version, .deadline_ns = deadline_ns, .task.run = flush_begin};
    sta_waiter_init(&flush.waiter, behind->cache->loop);
    sta_loop_post(behind->cache->loop, &flush.task);
    sta_waiter_wait(&flush.waiter);
    return flush.status;
}

int sta_behind_flush(struct sta_behind *behind, uint64_t deadline_ns)
{
    pthread_mutex_lock(&behind->lock);
    uint64_t version = sta_behind_queue_newest(behind->queue);
    bool owes = sta_behind_queue_oldest(behind->queue) <= version;
    pthread_mutex_unlock(&behind->lock);
    return owes ? behind_flush_until(behind, version, deadline_ns) : STRATA_OK;
}

/* ---- looking ---- */

/* Whatever happened: room may have come, something may be due, somebody may have waited long
 * enough. */
void sta_behind_look(struct sta_behind *behind)
{
    struct sta_loop *loop = behind->cache->loop;
    uint64_t now_ns = sta_loop_now_ns(loop);
    if (behind->closed)
        return;
    uint64_t blocked_ns = sta_behind_unblock(behind, now_ns);
    uint64_t flushes_ns = behind_end_flushes(behind, now_ns);
    uint64_t saved_ns = sta_behind_end_safe(behind, now_ns);
    uint64_t patience_ns = blocked_ns < flushes_ns ? blocked_ns : flushes_ns;
    sta_timer_start(loop, &behind->patience, saved_ns < patience_ns ? saved_ns : patience_ns);
    sta_behind_fly(behind, now_ns);
}

/* Nothing may happen until then: no flight ends while its key waits for another attempt. */
void sta_behind_be_patient(struct sta_behind *behind, uint64_t until_ns)
{
    if (behind->patience.due_ns > until_ns || sta_list_empty(&behind->patience.link))
        sta_timer_start(behind->cache->loop, &behind->patience, until_ns);
}

static void on_timer(struct sta_timer *timer)
{
    sta_behind_look(STA_CONTAINER(timer, struct sta_behind, timer));
}

static void on_patience(struct sta_timer *timer)
{
    sta_behind_look(STA_CONTAINER(timer, struct sta_behind, patience));
}

static void on_kick(struct sta_task *task)
{
    struct sta_behind *behind = STA_CONTAINER(task, struct sta_behind, kick);
    pthread_mutex_lock(&behind->lock);
    behind->kicked = false;
    pthread_mutex_unlock(&behind->lock);
    sta_behind_look(behind);
}

bool sta_behind_wants_kick(struct sta_behind *behind)
{
    if (behind->kicked || sta_behind_queue_due_ns(behind->queue) >= behind->looks_ns)
        return false;
    behind->kicked = true;
    return true;
}

void sta_behind_kick(struct sta_behind *behind)
{
    sta_loop_post(behind->cache->loop, &behind->kick);
}

/* ---- life ---- */

static struct sta_behind_queue_config behind_queue_config(const struct sta_behind *behind)
{
    const struct sta_behind_config *config = &behind->config;
    return (struct sta_behind_queue_config){
        .max_entries = config->max_entries,
        .max_bytes = config->max_bytes,
        .interval_ns = config->interval_ms * STA_NS_MS,
        .rate = config->rate,
        .backoff_min_ns = BACKOFF_MIN_NS,
        .backoff_max_ns = BACKOFF_MAX_NS,
        .park_ns = STA_BEHIND_PARK_NS,
        .settle_ns = SETTLE_NS,
        .seed = behind->seed,
        .guarded = config->guard != STA_BEHIND_UNGUARDED,
    };
}

int sta_behind_create(struct sta_behind **out, struct sta_cache *cache, struct strata_error *error)
{
    const struct sta_behind_config *config = &cache->config.behind;
    struct sta_behind *behind = calloc(1, sizeof *behind);
    if (behind == NULL)
        return STRATA_ERR_NOMEM;
    behind->cache = cache;
    behind->config = *config;
    behind->seed = sta_random_seed();
    behind->looks_ns = STA_NEVER;
    pthread_mutex_init(&behind->lock, NULL);
    sta_list_init(&behind->blocked);
    sta_list_init(&behind->flushes);
    sta_list_init(&behind->unsafe);
    behind->news.run = sta_behind_hear;
    sta_timer_init(&behind->timer, on_timer);
    sta_timer_init(&behind->patience, on_patience);
    behind->kick.run = on_kick;
    struct sta_behind_queue_config queue = behind_queue_config(behind);
    int status = sta_behind_queue_create(&behind->queue, &queue);
    for (size_t i = 0; i < STA_BEHIND_FLIGHTS && status == STRATA_OK; i++)
        status = sta_behind_flight_init(&behind->flights[i], behind);
    if (status == STRATA_OK && config->journal != NULL)
        status = sta_behind_open_journal(behind, error);
    if (status < 0) {
        sta_behind_destroy(&behind);
        return status;
    }
    /* What was replayed is looked at when the journal has it anew, though nobody may write ever
     * again. */
    sta_timer_start(cache->loop, &behind->timer, behind->looks_ns);
    behind->journaled = behind->journal != NULL;
    behind->opened = true;
    *out = behind;
    return STRATA_OK;
}

void sta_behind_adjust(struct sta_behind *behind, const struct sta_behind_config *config)
{
    pthread_mutex_lock(&behind->lock);
    behind->config.interval_ms = config->interval_ms;
    behind->config.max_entries = config->max_entries;
    behind->config.max_bytes = config->max_bytes;
    behind->config.rate = config->rate;
    behind->config.drain_ms = config->drain_ms;
    behind->config.full = config->full;
    struct sta_behind_queue_config queue = behind_queue_config(behind);
    sta_behind_queue_adjust(behind->queue, &queue, sta_clock_now_ns());
    bool kicks = !behind->kicked; /* there may be room for who waits, and more may be due */
    behind->kicked = true;
    pthread_mutex_unlock(&behind->lock);
    if (kicks)
        sta_behind_kick(behind);
}

void sta_behind_close(struct sta_behind *behind)
{
    if (behind == NULL)
        return;
    pthread_mutex_lock(&behind->lock);
    bool owes = sta_behind_queue_oldest(behind->queue) != STA_NEVER;
    uint64_t wait_ns = behind->config.drain_ms * STA_NS_MS;
    pthread_mutex_unlock(&behind->lock);
    if (owes)
        (void)behind_flush_until(behind, VERSION_ALL, sta_clock_now_ns() + wait_ns);
}

void sta_behind_end(struct sta_behind *behind)
{
    if (behind == NULL)
        return;
    behind->closed = true;
    sta_timer_stop(behind->cache->loop, &behind->timer);
    sta_timer_stop(behind->cache->loop, &behind->patience);
    sta_behind_end_blocked(behind);
    sta_behind_ground(behind, sta_loop_now_ns(behind->cache->loop));
    sta_behind_close_journal(behind);
}

static void behind_tell_rest(const struct sta_behind *behind)
{
    struct sta_behind_queue_statistics numbers;
    sta_behind_queue_statistics(behind->queue, &numbers);
    if (numbers.entries == 0)
        return;
    sta_log_write(behind->cache->log, STRATA_LOG_ERROR, STA_ROOM_CACHE,
                  "write-behind: closed before %" PRIu64 " keys (%" PRIu64
                  " bytes) were in Redis: %s",
                  numbers.entries, numbers.bytes,
                  behind->saved       ? "these writes are in the journal"
                  : behind->journaled ? "these writes are lost, for the journal cannot be written"
                                      : "these writes are lost");
    const struct sta_cache_config *config = &behind->cache->config;
    if (!behind->saved && config->on_lost != NULL)
        config->on_lost(config->on_lost_arg, numbers.entries);
}

void sta_behind_destroy(struct sta_behind **behind_ptr)
{
    struct sta_behind *behind = *behind_ptr;
    if (behind == NULL)
        return;
    if (behind->opened)
        behind_tell_rest(behind);
    sta_journal_close(&behind->journal);
    for (size_t i = 0; i < STA_BEHIND_FLIGHTS; i++)
        sta_behind_flight_fini(&behind->flights[i]);
    sta_behind_queue_destroy(&behind->queue);
    pthread_mutex_destroy(&behind->lock);
    free(behind);
    *behind_ptr = NULL;
}

/* ---- numbers ---- */

void sta_behind_statistics(struct sta_behind *behind, struct strata_write_behind_statistics *out)
{
    struct sta_behind_queue_statistics numbers;
    pthread_mutex_lock(&behind->lock);
    sta_behind_queue_statistics(behind->queue, &numbers);
    out->rejected = behind->rejected;
    out->through = behind->through;
    out->blocked = behind->blocked_count;
    pthread_mutex_unlock(&behind->lock);
    out->entries = numbers.entries;
    out->bytes = numbers.bytes;
    out->parked = numbers.parked;
    out->accepted = numbers.pushed;
    out->coalesced = numbers.coalesced;
    out->flushed = numbers.written;
    out->retried = numbers.retried;
    out->refused = numbers.refused;
    out->overtaken = numbers.overtaken;
}
