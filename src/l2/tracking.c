/* SPDX-License-Identifier: MIT
 *
 * Sources, pushes and canaries; see tracking.h and canary.h.
 *
 * Cost: an answer looks at two words of its node and one of its source. A push of a key is decoded
 * where it lies. Doubting a connection looks at each source once (16384 at most), not at entries.
 * A node whose answers are kept costs a GET and a SET every third of max_staleness; others cost
 * nothing.
 */
#include "l2/tracking.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mutant.h"
#include "core/random.h"
#include "l2/invalidation.h"
#include "l2/redirect.h"
#include "l2/router_inside.h"
#include "strata/status.h"

#define ROUNDS        3u /* of a canary within max_staleness */
#define CANARY_TTL_MS 1u /* it is written to be heard of; nobody shall find it among his keys */
#define NAME_TRIES    4096u
#define NAME_CAP      640u
#define NAME_OWN      64u /* of these: what stands behind the prefix */
#define ADDRESS_CAP   288

static void node_begin_round(struct sta_router *router, struct sta_node *node);

/* ---- sources ---- */

static const struct sta_tracking_config *config_of(const struct sta_router *router)
{
    return &router->config.tracking;
}

static bool is_on(const struct sta_router *router)
{
    return router->config.tracking.mode != STA_TRACKING_OFF;
}

static uint16_t source_index(const struct sta_router *router, unsigned slot)
{
    return (uint16_t)(slot * config_of(router)->sources / STA_SLOT_COUNT);
}

static void source_doubt(struct sta_router *router, uint16_t index)
{
    const struct sta_tracking_config *config = config_of(router);
    if (router->tracking.came_from[index] == NULL)
        return;
    router->tracking.came_from[index] = NULL;
    config->sink->doubt(config->arg, (uint16_t)(config->first_source + index));
}

static void source_trust(struct sta_router *router, uint16_t index)
{
    const struct sta_tracking_config *config = config_of(router);
    config->sink->trust(config->arg, (uint16_t)(config->first_source + index),
                        router->tracking.came_from[index]->canary.until_ns);
}

static void node_doubt(struct sta_router *router, const struct sta_node *node)
{
    for (uint16_t i = 0; i < config_of(router)->sources; i++)
        if (router->tracking.came_from[i] == node)
            source_doubt(router, i);
}

/* In a cluster a node that lives proves nothing of slots that it has lost: the map must be as
 * young. */
static void node_trust(struct sta_router *router, struct sta_node *node)
{
    struct sta_canary *canary = &node->canary;
    uint64_t since_ns = canary->proven_ns;
    if (!canary->tracked)
        since_ns = STA_NEVER;
    else if (router->only == NULL && router->tracking.mapped_ns < since_ns)
        since_ns = router->tracking.mapped_ns;
    canary->until_ns = sta_clock_after(since_ns, config_of(router)->max_staleness_ns);
    for (uint16_t i = 0; i < config_of(router)->sources; i++)
        if (router->tracking.came_from[i] == node)
            source_trust(router, i);
}

static bool serves_slot(const struct sta_router *router, const struct sta_node *node, uint16_t slot)
{
    if (router->only != NULL)
        return router->only == node;
    if (router->map == NULL || slot >= STA_SLOT_COUNT)
        return false;
    uint16_t owner = sta_slot_map_owner(router->map, slot);
    return owner != STA_SLOT_MAP_NONE && router->by_index[owner] == node;
}

int sta_tracking_source(const struct sta_operation *operation)
{
    struct sta_router *router = operation->router;
    struct sta_node *node = operation->node;
    if (operation->asked && !STA_MUTANT(ASKED))
        return STA_TRACKING_NOBODY;
    if (!is_on(router))
        return 0;
    bool aside = operation->aside && !STA_MUTANT(ASIDE);
    bool serves = serves_slot(router, node, operation->slot) || STA_MUTANT(ASKED);
    if (aside || !node->canary.up || !serves)
        return STA_TRACKING_NOBODY;
    uint16_t index = router->only != NULL ? 0 : source_index(router, operation->slot);
    if (router->tracking.came_from[index] != node) {
        source_doubt(router, index);
        router->tracking.came_from[index] = node;
        source_trust(router, index);
    }
    if (!node->canary.used) {
        node->canary.used = true;
        sta_router_demand_map(router, NULL);
        node_begin_round(router, node);
    }
    return config_of(router)->first_source + index;
}

bool sta_tracking_keeps(const struct sta_router *router, size_t len)
{
    const struct sta_tracking_config *config = config_of(router);
    return is_on(router) && (config->sink->keeps == NULL || config->sink->keeps(config->arg, len));
}

/* ---- canaries ---- */

/* In a cluster, a name in a slot of the node; sought among so many at a time. */
static bool node_name_canary(struct sta_router *router, struct sta_node *node)
{
    const struct sta_tracking_config *config = config_of(router);
    char name[NAME_CAP];
    if (config->prefix.len > NAME_CAP - NAME_OWN)
        return false;
    memcpy(name, config->prefix.data, config->prefix.len);
    for (unsigned i = 0; i < NAME_TRIES; i++) {
        int len = snprintf(name + config->prefix.len, sizeof name - config->prefix.len,
                           "strata:canary:%016" PRIx64 ":%u", router->tracking.id,
                           router->tracking.search++);
        struct strata_bytes key = strata_bytes(name, config->prefix.len + (size_t)len);
        uint16_t slot = sta_slot_of(key);
        if (serves_slot(router, node, slot))
            return sta_canary_name(&node->canary, key, slot, CANARY_TTL_MS) == STRATA_OK;
    }
    return false;
}

/* A cluster on the move, or a server that is not ready, is told of elsewhere. */
static bool is_lasting(const struct sta_node *node, struct strata_bytes error)
{
    struct sta_redirect redirect;
    sta_redirect_read(&redirect, error, &node->url.endpoint);
    return redirect.kind == STA_REDIRECT_DENIED || redirect.kind == STA_REDIRECT_OTHER;
}

/* Once per connection: else L1 would end to answer, and nobody knew why. */
static void node_complain(struct sta_node *node, int status, struct strata_bytes replies)
{
    char address[ADDRESS_CAP];
    if (status != STRATA_OK || node->canary.complained || !sta_redirect_is_error(replies) ||
        !is_lasting(node, replies))
        return;
    node->canary.complained = true;
    sta_redis_url_format(&node->url, address, sizeof address);
    sta_log_write(&node->log.log, STRATA_LOG_WARNING, STA_ROOM_L2,
                  "%s: a canary cannot be read and written, so what is cached is not served for "
                  "long",
                  address);
}

static void canary_send(void *arg, bool write, struct sta_request *request)
{
    struct sta_node *node = arg;
    bool bulk = write && node->config.tracking.noloop;
    sta_node_submit_request(node, bulk ? STA_NODE_BULK : STA_NODE_MAIN, request);
}

static void canary_failed(void *arg, int status, struct strata_bytes replies)
{
    node_complain(arg, status, replies);
}

static const struct sta_canary_way canary_way = {.send = canary_send, .failed = canary_failed};

static void node_begin_round(struct sta_router *router, struct sta_node *node)
{
    struct sta_canary *canary = &node->canary;
    uint64_t now_ns = sta_loop_now_ns(router->loop);
    if (!sta_canary_is_due(canary))
        return;
    if (!(sta_canary_has_name(canary) && serves_slot(router, node, canary->slot)) &&
        !node_name_canary(router, node))
        return;
    sta_canary_begin(canary, router->loop, &canary_way, node,
                     sta_clock_after(now_ns, config_of(router)->max_staleness_ns));
}

static void node_look(struct sta_router *router, struct sta_node *node, uint64_t now_ns)
{
    if (sta_canary_is_missing(&node->canary, now_ns, config_of(router)->max_staleness_ns)) {
        router->tracking.counts.silent++;
        sta_connection_renew(node->lanes[STA_NODE_MAIN].connection, STRATA_ERR_PROTOCOL,
                             "its invalidations do not come through");
        return;
    }
    node_begin_round(router, node);
}

static void on_timer(struct sta_timer *timer)
{
    struct sta_router *router = STA_CONTAINER(timer, struct sta_router, tracking.timer);
    uint64_t now_ns = sta_loop_now_ns(router->loop);
    bool used = false;
    for (struct sta_list *link = router->nodes.next; link != &router->nodes; link = link->next) {
        struct sta_node *node = STA_CONTAINER(link, struct sta_node, link);
        used |= node->canary.used;
        node_look(router, node, now_ns);
    }
    if (used)
        sta_router_demand_map(router, NULL);
    sta_timer_start(router->loop, timer,
                    sta_clock_after(now_ns, config_of(router)->max_staleness_ns / ROUNDS));
}

bool sta_tracking_is_silent(const struct sta_router *router, const struct sta_node *node)
{
    const struct sta_canary *canary = &node->canary;
    uint64_t end_ns = sta_clock_after(canary->proven_ns, config_of(router)->max_staleness_ns);
    return is_on(router) && canary->up && canary->tracked && canary->used && !canary->complained &&
           sta_loop_now_ns(router->loop) > end_ns;
}

/* ---- news ---- */

static void node_forget(void *arg, struct strata_bytes key)
{
    struct sta_node *node = arg;
    struct sta_router *router = node->arg;
    const struct sta_tracking_config *config = config_of(router);
    if (sta_canary_is_proven(&node->canary, key)) {
        router->tracking.counts.proofs++;
        node->canary.proven_ns = node->canary.read_ns;
        node_trust(router, node);
        return;
    }
    router->tracking.counts.forgotten++;
    config->sink->forget(
        config->arg, key,
        sta_router_operation_of(sta_connection_answering(node->lanes[STA_NODE_MAIN].connection)));
}

void sta_tracking_pushed(struct sta_router *router, struct sta_node_lane *lane,
                         struct strata_bytes frame)
{
    if (!is_on(router) || lane->kind != STA_NODE_MAIN ||
        sta_invalidation_read(frame, node_forget, lane->node) != STA_INVALIDATION_ALL)
        return;
    router->tracking.counts.flushes++;
    if (lane->node->canary.state == STA_CANARY_LISTENING)
        lane->node->canary.state = STA_CANARY_IDLE; /* it was forgotten as well */
    if (!STA_MUTANT(FLUSHED))
        node_doubt(router, lane->node);
}

void sta_tracking_node_gone(struct sta_router *router, struct sta_node *node)
{
    if (!is_on(router))
        return;
    node->canary.up = false;
    node->canary.used = false;
    node->canary.complained = false;
    node->canary.until_ns = 0;
    node->canary.state = STA_CANARY_IDLE;
    if (!STA_MUTANT(LOST))
        node_doubt(router, node);
}

void sta_tracking_lane_changed(struct sta_router *router, struct sta_node_lane *lane,
                               enum sta_connection_state state)
{
    struct sta_node *node = lane->node;
    if (!is_on(router) || lane->kind != STA_NODE_MAIN)
        return;
    router->tracking.counts.doubts += node->canary.up;
    sta_tracking_node_gone(router, node);
    if (state != STA_CONNECTION_READY)
        return;
    uint64_t now_ns = sta_loop_now_ns(router->loop);
    node->canary.up = true;
    node->canary.tracked = sta_connection_is_tracked(lane->connection);
    /* What is read from now on is as good as the first canary will be. */
    node->canary.proven_ns = now_ns;
    node_trust(router, node);
}

/* A slot that went and came back between two maps looks as if it had stayed, but who has it has
 * forgotten what we read of it. Whatever changes owners makes the cluster's epoch grow: which slots
 * did so in between, nobody can tell. */
static void tracking_note_epoch(struct sta_router *router)
{
    uint64_t before = router->tracking.epoch;
    router->tracking.epoch = router->refresh.epoch;
    if (before == 0 || before == router->tracking.epoch || STA_MUTANT(EPOCH) || STA_MUTANT(SLOTS))
        return;
    for (uint16_t i = 0; i < config_of(router)->sources; i++)
        source_doubt(router, i);
}

void sta_tracking_mapped(struct sta_router *router, uint64_t asked_ns)
{
    if (!is_on(router))
        return;
    tracking_note_epoch(router);
    router->tracking.mapped_ns = asked_ns;
    for (struct sta_list *link = router->nodes.next; link != &router->nodes; link = link->next) {
        struct sta_node *node = STA_CONTAINER(link, struct sta_node, link);
        if (node->canary.up)
            node_trust(router, node);
    }
}

void sta_tracking_slots_changed(struct sta_router *router, const struct sta_slot_set *changed)
{
    if (!is_on(router) || STA_MUTANT(SLOTS))
        return;
    for (unsigned slot = 0; slot < STA_SLOT_COUNT; slot++)
        if (sta_slot_set_has(changed, slot))
            source_doubt(router, source_index(router, slot));
}

/* ---- numbers ---- */

void sta_tracking_statistics(const struct sta_router *router, struct sta_tracking_statistics *out)
{
    *out = router->tracking.counts;
    out->state = is_on(router) ? STA_TRACKING_UNKNOWN : STA_TRACKING_DISABLED;
    if (!is_on(router))
        return;
    for (struct sta_list *link = router->nodes.next; link != &router->nodes; link = link->next) {
        const struct sta_canary *canary = &STA_CONTAINER(link, struct sta_node, link)->canary;
        if (canary->up && !canary->tracked)
            out->state = STA_TRACKING_REFUSED;
        else if (canary->up && out->state == STA_TRACKING_UNKNOWN)
            out->state = STA_TRACKING_IN_FORCE;
    }
}

/* ---- life ---- */

int sta_tracking_start(struct sta_router *router)
{
    const struct sta_tracking_config *config = config_of(router);
    sta_timer_init(&router->tracking.timer, on_timer);
    if (!is_on(router))
        return STRATA_OK;
    router->config.node.connection.tracking = (struct sta_greeting_tracking){
        .mode = config->mode,
        .prefix = config->prefix,
    };
    router->tracking.id = sta_random_next(&router->random);
    router->tracking.came_from = calloc(config->sources, sizeof(struct sta_node *));
    if (router->tracking.came_from == NULL)
        return STRATA_ERR_NOMEM;
    sta_timer_start(router->loop, &router->tracking.timer, sta_loop_now_ns(router->loop));
    return STRATA_OK;
}

void sta_tracking_stop(struct sta_router *router)
{
    sta_timer_stop(router->loop, &router->tracking.timer);
    free(router->tracking.came_from);
    router->tracking.came_from = NULL;
}
