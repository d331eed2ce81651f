/* SPDX-License-Identifier: MIT
 *
 * What eviction goes by. One word, so that it is read and replaced whole.
 */
#ifndef STA_RULE_H
#define STA_RULE_H

#include <stdint.h>

struct sta_rule {
    uint8_t small_percent; /* the small queue's share of what is held */
    uint8_t promote;       /* visits that promote from it to the main queue */
    uint8_t ghost_tenths;  /* ghosts that are remembered, in tenths of the entries */
    uint8_t spare;         /* a word has four */
};

/* The most that any rule asks for. */
#define STA_RULE_GHOST_TENTHS_MOST 20u

#endif
