/* SPDX-License-Identifier: MIT
 *
 * L1's part of a load: nothing below is touched on a hit.
 *
 *   sta_load_hit             one key: a hash, a look, and the flags of what is there
 *   sta_load_hits            many: some at a time, whose memory L1 fetches together
 */
#include "cache/aged.h"
#include "cache/early.h"
#include "cache/load.h"
#include "cache/tags.h"
#include "cache/tiers.h"
#include "cache/value.h"
#include "core/clock.h"
#include "strata/status.h"

/* Keys of a batch whose memory is fetched together. */
#define HITS_AT_ONCE 32u

/* Whether a fresh value is to be loaded anew. */
static bool is_due(struct sta_cache *cache, const struct sta_aged *aged,
                   const struct strata_load_options *options, uint64_t now_ms)
{
    uint64_t left_ms = aged->fresh_until_ms - now_ms;
    if (sta_early_ahead(left_ms, aged->fresh_until_ms - aged->filled_ms, options->refresh_ahead))
        return true;
    return options->xfetch_beta > 0 && aged->load_us > 0 &&
           sta_early_xfetch(left_ms, aged->load_us, options->xfetch_beta, sta_tiers_draw(cache));
}

/* What is no plain value: STRATA_OK or STRATA_STALE with the lease's value the one that is meant;
 * STRATA_MISS; STRATA_MORE. That Redis has none says nothing of where values come from. *counts: as
 * what, where it is no hit. */
static int ask_flagged(struct sta_cache *cache, struct sta_l1_lease *lease,
                       const struct strata_load_options *options, uint64_t now_ms,
                       struct sta_load_early *early, enum sta_l1_counter *counts)
{
    struct sta_aged aged;
    int status = STRATA_OK;
    *counts = STA_L1_misses_absent;
    if ((lease->flags & STA_TIERS_ABSENT) != 0)
        return (lease->flags & STA_TIERS_NONE) != 0 ? STRATA_MISS : STRATA_MORE;
    if ((lease->flags & STA_TIERS_AGED) != 0)
        lease->value = sta_aged_open(lease->value, &aged);
    if ((lease->flags & STA_TIERS_TAGGED) != 0)
        status = sta_tags_open(cache, &lease->value, now_ms);
    if (status != STRATA_OK) {
        *counts = sta_tags_miss_reason(status);
        return STRATA_MORE;
    }
    if ((lease->flags & STA_TIERS_AGED) == 0)
        return STRATA_OK;
    if (now_ms < aged.fresh_until_ms) {
        early->due = options != NULL && (lease->flags & STA_TIERS_TAGGED) == 0 &&
                     now_ms >= aged.throttled_until_ms && is_due(cache, &aged, options, now_ms);
        early->fresh_until_ms = aged.fresh_until_ms;
        return STRATA_OK;
    }
    *counts = STA_L1_misses_expired;
    bool served = options != NULL && options->stale_ms != 0 && now_ms < aged.throttled_until_ms;
    return served ? STRATA_STALE : STRATA_MORE;
}

/* The answer that the lease is, or its end. */
static int answer_from(struct sta_cache *cache, int status, struct sta_l1_lease *lease,
                       struct strata_value *value)
{
    if (status == STRATA_OK || status == STRATA_STALE)
        sta_value_from_lease(value, cache->l1, lease);
    else
        sta_l1_release(cache->l1, lease);
    if (status == STRATA_STALE)
        sta_tiers_count(&cache->stale);
    return status;
}

static inline int ask(struct sta_cache *cache, const struct sta_key *key,
                      const struct strata_load_options *options, uint64_t now_ns,
                      struct strata_value *value, struct sta_load_early *early)
{
    struct sta_l1_lease lease = {0};
    enum sta_l1_counter counts = STA_L1_hits;
    int status = STRATA_OK;
    if (sta_l1_get(cache->l1, key, now_ns / STA_NS_MS, &lease) != STRATA_OK) {
        sta_prefixes_miss(cache->prefixes, STA_TIMING_L1, key->bytes);
        return STRATA_MORE;
    }
    if (lease.flags != 0) {
        status = ask_flagged(cache, &lease, options, now_ns / STA_NS_MS, early, &counts);
        sta_tiers_count_l1(cache, key, status != STRATA_MORE ? STA_L1_hits : counts,
                           lease.value.len);
    } else {
        sta_prefixes_hit(cache->prefixes, STA_TIMING_L1, key->bytes, lease.value.len);
    }
    return answer_from(cache, status, &lease, value);
}

int sta_load_ask_l1_again(struct sta_cache *cache, const struct sta_key *key,
                          const struct strata_load_options *options, struct strata_value *value)
{
    struct sta_l1_lease lease = {0};
    struct sta_load_early early;
    enum sta_l1_counter counts;
    uint64_t now_ms = sta_clock_now_ms();
    int status = STRATA_OK;
    if (cache->l1 == NULL || sta_l1_peek(cache->l1, key, now_ms, &lease) != STRATA_OK)
        return STRATA_MORE;
    if (lease.suspect)
        status = STRATA_MORE;
    else if (lease.flags != 0)
        status = ask_flagged(cache, &lease, options, now_ms, &early, &counts);
    return answer_from(cache, status, &lease, value);
}

int sta_load_hit(struct sta_cache *cache, struct strata_bytes key,
                 const struct strata_load_options *options, uint64_t now_ns,
                 struct strata_value *value, struct sta_load_early *early)
{
    int status = sta_cache_check_key(key);
    if (status != STRATA_OK)
        return status;
    if (cache->l1 == NULL)
        return STRATA_MORE;
    struct sta_key hashed = sta_l1_key(cache->l1, key);
    early->key = key;
    return ask(cache, &hashed, options, now_ns, value, early);
}

/* HITS_AT_ONCE keys at most. */
static void hit_some(const struct sta_load_call *call, const struct strata_bytes *bytes,
                     size_t count, uint64_t now_ns, struct strata_value *values, int *statuses)
{
    struct sta_l1 *l1 = call->cache->l1;
    struct sta_key keys[HITS_AT_ONCE];
    struct sta_load_early due[HITS_AT_ONCE];
    size_t due_count = 0;
    for (size_t i = 0; i < count; i++) {
        statuses[i] = sta_cache_check_key(bytes[i]);
        bool hashed = statuses[i] == STRATA_OK && l1 != NULL;
        keys[i] = hashed ? sta_l1_key(l1, bytes[i]) : (struct sta_key){.bytes = bytes[i]};
    }
    if (l1 != NULL)
        sta_l1_prefetch(l1, keys, count);
    for (size_t i = 0; i < count; i++) {
        due[due_count] = (struct sta_load_early){.due = false, .key = bytes[i]};
        if (statuses[i] == STRATA_OK)
            statuses[i] = l1 != NULL ? ask(call->cache, &keys[i], call->options, now_ns, &values[i],
                                           &due[due_count])
                                     : STRATA_MORE;
        due_count += due[due_count].due;
    }
    if (due_count > 0)
        sta_load_refresh(call, due, due_count);
}

void sta_load_hits(const struct sta_load_call *call, const struct strata_bytes *keys, size_t count,
                   uint64_t now_ns, struct strata_value *values, int *statuses)
{
    for (size_t i = 0; i < count; i += HITS_AT_ONCE) {
        size_t some = count - i < HITS_AT_ONCE ? count - i : HITS_AT_ONCE;
        hit_some(call, keys + i, some, now_ns, values + i, statuses + i);
    }
}
