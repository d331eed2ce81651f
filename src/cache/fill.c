/* SPDX-License-Identifier: MIT
 *
 * See fill.h.
 */
#include "cache/fill.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cache/coherence.h"
#include "cache/value.h"
#include "core/clock.h"
#include "strata/status.h"

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

/* The value was stored, or another was there (STRATA_SKIPPED), or Redis failed. */
static void fill_stored(struct sta_fill *fill, int status)
{
    struct sta_cache *cache = fill->cache;
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
    if (status == STRATA_OK && sta_resp_next(&walk, &value) == STRATA_OK &&
        value.type == STA_RESP_INTEGER)
        fill->lease->held = false; /* it dropped it, or it was not ours any more */
    else if (status == STRATA_OK)
        status = STRATA_ERR_SERVER;
    fill_stored(fill, status);
    fill_settle(fill);
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
    bool adds = !fill->none, gets = fill->get.count > 0;
    fill->pending = 1;
    fill->settled = !adds;
    if (is_current(fill)) {
        fill->pending += (adds ? 1 : 0) + (gets ? 1 : 0);
        if (adds && fill->lease != NULL)
            sta_command_start(&fill->store, fill->lease->key, deadline_ns);
        else if (adds)
            sta_batch_start(&fill->add, deadline_ns);
        if (gets)
            sta_batch_start(&fill->get, deadline_ns);
    } else {
        fill->status = STRATA_SKIPPED;
    }
    fill_settle(fill);
}

/* The lease is looked at, the value stored and the lease dropped in one step: who comes late, because
 * his lease was over, stores nothing. EXISTS as in sta_batch_add(). */
static int encode_script(struct sta_fill *fill, uint64_t ttl_ms)
{
    static const char script[] = "if redis.call('GET',KEYS[2])~=ARGV[1] then return 0 end "
                                 "redis.call('DEL',KEYS[2]) "
                                 "if redis.call('EXISTS',KEYS[1])==1 then return 0 end "
                                 "if ARGV[3]=='' then redis.call('SET',KEYS[1],ARGV[2]) "
                                 "else redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3]) end "
                                 "return 1";
    const struct sta_lease *lease = fill->lease;
    char ttl[24] = "";
    if (ttl_ms <= INT64_MAX / 2)
        (void)snprintf(ttl, sizeof ttl, "%" PRIu64, ttl_ms);
    const struct strata_bytes eval[] = {
        strata_text("EVAL"), strata_text(script),      strata_text("2"), lease->key,
        lease->name,         strata_text(lease->word), fill->value,      strata_text(ttl)};
    const struct strata_bytes exists[] = {strata_text("EXISTS"), lease->key};
    int status = sta_command_add(&fill->store, eval, sizeof eval / sizeof eval[0]);
    return status == STRATA_OK ? sta_command_add(&fill->store, exists, 2) : status;
}

static int fill_encode(struct sta_fill *fill)
{
    struct sta_cache *cache = fill->cache;
    uint64_t ttl_ms = fill->ttl_ms != 0 ? fill->ttl_ms : cache->config.l2_ttl_ms;
    int status = STRATA_OK;
    if (!fill->none && fill->lease != NULL)
        status = encode_script(fill, ttl_ms);
    else if (!fill->none)
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
    sta_command_init(&fill->store, cache->l2, on_scripted);
    fill->status = fill_encode(fill);
    if (fill->status == STRATA_OK) {
        fill->task.run = fill_start;
        sta_waiter_init(&fill->waiter, cache->loop);
        sta_l2_post(cache->l2, &fill->task);
        sta_waiter_wait(&fill->waiter);
    }
    sta_batch_fini(&fill->add);
    sta_batch_fini(&fill->get);
    sta_command_fini(&fill->store);
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
