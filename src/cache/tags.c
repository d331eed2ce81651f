/* SPDX-License-Identifier: MIT
 *
 * See tags.h. What a read does with them is in read_tagged.c, a set with them in tags_set.c.
 */
#include "cache/tags.h"

#include <string.h>

#include "cache/coherence.h"
#include "cache/tiers.h"
#include "core/mutant.h"
#include "strata/status.h"

#define PREFIX_LEN (sizeof STA_TAGS_PREFIX - 1)

int sta_tags_name(struct sta_tags_name *name, struct strata_bytes tag)
{
    if (tag.data == NULL || tag.len == 0)
        return STRATA_ERR_INVALID;
    if (tag.len > STA_ENVELOPE_TAG_MAX)
        return STRATA_ERR_TOO_BIG;
    memcpy(name->bytes, STA_TAGS_PREFIX, PREFIX_LEN);
    memcpy(name->bytes + PREFIX_LEN, tag.data, tag.len);
    name->len = PREFIX_LEN + tag.len;
    return STRATA_OK;
}

static int digit_of(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

bool sta_tags_read(struct strata_bytes text, uint64_t *version)
{
    const uint8_t *at = text.data;
    uint64_t read = 0;
    if (text.len != STA_TAGS_VERSION_LEN)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int digit = digit_of(at[i]);
        if (digit < 0)
            return false;
        read = read << 4 | (uint64_t)digit;
    }
    *version = read;
    return true;
}

/* ---- in L1 ---- */

int sta_tags_ask_l1(struct sta_cache *cache, const struct sta_envelope_tag *tag, uint64_t now_ms)
{
    struct sta_tags_name name;
    uint8_t text[STA_TAGS_VERSION_LEN];
    struct sta_l1_copy copy = {.buffer = text, .cap = sizeof text};
    uint64_t version;
    if (!sta_coherence_hears(cache) || sta_tags_name(&name, tag->name) < 0)
        return STRATA_MORE;
    struct sta_key key = sta_l1_key(cache->l1, sta_tags_key(&name));
    if (sta_l1_copy(cache->l1, &key, now_ms, &copy) != STRATA_OK) {
        sta_prefixes_miss(cache->prefixes, STA_TIMING_L1, key.bytes);
        return STRATA_MORE;
    }
    if (copy.flags != 0)
        sta_tiers_count_l1(cache, &key, STA_L1_hits, copy.len); /* that there is none */
    else
        sta_prefixes_hit(cache->prefixes, STA_TIMING_L1, key.bytes, copy.len);
    bool is_same = copy.flags == 0 && copy.len == sizeof text &&
                   sta_tags_read(strata_bytes(text, sizeof text), &version) &&
                   version == tag->version;
    return is_same ? STRATA_OK : STRATA_MISS;
}

int sta_tags_open(struct sta_cache *cache, struct strata_bytes *kept, uint64_t now_ms)
{
    struct sta_envelope envelope;
    if (sta_envelope_read(*kept, &envelope) != STRATA_OK)
        return STRATA_MORE;
    for (size_t i = 0; i < envelope.tag_count && !STA_MUTANT(TAG_HIT); i++) {
        int status = sta_tags_ask_l1(cache, &envelope.tags[i], now_ms);
        if (status != STRATA_OK)
            return status;
    }
    *kept = envelope.value;
    return STRATA_OK;
}

uint64_t sta_tags_ttl_ms(uint64_t ttl_ms)
{
    if (ttl_ms > UINT64_MAX / 4)
        return UINT64_MAX;
    return 2 * ttl_ms > STA_TAGS_TTL_MS ? 2 * ttl_ms : STA_TAGS_TTL_MS;
}

int sta_tags_may(const struct sta_cache *cache)
{
    const struct sta_cache_config *config = &cache->config;
    bool through = config->write_through && config->read_through;
    return cache->l2 != NULL && through ? STRATA_OK : STRATA_ERR_DISABLED;
}
