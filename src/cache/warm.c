/* SPDX-License-Identifier: MIT
 *
 * See warm.h.
 */
#include "cache/warm.h"

#include <stdlib.h>
#include <time.h>

#include "cache/tiers.h"
#include "cache/value.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/nap.h"
#include "core/pace.h"
#include "net/waiter.h"
#include "strata/status.h"

#define VALUE_GUESS  1024u /* bytes, before anything was read */
#define RATE_PERIODS 10u   /* batches a second at least, where there is a rate */
#define TELL_EVERY   1000u /* saved values */

struct warming {
    struct sta_cache *cache;
    const struct strata_warm_options *options;
    struct strata_warm_progress *progress;
    uint64_t begun_ns;
    uint64_t owed_ns; /* rests saved up */
    uint64_t read;    /* values, and their bytes with those of their keys */
    uint64_t read_bytes;

    /* The batch: names one behind the other, and how long each is; and a name that is to begin the
     * next one. */
    struct sta_buffer names;
    struct sta_buffer held;
    size_t cap, count;
    uint16_t *lengths;
    struct strata_bytes *keys;
    struct strata_value *values;
    int *statuses;
};

struct batch_read {
    struct sta_read read;
    struct sta_waiter waiter;
};

int sta_warm_save(struct sta_cache *cache, const char *path, const struct sta_hot_bounds *bounds,
                  uint64_t *saved, struct strata_error *error)
{
    struct sta_hot_bounds effective = *bounds;
    effective.no_flags = STA_TIERS_ABSENT | STA_TIERS_NONE;
    return sta_hot_set_save(cache->l1, path, &effective, saved, error);
}

/* ---- the batch ---- */

static int warming_init(struct warming *warming)
{
    uint64_t cap = warming->options->batch_size, rate = warming->options->rate;
    if (rate != STRATA_UNLIMITED && cap > rate / RATE_PERIODS)
        cap = rate >= RATE_PERIODS ? rate / RATE_PERIODS : 1;
    warming->cap = (size_t)cap;
    sta_buffer_init(&warming->names, SIZE_MAX);
    sta_buffer_init(&warming->held, SIZE_MAX);
    warming->lengths = calloc(cap, sizeof *warming->lengths);
    warming->keys = calloc(cap, sizeof *warming->keys);
    warming->values = calloc(cap, sizeof *warming->values);
    warming->statuses = calloc(cap, sizeof *warming->statuses);
    bool made = warming->lengths != NULL && warming->keys != NULL && warming->values != NULL &&
                warming->statuses != NULL;
    return made ? STRATA_OK : STRATA_ERR_NOMEM;
}

static void warming_fini(struct warming *warming)
{
    sta_buffer_fini(&warming->names);
    sta_buffer_fini(&warming->held);
    free(warming->lengths);
    free(warming->keys);
    free(warming->values);
    free(warming->statuses);
}

/* What so many values are likely to take. */
static uint64_t likely_bytes(const struct warming *warming, uint64_t count)
{
    uint64_t mean = warming->read > 0 ? warming->read_bytes / warming->read : VALUE_GUESS;
    return mean * count;
}

static bool tell(const struct warming *warming)
{
    const struct strata_warm_options *options = warming->options;
    return options->progress == NULL ||
           options->progress(options->progress_arg, warming->progress) == 0;
}

/* Whether L1 has room for the batch and one more; in its namespace, for `count` of them. */
static bool fits(const struct warming *warming, const struct sta_key *key, uint64_t count)
{
    return sta_l1_has_room(warming->cache->l1, key, count, likely_bytes(warming, count));
}

/* Puts a name into the batch, unless there is no need or no room for it. STRATA_MISS: there is none
 * in the tier. STRATA_MORE: perhaps none in its namespace, as long as this batch is not there. */
static int batch_add(struct warming *warming, struct strata_bytes name)
{
    struct strata_warm_progress *progress = warming->progress;
    struct sta_l1 *l1 = warming->cache->l1;
    uint64_t count = warming->count + 1;
    struct sta_key key = sta_l1_key(l1, name);
    bool valid = sta_cache_check_key(name) == STRATA_OK;
    if (valid && sta_l1_has(l1, &key, sta_clock_now_ms())) {
        progress->there++;
    } else if (valid && !fits(warming, NULL, count)) {
        progress->full = 1;
        return STRATA_MISS;
    } else if (!valid || !fits(warming, &key, 1)) {
        progress->refused++;
    } else if (!fits(warming, &key, count)) {
        return STRATA_MORE;
    } else {
        int status = sta_buffer_append(&warming->names, name);
        if (status < 0)
            return status;
        warming->lengths[warming->count++] = (uint16_t)name.len;
    }
    progress->named++;
    return STRATA_OK;
}

static int next_name(struct warming *warming, const struct sta_warm_config *config,
                     struct strata_bytes *name)
{
    if (sta_buffer_len(&warming->held) > 0) {
        *name = sta_buffer_bytes(&warming->held);
        return STRATA_OK;
    }
    return config->next(config->source, name);
}

/* STRATA_OK: the batch is to be read, and there may be more; STRATA_MISS: there are no more. */
static int batch_gather(struct warming *warming, const struct sta_warm_config *config)
{
    int status = STRATA_OK;
    sta_buffer_truncate(&warming->names, 0);
    warming->count = 0;
    while (status == STRATA_OK && warming->count < warming->cap) {
        struct strata_bytes name;
        if (warming->progress->named >= warming->options->max_keys)
            return STRATA_MISS;
        status = next_name(warming, config, &name);
        if (status != STRATA_OK)
            break;
        bool held = sta_buffer_len(&warming->held) > 0;
        status = batch_add(warming, name);
        if (status == STRATA_MORE)
            return held ? STRATA_OK : sta_buffer_append(&warming->held, name);
        sta_buffer_truncate(&warming->held, 0);
    }
    return status;
}

static void read_done(struct sta_read *read)
{
    sta_waiter_signal(&STA_CONTAINER(read, struct batch_read, read)->waiter);
}

/* L1 was asked: a miss of our making is none of its users'. */
static void batch_read(struct warming *warming)
{
    const uint8_t *at = sta_buffer_bytes(&warming->names).data;
    for (size_t i = 0; i < warming->count; i++) {
        warming->keys[i] = strata_bytes(at, warming->lengths[i]);
        warming->values[i] = (struct strata_value){0};
        at += warming->lengths[i];
    }
    struct batch_read call = {
        .read = {.cache = warming->cache,
                 .keys = warming->keys,
                 .count = warming->count,
                 .values = warming->values,
                 .statuses = warming->statuses,
                 .l1_asked = true,
                 .done = read_done},
    };
    if (sta_read_begin(&call.read, sta_clock_now_ns()) == STRATA_OK)
        return;
    sta_waiter_init(&call.waiter, sta_cache_loop(warming->cache));
    sta_read_send(&call.read);
    sta_waiter_wait(&call.waiter);
}

/* STRATA_OK; where no key was answered, why. */
static int batch_settle(struct warming *warming)
{
    struct strata_warm_progress *progress = warming->progress;
    int failure = STRATA_OK;
    uint64_t failed = 0;
    for (size_t i = 0; i < warming->count; i++) {
        int status = warming->statuses[i];
        if (status == STRATA_OK) {
            struct sta_key key = sta_l1_key(warming->cache->l1, warming->keys[i]);
            bool kept = sta_l1_has(warming->cache->l1, &key, sta_clock_now_ms());
            progress->warmed += kept;
            progress->refused += !kept;
            warming->read++;
            warming->read_bytes += warming->keys[i].len + warming->values[i].bytes.len;
        } else if (status == STRATA_MISS) {
            progress->missing++;
        } else {
            failed++;
            if (status < 0)
                failure = status;
        }
        sta_value_release(&warming->values[i]);
    }
    progress->failed += failed;
    return failed == warming->count ? failure : STRATA_OK;
}

static void rest(struct warming *warming, uint64_t took_ns)
{
    uint64_t rate = warming->options->rate, now_ns = sta_clock_now_ns();
    uint64_t rest_ns = sta_pace_rest_ns(&warming->owed_ns, warming->options->share, took_ns);
    if (rate != STRATA_UNLIMITED) {
        const struct strata_warm_progress *progress = warming->progress;
        uint64_t due_ns =
            sta_pace_due_ns(warming->begun_ns, progress->named - progress->there, rate);
        if (due_ns > now_ns && due_ns - now_ns > rest_ns)
            rest_ns = due_ns - now_ns;
    }
    if (rest_ns > 0)
        sta_nap_ns(rest_ns);
}

static int run(struct warming *warming, const struct sta_warm_config *config)
{
    for (;;) {
        int more = batch_gather(warming, config);
        uint64_t now_ns = sta_clock_now_ns();
        if (warming->count > 0)
            batch_read(warming);
        int status = batch_settle(warming);
        if (status < 0 || more < 0)
            return status < 0 ? status : more;
        if (!tell(warming))
            return STRATA_MORE;
        if (more == STRATA_MISS)
            return STRATA_OK;
        rest(warming, sta_clock_now_ns() - now_ns);
    }
}

int sta_warm_run(struct sta_cache *cache, const struct sta_warm_config *config,
                 struct strata_warm_progress *progress)
{
    struct warming warming = {.cache = cache,
                              .options = config->options,
                              .progress = progress,
                              .begun_ns = sta_clock_now_ns()};
    int status = warming_init(&warming);
    if (status == STRATA_OK)
        status = run(&warming, config);
    warming_fini(&warming);
    return status;
}

/* ---- saved values ---- */

int sta_warm_next_saved(struct sta_hot_reader *reader, struct sta_hot_record *record,
                        struct strata_warm_progress *progress)
{
    int status = sta_hot_reader_next(reader, record);
    if (status != STRATA_ERR_PROTOCOL)
        return status;
    progress->torn = 1;
    return STRATA_MISS;
}

/* The token before the look: whatever is set in between overtakes it. */
static int restore_record(struct warming *warming, const struct sta_hot_record *record,
                          uint64_t left_ms)
{
    struct sta_cache *cache = warming->cache;
    struct strata_warm_progress *progress = warming->progress;
    struct sta_key key = sta_l1_key(cache->l1, record->key);
    struct sta_l1_token token = sta_l1_token(cache->l1, &key);
    uint64_t now_ms = sta_clock_now_ms(), bytes = record->key.len + record->value.len;
    if (sta_l1_has(cache->l1, &key, now_ms)) {
        progress->there++;
    } else if (left_ms == 0) {
        progress->missing++;
    } else if (!sta_l1_has_room(cache->l1, NULL, 1, bytes)) {
        progress->full = 1;
        return STRATA_MISS;
    } else if (token.generation != 0 || !sta_l1_has_room(cache->l1, &key, 1, bytes)) {
        progress->refused++;
    } else {
        struct sta_l1_entry entry = {
            .value = record->value,
            .deadline_ms = sta_cache_l1_deadline(cache, left_ms, now_ms),
        };
        int status = sta_l1_fill(cache->l1, &key, &entry, token, now_ms);
        if (status < 0)
            return status;
        progress->warmed += status == STRATA_OK;
        progress->refused += status != STRATA_OK;
    }
    progress->named++;
    return STRATA_OK;
}

static int restore_next(struct warming *warming, struct sta_hot_reader *reader)
{
    struct sta_hot_record record;
    struct timespec now;
    if (warming->progress->named >= warming->options->max_keys)
        return STRATA_MISS;
    int status = sta_warm_next_saved(reader, &record, warming->progress);
    if (status != STRATA_OK)
        return status;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t wall_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / STA_NS_MS;
    return restore_record(warming, &record,
                          sta_hot_record_left_ms(&reader->head, &record, wall_ms));
}

int sta_warm_restore(struct sta_cache *cache, struct sta_hot_reader *reader,
                     const struct strata_warm_options *options,
                     struct strata_warm_progress *progress)
{
    struct warming warming = {.cache = cache, .options = options, .progress = progress};
    for (uint64_t count = 1;; count++) {
        int status = restore_next(&warming, reader);
        bool told = status != STRATA_OK || count % TELL_EVERY == 0;
        if (told && !tell(&warming))
            return STRATA_MORE;
        if (status != STRATA_OK)
            return status == STRATA_MISS ? STRATA_OK : status;
    }
}
