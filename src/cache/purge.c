/* SPDX-License-Identifier: MIT
 *
 * Deleting by pattern; see purge.h.
 */
#include "cache/purge.h"

#include <stdio.h>
#include <stdlib.h>

#include "cache/tiers.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/nap.h"
#include "core/pace.h"
#include "net/waiter.h"
#include "strata/status.h"

/* Between two attempts at what failed. */
#define AGAIN_FIRST_NS (20 * STA_NS_MS)
#define AGAIN_MOST_NS  (500 * STA_NS_MS)

struct purge {
    struct sta_cache *cache;
    const struct sta_purge_config *config;
    struct sta_purge_tally *tally;
    char *reason;
    struct sta_barrier barrier;
    uint64_t took_ns; /* the last attempt at a slice: neither pauses nor progress() are work */
    uint64_t owed_ns; /* rests saved up */
    uint64_t told_ns;

    /* The slice: names one behind the other, and where each begins and ends. */
    struct sta_buffer names;
    uint32_t ends[STA_PURGE_SLICE];
    struct strata_item items[STA_PURGE_SLICE];
    int statuses[STA_PURGE_SLICE];
    bool doubted[STA_PURGE_SLICE]; /* an attempt may have deleted it */
    unsigned count;
};

struct slice_write {
    struct sta_write write;
    struct sta_waiter waiter;
};

static bool may_pass(int status)
{
    return status == STRATA_ERR_TIMEOUT || status == STRATA_ERR_LOST ||
           status == STRATA_ERR_UNAVAILABLE || status == STRATA_ERR_BUSY;
}

static void nap_longer(uint64_t *pause_ns)
{
    sta_nap_ns(*pause_ns);
    *pause_ns = 2 * *pause_ns < AGAIN_MOST_NS ? 2 * *pause_ns : AGAIN_MOST_NS;
}

/* ---- the barrier in front ---- */

/* Without the rights for it keys are deleted all the same, and somebody is told. */
static int barrier_missing(struct purge *purge, int status)
{
    if (status == STRATA_ERR_NOMEM || may_pass(status)) {
        (void)snprintf(purge->reason, STA_LISTING_REASON, "the barrier cannot be put up: %s",
                       status == STRATA_ERR_BUSY ? "too many patterns are being deleted"
                                                 : strata_status_text(status));
        return status;
    }
    sta_log_write(purge->cache->log, STRATA_LOG_WARNING, STA_ROOM_CACHE,
                  "a barrier cannot be put up (%s), so others answer what matches until it is "
                  "deleted",
                  strata_status_text(status));
    return STRATA_OK;
}

static int barrier_raise(struct purge *purge)
{
    uint64_t pause_ns = AGAIN_FIRST_NS, began_ns = sta_clock_now_ns();
    uint64_t patience_ns = purge->config->walk.patience_ms * STA_NS_MS;
    purge->barrier.barriers = &purge->cache->barriers;
    purge->barrier.pattern = purge->config->pattern;
    for (;;) {
        int status = sta_barrier_raise(&purge->barrier);
        if (status == STRATA_OK)
            return STRATA_OK;
        if (!may_pass(status) || sta_clock_now_ns() - began_ns >= patience_ns)
            return barrier_missing(purge, status);
        nap_longer(&pause_ns);
    }
}

/* All is deleted: the fleet need not wait for the barrier's own end. */
static void barrier_drop(struct purge *purge, bool done)
{
    uint64_t pause_ns = AGAIN_FIRST_NS, began_ns = sta_clock_now_ns();
    while (may_pass(sta_barrier_drop(&purge->barrier)) && done &&
           sta_clock_now_ns() - began_ns < STA_BARRIERS_TTL_MS * STA_NS_MS)
        nap_longer(&pause_ns);
}

/* ---- one slice ---- */

static void slice_written(struct sta_write *write)
{
    sta_waiter_signal(&STA_CONTAINER(write, struct slice_write, write)->waiter);
}

static void slice_delete(struct purge *purge)
{
    struct slice_write slice = {
        .write = {.cache = purge->cache,
                  .kind = STA_WRITE_DELETE,
                  .items = purge->items,
                  .count = purge->count,
                  .statuses = purge->statuses,
                  .done = slice_written},
    };
    if (sta_write_begin(&slice.write, sta_clock_now_ns()) == STRATA_OK)
        return;
    sta_waiter_init_aside(&slice.waiter, sta_cache_loop(purge->cache));
    sta_write_send(&slice.write);
    sta_waiter_wait(&slice.waiter);
}

/* Counts what is done, and keeps what has to be tried again. STRATA_OK: nothing has; STRATA_MORE;
 * or what there is no use in trying again for. *last is the latest failure. */
static int slice_settle(struct purge *purge, int *last)
{
    unsigned left = 0;
    int fatal = STRATA_OK;
    for (unsigned i = 0; i < purge->count; i++) {
        int status = purge->statuses[i];
        if (status == STRATA_OK)
            purge->tally->deleted++;
        else if (status == STRATA_MISS)
            purge->tally->unsure += purge->doubted[i];
        if (status >= 0)
            continue;
        bool doubted = purge->doubted[i];
        *last = status;
        if (!may_pass(status))
            fatal = status;
        purge->items[left] = purge->items[i];
        purge->doubted[left++] =
            doubted || status == STRATA_ERR_TIMEOUT || status == STRATA_ERR_LOST;
    }
    purge->count = left;
    if (fatal != STRATA_OK)
        return fatal;
    return left == 0 ? STRATA_OK : STRATA_MORE;
}

/* What is not tried again may be gone, or go yet. */
static void slice_give_up(struct purge *purge)
{
    for (unsigned i = 0; i < purge->count; i++)
        purge->tally->unsure += purge->doubted[i];
}

static int slice_run(struct purge *purge)
{
    uint64_t pause_ns = AGAIN_FIRST_NS, began_ns = sta_clock_now_ns();
    uint64_t patience_ns = purge->config->walk.patience_ms * STA_NS_MS;
    for (;;) {
        int last = STRATA_OK;
        uint64_t sent_ns = sta_clock_now_ns();
        slice_delete(purge);
        purge->took_ns = sta_clock_now_ns() - sent_ns;
        int status = slice_settle(purge, &last);
        if (status == STRATA_MORE && sta_clock_now_ns() - began_ns >= patience_ns)
            status = last;
        if (status < 0) {
            slice_give_up(purge);
            (void)snprintf(purge->reason, STA_LISTING_REASON, "keys cannot be deleted: %s",
                           strata_status_text(status));
        }
        if (status != STRATA_MORE)
            return status;
        nap_longer(&pause_ns);
    }
}

/* STRATA_OK with at least one name, or how the listing ends. What came before an end is a slice. */
static int slice_fill(struct purge *purge, struct sta_listing *listing)
{
    struct strata_bytes name;
    int status = STRATA_OK;
    uint64_t page = purge->config->walk.count,
             most = page < STA_PURGE_SLICE ? page : STA_PURGE_SLICE;
    sta_buffer_truncate(&purge->names, 0);
    purge->count = 0;
    while (purge->count < most && sta_buffer_len(&purge->names) < STA_PURGE_SLICE_BYTES &&
           (status = sta_listing_next(listing, &name)) == STRATA_OK) {
        status = sta_buffer_append(&purge->names, name);
        if (status < 0)
            return status;
        purge->ends[purge->count] = (uint32_t)sta_buffer_len(&purge->names);
        purge->doubted[purge->count++] = false;
    }
    const uint8_t *bytes = sta_buffer_bytes(&purge->names).data;
    for (unsigned i = 0; i < purge->count; i++) {
        uint32_t begin = i == 0 ? 0 : purge->ends[i - 1];
        purge->items[i] =
            (struct strata_item){.key = strata_bytes(bytes + begin, purge->ends[i] - begin)};
    }
    purge->tally->named += purge->count;
    return purge->count > 0 ? STRATA_OK : status;
}

/* ---- all of them ---- */

static bool purge_tell(struct purge *purge)
{
    uint64_t now_ns = sta_clock_now_ns();
    if (purge->config->progress == NULL ||
        (purge->told_ns != 0 && now_ns - purge->told_ns < purge->config->tell_ns))
        return true;
    purge->told_ns = now_ns;
    return purge->config->progress(purge->config->arg, purge->tally);
}

static int purge_all(struct purge *purge, struct sta_listing *listing)
{
    for (;;) {
        int status = slice_fill(purge, listing);
        if (status == STRATA_MISS)
            return STRATA_OK;
        if (status < 0) {
            const char *reason = sta_listing_reason(listing);
            (void)snprintf(purge->reason, STA_LISTING_REASON, "%s",
                           reason[0] != '\0' ? reason : strata_status_text(status));
            return status;
        }
        status = slice_run(purge);
        if (status < 0)
            return status;
        if (!purge_tell(purge))
            return STRATA_MORE;
        sta_nap_ns(sta_pace_rest_ns(&purge->owed_ns, purge->config->walk.share, purge->took_ns));
    }
}

/* With write-behind what was deleted has been accepted, and is on its way. */
static int purge_settle(struct purge *purge)
{
    uint64_t patience_ns = purge->config->walk.patience_ms * STA_NS_MS;
    int status = sta_cache_flush(purge->cache, sta_clock_after(sta_clock_now_ns(), patience_ns));
    if (status < 0)
        (void)snprintf(purge->reason, STA_LISTING_REASON, "redis has not deleted all yet: %s",
                       strata_status_text(status));
    return status;
}

int sta_purge_run(struct sta_cache *cache, const struct sta_purge_config *config,
                  struct sta_purge_tally *tally, char reason[static STA_LISTING_REASON])
{
    const struct sta_listing_config names = {
        .pattern = config->pattern,
        .walk = config->walk,
    };
    struct sta_listing *listing = NULL;
    struct purge *purge = calloc(1, sizeof *purge);
    int status = purge == NULL ? STRATA_ERR_NOMEM : sta_listing_create(&listing, cache, &names);
    *tally = (struct sta_purge_tally){.named = 0};
    (void)snprintf(reason, STA_LISTING_REASON, "%s", strata_status_text(status));
    if (status == STRATA_OK) {
        purge->cache = cache;
        purge->config = config;
        purge->tally = tally;
        purge->reason = reason;
        sta_buffer_init(&purge->names, 2 * STA_PURGE_SLICE_BYTES);
        status = barrier_raise(purge);
        if (status == STRATA_OK)
            status = purge_all(purge, listing);
        if (status == STRATA_OK)
            status = purge_settle(purge);
        barrier_drop(purge, status == STRATA_OK);
        sta_buffer_fini(&purge->names);
    }
    sta_listing_destroy(&listing);
    free(purge);
    return status;
}
