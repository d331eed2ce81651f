/* SPDX-License-Identifier: MIT
 *
 * The life of a scan, and which walk goes on when; see scanner.h.
 */
#include "l2/scanner.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "l2/scanner_inside.h"
#include "strata/status.h"

/* How often a scan looks whether there is another map, and whether it still gets anywhere. */
#define LOOK_NS     (50 * STA_NS_MS)
#define PATTERN_MAX 65535u

/* ---- memory ---- */

static void scan_free(struct sta_scanner *scan)
{
    for (unsigned i = 0; i < scan->walk_count; i++) {
        sta_scan_walk_fini(scan->walks[i]);
        free(scan->walks[i]);
    }
    free(scan->walks);
    sta_scan_plan_fini(&scan->plan);
    sta_slot_map_destroy(&scan->single);
    free(scan->text);
    free(scan);
}

void sta_scanner_hold(struct sta_scanner *scan)
{
    scan->holds++;
}

void sta_scanner_drop(struct sta_scanner *scan)
{
    if (--scan->holds == 0 && scan->over)
        scan_free(scan);
}

/* The requests that are under way may still be; nothing else is. */
static void scan_settle(struct sta_scanner *scan)
{
    scan->over = true;
    sta_list_remove(&scan->link);
    sta_timer_stop(scan->router->loop, &scan->look);
    for (unsigned i = 0; i < scan->walk_count; i++)
        sta_timer_stop(scan->router->loop, &scan->walks[i]->timer);
}

void sta_scanner_end(struct sta_scanner *scan, int status, const char *reason)
{
    if (scan->over)
        return;
    sta_scanner_hold(scan);
    scan_settle(scan);
    scan->config.ended(scan->config.arg, status, reason);
    sta_scanner_drop(scan);
}

void sta_scanner_stop(struct sta_scanner **at)
{
    struct sta_scanner *scan = *at;
    if (scan == NULL)
        return;
    *at = NULL;
    sta_scanner_hold(scan);
    if (!scan->over)
        scan_settle(scan);
    sta_scanner_drop(scan);
}

void sta_scanner_end_all(struct sta_router *router)
{
    while (!sta_list_empty(&router->scans))
        sta_scanner_end(STA_CONTAINER(router->scans.next, struct sta_scanner, link),
                        STRATA_ERR_CLOSED, strata_status_text(STRATA_ERR_CLOSED));
}

/* ---- going on ---- */

static void scan_follow_map(struct sta_scanner *scan)
{
    const struct sta_slot_map *map = sta_scanner_map(scan);
    if (map == NULL || (scan->followed == map && scan->followed_generation == map->generation &&
                        scan->followed_ns == scan->router->learned_ns))
        return;
    scan->followed = map;
    scan->followed_generation = map->generation;
    scan->followed_ns = scan->router->learned_ns;
    sta_scan_plan_adopt(&scan->plan, map);
}

static struct sta_scan_walk *scan_walk(struct sta_scanner *scan, unsigned lane)
{
    while (scan->walk_count <= lane) {
        struct sta_scan_walk **walks =
            realloc(scan->walks, (scan->walk_count + 1) * sizeof(struct sta_scan_walk *));
        if (walks == NULL)
            return NULL;
        scan->walks = walks;
        walks[scan->walk_count] = calloc(1, sizeof *walks[0]);
        if (walks[scan->walk_count] == NULL)
            return NULL;
        sta_scan_walk_init(walks[scan->walk_count], scan, scan->walk_count);
        scan->walk_count++;
    }
    return scan->walks[lane];
}

static int scan_ask_all(struct sta_scanner *scan)
{
    const struct sta_slot_map *map = sta_scanner_map(scan);
    int status = STRATA_OK;
    while (map != NULL && status == STRATA_OK && scan->busy < STA_SCANNER_WALKS_MOST) {
        unsigned lane;
        status = sta_scan_plan_next(&scan->plan, map, &lane);
        if (status != STRATA_OK)
            break;
        struct sta_scan_walk *walk = scan_walk(scan, lane);
        if (walk == NULL)
            return STRATA_ERR_NOMEM;
        sta_scan_walk_ask(walk);
    }
    return status < 0 ? status : STRATA_OK;
}

static void scan_confirm_all(struct sta_scanner *scan)
{
    for (unsigned i = 0; i < scan->walk_count; i++)
        if (scan->plan.lanes[i].state == STA_SCAN_ENDED &&
            scan->walks[i]->state == STA_SCAN_WALK_IDLE)
            sta_scan_walk_confirm(scan->walks[i]);
}

/* Slots that nobody serves, or a cluster of which no node can be asked for the map. */
static void scan_look_for_home(struct sta_scanner *scan)
{
    uint64_t now_ns = sta_loop_now_ns(scan->router->loop);
    if (scan->busy > 0 || scan->over) {
        scan->homeless_ns = 0;
        return;
    }
    if (scan->homeless_ns == 0)
        scan->homeless_ns = now_ns;
    sta_router_demand_map(scan->router, NULL);
    if (now_ns - scan->homeless_ns >= scan->config.patience_ns)
        sta_scanner_end(scan, STRATA_ERR_UNAVAILABLE,
                        sta_scanner_map(scan) == NULL ? "no node has told who serves what"
                                                      : "nobody serves some of the slots");
}

/* A question that is refused at once is asked again by its timer, so this comes to an end. */
void sta_scanner_step(struct sta_scanner *scan)
{
    if (scan->over || scan->stepping)
        return;
    sta_scanner_hold(scan);
    scan->stepping = true;
    scan_follow_map(scan);
    int status = scan_ask_all(scan);
    if (status == STRATA_OK && !scan->over)
        scan_confirm_all(scan);
    scan->stepping = false;
    if (status < 0)
        sta_scanner_end(scan, status, strata_status_text(status));
    else if (!scan->over && sta_scan_plan_done(&scan->plan))
        sta_scanner_end(scan, STRATA_OK, "");
    else
        scan_look_for_home(scan);
    sta_scanner_drop(scan);
}

static void on_look(struct sta_timer *timer)
{
    struct sta_scanner *scan = STA_CONTAINER(timer, struct sta_scanner, look);
    sta_timer_start(scan->router->loop, timer,
                    sta_clock_after(sta_loop_now_ns(scan->router->loop), LOOK_NS));
    sta_scanner_step(scan);
}

void sta_scanner_more(struct sta_scanner *scan, unsigned lane)
{
    struct sta_scan_walk *walk = scan->walks[lane];
    assert(walk->state == STA_SCAN_WALK_HELD);
    sta_scan_walk_taken(walk, walk->cursor);
    sta_scanner_step(scan);
}

/* ---- beginning ---- */

/* A map in which the one Redis serves everything. */
static int scan_map_single(struct sta_scanner *scan)
{
    struct sta_slot_node node = {.endpoint = scan->router->only->url.endpoint,
                                 .primary = STA_SLOT_MAP_NONE};
    uint16_t index;
    int status = sta_slot_map_create(&scan->single);
    if (status == STRATA_OK)
        status = sta_slot_map_add(scan->single, &node, &index);
    if (status == STRATA_OK)
        sta_slot_map_assign(scan->single, 0, STA_SLOT_COUNT - 1, index);
    return status;
}

static int scan_copy_text(struct sta_scanner *scan)
{
    struct strata_bytes *prefix = &scan->config.prefix, *pattern = &scan->config.pattern;
    scan->text = malloc(prefix->len + pattern->len + 1);
    if (scan->text == NULL)
        return STRATA_ERR_NOMEM;
    if (prefix->len > 0)
        memcpy(scan->text, prefix->data, prefix->len);
    if (pattern->len > 0)
        memcpy(scan->text + prefix->len, pattern->data, pattern->len);
    *prefix = strata_bytes(scan->text, prefix->len);
    *pattern = strata_bytes(scan->text + prefix->len, pattern->len);
    return STRATA_OK;
}

int sta_scanner_start(struct sta_scanner **out, struct sta_router *router,
                      const struct sta_scanner_config *config)
{
    assert(config->count > 0 && config->share > 0 && config->share <= 100);
    if (config->pattern.len > PATTERN_MAX)
        return STRATA_ERR_TOO_BIG;
    struct sta_scanner *scan = calloc(1, sizeof *scan);
    if (scan == NULL)
        return STRATA_ERR_NOMEM;
    scan->router = router;
    scan->config = *config;
    sta_scan_plan_init(&scan->plan);
    sta_timer_init(&scan->look, on_look);
    int status = scan_copy_text(scan);
    if (status == STRATA_OK && router->only != NULL)
        status = scan_map_single(scan);
    if (status < 0) {
        scan_free(scan);
        return status;
    }
    sta_list_push_back(&router->scans, &scan->link);
    sta_timer_start(router->loop, &scan->look, sta_loop_now_ns(router->loop));
    *out = scan;
    return STRATA_OK;
}
