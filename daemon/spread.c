/* SPDX-License-Identifier: MIT
 *
 * Splitting a command, and sending its parts; what becomes of their replies is in spread_merge.c.
 */
#include "daemon/spread.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/exchange.h"
#include "daemon/lane.h"
#include "daemon/scan_cursor.h"
#include "daemon/session.h"
#include "daemon/spread_inside.h"
#include "daemon/stratad.h"
#include "daemon/tracked_lane.h"
#include "daemon/worker.h"
#include "l2/router.h"
#include "resp/resp.h"
#include "strata/status.h"

static int spread_create(struct sta_spread **out, struct sta_exchange *exchange, size_t parts,
                         size_t keys, enum sta_slot_plan_merge merge)
{
    struct sta_spread *spread =
        calloc(1, sizeof *spread + parts * sizeof spread->parts[0] + keys * sizeof(size_t));
    if (spread == NULL)
        return STRATA_ERR_NOMEM;
    spread->exchange = exchange;
    spread->merge = merge;
    spread->order = (size_t *)(void *)&spread->parts[parts];
    spread->key_count = keys;
    sta_buffer_init(&spread->merged, SIZE_MAX);
    for (size_t i = 0; i < parts; i++)
        sta_buffer_init(&spread->parts[i].replies, SIZE_MAX);
    for (size_t i = 1; i < parts; i++)
        spread->parts[i - 1].next = &spread->parts[i];
    spread->first = spread->parts;
    spread->count = parts;
    exchange->spread = spread;
    *out = spread;
    return STRATA_OK;
}

void sta_spread_destroy(struct sta_spread **at)
{
    struct sta_spread *spread = *at;
    if (spread == NULL)
        return;
    *at = NULL;
    for (struct sta_spread_part *part = spread->first; part != NULL; part = part->next)
        sta_buffer_fini(&part->replies);
    while (spread->pieces != NULL) {
        struct sta_spread_pieces *pieces = spread->pieces;
        spread->pieces = pieces->next;
        sta_buffer_fini(&pieces->wire);
        free(pieces);
    }
    sta_buffer_fini(&spread->merged);
    free(spread);
}

/* ---- splitting ---- */

struct placed {
    uint16_t slot;
    size_t key;
};

static int placed_order(const void *one, const void *other)
{
    const struct placed *a = one, *b = other;
    if (a->slot != b->slot)
        return a->slot < b->slot ? -1 : 1;
    return a->key < b->key ? -1 : a->key > b->key;
}

/* The keys by slot, and those of one slot as they were; how many slots. */
static size_t place_keys(struct placed *placed, const struct strata_bytes *argv, size_t keys,
                         size_t step)
{
    size_t slots = 0;
    for (size_t i = 0; i < keys; i++)
        placed[i] = (struct placed){sta_slot_of(argv[1 + i * step]), i};
    qsort(placed, keys, sizeof *placed, placed_order);
    for (size_t i = 0; i < keys; i++)
        slots += i == 0 || placed[i].slot != placed[i - 1].slot;
    return slots;
}

/* Appends the part's command, and the PTTLs where it has any. words: the command's name, then those
 * of the part's keys. */
static int part_write(struct sta_spread_part *part, struct sta_buffer *wire,
                      const struct strata_bytes *words, size_t step, bool with_pttl)
{
    part->wire_at = sta_buffer_len(wire);
    int status = sta_resp_write_command(wire, words, 1 + part->key_count * step);
    for (size_t i = 0; i < part->key_count && with_pttl && status == STRATA_OK; i++) {
        const struct strata_bytes pttl[] = {strata_bytes("PTTL", 4), words[1 + i * step]};
        status = sta_resp_write_command(wire, pttl, 2);
    }
    part->wire_len = sta_buffer_len(wire) - part->wire_at;
    part->operation.request.commands = 1 + (with_pttl ? (unsigned)part->key_count : 0);
    return status;
}

/* `words` has room for the command. */
static void part_words(const struct sta_spread *spread, const struct sta_spread_part *part,
                       const struct strata_bytes *argv, struct strata_bytes *words)
{
    const size_t step = spread->step;
    size_t count = 0;
    words[count++] = argv[0];
    for (size_t i = 0; i < part->key_count; i++)
        for (size_t word = 0; word < step; word++)
            words[count++] = argv[1 + spread->order[part->first_key + i] * step + word];
}

static void parts_assign(struct sta_spread *spread, const struct placed *placed)
{
    struct sta_spread_part *part = spread->parts;
    for (size_t i = 0; i < spread->key_count; i++) {
        if (i > 0 && placed[i].slot != placed[i - 1].slot)
            part++;
        if (part->key_count++ == 0)
            part->first_key = i;
        part->operation.slot = placed[i].slot;
        spread->order[i] = placed[i].key;
    }
}

int sta_spread_split(struct sta_exchange *exchange, const struct strata_bytes *argv, size_t argc,
                     size_t step, enum sta_slot_plan_merge merge, bool with_pttl)
{
    size_t keys = (argc - 1) / step;
    struct placed *placed = malloc(keys * sizeof *placed);
    struct strata_bytes *words = malloc(argc * sizeof *words);
    struct sta_spread *spread;
    int status = placed != NULL && words != NULL ? STRATA_OK : STRATA_ERR_NOMEM;
    if (status == STRATA_OK)
        status =
            spread_create(&spread, exchange, place_keys(placed, argv, keys, step), keys, merge);
    if (status == STRATA_OK) {
        spread->step = step;
        parts_assign(spread, placed);
        for (size_t i = 0; i < spread->count && status == STRATA_OK; i++) {
            part_words(spread, &spread->parts[i], argv, words);
            status = part_write(&spread->parts[i], &exchange->wire, words, step, with_pttl);
        }
    }
    free(placed);
    free(words);
    return status;
}

static unsigned first_slot_of(const struct sta_slot_map *map, uint16_t node)
{
    unsigned slot = 0;
    while (slot < STA_SLOT_COUNT && sta_slot_map_owner(map, slot) != node)
        slot++;
    return slot;
}

static size_t serving_nodes(const struct sta_slot_map *map)
{
    size_t count = 0;
    for (uint16_t i = 0; i < map->node_count; i++)
        count += map->nodes[i].slots > 0;
    return count;
}

int sta_spread_over_all(struct sta_exchange *exchange, const struct sta_slot_map *map,
                        enum sta_slot_plan_merge merge)
{
    struct sta_spread *spread;
    int status = spread_create(&spread, exchange, serving_nodes(map), 0, merge);
    if (status < 0)
        return status;
    spread->over_all = sta_scan_cursor_digest(map, &spread->digest);
    struct sta_spread_part *part = spread->parts;
    for (uint16_t i = 0; i < map->node_count; i++) {
        if (map->nodes[i].slots == 0)
            continue;
        part->operation.slot = (uint16_t)first_slot_of(map, i);
        part->operation.request.commands = 1;
        part->wire_len = sta_buffer_len(&exchange->wire);
        part++;
    }
    return STRATA_OK;
}

/* ---- there and back ---- */

/* The stamps are of the moment at which the answer came: all that its node had sent before it has
 * been dealt with. */
static void part_stamp(const struct sta_spread *spread, const struct sta_spread_part *part)
{
    struct sta_exchange *exchange = spread->exchange;
    if (spread->merge != STA_SLOT_PLAN_BY_KEY || exchange->worker->stratad->l1 == NULL)
        return;
    for (size_t i = 0; i < part->key_count; i++) {
        struct sta_exchange_key *key = &exchange->keys[spread->order[part->first_key + i]];
        key->nobodys = !sta_tracked_lane_stamp(&exchange->worker->tracked, &part->operation,
                                               &key->key, &key->token);
    }
}

static void spread_conclude(struct sta_spread *spread)
{
    struct sta_exchange *exchange = spread->exchange;
    int status = sta_spread_merge(spread);
    struct strata_bytes replies =
        status == STRATA_OK ? sta_buffer_bytes(&spread->merged) : strata_bytes(NULL, 0);
    exchange->operation.done(&exchange->operation, status, replies);
}

static void part_done(struct sta_operation *operation, int status, struct strata_bytes replies);

/* The last one may be answered at once, and take all with it. `wire` is where its command lies. */
static void part_send(struct sta_spread *spread, struct sta_spread_part *part,
                      const struct sta_buffer *wire)
{
    const struct sta_exchange *exchange = spread->exchange;
    const uint8_t *bytes = sta_buffer_bytes(wire).data;
    part->spread = spread;
    part->operation.request.wire = strata_bytes(bytes + part->wire_at, part->wire_len);
    part->operation.request.deadline_ns = exchange->operation.request.deadline_ns;
    part->operation.repeatable = exchange->operation.repeatable;
    part->operation.splittable = part->key_count > 1;
    part->operation.hurried = exchange->operation.hurried;
    part->operation.way = exchange->operation.way;
    part->operation.done = part_done;
    sta_router_submit(exchange->worker->router, &part->operation);
}

/* ---- a slot on its way ---- */

/* The router has waited; for single keys Redis knows where they are. */
static bool wants_breaking(const struct sta_spread_part *part, int status,
                           struct strata_bytes replies)
{
    static const char tryagain[] = "-TRYAGAIN";
    return status == STRATA_OK && part->operation.splittable && replies.len > sizeof tryagain &&
           memcmp(replies.data, tryagain, sizeof tryagain - 1) == 0;
}

/* argv: the part's command. */
static int pieces_write(const struct sta_spread_part *part, struct sta_spread_pieces *pieces,
                        const struct strata_bytes *argv)
{
    const size_t step = part->spread->step;
    const bool with_pttl = part->operation.request.commands > 1;
    int status = STRATA_OK;
    for (size_t i = 0; i < part->key_count && status == STRATA_OK; i++) {
        struct sta_spread_part *piece = &pieces->parts[i];
        const struct strata_bytes words[] = {argv[0], argv[1 + i * step], argv[(i + 1) * step]};
        sta_buffer_init(&piece->replies, SIZE_MAX);
        piece->next = i + 1 < part->key_count ? piece + 1 : part->next;
        piece->first_key = part->first_key + i;
        piece->key_count = 1;
        piece->operation.slot = part->operation.slot;
        status = part_write(piece, &pieces->wire, words, step, with_pttl);
    }
    return status;
}

/* NULL: out of memory. */
static struct sta_spread_pieces *pieces_create(const struct sta_spread_part *part)
{
    const size_t argc = 1 + part->key_count * part->spread->step;
    struct sta_spread_pieces *pieces =
        calloc(1, sizeof *pieces + part->key_count * sizeof pieces->parts[0]);
    struct strata_bytes *argv = malloc(argc * sizeof *argv);
    int status = STRATA_ERR_NOMEM;
    if (pieces != NULL && argv != NULL) {
        sta_buffer_init(&pieces->wire, SIZE_MAX);
        status = sta_resp_request_args(part->operation.request.wire, argv, argc, NULL);
        if (status == STRATA_OK)
            status = pieces_write(part, pieces, argv);
        if (status < 0)
            sta_buffer_fini(&pieces->wire);
    }
    free(argv);
    if (status == STRATA_OK)
        return pieces;
    free(pieces);
    return NULL;
}

/* Pieces of a key each take the part's place, and are sent. False, out of memory: it is as it
 * was. */
static bool part_break(struct sta_spread_part *part)
{
    struct sta_spread *spread = part->spread;
    const size_t count = part->key_count;
    struct sta_spread_pieces *pieces = pieces_create(part);
    if (pieces == NULL)
        return false;
    struct sta_spread_part **place = &spread->first;
    while (*place != part)
        place = &(*place)->next;
    *place = pieces->parts;
    pieces->next = spread->pieces;
    spread->pieces = pieces;
    spread->count += count - 1;
    spread->waiting += count - 1;
    for (size_t i = 0; i < count; i++)
        part_send(spread, &pieces->parts[i], &pieces->wire);
    return true;
}

/* ---- answered ---- */

static void part_done(struct sta_operation *operation, int status, struct strata_bytes replies)
{
    struct sta_spread_part *part = STA_CONTAINER(operation, struct sta_spread_part, operation);
    struct sta_spread *spread = part->spread;
    if (wants_breaking(part, status, replies) && part_break(part))
        return;
    if (status == STRATA_OK)
        part_stamp(spread, part);
    else
        spread->exchange->operation.slot = operation->slot; /* who is to blame */
    if (sta_lane_is_unknown(status) && !operation->repeatable)
        sta_lane_doubt(&spread->exchange->worker->lanes[spread->exchange->lane], operation);
    if (spread->count == 1 && !spread->over_all) { /* nothing is to be merged */
        spread->exchange->operation.done(&spread->exchange->operation, status, replies);
        return;
    }
    part->status = status;
    if (status == STRATA_OK)
        part->status = sta_spread_told(spread, sta_buffer_append(&part->replies, replies));
    if (--spread->waiting == 0)
        spread_conclude(spread);
}

/* As each part: it may be answered at once, and the last one take all with it. */
void sta_spread_send(struct sta_exchange *exchange)
{
    struct sta_spread *spread = exchange->spread;
    const size_t count = spread->count;
    spread->waiting = count;
    for (size_t i = 0; i < count; i++)
        part_send(spread, &spread->parts[i], &exchange->wire);
}
