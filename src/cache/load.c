/* SPDX-License-Identifier: MIT
 *
 * See load.h.
 *
 *   sta_load_hit             L1: nothing below is touched on a hit
 *   sta_load_run
 *     sta_flight_join       one load for a key
 *     fly                    by who runs it
 *       ask_l2               an ordinary read (cache/read.c), waited for
 *       sta_load_call        what is the user's (cache/load_answer.c)
 *       serve_previous       where it failed
 *       keep                 into both tiers (cache/fill.c)
 *     sta_flight_end        the others get it, too
 */
#include "cache/load.h"

#include "cache/aged.h"
#include "cache/early.h"
#include "cache/fill.h"
#include "cache/tiers.h"
#include "cache/value.h"
#include "core/clock.h"
#include "core/random.h"
#include "net/waiter.h"
#include "strata/status.h"

/* How long a stale value is served without another load, where the options do not say. */
#define THROTTLE_MS 1000u

/* A hit that is no plain value: STRATA_OK or STRATA_STALE with the lease's value the one that is meant;
 * STRATA_MISS; STRATA_MORE. That Redis has none says nothing of where values come from. */
static int ask_l1_flagged(struct sta_l1_lease *lease, const struct strata_load_options *options,
                          uint64_t now_ms)
{
    struct sta_aged aged;
    if ((lease->flags & STA_TIERS_ABSENT) != 0)
        return (lease->flags & STA_TIERS_NONE) != 0 ? STRATA_MISS : STRATA_MORE;
    lease->value = sta_aged_open(lease->value, &aged);
    if (now_ms < aged.fresh_until_ms)
        return STRATA_OK;
    bool served = options != NULL && options->stale_ms != 0 && now_ms < aged.throttled_until_ms;
    return served ? STRATA_STALE : STRATA_MORE;
}

static int ask_l1(struct sta_cache *cache, const struct sta_key *key,
                  const struct strata_load_options *options, uint64_t now_ns,
                  struct strata_value *value)
{
    struct sta_l1_lease lease = {0};
    int status = STRATA_OK;
    if (cache->l1 == NULL || sta_l1_get(cache->l1, key, now_ns / STA_NS_MS, &lease) != STRATA_OK)
        return STRATA_MORE;
    if (lease.flags != 0)
        status = ask_l1_flagged(&lease, options, now_ns / STA_NS_MS);
    if (status == STRATA_OK || status == STRATA_STALE)
        sta_value_from_lease(value, cache->l1, &lease);
    else
        sta_l1_release(cache->l1, &lease);
    if (status == STRATA_STALE)
        sta_tiers_count(&cache->stale);
    return status;
}

static struct sta_key hash_key(struct sta_cache *cache, struct strata_bytes key)
{
    return cache->l1 != NULL ? sta_l1_key(cache->l1, key) : sta_key_make(key, cache->flights_seed);
}

int sta_load_hit(struct sta_cache *cache, struct strata_bytes key,
                 const struct strata_load_options *options, uint64_t now_ns,
                 struct strata_value *value)
{
    int status = sta_cache_check_key(key);
    if (status != STRATA_OK)
        return status;
    if (cache->l1 == NULL)
        return STRATA_MORE;
    struct sta_key hashed = sta_l1_key(cache->l1, key);
    return ask_l1(cache, &hashed, options, now_ns, value);
}

/* ---- L2 ---- */

struct asking {
    struct sta_read read;
    struct sta_waiter waiter;
};

static void on_asked(struct sta_read *read)
{
    sta_waiter_signal(&STA_CONTAINER(read, struct asking, read)->waiter);
}

static bool asks_l2(const struct sta_cache *cache)
{
    /* Without read-through an ordinary read still sees what write-behind owes. */
    return cache->l2 != NULL && (cache->config.read_through || cache->behind != NULL);
}

static int ask_l2(struct strata_load *load, struct strata_value *value)
{
    int status = STRATA_MISS;
    struct sta_cache *cache = load->cache;
    struct asking asking;
    if (!asks_l2(cache))
        return STRATA_MISS;
    sta_value_release(&load->found.stored);
    asking.read.l1_asked = true;
    asking.read.found = &load->found;
    asking.read.cache = cache;
    asking.read.keys = &load->key;
    asking.read.count = 1;
    asking.read.values = value;
    asking.read.statuses = &status;
    asking.read.done = on_asked;
    if (sta_read_begin(&asking.read, sta_clock_now_ns()) == STRATA_MORE) {
        sta_waiter_init(&asking.waiter, cache->loop);
        sta_read_send(&asking.read);
        sta_waiter_wait(&asking.waiter);
    }
    return status;
}

/* ---- what was there before ---- */

/* In Redis, behind an envelope, past its time. */
static void find_in_l2(struct strata_load *load)
{
    struct sta_load_previous *previous = &load->previous;
    struct sta_envelope envelope;
    if (load->found.stored.owner[1] == NULL ||
        sta_envelope_read(load->found.stored.bytes, &envelope) != STRATA_OK)
        return;
    previous->there = true;
    previous->value = envelope.value;
    previous->left_ms = load->found.ttl_ms;
}

/* In L1, proven or not: it is all that we have. */
static void find_in_l1(struct strata_load *load, const struct sta_key *key)
{
    struct sta_load_previous *previous = &load->previous;
    struct sta_l1_lease lease = {0};
    struct sta_aged aged;
    uint64_t now_ms = sta_clock_now_ms();
    if (load->cache->l1 == NULL || sta_l1_peek(load->cache->l1, key, now_ms, &lease) != STRATA_OK)
        return;
    if ((lease.flags & STA_TIERS_AGED) == 0) {
        sta_l1_release(load->cache->l1, &lease);
        return;
    }
    previous->there = true;
    previous->left_ms = lease.deadline_ms > now_ms ? lease.deadline_ms - now_ms : 0;
    previous->value = sta_aged_open(lease.value, &aged);
    sta_value_from_lease(&previous->held, load->cache->l1, &lease);
}

/* The load has failed; what was there before is the answer, and with `throttle` it is so for a while
 * without another load. */
static int serve_previous(struct strata_load *load, struct sta_fill *fill, int status,
                          bool throttle, struct strata_value *value)
{
    struct sta_load_previous *previous = &load->previous;
    if (load->options->stale_ms == 0 || !previous->there ||
        sta_value_from_bytes(value, previous->value) != STRATA_OK)
        return status;
    sta_tiers_count(&load->cache->stale);
    fill->value = previous->value;
    fill->stale_ms = previous->left_ms;
    fill->throttle_ms = load->options->throttle_ms != 0 ? load->options->throttle_ms : THROTTLE_MS;
    if (throttle && previous->left_ms > 0)
        (void)sta_fill_run(fill, sta_clock_now_ns());
    return STRATA_STALE;
}

/* ---- what is kept ---- */

static uint64_t null_ttl_ms(const struct strata_load *load)
{
    const struct sta_cache_config *config = &load->cache->config;
    if (load->ttl_ms != 0)
        return load->ttl_ms;
    if (load->options->null_ttl_ms != 0)
        return load->options->null_ttl_ms;
    return config->null_values ? config->null_ttl_ms : 0;
}

static uint64_t value_ttl_ms(const struct strata_load *load)
{
    struct sta_cache *cache = load->cache;
    uint64_t ttl_ms = load->ttl_ms != 0 ? load->ttl_ms : load->options->ttl_ms;
    if (!(load->options->ttl_jitter > 0))
        return ttl_ms;
    if (ttl_ms == 0)
        ttl_ms = cache->l2 != NULL ? cache->config.l2_ttl_ms : cache->config.l1_ttl_ms;
    uint64_t random = atomic_fetch_add_explicit(&cache->chance, 1, memory_order_relaxed);
    return sta_early_jitter(ttl_ms, load->options->ttl_jitter, sta_random_next(&random));
}

/* Into the tiers. Where Redis has another value meanwhile, that is the answer. */
static int keep(struct strata_load *load, struct sta_fill *fill)
{
    fill->none = load->answer == STA_LOAD_NONE;
    fill->value = load->value.bytes;
    fill->old = load->found.stored.bytes;
    fill->stale_ms = fill->none ? 0 : load->options->stale_ms;
    fill->ttl_ms = fill->none ? null_ttl_ms(load) : value_ttl_ms(load);
    if (fill->none && fill->ttl_ms == 0)
        return STRATA_MISS;
    (void)sta_fill_run(fill, sta_clock_now_ns());
    if (fill->there.owner[1] == NULL)
        return fill->none ? STRATA_MISS : STRATA_OK;
    sta_value_release(&load->value);
    load->value = fill->there;
    return STRATA_OK;
}

/* ---- one load for all processes ---- */

/* L2, again and again as long as others load. STRATA_MISS: we load, with the lease where it is held;
 * STRATA_ERR_TIMEOUT with `gave_up`: they took too long. */
static int ask_in_turn(struct strata_load *load, struct sta_fill *fill, struct sta_lease *lease,
                       struct strata_value *value)
{
    struct sta_cache *cache = load->cache;
    for (;;) {
        sta_lease_watch(lease);
        int status = ask_l2(load, value);
        if (status != STRATA_MISS || lease->held)
            return status;
        status = sta_lease_take(lease, load->options->lease_ms);
        if (status < 0)
            return STRATA_MISS; /* without one, then */
        if (status == STRATA_OK && cache->l1 != NULL) {
            fill->token = sta_l1_token(cache->l1, &fill->key);
            sta_flight_renew(&cache->flights, fill->flight, fill->token.generation);
        }
        if (status == STRATA_OK)
            continue; /* who had it before may have stored and dropped it meanwhile */
        load->gave_up = sta_clock_now_ns() >= load->deadline_ns;
        if (load->gave_up)
            return STRATA_ERR_TIMEOUT;
        sta_lease_wait(lease, load->deadline_ns);
    }
}

/* L2, then the loader. */
static int fly(struct strata_load *load, struct sta_fill *fill, struct strata_value *value)
{
    int there =
        fill->lease != NULL ? ask_in_turn(load, fill, fill->lease, value) : ask_l2(load, value);
    if (there == STRATA_OK || there == STRATA_STALE || load->gave_up)
        return there;
    if (fill->lease != NULL && !fill->lease->held)
        fill->lease = NULL;
    /* Where Redis answers, it knows best: what it has not, somebody has deleted. */
    if (there == STRATA_MISS && asks_l2(load->cache))
        find_in_l2(load);
    else
        find_in_l1(load, &fill->key);
    int status = sta_load_call(load);
    if (status < 0)
        return serve_previous(load, fill, status, there == STRATA_MISS, value);
    if (there == STRATA_MISS)
        status = keep(load, fill);
    if (status == STRATA_OK)
        *value = load->value;
    return status;
}

/* The flight is ours. L1 has been asked before that, and may have got it since. */
static int run_flight(struct strata_load *load, struct sta_fill *fill, struct strata_value *value)
{
    struct sta_cache *cache = load->cache;
    struct sta_lease lease;
    int status = ask_l1(cache, &fill->key, load->options, sta_clock_now_ns(), value);
    if (status != STRATA_MORE)
        return status;
    bool leased = load->options->lease_ms != 0 && cache->l2 != NULL && cache->config.read_through &&
                  cache->config.write_through &&
                  sta_lease_init(&lease, cache, load->key) == STRATA_OK;
    fill->lease = leased ? &lease : NULL;
    status = fly(load, fill, value);
    if (leased)
        sta_lease_fini(&lease);
    sta_value_release(&load->previous.held);
    sta_value_release(&load->found.stored);
    return status;
}

/* STRATA_MORE: who ran the load we waited for gave up before we do. */
static int run_once(struct strata_load *load, struct strata_value *value)
{
    struct sta_cache *cache = load->cache;
    struct sta_fill fill = {.cache = cache, .key = hash_key(cache, load->key)};
    pthread_t self = pthread_self();
    if (cache->l1 != NULL)
        fill.token = sta_l1_token(cache->l1, &fill.key);
    int status =
        sta_flight_join(&cache->flights, &fill.key, fill.token.generation, self, &fill.flight);
    if (status < 0)
        return status;
    if (status == STRATA_MORE) {
        status = sta_flight_wait(&cache->flights, fill.flight, self, load->deadline_ns, value);
        if (status != STRATA_MORE)
            sta_tiers_count(&cache->loads_shared);
        return status;
    }
    status = run_flight(load, &fill, value);
    sta_flight_end(&cache->flights, fill.flight, load->gave_up ? STRATA_MORE : status, value);
    return status;
}

int sta_load_run(struct strata_load *load, struct strata_value *value)
{
    struct strata_value got = {0};
    uint64_t wait_ns = load->cache->budget_ns, wait_ms = load->options->wait_ms;
    if (wait_ms != 0)
        wait_ns = wait_ms > STA_NEVER / STA_NS_MS ? STA_NEVER : wait_ms * STA_NS_MS;
    load->deadline_ns = sta_clock_after(sta_clock_now_ns(), wait_ns);
    int status = run_once(load, &got);
    while (status == STRATA_MORE)
        status = run_once(load, &got);
    if (status == STRATA_OK || status == STRATA_STALE)
        *value = got;
    return status;
}

void sta_load_overtake(struct sta_cache *cache, struct strata_bytes key)
{
    struct sta_key hashed = hash_key(cache, key);
    sta_flight_overtake(&cache->flights, &hashed);
}
