/* SPDX-License-Identifier: MIT
 *
 * See fill.h.
 */
#include "cache/fill.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cache/aged.h"
#include "cache/behind.h"
#include "cache/coherence.h"
#include "cache/value.h"
#include "core/clock.h"
#include "net/waiter.h"
#include "strata/status.h"

/* Longer than anybody waits, and short enough for a TTL and it to be one that Redis can add to its
 * clock: the end of a value's time is told by that of its key. */
#define STALE_MOST_MS (UINT64_C(100) * 365 * 24 * 3600 * 1000)

static bool is_current(const struct sta_fill *fill)
{
    struct sta_cache *cache = fill->cache;
    uint64_t generation = 0;
    if (sta_invalidate_hides(&cache->invalidate, fill->key.bytes))
        return false;
    if (cache->l1 != NULL)
        generation = sta_l1_token(cache->l1, &fill->key).generation;
    return sta_flight_is_current(&cache->flights, fill->flight, generation);
}

static void keep_stored(struct sta_fill *fill, struct strata_bytes stored, uint64_t ttl_ms,
                        uint64_t now_ms)
{
    struct sta_aged_entry entry = {
        .key = &fill->key,
        .stored = stored,
        .ttl_ms = ttl_ms,
        .since_ms = fill->begun_ns / STA_NS_MS,
        .aged = fill->aged,
        .token = fill->token,
    };
    (void)sta_aged_fill(fill->cache, &entry, now_ms);
}

static void keep_none(struct sta_fill *fill, uint64_t now_ms)
{
    struct sta_cache *cache = fill->cache;
    uint64_t l1_ttl_ms = sta_live(&cache->live.l1_ttl_ms);
    uint64_t bound = l1_ttl_ms < fill->ttl_ms ? l1_ttl_ms : fill->ttl_ms;
    struct sta_l1_entry entry = {
        .value = strata_bytes("", 0),
        .deadline_ms = sta_clock_after(fill->begun_ns / STA_NS_MS, bound),
        .flags = STA_TIERS_ABSENT | STA_TIERS_NONE,
    };
    if (sta_l1_fill(cache->l1, &fill->key, &entry, fill->token, now_ms) < 0)
        sta_tiers_count(&cache->l1_counters.errors);
}

/* `value` as it is stored. Most values are stored as they are. */
static int fill_wrap(struct sta_fill *fill)
{
    struct sta_envelope envelope = {
        .stale_ms = fill->stale_ms, .load_us = fill->load_us, .value = fill->value};
    fill->stored = fill->value;
    if (fill->stale_ms == 0 && fill->load_us == 0 && !sta_envelope_begins(fill->value))
        return STRATA_OK;
    int status = sta_envelope_write(&fill->envelope, &envelope);
    fill->stored = sta_buffer_bytes(&fill->envelope);
    return status;
}

/* ---- L1 alone ---- */

static int fill_l1_only(struct sta_fill *fill)
{
    struct sta_cache *cache = fill->cache;
    uint64_t now_ms = fill->begun_ns / STA_NS_MS;
    if (cache->l1 == NULL)
        return STRATA_ERR_DISABLED;
    if (!is_current(fill))
        return STRATA_SKIPPED;
    uint64_t ttl_ms = fill->ttl_ms;
    if (ttl_ms == 0)
        ttl_ms = sta_live(&cache->live.l1_ttl_ms);
    if (fill->none)
        keep_none(fill, now_ms);
    else
        keep_stored(fill, fill->stored, sta_clock_after(ttl_ms, fill->stale_ms), now_ms);
    sta_barriers_exempt(&cache->barriers, fill->key.bytes, fill->begun_ns);
    return STRATA_OK;
}

/* ---- both tiers, on the loop ---- */

/* Fills that are sent and waited for together. */
struct sta_fill_together {
    struct sta_fill *const *fills; /* those with a status of STRATA_MORE are sent */
    size_t count;
    size_t pending;
    struct sta_task task;
    struct sta_waiter waiter;
};

static void together_settle(struct sta_fill_together *together)
{
    if (--together->pending == 0)
        sta_waiter_signal(&together->waiter);
}

static void fill_settle(struct sta_fill *fill)
{
    together_settle(fill->together);
}

static void on_ended_add(struct sta_batch *batch)
{
    fill_settle(STA_CONTAINER(batch, struct sta_fill, add));
}

static void on_ended_get(struct sta_batch *batch)
{
    fill_settle(STA_CONTAINER(batch, struct sta_fill, get));
}

/* The value was stored, or another was there (STRATA_SKIPPED), or Redis failed. */
static void fill_stored(struct sta_fill *fill, int status)
{
    struct sta_cache *cache = fill->cache;
    if (status < 0) {
        sta_tiers_count(&cache->l2_counters.errors);
        fill->status = status;
        return;
    }
    if (status == STRATA_OK)
        sta_barriers_exempt(&cache->barriers, fill->key.bytes, sta_loop_now_ns(cache->loop));
    /* What L1 has is older than what Redis has now, and nothing will replace it. */
    if (cache->l1 != NULL && fill->get.count == 0)
        (void)sta_l1_invalidate(cache->l1, &fill->key, sta_loop_now_ns(cache->loop) / STA_NS_MS,
                                NULL);
    /* Whatever Redis has pushed because of our SET has been dealt with. */
    if (cache->l1 != NULL)
        fill->token = sta_l1_token(cache->l1, &fill->key);
    /* A token of after an invalidation does not say so. */
    fill->settled = !sta_invalidate_hides(&cache->invalidate, fill->key.bytes);
}

static void on_added(struct sta_batch *batch, uint32_t tag, int status, struct strata_bytes replies)
{
    (void)tag;
    if (status == STRATA_OK)
        status = sta_batch_read_add(replies);
    fill_stored(STA_CONTAINER(batch, struct sta_fill, add), status);
}

/* The script's reply, then that of EXISTS. */
static void on_scripted(struct sta_command *command, int status, struct strata_bytes replies)
{
    struct sta_fill *fill = STA_CONTAINER(command, struct sta_fill, store);
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct sta_resp_value value;
    bool ran = status == STRATA_OK && sta_resp_next(&walk, &value) == STRATA_OK &&
               value.type == STA_RESP_INTEGER;
    if (ran && fill->lease != NULL)
        fill->lease->held = false; /* it dropped it, or it was not ours any more */
    if (status == STRATA_OK && !ran)
        status = STRATA_ERR_SERVER;
    else if (status == STRATA_OK && value.integer != 1)
        status = STRATA_SKIPPED;
    fill_stored(fill, status);
    fill_settle(fill);
}

/* Redis has this now. */
static void fill_got(struct sta_fill *fill, struct strata_bytes stored, uint64_t ttl_ms,
                     uint64_t now_ms)
{
    struct sta_envelope envelope;
    bool ours = !fill->none && stored.len == fill->stored.len &&
                (stored.len == 0 || memcmp(stored.data, fill->stored.data, stored.len) == 0);
    /* What is ours is newer than its SET; what others wrote is as old as our question. */
    uint64_t asked_ns = ours ? sta_loop_now_ns(fill->cache->loop) : fill->begun_ns;
    bool hidden = sta_barriers_hides(&fill->cache->barriers, fill->key.bytes, asked_ns);
    if (fill->settled && !hidden)
        keep_stored(fill, stored, ttl_ms, now_ms);
    if (!ours && !hidden && sta_envelope_read(stored, &envelope) == STRATA_OK &&
        envelope.tag_count == 0 && sta_envelope_fresh_ms(&envelope, ttl_ms) > 0)
        (void)sta_value_from_bytes(&fill->there, envelope.value); /* no memory: ours is as good */
}

static void on_got(struct sta_batch *batch, uint32_t tag, int status, struct strata_bytes replies)
{
    struct sta_fill *fill = STA_CONTAINER(batch, struct sta_fill, get);
    struct sta_cache *cache = fill->cache;
    uint64_t now_ms = sta_loop_now_ns(cache->loop) / STA_NS_MS;
    struct strata_bytes value;
    uint64_t ttl_ms;
    (void)tag;
    if (status == STRATA_OK)
        status = sta_batch_read_get(replies, &value, &ttl_ms);
    if (status < 0) {
        sta_tiers_count(&cache->l2_counters.errors);
        return; /* L1 stays empty */
    }
    if (cache->behind != NULL && sta_behind_owes(cache->behind, &fill->key))
        return; /* what Redis has is not the newest; what is pushed later moves the generation */
    if (!sta_coherence_admit(cache, &fill->key, batch->source, &fill->token, now_ms))
        fill->settled = false;
    if (status == STRATA_OK)
        fill_got(fill, value, ttl_ms, now_ms);
    else if (fill->none && fill->settled)
        keep_none(fill, now_ms);
}

/* Sent, or overtaken. */
static void fill_start(struct sta_fill *fill)
{
    uint64_t deadline_ns = sta_clock_after(fill->begun_ns, sta_live(&fill->cache->live.budget_ns));
    bool adds = !fill->none, gets = fill->get.count > 0;
    if (!is_current(fill)) {
        fill->status = STRATA_SKIPPED;
        return;
    }
    fill->status = STRATA_OK;
    fill->settled = !adds;
    fill->together->pending += (adds ? 1 : 0) + (gets ? 1 : 0);
    if (adds && fill->store.operation.request.commands > 0)
        sta_command_start(&fill->store, fill->whole, deadline_ns);
    else if (adds)
        sta_batch_start(&fill->add, deadline_ns);
    if (gets)
        sta_batch_start(&fill->get, deadline_ns);
}

static void together_start(struct sta_task *task)
{
    struct sta_fill_together *together = STA_CONTAINER(task, struct sta_fill_together, task);
    together->pending = 1;
    for (size_t i = 0; i < together->count; i++)
        if (together->fills[i]->status == STRATA_MORE)
            fill_start(together->fills[i]);
    together_settle(together);
}

/* Lease and old value are looked at, the value stored and the lease dropped in one step: who comes
 * late, because his lease was over, or somebody else was faster, stores nothing. EXISTS as in
 * sta_batch_add(). `old` is the last argument, where there is one. */
static int encode_script(struct sta_fill *fill, uint64_t ttl_ms)
{
    static const char script[] =
        "if KEYS[2] then if redis.call('GET',KEYS[2])~=ARGV[1] then return 0 end "
        "redis.call('DEL',KEYS[2]) end local now=redis.call('GET',KEYS[1]) "
        "if ARGV[4] then if now~=ARGV[4] then return 0 end elseif now then return 0 end "
        "if ARGV[3]=='' then redis.call('SET',KEYS[1],ARGV[2]) "
        "else redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3]) end return 1";
    const struct sta_lease *lease = fill->lease;
    struct strata_bytes words[9];
    size_t count = 0;
    char ttl[24] = "";
    if (ttl_ms <= INT64_MAX / 2)
        (void)snprintf(ttl, sizeof ttl, "%" PRIu64, ttl_ms);
    words[count++] = strata_text("EVAL");
    words[count++] = strata_text(script);
    words[count++] = strata_text(lease != NULL ? "2" : "1");
    words[count++] = fill->whole;
    if (lease != NULL)
        words[count++] = lease->name;
    words[count++] = strata_text(lease != NULL ? lease->word : "");
    words[count++] = fill->stored;
    words[count++] = strata_text(ttl);
    if (fill->replaces)
        words[count++] = fill->old;
    const struct strata_bytes exists[] = {strata_text("EXISTS"), fill->whole};
    int status = sta_command_add(&fill->store, words, count);
    return status == STRATA_OK ? sta_command_add(&fill->store, exists, 2) : status;
}

static int fill_encode(struct sta_fill *fill)
{
    struct sta_cache *cache = fill->cache;
    uint64_t ttl_ms = fill->ttl_ms != 0 ? fill->ttl_ms : sta_live(&cache->live.l2_ttl_ms);
    int status = STRATA_OK;
    ttl_ms = sta_clock_after(ttl_ms, fill->stale_ms);
    if (!fill->none) {
        if (fill->lease != NULL || fill->replaces)
            status = encode_script(fill, ttl_ms);
        else
            status = sta_batch_add(&fill->add, 0, fill->key.bytes, fill->stored, ttl_ms);
    }
    if (status == STRATA_OK && cache->l1 != NULL && sta_coherence_keeps(fill->stored))
        status = sta_batch_get(&fill->get, 0, fill->key.bytes);
    return status;
}

/* The key as Redis has it, for the script. */
static int fill_name(struct sta_fill *fill)
{
    int status = sta_buffer_append(&fill->name, fill->cache->prefix);
    if (status == STRATA_OK)
        status = sta_buffer_append(&fill->name, fill->key.bytes);
    fill->whole = sta_buffer_bytes(&fill->name);
    return status;
}

/* STRATA_MORE: to be sent. */
static int fill_prepare(struct sta_fill *fill)
{
    struct sta_cache *cache = fill->cache;
    sta_batch_init(&fill->add, cache->l2, cache->prefix, on_added, on_ended_add);
    sta_batch_init(&fill->get, cache->l2, cache->prefix, on_got, on_ended_get);
    sta_command_init(&fill->store, cache->l2, on_scripted);
    sta_buffer_init(&fill->name, SIZE_MAX);
    fill->prepared = true;
    int status = fill_name(fill);
    if (status == STRATA_OK)
        status = fill_encode(fill);
    return status == STRATA_OK ? STRATA_MORE : status;
}

static void fill_fini(struct sta_fill *fill)
{
    if (fill->prepared) {
        sta_batch_fini(&fill->add);
        sta_batch_fini(&fill->get);
        sta_command_fini(&fill->store);
        sta_buffer_fini(&fill->name);
    }
    sta_buffer_fini(&fill->envelope);
}

static bool is_still_current(void *arg)
{
    return is_current(arg);
}

/* What was loaded is written as any other value. Where there is no room, L1 does not have it
 * either: nobody would tell when it changes. What is not written is read back, so that it is
 * tracked. */
static int fill_behind(struct sta_fill *fill)
{
    struct strata_item item = {fill->key.bytes, fill->stored, fill->ttl_ms};
    if (fill->none)
        return fill->cache->config.read_through ? fill_prepare(fill) : fill_l1_only(fill);
    if (fill->stale_ms > 0)
        item.ttl_ms = sta_clock_after(sta_tiers_ttl_ms(fill->cache, &item), fill->stale_ms);
    return sta_behind_keep(fill->cache->behind, &item, is_still_current, fill, fill->begun_ns);
}

/* All that goes without the loop. STRATA_MORE: it is to be sent. */
static int fill_begin(struct sta_fill *fill, uint64_t now_ns)
{
    const struct sta_cache_config *config = &fill->cache->config;
    bool both = fill->cache->l2 != NULL && config->write_through && config->read_through;
    fill->begun_ns = now_ns;
    fill->there = (struct strata_value){0};
    fill->prepared = false;
    fill->stale_ms = fill->stale_ms < STALE_MOST_MS ? fill->stale_ms : STALE_MOST_MS;
    sta_buffer_init(&fill->envelope, SIZE_MAX);
    int status = fill->none ? STRATA_OK : fill_wrap(fill);
    if (status != STRATA_OK)
        return status;
    if (fill->cache->behind != NULL)
        return fill_behind(fill);
    return both ? fill_prepare(fill) : fill_l1_only(fill);
}

void sta_fill_run(struct sta_fill *const *fills, size_t count, uint64_t now_ns)
{
    struct sta_fill_together together = {.fills = fills, .count = count};
    bool sends = false;
    for (size_t i = 0; i < count; i++) {
        fills[i]->together = &together;
        fills[i]->status = fill_begin(fills[i], now_ns);
        sends |= fills[i]->status == STRATA_MORE;
    }
    if (sends) {
        struct sta_cache *cache = fills[0]->cache;
        together.task.run = together_start;
        sta_waiter_init(&together.waiter, cache->loop);
        sta_l2_post(cache->l2, &together.task);
        sta_waiter_wait(&together.waiter);
    }
    for (size_t i = 0; i < count; i++)
        fill_fini(fills[i]);
}
