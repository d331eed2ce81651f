/* SPDX-License-Identifier: MIT
 *
 * How L1 stays true to what others write: the sink through which l2 tells of it (l2/tracking.h),
 * and what may be kept of an answer.
 *
 *     l2                         l1
 *     forget(key)  ------------> invalidate: the key goes, and reads under way do not fill
 *     doubt(source) -----------> doubt: what came from there is suspect, however much it is
 *     trust(source, until) ----> trust: hits of it end then, unless there is proof until then
 *
 * Threads: the sink and admit() run on the loop, the others on any thread; plan() before there are
 * any.
 */
#ifndef STA_COHERENCE_H
#define STA_COHERENCE_H

#include "cache/tiers.h"

/* Before the tiers are made: plans sources, and lets l2 track. */
void sta_coherence_plan(struct sta_cache *cache);

/* The token for an answer that came from `source`. False: it may not be kept, and what L1 has of
 * the key goes: it came by a way that has no order with the one by which we hear of changes. */
bool sta_coherence_admit(struct sta_cache *cache, const struct sta_key *key, int source,
                         struct sta_l1_token *token, uint64_t now_ms);

/* Whether a write of this value asks for it again in one go, so that it is tracked. */
bool sta_coherence_reads_back(const struct sta_cache *cache, struct strata_bytes value);

/* For how long a node may be believed that it has no such key. While a slot moves, whoever makes a
 * key there is sent on by ASK, and the slot's owner has nothing to name. */
uint64_t sta_coherence_absent_ms(const struct sta_cache *cache);

/* Whether a value of this size is asked for again where it was written for L1 to keep. */
bool sta_coherence_keeps(struct strata_bytes value);

/* Whether this cache hears of what others write; where not, entries of L1 are as good as their
 * TTL. */
bool sta_coherence_hears(const struct sta_cache *cache);

void sta_coherence_statistics(struct sta_cache *cache, struct strata_statistics *out);

#endif
