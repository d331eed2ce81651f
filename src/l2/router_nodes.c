/* SPDX-License-Identifier: MIT
 *
 * The servers that a router knows, and the map that says which of them serves what.
 *
 *     map->owner[slot] --> index --> by_index[index] --> node
 *
 * A node is made when it is first needed: one that the map names only as a replica costs nothing.
 * When another map is adopted, nodes that serve nothing in it retire: they get no more operations,
 * what is under way on them is still answered (with MOVED, mostly), and then they go. One that is
 * named again before that comes back as it is, connections and all.
 * Threads: the loop's only.
 */
#include <stdlib.h>

#include "core/clock.h"
#include "core/random.h"
#include "l2/router_inside.h"
#include "strata/status.h"

/* Nodes that may be added to a map by MOVED before by_index has to grow. */
#define BY_INDEX_SPARE 8u

#define RETIRE_LOOK_NS (100 * STA_NS_MS)

/* ---- news ---- */

static void on_state(void *arg, struct sta_node_lane *lane, enum sta_connection_state state,
                     const char *reason)
{
    struct sta_router *router = arg;
    sta_tracking_lane_changed(router, lane, state);
    if (state == STA_CONNECTION_BACKOFF && !lane->node->retired)
        sta_router_demand_map(router, NULL);
    if (router->events->state != NULL)
        router->events->state(router->arg, lane, state, reason);
}

static void on_push(void *arg, struct sta_node_lane *lane, struct strata_bytes frame)
{
    sta_tracking_pushed(arg, lane, frame);
}

static void on_breaker(void *arg)
{
    const struct sta_router *router = arg;
    if (router->events->breaker != NULL)
        router->events->breaker(router->arg);
}

const struct sta_node_events sta_router_node_events = {
    .state = on_state, .push = on_push, .breaker = on_breaker};

static void router_tell_slots(struct sta_router *router, const struct sta_slot_set *changed,
                              unsigned count)
{
    if (count > 0)
        sta_tracking_slots_changed(router, changed);
    if (count > 0 && router->events->slots != NULL)
        router->events->slots(router->arg, changed, count);
}

/* ---- nodes ---- */

static struct sta_node *node_in(const struct sta_list *list, const struct sta_endpoint *endpoint)
{
    for (struct sta_list *link = list->next; link != list; link = link->next) {
        struct sta_node *node = STA_CONTAINER(link, struct sta_node, link);
        if (sta_endpoint_equal(&node->url.endpoint, endpoint))
            return node;
    }
    return NULL;
}

static void node_settle(struct sta_router *router, struct sta_node *node, bool retired)
{
    sta_list_remove(&node->link);
    node->retired = retired;
    sta_list_push_back(retired ? &router->retired : &router->nodes, &node->link);
    if (retired)
        sta_timer_start(router->loop, &router->retire_timer,
                        sta_clock_after(sta_loop_now_ns(router->loop), RETIRE_LOOK_NS));
}

int sta_router_node_at(struct sta_router *router, const struct sta_endpoint *endpoint,
                       struct sta_node **out)
{
    struct sta_node *node = node_in(&router->nodes, endpoint);
    if (node == NULL)
        node = node_in(&router->retired, endpoint);
    if (node == NULL) {
        struct sta_redis_url url = router->url;
        struct sta_node_config config = router->config.node;
        url.endpoint = *endpoint;
        config.connection.url = &url;
        config.connection.jitter_seed = sta_random_next(&router->random);
        int status =
            sta_node_create(&node, router->loop, router->log, &config,
                            sta_random_next(&router->random), &sta_router_node_events, router);
        if (status < 0)
            return status;
    }
    if (node->retired || sta_list_empty(&node->link))
        node_settle(router, node, false);
    *out = node;
    return STRATA_OK;
}

static void node_go(struct sta_router *router, struct sta_node *node)
{
    struct sta_connection_statistics one;
    sta_node_statistics(node, &one);
    sta_connection_statistics_add(&router->gone, &one);
    sta_tracking_node_gone(router, node);
    sta_node_destroy(&node);
}

static void on_retire(struct sta_timer *timer)
{
    struct sta_router *router = STA_CONTAINER(timer, struct sta_router, retire_timer);
    struct sta_list *link = router->retired.next;
    while (link != &router->retired) {
        struct sta_node *node = STA_CONTAINER(link, struct sta_node, link);
        link = link->next;
        if (node->under_way == 0)
            node_go(router, node);
    }
    if (!sta_list_empty(&router->retired))
        sta_timer_start(router->loop, timer,
                        sta_clock_after(sta_loop_now_ns(router->loop), RETIRE_LOOK_NS));
}

unsigned sta_router_ready_count(const struct sta_router *router)
{
    unsigned count = 0;
    for (struct sta_list *link = router->nodes.next; link != &router->nodes; link = link->next)
        count += sta_node_is_ready(STA_CONTAINER(link, struct sta_node, link));
    return count;
}

struct sta_node *sta_router_ready_node(const struct sta_router *router, unsigned pick)
{
    for (struct sta_list *link = router->nodes.next; link != &router->nodes; link = link->next) {
        struct sta_node *node = STA_CONTAINER(link, struct sta_node, link);
        if (sta_node_is_ready(node) && pick-- == 0)
            return node;
    }
    return NULL;
}

/* ---- the map ---- */

static int map_node(struct sta_router *router, uint16_t index, struct sta_node **out)
{
    if (router->by_index[index] == NULL) {
        const struct sta_slot_node *described = &router->map->nodes[index];
        if (described->endpoint.address[0] == '\0')
            return STRATA_MISS;
        int status = sta_router_node_at(router, &described->endpoint, &router->by_index[index]);
        if (status < 0)
            return status;
    }
    *out = router->by_index[index];
    return STRATA_OK;
}

/* By turns, those that serve slots; one that is READY where there is one. */
static int map_any_node(struct sta_router *router, struct sta_node **out)
{
    const uint16_t count = router->map->node_count;
    int status = STRATA_MISS;
    for (uint16_t i = 0; i < count; i++) {
        uint16_t index = (uint16_t)((router->turn + i) % count);
        struct sta_node *node;
        if (router->map->nodes[index].slots == 0)
            continue;
        int found = map_node(router, index, &node);
        if (found != STRATA_OK)
            continue;
        *out = node;
        status = STRATA_OK;
        router->turn = (uint16_t)(index + 1);
        if (sta_node_is_ready(node))
            break;
    }
    return status;
}

int sta_router_node_of(struct sta_router *router, uint16_t slot, struct sta_node **out)
{
    if (router->map == NULL)
        return STRATA_MISS;
    if (slot == STA_OPERATION_ANY_NODE)
        return map_any_node(router, out);
    uint16_t index = sta_slot_map_owner(router->map, slot);
    return index == STA_SLOT_MAP_NONE ? STRATA_MISS : map_node(router, index, out);
}

/* Which of `list` serve something in the map move to by_index, others to `left`. */
static void map_sort_nodes(const struct sta_slot_map *map, struct sta_node **by_index,
                           struct sta_list *list, struct sta_list *left)
{
    struct sta_list *link = list->next;
    while (link != list) {
        struct sta_node *node = STA_CONTAINER(link, struct sta_node, link);
        uint16_t index = sta_slot_map_find(map, &node->url.endpoint);
        link = link->next;
        sta_list_remove(&node->link);
        sta_list_push_back(left, &node->link);
        if (index != STA_SLOT_MAP_NONE && map->nodes[index].slots > 0)
            by_index[index] = node;
    }
}

static void map_settle_nodes(struct sta_router *router, struct sta_slot_map *map,
                             struct sta_node **by_index)
{
    struct sta_list all;
    sta_list_init(&all);
    map_sort_nodes(map, by_index, &router->nodes, &all);
    map_sort_nodes(map, by_index, &router->retired, &all);
    for (uint16_t i = 0; i < map->node_count; i++)
        if (by_index[i] != NULL)
            node_settle(router, by_index[i], false);
    while (!sta_list_empty(&all))
        node_settle(router, STA_CONTAINER(all.next, struct sta_node, link), true);
}

int sta_router_adopt(struct sta_router *router, struct sta_slot_map *map)
{
    struct sta_slot_set changed;
    unsigned count = 0;
    uint16_t cap = (uint16_t)(map->node_count + BY_INDEX_SPARE);
    struct sta_node **by_index = calloc(cap, sizeof *by_index);
    if (by_index == NULL)
        return STRATA_ERR_NOMEM;
    if (router->map != NULL)
        count = sta_slot_map_changes(router->map, map, &changed);
    map_settle_nodes(router, map, by_index);
    sta_slot_map_destroy(&router->map);
    free(router->by_index);
    router->map = map;
    router->by_index = by_index;
    router->by_index_cap = cap;
    router->turn = 0;
    router_tell_slots(router, &changed, count);
    sta_router_hurry(router);
    return STRATA_OK;
}

static int map_make_room(struct sta_router *router)
{
    if (router->map->node_count < router->by_index_cap)
        return STRATA_OK;
    uint16_t cap = (uint16_t)(router->by_index_cap + BY_INDEX_SPARE);
    struct sta_node **by_index = realloc(router->by_index, cap * sizeof(struct sta_node *));
    if (by_index == NULL)
        return STRATA_ERR_NOMEM;
    for (uint16_t i = router->by_index_cap; i < cap; i++)
        by_index[i] = NULL;
    router->by_index = by_index;
    router->by_index_cap = cap;
    return STRATA_OK;
}

void sta_router_patch(struct sta_router *router, uint16_t slot, const struct sta_endpoint *endpoint)
{
    struct sta_slot_set changed = {.words = {0}};
    uint16_t index;
    if (router->map == NULL || map_make_room(router) < 0 ||
        sta_slot_map_patch(router->map, slot, endpoint, &index) != STRATA_OK)
        return;
    sta_slot_set_add(&changed, slot);
    router_tell_slots(router, &changed, 1);
}

/* ---- numbers ---- */

static void statistics_of_nodes(const struct sta_router *router,
                                struct sta_connection_statistics *out)
{
    const struct sta_list *lists[] = {&router->nodes, &router->retired};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (struct sta_list *link = lists[i]->next; link != lists[i]; link = link->next) {
            struct sta_connection_statistics one;
            sta_node_statistics(STA_CONTAINER(link, struct sta_node, link), &one);
            sta_connection_statistics_add(out, &one);
            if (one.last_failure != STRATA_OK)
                out->last_failure = one.last_failure;
        }
    }
}

void sta_router_statistics(const struct sta_router *router, struct sta_connection_statistics *out)
{
    *out = router->gone;
    out->in_flight = 0;
    statistics_of_nodes(router, out);
    out->in_flight += router->wheel.count;
    if (router->only != NULL) {
        out->state = sta_node_state(router->only);
        return;
    }
    out->state = STA_CONNECTION_CONNECTING;
    if (router->map != NULL && sta_router_ready_count(router) > 0)
        out->state = STA_CONNECTION_READY;
    else if (router->map != NULL || !sta_router_may_learn(router))
        out->state = STA_CONNECTION_BACKOFF;
    if (out->state == STA_CONNECTION_READY)
        out->last_failure = STRATA_OK;
}

void sta_router_each_node(const struct sta_router *router,
                          void (*visit)(const struct sta_node *node, void *arg), void *arg)
{
    const struct sta_list *lists[] = {&router->nodes, &router->retired};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (struct sta_list *link = lists[i]->next; link != lists[i]; link = link->next)
            visit(STA_CONTAINER(link, struct sta_node, link), arg);
}

/* ---- life ---- */

void sta_router_nodes_init(struct sta_router *router)
{
    sta_list_init(&router->nodes);
    sta_list_init(&router->retired);
    sta_timer_init(&router->retire_timer, on_retire);
}

void sta_router_nodes_fini(struct sta_router *router)
{
    struct sta_list *lists[] = {&router->nodes, &router->retired};
    sta_timer_stop(router->loop, &router->retire_timer);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        while (!sta_list_empty(lists[i])) {
            struct sta_node *node = STA_CONTAINER(lists[i]->next, struct sta_node, link);
            sta_node_destroy(&node);
        }
    }
    sta_slot_map_destroy(&router->map);
    free(router->by_index);
    router->by_index = NULL;
}
