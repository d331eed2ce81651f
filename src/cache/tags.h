/* SPDX-License-Identifier: MIT
 *
 * Tags: values that fall together. A tag has a version, which is a key of its own in Redis and is
 * read, kept in L1 and heard of as any other key; a value that has tags names their versions
 * (cache/envelope.h), and counts for nothing where one of them is not the current one any more.
 *
 *     strata:tag:NAME = "89abcdef01234567"        key = envelope{(NAME, 89abcdef01234567)} value
 *
 *     set_tagged    read the versions (L1, then Redis), make what is not there: SET NX random
 *                   SET key envelope
 *     invalidate    UNLINK strata:tag:NAME         a version that is gone is nobody's, for ever
 *     a hit         the entry's flag says that it has tags: L1 has their versions, or it is a miss
 *     a miss        GET key; then GET the versions that L1 has not; it is there if all are current
 *
 * Versions are random words of 64 bits, so that one that has gone does not come back, whatever
 * became of its key: deleted, expired, evicted or flushed. That needs no clock and no list of what
 * has a tag. A tag's key lives at least STA_TAGS_TTL_MS and twice as long as the value that made
 * it; a value that lives longer than that gives it a longer life (tags_lengthen.c).
 * Where nobody tells of what others write (no tracking), L1 is neither asked for versions nor given
 * any: values with tags are read from Redis, each time.
 *
 * Threads: any; set() not on the loop's.
 */
#ifndef STA_TAGS_H
#define STA_TAGS_H

#include <stdint.h>

#include "cache/cache.h"
#include "cache/envelope.h"

#define STA_TAGS_PREFIX      "strata:tag:"
#define STA_TAGS_NAME_MAX    (sizeof STA_TAGS_PREFIX - 1 + STA_ENVELOPE_TAG_MAX)
#define STA_TAGS_VERSION_LEN 16u
#define STA_TAGS_TTL_MS      ((uint64_t)24 * 3600 * 1000)

/* A tag's key, without the cache's prefix. */
struct sta_tags_name {
    uint8_t bytes[STA_TAGS_NAME_MAX];
    size_t len;
};

/* STRATA_OK, STRATA_ERR_INVALID (no bytes), STRATA_ERR_TOO_BIG. */
int sta_tags_name(struct sta_tags_name *name, struct strata_bytes tag);

static inline struct strata_bytes sta_tags_key(const struct sta_tags_name *name)
{
    return strata_bytes(name->bytes, name->len);
}

/* What the key holds; false: that is no version. */
bool sta_tags_read(struct strata_bytes text, uint64_t *version);

/* STRATA_OK: L1 has this version; STRATA_MISS: it has another, or that there is none; STRATA_MORE:
 * it does not know. */
int sta_tags_ask_l1(struct sta_cache *cache, const struct sta_envelope_tag *tag, uint64_t now_ms);

/* The same of all tags of what L1 has kept as it is stored; with STRATA_OK `kept` becomes the
 * value. */
int sta_tags_open(struct sta_cache *cache, struct strata_bytes *kept, uint64_t now_ms);

/* As what a get of such a value counts where sta_tags_open() did not answer STRATA_OK. */
static inline enum sta_l1_counter sta_tags_miss_reason(int status)
{
    return status == STRATA_MISS ? STA_L1_misses_invalidated : STA_L1_misses_suspect;
}

/* How long a tag's key lives that was made for a value with this TTL. */
uint64_t sta_tags_ttl_ms(uint64_t ttl_ms);

/* Keys of tags under which a value with this TTL is about to be set shall not end before it. Where
 * their TTLs cannot be told or changed, they stay: the value is read from its source once more
 * then. Costs nothing for a TTL of which a new tag's is longer in any case; else a round trip. Not
 * on the loop's thread. */
void sta_tags_lengthen(struct sta_cache *cache, const struct strata_bytes *keys, size_t count,
                       uint64_t ttl_ms, uint64_t now_ns);

/* STRATA_OK, or STRATA_ERR_DISABLED: this cache has no use of tags. */
int sta_tags_may(const struct sta_cache *cache);

/* What strata_set_tagged() says. */
int sta_tags_set(struct sta_cache *cache, const struct strata_item *item,
                 const struct strata_bytes *tags, size_t count, uint64_t now_ns);

#endif
