/* SPDX-License-Identifier: MIT
 *
 * See load.h.
 *
 *   sta_load_hit             L1: nothing below is touched on a hit
 *   sta_load_run
 *     sta_flight_join       one load for a key
 *     sta_load_fly           by who runs it: this thread, or one of the pool (cache/load_background.c)
 *       ask_l2               an ordinary read (cache/read.c), waited for
 *       sta_load_call        what is the user's (cache/load_answer.c)
 *       offer_previous       where it failed
 *       keep                 into both tiers (cache/fill.c)
 *     sta_flight_end        the others get it, too
 */
#include "cache/load.h"

#include "cache/aged.h"
#include "cache/early.h"
#include "cache/fill.h"
#include "cache/tags.h"
#include "cache/tiers.h"
#include "cache/value.h"
#include "core/clock.h"
#include "core/random.h"
#include "net/waiter.h"
#include "strata/status.h"

/* How long a stale value is served without another load, where the options do not say. */
#define THROTTLE_MS 1000u

#define EARLY_SLACK_MS 100u

static uint64_t draw(struct sta_cache *cache)
{
    uint64_t random = atomic_fetch_add_explicit(&cache->chance, 1, memory_order_relaxed);
    return sta_random_next(&random);
}

/* Whether a fresh value is to be loaded anew. */
static bool is_due(struct sta_cache *cache, const struct sta_aged *aged,
                   const struct strata_load_options *options, uint64_t now_ms)
{
    uint64_t left_ms = aged->fresh_until_ms - now_ms;
    if (sta_early_ahead(left_ms, aged->fresh_until_ms - aged->filled_ms, options->refresh_ahead))
        return true;
    return options->xfetch_beta > 0 && aged->load_us > 0 &&
           sta_early_xfetch(left_ms, aged->load_us, options->xfetch_beta, draw(cache));
}

/* What is no plain value: STRATA_OK or STRATA_STALE with the lease's value the one that is meant;
 * STRATA_MISS; STRATA_MORE. That Redis has none says nothing of where values come from. *counts: as
 * what, where it is no hit. */
static int ask_l1_flagged(struct sta_cache *cache, struct sta_l1_lease *lease,
                          const struct strata_load_options *options, uint64_t now_ms,
                          struct sta_load_early *early, enum sta_l1_counter *counts)
{
    struct sta_aged aged;
    int status = STRATA_OK;
    *counts = STA_L1_misses_absent;
    if ((lease->flags & STA_TIERS_ABSENT) != 0)
        return (lease->flags & STA_TIERS_NONE) != 0 ? STRATA_MISS : STRATA_MORE;
    if ((lease->flags & STA_TIERS_AGED) != 0)
        lease->value = sta_aged_open(lease->value, &aged);
    if ((lease->flags & STA_TIERS_TAGGED) != 0)
        status = sta_tags_open(cache, &lease->value, now_ms);
    if (status != STRATA_OK) {
        *counts = sta_tags_miss_reason(status);
        return STRATA_MORE;
    }
    if ((lease->flags & STA_TIERS_AGED) == 0)
        return STRATA_OK;
    if (now_ms < aged.fresh_until_ms) {
        early->due = options != NULL && (lease->flags & STA_TIERS_TAGGED) == 0 &&
                     now_ms >= aged.throttled_until_ms && is_due(cache, &aged, options, now_ms);
        early->fresh_until_ms = aged.fresh_until_ms;
        return STRATA_OK;
    }
    *counts = STA_L1_misses_expired;
    bool served = options != NULL && options->stale_ms != 0 && now_ms < aged.throttled_until_ms;
    return served ? STRATA_STALE : STRATA_MORE;
}

/* The answer that the lease is, or its end. */
static int answer_from(struct sta_cache *cache, int status, struct sta_l1_lease *lease,
                       struct strata_value *value)
{
    if (status == STRATA_OK || status == STRATA_STALE)
        sta_value_from_lease(value, cache->l1, lease);
    else
        sta_l1_release(cache->l1, lease);
    if (status == STRATA_STALE)
        sta_tiers_count(&cache->stale);
    return status;
}

static int ask_l1(struct sta_cache *cache, const struct sta_key *key,
                  const struct strata_load_options *options, uint64_t now_ns,
                  struct strata_value *value, struct sta_load_early *early)
{
    struct sta_l1_lease lease = {0};
    enum sta_l1_counter counts = STA_L1_hits;
    int status = STRATA_OK;
    if (sta_l1_get(cache->l1, key, now_ns / STA_NS_MS, &lease) != STRATA_OK) {
        sta_prefixes_miss(cache->prefixes, STA_TIMING_L1, key->bytes);
        return STRATA_MORE;
    }
    if (lease.flags != 0) {
        status = ask_l1_flagged(cache, &lease, options, now_ns / STA_NS_MS, early, &counts);
        sta_tiers_count_l1(cache, key, status != STRATA_MORE ? STA_L1_hits : counts,
                           lease.value.len);
    } else {
        sta_prefixes_hit(cache->prefixes, STA_TIMING_L1, key->bytes, lease.value.len);
    }
    return answer_from(cache, status, &lease, value);
}

/* The same once more, for who was told that it is not there: it is one get all the same. */
static int ask_l1_again(struct sta_cache *cache, const struct sta_key *key,
                        const struct strata_load_options *options, struct strata_value *value,
                        struct sta_load_early *early)
{
    struct sta_l1_lease lease = {0};
    enum sta_l1_counter counts;
    uint64_t now_ms = sta_clock_now_ms();
    int status = STRATA_OK;
    if (cache->l1 == NULL || sta_l1_peek(cache->l1, key, now_ms, &lease) != STRATA_OK)
        return STRATA_MORE;
    if (lease.suspect)
        status = STRATA_MORE;
    else if (lease.flags != 0)
        status = ask_l1_flagged(cache, &lease, options, now_ms, early, &counts);
    return answer_from(cache, status, &lease, value);
}

static struct sta_key hash_key(struct sta_cache *cache, struct strata_bytes key)
{
    return cache->l1 != NULL ? sta_l1_key(cache->l1, key) : sta_key_make(key, cache->flights_seed);
}

int sta_load_hit(struct sta_cache *cache, struct strata_bytes key,
                 const struct strata_load_options *options, uint64_t now_ns,
                 struct strata_value *value, struct sta_load_early *early)
{
    int status = sta_cache_check_key(key);
    if (status != STRATA_OK)
        return status;
    if (cache->l1 == NULL)
        return STRATA_MORE;
    struct sta_key hashed = sta_l1_key(cache->l1, key);
    return ask_l1(cache, &hashed, options, now_ns, value, early);
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

/* In Redis, behind an envelope, past its time. One that has tags may have fallen with them. */
static void find_in_l2(struct strata_load *load)
{
    struct sta_load_previous *previous = &load->previous;
    struct sta_envelope envelope;
    if (load->found.stored.owner[1] == NULL ||
        sta_envelope_read(load->found.stored.bytes, &envelope) != STRATA_OK ||
        envelope.tag_count > 0)
        return;
    uint64_t now_ms = sta_clock_now_ms();
    previous->there = true;
    previous->value = envelope.value;
    previous->fresh_until_ms =
        sta_clock_after(now_ms, sta_envelope_fresh_ms(&envelope, load->found.ttl_ms));
    previous->until_ms = sta_clock_after(now_ms, load->found.ttl_ms);
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
    /* In its time, but nobody asked us to tell; or it may have fallen with its tags. */
    if ((lease.flags & STA_TIERS_AGED) == 0 || (lease.flags & STA_TIERS_TAGGED) != 0) {
        sta_l1_release(load->cache->l1, &lease);
        return;
    }
    previous->there = true;
    previous->value = sta_aged_open(lease.value, &aged);
    previous->until_ms = lease.deadline_ms;
    previous->fresh_until_ms = aged.fresh_until_ms;
    previous->throttled_until_ms = aged.throttled_until_ms;
    sta_value_from_lease(&previous->held, load->cache->l1, &lease);
}

/* The load has failed: for a while, nobody of this process tries it again where there is another
 * answer. */
static void throttle(struct strata_load *load, const struct sta_fill *fill)
{
    uint64_t now_ms = sta_clock_now_ms(), throttle_ms = load->options->throttle_ms;
    throttle_ms = throttle_ms != 0 ? throttle_ms : THROTTLE_MS;
    sta_aged_throttle(load->cache, &fill->key, fill->token, sta_clock_after(now_ms, throttle_ms),
                      now_ms);
}

/* What was there before, for who wants it instead of the `failure`. */
static int offer_previous(struct strata_load *load, int failure, struct strata_value *value)
{
    const struct sta_load_previous *previous = &load->previous;
    uint64_t now_ms = sta_clock_now_ms();
    if (!previous->there || now_ms >= previous->until_ms ||
        sta_value_from_bytes(value, previous->value) != STRATA_OK)
        return failure;
    if (load->early && now_ms < previous->fresh_until_ms)
        return STRATA_OK;
    load->failure = failure;
    return STRATA_STALE;
}

/* What this call answers: of what is stale, each decides for himself. */
static int choose(const struct strata_load *load, int status, int failure,
                  struct strata_value *value)
{
    if (status != STRATA_STALE || failure == 0)
        return status;
    if (load->options->stale_ms == 0) {
        sta_value_release(value);
        return failure;
    }
    sta_tiers_count(&load->cache->stale);
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
    return sta_early_jitter(ttl_ms, load->options->ttl_jitter, draw(cache));
}

/* Into the tiers. Where Redis has another value meanwhile, that is the answer. */
static int keep(struct strata_load *load, struct sta_fill *fill)
{
    fill->none = load->answer == STA_LOAD_NONE;
    fill->value = load->value.bytes;
    fill->old = load->found.stored.bytes;
    fill->stale_ms = fill->none ? 0 : load->options->stale_ms;
    fill->load_us = load->options->xfetch_beta > 0 ? load->load_us : 0;
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
static int ask_in_turn(struct strata_load *load, struct sta_lease *lease,
                       struct strata_value *value)
{
    for (;;) {
        sta_lease_watch(lease);
        int status = ask_l2(load, value);
        if (status != STRATA_MISS || lease->held)
            return status;
        status = sta_lease_take(lease, load->options->lease_ms);
        if (status < 0)
            return STRATA_MISS; /* without one, then */
        if (status == STRATA_OK)
            continue; /* who had it before may have stored and dropped it meanwhile */
        load->gave_up = sta_clock_now_ns() >= load->deadline_ns;
        if (load->gave_up)
            return STRATA_ERR_TIMEOUT;
        sta_lease_wait(lease, load->deadline_ns);
    }
}

/* A value that is loaded early: not where Redis has it for longer than L1, or another has loaded it since,
 * or does so; nor where it has tags, which the new one would not have. */
static bool is_still_due(struct strata_load *load, const struct sta_fill *fill)
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
    return fill->lease == NULL || fill->lease->held ||
           sta_lease_take(fill->lease, load->options->lease_ms) != STRATA_SKIPPED;
}

/* The load begins: what made the key doubtful before does not concern it. */
static void renew(struct sta_fill *fill)
{
    struct sta_cache *cache = fill->cache;
    if (cache->l1 == NULL)
        return;
    fill->token = sta_l1_token(cache->l1, &fill->key);
    sta_flight_renew(&cache->flights, fill->flight, fill->token.generation);
}

/* Redis does not answer, a load has failed just now, and who runs this one takes the old value. */
static bool is_throttled(const struct strata_load *load)
{
    const struct sta_load_previous *previous = &load->previous;
    uint64_t now_ms = sta_clock_now_ms();
    return load->options->stale_ms != 0 && previous->there &&
           now_ms < previous->throttled_until_ms && now_ms < previous->until_ms;
}

/* L2, then the loader. */
static int fly(struct strata_load *load, struct sta_fill *fill, struct strata_value *value)
{
    int there = fill->lease != NULL && !load->early ? ask_in_turn(load, fill->lease, value)
                                                    : ask_l2(load, value);
    if (there == STRATA_OK && load->early && is_still_due(load, fill)) {
        sta_value_release(value);
        there = STRATA_MISS;
    }
    /* What Redis would not keep is not loaded early. */
    load->gave_up |= there < 0 && load->early;
    if (there == STRATA_OK || there == STRATA_STALE || load->gave_up)
        return there;
    if (fill->lease != NULL && !fill->lease->held)
        fill->lease = NULL;
    /* Where Redis answers, it knows best: what it has not, somebody has deleted. */
    if (there == STRATA_MISS && asks_l2(load->cache))
        find_in_l2(load);
    else
        find_in_l1(load, &fill->key);
    if (there < 0 && is_throttled(load))
        return offer_previous(load, STRATA_MORE, value);
    renew(fill);
    int status = sta_load_call(load);
    if (status < 0) {
        throttle(load, fill);
        return offer_previous(load, status, value);
    }
    if (there == STRATA_MISS)
        status = keep(load, fill);
    if (status == STRATA_OK)
        *value = load->value;
    return status;
}

int sta_load_fly(struct strata_load *load, struct sta_fill *fill, struct strata_value *value)
{
    const struct strata_load_options *options = load->options;
    struct sta_cache *cache = load->cache;
    struct sta_load_early early = {.due = false};
    struct sta_lease lease;
    int status = STRATA_MORE;
    load->failure = 0;
    /* L1 has been asked before the flight was ours, and may have got it since. */
    if (!load->early)
        status = ask_l1_again(cache, &fill->key, options, value, &early);
    if (status != STRATA_MORE)
        return status;
    bool leased = options->lease_ms != 0 && asks_l2(cache) && cache->config.write_through &&
                  sta_lease_init(&lease, cache, load->key) == STRATA_OK;
    fill->lease = leased ? &lease : NULL;
    fill->aged = options->refresh_ahead > 0 || options->xfetch_beta > 0;
    load->found.aged = fill->aged;
    status = fly(load, fill, value);
    if (leased)
        sta_lease_fini(&lease);
    sta_value_release(&load->previous.held);
    sta_value_release(&load->found.stored);
    load->previous = (struct sta_load_previous){.there = false};
    return status;
}

static uint64_t after_ms(uint64_t now_ns, uint64_t ms)
{
    return ms > STA_NEVER / STA_NS_MS ? STA_NEVER : sta_clock_after(now_ns, ms * STA_NS_MS);
}

static bool has_timeouts(const struct strata_load *load)
{
    return load->options->soft_timeout_ms != 0 || load->options->hard_timeout_ms != 0;
}

/* Waits for a flight, `own` or another's, within this call's time-outs: the soft one counts where L1 has
 * an old value to answer with. */
static int wait_for(struct strata_load *load, const struct sta_fill *fill, bool own,
                    struct strata_value *value)
{
    const struct strata_load_options *options = load->options;
    uint64_t until_ns = own && options->hard_timeout_ms == 0 ? STA_NEVER : load->deadline_ns;
    int failure = 0;
    if (has_timeouts(load) && options->stale_ms != 0)
        find_in_l1(load, &fill->key);
    if (load->previous.there && options->soft_timeout_ms != 0) {
        uint64_t soft_ns = after_ms(load->begun_ns, options->soft_timeout_ms);
        until_ns = soft_ns < until_ns ? soft_ns : until_ns;
    }
    sta_load_run_waiting(load->cache, fill->flight);
    int status = sta_flight_wait(&load->cache->flights, fill->flight, pthread_self(), until_ns,
                                 &failure, value);
    if (status == STRATA_ERR_TIMEOUT) {
        status = offer_previous(load, status, value);
        failure = load->failure;
    }
    sta_value_release(&load->previous.held);
    load->previous = (struct sta_load_previous){.there = false};
    return choose(load, status, failure, value);
}

/* STRATA_MORE: who ran the load we waited for gave up before we do. */
static int run_once(struct strata_load *load, struct strata_value *value)
{
    struct sta_cache *cache = load->cache;
    struct sta_fill fill = {.cache = cache, .key = hash_key(cache, load->key)};
    if (cache->l1 != NULL)
        fill.token = sta_l1_token(cache->l1, &fill.key);
    int status = sta_flight_join(&cache->flights, &fill.key, fill.token.generation, pthread_self(),
                                 &fill.flight);
    if (status < 0)
        return status;
    if (status == STRATA_MORE) {
        status = wait_for(load, &fill, false, value);
        if (status != STRATA_MORE)
            sta_tiers_count(&cache->loads_shared);
        return status;
    }
    if (has_timeouts(load)) {
        status = sta_load_hand_over(load, &fill);
        if (status == STRATA_OK)
            return wait_for(load, &fill, true, value);
    } else {
        status = sta_load_fly(load, &fill, value);
    }
    bool again = load->gave_up || (status < 0 && has_timeouts(load));
    sta_flight_end(&cache->flights, fill.flight, again ? STRATA_MORE : status, load->failure,
                   value);
    return choose(load, status, load->failure, value);
}

int sta_load_run(struct strata_load *load, struct strata_value *value)
{
    struct strata_value got = {0};
    uint64_t hard_ms = load->options->hard_timeout_ms, wait_ms = load->options->wait_ms;
    load->begun_ns = sta_clock_now_ns();
    load->patience_ns = wait_ms != 0 ? after_ms(load->begun_ns, wait_ms)
                                     : sta_clock_after(load->begun_ns, load->cache->budget_ns);
    load->deadline_ns = hard_ms != 0 ? after_ms(load->begun_ns, hard_ms) : load->patience_ns;
    int status = run_once(load, &got);
    while (status == STRATA_MORE && sta_clock_now_ns() < load->deadline_ns)
        status = run_once(load, &got);
    if (status == STRATA_MORE)
        status = STRATA_ERR_TIMEOUT;
    if (status == STRATA_OK || status == STRATA_STALE)
        *value = got;
    return status;
}

void sta_load_overtake(struct sta_cache *cache, struct strata_bytes key)
{
    struct sta_key hashed = hash_key(cache, key);
    sta_flight_overtake(&cache->flights, &hashed);
}
