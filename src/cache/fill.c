/* SPDX-License-Identifier: MIT
 *
 * See fill.h.
 */
#include "cache/fill.h"

#include <string.h>

#include "cache/coherence.h"
#include "cache/value.h"
#include "core/clock.h"
#include "strata/status.h"

static bool is_current(const struct sta_fill *fill)
{
    struct sta_cache *cache = fill->cache;
    uint64_t generation = 0;
    if (cache->l1 != NULL)
        generation = sta_l1_token(cache->l1, &fill->key).generation;
    return sta_flight_is_current(&cache->flights, fill->flight, generation);
}

static void keep_in_l1(struct sta_fill *fill, struct strata_bytes value, uint64_t ttl_ms,
                       uint8_t flags, uint64_t now_ms)
{
    struct sta_cache *cache = fill->cache;
    uint64_t bound = cache->config.l1_ttl_ms < ttl_ms ? cache->config.l1_ttl_ms : ttl_ms;
    struct sta_l1_entry entry = {
        .value = value,
        .deadline_ms = sta_clock_after(fill->begun_ns / STA_NS_MS, bound),
        .flags = flags,
    };
    if (sta_l1_fill(cache->l1, &fill->key, &entry, fill->token, now_ms) < 0)
        sta_tiers_count(&cache->l1_counters.errors);
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
    uint8_t flags = fill->none ? STA_TIERS_ABSENT | STA_TIERS_NONE : 0;
    uint64_t ttl_ms = fill->ttl_ms != 0 ? fill->ttl_ms : cache->config.l1_ttl_ms;
    keep_in_l1(fill, fill->value, ttl_ms, flags, now_ms);
    return STRATA_OK;
}

/* ---- both tiers, on the loop ---- */

static void fill_settle(struct sta_fill *fill)
{
    if (--fill->pending == 0)
        sta_waiter_signal(&fill->waiter);
}

static void on_ended_add(struct sta_batch *batch)
{
    fill_settle(STA_CONTAINER(batch, struct sta_fill, add));
}

static void on_ended_get(struct sta_batch *batch)
{
    fill_settle(STA_CONTAINER(batch, struct sta_fill, get));
}

static void on_added(struct sta_batch *batch, uint32_t tag, int status, struct strata_bytes replies)
{
    struct sta_fill *fill = STA_CONTAINER(batch, struct sta_fill, add);
    struct sta_cache *cache = fill->cache;
    (void)tag;
    if (status == STRATA_OK)
        status = sta_batch_read_add(replies);
    if (status < 0) {
        sta_tiers_count(&cache->l2_counters.errors);
        fill->status = status;
        return;
    }
    /* Whatever Redis has pushed because of our SET has been dealt with. */
    if (cache->l1 != NULL)
        fill->token = sta_l1_token(cache->l1, &fill->key);
    fill->settled = true;
}

/* Redis has this now. */
static void fill_got(struct sta_fill *fill, struct strata_bytes value, uint64_t ttl_ms,
                     uint64_t now_ms)
{
    bool ours = !fill->none && value.len == fill->value.len &&
                (value.len == 0 || memcmp(value.data, fill->value.data, value.len) == 0);
    if (fill->settled)
        keep_in_l1(fill, value, ttl_ms, 0, now_ms);
    if (!ours)
        (void)sta_value_from_bytes(&fill->there, value); /* without memory: ours is as good */
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
    if (!sta_coherence_admit(cache, &fill->key, batch->source, &fill->token, now_ms))
        fill->settled = false;
    if (status == STRATA_OK)
        fill_got(fill, value, ttl_ms, now_ms);
    else if (fill->none && fill->settled)
        keep_in_l1(fill, strata_bytes("", 0), fill->ttl_ms, STA_TIERS_ABSENT | STA_TIERS_NONE,
                   now_ms);
}

static void fill_start(struct sta_task *task)
{
    struct sta_fill *fill = STA_CONTAINER(task, struct sta_fill, task);
    uint64_t deadline_ns = sta_clock_after(fill->begun_ns, fill->cache->budget_ns);
    bool adds = fill->add.count > 0, gets = fill->get.count > 0;
    fill->pending = 1;
    fill->settled = !adds;
    if (is_current(fill)) {
        fill->pending += (adds ? 1 : 0) + (gets ? 1 : 0);
        if (adds)
            sta_batch_start(&fill->add, deadline_ns);
        if (gets)
            sta_batch_start(&fill->get, deadline_ns);
    } else {
        fill->status = STRATA_SKIPPED;
    }
    fill_settle(fill);
}

static int fill_encode(struct sta_fill *fill)
{
    struct sta_cache *cache = fill->cache;
    uint64_t ttl_ms = fill->ttl_ms != 0 ? fill->ttl_ms : cache->config.l2_ttl_ms;
    int status = STRATA_OK;
    if (!fill->none)
        status = sta_batch_add(&fill->add, 0, fill->key.bytes, fill->value, ttl_ms);
    if (status == STRATA_OK && cache->l1 != NULL && sta_coherence_keeps(fill->value))
        status = sta_batch_get(&fill->get, 0, fill->key.bytes);
    return status;
}

static int fill_both(struct sta_fill *fill)
{
    struct sta_cache *cache = fill->cache;
    sta_batch_init(&fill->add, cache->l2, cache->prefix, on_added, on_ended_add);
    sta_batch_init(&fill->get, cache->l2, cache->prefix, on_got, on_ended_get);
    fill->status = fill_encode(fill);
    if (fill->status == STRATA_OK && fill->add.count + fill->get.count > 0) {
        fill->task.run = fill_start;
        sta_waiter_init(&fill->waiter, cache->loop);
        sta_l2_post(cache->l2, &fill->task);
        sta_waiter_wait(&fill->waiter);
    }
    sta_batch_fini(&fill->add);
    sta_batch_fini(&fill->get);
    return fill->status;
}

int sta_fill_run(struct sta_fill *fill, uint64_t now_ns)
{
    const struct sta_cache_config *config = &fill->cache->config;
    bool both = fill->cache->l2 != NULL && config->write_through && config->read_through;
    fill->begun_ns = now_ns;
    fill->there = (struct strata_value){0};
    return both ? fill_both(fill) : fill_l1_only(fill);
}
