/* SPDX-License-Identifier: MIT
 *
 * The way of a read through the tiers.
 *
 *   sta_read_begin           caller's thread
 *     read_begin_some        keys are hashed, some at a time
 *     read_l1_key            every key asks L1: a lease, or the key is missing
 *     sta_behind_get         with write-behind: what is owed to Redis for it
 *     read_add_missing       its fill token is taken, and its question joins the request
 *   sta_read_send            caller's thread: one batch for all that are missing
 *   read_answered            loop's thread, for each of them
 *     read_finish_key        copies the value out, fills L1 under the token
 *   read_ended, read->done
 *
 *   sta_read_copy            a single key before all that: L1 copies, or the read above begins
 *
 * A hit in L1 takes no memory, no lock of this room and no system call.
 */
#include "cache/cache.h"

#include <stdlib.h>
#include <string.h>

#include "cache/aged.h"
#include "cache/behind.h"
#include "cache/coherence.h"
#include "cache/read_inside.h"
#include "cache/tags.h"
#include "cache/tiers.h"
#include "cache/value.h"
#include "core/clock.h"
#include "core/mutant.h"
#include "strata/status.h"

/* Keys of a batch whose memory is fetched together. */
#define READ_AT_ONCE 32u

/* What is no plain value: STRATA_OK with the lease's value the one that is meant; STRATA_MISS;
 * STRATA_MORE: it is past its time, or L1 does not know that its tags are current. *counts: as
 * what. */
static int judge_flagged(struct sta_cache *cache, struct sta_l1_lease *lease, uint64_t now_ms,
                         enum sta_l1_counter *counts)
{
    struct sta_aged aged = {.fresh_until_ms = STA_NEVER};
    int status = STRATA_OK;
    *counts = STA_L1_hits;
    if ((lease->flags & STA_TIERS_ABSENT) != 0)
        return STRATA_MISS;
    if ((lease->flags & STA_TIERS_AGED) != 0)
        lease->value = sta_aged_open(lease->value, &aged);
    if (now_ms >= aged.fresh_until_ms) {
        *counts = STA_L1_misses_expired;
        return STRATA_MORE;
    }
    if ((lease->flags & STA_TIERS_TAGGED) != 0)
        status = sta_tags_open(cache, &lease->value, now_ms);
    if (status != STRATA_OK)
        *counts = sta_tags_miss_reason(status);
    return status == STRATA_OK ? STRATA_OK : STRATA_MORE;
}

/* The same, and it is counted: L1 has left that to us. */
static int read_l1_flagged(struct sta_cache *cache, const struct sta_key *key,
                           struct sta_l1_lease *lease, uint64_t now_ms)
{
    enum sta_l1_counter counts;
    int status = judge_flagged(cache, lease, now_ms, &counts);
    sta_tiers_count_l1(cache, key, counts, lease->value.len);
    return status;
}

/* Answers one key from L1; STRATA_MORE where L2 has to be asked. */
static int read_l1_key(struct sta_read *read, struct sta_key *key, struct strata_value *value)
{
    struct sta_l1_lease lease = {0};
    if (sta_l1_get(read->cache->l1, key, read->begun_ns / STA_NS_MS, &lease) != STRATA_OK) {
        sta_prefixes_miss(read->cache->prefixes, STA_TIMING_L1, key->bytes);
        return STRATA_MORE;
    }
    int status = STRATA_OK;
    if (lease.flags != 0)
        status = read_l1_flagged(read->cache, key, &lease, read->begun_ns / STA_NS_MS);
    else
        sta_prefixes_hit(read->cache->prefixes, STA_TIMING_L1, key->bytes, lease.value.len);
    if (status == STRATA_OK)
        sta_value_from_lease(value, read->cache->l1, &lease);
    else
        sta_l1_release(read->cache->l1, &lease);
    return status;
}

static void read_answered(struct sta_batch *batch, uint32_t tag, int status,
                          struct strata_bytes replies);
static void read_ended(struct sta_batch *batch);

/* L1 has an entry of the key, and does not answer it because nobody vouches for it. */
static bool read_doubts(const struct sta_read *read, const struct sta_key *key)
{
    struct sta_l1 *l1 = read->cache->l1;
    struct sta_l1_lease lease = {0};
    if (l1 == NULL || sta_l1_peek(l1, key, read->begun_ns / STA_NS_MS, &lease) != STRATA_OK)
        return false;
    bool suspect = lease.suspect;
    sta_l1_release(l1, &lease);
    return suspect;
}

static int read_add_missing(struct sta_read *read, const struct sta_key *key,
                            struct sta_l1_token token, size_t index)
{
    if (read->missing == NULL) {
        read->missing = calloc(read->count, sizeof *read->missing);
        if (read->missing == NULL)
            return STRATA_ERR_NOMEM;
        sta_batch_init(&read->batch, read->cache->l2, read->cache->prefix, read_answered,
                       read_ended);
        sta_batch_expect(&read->batch, read->count - index);
    }
    if (sta_invalidate_hides(&read->cache->invalidate, key->bytes))
        return STRATA_MISS;
    uint32_t tag = (uint32_t)read->missing_count;
    bool suspect = read_doubts(read, key);
    read->batch.hurried =
        suspect && sta_live(&read->cache->live.serve_stale) == STRATA_SERVE_STALE_ERROR;
    int status = read->cache->l1 != NULL ? sta_batch_get(&read->batch, tag, key->bytes)
                                         : sta_batch_get_value(&read->batch, tag, key->bytes);
    if (status < 0)
        return status;
    struct sta_read_missing *missing = &read->missing[read->missing_count++];
    *missing =
        (struct sta_read_missing){.key = *key, .token = token, .index = index, .suspect = suspect};
    read->suspects += suspect;
    return STRATA_MORE;
}

/* Answers one key where it stands now; STRATA_MORE: it waits for L2. */
static int read_begin_key(struct sta_read *read, struct sta_key *key, size_t index)
{
    struct sta_cache *cache = read->cache;
    struct sta_l1_token token = {0};
    int status = STRATA_MORE;
    if (cache->l1 != NULL && !read->l1_asked)
        status = read_l1_key(read, key, &read->values[index]);
    if (status != STRATA_MORE)
        return status;
    if (cache->l1 != NULL)
        token = sta_l1_token(cache->l1, key);
    /* Both after the token: who sees nothing here and is overtaken does not fill. */
    if (cache->behind != NULL)
        status = sta_behind_get(cache->behind, key, read->begun_ns, &read->values[index]);
    if (status != STRATA_MORE)
        return status;
    if (cache->l2 == NULL || (cache->l1 != NULL && !cache->config.read_through))
        return STRATA_MISS;
    if (read->found == NULL && !STA_MUTANT(VEIL_ANSWER) &&
        sta_barriers_hides(&cache->barriers, key->bytes, read->begun_ns))
        return STRATA_MISS;
    return read_add_missing(read, key, token, index);
}

/* Hashes some keys, lets L1 fetch what it will look at for all of them at once, then looks. */
static void read_begin_some(struct sta_read *read, size_t from, size_t count)
{
    struct sta_l1 *l1 = read->cache->l1;
    struct sta_key keys[READ_AT_ONCE];
    for (size_t i = 0; i < count; i++) {
        const struct strata_bytes *bytes = &read->keys[from + i];
        int status = sta_cache_check_key(*bytes);
        bool hashed = status == STRATA_OK && l1 != NULL;
        keys[i] = hashed ? sta_l1_key(l1, *bytes) : (struct sta_key){.bytes = *bytes};
        read->statuses[from + i] = status;
    }
    if (l1 != NULL && count > 1)
        sta_l1_prefetch(l1, keys, count);
    for (size_t i = 0; i < count; i++) {
        if (read->statuses[from + i] == STRATA_OK)
            read->statuses[from + i] = read_begin_key(read, &keys[i], from + i);
    }
}

/* L1 could not keep what is handed out: what it has of the key may be older, and nobody shall get
 * it after this. Where it has nothing, nobody's token is spent. */
static void read_drop_older(struct sta_read *read, const struct sta_read_missing *missing,
                            uint64_t now_ms)
{
    struct sta_l1 *l1 = read->cache->l1;
    struct sta_l1_lease lease = {0};
    if (STA_MUTANT(NEWER) || sta_l1_peek(l1, &missing->key, now_ms, &lease) != STRATA_OK)
        return;
    sta_l1_release(l1, &lease);
    (void)sta_l1_invalidate(l1, &missing->key, now_ms, NULL);
}

void sta_read_keep_nothing(struct sta_read *read, const struct sta_read_missing *missing,
                           uint64_t now_ms)
{
    struct sta_l1_token token;
    if (read->cache->l1 != NULL &&
        sta_coherence_admit(read->cache, &missing->key, read->batch.source, &token, now_ms))
        read_drop_older(read, missing, now_ms);
}

/* Whether a barrier hides what Redis has of the key: it is handed out to nobody, and not kept. */
static bool read_is_hidden(struct sta_read *read, const struct sta_read_missing *missing)
{
    return sta_barriers_hides(&read->cache->barriers, missing->key.bytes, read->begun_ns);
}

void sta_read_keep(struct sta_read *read, const struct sta_read_missing *missing, uint64_t now_ms,
                   struct strata_bytes stored, uint64_t ttl_ms, bool aged)
{
    struct sta_aged_entry entry = {
        .key = &missing->key,
        .stored = stored,
        .ttl_ms = ttl_ms,
        /* When the read began: the TTL was measured later, so this can only be early. */
        .since_ms = read->begun_ns / STA_NS_MS,
        .aged = aged,
        .token = missing->token,
    };
    bool hidden = read_is_hidden(read, missing) && !STA_MUTANT(VEIL_FILL);
    if (hidden || sta_aged_fill(read->cache, &entry, now_ms) != STRATA_OK)
        read_drop_older(read, missing, now_ms);
}

/* Stores in L1 what L2 answered, unless something overtook it. */
static void read_fill(struct sta_read *read, struct sta_read_missing *missing, uint64_t now_ms,
                      struct strata_bytes stored, uint64_t ttl_ms)
{
    struct sta_cache *cache = read->cache;
    if (cache->l1 != NULL &&
        sta_coherence_admit(cache, &missing->key, read->batch.source, &missing->token, now_ms))
        sta_read_keep(read, missing, now_ms, stored, ttl_ms,
                      read->found != NULL && read->found[missing->index].aged);
}

/* That there is none (null values). */
static void read_fill_absent(struct sta_read *read, const struct sta_read_missing *missing,
                             uint64_t now_ms)
{
    struct sta_cache *cache = read->cache;
    uint64_t l1_ttl_ms = sta_live(&cache->live.l1_ttl_ms);
    uint64_t null_ttl_ms = sta_live(&cache->live.null_ttl_ms);
    uint64_t most_ms = sta_coherence_absent_ms(cache);
    struct sta_l1_token token = missing->token;
    if (cache->l1 == NULL || read_is_hidden(read, missing) ||
        !sta_coherence_admit(cache, &missing->key, read->batch.source, &token, now_ms))
        return;
    uint64_t bound = l1_ttl_ms < null_ttl_ms ? l1_ttl_ms : null_ttl_ms;
    bound = bound < most_ms ? bound : most_ms;
    struct sta_l1_entry entry = {
        .value = strata_bytes("", 0),
        .deadline_ms = sta_clock_after(read->begun_ns / STA_NS_MS, bound),
        .flags = STA_TIERS_ABSENT,
    };
    int status = sta_l1_fill(cache->l1, &missing->key, &entry, token, now_ms);
    if (status < 0)
        sta_tiers_count(&cache->l1_counters.errors);
    if (status != STRATA_OK)
        sta_read_keep_nothing(read, missing, now_ms);
}

static void read_count_hit(struct sta_read *read, const struct sta_read_missing *missing,
                           size_t bytes)
{
    read->answered_hits++;
    sta_prefixes_hit(read->cache->prefixes, STA_TIMING_L2, missing->key.bytes, bytes);
}

static void read_count_miss(struct sta_read *read, const struct sta_read_missing *missing)
{
    sta_tiers_count(&read->cache->l2_counters.misses);
    sta_prefixes_miss(read->cache->prefixes, STA_TIMING_L2, missing->key.bytes);
}

/* A value as it is stored; one that only stale ones are asked of is none. */
static int read_finish_value(struct sta_read *read, struct sta_read_missing *missing,
                             struct strata_bytes stored, uint64_t ttl_ms, uint64_t now_ms)
{
    struct sta_cache *cache = read->cache;
    struct sta_envelope envelope;
    sta_envelope_plain(&envelope, stored);
    if (sta_envelope_begins(stored) && sta_envelope_read(stored, &envelope) != STRATA_OK) {
        sta_tiers_count(&cache->l2_counters.errors);
        sta_read_keep_nothing(read, missing, now_ms);
        return STRATA_MISS;
    }
    if (read->found != NULL) {
        struct sta_read_found *found = &read->found[missing->index];
        found->ttl_ms = ttl_ms;
        int status = sta_value_from_bytes(&found->stored, stored);
        if (status < 0)
            return status;
    }
    bool fresh = envelope.stale_ms == 0 || sta_envelope_fresh_ms(&envelope, ttl_ms) > 0;
    if (fresh)
        read_count_hit(read, missing, envelope.value.len);
    else
        read_count_miss(read, missing);
    read_fill(read, missing, now_ms, STA_MUTANT(TAG_LOST) ? envelope.value : stored, ttl_ms);
    if (!fresh)
        return STRATA_MISS;
    if (envelope.tag_count > 0) {
        missing->tagged = true;
        read->tagged++;
        return sta_value_from_bytes(&read->values[missing->index], stored);
    }
    return sta_value_from_memory(&read->values[missing->index], envelope.value, read->batch.memory);
}

static int read_finish_key(struct sta_read *read, struct sta_read_missing *missing,
                           struct strata_bytes replies, uint64_t now_ms)
{
    struct sta_cache *cache = read->cache;
    struct strata_bytes stored;
    uint64_t ttl_ms;
    int status = sta_batch_read_get(replies, &stored, &ttl_ms);
    if (status == STRATA_MISS) {
        read_count_miss(read, missing);
        if (sta_live(&cache->live.null_values))
            read_fill_absent(read, missing, now_ms);
        else
            sta_read_keep_nothing(read, missing, now_ms);
        return STRATA_MISS;
    }
    if (status < 0) {
        sta_tiers_count(&cache->l2_counters.errors);
        return status;
    }
    return read_finish_value(read, missing, stored, ttl_ms, now_ms);
}

static void read_fini(struct sta_read *read)
{
    if (read->missing == NULL)
        return;
    free(read->missing);
    read->missing = NULL;
    sta_batch_fini(&read->batch);
}

/* Answers from what L1 has of a key: STRATA_STALE, or `otherwise`. */
static int read_serve_stale(struct sta_read *read, const struct sta_read_missing *missing,
                            const struct sta_l1_lease *lease, int otherwise, uint64_t now_ms)
{
    struct sta_aged aged = {.fresh_until_ms = STA_NEVER};
    struct strata_bytes value = lease->value;
    if ((lease->flags & STA_TIERS_AGED) != 0)
        value = sta_aged_open(value, &aged);
    /* Whether tags are current nobody can say; and past its time it is for who loads alone. */
    if ((lease->flags & (STA_TIERS_ABSENT | STA_TIERS_TAGGED)) != 0 ||
        now_ms >= aged.fresh_until_ms ||
        sta_value_from_bytes(&read->values[missing->index], value) != STRATA_OK)
        return otherwise;
    sta_tiers_count(&read->cache->stale);
    return STRATA_STALE;
}

/* Redis does not answer, and L1 has something that it would not answer by itself: as is wanted. */
static int read_unproven(struct sta_read *read, const struct sta_read_missing *missing, int status,
                         uint64_t now_ms)
{
    bool silent = status == STRATA_ERR_TIMEOUT || status == STRATA_ERR_UNAVAILABLE ||
                  status == STRATA_ERR_LOST || status == STRATA_ERR_BUSY;
    if (!silent)
        return status;
    struct sta_cache *cache = read->cache;
    uint64_t policy = sta_live(&cache->live.serve_stale); /* enum strata_serve_stale */
    bool wanted = policy == STRATA_SERVE_STALE_ON || policy == STRATA_SERVE_STALE_ERROR;
    struct sta_l1_lease lease = {0};
    if (!wanted || cache->l1 == NULL || read_is_hidden(read, missing) ||
        sta_l1_peek(cache->l1, &missing->key, now_ms, &lease) != STRATA_OK)
        return status;
    status = policy == STRATA_SERVE_STALE_ERROR
                 ? STRATA_ERR_UNPROVEN
                 : read_serve_stale(read, missing, &lease, status, now_ms);
    sta_l1_release(cache->l1, &lease);
    return status;
}

/* What is answered in one tick is counted together: else a batch makes three atomic additions for
 * each key. */
static void read_count_answered(struct sta_read *read)
{
    struct sta_cache *cache = read->cache;
    if (read->answered > 0)
        sta_timing_record_times(cache->timing, STA_TIMING_GET, STA_TIMING_L2, read->begun_ns,
                                read->answered_ns, read->answered);
    if (read->answered_hits > 0)
        sta_tiers_count_times(&cache->l2_counters.hits, read->answered_hits);
    read->answered = 0;
    read->answered_hits = 0;
}

/* L2 answered one key, or failed to. */
static void read_answered(struct sta_batch *batch, uint32_t tag, int status,
                          struct strata_bytes replies)
{
    struct sta_read *read = STA_CONTAINER(batch, struct sta_read, batch);
    struct sta_read_missing *missing = &read->missing[tag];
    uint64_t now_ns = sta_loop_now_ns(read->cache->loop), now_ms = now_ns / STA_NS_MS;
    if (read->answered_ns != now_ns)
        read_count_answered(read);
    read->answered_ns = now_ns;
    read->answered++;
    /* Not what Redis says of itself, which is an answer. */
    if (status == STRATA_ERR_UNAVAILABLE && missing->suspect)
        sta_repair_give_back(&read->cache->repair);
    if (status == STRATA_OK)
        status = read_finish_key(read, missing, replies, now_ms);
    else
        sta_tiers_count(&read->cache->l2_counters.errors);
    read->statuses[missing->index] = read_unproven(read, missing, status, now_ms);
}

/* What Redis answered, and a barrier hides. */
static void read_hide(struct sta_read *read)
{
    for (size_t i = 0; i < read->missing_count; i++) {
        const struct sta_read_missing *missing = &read->missing[i];
        int *status = &read->statuses[missing->index];
        bool has_value = *status == STRATA_OK || *status == STRATA_STALE;
        if ((!has_value && read->found == NULL) || !read_is_hidden(read, missing) ||
            STA_MUTANT(VEIL_ANSWER))
            continue;
        if (read->found != NULL)
            read->found[missing->index].hidden = true;
        if (has_value) {
            sta_value_release(&read->values[missing->index]);
            *status = STRATA_MISS;
        }
    }
}

static void read_over(struct sta_barriers_waiter *known)
{
    struct sta_read *read = STA_CONTAINER(known, struct sta_read, known);
    read_hide(read);
    read_fini(read);
    read->done(read);
}

static bool read_has_answers(const struct sta_read *read)
{
    for (size_t i = 0; i < read->missing_count; i++) {
        if (read->statuses[read->missing[i].index] >= 0)
            return true; /* that there is none is kept, too */
    }
    return false;
}

static void read_ended(struct sta_batch *batch)
{
    struct sta_read *read = STA_CONTAINER(batch, struct sta_read, batch);
    read_count_answered(read);
    if (sta_read_tagged_settle(read, read_ended))
        return; /* and once more when the versions are known */
    read->known.known = read_over;
    read->known.deadline_ns =
        sta_clock_after(read->begun_ns, sta_live(&read->cache->live.budget_ns));
    if (!read_has_answers(read) || !sta_barriers_defer(&read->cache->barriers, &read->known))
        read_over(&read->known);
}

/* A copy that is no plain value brought its head, and is made anew by lease. */
static int read_copy_flagged(struct sta_cache *cache, const struct sta_key *key, uint64_t now_ms,
                             struct sta_l1_copy *copy)
{
    struct sta_l1_lease lease = {0};
    enum sta_l1_counter counts = STA_L1_hits;
    int status = STRATA_OK;
    if (sta_l1_peek(cache->l1, key, now_ms, &lease) != STRATA_OK) {
        status = STRATA_MORE; /* gone since */
        counts = STA_L1_misses_invalidated;
    } else if (lease.suspect) {
        status = STRATA_MORE;
        counts = STA_L1_misses_suspect;
    } else if (lease.flags != 0) {
        status = judge_flagged(cache, &lease, now_ms, &counts);
    }
    sta_tiers_count_l1(cache, key, counts, lease.value.len);
    if (status == STRATA_OK) {
        size_t fits = lease.value.len < copy->cap ? lease.value.len : copy->cap;
        if (fits > 0)
            memcpy(copy->buffer, lease.value.data, fits);
        copy->len = lease.value.len;
    }
    sta_l1_release(cache->l1, &lease);
    return status;
}

int sta_read_copy(struct sta_cache *cache, struct strata_bytes key, uint64_t now_ns,
                  struct sta_l1_copy *copy)
{
    int status = sta_cache_check_key(key);
    if (status != STRATA_OK || cache->l1 == NULL)
        return status != STRATA_OK ? status : STRATA_MORE;
    struct sta_key hashed = sta_l1_key(cache->l1, key);
    struct sta_l1_copy got = *copy;
    if (sta_l1_copy(cache->l1, &hashed, now_ns / STA_NS_MS, &got) != STRATA_OK) {
        sta_prefixes_miss(cache->prefixes, STA_TIMING_L1, hashed.bytes);
        return STRATA_MORE;
    }
    if (sta_timing_samples(now_ns))
        sta_timing_sample(cache->timing, STA_TIMING_GET, now_ns);
    if (got.flags != 0)
        return read_copy_flagged(cache, &hashed, now_ns / STA_NS_MS, copy);
    sta_prefixes_hit(cache->prefixes, STA_TIMING_L1, hashed.bytes, got.len);
    *copy = got;
    return STRATA_OK;
}

int sta_read_begin(struct sta_read *read, uint64_t now_ns)
{
    read->begun_ns = now_ns;
    read->missing = NULL;
    read->missing_count = 0;
    read->tagged = 0;
    read->versions = NULL;
    read->suspects = 0;
    read->answered_ns = 0;
    read->answered = 0;
    read->answered_hits = 0;
    for (size_t i = 0; i < read->count; i += READ_AT_ONCE) {
        size_t left = read->count - i;
        read_begin_some(read, i, left < READ_AT_ONCE ? left : READ_AT_ONCE);
    }
    if (read->missing_count > 0)
        return STRATA_MORE;
    read_fini(read);
    if (read->count == 1 && read->cache->l1 != NULL && sta_timing_samples(now_ns))
        sta_timing_sample(read->cache->timing, STA_TIMING_GET, now_ns);
    return STRATA_OK;
}

static uint64_t read_deadline_ns(const struct sta_read *read)
{
    return sta_clock_after(read->begun_ns, sta_live(&read->cache->live.budget_ns));
}

void sta_read_send(struct sta_read *read)
{
    if (read->suspects > 0)
        sta_repair_submit(&read->cache->repair, read);
    else
        sta_batch_submit(&read->batch, read_deadline_ns(read));
}

void sta_read_start(struct sta_read *read)
{
    sta_batch_start(&read->batch, read_deadline_ns(read));
}

/* It was counted as a miss already; this look leaves no trace. */
static int read_l1_again(struct sta_read *read, const struct sta_read_missing *missing,
                         uint64_t now_ms)
{
    struct sta_l1 *l1 = read->cache->l1;
    struct sta_l1_lease lease = {0};
    if (sta_l1_peek(l1, &missing->key, now_ms, &lease) != STRATA_OK)
        return STRATA_MORE;
    enum sta_l1_counter counts;
    int status = lease.suspect ? STRATA_MORE : STRATA_OK;
    if (status == STRATA_OK && lease.flags != 0)
        status = judge_flagged(read->cache, &lease, now_ms, &counts);
    if (status == STRATA_OK)
        sta_value_from_lease(&read->values[missing->index], l1, &lease);
    else
        sta_l1_release(l1, &lease);
    return status;
}

/* Who keeps what is stored (`found`) has to have it from Redis. */
bool sta_read_ask_l1_again(struct sta_read *read, uint64_t now_ns)
{
    size_t asked = 0;
    int status = read->found == NULL ? STRATA_OK : STRATA_MORE;
    for (; asked < read->missing_count && status != STRATA_MORE; asked++) {
        const struct sta_read_missing *missing = &read->missing[asked];
        status = read_l1_again(read, missing, now_ns / STA_NS_MS);
        read->statuses[missing->index] = status;
    }
    if (status != STRATA_MORE) {
        read_fini(read);
        read->done(read);
        return true;
    }
    while (asked-- > 0)
        sta_value_release(&read->values[read->missing[asked].index]);
    return false;
}

void sta_read_fail(struct sta_read *read, int status)
{
    uint64_t now_ms = sta_loop_now_ns(read->cache->loop) / STA_NS_MS;
    for (size_t i = 0; i < read->missing_count; i++)
        read->statuses[read->missing[i].index] =
            read_unproven(read, &read->missing[i], status, now_ms);
    read_fini(read);
    read->done(read);
}
