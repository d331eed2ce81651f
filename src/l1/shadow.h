/* SPDX-License-Identifier: MIT
 *
 * A shadow: a small S3-FIFO of fingerprints that plays one rule on a sample of the requests, to
 * find out how many of them would hit. No values, no threads, no clock.
 *
 *     miss, no ghost --> SMALL --visited enough--> MAIN (a CLOCK) --> gone
 *                          '--> GHOST --a miss finds it--> MAIN
 *
 * Memory: the caller's, sta_shadow_bytes() of it for the shadow's life.
 */
#ifndef STA_SHADOW_H
#define STA_SHADOW_H

#include <stdbool.h>
#include <stdint.h>

#include "l1/rule.h"

#define STA_SHADOW_CAP_MOST 1024u

enum sta_shadow_place { STA_SHADOW_SMALL, STA_SHADOW_MAIN, STA_SHADOW_GHOST, STA_SHADOW_PLACES };

struct sta_shadow_fifo {
    uint16_t oldest;
    uint16_t newest;
    uint32_t count;
};

struct sta_shadow {
    struct sta_rule rule;
    uint32_t cap; /* entries */
    struct sta_shadow_fifo fifos[STA_SHADOW_PLACES];
    uint32_t slot_mask;
    uint16_t free;
    struct sta_shadow_node *nodes;
    uint16_t *slots;
};

/* For a shadow of `cap` entries, STA_SHADOW_CAP_MOST at most; a multiple of 16. */
uint32_t sta_shadow_bytes(const struct sta_rule *rule, uint32_t cap);

/* `memory`: aligned to 8. */
void sta_shadow_init(struct sta_shadow *shadow, const struct sta_rule *rule, uint32_t cap,
                     void *memory);

/* A request for the key with this print: whether it hits. On a miss the key is stored. */
bool sta_shadow_see(struct sta_shadow *shadow, uint32_t print);

#endif
