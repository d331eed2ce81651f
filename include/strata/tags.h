/* SPDX-License-Identifier: MIT
 *
 * Tags: values that are invalidated together, whatever their keys are, in every process that shares
 * the Redis.
 *
 *     strata_set_tagged(cache, key, value, 0, (struct strata_bytes[]){strata_text("user:7")}, 1);
 *     ...
 *     strata_invalidate_tag(cache, strata_text("user:7"));
 *
 * Such values are read as any other. In Redis they stand behind a head that names the versions of
 * their tags (docs/design/0013-barriers.md): other Redis clients see it, and what they write over
 * it is a plain value again. The version of a tag is the key "strata:tag:NAME" behind the cache's
 * prefix; deleting it with any Redis client does what strata_invalidate_tag() does.
 * They need both reading and writing through to Redis: STRATA_ERR_DISABLED without.
 */
#ifndef STRATA_TAGS_H
#define STRATA_TAGS_H

#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "export.h"

#ifdef __cplusplus
extern "C" {
#endif

struct strata;

#define STRATA_TAGS_MOST 16u  /* of one value */
#define STRATA_TAG_MAX   255u /* bytes of a tag; at least one */

/* As strata_set(), with 1 to STRATA_TAGS_MOST tags, whose bytes are copied. The value belongs to
 * the versions that its tags have when it is set: one that was made of what a tag stood for before
 * it was invalidated, and is set after that, counts. Tags that no value has had in a while cost a
 * round trip or two; a TTL of more than 12 hours costs one, so that no tag ends before its values
 * (needs the right to PEXPIRE and PERSIST; without it, values end with the first of their tags, a
 * day at the least after that was made). All of them within one budget of a call. Not from
 * callbacks of the cache: STRATA_ERR_INVALID. */
STRATA_API int strata_set_tagged(struct strata *cache, struct strata_bytes key,
                                 struct strata_bytes value, uint64_t ttl_ms,
                                 const struct strata_bytes *tags, size_t count);

/* Values that were set with this tag are not there any more: for this cache when the call returns,
 * for others as soon as Redis tells them, or, where it cannot, within max_staleness_ms. Where Redis
 * does not track for them, at once: values with tags are not kept in L1 there. Costs the
 * same for any number of values; their memory goes with their TTL or when it is needed. STRATA_OK,
 * also where no value has it; an error leaves open whether others hear of it. */
STRATA_API int strata_invalidate_tag(struct strata *cache, struct strata_bytes tag);

#ifdef __cplusplus
}
#endif

#endif
