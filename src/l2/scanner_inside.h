/* SPDX-License-Identifier: MIT
 *
 * What the files of a scan share:
 *   scanner.c     its life, and which walk goes on when
 *   scan_walk.c   a walk's questions and answers
 * Loop thread only.
 */
#ifndef STA_SCANNER_INSIDE_H
#define STA_SCANNER_INSIDE_H

#include "core/buffer.h"
#include "l2/router_inside.h"
#include "l2/scan_page.h"
#include "l2/scan_plan.h"
#include "l2/scanner.h"

enum sta_scan_walk_state {
    STA_SCAN_WALK_IDLE,
    STA_SCAN_WALK_RESTING, /* its timer runs */
    STA_SCAN_WALK_PAGE,    /* SCAN is under way */
    STA_SCAN_WALK_HELD,    /* its page is being dealt with */
    STA_SCAN_WALK_WORD     /* CLUSTER NODES is under way */
};

/* One for each lane of the plan. */
struct sta_scan_walk {
    struct sta_scanner *scan;
    unsigned lane;
    enum sta_scan_walk_state state;
    struct sta_timer timer;
    struct sta_request request;
    struct sta_node *node; /* that was asked */
    struct sta_buffer wire;
    uint64_t asked_ns;
    uint64_t connects;   /* of the connection on which the walk began */
    uint64_t cursor;     /* HELD: the next */
    uint64_t owed_ns;    /* rests saved up */
    uint64_t rest_ns;    /* it is not asked before */
    unsigned failures;   /* since it was last confirmed, those of any kind */
    unsigned in_a_row;   /* without a page in between */
    uint64_t failing_ns; /* since when it does not answer; 0: it does */
    unsigned repeats;    /* walks that were not believed, in a row */
    uint64_t repeating_ns;
};

struct sta_scanner {
    struct sta_list link; /* the router's */
    struct sta_router *router;
    struct sta_scanner_config config; /* prefix and pattern are in `text` */
    uint8_t *text;
    struct sta_scan_plan plan;
    struct sta_slot_map *single; /* of a Redis that is no cluster */
    const struct sta_slot_map *followed;
    uint64_t followed_ns; /* the plan knows the map that was learned then */
    uint32_t followed_generation;
    struct sta_scan_walk **walks; /* one for each lane of the plan */
    unsigned walk_count;
    unsigned busy;             /* walks that are not IDLE */
    struct sta_timer look;     /* at the map, from time to time */
    uint64_t homeless_ns;      /* since when slots wait and nobody is asked; 0: that is not so */
    struct sta_scan_page page; /* in page() */
    unsigned page_lane;
    unsigned holds; /* requests under way, and functions that are not done with it */
    bool stepping;
    bool over;
};

/* ---- scan.c ---- */

void sta_scanner_hold(struct sta_scanner *scan);
void sta_scanner_drop(
    struct sta_scanner *scan); /* frees it where it is over, and this was the last */

/* Lets everything go on that can. */
void sta_scanner_step(struct sta_scanner *scan);

void sta_scanner_end(struct sta_scanner *scan, int status, const char *reason);

static inline const struct sta_slot_map *sta_scanner_map(const struct sta_scanner *scan)
{
    return scan->single != NULL ? scan->single : scan->router->map;
}

/* ---- scan_walk.c ---- */

/* Of an ASKED lane: sends SCAN when its rest is over. */
void sta_scan_walk_ask(struct sta_scan_walk *walk);
/* Of an ENDED lane: whether all slots that it was walked for are done, its node says. */
void sta_scan_walk_confirm(struct sta_scan_walk *walk);
/* Its page has been taken. */
void sta_scan_walk_taken(struct sta_scan_walk *walk, uint64_t cursor);

void sta_scan_walk_init(struct sta_scan_walk *walk, struct sta_scanner *scan, unsigned lane);
void sta_scan_walk_fini(struct sta_scan_walk *walk);

#endif
