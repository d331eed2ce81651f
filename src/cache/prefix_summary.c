/* SPDX-License-Identifier: MIT
 *
 * See prefix_summary.h.
 */
#include "cache/prefix_summary.h"

#include <stdbool.h>
#include <string.h>

void sta_prefix_numbers_add(struct sta_prefix_numbers *to, const struct sta_prefix_numbers *from)
{
    for (unsigned tier = 0; tier < 2; tier++) {
        to->hits[tier] += from->hits[tier];
        to->misses[tier] += from->misses[tier];
        to->bytes[tier] += from->bytes[tier];
    }
}

static uint32_t home_of(uint64_t hash)
{
    return (uint32_t)hash & (STA_PREFIX_PLACES - 1);
}

static uint32_t after(uint32_t place)
{
    return (place + 1) & (STA_PREFIX_PLACES - 1);
}

static bool is_entry_of(const struct sta_prefix_entry *entry, struct strata_bytes prefix,
                        uint64_t hash)
{
    return entry->hash == hash && entry->len == prefix.len &&
           memcmp(entry->bytes, prefix.data, prefix.len) == 0;
}

/* Takes an entry out of its place; who stands behind it because of it moves up. */
static void leave_place(struct sta_prefix_summary *summary, uint32_t index)
{
    uint32_t hole = home_of(summary->entries[index].hash);
    while (summary->places[hole] != index + 1)
        hole = after(hole);
    for (uint32_t at = after(hole); summary->places[at] != 0; at = after(at)) {
        uint32_t home = home_of(summary->entries[summary->places[at] - 1].hash);
        bool may_move =
            ((at - home) & (STA_PREFIX_PLACES - 1)) >= ((at - hole) & (STA_PREFIX_PLACES - 1));
        if (!may_move)
            continue;
        summary->places[hole] = summary->places[at];
        hole = at;
    }
    summary->places[hole] = 0;
}

static uint32_t lightest(const struct sta_prefix_summary *summary)
{
    uint32_t least = 0;
    for (uint32_t i = 1; i < STA_PREFIX_ENTRIES; i++)
        least = summary->weights[i] < summary->weights[least] ? i : least;
    return least;
}

/* An entry for who has none; what it weighs already is whom it follows. */
static uint32_t make_entry(struct sta_prefix_summary *summary, struct strata_bytes prefix,
                           uint64_t hash)
{
    uint32_t index = summary->count;
    if (index < STA_PREFIX_ENTRIES) {
        summary->count++;
    } else {
        index = lightest(summary);
        leave_place(summary, index);
        sta_prefix_numbers_add(&summary->other, &summary->entries[index].numbers);
    }
    struct sta_prefix_entry *entry = &summary->entries[index];
    *entry = (struct sta_prefix_entry){.hash = hash, .len = (uint8_t)prefix.len};
    memcpy(entry->bytes, prefix.data, prefix.len);
    uint32_t place = home_of(hash);
    while (summary->places[place] != 0)
        place = after(place);
    summary->places[place] = (uint8_t)(index + 1);
    return index;
}

struct sta_prefix_numbers *sta_prefix_summary_meet(struct sta_prefix_summary *summary,
                                                   struct strata_bytes prefix, uint64_t hash)
{
    uint32_t place = home_of(hash), index = STA_PREFIX_ENTRIES;
    for (; summary->places[place] != 0; place = after(place)) {
        index = summary->places[place] - 1u;
        if (is_entry_of(&summary->entries[index], prefix, hash))
            break;
    }
    if (summary->places[place] == 0)
        index = make_entry(summary, prefix, hash);
    summary->weights[index]++;
    if (++summary->met >= STA_PREFIX_HALVED_AT) {
        summary->met = 0;
        for (uint32_t i = 0; i < STA_PREFIX_ENTRIES; i++)
            summary->weights[i] /= 2;
    }
    return &summary->entries[index].numbers;
}
