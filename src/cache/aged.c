/* SPDX-License-Identifier: MIT
 *
 * See aged.h.
 */
#include "cache/aged.h"

#include <stdlib.h>
#include <string.h>

#include "cache/tiers.h"
#include "core/clock.h"
#include "core/mutant.h"
#include "strata/status.h"

_Static_assert(sizeof(struct sta_aged) == STA_AGED_HEAD, "the head is the struct");

struct strata_bytes sta_aged_open(struct strata_bytes kept, struct sta_aged *out)
{
    const uint8_t *bytes = kept.data;
    memcpy(out, bytes, STA_AGED_HEAD);
    return strata_bytes(bytes + STA_AGED_HEAD, kept.len - STA_AGED_HEAD);
}

static int fill(struct sta_cache *cache, const struct sta_aged_entry *entry,
                const struct sta_l1_entry *l1_entry, uint64_t now_ms)
{
    int status = entry->replaces
                     ? sta_l1_publish(cache->l1, entry->key, l1_entry, entry->token, now_ms)
                     : sta_l1_fill(cache->l1, entry->key, l1_entry, entry->token, now_ms);
    if (status < 0)
        sta_tiers_count(&cache->l1_counters.errors);
    return status;
}

static int fill_with_head(struct sta_cache *cache, const struct sta_aged_entry *entry,
                          const struct sta_aged *head, struct sta_l1_entry *l1_entry,
                          uint64_t now_ms)
{
    struct strata_bytes value = l1_entry->value;
    uint8_t *block = malloc(STA_AGED_HEAD + value.len);
    if (block == NULL) {
        sta_tiers_count(&cache->l1_counters.errors);
        return STRATA_ERR_NOMEM;
    }
    memcpy(block, head, STA_AGED_HEAD);
    if (value.len > 0)
        memcpy(block + STA_AGED_HEAD, value.data, value.len);
    l1_entry->value = strata_bytes(block, STA_AGED_HEAD + value.len);
    l1_entry->flags |= STA_TIERS_AGED;
    int status = fill(cache, entry, l1_entry, now_ms);
    free(block);
    return status;
}

/* What is stale still is no news: a load of it that failed has not become another. */
static uint64_t throttled_until(struct sta_cache *cache, const struct sta_key *key, uint64_t now_ms)
{
    struct sta_l1_lease lease = {0};
    struct sta_aged head = {0};
    if (sta_l1_peek(cache->l1, key, now_ms, &lease) != STRATA_OK)
        return 0;
    if ((lease.flags & STA_TIERS_AGED) != 0)
        (void)sta_aged_open(lease.value, &head);
    sta_l1_release(cache->l1, &lease);
    return head.throttled_until_ms;
}

int sta_aged_fill(struct sta_cache *cache, const struct sta_aged_entry *entry, uint64_t now_ms)
{
    struct sta_envelope envelope;
    if (sta_envelope_read(entry->stored, &envelope) != STRATA_OK)
        return STRATA_SKIPPED;
    uint64_t l1_ttl_ms = sta_live(&cache->live.l1_ttl_ms);
    uint64_t ttl_ms = STA_MUTANT(TTL) ? UINT64_MAX : entry->ttl_ms;
    uint64_t fresh_ms = sta_envelope_fresh_ms(&envelope, ttl_ms);
    uint64_t stale_ms = ttl_ms - fresh_ms;
    fresh_ms = fresh_ms < l1_ttl_ms ? fresh_ms : l1_ttl_ms;
    struct sta_aged head = {
        .fresh_until_ms = sta_clock_after(entry->since_ms, fresh_ms),
        .filled_ms = entry->since_ms,
        .load_us = envelope.load_us,
    };
    if (fresh_ms == 0)
        head.throttled_until_ms = throttled_until(cache, entry->key, now_ms);
    struct sta_l1_entry l1_entry = {
        .value = envelope.tag_count > 0 ? entry->stored : envelope.value,
        .flags = envelope.tag_count > 0 ? STA_TIERS_TAGGED : 0,
        .deadline_ms = sta_clock_after(head.fresh_until_ms, stale_ms),
    };
    bool aged = entry->aged || envelope.stale_ms > 0 || envelope.load_us > 0;
    return aged ? fill_with_head(cache, entry, &head, &l1_entry, now_ms)
                : fill(cache, entry, &l1_entry, now_ms);
}

/* The whole entry again, with another head: entries never change where they are. */
static int fill_again(struct sta_cache *cache, const struct sta_key *key,
                      const struct sta_l1_lease *was, struct sta_l1_token token, uint64_t until_ms,
                      uint64_t now_ms)
{
    struct sta_aged head;
    uint8_t *block = malloc(was->value.len);
    if (block == NULL)
        return STRATA_ERR_NOMEM;
    memcpy(block, was->value.data, was->value.len);
    (void)sta_aged_open(was->value, &head);
    head.throttled_until_ms = until_ms;
    memcpy(block, &head, STA_AGED_HEAD);
    struct sta_l1_entry entry = {.value = strata_bytes(block, was->value.len),
                                 .deadline_ms = was->deadline_ms,
                                 .flags = was->flags};
    token.stamp = was->stamp;
    int status = sta_l1_fill(cache->l1, key, &entry, token, now_ms);
    free(block);
    return status;
}

void sta_aged_throttle(struct sta_cache *cache, const struct sta_key *key,
                       struct sta_l1_token token, uint64_t until_ms, uint64_t now_ms)
{
    struct sta_l1_lease lease = {0};
    if (cache->l1 == NULL || sta_l1_peek(cache->l1, key, now_ms, &lease) != STRATA_OK)
        return;
    if ((lease.flags & STA_TIERS_AGED) != 0 &&
        fill_again(cache, key, &lease, token, until_ms, now_ms) < 0)
        sta_tiers_count(&cache->l1_counters.errors);
    sta_l1_release(cache->l1, &lease);
}
