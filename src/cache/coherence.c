/* SPDX-License-Identifier: MIT
 *
 * See coherence.h.
 */
#include "cache/coherence.h"

#include <string.h>

#include "cache/behind.h"
#include "cache/tags.h"
#include "core/clock.h"
#include "core/mutant.h"
#include "l2/operation.h"
#include "strata/status.h"

/* A value that is not larger is asked for again with its SET: dearer than the SET alone, cheaper
 * than the read that would follow. A larger one leaves L1 empty. */
#define READ_BACK_MOST ((size_t)16 << 10)

#define FIRST_SOURCE 1u

static bool is_tracking(const struct sta_cache *cache)
{
    return cache->config.l2.router.tracking.mode != STA_TRACKING_OFF;
}

static void on_forget(void *arg, struct strata_bytes key, const struct sta_operation *answering)
{
    struct sta_cache *cache = arg;
    size_t prefix_len = cache->prefix.len;
    if (sta_barriers_is_name(&cache->barriers, key)) {
        sta_barriers_named(&cache->barriers);
        return;
    }
    if (key.len <= prefix_len ||
        (prefix_len > 0 && memcmp(key.data, cache->prefix.data, prefix_len) != 0))
        return;
    sta_lease_forget(&cache->leases, key);
    const uint8_t *bytes = key.data;
    struct sta_key hashed =
        sta_l1_key(cache->l1, strata_bytes(bytes + prefix_len, key.len - prefix_len));
    if (STA_MUTANT(TAG_TOLD) && sta_tags_is_key(hashed.bytes))
        return;
    /* What L1 has of a key that is owed is newer than anything in Redis, and will be written. When
     * it was, and read back, it is Redis' value that stays, and others may have changed that. */
    bool newer =
        answering != NULL && sta_operation_lacks_last(answering) && !STA_MUTANT(BEHIND_NAMED);
    if (cache->behind != NULL && !newer && sta_behind_owes(cache->behind, &hashed))
        return;
    (void)sta_l1_invalidate(cache->l1, &hashed, sta_loop_now_ns(cache->loop) / STA_NS_MS, NULL);
}

static void on_doubt(void *arg, uint16_t source)
{
    struct sta_cache *cache = arg;
    sta_l1_doubt(cache->l1, source);
    sta_barriers_named(&cache->barriers);
    sta_lease_doubt(&cache->leases);
}

/* Rounded down: early is safe. */
static void on_trust(void *arg, uint16_t source, uint64_t until_ns)
{
    struct sta_cache *cache = arg;
    bool forever = until_ns == STA_NEVER || STA_MUTANT(TRUST);
    sta_l1_trust(cache->l1, source, forever ? STA_NEVER : until_ns / STA_NS_MS);
}

static bool on_keeps(void *arg, size_t len)
{
    const struct sta_cache *cache = arg;
    return sta_l1_takes(cache->l1, len);
}

static const struct sta_tracking_sink sink = {
    .forget = on_forget,
    .doubt = on_doubt,
    .trust = on_trust,
    .keeps = on_keeps,
};

void sta_coherence_plan(struct sta_cache *cache)
{
    struct sta_cache_config *config = &cache->config;
    bool may = config->l2_enabled && config->read_through &&
               config->l2.router.node.connection.protocol == 3;
    uint16_t sources = config->l2.router.cluster ? STA_SLOT_COUNT : 1;
    config->l2.router.tracking = (struct sta_tracking_config){
        .mode = may ? config->tracking : STA_TRACKING_OFF,
        .prefix = cache->prefix,
        .max_staleness_ns = config->max_staleness_ms * STA_NS_MS,
        .first_source = FIRST_SOURCE,
        .sources = sources,
        .sink = &sink,
        .arg = cache,
    };
    if (is_tracking(cache))
        config->l1.sources = FIRST_SOURCE - 1 + sources;
}

bool sta_coherence_admit(struct sta_cache *cache, const struct sta_key *key, int source,
                         struct sta_l1_token *token, uint64_t now_ms)
{
    if (source == STA_TRACKING_NOBODY)
        (void)sta_l1_invalidate(cache->l1, key, now_ms, NULL);
    else if (source > 0)
        token->stamp = sta_l1_token_from(cache->l1, key, (uint16_t)source).stamp;
    return source != STA_TRACKING_NOBODY;
}

uint64_t sta_coherence_absent_ms(const struct sta_cache *cache)
{
    return is_tracking(cache) && cache->config.l2.router.cluster ? cache->config.max_staleness_ms
                                                                 : STA_NEVER;
}

bool sta_coherence_keeps(struct strata_bytes value)
{
    return value.len <= READ_BACK_MOST;
}

bool sta_coherence_reads_back(const struct sta_cache *cache, struct strata_bytes value)
{
    return cache->l1 != NULL && is_tracking(cache) && sta_coherence_keeps(value);
}

bool sta_coherence_hears(const struct sta_cache *cache)
{
    return cache->l1 != NULL && is_tracking(cache) && sta_l2_is_tracked(cache->l2);
}

void sta_coherence_statistics(struct sta_cache *cache, struct strata_statistics *out)
{
    struct sta_tracking_statistics tracking;
    sta_l2_tracking_statistics(cache->l2, &tracking);
    static const enum strata_coherence states[] = {
        [STA_TRACKING_DISABLED] = STRATA_COHERENCE_TTL,
        [STA_TRACKING_UNKNOWN] = STRATA_COHERENCE_UNKNOWN,
        [STA_TRACKING_REFUSED] = STRATA_COHERENCE_TTL,
        [STA_TRACKING_IN_FORCE] = STRATA_COHERENCE_TRACKING,
    };
    out->coherence = states[tracking.state];
    if (out->coherence == STRATA_COHERENCE_TRACKING && cache->config.tracking == STA_TRACKING_BCAST)
        out->coherence = STRATA_COHERENCE_BCAST;
    out->invalidations = tracking.forgotten;
    out->invalidations_of_all = tracking.flushes + tracking.doubts;
    out->canaries = tracking.proofs;
    out->canaries_lost = tracking.silent;
}
