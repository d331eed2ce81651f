/* SPDX-License-Identifier: MIT
 *
 * The way of flights that are ours, of one key or of several together:
 *
 *     OPEN --L1 has it--> ended
 *       '--> ASK L2 --there, or others load it--> ended
 *               '--> PREVIOUS --throttled--> ended
 *                       '--> LOADER --failed--> what was before, or the error: ended
 *                               '--> KEEP --> ended
 *
 * A load is open while its status is STRATA_MORE. After each step settle() ends the flights of
 * those that are not, so that nobody waits for a key because of another.
 * Threads: open(), judge() and settle() of loads without a lease that is held wait for nothing.
 */
#include <stdlib.h>

#include "cache/early.h"
#include "cache/envelope.h"
#include "cache/load.h"
#include "cache/tiers.h"
#include "cache/value.h"
#include "core/clock.h"
#include "net/waiter.h"
#include "strata/status.h"

#define EARLY_SLACK_MS 100u

/* Values that are kept together. */
#define KEEP_AT_ONCE 64u

/* ---- ends ---- */

static void end(struct strata_load *load)
{
    struct sta_flights *flights = &load->call->cache->flights;
    int status = load->gave_up ? STRATA_MORE : load->status;
    sta_flight_end(flights, load->fill.flight, status, load->failure, &load->value);
    if (load->leased)
        sta_lease_fini(&load->lease);
    load->leased = false;
    sta_load_forget_previous(load);
    sta_value_release(&load->found.stored);
}

size_t sta_load_settle(struct strata_load **loads, size_t count)
{
    size_t open = 0;
    for (size_t i = 0; i < count; i++) {
        struct strata_load *load = loads[i];
        if (load->status != STRATA_MORE) {
            end(load);
            continue;
        }
        loads[i] = loads[open];
        loads[open++] = load;
    }
    return open;
}

void sta_load_abandon(struct strata_load **loads, size_t count, int error)
{
    for (size_t i = 0; i < count; i++) {
        loads[i]->status = error;
        /* Who closes turns all away. */
        loads[i]->gave_up = error != STRATA_ERR_CLOSED;
    }
    (void)sta_load_settle(loads, count);
}

/* ---- L1, and L2 ---- */

static void open_one(struct strata_load *load)
{
    const struct strata_load_options *options = load->call->options;
    struct sta_cache *cache = load->call->cache;
    load->status = STRATA_MORE;
    load->there = STRATA_MISS;
    load->failure = 0;
    load->gave_up = false;
    /* L1 has been asked before the flight was ours, and may have got it since. */
    if (!load->call->early)
        load->status = sta_load_ask_l1_again(cache, &load->fill.key, options, &load->value);
    if (load->status != STRATA_MORE)
        return;
    load->fill.aged = options->refresh_ahead > 0 || options->xfetch_beta > 0;
    load->found.aged = load->fill.aged;
    load->leased = options->lease_ms != 0 && sta_load_asks_l2(cache) &&
                   cache->config.write_through &&
                   sta_lease_init(&load->lease, cache, load->key) == STRATA_OK;
    load->fill.lease = load->leased ? &load->lease : NULL;
    if (load->leased && !load->call->early)
        sta_lease_watch(&load->lease);
}

size_t sta_load_open(struct strata_load **loads, size_t count)
{
    for (size_t i = 0; i < count; i++)
        open_one(loads[i]);
    return sta_load_settle(loads, count);
}

bool sta_load_asks_l2(const struct sta_cache *cache)
{
    /* Without read-through an ordinary read still sees what write-behind owes. */
    return cache->l2 != NULL && (cache->config.read_through || cache->behind != NULL);
}

struct asking {
    struct sta_read read;
    struct sta_waiter waiter;
};

static void on_asked(struct sta_read *read)
{
    sta_waiter_signal(&STA_CONTAINER(read, struct asking, read)->waiter);
}

static void ask_and_wait(struct asking *asking, struct sta_cache *cache)
{
    asking->read.cache = cache;
    asking->read.l1_asked = true;
    asking->read.done = on_asked;
    if (sta_read_begin(&asking->read, sta_clock_now_ns()) != STRATA_MORE)
        return;
    sta_waiter_init(&asking->waiter, cache->loop);
    sta_read_send(&asking->read);
    sta_waiter_wait(&asking->waiter);
}

static void ask_for_one(struct strata_load *load)
{
    struct asking asking;
    sta_value_release(&load->found.stored);
    load->found.hidden = false;
    asking.read.keys = &load->key;
    asking.read.count = 1;
    asking.read.values = &load->value;
    asking.read.statuses = &load->there;
    asking.read.found = &load->found;
    ask_and_wait(&asking, load->call->cache);
}

static void ask_for_several(struct strata_load **loads, size_t count)
{
    struct asking asking;
    size_t each = sizeof(struct strata_bytes) + sizeof(struct strata_value) +
                  sizeof(struct sta_read_found) + sizeof(int);
    char *block = calloc(count, each);
    struct strata_bytes *keys = (void *)block;
    struct strata_value *values = (void *)(keys + count);
    struct sta_read_found *found = (void *)(values + count);
    int *statuses = (void *)(found + count);
    for (size_t i = 0; i < count && block == NULL; i++)
        loads[i]->there = STRATA_ERR_NOMEM;
    if (block == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        keys[i] = loads[i]->key;
        found[i].aged = loads[i]->found.aged;
    }
    asking.read.keys = keys;
    asking.read.count = count;
    asking.read.values = values;
    asking.read.statuses = statuses;
    asking.read.found = found;
    ask_and_wait(&asking, loads[0]->call->cache);
    for (size_t i = 0; i < count; i++) {
        loads[i]->there = statuses[i];
        loads[i]->value = values[i];
        loads[i]->found = found[i];
    }
    free(block);
}

static void ask_l2(struct strata_load **loads, size_t count)
{
    if (count == 0 || !sta_load_asks_l2(loads[0]->call->cache))
        return;
    if (count == 1)
        ask_for_one(loads[0]);
    else
        ask_for_several(loads, count);
}

void sta_load_judge(struct strata_load *load)
{
    if (load->there == STRATA_STALE || (load->there == STRATA_OK && !load->call->early))
        load->status = load->there;
}

/* ---- one load for all processes ---- */

/* L2 has none: again and again as long as others load. STRATA_MISS: we load, with the lease where
 * it is held; STRATA_ERR_TIMEOUT with `gave_up`: they took too long. */
static int ask_in_turn(struct strata_load *load)
{
    struct sta_lease *lease = &load->lease;
    while (load->there == STRATA_MISS && !lease->held) {
        int status = sta_lease_take(lease, load->call->options->lease_ms);
        if (status < 0)
            return STRATA_MISS; /* without one, then */
        /* Who had it before may have stored and dropped it meanwhile: where it is ours, L2 is asked
         * once more. */
        if (status != STRATA_OK) {
            load->gave_up = sta_clock_now_ns() >= load->call->deadline_ns;
            if (load->gave_up)
                return STRATA_ERR_TIMEOUT;
            sta_lease_wait(lease, load->call->deadline_ns);
        }
        sta_lease_watch(lease);
        ask_for_one(load);
    }
    return load->there;
}

/* A value that is loaded early: not where Redis has it for longer than L1, or another has loaded it
 * since, or does so; nor where it has tags, which the new one would not have. */
static bool is_still_due(struct strata_load *load)
{
    struct sta_envelope envelope;
    uint64_t now_ms = sta_clock_now_ms();
    if (load->found.stored.owner[1] == NULL ||
        sta_envelope_read(load->found.stored.bytes, &envelope) != STRATA_OK ||
        envelope.tag_count > 0)
        return false;
    uint64_t there_ms = sta_envelope_fresh_ms(&envelope, load->found.ttl_ms);
    uint64_t here_ms = load->fresh_until_ms > now_ms ? load->fresh_until_ms - now_ms : 0;
    /* L1 counts from before the question, and the answer took a while. */
    if (there_ms > sta_clock_after(here_ms, EARLY_SLACK_MS))
        return false;
    return !load->leased || load->lease.held ||
           sta_lease_take(&load->lease, load->call->options->lease_ms) != STRATA_SKIPPED;
}

/* Early, and L2 has answered. What Redis would not keep is not loaded early. */
static void judge_early(struct strata_load *load)
{
    if (load->there == STRATA_OK && is_still_due(load)) {
        sta_value_release(&load->value);
        load->there = STRATA_MISS;
    } else if (load->there != STRATA_MISS) {
        load->gave_up = load->there < 0;
        load->status = load->there;
    }
}

/* What L2 says after all, and what was there before. */
static void prepare(struct strata_load *load)
{
    if (load->call->early)
        judge_early(load);
    else if (load->leased)
        load->there = ask_in_turn(load);
    if (load->gave_up)
        load->status = load->there;
    sta_load_judge(load);
    if (load->status != STRATA_MORE)
        return;
    if (load->leased && !load->lease.held)
        load->fill.lease = NULL;
    /* Where Redis answers, it knows best: what it has not, somebody has deleted. */
    if (load->there == STRATA_MISS && sta_load_asks_l2(load->call->cache))
        sta_load_find_in_l2(load);
    else
        sta_load_find_in_l1(load);
    if (load->there < 0 && sta_load_is_throttled(load))
        sta_load_offer_previous(load, STRATA_MORE);
}

/* The load begins: what made the key doubtful before does not concern it. */
static void renew(struct strata_load *load)
{
    struct sta_cache *cache = load->call->cache;
    struct sta_fill *fill = &load->fill;
    if (cache->l1 == NULL)
        return;
    fill->token = sta_l1_token(cache->l1, &fill->key);
    sta_flight_renew(&cache->flights, fill->flight, fill->token.generation);
}

/* ---- what is kept ---- */

static uint64_t null_ttl_ms(const struct strata_load *load)
{
    const struct sta_tiers_live *live = &load->call->cache->live;
    if (load->ttl_ms != 0)
        return load->ttl_ms;
    if (load->call->options->null_ttl_ms != 0)
        return load->call->options->null_ttl_ms;
    return sta_live(&live->null_values) ? sta_live(&live->null_ttl_ms) : 0;
}

static uint64_t value_ttl_ms(const struct strata_load *load)
{
    const struct strata_load_options *options = load->call->options;
    struct sta_cache *cache = load->call->cache;
    uint64_t ttl_ms = load->ttl_ms != 0 ? load->ttl_ms : options->ttl_ms;
    if (!(options->ttl_jitter > 0))
        return ttl_ms;
    if (ttl_ms == 0)
        ttl_ms =
            cache->l2 != NULL ? sta_live(&cache->live.l2_ttl_ms) : sta_live(&cache->live.l1_ttl_ms);
    return sta_early_jitter(ttl_ms, options->ttl_jitter, sta_tiers_draw(cache));
}

/* Whether there is anything to keep. */
static bool fill_with(struct strata_load *load)
{
    const struct strata_load_options *options = load->call->options;
    struct sta_fill *fill = &load->fill;
    if (load->status < 0 || load->there != STRATA_MISS)
        return false;
    fill->none = load->status == STRATA_MISS;
    fill->value = load->value.bytes;
    fill->old = load->found.stored.bytes;
    fill->replaces = load->found.stored.owner[1] != NULL;
    fill->stale_ms = fill->none ? 0 : options->stale_ms;
    fill->load_us = options->xfetch_beta > 0 ? load->load_us : 0;
    fill->ttl_ms = fill->none ? null_ttl_ms(load) : value_ttl_ms(load);
    return !fill->none || fill->ttl_ms != 0;
}

/* Into the tiers. Where Redis has another value meanwhile, that is the answer. */
static void keep(struct strata_load **loads, size_t count)
{
    struct sta_fill *fills[KEEP_AT_ONCE];
    size_t filled = 0;
    for (size_t i = 0; i < count; i++)
        if (fill_with(loads[i]))
            fills[filled++] = &loads[i]->fill;
    if (filled > 0)
        sta_fill_run(fills, filled, sta_clock_now_ns());
    for (size_t i = 0; i < filled; i++) {
        struct strata_load *load = STA_CONTAINER(fills[i], struct strata_load, fill);
        if (fills[i]->there.owner[1] == NULL)
            continue;
        sta_value_release(&load->value);
        load->value = fills[i]->there;
        load->status = STRATA_OK;
    }
}

/* Those whose loader failed. */
static void offer(struct strata_load **loads, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (loads[i]->status >= 0)
            continue;
        sta_load_throttle(loads[i]);
        sta_load_offer_previous(loads[i], loads[i]->status);
    }
}

/* ---- the whole way ---- */

void sta_load_go_on(struct strata_load **loads, size_t count)
{
    for (size_t i = 0; i < count; i++)
        prepare(loads[i]);
    count = sta_load_settle(loads, count);
    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        renew(loads[i]);
    sta_load_ask_loader(loads, count);
    for (size_t i = 0; i < count; i += KEEP_AT_ONCE) {
        size_t some = count - i < KEEP_AT_ONCE ? count - i : KEEP_AT_ONCE;
        keep(loads + i, some);
        offer(loads + i, some);
        (void)sta_load_settle(loads + i, some);
    }
}

void sta_load_fly(struct strata_load **loads, size_t count)
{
    count = sta_load_open(loads, count);
    ask_l2(loads, count);
    for (size_t i = 0; i < count; i++)
        sta_load_judge(loads[i]);
    sta_load_go_on(loads, sta_load_settle(loads, count));
}
