/* SPDX-License-Identifier: MIT
 *
 * The second half of a read that brought values with tags (tags.h): the versions that L1 does not
 * have are asked for, and values of which one is another are none.
 *
 *     first batch ended --all versions known--> settled
 *                         '--GET each other--> kept in L1, compared --> settled
 *
 * A version is asked for after its value has come, so that it cannot be older. L1 has the value by
 * then, as it has any other when it has come, and not later: what comes behind it is newer, and
 * must not be replaced by it. Who finds it there asks for the versions himself. On the loop's
 * thread.
 */
#include <stdlib.h>

#include "cache/coherence.h"
#include "cache/read_inside.h"
#include "cache/tags.h"
#include "cache/tiers.h"
#include "cache/value.h"
#include "core/clock.h"
#include "core/mutant.h"
#include "strata/status.h"

/* A version that is asked for. */
struct sta_read_version {
    struct sta_read_missing *missing;
    size_t tag;
    struct sta_l1_token token;
};

static void fail(struct sta_read *read, const struct sta_read_missing *missing, int status)
{
    sta_value_release(&read->values[missing->index]);
    read->statuses[missing->index] = status;
}

static bool is_open(const struct sta_read *read, const struct sta_read_missing *missing)
{
    return missing->tagged && read->statuses[missing->index] == STRATA_OK;
}

/* It was read before; what is stored has not changed since. */
static void open_stored(const struct sta_read *read, const struct sta_read_missing *missing,
                        struct sta_envelope *envelope)
{
    (void)sta_envelope_read(read->values[missing->index].bytes, envelope);
}

/* What is still there is handed out without its head. */
static void open_all(struct sta_read *read)
{
    for (size_t i = 0; i < read->missing_count; i++) {
        const struct sta_read_missing *missing = &read->missing[i];
        struct sta_envelope envelope;
        if (!is_open(read, missing))
            continue;
        open_stored(read, missing, &envelope);
        read->values[missing->index].bytes = envelope.value; /* within the same block */
    }
}

/* ---- the second batch ---- */

/* L1 learns of it, in order. */
static void version_keep(struct sta_read *read, struct sta_read_missing *tag, int status,
                         struct strata_bytes text, uint64_t ttl_ms, uint64_t now_ms)
{
    if (STA_MUTANT(TAG_FILL))
        tag->token = sta_l1_token(read->cache->l1, &tag->key);
    if (status != STRATA_OK && STA_MUTANT(TAG_GONE))
        return;
    if (status != STRATA_OK)
        sta_read_keep_nothing(read, tag, now_ms);
    else if (STA_MUTANT(TAG_ADMIT) ||
             sta_coherence_admit(read->cache, &tag->key, read->batch.source, &tag->token, now_ms))
        sta_read_keep(read, tag, now_ms, text, ttl_ms, false);
}

static int version_answered(struct sta_read *read, const struct sta_read_version *version,
                            int status, struct strata_bytes replies, uint64_t now_ms)
{
    struct sta_cache *cache = read->cache;
    struct sta_envelope envelope;
    struct sta_tags_name name;
    struct strata_bytes text = {0};
    uint64_t ttl_ms = 0, current;
    if (status == STRATA_OK)
        status = sta_batch_read_get(replies, &text, &ttl_ms);
    if (status < 0)
        return status;
    open_stored(read, version->missing, &envelope);
    const struct sta_envelope_tag *wanted = &envelope.tags[version->tag];
    (void)sta_tags_name(&name, wanted->name);
    if (sta_coherence_hears(cache)) {
        struct sta_read_missing tag = {.key = sta_l1_key(cache->l1, sta_tags_key(&name)),
                                       .token = version->token};
        version_keep(read, &tag, status, text, ttl_ms, now_ms);
    }
    bool same = status == STRATA_OK && sta_tags_read(text, &current) && current == wanted->version;
    return same || STA_MUTANT(TAG_ANSWER) ? STRATA_OK : STRATA_MISS;
}

static void on_answered(struct sta_batch *batch, uint32_t tag, int status,
                        struct strata_bytes replies)
{
    struct sta_read *read = STA_CONTAINER(batch, struct sta_read, batch);
    const struct sta_read_version *version = &read->versions[tag];
    uint64_t now_ms = sta_loop_now_ns(read->cache->loop) / STA_NS_MS;
    if (!is_open(read, version->missing))
        return; /* another of its tags is not current */
    status = version_answered(read, version, status, replies, now_ms);
    if (status < 0)
        sta_tiers_count(&read->cache->l2_counters.errors);
    if (status != STRATA_OK)
        fail(read, version->missing, status);
}

static void on_ended(struct sta_batch *batch)
{
    struct sta_read *read = STA_CONTAINER(batch, struct sta_read, batch);
    open_all(read);
    free(read->versions);
    read->versions = NULL;
    read->versions_over(batch);
}

static int ask(struct sta_read *read, struct sta_read_missing *missing, size_t tag_at,
               const struct sta_envelope_tag *tag)
{
    struct sta_cache *cache = read->cache;
    struct sta_tags_name name;
    uint32_t at = read->batch.count;
    struct sta_read_version *version = &read->versions[at];
    *version = (struct sta_read_version){.missing = missing, .tag = tag_at};
    (void)sta_tags_name(&name, tag->name);
    if (cache->l1 == NULL)
        return sta_batch_get_value(&read->batch, at, sta_tags_key(&name));
    struct sta_key key = sta_l1_key(cache->l1, sta_tags_key(&name));
    version->token = sta_l1_token(cache->l1, &key);
    return sta_batch_get(&read->batch, at, key.bytes);
}

static int ask_for(struct sta_read *read, struct sta_read_missing *missing, uint64_t now_ms)
{
    struct sta_envelope envelope;
    int status = STRATA_OK;
    open_stored(read, missing, &envelope);
    for (size_t i = 0; i < envelope.tag_count && status == STRATA_OK; i++) {
        status = sta_tags_ask_l1(read->cache, &envelope.tags[i], now_ms);
        if (status == STRATA_MORE)
            status = ask(read, missing, i, &envelope.tags[i]);
    }
    return status;
}

bool sta_read_tagged_settle(struct sta_read *read, void (*over)(struct sta_batch *batch))
{
    struct sta_cache *cache = read->cache;
    uint64_t now_ms = sta_loop_now_ns(cache->loop) / STA_NS_MS;
    if (read->tagged == 0)
        return false;
    sta_batch_fini(&read->batch);
    sta_batch_init(&read->batch, cache->l2, cache->prefix, on_answered, on_ended);
    if (cache->l2 != NULL) /* else it is being closed, and others of the batch were not answered */
        read->versions =
            malloc(read->tagged * STA_ENVELOPE_TAGS_MOST * sizeof(struct sta_read_version));
    for (size_t i = 0; i < read->missing_count; i++) {
        struct sta_read_missing *missing = &read->missing[i];
        if (!is_open(read, missing))
            continue;
        int status = cache->l2 == NULL        ? STRATA_ERR_CLOSED
                     : read->versions == NULL ? STRATA_ERR_NOMEM
                                              : ask_for(read, missing, now_ms);
        if (status != STRATA_OK)
            fail(read, missing, status);
    }
    read->tagged = 0;
    read->versions_over = over;
    if (read->batch.count > 0) {
        sta_batch_start(&read->batch,
                        sta_clock_after(read->begun_ns, sta_live(&cache->live.budget_ns)));
        return true;
    }
    open_all(read);
    free(read->versions);
    read->versions = NULL;
    return false;
}
