/* SPDX-License-Identifier: MIT
 *
 * A server's lanes, its breaker and its numbers; see node.h.
 */
#include "l2/node.h"

#include <stdlib.h>

#include "core/clock.h"
#include "core/mutant.h"
#include "strata/status.h"

#define ADDRESS_CAP 288

/* A time-out says something about the server only where a healthy one would have answered. */
#define TIMEOUT_COUNTS_NS (100 * STA_NS_MS)
#define PROBE_TIMEOUT_NS  STA_NS_SEC

/* Between two times that the name of a server that is read only is looked up. */
#define LOOK_UP_PAUSE_NS (500 * STA_NS_MS)

static const char probe_wire[] = "*1\r\n$4\r\nPING\r\n";

/* ---- the breaker ---- */

static void breaker_opened(struct sta_node *node, const char *why)
{
    char address[ADDRESS_CAP];
    sta_redis_url_format(&node->url, address, sizeof address);
    sta_log_write(&node->log.log, STRATA_LOG_WARNING, STA_ROOM_L2,
                  "%s: %s; calls fail at once until it answers", address, why);
}

static void breaker_closed(struct sta_node *node)
{
    char address[ADDRESS_CAP];
    uint64_t away_ns = sta_loop_now_ns(node->loop) - node->breaker.opened_ns;
    sta_redis_url_format(&node->url, address, sizeof address);
    sta_timer_stop(node->loop, &node->probe_timer);
    sta_log_write(&node->log.log, STRATA_LOG_INFO, STA_ROOM_L2, "%s: answers again after %.1f s",
                  address, (double)away_ns / (double)STA_NS_SEC);
}

static void breaker_step(struct sta_node *node, enum sta_breaker_event event, const char *why)
{
    bool was_closed = node->breaker.state == STA_BREAKER_CLOSED;
    (void)sta_breaker_step(&node->breaker, event, sta_loop_now_ns(node->loop));
    bool is_closed = node->breaker.state == STA_BREAKER_CLOSED;
    if (was_closed && !is_closed)
        breaker_opened(node, why);
    else if (!was_closed && is_closed)
        breaker_closed(node);
    if (was_closed != is_closed && node->events->breaker != NULL)
        node->events->breaker(node->arg);
    if (node->breaker.state == STA_BREAKER_OPEN)
        sta_timer_start(node->loop, &node->probe_timer, node->breaker.probe_at_ns);
}

static void on_probe_done(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct sta_node *node = STA_CONTAINER(request, struct sta_node, probe);
    (void)replies;
    breaker_step(node, status == STRATA_OK ? STA_BREAKER_PROBE_OK : STA_BREAKER_PROBE_FAILED, "");
}

static void on_probe_timer(struct sta_timer *timer)
{
    struct sta_node *node = STA_CONTAINER(timer, struct sta_node, probe_timer);
    uint64_t now_ns = sta_loop_now_ns(node->loop);
    switch (sta_breaker_step(&node->breaker, STA_BREAKER_ASK, now_ns)) {
    case STA_BREAKER_PROBE:
        node->probe = (struct sta_request){
            .wire = strata_bytes(probe_wire, sizeof probe_wire - 1),
            .commands = 1,
            .deadline_ns = sta_clock_after(now_ns, PROBE_TIMEOUT_NS),
            .done = on_probe_done,
        };
        sta_node_submit_request(node, STA_NODE_MAIN, &node->probe);
        break;
    case STA_BREAKER_REFUSE: /* the timer came early */
        sta_timer_start(node->loop, timer, node->breaker.probe_at_ns);
        break;
    case STA_BREAKER_PASS:
        break;
    }
}

/* ---- connecting anew ---- */

void sta_node_distrust(struct sta_node *node, const char *why)
{
    for (unsigned kind = 0; kind < STA_NODE_LANE_KINDS; kind++)
        if (node->lanes[kind].connection != NULL)
            sta_connection_renew(node->lanes[kind].connection, STRATA_ERR_PROTOCOL, why);
}

void sta_node_look_up_again(struct sta_node *node)
{
    uint64_t now_ns = sta_loop_now_ns(node->loop);
    if (node->looked_up_ns != 0 && now_ns - node->looked_up_ns < LOOK_UP_PAUSE_NS)
        return;
    node->looked_up_ns = now_ns;
    for (unsigned kind = 0; kind < STA_NODE_LANE_KINDS; kind++)
        if (node->lanes[kind].connection != NULL)
            sta_connection_renew_gently(node->lanes[kind].connection,
                                        "it is read only; its name is looked up again");
}

/* ---- news of lanes ---- */

static void on_state(void *arg, enum sta_connection_state state, const char *reason)
{
    struct sta_node_lane *lane = arg;
    struct sta_node *node = lane->node;
    bool was_ready = lane->ready;
    lane->ready = state == STA_CONNECTION_READY;
    if (lane->ready) {
        sta_node_health_connected(&node->health, lane->was_ready);
        lane->was_ready = true;
    }
    if (lane->kind == STA_NODE_MAIN && (lane->ready || node->down_ns == 0))
        node->down_ns = lane->ready ? 0 : sta_loop_now_ns(node->loop);
    if (lane->ready && node->breaker.state != STA_BREAKER_CLOSED)
        breaker_step(node, STA_BREAKER_OK, "");
    if (was_ready && !lane->ready)
        breaker_step(node, STA_BREAKER_FAILED, "connections break");
    if (node->events->state != NULL)
        node->events->state(node->arg, lane, state, reason);
}

static void on_silent(void *arg, bool silent)
{
    struct sta_node_lane *lane = arg;
    breaker_step(lane->node, silent ? STA_BREAKER_SILENT : STA_BREAKER_LATE, "no answer");
}

static void on_push(void *arg, struct strata_bytes frame)
{
    struct sta_node_lane *lane = arg;
    if (lane->node->events->push != NULL)
        lane->node->events->push(lane->node->arg, lane, frame);
}

static const struct sta_connection_events lane_events = {
    .state = on_state, .silent = on_silent, .push = on_push};

int sta_node_open_lane(struct sta_node *node, enum sta_node_lane_kind kind)
{
    struct sta_node_lane *lane = &node->lanes[kind];
    if (lane->connection != NULL)
        return STRATA_OK;
    struct sta_connection_config config = node->config;
    if (kind != STA_NODE_MAIN)
        config.tracking.mode = STA_TRACKING_OFF;
    if (kind == STA_NODE_RESP2)
        config.protocol = 2;
    return sta_connection_open(&lane->connection, node->loop, &node->log.log, &config, &lane_events,
                               lane);
}

/* ---- operations ---- */

void sta_node_submit_request(struct sta_node *node, enum sta_node_lane_kind kind,
                             struct sta_request *request)
{
    int status = sta_node_open_lane(node, kind);
    if (status == STRATA_OK)
        sta_connection_submit(node->lanes[kind].connection, request);
    else
        request->done(request, status, strata_bytes(NULL, 0));
}

static enum sta_node_lane_kind node_lane_by_size(const struct sta_node *node,
                                                 const struct sta_request *request)
{
    const struct sta_node_lane *lanes = node->lanes;
    if (!node->has_bulk)
        return STA_NODE_MAIN;
    if (request->wire.len >= STA_LARGE_ANSWERS_BYTES ||
        sta_large_answers_expects(&node->large_answers, request->wire))
        return STA_NODE_BULK;
    bool aside = sta_connection_is_clogged(lanes[STA_NODE_MAIN].connection) &&
                 !sta_connection_is_clogged(lanes[STA_NODE_BULK].connection);
    return aside ? STA_NODE_BULK : STA_NODE_MAIN;
}

static enum sta_node_lane_kind node_choose_lane(const struct sta_node *node,
                                                const struct sta_operation *operation,
                                                const struct sta_request *request)
{
    switch ((enum sta_operation_way)operation->way) {
    case STA_OPERATION_BY_SIZE:
        return node_lane_by_size(node, request);
    case STA_OPERATION_MAIN:
        return STA_NODE_MAIN;
    case STA_OPERATION_PLAIN2:
        return STA_NODE_RESP2;
    case STA_OPERATION_PLAIN3:
        return STA_NODE_BULK;
    }
    return STA_NODE_MAIN; /* no way is left */
}

void sta_node_submit(struct sta_node *node, struct sta_operation *operation,
                     struct sta_request *request)
{
    enum sta_node_lane_kind kind = node_choose_lane(node, operation, request);
    operation->sent_ns = sta_loop_now_ns(node->loop);
    operation->aside = kind != STA_NODE_MAIN;
    sta_node_health_sent(&node->health);
    if (node->breaker.state == STA_BREAKER_CLOSED)
        sta_node_submit_request(node, kind, request);
    else
        request->done(request, STRATA_ERR_UNAVAILABLE, strata_bytes(NULL, 0));
}

static void note_answered(struct sta_node *node, uint64_t waited_ns, uint64_t now_ns)
{
    sta_node_health_answered(&node->health, waited_ns, now_ns);
    (void)sta_breaker_step(&node->breaker, STA_BREAKER_OK, now_ns);
}

static void note_failed(struct sta_node *node, int status, uint64_t waited_ns)
{
    switch (status) {
    case STRATA_ERR_TIMEOUT:
        sta_node_health_dropped(&node->health, STA_NODE_HEALTH_TIMEOUT);
        if (waited_ns >= TIMEOUT_COUNTS_NS && node->breaker.state == STA_BREAKER_CLOSED)
            breaker_step(node, STA_BREAKER_FAILED, "time-outs in a row");
        break;
    case STRATA_ERR_LOST:
        sta_node_health_dropped(&node->health, STA_NODE_HEALTH_LOST);
        break;
    case STRATA_ERR_BUSY:
    case STRATA_ERR_TOO_BIG:
        sta_node_health_unsent(&node->health, STA_NODE_HEALTH_BUSY);
        break;
    default:
        sta_node_health_unsent(&node->health, STA_NODE_HEALTH_REFUSED);
        break;
    }
}

void sta_node_note(struct sta_node *node, const struct sta_operation *operation, int status)
{
    uint64_t now_ns = sta_loop_now_ns(node->loop);
    uint64_t waited_ns = now_ns - operation->sent_ns;
    if (status != STRATA_OK)
        note_failed(node, status, waited_ns);
    else if (node->breaker.state == STA_BREAKER_CLOSED)
        note_answered(node, waited_ns, now_ns);
    else {
        sta_node_health_answered(&node->health, waited_ns, now_ns);
        breaker_step(node, STA_BREAKER_OK, "");
    }
}

void sta_node_note_size(struct sta_node *node, const struct sta_operation *operation, size_t len,
                        bool is_kept)
{
    if (node->has_bulk && operation->way == STA_OPERATION_BY_SIZE)
        sta_large_answers_note(&node->large_answers, operation->request.wire,
                               len >= STA_LARGE_ANSWERS_BYTES && !is_kept);
}

bool sta_node_is_open(const struct sta_node *node)
{
    const struct sta_connection *connection = node->lanes[STA_NODE_MAIN].connection;
    return node->breaker.state == STA_BREAKER_CLOSED &&
           (connection == NULL || sta_connection_is_open(connection));
}

enum sta_connection_state sta_node_state(const struct sta_node *node)
{
    const struct sta_connection *connection = node->lanes[STA_NODE_MAIN].connection;
    return connection != NULL ? sta_connection_state(connection) : STA_CONNECTION_CLOSED;
}

int sta_node_try_now(struct sta_node *node)
{
    struct sta_connection *connection = node->lanes[STA_NODE_MAIN].connection;
    if (connection == NULL)
        return sta_node_open_lane(node, STA_NODE_MAIN);
    sta_connection_try_now(connection);
    return STRATA_OK;
}

void sta_node_statistics(const struct sta_node *node, struct sta_connection_statistics *out)
{
    *out = (struct sta_connection_statistics){.state = STA_CONNECTION_CLOSED};
    for (unsigned kind = 0; kind < STA_NODE_LANE_KINDS; kind++) {
        struct sta_connection_statistics one;
        if (node->lanes[kind].connection == NULL)
            continue;
        sta_connection_statistics(node->lanes[kind].connection, &one);
        sta_connection_statistics_add(out, &one);
        if (kind != STA_NODE_MAIN)
            continue;
        out->state = one.state;
        out->last_failure = one.last_failure;
    }
}

int sta_node_create(struct sta_node **out, struct sta_loop *loop, struct sta_log *log,
                    const struct sta_node_config *config, uint64_t random,
                    const struct sta_node_events *events, void *arg)
{
    struct sta_node *node = calloc(1, sizeof *node);
    if (node == NULL)
        return STRATA_ERR_NOMEM;
    node->loop = loop;
    node->url = *config->connection.url;
    node->config = config->connection;
    node->config.url = &node->url;
    node->has_bulk = config->max_connections != 1;
    /* Not where the server keeps a table of what we read: Redis takes NOLOOP for "not during his
     * commands", and so says nothing of what our own reads push out of a full table. */
    node->config.tracking.noloop =
        (node->config.tracking.mode == STA_TRACKING_BCAST || STA_MUTANT(NOLOOP)) && node->has_bulk;
    node->events = events;
    node->arg = arg;
    sta_list_init(&node->link);
    sta_paced_log_init(&node->log, log, STA_ROOM_L2, loop);
    sta_breaker_init(&node->breaker, &config->breaker, random, sta_loop_now_ns(loop));
    sta_timer_init(&node->probe_timer, on_probe_timer);
    for (unsigned kind = 0; kind < STA_NODE_LANE_KINDS; kind++)
        node->lanes[kind] = (struct sta_node_lane){.node = node, .kind = kind};
    *out = node;
    return STRATA_OK;
}

/* The probe timer last: what ends on the way may start it. */
void sta_node_destroy(struct sta_node **at)
{
    struct sta_node *node = *at;
    if (node == NULL)
        return;
    *at = NULL;
    sta_list_remove(&node->link);
    for (unsigned kind = 0; kind < STA_NODE_LANE_KINDS; kind++)
        sta_connection_close(&node->lanes[kind].connection);
    sta_timer_stop(node->loop, &node->probe_timer);
    sta_canary_fini(&node->canary);
    sta_paced_log_fini(&node->log);
    free(node);
}
