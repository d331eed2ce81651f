/* SPDX-License-Identifier: MIT
 *
 * See tags.h. What a read does with them is in read_tagged.c.
 */
#include "cache/tags.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cache/coherence.h"
#include "cache/tiers.h"
#include "cache/value.h"
#include "core/clock.h"
#include "core/random.h"
#include "net/waiter.h"
#include "strata/status.h"

/* Others may delete a version as soon as we have made it, but not for ever. */
#define ROUNDS 8u

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
    for (size_t i = 0; i < envelope.tag_count; i++) {
        int status = sta_tags_ask_l1(cache, &envelope.tags[i], now_ms);
        if (status != STRATA_OK)
            return status;
    }
    *kept = envelope.value;
    return STRATA_OK;
}

/* ---- setting ---- */

/* The versions of some tags, on the way to a set. */
struct versions {
    struct sta_cache *cache;
    size_t count;
    uint64_t now_ns;
    uint64_t ttl_ms; /* of what is made */
    struct sta_envelope *envelope;
    struct sta_tags_name names[STA_ENVELOPE_TAGS_MOST];
    struct strata_bytes keys[STA_ENVELOPE_TAGS_MOST];
    struct strata_value values[STA_ENVELOPE_TAGS_MOST];
    int statuses[STA_ENVELOPE_TAGS_MOST];
    struct sta_read read;
    struct sta_batch add;
    struct sta_waiter waiter;
};

static void on_read(struct sta_read *read)
{
    sta_waiter_signal(&STA_CONTAINER(read, struct versions, read)->waiter);
}

/* Takes what was read: STRATA_OK where all have a version, STRATA_MISS where some have to be
 * made. */
static int versions_take(struct versions *versions)
{
    int status = STRATA_OK;
    for (size_t i = 0; i < versions->count; i++) {
        int each = versions->statuses[i];
        if (each == STRATA_STALE)
            each = STRATA_ERR_UNAVAILABLE; /* it may have changed */
        if (each == STRATA_OK &&
            !sta_tags_read(versions->values[i].bytes, &versions->envelope->tags[i].version))
            each = STRATA_ERR_SERVER; /* somebody else's */
        sta_value_release(&versions->values[i]);
        if (status >= 0 && each != STRATA_OK)
            status = each;
    }
    return status;
}

/* What a read has kept of a key of which nobody will tell. */
static void forget(struct sta_cache *cache, struct strata_bytes bytes)
{
    struct sta_key key = sta_l1_key(cache->l1, bytes);
    (void)sta_l1_invalidate(cache->l1, &key, sta_clock_now_ms(), NULL);
}

static int versions_read(struct versions *versions)
{
    bool hears = sta_coherence_hears(versions->cache);
    versions->read = (struct sta_read){
        .cache = versions->cache,
        .keys = versions->keys,
        .count = versions->count,
        .values = versions->values,
        .statuses = versions->statuses,
        .l1_asked = !hears,
        .done = on_read,
    };
    memset(versions->values, 0, sizeof versions->values);
    if (sta_read_begin(&versions->read, versions->now_ns) == STRATA_MORE) {
        sta_waiter_init(&versions->waiter, versions->cache->loop);
        sta_read_send(&versions->read);
        sta_waiter_wait(&versions->waiter);
    }
    for (size_t i = 0; i < versions->count && !hears && versions->cache->l1 != NULL; i++)
        forget(versions->cache, versions->keys[i]);
    return versions_take(versions);
}

static void on_added(struct sta_batch *batch, uint32_t tag, int status, struct strata_bytes replies)
{
    struct versions *versions = STA_CONTAINER(batch, struct versions, add);
    struct sta_cache *cache = versions->cache;
    versions->statuses[tag] = status == STRATA_OK ? sta_batch_read_add(replies) : status;
    if (cache->l1 != NULL) { /* that there was none */
        struct sta_key key = sta_l1_key(cache->l1, versions->keys[tag]);
        (void)sta_l1_invalidate(cache->l1, &key, sta_loop_now_ns(cache->loop) / STA_NS_MS, NULL);
    }
}

static void on_add_ended(struct sta_batch *batch)
{
    sta_waiter_signal(&STA_CONTAINER(batch, struct versions, add)->waiter);
}

static int versions_append(struct versions *versions, uint64_t *random)
{
    for (size_t i = 0; i < versions->count; i++) {
        char text[STA_TAGS_VERSION_LEN + 1];
        if (versions->statuses[i] != STRATA_MISS)
            continue;
        (void)snprintf(text, sizeof text, "%016" PRIx64, sta_random_next(random));
        int status = sta_batch_add(&versions->add, (uint32_t)i, versions->keys[i],
                                   strata_text(text), versions->ttl_ms);
        if (status < 0)
            return status;
    }
    return STRATA_OK;
}

/* Makes versions of what has none; somebody else may be first. */
static int versions_make(struct versions *versions)
{
    struct sta_cache *cache = versions->cache;
    uint64_t random = sta_random_seed();
    sta_batch_init(&versions->add, cache->l2, cache->prefix, on_added, on_add_ended);
    int status = versions_append(versions, &random);
    if (status == STRATA_OK) {
        sta_waiter_init(&versions->waiter, cache->loop);
        sta_batch_submit(&versions->add,
                         sta_clock_after(versions->now_ns, sta_live(&cache->live.budget_ns)));
        sta_waiter_wait(&versions->waiter);
    }
    sta_batch_fini(&versions->add);
    for (size_t i = 0; i < versions->count && status == STRATA_OK; i++)
        status = versions->statuses[i] < 0 ? versions->statuses[i] : STRATA_OK;
    return status;
}

static int versions_find(struct versions *versions)
{
    int status = STRATA_MISS;
    for (unsigned round = 0; round < ROUNDS && status == STRATA_MISS; round++) {
        status = versions_read(versions);
        if (status == STRATA_MISS) {
            int made = versions_make(versions);
            if (made < 0)
                return made;
        }
    }
    return status == STRATA_MISS ? STRATA_ERR_BUSY : status;
}

static int name_all(struct versions *versions, const struct strata_bytes *tags)
{
    for (size_t i = 0; i < versions->count; i++) {
        int status = sta_tags_name(&versions->names[i], tags[i]);
        if (status < 0)
            return status;
        versions->keys[i] = sta_tags_key(&versions->names[i]);
        versions->envelope->tags[i].name = tags[i];
    }
    return STRATA_OK;
}

struct writing {
    struct sta_write write;
    struct sta_waiter waiter;
};

static void on_written(struct sta_write *write)
{
    sta_waiter_signal(&STA_CONTAINER(write, struct writing, write)->waiter);
}

static int write_stored(struct sta_cache *cache, const struct strata_item *stored, uint64_t now_ns)
{
    int status;
    struct writing writing = {.write = {.cache = cache,
                                        .kind = STA_WRITE_SET,
                                        .items = stored,
                                        .count = 1,
                                        .flags = STA_TIERS_TAGGED,
                                        .statuses = &status,
                                        .done = on_written}};
    if (sta_write_begin(&writing.write, now_ns) == STRATA_MORE) {
        sta_waiter_init(&writing.waiter, cache->loop);
        sta_write_send(&writing.write);
        sta_waiter_wait(&writing.waiter);
    }
    return status;
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

int sta_tags_set(struct sta_cache *cache, const struct strata_item *item,
                 const struct strata_bytes *tags, size_t count, uint64_t now_ns)
{
    const uint64_t ttl_ms = sta_tiers_ttl_ms(cache, item); /* of tags and value alike */
    struct sta_envelope envelope = {.tag_count = count, .value = item->value};
    struct versions versions = {.cache = cache,
                                .count = count,
                                .now_ns = now_ns,
                                .ttl_ms = sta_tags_ttl_ms(ttl_ms),
                                .envelope = &envelope};
    if (count == 0 || count > STA_ENVELOPE_TAGS_MOST)
        return STRATA_ERR_INVALID;
    int status = sta_tags_may(cache);
    if (status == STRATA_OK)
        status = sta_cache_check_key(item->key);
    if (status == STRATA_OK)
        status = sta_cache_check_value(item->value);
    if (status == STRATA_OK)
        status = name_all(&versions, tags);
    if (status == STRATA_OK)
        status = versions_find(&versions);
    if (status < 0)
        return status;
    sta_tags_lengthen(cache, versions.keys, count, ttl_ms, now_ns);
    struct sta_buffer stored;
    sta_buffer_init(&stored, STA_BATCH_WIRE_MAX); /* the value alone is bounded, not its head */
    status = sta_envelope_write(&stored, &envelope);
    if (status == STRATA_OK)
        status = write_stored(
            cache, &(struct strata_item){item->key, sta_buffer_bytes(&stored), ttl_ms}, now_ns);
    sta_buffer_fini(&stored);
    return status;
}
