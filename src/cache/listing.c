/* SPDX-License-Identifier: MIT
 *
 * Names of keys in both tiers; see listing.h.
 */
#include "cache/listing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/seen.h"
#include "cache/tags.h"
#include "cache/tiers.h"
#include "core/clock.h"
#include "core/glob.h"
#include "core/random.h"
#include "l2/scanner.h"
#include "net/waiter.h"
#include "strata/status.h"

#define NAMES_MAX  ((size_t)1 << 30)
#define LANE_WORDS ((STA_SLOT_MAP_NODES_MAX + 63) / 64)

/* The loop's half. Made and freed by the caller's, which posts one task at a time. */
struct feed {
    struct sta_cache *cache;
    struct sta_task task;

    /* Of the caller's, until it has posted the task, and of the loop's in the task. */
    struct wish {
        struct sta_waiter *waiter; /* NULL: nobody waits */
        struct sta_buffer *to;
        int *told;
    } asked;

    /* Of the loop's thread. */
    struct wish wish;
    struct sta_listing_config config;
    struct sta_scanner *scan;
    bool started;
    struct sta_buffer names;
    uint64_t held[LANE_WORDS]; /* lanes that wait until there is room again */
    int status;                /* STRATA_MORE: it goes on; STRATA_MISS: it has come to its end */
    char reason[STA_LISTING_REASON];
};

struct sta_listing {
    struct sta_cache *cache;
    struct feed *feed; /* NULL: there is no L2 */
    struct sta_glob glob;
    enum listing_phase {
        LISTING_L1,
        LISTING_L2,
        LISTING_L1_AGAIN, /* where values may go from L2 to L1 */
        LISTING_END
    } phase;
    bool of_l1; /* `names` are */
    uint64_t l1_cursor;
    struct sta_buffer names;
    struct strata_bytes rest; /* of `names` */
    struct sta_seen seen;
    bool remembers;
    int status; /* STRATA_MORE; or how it has ended */
    const char *reason;
    char full[STA_LISTING_REASON];
};

/* ---- the feed, on the loop's thread ---- */

static void feed_hold(struct feed *feed, unsigned lane)
{
    feed->held[lane / 64] |= UINT64_C(1) << lane % 64;
}

static void feed_go_on(struct feed *feed)
{
    for (unsigned lane = 0; lane < STA_SLOT_MAP_NODES_MAX && feed->scan != NULL; lane++) {
        uint64_t bit = UINT64_C(1) << lane % 64;
        if ((feed->held[lane / 64] & bit) == 0)
            continue;
        feed->held[lane / 64] &= ~bit;
        sta_scanner_more(feed->scan, lane);
    }
}

/* Gives what there is to who waits for it. */
static void feed_serve(struct feed *feed)
{
    struct sta_waiter *waiter = feed->wish.waiter;
    if (waiter == NULL || (sta_buffer_len(&feed->names) == 0 && feed->status == STRATA_MORE))
        return;
    struct sta_buffer empty = *feed->wish.to;
    *feed->wish.to = feed->names;
    *feed->wish.told = feed->status;
    feed->names = empty;
    feed->wish.waiter = NULL;
    feed_go_on(feed);
    sta_waiter_signal(waiter);
}

static int feed_append(struct feed *feed, struct strata_bytes key)
{
    uint16_t len = (uint16_t)key.len;
    int status = sta_buffer_reserve(&feed->names, sizeof len + key.len);
    if (status < 0)
        return status;
    memcpy(sta_buffer_end(&feed->names), &len, sizeof len);
    memcpy(sta_buffer_end(&feed->names) + sizeof len, key.data, key.len);
    sta_buffer_advance(&feed->names, sizeof len + key.len);
    return STRATA_OK;
}

static int on_page(void *arg, struct sta_scanner *scan, unsigned lane)
{
    struct feed *feed = arg;
    struct strata_bytes key;
    while (sta_scanner_key(scan, &key)) {
        int status = feed_append(feed, key);
        if (status < 0)
            return status;
    }
    feed_serve(feed);
    if (sta_buffer_len(&feed->names) < STA_LISTING_AHEAD)
        return STRATA_OK;
    feed_hold(feed, lane);
    return STRATA_MORE;
}

static void on_ended(void *arg, int status, const char *reason)
{
    struct feed *feed = arg;
    feed->scan = NULL;
    feed->status = status == STRATA_OK ? STRATA_MISS : status;
    (void)snprintf(feed->reason, sizeof feed->reason, "%s", reason);
    feed_serve(feed);
}

static void feed_start(struct feed *feed)
{
    struct sta_cache *cache = feed->cache;
    struct sta_router *router = sta_l2_router(cache->l2);
    const struct sta_scanner_config config = {
        .prefix = cache->prefix,
        .pattern = feed->config.pattern,
        .count = (unsigned)feed->config.walk.count,
        .share = (unsigned)feed->config.walk.share,
        .page_ns = sta_live(&cache->live.budget_ns),
        .patience_ns = feed->config.walk.patience_ms * STA_NS_MS,
        .page = on_page,
        .ended = on_ended,
        .arg = feed,
    };
    int status =
        router == NULL ? STRATA_ERR_CLOSED : sta_scanner_start(&feed->scan, router, &config);
    feed->started = true;
    if (status < 0)
        on_ended(feed, status, strata_status_text(status));
}

static void on_fetch(struct sta_task *task)
{
    struct feed *feed = STA_CONTAINER(task, struct feed, task);
    feed->wish = feed->asked;
    if (!feed->started)
        feed_start(feed);
    feed_serve(feed);
}

static void feed_free(struct feed *feed)
{
    sta_buffer_fini(&feed->names);
    free((void *)feed->config.pattern.data);
    free(feed);
}

static void on_farewell(struct sta_task *task)
{
    struct feed *feed = STA_CONTAINER(task, struct feed, task);
    sta_scanner_stop(&feed->scan);
    feed_free(feed);
}

static struct feed *feed_create(struct sta_cache *cache, const struct sta_listing_config *config)
{
    size_t len = config->pattern.len;
    struct feed *feed = calloc(1, sizeof *feed);
    void *pattern = malloc(len + 1);
    if (feed == NULL || pattern == NULL) {
        free(pattern);
        free(feed);
        return NULL;
    }
    if (len > 0)
        memcpy(pattern, config->pattern.data, len);
    feed->cache = cache;
    feed->config = *config;
    feed->config.pattern = strata_bytes(pattern, len);
    feed->status = STRATA_MORE;
    sta_buffer_init(&feed->names, NAMES_MAX);
    return feed;
}

/* ---- the caller's half ---- */

static int fetch(struct sta_listing *listing)
{
    struct feed *feed = listing->feed;
    struct sta_waiter waiter;
    int status = STRATA_MISS;
    sta_buffer_clear(&listing->names);
    if (feed == NULL)
        return STRATA_MISS;
    sta_waiter_init_aside(&waiter, sta_cache_loop(listing->cache));
    feed->task.run = on_fetch;
    feed->asked = (struct wish){.waiter = &waiter, .to = &listing->names, .told = &status};
    sta_loop_post(sta_cache_loop(listing->cache), &feed->task);
    sta_waiter_wait(&waiter);
    return status;
}

/* A step through L1; not all that has a name there has a value. */
static int step_l1(struct sta_listing *listing)
{
    int status = STRATA_OK;
    sta_buffer_clear(&listing->names);
    do {
        status = sta_l1_scan(listing->cache->l1, &listing->l1_cursor, &listing->glob,
                             sta_clock_now_ms(), &listing->names);
    } while (status == STRATA_OK && listing->l1_cursor != 0 &&
             sta_buffer_len(&listing->names) < STA_LISTING_AHEAD);
    if (listing->l1_cursor == 0)
        listing->phase++;
    return status == STRATA_OK ? STRATA_MORE : status;
}

static bool is_absent_in_l1(const struct sta_listing *listing, struct strata_bytes name)
{
    struct sta_l1 *l1 = listing->cache->l1;
    struct sta_key key = sta_l1_key(l1, name);
    struct sta_l1_lease lease = {0};
    if (sta_l1_peek(l1, &key, sta_clock_now_ms(), &lease) != STRATA_OK)
        return true;
    bool absent = (lease.flags & STA_TIERS_ABSENT) != 0;
    sta_l1_release(l1, &lease);
    return absent;
}

/* With write-through off a set takes the value from L2. */
static bool goes_to_l1(const struct sta_cache *cache)
{
    return cache->l1 != NULL && !cache->config.write_through && cache->behind == NULL;
}

static int step_l2(struct sta_listing *listing)
{
    int status = fetch(listing);
    if (status < 0)
        listing->reason = listing->feed->reason;
    if (status != STRATA_MISS)
        return status;
    listing->phase = goes_to_l1(listing->cache) ? LISTING_L1_AGAIN : LISTING_END;
    return STRATA_MORE;
}

/* STRATA_MORE with more names, perhaps none; STRATA_MISS: the end of them; or what failed. */
static int more_names(struct sta_listing *listing)
{
    if (listing->phase == LISTING_END)
        return STRATA_MISS;
    listing->of_l1 = listing->phase != LISTING_L2;
    int status = listing->of_l1 ? step_l1(listing) : step_l2(listing);
    listing->rest = sta_buffer_bytes(&listing->names);
    return status;
}

/* Names that the room keeps things under, in either tier. */
bool sta_listing_is_own(struct strata_bytes name)
{
    struct strata_bytes barriers = strata_text(STA_BARRIERS_NAME);
    return sta_lease_is_name(name) || sta_tags_is_key(name) ||
           (name.len == barriers.len && memcmp(name.data, barriers.data, name.len) == 0);
}

static int take_name(struct sta_listing *listing, struct strata_bytes *name)
{
    struct strata_bytes next;
    while (sta_l1_scan_next(&listing->rest, &next)) {
        if (sta_listing_is_own(next) || (listing->of_l1 && is_absent_in_l1(listing, next)))
            continue;
        int status = listing->remembers ? sta_seen_add(&listing->seen, next) : STRATA_OK;
        if (status == STRATA_SKIPPED)
            continue;
        if (status == STRATA_OK)
            *name = next;
        return status;
    }
    return STRATA_MORE;
}

/* What the caller can do about it is a larger bound, so it is named. */
static const char *tell_full(struct sta_listing *listing)
{
    (void)snprintf(listing->full, sizeof listing->full,
                   "more keys than can be remembered: %" PRIu64
                   " names have been told, and the next does not fit into max_bytes (%" PRIu64 ")",
                   listing->seen.count, listing->seen.max_bytes);
    return listing->full;
}

static int fail(struct sta_listing *listing, int status)
{
    listing->status = status;
    if (listing->reason[0] == '\0' && status < 0)
        listing->reason = status == STRATA_ERR_TOO_BIG && listing->remembers
                              ? tell_full(listing)
                              : strata_status_text(status);
    return status;
}

int sta_listing_next(struct sta_listing *listing, struct strata_bytes *name)
{
    while (listing->status == STRATA_MORE) {
        int status = take_name(listing, name);
        if (status == STRATA_OK)
            return STRATA_OK;
        if (status == STRATA_MORE)
            status = more_names(listing);
        if (status != STRATA_MORE)
            return fail(listing, status);
    }
    return listing->status;
}

const char *sta_listing_reason(const struct sta_listing *listing)
{
    return listing->reason;
}

/* ---- options ---- */

static bool is_within(uint64_t *field, uint64_t otherwise, uint64_t most)
{
    if (*field == 0)
        *field = otherwise;
    return *field <= most;
}

int sta_listing_check_walk(struct sta_listing_walk *walk)
{
    bool within = is_within(&walk->count, 200, 100000) && is_within(&walk->share, 25, 100) &&
                  is_within(&walk->patience_ms, 30000, 3600000);
    return within ? STRATA_OK : STRATA_ERR_INVALID;
}

/* ---- life ---- */

void sta_listing_destroy(struct sta_listing **at)
{
    struct sta_listing *listing = *at;
    if (listing == NULL)
        return;
    *at = NULL;
    if (listing->feed != NULL) {
        listing->feed->task.run = on_farewell;
        sta_loop_post(sta_cache_loop(listing->cache), &listing->feed->task);
    }
    sta_glob_fini(&listing->glob);
    sta_buffer_fini(&listing->names);
    sta_seen_fini(&listing->seen);
    free(listing);
}

int sta_listing_create(struct sta_listing **out, struct sta_cache *cache,
                       const struct sta_listing_config *config)
{
    struct strata_bytes pattern = config->pattern.len > 0 ? config->pattern : strata_text("*");
    struct sta_listing *listing = calloc(1, sizeof *listing);
    if (listing == NULL)
        return STRATA_ERR_NOMEM;
    int status = sta_glob_init(&listing->glob, pattern);
    if (status < 0) {
        free(listing);
        return status;
    }
    listing->cache = cache;
    listing->status = STRATA_MORE;
    listing->reason = "";
    listing->phase = cache->l1 != NULL ? LISTING_L1 : LISTING_L2;
    listing->remembers = config->seen_bytes > 0;
    sta_buffer_init(&listing->names, NAMES_MAX);
    sta_seen_init(&listing->seen, sta_random_seed(), config->seen_bytes);
    if (cache->l2 != NULL && (listing->feed = feed_create(cache, config)) == NULL) {
        sta_listing_destroy(&listing);
        return STRATA_ERR_NOMEM;
    }
    *out = listing;
    return STRATA_OK;
}
