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
#include "strata/status.h"

/* ---- the change ---- */

static int change_next(struct sta_tags_set *set);

static void on_changed(struct sta_command *command, int status, struct strata_bytes replies)
{
    struct sta_tags_set *set = STA_CONTAINER(command, struct sta_tags_set, command);
    (void)status;
    (void)replies;
    set->stepped(set);
}

static int changed(struct sta_tags_set *set)
{
    sta_command_fini(&set->command);
    sta_buffer_fini(&set->name);
    return change_next(set);
}

static void send_change(struct sta_tags_set *set)
{
    sta_command_submit(&set->command, sta_buffer_bytes(&set->name), sta_tags_set_deadline_ns(set));
}

static int encode(struct sta_tags_set *set, struct strata_bytes key)
{
    uint64_t ttl_ms = sta_tags_ttl_ms(set->ttl_ms);
    char text[24];
    bool ends = ttl_ms <= INT64_MAX / 2;
    (void)snprintf(text, sizeof text, "%" PRIu64, ttl_ms);
    int status = sta_buffer_append(&set->name, set->cache->prefix);
    if (status == STRATA_OK)
        status = sta_buffer_append(&set->name, key);
    const struct strata_bytes words[] = {strata_text(ends ? "PEXPIRE" : "PERSIST"),
                                         sta_buffer_bytes(&set->name), strata_text(text)};
    return status == STRATA_OK ? sta_command_add(&set->command, words, ends ? 3 : 2) : status;
}

/* As of the one that is next; behind the last one the value is written. */
static int change_next(struct sta_tags_set *set)
{
    if (set->cache->l2 == NULL) /* it is being closed */
        return STRATA_ERR_CLOSED;
    while (set->longer < set->count) {
        size_t at = set->longer++;
        if (set->left_ms[at] >= set->ttl_ms)
            continue;
        sta_buffer_init(&set->name, SIZE_MAX);
        sta_command_init(&set->command, set->cache->l2, on_changed);
        set->send = send_change;
        set->next = changed;
        if (encode(set, set->keys[at]) == STRATA_OK)
            return STRATA_MORE;
        sta_command_fini(&set->command);
        sta_buffer_fini(&set->name);
    }
    return sta_tags_set_write(set);
}

/* ---- the look ---- */

static void on_answered(struct sta_batch *batch, uint32_t tag, int status,
                        struct strata_bytes replies)
{
    struct sta_tags_set *set = STA_CONTAINER(batch, struct sta_tags_set, batch);
    struct strata_bytes version;
    uint64_t left_ms;
    if (status == STRATA_OK)
        status = sta_batch_read_get(replies, &version, &left_ms);
    set->left_ms[tag] = status == STRATA_OK ? left_ms : UINT64_MAX;
}

static void on_ended(struct sta_batch *batch)
{
    struct sta_tags_set *set = STA_CONTAINER(batch, struct sta_tags_set, batch);
    set->stepped(set);
}

static int looked(struct sta_tags_set *set)
{
    sta_batch_fini(&set->batch);
    return change_next(set);
}

static void send_look(struct sta_tags_set *set)
{
    sta_batch_submit(&set->batch, sta_tags_set_deadline_ns(set));
}

int sta_tags_lengthen(struct sta_tags_set *set)
{
    int status = STRATA_OK;
    if (sta_tags_ttl_ms(set->ttl_ms) <= STA_TAGS_TTL_MS)
        return STRATA_OK;
    sta_batch_init(&set->batch, set->cache->l2, set->cache->prefix, on_answered, on_ended);
    for (size_t i = 0; i < set->count && status == STRATA_OK; i++)
        status = sta_batch_get(&set->batch, (uint32_t)i, set->keys[i]);
    set->send = send_look;
    set->next = looked;
    if (status == STRATA_OK)
        return STRATA_MORE;
    sta_batch_fini(&set->batch);
    return STRATA_OK;
}
