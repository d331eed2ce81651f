/* SPDX-License-Identifier: MIT
 *
 * See scan_cursor.h.
 */
#include "daemon/scan_cursor.h"

#include <stdio.h>
#include <string.h>

#include "core/key.h"
#include "strata/status.h"

#define OWN_BITS   35u
#define PLACE_MOST (UINT64_C(1) << 18) /* digests and primaries together */

struct survey {
    uint64_t digest;
    unsigned count;                         /* primaries that serve slots */
    uint16_t slots[STA_SLOT_MAP_NODES_MAX]; /* of each the first one */
};

static struct strata_bytes name_of(const struct sta_slot_node *node)
{
    return node->id[0] != '\0' ? strata_text(node->id) : strata_text(node->endpoint.address);
}

/* False: some slots have no owner. */
static bool survey_make(struct survey *out, const struct sta_slot_map *map)
{
    uint64_t seen[(STA_SLOT_MAP_NODES_MAX + 63) / 64] = {0};
    uint16_t before = STA_SLOT_MAP_NONE;
    out->digest = 0;
    out->count = 0;
    for (unsigned slot = 0; slot < STA_SLOT_COUNT; slot++) {
        uint16_t owner = sta_slot_map_owner(map, slot);
        if (owner == STA_SLOT_MAP_NONE)
            return false;
        if (owner != before)
            out->digest = sta_key_make(name_of(&map->nodes[owner]), out->digest + slot).hash;
        before = owner;
        if ((seen[owner / 64] >> owner % 64 & 1) != 0)
            continue;
        seen[owner / 64] |= UINT64_C(1) << owner % 64;
        out->slots[out->count++] = (uint16_t)slot;
    }
    return true;
}

bool sta_scan_cursor_digest(const struct sta_slot_map *map, uint64_t *digest)
{
    struct survey survey;
    if (!survey_make(&survey, map))
        return false;
    *digest = survey.digest;
    return true;
}

/* What of it there is room for in a cursor. */
static uint64_t short_digest(const struct survey *survey)
{
    return survey->digest % (PLACE_MOST / survey->count);
}

static bool read_number(struct strata_bytes text, uint64_t *out)
{
    uint64_t number = 0;
    const uint8_t *bytes = text.data;
    if (text.len == 0 || text.len > 20)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = bytes[i] - (unsigned)'0';
        if (digit > 9 || number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *out = number;
    return true;
}

int sta_scan_cursor_read(struct sta_scan_cursor *out, const struct sta_slot_map *map,
                         struct strata_bytes text)
{
    struct survey survey;
    uint64_t number;
    if (!read_number(text, &number))
        return STRATA_ERR_INVALID;
    if (!survey_make(&survey, map))
        return STRATA_ERR_UNAVAILABLE;
    uint64_t place = number >> OWN_BITS;
    if (number != 0 && place / survey.count != short_digest(&survey))
        return STRATA_ERR_UNAVAILABLE;
    unsigned primary = (unsigned)(place % survey.count);
    *out = (struct sta_scan_cursor){
        .digest = survey.digest,
        .primary = primary,
        .count = survey.count,
        .slot = survey.slots[primary],
        .own = number & ((UINT64_C(1) << OWN_BITS) - 1),
    };
    return STRATA_OK;
}

int sta_scan_cursor_next(const struct sta_scan_cursor *cursor, const struct sta_slot_map *map,
                         uint64_t own, uint64_t *next)
{
    struct survey survey;
    if (!survey_make(&survey, map) || survey.digest != cursor->digest ||
        survey.count != cursor->count)
        return STRATA_ERR_UNAVAILABLE;
    if (own >> OWN_BITS != 0)
        return STRATA_ERR_TOO_BIG;
    unsigned primary = cursor->primary + (own == 0);
    *next = primary == cursor->count
                ? 0
                : (short_digest(&survey) * cursor->count + primary) << OWN_BITS | own;
    return STRATA_OK;
}
