/* SPDX-License-Identifier: MIT
 *
 * Loads of a call that waits for them, of one key or of several: see load.h.
 *
 *   sta_load_run             again and again, until each is answered or the call's time is over
 *     join_all               one flight for each key: ours to run, or another's
 *     sta_load_fly           ours together, here; or on a thread of the pool (hand_over)
 *     wait_for               then those of others, one after another
 *
 * Ours end before others are waited for. So calls that want the same keys in whatever order do not
 * wait for one another in a circle.
 */
#include "cache/load.h"

#include "cache/tiers.h"
#include "cache/value.h"
#include "core/clock.h"
#include "strata/status.h"

static uint64_t after_ms(uint64_t now_ns, uint64_t ms)
{
    return ms > STA_NEVER / STA_NS_MS ? STA_NEVER : sta_clock_after(now_ns, ms * STA_NS_MS);
}

void sta_load_begin(struct sta_load_call *call)
{
    uint64_t hard_ms = call->options->hard_timeout_ms, wait_ms = call->options->wait_ms;
    call->begun_ns = sta_clock_now_ns();
    call->patience_ns =
        wait_ms != 0 ? after_ms(call->begun_ns, wait_ms)
                     : sta_clock_after(call->begun_ns, sta_live(&call->cache->live.budget_ns));
    call->deadline_ns = hard_ms != 0 ? after_ms(call->begun_ns, hard_ms) : call->patience_ns;
}

bool sta_load_has_timeouts(const struct sta_load_call *call)
{
    return call->options->soft_timeout_ms != 0 || call->options->hard_timeout_ms != 0;
}

uint64_t sta_load_until_ns(const struct sta_load_call *call, bool own)
{
    return own && call->options->hard_timeout_ms == 0 ? STA_NEVER : call->deadline_ns;
}

uint64_t sta_load_soft_ns(const struct sta_load_call *call)
{
    const struct strata_load_options *options = call->options;
    return options->soft_timeout_ms != 0 && options->stale_ms != 0
               ? after_ms(call->begun_ns, options->soft_timeout_ms)
               : STA_NEVER;
}

static struct sta_key hash_key(struct sta_cache *cache, struct strata_bytes key)
{
    return cache->l1 != NULL ? sta_l1_key(cache->l1, key) : sta_key_make(key, cache->flights_seed);
}

int sta_load_join(struct strata_load *load, pthread_t thread)
{
    struct sta_cache *cache = load->call->cache;
    struct sta_fill *fill = &load->fill;
    fill->cache = cache;
    fill->key = hash_key(cache, load->key);
    if (cache->l1 != NULL)
        fill->token = sta_l1_token(cache->l1, &fill->key);
    int status =
        sta_flight_join(&cache->flights, &fill->key, fill->token.generation, thread, &fill->flight);
    load->own = status == STRATA_OK;
    load->failure = 0;
    return status;
}

/* Waits for a flight within this call's time-outs: the soft one counts where L1 has an old value to
 * answer with. */
static void wait_for(struct strata_load *load)
{
    const struct sta_load_call *call = load->call;
    struct sta_flights *flights = &call->cache->flights;
    struct sta_flight *flight = load->fill.flight;
    uint64_t until_ns = sta_load_until_ns(call, load->own);
    if (sta_load_has_timeouts(call) && call->options->stale_ms != 0)
        sta_load_find_in_l1(load);
    uint64_t soft_ns = load->previous.there ? sta_load_soft_ns(call) : STA_NEVER;
    until_ns = soft_ns < until_ns ? soft_ns : until_ns;
    load->failure = 0;
    if (sta_flight_wait_begun(flights, flight, pthread_self(), until_ns))
        sta_load_run_waiting(call->cache, flight);
    load->status =
        sta_flight_wait(flights, flight, pthread_self(), until_ns, &load->failure, &load->value);
    if (load->status == STRATA_ERR_TIMEOUT)
        sta_load_offer_previous(load, STRATA_ERR_TIMEOUT);
    sta_load_forget_previous(load);
    sta_load_choose(load);
    if (!load->own && load->status != STRATA_MORE)
        sta_tiers_count(&call->cache->loads_shared);
}

/* Those that are ours come first, then those of others; those that are refused have their status.
 * Returns how many are ours, and in `joined` how many there are of both. */
static size_t join_all(struct strata_load **loads, size_t count, size_t *joined)
{
    size_t own = 0, kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct strata_load *load = loads[i];
        int status = sta_load_join(load, pthread_self());
        if (status < 0) {
            load->status = status;
            continue;
        }
        loads[i] = loads[kept];
        loads[kept] = load;
        if (load->own) {
            loads[kept] = loads[own];
            loads[own++] = load;
        }
        kept++;
    }
    *joined = kept;
    return own;
}

/* Of those that are open: each is answered, or open still, where who ran the load we waited for
 * gave up before we do. */
static void run_once(struct sta_load_call *call, struct strata_load **loads, size_t count)
{
    size_t joined, own = join_all(loads, count, &joined), waited_from = own;
    int status = STRATA_OK;
    if (own > 0 && sta_load_has_timeouts(call)) {
        status = sta_load_hand_over(call, loads, own);
        if (status == STRATA_OK)
            waited_from = 0;
        else
            sta_load_abandon(loads, own, status);
    } else if (own > 0) {
        sta_load_fly(loads, own);
        for (size_t i = 0; i < own; i++)
            sta_load_choose(loads[i]);
    }
    for (size_t i = waited_from; i < joined; i++)
        wait_for(loads[i]);
}

void sta_load_run(struct sta_load_call *call, struct strata_load **loads, size_t count)
{
    sta_load_begin(call);
    do {
        run_once(call, loads, count);
        size_t open = 0;
        for (size_t i = 0; i < count; i++) {
            struct strata_load *load = loads[i];
            if (load->status != STRATA_MORE)
                continue;
            loads[i] = loads[open];
            loads[open++] = load;
        }
        count = open;
    } while (count > 0 && sta_clock_now_ns() < call->deadline_ns);
    for (size_t i = 0; i < count; i++)
        loads[i]->status = STRATA_ERR_TIMEOUT;
}

void sta_load_overtake(struct sta_cache *cache, struct strata_bytes key)
{
    struct sta_key hashed = hash_key(cache, key);
    sta_flight_overtake(&cache->flights, &hashed);
}
