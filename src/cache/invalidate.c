/* SPDX-License-Identifier: MIT
 *
 * See invalidate.h.
 */
#include "cache/invalidate.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cache/load.h"
#include "cache/tiers.h"
#include "core/clock.h"
#include "core/random.h"
#include "net/waiter.h"
#include "strata/status.h"

/* After a batch of which something failed; every further failure doubles it, up to the most. */
#define PAUSE_FIRST_NS (STA_NS_SEC / 10)
#define PAUSE_MOST_NS  STA_NS_SEC

/*
 *     WAITING --> SENT --> gone
 *       |  ^       |
 *       v  |       | failed
 *       HELD <-----'        while own writes of the key are under way
 */
struct sta_invalidate_entry {
    struct sta_list link;   /* waiting or sent; held: in no list */
    struct sta_list bucket; /* obsolete: in no list */
    uint64_t hash;
    uint64_t number; /* no other has it; from 1 */
    uint64_t since_ns;
    uint64_t pause_ns;
    unsigned holders; /* own writes that are under way */
    bool sent;
    bool obsolete; /* an own write was acknowledged; it goes as soon as it is not SENT */
    size_t key_len;
    uint8_t key[];
};

static struct strata_bytes entry_key(const struct sta_invalidate_entry *entry)
{
    return strata_bytes(entry->key, entry->key_len);
}

/* ---- the table ---- */

static struct sta_list *bucket_of(struct sta_invalidate *invalidate, uint64_t hash)
{
    return &invalidate->buckets[hash % STA_INVALIDATE_BUCKETS];
}

static struct sta_invalidate_entry *find_locked(struct sta_invalidate *invalidate,
                                                const struct sta_key *key)
{
    if (invalidate->buckets == NULL)
        return NULL;
    struct sta_list *bucket = bucket_of(invalidate, key->hash);
    for (struct sta_list *link = bucket->next; link != bucket; link = link->next) {
        struct sta_invalidate_entry *entry =
            STA_CONTAINER(link, struct sta_invalidate_entry, bucket);
        if (entry->hash == key->hash && entry->key_len == key->bytes.len &&
            memcmp(entry->key, key->bytes.data, key->bytes.len) == 0)
            return entry;
    }
    return NULL;
}

static int make_buckets_locked(struct sta_invalidate *invalidate)
{
    if (invalidate->buckets != NULL)
        return STRATA_OK;
    invalidate->buckets = malloc(STA_INVALIDATE_BUCKETS * sizeof *invalidate->buckets);
    if (invalidate->buckets == NULL)
        return STRATA_ERR_NOMEM;
    for (size_t i = 0; i < STA_INVALIDATE_BUCKETS; i++)
        sta_list_init(&invalidate->buckets[i]);
    return STRATA_OK;
}

/* Nobody finds it any more; its memory stays. */
static void unlist_locked(struct sta_invalidate *invalidate, struct sta_invalidate_entry *entry)
{
    sta_list_remove(&entry->bucket);
    invalidate->bytes -= entry->key_len;
    atomic_fetch_sub_explicit(&invalidate->count, 1, memory_order_relaxed);
}

static int enter_locked(struct sta_invalidate *invalidate, const struct sta_key *key,
                        uint64_t now_ns)
{
    size_t count = atomic_load_explicit(&invalidate->count, memory_order_relaxed);
    if (count >= STA_INVALIDATE_KEYS_MOST ||
        key->bytes.len > STA_INVALIDATE_BYTES_MOST - invalidate->bytes)
        return STRATA_ERR_BUSY;
    struct sta_invalidate_entry *entry = malloc(sizeof *entry + key->bytes.len);
    if (entry == NULL || make_buckets_locked(invalidate) < 0) {
        free(entry);
        return STRATA_ERR_NOMEM;
    }
    *entry = (struct sta_invalidate_entry){.hash = key->hash,
                                           .number = ++invalidate->last,
                                           .since_ns = now_ns,
                                           .key_len = key->bytes.len};
    memcpy(entry->key, key->bytes.data, key->bytes.len);
    sta_list_push_back(bucket_of(invalidate, key->hash), &entry->bucket);
    sta_list_push_back(&invalidate->waiting, &entry->link);
    invalidate->waiting_count++;
    invalidate->bytes += entry->key_len;
    atomic_store_explicit(&invalidate->count, count + 1, memory_order_relaxed);
    return STRATA_OK;
}

/* ---- sending, on the loop's thread ---- */

static void wait_again_locked(struct sta_invalidate *invalidate, struct sta_invalidate_entry *entry)
{
    sta_list_push_front(&invalidate->waiting, &entry->link);
    invalidate->waiting_count++;
}

/* The batch is over as far as this key goes: false where the entry goes. */
static bool stays_locked(struct sta_invalidate *invalidate, struct sta_invalidate_entry *entry,
                         int status, uint64_t now_ns)
{
    uint64_t budget_ns = STA_INVALIDATE_BUDGETS * sta_live(&invalidate->cache->live.budget_ns);
    if (status >= 0) {
        invalidate->counts.done++;
        return false;
    }
    if (invalidate->closing || now_ns >= sta_clock_after(entry->since_ns, budget_ns)) {
        invalidate->counts.failed++;
        return false;
    }
    entry->pause_ns = entry->pause_ns == 0 ? PAUSE_FIRST_NS : 2 * entry->pause_ns;
    entry->pause_ns = entry->pause_ns < PAUSE_MOST_NS ? entry->pause_ns : PAUSE_MOST_NS;
    invalidate->not_before_ns = sta_clock_after(now_ns, entry->pause_ns);
    invalidate->counts.retried++;
    if (entry->holders == 0)
        wait_again_locked(invalidate, entry);
    return true;
}

static void on_answered(struct sta_batch *batch, uint32_t tag, int status,
                        struct strata_bytes replies)
{
    struct sta_invalidate *invalidate = STA_CONTAINER(batch, struct sta_invalidate, batch);
    struct sta_cache *cache = invalidate->cache;
    struct sta_invalidate_entry *entry = invalidate->by_tag[tag];
    uint64_t now_ns = sta_loop_now_ns(cache->loop);
    if (status == STRATA_OK)
        status = sta_batch_read_delete(replies);
    if (status < 0)
        sta_tiers_count(&cache->l2_counters.errors);
    if (cache->l1 != NULL) {
        /* Before the entry goes: whoever read the key meanwhile may not keep what he read. */
        struct sta_key key = sta_l1_key(cache->l1, entry_key(entry));
        (void)sta_l1_invalidate(cache->l1, &key, now_ns / STA_NS_MS, NULL);
    }
    pthread_mutex_lock(&invalidate->lock);
    sta_list_remove(&entry->link);
    entry->sent = false;
    bool stays = !entry->obsolete && stays_locked(invalidate, entry, status, now_ns);
    if (!stays && !entry->obsolete)
        unlist_locked(invalidate, entry);
    pthread_mutex_unlock(&invalidate->lock);
    if (!stays)
        free(entry);
}

/* After each batch that has given something up; at the pace of the log, which leaves lines out: so
 * the number is of all. */
static void say_failed(struct sta_invalidate *invalidate)
{
    pthread_mutex_lock(&invalidate->lock);
    uint64_t failed = invalidate->counts.failed;
    bool more = failed > invalidate->failed_told;
    invalidate->failed_told = failed;
    pthread_mutex_unlock(&invalidate->lock);
    if (more)
        sta_log_write(&invalidate->log.log, STRATA_LOG_WARNING, STA_ROOM_CACHE,
                      "%" PRIu64 " queued invalidations were given up so far: Redis keeps the "
                      "values until their TTL",
                      failed);
}

static void send_next(struct sta_invalidate *invalidate);

static void on_ended(struct sta_batch *batch)
{
    struct sta_invalidate *invalidate = STA_CONTAINER(batch, struct sta_invalidate, batch);
    sta_batch_fini(batch);
    free(invalidate->by_tag);
    invalidate->by_tag = NULL;
    invalidate->sending = false;
    say_failed(invalidate);
    send_next(invalidate);
}

/* Appends what waits to the batch, as far as there is memory. */
static size_t take_locked(struct sta_invalidate *invalidate, size_t most)
{
    size_t taken = 0;
    while (taken < most && !sta_list_empty(&invalidate->waiting)) {
        struct sta_invalidate_entry *entry =
            STA_CONTAINER(invalidate->waiting.next, struct sta_invalidate_entry, link);
        if (sta_batch_delete(&invalidate->batch, (uint32_t)taken, entry_key(entry)) < 0)
            break;
        entry->sent = true;
        invalidate->by_tag[taken++] = entry;
        sta_list_remove(&entry->link);
        sta_list_push_back(&invalidate->sent, &entry->link);
        invalidate->waiting_count--;
    }
    return taken;
}

/* Begins a batch. False: there is no memory, and nothing has changed. */
static bool send_batch(struct sta_invalidate *invalidate, size_t most)
{
    struct sta_cache *cache = invalidate->cache;
    invalidate->by_tag = malloc(most * sizeof(struct sta_invalidate_entry *));
    if (invalidate->by_tag == NULL)
        return false;
    sta_batch_init(&invalidate->batch, cache->l2, cache->prefix, on_answered, on_ended);
    pthread_mutex_lock(&invalidate->lock);
    size_t taken = take_locked(invalidate, most);
    invalidate->counts.batches += taken > 0;
    uint64_t deadline_ns = invalidate->closing ? invalidate->close_ns
                                               : sta_clock_after(sta_loop_now_ns(cache->loop),
                                                                 sta_live(&cache->live.budget_ns));
    pthread_mutex_unlock(&invalidate->lock);
    if (taken == 0) {
        sta_batch_fini(&invalidate->batch);
        free(invalidate->by_tag);
        invalidate->by_tag = NULL;
        return false;
    }
    invalidate->sending = true;
    sta_batch_start(&invalidate->batch, deadline_ns);
    return true;
}

/* When the next batch is to be sent; STA_NEVER: there is nothing to send. */
static uint64_t due_ns(struct sta_invalidate *invalidate, size_t *most, bool *closing)
{
    uint64_t due = STA_NEVER;
    pthread_mutex_lock(&invalidate->lock);
    *closing = invalidate->closing;
    *most = invalidate->closing ? invalidate->waiting_count : invalidate->batch_size;
    if (*most > invalidate->waiting_count)
        *most = invalidate->waiting_count;
    if (*most > 0) {
        const struct sta_invalidate_entry *eldest =
            STA_CONTAINER(invalidate->waiting.next, struct sta_invalidate_entry, link);
        bool full = invalidate->waiting_count >= invalidate->batch_size;
        due = full ? 0 : sta_clock_after(eldest->since_ns, invalidate->timeout_ns);
        if (due < invalidate->not_before_ns)
            due = invalidate->not_before_ns;
        if (invalidate->closing)
            due = 0;
    }
    pthread_mutex_unlock(&invalidate->lock);
    return due;
}

static void tell_closer(struct sta_invalidate *invalidate)
{
    pthread_mutex_lock(&invalidate->lock);
    struct sta_waiter *closer = invalidate->closer;
    invalidate->closer = NULL;
    pthread_mutex_unlock(&invalidate->lock);
    if (closer != NULL)
        sta_waiter_signal(closer);
}

static void send_next(struct sta_invalidate *invalidate)
{
    struct sta_loop *loop = invalidate->cache->loop;
    size_t most;
    bool closing;
    if (invalidate->sending)
        return; /* and once more when that batch has ended */
    uint64_t due = due_ns(invalidate, &most, &closing);
    uint64_t now_ns = sta_loop_now_ns(loop);
    sta_timer_stop(loop, &invalidate->timer);
    if (due <= now_ns && send_batch(invalidate, most))
        return;
    if (due != STA_NEVER && !closing)
        sta_timer_start(loop, &invalidate->timer,
                        due > now_ns ? due : sta_clock_after(now_ns, PAUSE_FIRST_NS));
    else
        tell_closer(invalidate);
}

static void on_timer(struct sta_timer *timer)
{
    send_next(STA_CONTAINER(timer, struct sta_invalidate, timer));
}

static void on_posted(struct sta_task *task)
{
    struct sta_invalidate *invalidate = STA_CONTAINER(task, struct sta_invalidate, task);
    pthread_mutex_lock(&invalidate->lock);
    invalidate->posted = false; /* here only: until it has run it may not be posted again */
    pthread_mutex_unlock(&invalidate->lock);
    send_next(invalidate);
}

/* ---- any thread ---- */

/* The loop looks where the first key waits, and where a batch is full. */
static bool wants_loop_locked(struct sta_invalidate *invalidate)
{
    bool wants = !invalidate->posted && (invalidate->waiting_count == 1 ||
                                         invalidate->waiting_count == invalidate->batch_size);
    invalidate->posted |= wants;
    return wants;
}

int sta_invalidate_add(struct sta_invalidate *invalidate, struct strata_bytes bytes,
                       uint64_t now_ns)
{
    struct sta_cache *cache = invalidate->cache;
    bool wakes = false;
    int status = STRATA_OK;
    if (!sta_live(&cache->live.invalidation))
        return STRATA_ERR_DISABLED;
    if (invalidate->enabled) {
        struct sta_key key = sta_key_make(bytes, invalidate->seed);
        pthread_mutex_lock(&invalidate->lock);
        if (find_locked(invalidate, &key) != NULL) {
            invalidate->counts.coalesced++;
        } else {
            status = enter_locked(invalidate, &key, now_ns);
            wakes = status == STRATA_OK && wants_loop_locked(invalidate);
        }
        invalidate->counts.queued += status == STRATA_OK;
        pthread_mutex_unlock(&invalidate->lock);
    }
    if (cache->l1 != NULL) {
        struct sta_key key = sta_l1_key(cache->l1, bytes);
        (void)sta_l1_invalidate(cache->l1, &key, now_ns / STA_NS_MS, NULL);
    } else {
        sta_load_overtake(cache, bytes);
    }
    if (wakes)
        sta_loop_post(cache->loop, &invalidate->task);
    return status;
}

bool sta_invalidate_hides_slow(struct sta_invalidate *invalidate, struct strata_bytes bytes)
{
    struct sta_key key = sta_key_make(bytes, invalidate->seed);
    pthread_mutex_lock(&invalidate->lock);
    bool hides = find_locked(invalidate, &key) != NULL;
    pthread_mutex_unlock(&invalidate->lock);
    return hides;
}

uint64_t sta_invalidate_hold_slow(struct sta_invalidate *invalidate, struct strata_bytes bytes)
{
    struct sta_key key = sta_key_make(bytes, invalidate->seed);
    pthread_mutex_lock(&invalidate->lock);
    struct sta_invalidate_entry *entry = find_locked(invalidate, &key);
    if (entry != NULL && entry->holders++ == 0 && !entry->sent) {
        sta_list_remove(&entry->link);
        invalidate->waiting_count--;
    }
    uint64_t number = entry != NULL ? entry->number : 0;
    pthread_mutex_unlock(&invalidate->lock);
    return number;
}

/* The last write that held it has failed: true where the loop has to know. */
static bool release_locked(struct sta_invalidate *invalidate, struct sta_invalidate_entry *entry)
{
    if (entry->sent)
        return false;
    if (invalidate->closing) {
        invalidate->counts.failed++;
        unlist_locked(invalidate, entry);
        free(entry);
        return false;
    }
    wait_again_locked(invalidate, entry);
    return wants_loop_locked(invalidate);
}

/* Another write that held it may have been acknowledged meanwhile: then it is gone. */
void sta_invalidate_settle(struct sta_invalidate *invalidate, struct strata_bytes bytes,
                           uint64_t held, bool written)
{
    struct sta_key key = sta_key_make(bytes, invalidate->seed);
    bool wakes = false;
    pthread_mutex_lock(&invalidate->lock);
    struct sta_invalidate_entry *entry = find_locked(invalidate, &key);
    if (entry != NULL && entry->number == held) {
        entry->holders--;
        if (written) {
            unlist_locked(invalidate, entry);
            entry->obsolete = true;
            invalidate->counts.done++;
            if (!entry->sent)
                free(entry);
        } else if (entry->holders == 0) {
            wakes = release_locked(invalidate, entry);
        }
    }
    pthread_mutex_unlock(&invalidate->lock);
    if (wakes)
        sta_loop_post(invalidate->cache->loop, &invalidate->task);
}

void sta_invalidate_statistics(struct sta_invalidate *invalidate,
                               struct strata_invalidation_statistics *out)
{
    pthread_mutex_lock(&invalidate->lock);
    *out = invalidate->counts;
    out->waiting = atomic_load_explicit(&invalidate->count, memory_order_relaxed);
    pthread_mutex_unlock(&invalidate->lock);
}

/* ---- life ---- */

void sta_invalidate_init(struct sta_invalidate *invalidate, struct sta_cache *cache)
{
    *invalidate = (struct sta_invalidate){
        .cache = cache,
        .enabled = cache->config.l2_enabled,
        .seed = sta_random_seed(),
        .batch_size = cache->config.invalidation_batch_size,
        .timeout_ns = cache->config.invalidation_timeout_ms * STA_NS_MS,
        .task.run = on_posted,
    };
    pthread_mutex_init(&invalidate->lock, NULL);
    sta_list_init(&invalidate->waiting);
    sta_list_init(&invalidate->sent);
    sta_timer_init(&invalidate->timer, on_timer);
}

void sta_invalidate_start(struct sta_invalidate *invalidate)
{
    sta_paced_log_init(&invalidate->log, invalidate->cache->log, STA_ROOM_CACHE,
                       invalidate->cache->loop);
}

void sta_invalidate_adjust(struct sta_invalidate *invalidate, size_t batch_size,
                           uint64_t timeout_ns)
{
    if (!invalidate->enabled)
        return;
    pthread_mutex_lock(&invalidate->lock);
    invalidate->batch_size = batch_size;
    invalidate->timeout_ns = timeout_ns;
    bool posts = !invalidate->posted;
    invalidate->posted = true;
    pthread_mutex_unlock(&invalidate->lock);
    if (posts)
        sta_loop_post(invalidate->cache->loop, &invalidate->task);
}

void sta_invalidate_close(struct sta_invalidate *invalidate)
{
    struct sta_waiter waiter;
    pthread_mutex_lock(&invalidate->lock);
    bool used = invalidate->buckets != NULL;
    pthread_mutex_unlock(&invalidate->lock);
    if (!used)
        return;
    sta_waiter_init(&waiter, invalidate->cache->loop);
    pthread_mutex_lock(&invalidate->lock);
    invalidate->closing = true;
    invalidate->close_ns =
        sta_clock_after(sta_clock_now_ns(), sta_live(&invalidate->cache->live.budget_ns));
    invalidate->closer = &waiter;
    bool posts = !invalidate->posted; /* else the task is on its way, and will see it */
    invalidate->posted = true;
    pthread_mutex_unlock(&invalidate->lock);
    if (posts)
        sta_loop_post(invalidate->cache->loop, &invalidate->task);
    sta_waiter_wait(&waiter);
}

static void free_all(struct sta_list *entries)
{
    struct sta_list *link;
    while ((link = sta_list_pop_front(entries)) != NULL)
        free(STA_CONTAINER(link, struct sta_invalidate_entry, link));
}

void sta_invalidate_fini(struct sta_invalidate *invalidate)
{
    if (invalidate->cache == NULL)
        return;
    if (invalidate->cache->loop != NULL) {
        sta_timer_stop(invalidate->cache->loop, &invalidate->timer);
        sta_paced_log_fini(&invalidate->log);
    }
    free_all(&invalidate->waiting);
    free_all(&invalidate->sent);
    free(invalidate->buckets);
    free(invalidate->by_tag);
    pthread_mutex_destroy(&invalidate->lock);
}
