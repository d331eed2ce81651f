/* SPDX-License-Identifier: MIT
 *
 * Collecting: a list of records for each degree of heat, as L1 is walked over. Where a bound is
 * passed, the coldest list gives up its first record, or the one that comes is no hotter and is let
 * go.
 */
#include "cache/hot_set.h"

#include <time.h>

#include "cache/hot_file.h"
#include "cache/listing.h"
#include "core/clock.h"
#include "core/error.h"

struct collecting {
    struct sta_l1 *l1;
    struct sta_hot_bounds bounds;
    struct sta_buffer lists[STA_L1_HEATS]; /* the hottest first, as they are written */
    uint64_t keys;
    uint64_t bytes;
};

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / STA_NS_MS;
}

/* The first record of the coldest list, if that is colder than list `at`. */
static bool drop_colder(struct collecting *collecting, size_t at)
{
    size_t coldest = STA_L1_HEATS - 1;
    while (coldest > at && sta_buffer_len(&collecting->lists[coldest]) == 0)
        coldest--;
    if (coldest == at)
        return false;
    struct sta_buffer *list = &collecting->lists[coldest];
    size_t len = STA_HOT_FRAME_LEN + sta_hot_record_body_len(sta_buffer_bytes(list).data);
    sta_buffer_consume(list, len);
    collecting->keys--;
    collecting->bytes -= len;
    return true;
}

static int collect_record(struct collecting *collecting, const struct sta_hot_record *record)
{
    size_t at = STA_L1_HEATS - 1 - record->heat;
    struct sta_buffer *list = &collecting->lists[at];
    size_t before = sta_buffer_len(list);
    if (record->key.len + record->value.len > collecting->bounds.max_bytes / 2)
        return STRATA_OK; /* nor for this one alone is the room */
    int status = sta_hot_record_append(list, record);
    if (status < 0)
        return status;
    collecting->keys++;
    collecting->bytes += sta_buffer_len(list) - before;
    while (collecting->keys > collecting->bounds.max_keys ||
           collecting->bytes > collecting->bounds.max_bytes) {
        if (drop_colder(collecting, at))
            continue;
        collecting->keys--;
        collecting->bytes -= sta_buffer_len(list) - before;
        sta_buffer_truncate(list, before);
        break;
    }
    return STRATA_OK;
}

static int collect_name(struct collecting *collecting, struct strata_bytes name, uint8_t heat,
                        uint64_t now_ms)
{
    const struct sta_hot_bounds *bounds = &collecting->bounds;
    struct sta_key key = sta_l1_key(collecting->l1, name);
    struct sta_l1_lease lease = {0};
    if (sta_listing_is_own(name) || sta_l1_peek(collecting->l1, &key, now_ms, &lease) != STRATA_OK)
        return STRATA_OK; /* gone since */
    struct sta_hot_record record = {.heat = heat, .ttl_ms = STA_NEVER, .key = name};
    if (lease.deadline_ms != STA_NEVER)
        record.ttl_ms = lease.deadline_ms > now_ms ? lease.deadline_ms - now_ms : 0;
    if (bounds->values)
        record.value = lease.value;
    bool wanted = (lease.flags & bounds->no_flags) == 0 && (!bounds->values || lease.flags == 0);
    int status = wanted ? collect_record(collecting, &record) : STRATA_OK;
    sta_l1_release(collecting->l1, &lease);
    return status;
}

static int collect(struct collecting *collecting)
{
    struct sta_buffer names, heats;
    uint64_t cursor = 0;
    int status;
    sta_buffer_init(&names, SIZE_MAX);
    sta_buffer_init(&heats, SIZE_MAX);
    do {
        uint64_t now_ms = sta_clock_now_ms();
        sta_buffer_truncate(&names, 0);
        sta_buffer_truncate(&heats, 0);
        status = sta_l1_scan_heat(collecting->l1, &cursor, now_ms, &names, &heats);
        struct strata_bytes rest = sta_buffer_bytes(&names), name;
        const uint8_t *heat = sta_buffer_bytes(&heats).data;
        while (status == STRATA_OK && sta_l1_scan_next(&rest, &name))
            status = collect_name(collecting, name, *heat++, now_ms);
    } while (status == STRATA_OK && cursor != 0);
    sta_buffer_fini(&names);
    sta_buffer_fini(&heats);
    return status;
}

int sta_hot_set_save(struct sta_l1 *l1, const char *path, const struct sta_hot_bounds *bounds,
                     uint64_t *saved, struct strata_error *error)
{
    struct collecting collecting = {.l1 = l1, .bounds = *bounds};
    for (size_t i = 0; i < STA_L1_HEATS; i++)
        sta_buffer_init(&collecting.lists[i], SIZE_MAX);
    struct sta_hot_head head = {.values = bounds->values, .wall_ms = wall_ms()};
    int status = collect(&collecting);
    if (status < 0)
        (void)sta_error_set(error, status, "%s: %s", path, strata_status_text(status));
    head.count = collecting.keys;
    if (status == STRATA_OK)
        status = sta_hot_file_write(path, &head, collecting.lists, STA_L1_HEATS, error);
    for (size_t i = 0; i < STA_L1_HEATS; i++)
        sta_buffer_fini(&collecting.lists[i]);
    if (status == STRATA_OK)
        *saved = collecting.keys;
    return status;
}
