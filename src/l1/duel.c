/* SPDX-License-Identifier: MIT
 *
 * The duel (duel.h): shadows, scores.
 */
#include "l1/duel.h"

#include <stdlib.h>
#include <string.h>

#define DRAIN_MOST   256u /* requests shown with one store */
#define GHOST_PARTS  10u  /* ghosts: all but one tenth of the entries */
#define VISITS_MOST  3u
#define WINDOW_CAPS  8u /* requests between two choices: so many times a shadow's entries */
#define WINDOW_LEAST 256u
#define AHEAD        256u /* a new rule must lead by 1/256 */
#define NONE         UINT16_MAX

static const struct sta_duel_rule rules[STA_DUEL_RULES] = {
    {10, 2}, {30, 1}, {60, 1}, {50, 2}, {10, 0} /* the last is nearly CLOCK */
};

enum place { PLACE_SMALL, PLACE_MAIN, PLACE_GHOST, PLACES };

struct node {
    uint32_t print;
    uint16_t chain; /* the next of the same hash slot, or of the free list */
    uint16_t newer;
    uint16_t older;
    uint8_t visits;
    uint8_t place;
};

struct fifo {
    uint16_t oldest;
    uint16_t newest;
    uint32_t count;
};

struct sta_shadow {
    struct sta_duel_rule rule;
    struct fifo fifos[PLACES];
    uint64_t hits;
    uint32_t cap;
    uint16_t free;
    struct node *nodes;
    uint16_t *slots;
    uint32_t slot_mask;
};

/* ---- one shadow ---- */

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

static void fifo_push(struct sta_shadow *shadow, enum place place, uint16_t at)
{
    struct fifo *fifo = &shadow->fifos[place];
    struct node *node = &shadow->nodes[at];
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
    struct node *node = &shadow->nodes[at];
    struct fifo *fifo = &shadow->fifos[node->place];
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
    struct fifo *small = &shadow->fifos[PLACE_SMALL];
    struct fifo *main = &shadow->fifos[PLACE_MAIN];
    for (;;) {
        bool from_small =
            main->count == 0 ||
            (small->count > 0 &&
             small->count * 100 >= (uint32_t)shadow->rule.small_percent * shadow->cap);
        uint16_t at = from_small ? small->oldest : main->oldest;
        struct node *node = &shadow->nodes[at];
        if (from_small && node->visits < shadow->rule.promote) {
            fifo_remove(shadow, at);
            fifo_push(shadow, PLACE_GHOST, at);
            if (shadow->fifos[PLACE_GHOST].count > shadow->cap - shadow->cap / GHOST_PARTS)
                forget(shadow, shadow->fifos[PLACE_GHOST].oldest);
            return;
        }
        if (!from_small && node->visits == 0) {
            forget(shadow, at);
            return;
        }
        node->visits = from_small ? 0 : (uint8_t)(node->visits - 1);
        fifo_remove(shadow, at);
        fifo_push(shadow, PLACE_MAIN, at);
    }
}

static void see(struct sta_shadow *shadow, uint32_t print)
{
    uint16_t at = find(shadow, print);
    enum place place = PLACE_SMALL;
    if (at != NONE && shadow->nodes[at].place != PLACE_GHOST) {
        shadow->hits++;
        if (shadow->nodes[at].visits < VISITS_MOST)
            shadow->nodes[at].visits++;
        return;
    }
    if (at != NONE) {
        place = PLACE_MAIN;
        forget(shadow, at);
    }
    if (shadow->fifos[PLACE_SMALL].count + shadow->fifos[PLACE_MAIN].count >= shadow->cap)
        evict(shadow);
    at = shadow->free; /* there is one: nodes for all entries, all ghosts and one more */
    struct node *node = &shadow->nodes[at];
    shadow->free = node->chain;
    uint16_t *slot = slot_of(shadow, print);
    *node = (struct node){.print = print, .chain = *slot};
    *slot = at;
    fifo_push(shadow, place, at);
}

/* ---- all of them ---- */

void sta_duel_init(struct sta_duel *duel)
{
    duel->rule = rules[0];
}

void sta_duel_fini(struct sta_duel *duel)
{
    atomic_store_explicit(&duel->rate, 0, memory_order_relaxed);
    free(duel->shadows);
    duel->shadows = NULL;
    duel->bytes = 0;
}

static uint32_t slots_for(uint32_t cap)
{
    uint32_t slots = 64;
    while (slots < cap)
        slots *= 2;
    return slots;
}

static uint32_t nodes_for(uint32_t cap)
{
    return 2 * cap + 2;
}

static void shadow_init(struct sta_shadow *shadow, uint32_t which, uint32_t cap, void *memory)
{
    uint32_t nodes = nodes_for(cap);
    uint32_t slots = slots_for(cap);
    *shadow = (struct sta_shadow){
        .rule = rules[which], .cap = cap, .nodes = memory, .slot_mask = slots - 1};
    shadow->slots = (uint16_t *)(void *)(shadow->nodes + nodes);
    memset(shadow->slots, 0xff, slots * sizeof *shadow->slots); /* NONE */
    for (uint32_t i = 0; i < nodes; i++)
        shadow->nodes[i].chain = (uint16_t)(i + 1 < nodes ? i + 1 : NONE);
    for (uint32_t i = 0; i < PLACES; i++)
        shadow->fifos[i] = (struct fifo){NONE, NONE, 0};
}

void sta_duel_resize(struct sta_duel *duel, uint64_t entries, uint64_t most)
{
    sta_duel_fini(duel);
    duel->entries = entries;
    duel->rule = rules[duel->best];
    uint64_t cap = entries < STA_DUEL_CAP_MOST ? entries : STA_DUEL_CAP_MOST;
    cap = cap < most / STA_DUEL_ENTRY_BYTES ? cap : most / STA_DUEL_ENTRY_BYTES;
    if (cap < STA_DUEL_CAP_LEAST)
        return;
    duel->cap = (uint32_t)cap;
    uint64_t each = nodes_for(duel->cap) * sizeof(struct node) + slots_for(duel->cap) * 2u;
    each = (each + 15u) & ~(uint64_t)15;
    uint64_t heads = (STA_DUEL_RULES * sizeof(struct sta_shadow) + 15u) & ~(uint64_t)15;
    duel->shadows = malloc(heads + STA_DUEL_RULES * each);
    if (duel->shadows == NULL)
        return;
    duel->bytes = heads + STA_DUEL_RULES * each;
    for (uint32_t i = 0; i < STA_DUEL_RULES; i++) {
        shadow_init(&duel->shadows[i], i, duel->cap, (char *)duel->shadows + heads + i * each);
        duel->score[i] = 0;
    }
    duel->seen = 0;
    atomic_store_explicit(&duel->rate, (uint32_t)(cap * 65536 / entries), memory_order_relaxed);
}

/* Scores fade by a quarter with each window. */
static void choose(struct sta_duel *duel)
{
    uint32_t best = duel->best;
    for (uint32_t i = 0; i < STA_DUEL_RULES; i++) {
        duel->score[i] = duel->score[i] * 3 / 4 + duel->shadows[i].hits * 1024;
        duel->shadows[i].hits = 0;
    }
    for (uint32_t i = 0; i < STA_DUEL_RULES; i++) {
        if (duel->score[i] > duel->score[best])
            best = i;
    }
    uint64_t now = duel->score[duel->best];
    if (duel->score[best] > now + now / AHEAD)
        duel->best = best;
    duel->rule = rules[duel->best];
    duel->seen = 0;
}

void sta_duel_push(struct sta_duel *duel, uint64_t hash)
{
    /* relaxed throughout: what is lost or seen late is one request of a sample */
    uint64_t head = atomic_load_explicit(&duel->head, memory_order_relaxed);
    if (head - atomic_load_explicit(&duel->tail, memory_order_relaxed) >= STA_DUEL_RING)
        return;
    head = atomic_fetch_add_explicit(&duel->head, 1, memory_order_relaxed);
    atomic_store_explicit(&duel->ring[head % STA_DUEL_RING], (uint32_t)(hash >> 32),
                          memory_order_relaxed);
}

void sta_duel_drain(struct sta_duel *duel)
{
    if (duel->shadows == NULL)
        return;
    uint64_t tail = atomic_load_explicit(&duel->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&duel->head, memory_order_relaxed);
    uint64_t window = (uint64_t)duel->cap * WINDOW_CAPS;
    window = window > WINDOW_LEAST ? window : WINDOW_LEAST;
    for (uint32_t i = 0; i < DRAIN_MOST && tail != head; i++, tail++) {
        uint32_t print =
            atomic_load_explicit(&duel->ring[tail % STA_DUEL_RING], memory_order_relaxed);
        for (uint32_t k = 0; k < STA_DUEL_RULES; k++)
            see(&duel->shadows[k], print);
        if (++duel->seen >= window)
            choose(duel);
    }
    atomic_store_explicit(&duel->tail, tail, memory_order_relaxed);
}
