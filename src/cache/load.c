/* SPDX-License-Identifier: MIT
 *
 * See load.h.
 *
 *   sta_load_hit             L1: nothing below is touched on a hit
 *   sta_load_run
 *     sta_flight_join       one load for a key
 *     fly                    by who runs it
 *       ask_l2               an ordinary read (cache/read.c), waited for
 *       call_loader          what is the user's
 *       keep                 into both tiers (cache/fill.c)
 *     sta_flight_end        the others get it, too
 */
#include "cache/load.h"

#include "cache/fill.h"
#include "cache/tiers.h"
#include "cache/value.h"
#include "core/clock.h"
#include "net/waiter.h"
#include "strata/status.h"

static int ask_l1(struct sta_cache *cache, const struct sta_key *key, uint64_t now_ns,
                  struct strata_value *value)
{
    struct sta_l1_lease lease = {0};
    if (cache->l1 == NULL || sta_l1_get(cache->l1, key, now_ns / STA_NS_MS, &lease) != STRATA_OK)
        return STRATA_MORE;
    if (lease.flags == 0) {
        sta_value_from_lease(value, cache->l1, &lease);
        return STRATA_OK;
    }
    /* That Redis has none says nothing of where values come from. */
    bool none = (lease.flags & STA_TIERS_NONE) != 0;
    sta_l1_release(cache->l1, &lease);
    return none ? STRATA_MISS : STRATA_MORE;
}

static struct sta_key hash_key(struct sta_cache *cache, struct strata_bytes key)
{
    return cache->l1 != NULL ? sta_l1_key(cache->l1, key) : sta_key_make(key, cache->flights_seed);
}

int sta_load_hit(struct sta_cache *cache, struct strata_bytes key, uint64_t now_ns,
                 struct strata_value *value)
{
    int status = sta_cache_check_key(key);
    if (status != STRATA_OK)
        return status;
    if (cache->l1 == NULL)
        return STRATA_MORE;
    struct sta_key hashed = sta_l1_key(cache->l1, key);
    return ask_l1(cache, &hashed, now_ns, value);
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

static int ask_l2(struct strata_load *load, struct strata_value *value)
{
    int status = STRATA_MISS;
    struct sta_cache *cache = load->cache;
    struct asking asking;
    if (cache->l2 == NULL || !cache->config.read_through)
        return STRATA_MISS;
    asking.read.l1_asked = true;
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

/* ---- the loader ---- */

int sta_load_set(struct strata_load *load, struct strata_bytes value, uint64_t ttl_ms)
{
    struct strata_value copy = {0};
    int status = sta_cache_check_value(value);
    if (status == STRATA_OK)
        status = sta_value_from_bytes(&copy, value);
    if (status < 0)
        return status;
    sta_value_release(&load->value);
    load->value = copy;
    load->ttl_ms = ttl_ms;
    load->answer = STA_LOAD_VALUE;
    return STRATA_OK;
}

void sta_load_set_none(struct strata_load *load, uint64_t ttl_ms)
{
    sta_value_release(&load->value);
    load->ttl_ms = ttl_ms;
    load->answer = STA_LOAD_NONE;
}

static int call_loader(struct strata_load *load)
{
    int status = load->loader(load, load->arg);
    sta_tiers_count(&load->cache->loads);
    if (status == STRATA_MISS) {
        sta_load_set_none(load, 0);
        status = STRATA_OK;
    }
    if (status == STRATA_OK && load->answer == STA_LOAD_NOTHING)
        status = STRATA_ERR_INVALID;
    if (status > 0)
        status = STRATA_ERR_INVALID;
    if (status < 0) {
        sta_tiers_count(&load->cache->loads_failed);
        sta_value_release(&load->value);
        return status;
    }
    return load->answer == STA_LOAD_VALUE ? STRATA_OK : STRATA_MISS;
}

static uint64_t null_ttl_ms(const struct strata_load *load)
{
    const struct sta_cache_config *config = &load->cache->config;
    if (load->ttl_ms != 0)
        return load->ttl_ms;
    if (load->options->null_ttl_ms != 0)
        return load->options->null_ttl_ms;
    return config->null_values ? config->null_ttl_ms : 0;
}

/* Into the tiers. Where Redis has another value meanwhile, that is the answer. */
static int keep(struct strata_load *load, struct sta_fill *fill)
{
    fill->none = load->answer == STA_LOAD_NONE;
    fill->value = load->value.bytes;
    fill->ttl_ms = load->ttl_ms != 0 ? load->ttl_ms : load->options->ttl_ms;
    if (fill->none)
        fill->ttl_ms = null_ttl_ms(load);
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

/* L2, then the loader; L1 has been asked before we had the flight, and may have got it since. */
static int fly(struct strata_load *load, struct sta_fill *fill, struct strata_value *value)
{
    int there =
        fill->lease != NULL ? ask_in_turn(load, fill, fill->lease, value) : ask_l2(load, value);
    if (there == STRATA_OK || there == STRATA_STALE || load->gave_up)
        return there;
    if (fill->lease != NULL && !fill->lease->held)
        fill->lease = NULL;
    int status = call_loader(load);
    if (status >= 0 && there == STRATA_MISS)
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
    int status = ask_l1(cache, &fill->key, sta_clock_now_ns(), value);
    if (status != STRATA_MORE)
        return status;
    bool leased = load->options->lease_ms != 0 && cache->l2 != NULL && cache->config.read_through &&
                  cache->config.write_through &&
                  sta_lease_init(&lease, cache, load->key) == STRATA_OK;
    fill->lease = leased ? &lease : NULL;
    status = fly(load, fill, value);
    if (leased)
        sta_lease_fini(&lease);
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
