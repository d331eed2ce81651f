/* SPDX-License-Identifier: MIT
 *
 * The way of a write through the tiers, by the rule in l1/l1.h: a key is doubtful from before
 * its command is sent until the outcome is known.
 *
 *   sta_write_begin          caller's thread
 *     write_doubt_all        every key leaves L1, its token is kept, and its SET or UNLINK
 *                            joins the request
 *   sta_write_send           caller's thread: one batch for all
 *   write_answered           loop's thread, for each key
 *     write_settle           acknowledged: the value goes into L1, unless another write came
 *                            between; failed or unknown: the key stays out of L1
 *   write_ended, write->done
 *
 * With write-through off, L2's copy is deleted and L1 alone takes the value. Without L2 the
 * write is done on the spot. With write-behind (cache/behind.h) only what its queue has no room for
 * and shall not wait comes this way.
 */
#include "cache/cache.h"

#include <stdlib.h>

#include "cache/behind.h"
#include "cache/coherence.h"
#include "cache/envelope.h"
#include "cache/load.h"
#include "cache/tiers.h"
#include "core/clock.h"
#include "core/mutant.h"
#include "strata/status.h"

/* A key between the moment it became doubtful and its outcome. */
struct sta_write_doubt {
    struct sta_key key;
    struct sta_l1_token token;
    bool removed;  /* L1 had it */
    uint64_t held; /* its queued invalidation waits for the outcome; 0: there is none */
};

/* The default of when it began: L1 and Redis keep the value by the same one. */
static uint64_t write_ttl_ms(const struct sta_write *write, const struct strata_item *item)
{
    return item->ttl_ms != 0 ? item->ttl_ms : write->l2_ttl_ms;
}

static struct sta_l1_entry write_entry(const struct sta_write *write, size_t index,
                                       uint64_t since_ms)
{
    const struct sta_cache *cache = write->cache;
    const struct strata_item *item = &write->items[index];
    uint64_t ttl_ms = sta_live(&cache->live.l1_ttl_ms);
    /* L1 never outlives L2; alone, it has a TTL only from its own configuration or the call. */
    if (cache->l2 != NULL || item->ttl_ms != 0)
        ttl_ms = write_ttl_ms(write, item) < ttl_ms ? write_ttl_ms(write, item) : ttl_ms;
    return (struct sta_l1_entry){
        .value = item->value,
        .deadline_ms = sta_clock_after(since_ms, ttl_ms),
        .flags = STA_MUTANT(TAG_FLAG) ? 0 : write->flags,
    };
}

static int write_check(const struct sta_write *write, size_t index)
{
    const struct strata_item *item = &write->items[index];
    int status = sta_cache_check_key(item->key);
    /* What has flags has a head, and its value was looked at. */
    if (status == STRATA_OK && write->kind == STA_WRITE_SET && write->flags == 0)
        status = sta_cache_check_value(item->value);
    return status;
}

static void write_count(const struct sta_write *write)
{
    struct sta_cache *cache = write->cache;
    bool set = write->kind == STA_WRITE_SET;
    if (cache->l1 != NULL)
        sta_tiers_count(set ? &cache->l1_counters.sets : &cache->l1_counters.deletes);
    if (cache->l2 != NULL)
        sta_tiers_count(set ? &cache->l2_counters.sets : &cache->l2_counters.deletes);
}

static enum sta_timing_operation write_timed_as(const struct sta_write *write)
{
    return write->kind == STA_WRITE_SET ? STA_TIMING_SET : STA_TIMING_DELETE;
}

/* ---- L1 alone ---- */

static int write_l1_only(struct sta_write *write, size_t index, uint64_t now_ms)
{
    struct sta_cache *cache = write->cache;
    int status = write_check(write, index);
    if (status < 0)
        return status;
    if (cache->l1 == NULL)
        return STRATA_ERR_DISABLED;
    write_count(write);
    struct sta_key key = sta_l1_key(cache->l1, write->items[index].key);
    if (write->kind == STA_WRITE_DELETE) {
        bool removed;
        (void)sta_l1_invalidate(cache->l1, &key, now_ms, &removed);
        return removed ? STRATA_OK : STRATA_MISS;
    }
    struct sta_l1_entry entry = write_entry(write, index, now_ms);
    status = sta_l1_set(cache->l1, &key, &entry, now_ms);
    sta_barriers_exempt(&cache->barriers, key.bytes, now_ms * STA_NS_MS);
    if (status < 0)
        sta_tiers_count(&cache->l1_counters.errors);
    return status;
}

/* ---- both tiers ---- */

/* Whether values live in Redis, too: with write-behind those that come here find no room in its
 * queue. */
static bool write_is_through(const struct sta_cache *cache)
{
    return cache->config.write_through || cache->behind != NULL;
}

/* Of a plain value that begins as an envelope does, in one. */
static int write_wrapped(struct sta_batch *batch, uint32_t tag, struct strata_bytes key,
                         struct strata_bytes value, uint64_t ttl_ms)
{
    struct sta_buffer stored;
    sta_buffer_init(&stored, STA_BATCH_WIRE_MAX);
    int status = sta_envelope_write(&stored, &(struct sta_envelope){.value = value});
    if (status == STRATA_OK)
        status = sta_batch_set(batch, tag, key, sta_buffer_bytes(&stored), ttl_ms);
    sta_buffer_fini(&stored);
    return status;
}

static int write_append(struct sta_write *write, size_t index)
{
    const struct strata_item *item = &write->items[index];
    uint32_t tag = (uint32_t)index;
    if (write->kind == STA_WRITE_DELETE || !write_is_through(write->cache))
        return sta_batch_delete(&write->batch, tag, item->key);
    if (write->flags == 0 && sta_envelope_begins(item->value))
        return write_wrapped(&write->batch, tag, item->key, item->value, write_ttl_ms(write, item));
    /* What L1 had, Redis tracks: the push that our own write causes would refuse the value. */
    if (!write->doubts[index].removed && sta_coherence_reads_back(write->cache, item->value))
        return sta_batch_set_read(&write->batch, tag, item->key, item->value,
                                  write_ttl_ms(write, item));
    return sta_batch_set(&write->batch, tag, item->key, item->value, write_ttl_ms(write, item));
}

/* From here on nobody knows which value is the current one. */
static int write_doubt(struct sta_write *write, size_t index, uint64_t now_ms)
{
    struct sta_cache *cache = write->cache;
    struct sta_write_doubt *doubt = &write->doubts[index];
    int status = write_check(write, index);
    if (status < 0)
        return status;
    write_count(write);
    if (cache->l1 != NULL) {
        doubt->key = sta_l1_key(cache->l1, write->items[index].key);
        if (STA_MUTANT(WRITE_BEGIN))
            doubt->token = sta_l1_token(cache->l1, &doubt->key);
        else
            doubt->token = sta_l1_invalidate(cache->l1, &doubt->key, now_ms, &doubt->removed);
    } else {
        sta_load_overtake(cache, write->items[index].key);
    }
    doubt->held = sta_invalidate_hold(&cache->invalidate, write->items[index].key);
    status = write_append(write, index);
    if (status < 0 && doubt->held != 0)
        sta_invalidate_settle(&cache->invalidate, write->items[index].key, doubt->held, false);
    return status;
}

/* Returns how many commands wait to be sent. */
static size_t write_doubt_all(struct sta_write *write, uint64_t now_ms)
{
    size_t sent = 0;
    for (size_t i = 0; i < write->count; i++) {
        if (write->cache->behind != NULL && write->statuses[i] != STRATA_MORE)
            continue; /* write-behind has taken it */
        write->statuses[i] = write_doubt(write, i, now_ms);
        sent += write->statuses[i] == STRATA_OK;
    }
    return sent;
}

static int write_read_reply(const struct sta_write *write, const struct sta_write_doubt *doubt,
                            struct strata_bytes replies)
{
    bool through = write_is_through(write->cache);
    if (write->kind == STA_WRITE_SET && through)
        return sta_batch_read_set(replies);
    int status = sta_batch_read_delete(replies);
    /* Where values live in L1 alone, it is no miss that Redis had none. */
    bool fine = !through && (write->kind == STA_WRITE_SET || doubt->removed);
    return status == STRATA_MISS && fine ? STRATA_OK : status;
}

/* Whether Redis has what was written, and for how long, as of what was read back. */
static bool write_is_there(const struct sta_write *write, size_t index, struct strata_bytes replies,
                           uint64_t *left_ms)
{
    struct strata_bytes value = write->items[index].value;
    uint64_t ttl_ms = UINT64_MAX;
    if (!sta_coherence_reads_back(write->cache, value) ||
        (!sta_batch_read_set_kept(replies, value, &ttl_ms) && !STA_MUTANT(READ_BACK)))
        return false;
    if (!STA_MUTANT(READ_BACK) && !STA_MUTANT(READ_BACK_TTL))
        *left_ms = ttl_ms;
    return true;
}

/* Whether the value may go into L1, and for how long since the write began: where Redis tracks it
 * now, or values live in L1 alone. */
static bool write_may_keep(struct sta_write *write, size_t index, struct strata_bytes replies,
                           uint64_t *left_ms, uint64_t now_ms)
{
    struct sta_write_doubt *doubt = &write->doubts[index];
    *left_ms = UINT64_MAX;
    if (write->kind != STA_WRITE_SET || write->statuses[index] != STRATA_OK)
        return false;
    /* What was owed before the token was taken is newer; what came since has moved its
     * generation. */
    if (write->cache->behind != NULL && write->cache->l1 != NULL &&
        sta_behind_owes(write->cache->behind, &doubt->key))
        return false;
    if (!write_is_through(write->cache) || write->batch.source == 0)
        return true;
    return write_is_there(write, index, replies, left_ms) &&
           sta_coherence_admit(write->cache, &doubt->key, write->batch.source, &doubt->token,
                               now_ms);
}

static void write_settle(struct sta_write *write, size_t index, struct strata_bytes replies,
                         uint64_t now_ms)
{
    struct sta_cache *cache = write->cache;
    struct sta_write_doubt *doubt = &write->doubts[index];
    if (cache->l1 == NULL)
        return;
    uint64_t left_ms, begun_ms = write->begun_ns / STA_NS_MS;
    if (!write_may_keep(write, index, replies, &left_ms, now_ms)) {
        if (!STA_MUTANT(WRITE_END))
            (void)sta_l1_invalidate(cache->l1, &doubt->key, now_ms, NULL);
        return;
    }
    struct sta_l1_entry entry = write_entry(write, index, begun_ms);
    uint64_t until_ms = sta_clock_after(begun_ms, left_ms);
    entry.deadline_ms = until_ms < entry.deadline_ms ? until_ms : entry.deadline_ms;
    int status = sta_l1_publish(cache->l1, &doubt->key, &entry, doubt->token, now_ms);
    if (status < 0)
        sta_tiers_count(&cache->l1_counters.errors);
    if (!write_is_through(cache))
        write->statuses[index] = status; /* nobody else holds the value */
}

static void write_fini(struct sta_write *write)
{
    free(write->doubts);
    write->doubts = NULL;
    sta_batch_fini(&write->batch);
}

static void write_answered(struct sta_batch *batch, uint32_t tag, int status,
                           struct strata_bytes replies)
{
    struct sta_write *write = STA_CONTAINER(batch, struct sta_write, batch);
    uint64_t now_ns = sta_loop_now_ns(write->cache->loop), now_ms = now_ns / STA_NS_MS;
    sta_timing_record(write->cache->timing, write_timed_as(write), STA_TIMING_L2, write->begun_ns,
                      now_ns);
    if (status == STRATA_OK)
        status = write_read_reply(write, &write->doubts[tag], replies);
    if (status < 0)
        sta_tiers_count(&write->cache->l2_counters.errors);
    write->statuses[tag] = status;
    if (write->kind == STA_WRITE_SET && status == STRATA_OK)
        sta_barriers_exempt(&write->cache->barriers, write->items[tag].key, now_ns);
    write_settle(write, tag, replies, now_ms);
    uint64_t held = write->doubts[tag].held;
    if (held != 0)
        sta_invalidate_settle(&write->cache->invalidate, write->items[tag].key, held, status >= 0);
}

static void write_over(struct sta_barriers_waiter *known)
{
    struct sta_write *write = STA_CONTAINER(known, struct sta_write, known);
    write_fini(write);
    if (write->cache->behind != NULL)
        sta_behind_finish(write->cache->behind, write);
    else
        write->done(write);
}

/* What L1 keeps of it is not answered before it is known what barriers there are. */
static void write_ended(struct sta_batch *batch)
{
    struct sta_write *write = STA_CONTAINER(batch, struct sta_write, batch);
    bool keeps = write->kind == STA_WRITE_SET && write->cache->l1 != NULL;
    write->known.known = write_over;
    write->known.deadline_ns =
        sta_clock_after(write->begun_ns, sta_live(&write->cache->live.budget_ns));
    if (!keeps || !sta_barriers_defer(&write->cache->barriers, &write->known))
        write_over(&write->known);
}

/* Nothing goes to Redis after all. What write-behind has taken may wait for the disk. */
static int write_begun_unsent(struct sta_write *write)
{
    write_fini(write);
    if (write->cache->behind == NULL || sta_behind_is_safe(write->cache->behind, write))
        return STRATA_OK;
    write->behind.through = 0;
    return STRATA_MORE;
}

int sta_write_begin(struct sta_write *write, uint64_t now_ns)
{
    uint64_t now_ms = now_ns / STA_NS_MS;
    write->begun_ns = now_ns;
    write->l2_ttl_ms = sta_live(&write->cache->live.l2_ttl_ms);
    write->doubts = NULL;
    if (write->cache->l2 == NULL) {
        for (size_t i = 0; i < write->count; i++)
            write->statuses[i] = write_l1_only(write, i, now_ms);
        if (write->count == 1 && sta_timing_samples(now_ns))
            sta_timing_sample(write->cache->timing, write_timed_as(write), now_ns);
        return STRATA_OK;
    }
    if (write->cache->behind != NULL) {
        int status = sta_behind_begin(write->cache->behind, write, now_ns);
        if (status == STRATA_OK || write->behind.through == 0)
            return status;
    }
    sta_batch_init(&write->batch, write->cache->l2, write->cache->prefix, write_answered,
                   write_ended);
    write->doubts = calloc(write->count, sizeof *write->doubts);
    if (write->doubts == NULL) {
        for (size_t i = 0; i < write->count; i++) {
            if (write->cache->behind == NULL || write->statuses[i] == STRATA_MORE)
                write->statuses[i] = STRATA_ERR_NOMEM;
        }
        return write_begun_unsent(write);
    }
    if (write_doubt_all(write, now_ms) > 0)
        return STRATA_MORE;
    return write_begun_unsent(write);
}

void sta_write_send(struct sta_write *write)
{
    struct sta_cache *cache = write->cache;
    if (cache->behind != NULL && write->behind.through == 0)
        sta_behind_send(cache->behind, write);
    else
        sta_batch_submit(&write->batch,
                         sta_clock_after(write->begun_ns, sta_live(&cache->live.budget_ns)));
}
