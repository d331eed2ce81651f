/* SPDX-License-Identifier: MIT
 *
 * Two looks at a cluster; see cluster_view.h.
 */
#include "l2/cluster_view.h"

#include <string.h>

#define ADDRESS_CAP 272u
#define PAIRS_MAX   64u

void sta_cluster_view_fini(struct sta_cluster_view *view)
{
    sta_slot_map_destroy(&view->map);
    *view = (struct sta_cluster_view){.kind = STA_CLUSTER_VIEW_NOTHING};
}

const char *sta_cluster_view_state(const struct sta_cluster_view *view)
{
    if (view->kind == STA_CLUSTER_VIEW_SINGLE)
        return "standalone";
    if (view->kind == STA_CLUSTER_VIEW_NOTHING || view->info.state == STA_TOPOLOGY_UNKNOWN)
        return "unknown";
    return view->info.state == STA_TOPOLOGY_OK ? "ok" : "fail";
}

enum strata_node_state sta_cluster_view_node_state(const struct sta_cluster_view *view,
                                                   uint16_t index)
{
    uint32_t flags = view->map->nodes[index].flags;
    if ((flags & STA_SLOT_MAP_FAIL) != 0)
        return STRATA_NODE_FAILED;
    if (view->answers[index] == STA_CLUSTER_VIEW_SILENT)
        return STRATA_NODE_DOWN;
    if (view->answers[index] == STA_CLUSTER_VIEW_UNHEARD)
        return STRATA_NODE_UNKNOWN;
    return (flags & STA_SLOT_MAP_PFAIL) != 0 ? STRATA_NODE_SUSPECT : STRATA_NODE_UP;
}

bool sta_cluster_view_is_healthy(const struct sta_cluster_view *view, uint16_t index)
{
    enum strata_node_state state = sta_cluster_view_node_state(view, index);
    return state == STRATA_NODE_UP || state == STRATA_NODE_SUSPECT;
}

bool sta_cluster_view_is_settled(const struct sta_cluster_view *view)
{
    if (view->kind == STA_CLUSTER_VIEW_NOTHING)
        return false;
    for (uint16_t i = 0; i < view->map->node_count; i++) {
        bool addressed = view->map->nodes[i].endpoint.address[0] != '\0';
        if (addressed && view->answers[i] == STA_CLUSTER_VIEW_UNHEARD)
            return false;
    }
    return true;
}

void sta_cluster_view_address(struct sta_slot_map *map, const struct sta_slot_map *slots)
{
    for (uint16_t i = 0; i < slots->node_count; i++) {
        const struct sta_slot_node *told = &slots->nodes[i];
        uint16_t index =
            told->id[0] == '\0' ? STA_SLOT_MAP_NONE : sta_slot_map_find_id(map, told->id);
        if (index == STA_SLOT_MAP_NONE)
            continue;
        struct sta_slot_node *node = &map->nodes[index];
        node->endpoint = told->endpoint;
        node->flags &= ~(uint32_t)STA_SLOT_MAP_NOADDR;
        node->flags |= told->flags & STA_SLOT_MAP_NOADDR;
    }
}

/* ---- comparing ---- */

struct comparison {
    const struct sta_cluster_view *before;
    const struct sta_cluster_view *now;
    strata_cluster_callback tell;
    void *arg;
    uint16_t was[STA_SLOT_MAP_NODES_MAX]; /* for each node of now: its index before, or NONE */
};

static void match_nodes(struct comparison *comparison)
{
    const struct sta_slot_map *before = comparison->before->map, *now = comparison->now->map;
    for (uint16_t i = 0; i < now->node_count; i++) {
        uint16_t was = STA_SLOT_MAP_NONE;
        for (uint16_t j = 0; j < before->node_count && was == STA_SLOT_MAP_NONE; j++) {
            if (sta_slot_map_same_node(&before->nodes[j], &now->nodes[i]))
                was = j;
        }
        comparison->was[i] = was;
    }
}

static const char *format_address(const struct sta_slot_node *node, char text[ADDRESS_CAP])
{
    text[0] = '\0';
    if (node != NULL && node->endpoint.address[0] != '\0')
        sta_endpoint_format(&node->endpoint, text, ADDRESS_CAP);
    return text;
}

/* `node` and `from` may be NULL. */
static void tell_event(const struct comparison *comparison, enum strata_cluster_event_kind kind,
                       const struct sta_slot_node *node, const struct sta_slot_node *from,
                       unsigned slots)
{
    char address[ADDRESS_CAP], from_address[ADDRESS_CAP];
    const struct strata_cluster_event event = {
        .kind = kind,
        .node = format_address(node, address),
        .node_id = node != NULL ? node->id : "",
        .from = format_address(from, from_address),
        .from_id = from != NULL ? from->id : "",
        .slots = slots,
        .cluster_state = sta_cluster_view_state(comparison->now),
    };
    comparison->tell(comparison->arg, &event);
}

static void compare_members(const struct comparison *comparison)
{
    const struct sta_slot_map *before = comparison->before->map, *now = comparison->now->map;
    bool stays[STA_SLOT_MAP_NODES_MAX] = {false};
    for (uint16_t i = 0; i < now->node_count; i++) {
        if (comparison->was[i] != STA_SLOT_MAP_NONE)
            stays[comparison->was[i]] = true;
    }
    for (uint16_t i = 0; i < before->node_count; i++) {
        if (!stays[i])
            tell_event(comparison, STRATA_CLUSTER_NODE_REMOVED, &before->nodes[i], NULL, 0);
    }
    for (uint16_t i = 0; i < now->node_count; i++) {
        if (comparison->was[i] == STA_SLOT_MAP_NONE)
            tell_event(comparison, STRATA_CLUSTER_NODE_ADDED, &now->nodes[i], NULL, 0);
    }
}

struct pair {
    uint16_t from; /* in the map before */
    uint16_t to;   /* in the map now */
    unsigned slots;
};

/* Adds a slot to its pair; false where there is no room for another pair. */
static bool count_pair(struct pair *pairs, unsigned *count, uint16_t from, uint16_t to)
{
    unsigned i = 0;
    while (i < *count && (pairs[i].from != from || pairs[i].to != to))
        i++;
    if (i == PAIRS_MAX)
        return false;
    if (i == *count)
        pairs[(*count)++] = (struct pair){.from = from, .to = to, .slots = 0};
    pairs[i].slots++;
    return true;
}

static const struct sta_slot_node *node_at(const struct sta_slot_map *map, uint16_t index)
{
    return index == STA_SLOT_MAP_NONE ? NULL : &map->nodes[index];
}

static void tell_pair(const struct comparison *comparison, const struct pair *pair)
{
    const struct sta_slot_map *before = comparison->before->map, *now = comparison->now->map;
    uint16_t was = pair->to == STA_SLOT_MAP_NONE ? STA_SLOT_MAP_NONE : comparison->was[pair->to];
    bool failover = was != STA_SLOT_MAP_NONE && pair->from != STA_SLOT_MAP_NONE &&
                    before->nodes[was].primary == pair->from;
    tell_event(comparison, failover ? STRATA_CLUSTER_FAILOVER : STRATA_CLUSTER_SLOTS_MOVED,
               node_at(now, pair->to), node_at(before, pair->from), pair->slots);
}

static void compare_slots(const struct comparison *comparison)
{
    const struct sta_slot_map *before = comparison->before->map, *now = comparison->now->map;
    struct pair pairs[PAIRS_MAX];
    struct sta_slot_set changed;
    unsigned count = 0, others = 0;
    if (sta_slot_map_changes(before, now, &changed) == 0)
        return;
    for (unsigned slot = 0; slot < STA_SLOT_COUNT; slot++) {
        if (sta_slot_set_has(&changed, slot) &&
            !count_pair(pairs, &count, sta_slot_map_owner(before, slot),
                        sta_slot_map_owner(now, slot)))
            others++;
    }
    for (unsigned i = 0; i < count; i++)
        tell_pair(comparison, &pairs[i]);
    if (others > 0)
        tell_event(comparison, STRATA_CLUSTER_SLOTS_MOVED, NULL, NULL, others);
}

static bool is_down(const struct sta_cluster_view *view, uint16_t index)
{
    enum strata_node_state state = sta_cluster_view_node_state(view, index);
    return state == STRATA_NODE_DOWN || state == STRATA_NODE_FAILED;
}

static void compare_health(const struct comparison *comparison)
{
    for (uint16_t i = 0; i < comparison->now->map->node_count; i++) {
        const struct sta_slot_node *node = &comparison->now->map->nodes[i];
        uint16_t was = comparison->was[i];
        bool was_down = was != STA_SLOT_MAP_NONE && is_down(comparison->before, was);
        bool down = is_down(comparison->now, i);
        bool heard = sta_cluster_view_node_state(comparison->now, i) != STRATA_NODE_UNKNOWN;
        if (down && !was_down)
            tell_event(comparison, STRATA_CLUSTER_NODE_DOWN, node, NULL, 0);
        if (was_down && !down && heard)
            tell_event(comparison, STRATA_CLUSTER_NODE_UP, node, NULL, 0);
    }
}

void sta_cluster_view_compare(const struct sta_cluster_view *before,
                              const struct sta_cluster_view *now, strata_cluster_callback tell,
                              void *arg)
{
    struct comparison comparison = {.before = before, .now = now, .tell = tell, .arg = arg};
    bool first = before->kind == STA_CLUSTER_VIEW_NOTHING;
    if (now->kind == STA_CLUSTER_VIEW_NOTHING)
        return;
    if (first) {
        memset(comparison.was, 0xff, sizeof comparison.was); /* NONE */
    } else {
        match_nodes(&comparison);
        compare_members(&comparison);
        compare_slots(&comparison);
    }
    compare_health(&comparison);
    if (!first && strcmp(sta_cluster_view_state(before), sta_cluster_view_state(now)) != 0)
        tell_event(&comparison, STRATA_CLUSTER_STATE, NULL, NULL, 0);
}
