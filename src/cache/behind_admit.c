/* SPDX-License-Identifier: MIT
 *
 * How a write comes into the queue, and what becomes of one for which there is no room:
 *
 *     BEGUN --room for all of it--> acknowledged
 *       '---none: REJECT-----------> STRATA_ERR_BUSY for what has none
 *       '---none: THROUGH----------> what has none goes to Redis now, and is answered from there;
 *                                    STRATA_ERR_BUSY where it is the journal that has none
 *       '---none: BLOCK------------> BLOCKED --room--> acknowledged
 *                                       '----the call's deadline--> STRATA_ERR_BUSY for the rest
 *
 * Blocked writes stand in line on the loop; nobody overtakes them with a key of his own.
 * A key that is owed already never goes through: its write would pass the one that waits. Where it
 * grows beyond what is left, it is blocked or, under THROUGH, turned away.
 * Nor does anything go through while the journal is not whole: a replay would put an older write of
 * the key, whose DONE is missing, over it. Where it is, a write that went through is done when the
 * DONEs before it are on disk.
 * Of a batch, what comes after a write that went through and is of the same key goes through, too.
 */
#include <stdlib.h>
#include <string.h>

#include "cache/aged.h"
#include "cache/behind_inside.h"
#include "cache/coherence.h"
#include "cache/envelope.h"
#include "cache/load.h"
#include "core/clock.h"
#include "strata/status.h"

/* Values that are larger are hashed for the version guard by who writes them, before the lock: some
 * 5 us per KiB, in which nobody else could write. */
#define HASHED_UNDER_LOCK ((size_t)16 << 10)

/* Items that are admitted under one hold of the lock. */
#define ADMIT_AT_ONCE 64u

struct admitting {
    enum sta_write_kind kind;
    const struct strata_item *item;
    const uint8_t *digest; /* of the item's value; NULL: not known */
    bool in_line;          /* it has waited for room */
};

static int admit_check(enum sta_write_kind kind, const struct strata_item *item)
{
    int status = sta_cache_check_key(item->key);
    if (status == STRATA_OK && kind == STA_WRITE_SET)
        status = sta_cache_check_value(item->value);
    return status;
}

/* Of what is in an envelope: the value, and its age where that is told. */
static void admit_stored_to_l1(struct sta_cache *cache, const struct sta_key *key,
                               const struct strata_item *item, uint64_t now_ms)
{
    struct sta_aged_entry entry = {
        .key = key,
        .stored = item->value,
        .ttl_ms = item->ttl_ms,
        .since_ms = now_ms,
        .token = sta_l1_invalidate(cache->l1, key, now_ms, NULL),
    };
    (void)sta_aged_fill(cache, &entry, now_ms);
}

/* What L1 has of the key from now on, of an item as Redis gets it, with its TTL. Under the lock: so
 * L1 and the queue agree on the order. */
static void admit_to_l1(struct sta_cache *cache, enum sta_write_kind kind,
                        const struct sta_key *key, const struct strata_item *item, uint64_t now_ns)
{
    uint64_t now_ms = now_ns / STA_NS_MS;
    bool set = kind == STA_WRITE_SET;
    if (cache->l1 == NULL) {
        sta_load_overtake(cache, item->key);
        return;
    }
    sta_tiers_count(set ? &cache->l1_counters.sets : &cache->l1_counters.deletes);
    if (!set) {
        (void)sta_l1_invalidate(cache->l1, key, now_ms, NULL);
        return;
    }
    if (sta_envelope_begins(item->value)) {
        admit_stored_to_l1(cache, key, item, now_ms);
        return;
    }
    struct sta_l1_entry entry = {
        .value = item->value,
        .deadline_ms = sta_cache_l1_deadline(cache, item->ttl_ms, now_ms),
    };
    if (sta_l1_set(cache->l1, key, &entry, now_ms) < 0)
        sta_tiers_count(&cache->l1_counters.errors);
}

struct admitted {
    uint64_t saved_at; /* in the journal; 0: it has nothing of it */
    bool crowded;      /* STRATA_ERR_BUSY: by the queue; else by the journal */
    bool unseen;       /* what Redis has of the key is not known */
};

/* What Redis has of a key that is not owed, as far as L1 knows: a plain value that it would be told
 * of if it changed. L1 keeps it no longer than Redis. One that is large is looked at instead: it
 * would be hashed here, under the lock. */
static void admit_basis(struct sta_cache *cache, const struct sta_key *key, uint64_t now_ns,
                        struct sta_guard_basis *basis)
{
    struct sta_l1_lease lease = {0};
    if (!sta_coherence_hears(cache) ||
        sta_l1_peek(cache->l1, key, now_ns / STA_NS_MS, &lease) != STRATA_OK)
        return;
    bool plain =
        lease.flags == 0 && !sta_envelope_begins(lease.value) && sta_coherence_keeps(lease.value);
    if (plain && !lease.suspect && lease.stamp.source > 0) {
        uint64_t expires_ns =
            lease.deadline_ms == STA_NEVER ? STA_NEVER : lease.deadline_ms * STA_NS_MS;
        const struct sta_guard_state state = sta_guard_value(lease.value, expires_ns);
        sta_guard_set(basis, &state);
    }
    sta_l1_release(cache->l1, &lease);
}

/* To the queue, and to the journal before it, so that what has no room there is not in the
 * queue. */
static int admit_push(struct sta_behind *behind, const struct sta_key *key,
                      const struct sta_behind_push *push, uint64_t now_ns, struct admitted *out)
{
    struct sta_behind_queue *queue = behind->queue;
    struct sta_behind_entry *entry;
    uint64_t position = 0;
    int status = sta_behind_queue_has_room(queue, key, push);
    out->crowded = status == STRATA_ERR_BUSY;
    if (status == STRATA_OK && behind->journal != NULL)
        status = sta_behind_record(behind, key, push, now_ns, &position);
    if (status < 0)
        return status;
    status = sta_behind_queue_push(queue, key, push, now_ns, &entry);
    out->unseen = status == STRATA_OK && entry->guard != NULL && entry->guard->basis.count == 0;
    if (behind->journal == NULL)
        return status;
    if (status == STRATA_OK)
        sta_behind_recorded(behind, entry, position, now_ns);
    else
        sta_behind_take_back(behind, key, now_ns);
    out->saved_at = status == STRATA_OK ? position + 1 : 0;
    return status;
}

/* The item as Redis will get it: STRATA_OK, STRATA_ERR_BUSY: no room; or why it is refused. */
static int admit_stored_locked(struct sta_behind *behind, const struct admitting *admitting,
                               uint64_t now_ns, struct admitted *out)
{
    const struct strata_item *item = admitting->item;
    struct sta_key key = sta_behind_key(behind, item->key);
    *out = (struct admitted){.crowded = true};
    if (behind->blocked_count > 0 && !admitting->in_line &&
        sta_behind_queue_find(behind->queue, &key) == NULL)
        return STRATA_ERR_BUSY;
    uint64_t ttl_ms = sta_tiers_ttl_ms(behind->cache, item); /* in L1 and in Redis alike */
    uint64_t ttl_ns = ttl_ms > STA_NEVER / STA_NS_MS ? STA_NEVER : ttl_ms * STA_NS_MS;
    struct sta_behind_push push = {
        .value = item->value,
        .is_delete = admitting->kind == STA_WRITE_DELETE,
        .expires_ns = sta_clock_after(now_ns, ttl_ns),
        .digest = admitting->digest,
    };
    struct sta_guard_basis basis = {0};
    if (behind->config.guard != STA_BEHIND_UNGUARDED &&
        sta_behind_queue_find(behind->queue, &key) == NULL) {
        admit_basis(behind->cache, &key, now_ns, &basis);
        push.basis = &basis;
    }
    int status = admit_push(behind, &key, &push, now_ns, out);
    if (status == STRATA_OK)
        admit_to_l1(behind->cache, admitting->kind, &key,
                    &(struct strata_item){item->key, item->value, ttl_ms}, now_ns);
    return status;
}

/* A plain value that begins as an envelope does goes into one. */
static int admit_locked(struct sta_behind *behind, const struct admitting *admitting,
                        uint64_t now_ns, struct admitted *out)
{
    const struct strata_item *item = admitting->item;
    int status = admit_check(admitting->kind, item);
    if (status < 0)
        return status;
    if (admitting->kind == STA_WRITE_DELETE || !sta_envelope_begins(item->value))
        return admit_stored_locked(behind, admitting, now_ns, out);
    struct sta_buffer envelope;
    struct strata_item stored = *item;
    sta_buffer_init(&envelope, SIZE_MAX);
    status = sta_envelope_write(&envelope, &(struct sta_envelope){.value = item->value});
    stored.value = sta_buffer_bytes(&envelope);
    if (status == STRATA_OK)
        status = admit_stored_locked(behind,
                                     &(struct admitting){.kind = admitting->kind,
                                                         .item = &stored,
                                                         .in_line = admitting->in_line},
                                     now_ns, out);
    sta_buffer_fini(&envelope);
    return status;
}

static bool same_key(const struct strata_item *a, const struct strata_item *b)
{
    return a->key.len == b->key.len && memcmp(a->key.data, b->key.data, a->key.len) == 0;
}

/* Whether an earlier item of the same key went through. */
static bool admit_follows(const struct sta_write *write, size_t index)
{
    size_t i = write->behind.through > 0 ? write->behind.first_through : index;
    while (i < index &&
           (write->statuses[i] != STRATA_MORE || !same_key(&write->items[i], &write->items[index])))
        i++;
    return i < index;
}

static bool admit_goes_through(const struct sta_behind *behind, const struct strata_item *item)
{
    struct sta_key key = sta_behind_key(behind, item->key);
    return behind->config.full == STA_BEHIND_THROUGH &&
           sta_behind_queue_find(behind->queue, &key) == NULL &&
           (behind->journal == NULL || sta_journal_is_whole(behind->journal));
}

static void admit_wait_for(struct sta_write *write, uint64_t saved_at)
{
    if (write->behind.saved_at < saved_at)
        write->behind.saved_at = saved_at;
}

/* There is no room for this item: whether it is to wait. */
static bool admit_blocks_locked(struct sta_behind *behind, struct sta_write *write, size_t index,
                                bool crowded)
{
    if (behind->config.full == STA_BEHIND_BLOCK)
        return true;
    if (!crowded || !admit_goes_through(behind, &write->items[index])) {
        behind->rejected++;
        return false;
    }
    if (write->behind.through++ == 0)
        write->behind.first_through = index;
    write->statuses[index] = STRATA_MORE;
    behind->through++;
    admit_wait_for(write, behind->done_at);
    return false;
}

static bool admit_is_hashed(const struct sta_behind *behind, enum sta_write_kind kind,
                            const struct strata_item *item)
{
    return behind->config.guard != STA_BEHIND_UNGUARDED && kind == STA_WRITE_SET &&
           item->value.len > HASHED_UNDER_LOCK && admit_check(kind, item) == STRATA_OK;
}

/* Before the lock. Where there is no memory for it, digests are made under the lock after all. */
static void admit_make_digests(const struct sta_behind *behind, struct sta_write *write)
{
    write->behind.digests = NULL;
    for (size_t i = 0; i < write->count; i++) {
        if (!admit_is_hashed(behind, write->kind, &write->items[i]))
            continue;
        if (write->behind.digests == NULL)
            write->behind.digests = calloc(write->count, sizeof *write->behind.digests);
        if (write->behind.digests == NULL)
            return;
        sta_sha1(write->items[i].value, write->behind.digests[i]);
    }
}

static const uint8_t *admit_digest(const struct sta_write *write, size_t index)
{
    if (write->behind.digests == NULL || write->items[index].value.len <= HASHED_UNDER_LOCK)
        return NULL;
    return write->behind.digests[index];
}

/* All of its items have been dealt with. */
static void admit_forget_digests(struct sta_write *write)
{
    free(write->behind.digests);
    write->behind.digests = NULL;
}

/* The next item: STRATA_OK, it has been dealt with; STRATA_MORE: it is to wait. */
static int admit_next_locked(struct sta_behind *behind, struct sta_write *write, bool in_line,
                             uint64_t now_ns)
{
    size_t index = write->behind.next;
    struct admitted admitted = {.crowded = true};
    int status = STRATA_ERR_BUSY;
    const struct admitting admitting = {.kind = write->kind,
                                        .item = &write->items[index],
                                        .digest = admit_digest(write, index),
                                        .in_line = in_line};
    if (!admit_follows(write, index))
        status = admit_locked(behind, &admitting, now_ns, &admitted);
    write->statuses[index] = status;
    admit_wait_for(write, admitted.saved_at);
    if (admitted.unseen && behind->config.guard == STA_BEHIND_GUARD_ON)
        write->behind.looks = true;
    if (status == STRATA_ERR_BUSY && admit_blocks_locked(behind, write, index, admitted.crowded))
        return STRATA_MORE;
    write->behind.next++;
    return STRATA_OK;
}

/* From behind.next on: STRATA_OK, some have been dealt with; STRATA_MORE: the next is to wait. */
static int admit_some(struct sta_behind *behind, struct sta_write *write, bool in_line,
                      uint64_t now_ns)
{
    int status = STRATA_OK;
    pthread_mutex_lock(&behind->lock);
    for (size_t i = 0;
         i < ADMIT_AT_ONCE && write->behind.next < write->count && status == STRATA_OK; i++)
        status = admit_next_locked(behind, write, in_line, now_ns);
    bool kick = sta_behind_wants_kick(behind);
    pthread_mutex_unlock(&behind->lock);
    if (kick)
        sta_behind_kick(behind);
    return status;
}

static int admit_all(struct sta_behind *behind, struct sta_write *write, bool in_line,
                     uint64_t now_ns)
{
    int status = STRATA_OK;
    while (status == STRATA_OK && write->behind.next < write->count)
        status = admit_some(behind, write, in_line, now_ns);
    return status;
}

int sta_behind_begin(struct sta_behind *behind, struct sta_write *write, uint64_t now_ns)
{
    write->behind.next = 0;
    write->behind.through = 0;
    write->behind.saved_at = 0;
    write->behind.looks = false;
    admit_make_digests(behind, write);
    int status = admit_all(behind, write, false, now_ns);
    if (status == STRATA_OK || write->behind.through > 0)
        admit_forget_digests(write);
    if (status == STRATA_OK && !sta_behind_is_safe(behind, write))
        status = STRATA_MORE;
    return write->behind.through > 0 ? STRATA_MORE : status;
}

int sta_behind_erase(struct sta_behind *behind, struct strata_bytes key, uint64_t now_ns)
{
    struct strata_item item = {.key = key};
    struct sta_key hashed = sta_behind_key(behind, key);
    pthread_mutex_lock(&behind->lock);
    struct admitted admitted;
    const struct admitting admitting = {.kind = STA_WRITE_DELETE, .item = &item};
    int status = admit_locked(behind, &admitting, now_ns, &admitted);
    if (status < 0) {
        behind->rejected++;
        admit_to_l1(behind->cache, STA_WRITE_DELETE, &hashed, &item, now_ns);
    }
    bool kick = sta_behind_wants_kick(behind);
    pthread_mutex_unlock(&behind->lock);
    if (kick)
        sta_behind_kick(behind);
    return status;
}

int sta_behind_keep(struct sta_behind *behind, const struct strata_item *item,
                    bool (*current)(void *arg), void *arg, uint64_t now_ns)
{
    struct admitted admitted;
    struct admitting admitting = {.kind = STA_WRITE_SET, .item = item};
    uint8_t digest[STA_SHA1_LEN];
    int status = STRATA_SKIPPED;
    if (admit_is_hashed(behind, STA_WRITE_SET, item)) {
        sta_sha1(item->value, digest);
        admitting.digest = digest;
    }
    pthread_mutex_lock(&behind->lock);
    if (current(arg))
        status = admit_check(STA_WRITE_SET, item);
    if (status == STRATA_OK)
        status = admit_stored_locked(behind, &admitting, now_ns, &admitted);
    bool kick = sta_behind_wants_kick(behind);
    pthread_mutex_unlock(&behind->lock);
    if (kick)
        sta_behind_kick(behind);
    return status;
}

/* ---- who waits for room ---- */

static uint64_t blocked_until(const struct sta_behind *behind, const struct sta_write *write)
{
    return sta_clock_after(write->begun_ns, sta_live(&behind->cache->live.budget_ns));
}

static void blocked_end(struct sta_behind *behind, struct sta_write *write, int status)
{
    sta_list_remove(&write->behind.link);
    pthread_mutex_lock(&behind->lock);
    if (--behind->blocked_count == 0)
        sta_behind_queue_want(behind->queue, false, 0);
    for (size_t i = write->behind.next; i < write->count; i++)
        behind->rejected += status == STRATA_ERR_BUSY;
    pthread_mutex_unlock(&behind->lock);
    for (size_t i = write->behind.next; i < write->count; i++)
        write->statuses[i] = status;
    admit_forget_digests(write);
    sta_behind_finish(behind, write);
}

static void blocked_begin(struct sta_task *task)
{
    struct sta_write *write = STA_CONTAINER(task, struct sta_write, behind.task);
    struct sta_behind *behind = write->cache->behind;
    if (write->behind.next == write->count) { /* only the journal is waited for, or a look */
        sta_behind_finish(behind, write);
        return;
    }
    sta_list_push_back(&behind->blocked, &write->behind.link);
    pthread_mutex_lock(&behind->lock);
    behind->blocked_count++;
    sta_behind_queue_want(behind->queue, true, sta_loop_now_ns(behind->cache->loop));
    pthread_mutex_unlock(&behind->lock);
    if (behind->closed)
        blocked_end(behind, write, STRATA_ERR_CLOSED);
    else
        sta_behind_look(behind);
}

void sta_behind_send(struct sta_behind *behind, struct sta_write *write)
{
    write->behind.task.run = blocked_begin;
    sta_loop_post(behind->cache->loop, &write->behind.task);
}

uint64_t sta_behind_unblock(struct sta_behind *behind, uint64_t now_ns)
{
    while (!sta_list_empty(&behind->blocked)) {
        struct sta_write *write =
            STA_CONTAINER(behind->blocked.next, struct sta_write, behind.link);
        if (admit_all(behind, write, true, now_ns) == STRATA_OK)
            blocked_end(behind, write, STRATA_OK);
        else if (blocked_until(behind, write) <= now_ns)
            blocked_end(behind, write, STRATA_ERR_BUSY);
        else
            return blocked_until(behind, write);
    }
    return STA_NEVER;
}

void sta_behind_end_blocked(struct sta_behind *behind)
{
    while (!sta_list_empty(&behind->blocked))
        blocked_end(behind, STA_CONTAINER(behind->blocked.next, struct sta_write, behind.link),
                    STRATA_ERR_CLOSED);
}
