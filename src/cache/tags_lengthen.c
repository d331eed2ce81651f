/* SPDX-License-Identifier: MIT
 *
 * Tags whose keys would end before the value that is about to be set with them (tags.h):
 *
 *     GET, PTTL of each --shorter than the value's--> PEXPIRE, or PERSIST where that has no end
 *
 * Each change is told to all that have read the tag, and makes them read it again: so it is done
 * only where it is needed, and for twice the value's time.
 */
#include <inttypes.h>
#include <stdio.h>

#include "cache/tags.h"
#include "cache/tiers.h"
#include "core/clock.h"
#include "l2/command.h"
#include "net/waiter.h"
#include "strata/status.h"

struct asking {
    struct sta_batch batch;
    struct sta_waiter waiter;
    uint64_t left_ms[STA_ENVELOPE_TAGS_MOST]; /* UINT64_MAX: no end, or not known */
};

static void on_answered(struct sta_batch *batch, uint32_t tag, int status,
                        struct strata_bytes replies)
{
    struct asking *asking = STA_CONTAINER(batch, struct asking, batch);
    struct strata_bytes version;
    uint64_t left_ms;
    if (status == STRATA_OK)
        status = sta_batch_read_get(replies, &version, &left_ms);
    asking->left_ms[tag] = status == STRATA_OK ? left_ms : UINT64_MAX;
}

static void on_ended(struct sta_batch *batch)
{
    sta_waiter_signal(&STA_CONTAINER(batch, struct asking, batch)->waiter);
}

static int ask(struct sta_cache *cache, struct asking *asking, const struct strata_bytes *keys,
               size_t count, uint64_t deadline_ns)
{
    int status = STRATA_OK;
    sta_batch_init(&asking->batch, cache->l2, cache->prefix, on_answered, on_ended);
    for (size_t i = 0; i < count && status == STRATA_OK; i++)
        status = sta_batch_get(&asking->batch, (uint32_t)i, keys[i]);
    if (status == STRATA_OK) {
        sta_waiter_init(&asking->waiter, cache->loop);
        sta_batch_submit(&asking->batch, deadline_ns);
        sta_waiter_wait(&asking->waiter);
    }
    sta_batch_fini(&asking->batch);
    return status;
}

struct change {
    struct sta_command command;
    struct sta_waiter waiter;
};

static void on_changed(struct sta_command *command, int status, struct strata_bytes replies)
{
    (void)status;
    (void)replies;
    sta_waiter_signal(&STA_CONTAINER(command, struct change, command)->waiter);
}

static void change_ttl(struct sta_cache *cache, struct strata_bytes key, uint64_t ttl_ms,
                       uint64_t deadline_ns)
{
    struct change change;
    struct sta_buffer name;
    char text[24];
    bool ends = ttl_ms <= INT64_MAX / 2;
    (void)snprintf(text, sizeof text, "%" PRIu64, ttl_ms);
    sta_buffer_init(&name, SIZE_MAX);
    sta_command_init(&change.command, cache->l2, on_changed);
    int status = sta_buffer_append(&name, cache->prefix);
    if (status == STRATA_OK)
        status = sta_buffer_append(&name, key);
    struct strata_bytes whole = sta_buffer_bytes(&name);
    const struct strata_bytes words[] = {strata_text(ends ? "PEXPIRE" : "PERSIST"), whole,
                                         strata_text(text)};
    if (status == STRATA_OK)
        status = sta_command_add(&change.command, words, ends ? 3 : 2);
    if (status == STRATA_OK) {
        sta_waiter_init(&change.waiter, cache->loop);
        sta_command_submit(&change.command, whole, deadline_ns);
        sta_waiter_wait(&change.waiter);
    }
    sta_command_fini(&change.command);
    sta_buffer_fini(&name);
}

void sta_tags_lengthen(struct sta_cache *cache, const struct strata_bytes *keys, size_t count,
                       uint64_t ttl_ms, uint64_t now_ns)
{
    uint64_t deadline_ns = sta_clock_after(now_ns, sta_live(&cache->live.budget_ns));
    struct asking asking;
    if (sta_tags_ttl_ms(ttl_ms) <= STA_TAGS_TTL_MS ||
        ask(cache, &asking, keys, count, deadline_ns) != STRATA_OK)
        return;
    for (size_t i = 0; i < count; i++)
        if (asking.left_ms[i] < ttl_ms)
            change_ttl(cache, keys[i], sta_tags_ttl_ms(ttl_ms), deadline_ns);
}
