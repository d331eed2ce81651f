/* SPDX-License-Identifier: MIT
 *
 * The calls of strata/tags.h: arguments, one clock read, and to cache/tags.c. A tag falls by the
 * deletion of its version's key.
 */
#include "api/handle.h"
#include "cache/tags.h"
#include "core/clock.h"
#include "strata/cache.h"
#include "strata/tags.h"

int strata_set_tagged(struct strata *cache, struct strata_bytes key, struct strata_bytes value,
                      uint64_t ttl_ms, const struct strata_bytes *tags, size_t count)
{
    struct strata_item item = {.key = key, .value = value, .ttl_ms = ttl_ms};
    if (sta_loop_is_own_thread(sta_cache_loop(cache->cache)))
        return STRATA_ERR_INVALID;
    return sta_tags_set(cache->cache, &item, tags, count, sta_clock_now_ns());
}

int strata_invalidate_tag(struct strata *cache, struct strata_bytes tag)
{
    struct sta_tags_name name;
    int status = sta_tags_name(&name, tag);
    if (status == STRATA_OK)
        status = sta_tags_may(cache->cache);
    if (status == STRATA_OK)
        status = strata_delete(cache, sta_tags_key(&name));
    return status == STRATA_MISS ? STRATA_OK : status; /* nobody had anything under it */
}
