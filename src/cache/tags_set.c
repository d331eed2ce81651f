/* SPDX-License-Identifier: MIT
 *
 * A set with tags (tags.h), from answer to answer. What is copied and encoded is so by who calls
 * begin() and step(), and not by the loop.
 *
 *     begin --> versions are read (L1, Redis) --all known--> TTLs of tags --> SET --> done
 *                 ^                        '--some are none--> SET NX random --.
 *                 '---- what there is now, for others may have been first -----'
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cache/coherence.h"
#include "cache/tags.h"
#include "cache/tiers.h"
#include "cache/value.h"
#include "core/clock.h"
#include "core/mutant.h"
#include "core/random.h"
#include "net/waiter.h"
#include "strata/status.h"

/* Others may delete a version as soon as we have made it, but not for ever. */
#define ROUNDS 8u

uint64_t sta_tags_set_deadline_ns(const struct sta_tags_set *set)
{
    return sta_clock_after(set->begun_ns, sta_live(&set->cache->live.budget_ns));
}

/* ---- the value ---- */

static int written(struct sta_tags_set *set)
{
    return set->statuses[0];
}

static void on_written(struct sta_write *write)
{
    struct sta_tags_set *set = STA_CONTAINER(write, struct sta_tags_set, write);
    set->stepped(set);
}

static void send_write(struct sta_tags_set *set)
{
    sta_write_send(&set->write);
}

int sta_tags_set_write(struct sta_tags_set *set)
{
    int status = sta_envelope_write(&set->stored, &set->envelope);
    if (status != STRATA_OK)
        return status;
    set->whole = (struct strata_item){set->item.key, sta_buffer_bytes(&set->stored), set->ttl_ms};
    set->write = (struct sta_write){
        .cache = set->cache,
        .kind = STA_WRITE_SET,
        .items = &set->whole,
        .count = 1,
        .flags = STA_TIERS_TAGGED,
        .statuses = set->statuses,
        .done = on_written,
    };
    set->send = send_write;
    set->next = written;
    if (sta_write_begin(&set->write, set->begun_ns) == STRATA_MORE)
        return STRATA_MORE;
    return set->statuses[0];
}

/* ---- the versions ---- */

static int versions_make(struct sta_tags_set *set);

/* Takes what was read: STRATA_OK where all have a version, STRATA_MISS where some have to be
 * made. */
static int versions_take(struct sta_tags_set *set)
{
    int status = STRATA_OK;
    for (size_t i = 0; i < set->count; i++) {
        int each = set->statuses[i];
        if (each == STRATA_STALE)
            each = STRATA_ERR_UNAVAILABLE; /* it may have changed */
        if (each == STRATA_OK &&
            !sta_tags_read(set->values[i].bytes, &set->envelope.tags[i].version))
            each = STRATA_ERR_SERVER; /* somebody else's */
        sta_value_release(&set->values[i]);
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

/* What comes after the versions. */
static int set_lengthen(struct sta_tags_set *set)
{
    int status = sta_tags_lengthen(set);
    return status == STRATA_OK ? sta_tags_set_write(set) : status;
}

static int versions_read_over(struct sta_tags_set *set)
{
    for (size_t i = 0; i < set->count && !set->hears && set->cache->l1 != NULL; i++)
        forget(set->cache, set->keys[i]);
    int status = versions_take(set);
    if (status >= 0 && set->cache->l2 == NULL) /* it is being closed */
        return STRATA_ERR_CLOSED;
    if (status == STRATA_OK)
        return set_lengthen(set);
    if (status == STRATA_MISS)
        return ++set->rounds == ROUNDS ? STRATA_ERR_BUSY : versions_make(set);
    return status;
}

static void on_read(struct sta_read *read)
{
    struct sta_tags_set *set = STA_CONTAINER(read, struct sta_tags_set, read);
    set->stepped(set);
}

static void send_read(struct sta_tags_set *set)
{
    sta_read_send(&set->read);
}

static int versions_read(struct sta_tags_set *set)
{
    set->hears = sta_coherence_hears(set->cache);
    set->read = (struct sta_read){
        .cache = set->cache,
        .keys = set->keys,
        .count = set->count,
        .values = set->values,
        .statuses = set->statuses,
        .l1_asked = !set->hears,
        .done = on_read,
    };
    memset(set->values, 0, sizeof set->values);
    set->send = send_read;
    set->next = versions_read_over;
    if (sta_read_begin(&set->read, set->begun_ns) == STRATA_MORE)
        return STRATA_MORE;
    return versions_read_over(set);
}

static void on_added(struct sta_batch *batch, uint32_t tag, int status, struct strata_bytes replies)
{
    struct sta_tags_set *set = STA_CONTAINER(batch, struct sta_tags_set, batch);
    struct sta_cache *cache = set->cache;
    set->statuses[tag] = status == STRATA_OK ? sta_batch_read_add(replies) : status;
    if (cache->l1 != NULL) { /* that there was none */
        struct sta_key key = sta_l1_key(cache->l1, set->keys[tag]);
        (void)sta_l1_invalidate(cache->l1, &key, sta_loop_now_ns(cache->loop) / STA_NS_MS, NULL);
    }
}

static void on_add_ended(struct sta_batch *batch)
{
    struct sta_tags_set *set = STA_CONTAINER(batch, struct sta_tags_set, batch);
    set->stepped(set);
}

static int versions_made(struct sta_tags_set *set)
{
    int status = STRATA_OK;
    sta_batch_fini(&set->batch);
    for (size_t i = 0; i < set->count && status == STRATA_OK; i++)
        status = set->statuses[i] < 0 ? set->statuses[i] : STRATA_OK;
    if (status != STRATA_OK)
        return status;
    return STA_MUTANT(TAG_MADE) ? sta_tags_set_write(set) : versions_read(set);
}

static int versions_append(struct sta_tags_set *set, uint64_t *random)
{
    for (size_t i = 0; i < set->count; i++) {
        char text[STA_TAGS_VERSION_LEN + 1];
        if (set->statuses[i] != STRATA_MISS)
            continue;
        uint64_t version = STA_MUTANT(TAG_WORD) ? 1 : sta_random_next(random);
        set->envelope.tags[i].version = version; /* unless others are first */
        (void)snprintf(text, sizeof text, "%016" PRIx64, version);
        int status = sta_batch_add(&set->batch, (uint32_t)i, set->keys[i], strata_text(text),
                                   sta_tags_ttl_ms(set->ttl_ms));
        if (status < 0)
            return status;
    }
    return STRATA_OK;
}

static void send_add(struct sta_tags_set *set)
{
    sta_batch_submit(&set->batch, sta_tags_set_deadline_ns(set));
}

/* Makes versions of what has none; somebody else may be first. */
static int versions_make(struct sta_tags_set *set)
{
    uint64_t random = sta_random_seed();
    sta_batch_init(&set->batch, set->cache->l2, set->cache->prefix, on_added, on_add_ended);
    set->send = send_add;
    set->next = versions_made;
    int status = versions_append(set, &random);
    if (status == STRATA_OK)
        return STRATA_MORE;
    sta_batch_fini(&set->batch);
    return status;
}

/* ---- the call ---- */

static int name_all(struct sta_tags_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        int status = sta_tags_name(&set->names[i], set->tags[i]);
        if (status < 0)
            return status;
        set->keys[i] = sta_tags_key(&set->names[i]);
        set->envelope.tags[i].name = set->tags[i];
    }
    return STRATA_OK;
}

static int check(struct sta_tags_set *set)
{
    if (set->count == 0 || set->count > STA_ENVELOPE_TAGS_MOST)
        return STRATA_ERR_INVALID;
    int status = sta_tags_may(set->cache);
    if (status == STRATA_OK)
        status = sta_cache_check_key(set->item.key);
    if (status == STRATA_OK)
        status = sta_cache_check_value(set->item.value);
    return status == STRATA_OK ? name_all(set) : status;
}

static int settle(struct sta_tags_set *set, int status)
{
    if (status != STRATA_MORE)
        sta_buffer_fini(&set->stored);
    return status;
}

int sta_tags_set_begin(struct sta_tags_set *set, uint64_t now_ns)
{
    set->begun_ns = now_ns;
    set->ttl_ms = sta_tiers_ttl_ms(set->cache, &set->item); /* of tags and value alike */
    set->rounds = 0;
    set->longer = 0;
    set->envelope = (struct sta_envelope){.tag_count = set->count, .value = set->item.value};
    sta_buffer_init(&set->stored,
                    STA_BATCH_WIRE_MAX); /* the value alone is bounded, not its head */
    int status = check(set);
    if (status == STRATA_OK)
        status = versions_read(set);
    return settle(set, status);
}

int sta_tags_set_step(struct sta_tags_set *set)
{
    return settle(set, set->next(set));
}

void sta_tags_set_send(struct sta_tags_set *set)
{
    set->send(set);
}

struct waiting {
    struct sta_tags_set set;
    struct sta_waiter waiter;
};

static void on_stepped(struct sta_tags_set *set)
{
    sta_waiter_signal(&STA_CONTAINER(set, struct waiting, set)->waiter);
}

int sta_tags_set(struct sta_cache *cache, const struct strata_item *item,
                 const struct strata_bytes *tags, size_t count, uint64_t now_ns)
{
    struct waiting waiting;
    waiting.set.cache = cache;
    waiting.set.item = *item;
    waiting.set.tags = tags;
    waiting.set.count = count;
    waiting.set.stepped = on_stepped;
    int status = sta_tags_set_begin(&waiting.set, now_ns);
    while (status == STRATA_MORE) {
        sta_waiter_init(&waiting.waiter, cache->loop);
        sta_tags_set_send(&waiting.set);
        sta_waiter_wait(&waiting.waiter);
        status = sta_tags_set_step(&waiting.set);
    }
    return status;
}
