/* SPDX-License-Identifier: MIT
 *
 * See shadow.h. Nodes are linked by 16-bit numbers: a chain for each hash slot, a FIFO for each
 * place, a list of the free ones.
 * Budget of a request: one chain, and on a miss one eviction.
 */
#include "l1/shadow.h"

#include <string.h>

#define VISITS_MOST 3u
#define NONE        UINT16_MAX

struct sta_shadow_node {
    uint32_t print;
    uint16_t chain; /* the next of the same hash slot, or of the free list */
    uint16_t newer;
    uint16_t older;
    uint8_t visits;
    uint8_t place;
};

static uint32_t ghosts_for(const struct sta_rule *rule, uint32_t cap)
{
    return cap * rule->ghost_tenths / 10;
}

static uint16_t *slot_of(struct sta_shadow *shadow, uint32_t print)
{
    return &shadow->slots[(print * UINT32_C(0x9e3779b1)) >> 16 & shadow->slot_mask];
}

static uint16_t find(struct sta_shadow *shadow, uint32_t print)
{
    uint16_t at = *slot_of(shadow, print);
    while (at != NONE && shadow->nodes[at].print != print)
        at = shadow->nodes[at].chain;
    return at;
}

static void fifo_push(struct sta_shadow *shadow, enum sta_shadow_place place, uint16_t at)
{
    struct sta_shadow_fifo *fifo = &shadow->fifos[place];
    struct sta_shadow_node *node = &shadow->nodes[at];
    node->place = (uint8_t)place;
    node->older = fifo->newest;
    node->newer = NONE;
    if (fifo->newest != NONE)
        shadow->nodes[fifo->newest].newer = at;
    else
        fifo->oldest = at;
    fifo->newest = at;
    fifo->count++;
}

static void fifo_remove(struct sta_shadow *shadow, uint16_t at)
{
    struct sta_shadow_node *node = &shadow->nodes[at];
    struct sta_shadow_fifo *fifo = &shadow->fifos[node->place];
    if (node->older != NONE)
        shadow->nodes[node->older].newer = node->newer;
    else
        fifo->oldest = node->newer;
    if (node->newer != NONE)
        shadow->nodes[node->newer].older = node->older;
    else
        fifo->newest = node->older;
    fifo->count--;
}

static void forget(struct sta_shadow *shadow, uint16_t at)
{
    fifo_remove(shadow, at);
    uint16_t *link = slot_of(shadow, shadow->nodes[at].print);
    while (*link != at)
        link = &shadow->nodes[*link].chain;
    *link = shadow->nodes[at].chain;
    shadow->nodes[at].chain = shadow->free;
    shadow->free = at;
}

/* One entry less; what survives goes round, at most VISITS_MOST times. */
static void evict(struct sta_shadow *shadow)
{
    struct sta_shadow_fifo *small = &shadow->fifos[STA_SHADOW_SMALL];
    struct sta_shadow_fifo *main = &shadow->fifos[STA_SHADOW_MAIN];
    for (;;) {
        bool from_small =
            main->count == 0 ||
            (small->count > 0 &&
             small->count * 100 >= (uint32_t)shadow->rule.small_percent * shadow->cap);
        uint16_t at = from_small ? small->oldest : main->oldest;
        struct sta_shadow_node *node = &shadow->nodes[at];
        if (from_small && node->visits < shadow->rule.promote) {
            fifo_remove(shadow, at);
            fifo_push(shadow, STA_SHADOW_GHOST, at);
            if (shadow->fifos[STA_SHADOW_GHOST].count > ghosts_for(&shadow->rule, shadow->cap))
                forget(shadow, shadow->fifos[STA_SHADOW_GHOST].oldest);
            return;
        }
        if (!from_small && node->visits == 0) {
            forget(shadow, at);
            return;
        }
        node->visits = from_small ? 0 : (uint8_t)(node->visits - 1);
        fifo_remove(shadow, at);
        fifo_push(shadow, STA_SHADOW_MAIN, at);
    }
}

bool sta_shadow_see(struct sta_shadow *shadow, uint32_t print)
{
    uint16_t at = find(shadow, print);
    enum sta_shadow_place place = STA_SHADOW_SMALL;
    if (at != NONE && shadow->nodes[at].place != STA_SHADOW_GHOST) {
        if (shadow->nodes[at].visits < VISITS_MOST)
            shadow->nodes[at].visits++;
        return true;
    }
    if (at != NONE) {
        place = STA_SHADOW_MAIN;
        forget(shadow, at);
    }
    if (shadow->fifos[STA_SHADOW_SMALL].count + shadow->fifos[STA_SHADOW_MAIN].count >= shadow->cap)
        evict(shadow);
    at = shadow->free; /* there is one: nodes for all entries, all ghosts and one more */
    struct sta_shadow_node *node = &shadow->nodes[at];
    shadow->free = node->chain;
    uint16_t *slot = slot_of(shadow, print);
    *node = (struct sta_shadow_node){.print = print, .chain = *slot};
    *slot = at;
    fifo_push(shadow, place, at);
    return false;
}

/* ---- life ---- */

static uint32_t slots_for(uint32_t cap)
{
    uint32_t slots = 64;
    while (slots < cap)
        slots *= 2;
    return slots;
}

/* All entries, all ghosts, and one of each that is on its way. */
static uint32_t nodes_for(const struct sta_rule *rule, uint32_t cap)
{
    return cap + ghosts_for(rule, cap) + 2;
}

uint32_t sta_shadow_bytes(const struct sta_rule *rule, uint32_t cap)
{
    uint32_t bytes = nodes_for(rule, cap) * (uint32_t)sizeof(struct sta_shadow_node) +
                     slots_for(cap) * (uint32_t)sizeof(uint16_t);
    return (bytes + 15u) & ~15u;
}

void sta_shadow_init(struct sta_shadow *shadow, const struct sta_rule *rule, uint32_t cap,
                     void *memory)
{
    uint32_t nodes = nodes_for(rule, cap);
    uint32_t slots = slots_for(cap);
    *shadow =
        (struct sta_shadow){.rule = *rule, .cap = cap, .nodes = memory, .slot_mask = slots - 1};
    shadow->slots = (uint16_t *)(void *)(shadow->nodes + nodes);
    memset(shadow->slots, 0xff, slots * sizeof *shadow->slots); /* NONE */
    for (uint32_t i = 0; i < nodes; i++)
        shadow->nodes[i].chain = (uint16_t)(i + 1 < nodes ? i + 1 : NONE);
    for (uint32_t i = 0; i < STA_SHADOW_PLACES; i++)
        shadow->fifos[i] = (struct sta_shadow_fifo){NONE, NONE, 0};
}
