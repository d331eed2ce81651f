/* SPDX-License-Identifier: MIT
 *
 * What a key had before it is loaded anew, and who gets that: the loader may see it, and it is the
 * answer where the load fails or takes too long, for calls that ask for it.
 */
#include "cache/aged.h"
#include "cache/envelope.h"
#include "cache/load.h"
#include "cache/tiers.h"
#include "cache/value.h"
#include "core/clock.h"
#include "strata/status.h"

/* How long a stale value is served without another load, where the options do not say. */
#define THROTTLE_MS 1000u

/* In Redis, behind an envelope, past its time. One that has tags may have fallen with them. */
void sta_load_find_in_l2(struct strata_load *load)
{
    struct sta_load_previous *previous = &load->previous;
    struct sta_envelope envelope;
    if (load->found.stored.owner[1] == NULL || load->found.hidden ||
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

/* Proven or not: it is all that we have. */
void sta_load_find_in_l1(struct strata_load *load)
{
    struct sta_load_previous *previous = &load->previous;
    struct sta_cache *cache = load->call->cache;
    struct sta_l1 *l1 = cache->l1;
    struct sta_l1_lease lease = {0};
    struct sta_aged aged;
    if (l1 == NULL || sta_l1_peek(l1, &load->fill.key, sta_clock_now_ms(), &lease) != STRATA_OK)
        return;
    /* In its time, but nobody asked us to tell; or it may have fallen with its tags, or is
     * hidden. */
    if ((lease.flags & STA_TIERS_AGED) == 0 || (lease.flags & STA_TIERS_TAGGED) != 0 ||
        sta_barriers_hides(&cache->barriers, load->key, sta_clock_now_ns())) {
        sta_l1_release(l1, &lease);
        return;
    }
    previous->there = true;
    previous->value = sta_aged_open(lease.value, &aged);
    previous->until_ms = lease.deadline_ms;
    previous->fresh_until_ms = aged.fresh_until_ms;
    previous->throttled_until_ms = aged.throttled_until_ms;
    sta_value_from_lease(&previous->held, l1, &lease);
}

void sta_load_forget_previous(struct strata_load *load)
{
    sta_value_release(&load->previous.held);
    load->previous = (struct sta_load_previous){.there = false};
}

void sta_load_throttle(struct strata_load *load)
{
    uint64_t now_ms = sta_clock_now_ms(), throttle_ms = load->call->options->throttle_ms;
    throttle_ms = throttle_ms != 0 ? throttle_ms : THROTTLE_MS;
    sta_aged_throttle(load->call->cache, &load->fill.key, load->fill.token,
                      sta_clock_after(now_ms, throttle_ms), now_ms);
}

bool sta_load_is_throttled(const struct strata_load *load)
{
    const struct sta_load_previous *previous = &load->previous;
    uint64_t now_ms = sta_clock_now_ms();
    return load->call->options->stale_ms != 0 && previous->there &&
           now_ms < previous->throttled_until_ms && now_ms < previous->until_ms;
}

void sta_load_offer_previous(struct strata_load *load, int failure)
{
    const struct sta_load_previous *previous = &load->previous;
    uint64_t now_ms = sta_clock_now_ms();
    load->status = failure;
    if (!previous->there || now_ms >= previous->until_ms ||
        sta_value_from_bytes(&load->value, previous->value) != STRATA_OK)
        return;
    if (load->call->early && now_ms < previous->fresh_until_ms) {
        load->status = STRATA_OK;
        return;
    }
    load->status = STRATA_STALE;
    load->failure = failure;
}

void sta_load_choose(struct strata_load *load)
{
    if (load->status != STRATA_STALE || load->failure == 0)
        return;
    if (load->call->options->stale_ms != 0) {
        sta_tiers_count(&load->call->cache->stale);
        return;
    }
    sta_value_release(&load->value);
    load->status = load->failure;
}
