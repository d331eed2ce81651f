/* SPDX-License-Identifier: MIT
 *
 * The duel (duel.h): shadows, scores.
 */
#include "l1/duel.h"

#include <stdlib.h>

#include "l1/shadow.h"

#define DRAIN_MOST 256u /* requests shown with one store */
#define WINDOW_LEAST                                                                               \
    16u            /* requests between two choices; half a shadow's entries where that is more */
#define FADE  32u  /* a window takes one part of so many from the scores */
#define AHEAD 256u /* a new rule must lead by 1/256 */

/* Found on traces of databases, block devices, a web application and loops (docs/design/0009). */
static const struct sta_rule rules[STA_DUEL_RULES] = {
    {10, 2, 5, 0},  {20, 2, 20, 0}, {5, 3, 15, 0}, {10, 3, 9, 0},
    {30, 1, 20, 0}, {50, 3, 9, 0},  {50, 0, 9, 0}, {70, 2, 15, 0},
};

struct sta_duel_side {
    struct sta_shadow shadow;
    uint64_t hits;  /* in this window */
    uint64_t score; /* of all windows, faded */
};

void sta_duel_init(struct sta_duel *duel)
{
    duel->rule = rules[0];
}

void sta_duel_fini(struct sta_duel *duel)
{
    atomic_store_explicit(&duel->rate, 0, memory_order_relaxed);
    free(duel->sides);
    duel->sides = NULL;
    duel->bytes = 0;
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
    uint64_t bytes = STA_DUEL_RULES * sizeof *duel->sides;
    for (uint32_t i = 0; i < STA_DUEL_RULES; i++)
        bytes += sta_shadow_bytes(&rules[i], duel->cap);
    duel->sides = calloc(1, bytes);
    if (duel->sides == NULL)
        return;
    duel->bytes = bytes;
    uint8_t *memory = (uint8_t *)(duel->sides + STA_DUEL_RULES);
    for (uint32_t i = 0; i < STA_DUEL_RULES; i++) {
        sta_shadow_init(&duel->sides[i].shadow, &rules[i], duel->cap, memory);
        memory += sta_shadow_bytes(&rules[i], duel->cap);
    }
    duel->seen = 0;
    uint32_t parts = (uint32_t)(cap * 65536 / entries); /* of 65536 */
    atomic_store_explicit(&duel->rate, parts < 65536 ? parts << 16 : UINT32_MAX,
                          memory_order_relaxed);
}

static void choose(struct sta_duel *duel)
{
    uint32_t best = duel->best;
    for (uint32_t i = 0; i < STA_DUEL_RULES; i++) {
        struct sta_duel_side *side = &duel->sides[i];
        side->score += side->hits * 65536 - side->score / FADE;
        side->hits = 0;
        if (side->score > duel->sides[best].score)
            best = i;
    }
    uint64_t now = duel->sides[duel->best].score;
    if (duel->sides[best].score > now + now / AHEAD)
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
    if (duel->sides == NULL)
        return;
    uint64_t tail = atomic_load_explicit(&duel->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&duel->head, memory_order_relaxed);
    uint64_t window = duel->cap / 2 > WINDOW_LEAST ? duel->cap / 2 : WINDOW_LEAST;
    for (uint32_t i = 0; i < DRAIN_MOST && tail != head; i++, tail++) {
        uint32_t print =
            atomic_load_explicit(&duel->ring[tail % STA_DUEL_RING], memory_order_relaxed);
        for (uint32_t k = 0; k < STA_DUEL_RULES; k++)
            duel->sides[k].hits += sta_shadow_see(&duel->sides[k].shadow, print);
        if (++duel->seen >= window)
            choose(duel);
    }
    atomic_store_explicit(&duel->tail, tail, memory_order_relaxed);
}
