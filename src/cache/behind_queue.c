/* SPDX-License-Identifier: MIT
 *
 * See behind_queue.h. A table of chains finds a key's entry; a binary heap by due time holds all
 * that are not under way.
 *
 * Invariants: an entry is in the table and in both lists as long as something is owed for its key,
 * and in the heap exactly while it is not FLYING; heap[entry->heap_at] == entry; the heap has room
 * for every entry, so that no settle() can fail; cost and counts are the sums over all entries.
 */
#include "cache/behind_queue_inside.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mutant.h"
#include "core/random.h"
#include "strata/status.h"

#define BUCKETS_FIRST 1024u

#define HURRY_BACKOFF_NS (100 * STA_NS_MS)
#define HELD_NS          (500 * STA_NS_MS)

/* ---- the table ---- */

static struct sta_behind_entry **table_at(const struct sta_behind_queue *queue, uint64_t hash)
{
    return &queue->buckets[hash & (queue->bucket_count - 1)];
}

static void table_add(struct sta_behind_queue *queue, struct sta_behind_entry *entry)
{
    struct sta_behind_entry **at = table_at(queue, entry->hash);
    entry->chain = *at;
    *at = entry;
}

/* Where there is no memory, chains grow longer. */
static void table_grow(struct sta_behind_queue *queue)
{
    size_t before = queue->bucket_count;
    struct sta_behind_entry **old = queue->buckets;
    if (queue->numbers.entries < before)
        return;
    struct sta_behind_entry **buckets = calloc(before * 2, sizeof(struct sta_behind_entry *));
    if (buckets == NULL)
        return;
    queue->buckets = buckets;
    queue->bucket_count = before * 2;
    for (size_t i = 0; i < before; i++) {
        for (struct sta_behind_entry *entry = old[i], *next; entry != NULL; entry = next) {
            next = entry->chain;
            table_add(queue, entry);
        }
    }
    free(old);
}

static void table_remove(struct sta_behind_queue *queue, const struct sta_behind_entry *entry)
{
    struct sta_behind_entry **at = table_at(queue, entry->hash);
    while (*at != entry)
        at = &(*at)->chain;
    *at = entry->chain;
}

struct sta_behind_entry *sta_behind_queue_find(const struct sta_behind_queue *queue,
                                               const struct sta_key *key)
{
    struct sta_behind_entry *entry = *table_at(queue, key->hash);
    while (entry != NULL && (entry->hash != key->hash || entry->key_len != key->bytes.len ||
                             memcmp(entry->key, key->bytes.data, key->bytes.len) != 0))
        entry = entry->chain;
    return entry;
}

/* ---- pushing ---- */

bool sta_behind_queue_is_pressed(const struct sta_behind_queue *queue)
{
    return queue->wanted || queue->numbers.entries > queue->config.max_entries / 2 ||
           queue->numbers.bytes > queue->config.max_bytes / 2;
}

static uint64_t push_due(const struct sta_behind_queue *queue, uint64_t now_ns)
{
    bool at_once = queue->hurry || sta_behind_queue_is_pressed(queue);
    return at_once ? now_ns : sta_clock_after(now_ns, queue->config.interval_ns);
}

/* A look is due before all writes. */
static void push_is_due(const struct sta_behind_queue *queue, struct sta_behind_entry *entry,
                        uint64_t now_ns)
{
    entry->due_ns = push_due(queue, now_ns);
    if (!sta_behind_entry_looks(entry))
        return;
    entry->guard->due_ns = entry->due_ns;
    entry->due_ns = 0;
}

static bool entry_fits(const struct sta_behind_entry *entry, size_t len)
{
    return len <= entry->value_cap && len >= entry->value_cap / 4;
}

/* Room for the value, in the entry or anew; what is there stays until it is overwritten. */
static int entry_reserve(struct sta_behind_entry *entry, size_t len)
{
    if (entry_fits(entry, len))
        return STRATA_OK;
    uint8_t *value = len > 0 ? malloc(len) : NULL;
    if (len > 0 && value == NULL)
        return STRATA_ERR_NOMEM;
    free(entry->value);
    entry->value = value;
    entry->value_cap = len;
    return STRATA_OK;
}

static int entry_take(struct sta_behind_entry *entry, const struct sta_behind_push *push)
{
    size_t len = push->is_delete ? 0 : push->value.len;
    if (entry_reserve(entry, len) < 0)
        return STRATA_ERR_NOMEM;
    if (len > 0)
        memcpy(entry->value, push->value.data, len);
    entry->value_len = len;
    sta_behind_guard_digest(entry, push);
    entry->is_delete = push->is_delete;
    entry->expires_ns = push->is_delete ? STA_NEVER : push->expires_ns;
    return STRATA_OK;
}

static void push_number(struct sta_behind_queue *queue, struct sta_behind_entry *entry)
{
    entry->version = ++queue->version;
    sta_list_remove(&entry->order);
    sta_list_push_back(&queue->order, &entry->order);
    queue->numbers.pushed++;
}

static int entry_guard(const struct sta_behind_queue *queue, struct sta_behind_entry *entry,
                       const struct sta_behind_push *push)
{
    if (!queue->config.guarded)
        return STRATA_OK;
    entry->guard = calloc(1, sizeof *entry->guard);
    if (entry->guard == NULL)
        return STRATA_ERR_NOMEM;
    if (push->basis != NULL)
        entry->guard->basis = *push->basis;
    return STRATA_OK;
}

static int push_new(struct sta_behind_queue *queue, const struct sta_key *key,
                    const struct sta_behind_push *push, uint64_t cost, uint64_t now_ns,
                    struct sta_behind_entry **out)
{
    if (sta_behind_heap_reserve(&queue->heap, queue->numbers.entries + 1) < 0)
        return STRATA_ERR_NOMEM;
    struct sta_behind_entry *entry = calloc(1, sizeof *entry + key->bytes.len);
    if (entry == NULL)
        return STRATA_ERR_NOMEM;
    memcpy(entry->key, key->bytes.data, key->bytes.len);
    entry->key_len = (uint32_t)key->bytes.len;
    entry->hash = key->hash;
    if (entry_guard(queue, entry, push) < 0 || entry_take(entry, push) < 0) {
        sta_behind_queue_free_entry(entry);
        return STRATA_ERR_NOMEM;
    }
    sta_list_init(&entry->order);
    sta_list_push_back(&queue->places, &entry->place);
    push_number(queue, entry);
    table_grow(queue);
    table_add(queue, entry);
    queue->numbers.entries++;
    queue->numbers.bytes += cost;
    push_is_due(queue, entry, now_ns); /* with itself counted */
    sta_behind_heap_push(&queue->heap, entry);
    *out = entry;
    return STRATA_OK;
}

/* Waits for nothing but its interval: not after a failure, nor to be sure. */
static bool entry_is_hasty(const struct sta_behind_entry *entry)
{
    return entry->state == STA_BEHIND_WAITING && entry->failures == 0 && entry->refusals == 0 &&
           !entry->unsure;
}

static int push_over(struct sta_behind_queue *queue, struct sta_behind_entry *entry,
                     const struct sta_behind_push *push, uint64_t now_ns)
{
    uint64_t before = entry->value_cap;
    bool hasty = entry_is_hasty(entry);
    bool unsent = entry->state != STA_BEHIND_FLYING || sta_behind_entry_is_superseded(entry) ||
                  (entry->guard != NULL && entry->guard->looking);
    if (push->is_delete && unsent && STA_MUTANT(BEHIND_DELETE))
        return STRATA_OK;
    sta_behind_guard_keep(entry);
    if (entry_take(entry, push) < 0)
        return STRATA_ERR_NOMEM;
    push_number(queue, entry);
    queue->numbers.bytes += entry->value_cap - before;
    queue->numbers.coalesced += unsent;
    entry->refusals = 0;
    if (entry->state == STA_BEHIND_PARKED) {
        entry->state = STA_BEHIND_WAITING;
        queue->numbers.parked--;
        push_is_due(queue, entry, now_ns);
        sta_behind_heap_move(&queue->heap, entry);
    } else if (hasty && entry->due_ns > now_ns && sta_behind_queue_is_pressed(queue)) {
        entry->due_ns = now_ns;
        sta_behind_heap_move(&queue->heap, entry);
    }
    return STRATA_OK;
}

/* What the key's entry will count with this push in it. */
static uint64_t push_cost(const struct sta_behind_queue *queue,
                          const struct sta_behind_entry *entry, const struct sta_key *key,
                          const struct sta_behind_push *push)
{
    size_t len = push->is_delete ? 0 : push->value.len;
    if (entry != NULL && entry_fits(entry, len))
        len = entry->value_cap;
    return sta_behind_queue_cost(queue, key->bytes.len, len);
}

int sta_behind_queue_has_room(const struct sta_behind_queue *queue, const struct sta_key *key,
                              const struct sta_behind_push *push)
{
    const struct sta_behind_entry *entry = sta_behind_queue_find(queue, key);
    uint64_t cost = push_cost(queue, entry, key, push);
    uint64_t before =
        entry != NULL ? sta_behind_queue_cost(queue, entry->key_len, entry->value_cap) : 0;
    if (entry != NULL && cost <= before)
        return STRATA_OK; /* though there may be more than the bounds, after restore() */
    if (cost > queue->config.max_bytes)
        return STRATA_ERR_TOO_BIG;
    bool full = entry == NULL && queue->numbers.entries >= queue->config.max_entries;
    bool large = queue->numbers.bytes - before + cost > queue->config.max_bytes;
    return full || large ? STRATA_ERR_BUSY : STRATA_OK;
}

static int queue_take(struct sta_behind_queue *queue, const struct sta_key *key,
                      const struct sta_behind_push *push, uint64_t now_ns,
                      struct sta_behind_entry **out)
{
    struct sta_behind_entry *entry = sta_behind_queue_find(queue, key);
    int status = entry == NULL
                     ? push_new(queue, key, push, push_cost(queue, NULL, key, push), now_ns, &entry)
                     : push_over(queue, entry, push, now_ns);
    if (status == STRATA_OK && out != NULL)
        *out = entry;
    return status;
}

int sta_behind_queue_push(struct sta_behind_queue *queue, const struct sta_key *key,
                          const struct sta_behind_push *push, uint64_t now_ns,
                          struct sta_behind_entry **out)
{
    int status = sta_behind_queue_has_room(queue, key, push);
    return status < 0 ? status : queue_take(queue, key, push, now_ns, out);
}

static bool queue_is_over(const struct sta_behind_queue *queue)
{
    return queue->numbers.entries > queue->config.max_entries ||
           queue->numbers.bytes > queue->config.max_bytes;
}

int sta_behind_queue_restore(struct sta_behind_queue *queue, const struct sta_key *key,
                             const struct sta_behind_push *push, uint64_t now_ns)
{
    struct sta_behind_entry *entry;
    int status = queue_take(queue, key, push, now_ns, &entry);
    if (status == STRATA_OK)
        entry->unsure = !STA_MUTANT(BEHIND_RESTORED);
    queue->over = queue_is_over(queue);
    return status;
}

void sta_behind_queue_adjust(struct sta_behind_queue *queue,
                             const struct sta_behind_queue_config *config, uint64_t now_ns)
{
    queue->config.max_entries = config->max_entries;
    queue->config.max_bytes = config->max_bytes;
    queue->config.interval_ns = config->interval_ns;
    queue->over = queue_is_over(queue);
    sta_rate_change(&queue->rate, config->rate, now_ns);
}

/* ---- sending ---- */

static bool queue_probes(const struct sta_behind_queue *queue)
{
    return queue->failures > 0;
}

uint64_t sta_behind_queue_due_ns(const struct sta_behind_queue *queue)
{
    if (queue->heap.count == 0 ||
        (queue_probes(queue) && queue->numbers.flying >= STA_BEHIND_PROBES))
        return STA_NEVER;
    uint64_t due_ns = queue->heap.entries[0]->due_ns;
    if (due_ns < queue->quiet_ns)
        due_ns = queue->quiet_ns;
    if (!queue->hurry && !sta_behind_entry_looks(queue->heap.entries[0]) &&
        due_ns < sta_rate_due_ns(&queue->rate))
        due_ns = sta_rate_due_ns(&queue->rate);
    return due_ns;
}

struct sta_behind_entry *sta_behind_queue_next(struct sta_behind_queue *queue, uint64_t now_ns)
{
    if (sta_behind_queue_due_ns(queue) > now_ns)
        return NULL;
    struct sta_behind_entry *entry = sta_behind_heap_pop(&queue->heap);
    queue->numbers.parked -= entry->state == STA_BEHIND_PARKED;
    queue->numbers.flying++;
    entry->state = STA_BEHIND_FLYING;
    entry->sent_version = entry->version;
    entry->sent_ns = now_ns;
    if (entry->guard != NULL) {
        entry->guard->looking = sta_behind_entry_looks(entry);
        entry->guard->kept = false;
        entry->guard->sent_gone = sta_behind_entry_is_gone(entry, now_ns);
    }
    if (entry->guard == NULL || !entry->guard->looking)
        sta_rate_spend(&queue->rate, 1, now_ns);
    return entry;
}

/* ---- answers ---- */

/* From half to the whole of a time that doubles with every failure: apart, and never at once. */
static uint64_t queue_delay(struct sta_behind_queue *queue, unsigned failures)
{
    uint64_t delay_ns = queue->config.backoff_min_ns;
    uint64_t most_ns = queue->config.backoff_max_ns;
    if (queue->hurry && most_ns > HURRY_BACKOFF_NS)
        most_ns = HURRY_BACKOFF_NS;
    for (unsigned i = 1; i < failures && delay_ns < most_ns; i++)
        delay_ns *= 2;
    if (delay_ns > most_ns)
        delay_ns = most_ns;
    return delay_ns / 2 + sta_random_below(&queue->random, delay_ns / 2 + 1);
}

void sta_behind_queue_wait(struct sta_behind_queue *queue, struct sta_behind_entry *entry,
                           uint64_t due_ns)
{
    entry->state = STA_BEHIND_WAITING;
    entry->due_ns = due_ns;
    sta_behind_heap_push(&queue->heap, entry);
}

/* Not more often than once in an interval. */
static uint64_t entry_again_ns(const struct sta_behind_queue *queue,
                               const struct sta_behind_entry *entry, uint64_t now_ns)
{
    uint64_t due_ns = sta_clock_after(entry->sent_ns, queue->config.interval_ns);
    return queue->hurry || queue->wanted || due_ns < now_ns ? now_ns : due_ns;
}

/* An unsure entry that was acknowledged: is that enough? */
bool sta_behind_queue_settles(struct sta_behind_queue *queue, struct sta_behind_entry *entry,
                              uint64_t now_ns)
{
    if (!entry->unsure)
        return true;
    if (entry->settled_ns == 0)
        entry->settled_ns = sta_clock_after(now_ns, queue->config.settle_ns);
    entry->unsure = entry->sent_ns < entry->settled_ns;
    return !entry->unsure;
}

void sta_behind_queue_forget(struct sta_behind_queue *queue, struct sta_behind_entry *entry)
{
    table_remove(queue, entry);
    sta_list_remove(&entry->order);
    sta_list_remove(&entry->place);
    queue->numbers.entries--;
    queue->numbers.bytes -= sta_behind_queue_cost(queue, entry->key_len, entry->value_cap);
    queue->over = queue->over && queue_is_over(queue);
}

static bool settle_written(struct sta_behind_queue *queue, struct sta_behind_entry *entry,
                           uint64_t now_ns)
{
    queue->failures = 0;
    queue->quiet_ns = 0;
    entry->failures = 0;
    entry->refusals = 0;
    bool settled = sta_behind_queue_settles(queue, entry, now_ns);
    if (STA_MUTANT(BEHIND_PUSHED))
        entry->version = entry->sent_version;
    if (!settled || sta_behind_entry_is_superseded(entry))
        sta_behind_guard_written(entry);
    if (settled && !sta_behind_entry_is_superseded(entry)) {
        sta_behind_queue_forget(queue, entry);
        queue->numbers.written++;
        return true;
    }
    if (sta_behind_entry_is_superseded(entry)) {
        queue->numbers.written++;
        sta_behind_queue_wait(queue, entry, entry_again_ns(queue, entry, now_ns));
    } else {
        sta_behind_queue_wait(queue, entry, entry->settled_ns);
    }
    return false;
}

static void settle_refused(struct sta_behind_queue *queue, struct sta_behind_entry *entry,
                           uint64_t now_ns)
{
    queue->failures = 0;
    queue->quiet_ns = 0;
    queue->numbers.refused++;
    if (sta_behind_entry_is_superseded(entry)) {
        sta_behind_queue_wait(queue, entry, entry_again_ns(queue, entry, now_ns));
        return;
    }
    if (++entry->refusals < STA_BEHIND_REFUSALS) {
        sta_behind_queue_wait(queue, entry,
                              sta_clock_after(now_ns, queue_delay(queue, entry->refusals)));
        return;
    }
    entry->refusals = STA_BEHIND_REFUSALS - 1; /* one more is enough to park it again */
    sta_behind_queue_wait(queue, entry, sta_clock_after(now_ns, queue->config.park_ns));
    entry->state = STA_BEHIND_PARKED;
    queue->numbers.parked++;
}

static void settle_failed(struct sta_behind_queue *queue, struct sta_behind_entry *entry,
                          bool unknown, uint64_t now_ns)
{
    if (unknown && !STA_MUTANT(BEHIND_UNSURE)) {
        entry->unsure = true;
        entry->settled_ns = 0;
        sta_behind_guard_lost(entry);
    }
    queue->numbers.retried++;
    queue->failures += queue->failures < UINT32_MAX;
    entry->failures += entry->failures < UINT32_MAX;
    /* The whole of a batch fails at once: counted once, not by its members. */
    if (queue->quiet_ns <= now_ns)
        queue->quiet_ns =
            sta_clock_after(now_ns, queue_delay(queue, queue->failures / STA_BEHIND_PROBES + 1));
    sta_behind_queue_wait(queue, entry,
                          sta_clock_after(now_ns, queue_delay(queue, entry->failures)));
}

static bool is_look(const struct sta_behind_entry *entry)
{
    return entry->guard != NULL && entry->guard->looking;
}

bool sta_behind_queue_settle(struct sta_behind_queue *queue, struct sta_behind_entry *entry,
                             enum sta_behind_outcome outcome, uint64_t now_ns)
{
    assert(entry->state == STA_BEHIND_FLYING);
    queue->numbers.flying--;
    if (outcome == STA_BEHIND_UNKNOWN && !is_look(entry) && STA_MUTANT(BEHIND_RETRY))
        outcome = STA_BEHIND_WRITTEN;
    switch (outcome) {
    case STA_BEHIND_WRITTEN:
        return settle_written(queue, entry, now_ns);
    case STA_BEHIND_REFUSED:
        settle_refused(queue, entry, now_ns);
        break;
    case STA_BEHIND_HELD:
        sta_behind_queue_wait(queue, entry, sta_clock_after(now_ns, HELD_NS));
        break;
    case STA_BEHIND_NOT_SENT:
    case STA_BEHIND_UNKNOWN:
        settle_failed(queue, entry, outcome == STA_BEHIND_UNKNOWN && !is_look(entry), now_ns);
        break;
    }
    return false;
}

void sta_behind_queue_drop(struct sta_behind_queue *queue, struct sta_behind_entry *entry)
{
    assert(entry->state == STA_BEHIND_WAITING);
    sta_behind_heap_remove(&queue->heap, entry);
    sta_behind_queue_forget(queue, entry);
    sta_behind_queue_free_entry(entry);
}

void sta_behind_queue_free_entry(struct sta_behind_entry *entry)
{
    free(entry->value);
    free(entry->guard);
    free(entry);
}

void sta_behind_queue_hurry(struct sta_behind_queue *queue, bool on, uint64_t now_ns)
{
    queue->hurry = on;
    if (!on)
        return;
    for (size_t i = 0; i < queue->heap.count; i++) {
        struct sta_behind_entry *entry = queue->heap.entries[i];
        /* What repeats a write to be sure does so after its time, or it would prove nothing. */
        uint64_t least_ns = entry->unsure && entry->settled_ns > now_ns ? entry->settled_ns : 0;
        if (entry->due_ns > now_ns)
            entry->due_ns = least_ns > now_ns ? least_ns : now_ns;
    }
    sta_behind_heap_sort(&queue->heap);
    if (queue->quiet_ns > now_ns)
        queue->quiet_ns = now_ns;
}

void sta_behind_queue_want(struct sta_behind_queue *queue, bool on, uint64_t now_ns)
{
    bool before = queue->wanted;
    queue->wanted = on;
    if (!on || before)
        return;
    for (size_t i = 0; i < queue->heap.count; i++) {
        struct sta_behind_entry *entry = queue->heap.entries[i];
        if (entry_is_hasty(entry) && entry->due_ns > now_ns)
            entry->due_ns = now_ns;
    }
    sta_behind_heap_sort(&queue->heap);
}

/* ---- order ---- */

uint64_t sta_behind_queue_oldest(const struct sta_behind_queue *queue)
{
    if (sta_list_empty(&queue->order))
        return STA_NEVER;
    return STA_CONTAINER(queue->order.next, struct sta_behind_entry, order)->version;
}

uint64_t sta_behind_queue_newest(const struct sta_behind_queue *queue)
{
    return queue->version;
}

void sta_behind_queue_place(struct sta_behind_queue *queue, struct sta_behind_entry *entry,
                            uint64_t mark)
{
    entry->mark = mark;
    sta_list_remove(&entry->place);
    sta_list_push_back(&queue->places, &entry->place);
}

struct sta_behind_entry *sta_behind_queue_first_placed(const struct sta_behind_queue *queue)
{
    if (sta_list_empty(&queue->places))
        return NULL;
    return STA_CONTAINER(queue->places.next, struct sta_behind_entry, place);
}

void sta_behind_queue_statistics(const struct sta_behind_queue *queue,
                                 struct sta_behind_queue_statistics *out)
{
    *out = queue->numbers;
}

/* ---- life ---- */

int sta_behind_queue_create(struct sta_behind_queue **out,
                            const struct sta_behind_queue_config *config)
{
    struct sta_behind_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        return STRATA_ERR_NOMEM;
    queue->config = *config;
    queue->rate.per_second = config->rate;
    queue->random = config->seed;
    sta_list_init(&queue->order);
    sta_list_init(&queue->places);
    queue->bucket_count = BUCKETS_FIRST;
    queue->buckets = calloc(queue->bucket_count, sizeof(struct sta_behind_entry *));
    if (queue->buckets == NULL) {
        sta_behind_queue_destroy(&queue);
        return STRATA_ERR_NOMEM;
    }
    *out = queue;
    return STRATA_OK;
}

void sta_behind_queue_destroy(struct sta_behind_queue **queue_ptr)
{
    struct sta_behind_queue *queue = *queue_ptr;
    struct sta_list *node;
    if (queue == NULL)
        return;
    while ((node = sta_list_pop_front(&queue->order)) != NULL)
        sta_behind_queue_free_entry(STA_CONTAINER(node, struct sta_behind_entry, order));
    free(queue->buckets);
    sta_behind_heap_fini(&queue->heap);
    free(queue);
    *queue_ptr = NULL;
}
