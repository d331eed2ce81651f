/* SPDX-License-Identifier: MIT
 *
 * The walk over one node: its questions go past the router, for they are for this node and no
 * other, and what becomes of them is judged here.
 */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/pace.h"
#include "l2/backoff.h"
#include "l2/redirect.h"
#include "l2/scanner_inside.h"
#include "l2/topology.h"
#include "strata/status.h"

#define KEY_MAX     65535u /* as cache.h has it */
#define ADDRESS_CAP 288u
#define REASON_CAP  400u

/* Without one walk that came to its end: then it is no use, however well the node answers in
 * between. */
#define FAILURES_MOST 4096u
#define REPEATS_LEAST 4u

/* Between two attempts. */
#define AGAIN_FIRST_NS (20 * STA_NS_MS)
#define AGAIN_MOST_NS  (500 * STA_NS_MS)

static const char nodes_wire[] = "*2\r\n$7\r\nCLUSTER\r\n$5\r\nNODES\r\n";

/* How names that are ours begin beneath the prefix of all keys. */
static const char own_beginning[] = "strata:canary:";

static bool is_own(struct strata_bytes key)
{
    size_t len = sizeof own_beginning - 1;
    return key.len >= len && memcmp(key.data, own_beginning, len) == 0;
}

bool sta_scanner_key(struct sta_scanner *scan, struct strata_bytes *key)
{
    size_t prefix_len = scan->config.prefix.len;
    struct strata_bytes whole;
    while (sta_scan_page_next(&scan->page, &whole)) {
        const uint8_t *bytes = whole.data;
        struct strata_bytes rest = strata_bytes(bytes + prefix_len, whole.len - prefix_len);
        if (rest.len == 0 || rest.len > KEY_MAX || is_own(rest) ||
            !sta_scan_plan_takes(&scan->plan, scan->page_lane, whole))
            continue;
        *key = rest;
        return true;
    }
    return false;
}

/* ---- states ---- */

static uint64_t walk_now_ns(const struct sta_scan_walk *walk)
{
    return sta_loop_now_ns(walk->scan->router->loop);
}

static void walk_turn(struct sta_scan_walk *walk, enum sta_scan_walk_state state)
{
    bool was = walk->state != STA_SCAN_WALK_IDLE, is = state != STA_SCAN_WALK_IDLE;
    walk->scan->busy += (unsigned)is - (unsigned)was;
    walk->state = state;
}

static struct sta_scan_lane *walk_lane(const struct sta_scan_walk *walk)
{
    return &walk->scan->plan.lanes[walk->lane];
}

static void walk_end_scan(struct sta_scan_walk *walk, int status, const char *what)
{
    char address[ADDRESS_CAP], reason[REASON_CAP];
    sta_endpoint_format(&walk_lane(walk)->node.endpoint, address, sizeof address);
    (void)snprintf(reason, sizeof reason, "%s: %s", address, what);
    sta_scanner_end(walk->scan, status, reason);
}

/* It is tried again after a pause that grows. True: `since_ns` is longer ago than the patience. */
static bool walk_set_back(struct sta_scan_walk *walk, uint64_t *since_ns)
{
    uint64_t now_ns = walk_now_ns(walk);
    uint64_t pause_ns = AGAIN_FIRST_NS << (walk->in_a_row < 5 ? walk->in_a_row : 5);
    walk->failures++;
    walk->in_a_row++;
    if (*since_ns == 0)
        *since_ns = now_ns;
    walk->rest_ns = sta_clock_after(now_ns, pause_ns < AGAIN_MOST_NS ? pause_ns : AGAIN_MOST_NS);
    sta_router_demand_map(walk->scan->router, NULL);
    return now_ns - *since_ns >= walk->scan->config.patience_ns;
}

static void walk_failed(struct sta_scan_walk *walk, int status, const char *what)
{
    sta_scan_plan_failed(&walk->scan->plan, walk->lane);
    walk_turn(walk, STA_SCAN_WALK_IDLE);
    if (walk_set_back(walk, &walk->failing_ns) || walk->failures >= FAILURES_MOST)
        walk_end_scan(walk, status, what);
}

/* The whole walk has to be repeated, which may take longer than the patience: so more than once. */
static void walk_repeat(struct sta_scan_walk *walk)
{
    walk->in_a_row = walk->repeats++;
    if (walk_set_back(walk, &walk->repeating_ns) && walk->repeats > REPEATS_LEAST)
        walk_end_scan(walk, STRATA_ERR_UNAVAILABLE,
                      "slots were on the move each time that it was walked over");
}

/* ---- what an error reply means ---- */

static void walk_refused(struct sta_scan_walk *walk, struct strata_bytes frame)
{
    struct sta_redirect redirect;
    struct sta_resp_walk reply = sta_resp_walk(frame);
    struct sta_resp_value value = {.bytes = {NULL, 0}};
    char text[160];
    (void)sta_resp_next(&reply, &value);
    (void)snprintf(text, sizeof text, "%.*s", (int)(value.bytes.len < 150 ? value.bytes.len : 150),
                   value.bytes.len > 0 ? (const char *)value.bytes.data : "");
    sta_redirect_read(&redirect, frame, &walk->node->url.endpoint);
    switch (redirect.kind) {
    case STA_REDIRECT_LOADING:
    case STA_REDIRECT_MASTERDOWN:
    case STA_REDIRECT_CLUSTERDOWN:
    case STA_REDIRECT_TRYAGAIN:
    case STA_REDIRECT_READONLY:
        walk_failed(walk, STRATA_ERR_UNAVAILABLE, text);
        break;
    case STA_REDIRECT_DENIED:
        walk_end_scan(walk, STRATA_ERR_DENIED, text);
        break;
    default:
        walk_end_scan(walk, STRATA_ERR_SERVER, text);
        break;
    }
}

static void walk_misled(struct sta_scan_walk *walk)
{
    sta_node_distrust(walk->node, "an answer to SCAN that is none");
    walk_end_scan(walk, STRATA_ERR_PROTOCOL, strata_status_text(STRATA_ERR_PROTOCOL));
}

/* ---- asking ---- */

static enum sta_node_lane_kind walk_lane_kind(const struct sta_node *node)
{
    return node->has_bulk ? STA_NODE_BULK : STA_NODE_MAIN;
}

/* How often the connection that answers has been made anew. */
static uint64_t walk_connects(const struct sta_scan_walk *walk)
{
    struct sta_connection_statistics statistics = {.connects = 0};
    const struct sta_node *node = walk->node;
    const struct sta_connection *connection = node->lanes[walk_lane_kind(node)].connection;
    if (connection != NULL)
        sta_connection_statistics(connection, &statistics);
    return statistics.connects;
}

static void on_answer(struct sta_request *request, int status, struct strata_bytes replies);

static void walk_send(struct sta_scan_walk *walk, unsigned commands, enum sta_scan_walk_state state)
{
    struct sta_scanner *scan = walk->scan;
    uint64_t now_ns = walk_now_ns(walk);
    walk->asked_ns = now_ns;
    walk->request = (struct sta_request){
        .wire = sta_buffer_bytes(&walk->wire),
        .commands = commands,
        .deadline_ns = sta_clock_after(now_ns, scan->config.page_ns),
        .done = on_answer,
    };
    walk_turn(walk, state);
    sta_scanner_hold(scan);
    walk->node->under_way++;
    if (walk->node->breaker.state == STA_BREAKER_CLOSED)
        sta_node_submit_request(walk->node, walk_lane_kind(walk->node), &walk->request);
    else
        on_answer(&walk->request, STRATA_ERR_UNAVAILABLE, strata_bytes(NULL, 0));
}

static int walk_find_node(struct sta_scan_walk *walk)
{
    struct sta_router *router = walk->scan->router;
    walk->node = router->only;
    if (walk->node != NULL)
        return STRATA_OK;
    const struct sta_endpoint *endpoint = &walk_lane(walk)->node.endpoint;
    if (endpoint->address[0] == '\0')
        return STRATA_ERR_UNAVAILABLE;
    return sta_router_node_at(router, endpoint, &walk->node);
}

static int walk_write(struct sta_scan_walk *walk, bool with_word, unsigned *commands)
{
    const struct sta_scanner_config *config = &walk->scan->config;
    int status = STRATA_OK;
    sta_buffer_truncate(&walk->wire, 0);
    if (with_word)
        status = sta_buffer_append(&walk->wire, strata_bytes(nodes_wire, sizeof nodes_wire - 1));
    if (status == STRATA_OK)
        status = sta_scan_page_write(&walk->wire, walk_lane(walk)->cursor, config->prefix,
                                     config->pattern, config->count);
    *commands = with_word ? 2 : 1;
    return status;
}

/* Of a cluster's node, the first page is asked for behind the node's word: what it is at the
 * begin. */
static void walk_send_page(struct sta_scan_walk *walk)
{
    unsigned commands;
    bool with_word = walk->scan->single == NULL && walk_lane(walk)->cursor == 0;
    int status = walk_find_node(walk);
    if (status == STRATA_OK)
        status = walk_write(walk, with_word, &commands);
    if (status == STRATA_OK)
        walk_send(walk, commands, STA_SCAN_WALK_PAGE);
    else
        walk_failed(walk, status, strata_status_text(status));
}

static void on_rested(struct sta_timer *timer)
{
    struct sta_scan_walk *walk = STA_CONTAINER(timer, struct sta_scan_walk, timer);
    struct sta_scanner *scan = walk->scan;
    sta_scanner_hold(scan);
    walk_send_page(walk);
    sta_scanner_step(scan);
    sta_scanner_drop(scan);
}

void sta_scan_walk_ask(struct sta_scan_walk *walk)
{
    if (walk->rest_ns <= walk_now_ns(walk)) {
        walk_send_page(walk);
        return;
    }
    walk_turn(walk, STA_SCAN_WALK_RESTING);
    sta_timer_start(walk->scan->router->loop, &walk->timer, walk->rest_ns);
}

void sta_scan_walk_confirm(struct sta_scan_walk *walk)
{
    struct sta_scanner *scan = walk->scan;
    if (scan->single != NULL) {
        (void)sta_scan_plan_confirm(&scan->plan, walk->lane, scan->single);
        return;
    }
    int status = walk_find_node(walk);
    sta_buffer_truncate(&walk->wire, 0);
    if (status == STRATA_OK)
        status = sta_buffer_append(&walk->wire, strata_bytes(nodes_wire, sizeof nodes_wire - 1));
    if (status == STRATA_OK)
        walk_send(walk, 1, STA_SCAN_WALK_WORD);
    else
        walk_failed(walk, status, strata_status_text(status));
}

/* ---- answers ---- */

static int walk_read_word(const struct sta_scan_walk *walk, struct strata_bytes frame,
                          struct sta_slot_map **map)
{
    const struct sta_topology_query query = {.asked = &walk->node->url.endpoint,
                                             .tls = walk->node->url.tls};
    return sta_topology_parse_nodes(map, frame, &query, NULL);
}

static void walk_confirmed(struct sta_scan_walk *walk, struct strata_bytes frame)
{
    struct sta_scanner *scan = walk->scan;
    struct sta_slot_map *map = NULL;
    unsigned waiting = scan->plan.waiting;
    if (walk_read_word(walk, frame, &map) < 0) {
        walk_misled(walk);
        return;
    }
    int status = sta_scan_plan_confirm(&scan->plan, walk->lane, map);
    sta_slot_map_destroy(&map);
    walk_turn(walk, STA_SCAN_WALK_IDLE);
    if (scan->plan.waiting != waiting) /* not its slots any more: whose, the map has to say */
        sta_router_demand_map(scan->router, NULL);
    if (status == STRATA_SKIPPED)
        walk_repeat(walk);
    else
        walk->failing_ns = walk->repeating_ns = walk->failures = walk->repeats = 0;
}

/* After a page, for as long as its share asks for. */
static void walk_rest(struct sta_scan_walk *walk)
{
    uint64_t now_ns = walk_now_ns(walk);
    uint64_t rest_ns =
        sta_pace_rest_ns(&walk->owed_ns, walk->scan->config.share, now_ns - walk->asked_ns);
    if (rest_ns > 0)
        walk->rest_ns = sta_clock_after(now_ns, rest_ns);
}

void sta_scan_walk_taken(struct sta_scan_walk *walk, uint64_t cursor)
{
    walk_turn(walk, STA_SCAN_WALK_IDLE);
    sta_scan_plan_answered(&walk->scan->plan, walk->lane, cursor);
}

static void walk_take(struct sta_scan_walk *walk)
{
    struct sta_scanner *scan = walk->scan;
    uint64_t cursor = scan->page.cursor;
    scan->page_lane = walk->lane;
    walk->failing_ns = walk->in_a_row = 0;
    int status = scan->config.page(scan->config.arg, scan, walk->lane);
    if (scan->over)
        return;
    walk_rest(walk);
    walk->cursor = cursor;
    if (status == STRATA_OK)
        sta_scan_walk_taken(walk, cursor);
    else if (status == STRATA_MORE)
        walk_turn(walk, STA_SCAN_WALK_HELD);
    else
        sta_scanner_end(scan, status, strata_status_text(status));
}

/* The node owns none of the slots that the map gives it: either does not know yet what the other
 * does, or they never will. */
static void walk_disowned(struct sta_scan_walk *walk)
{
    sta_scan_plan_answered(&walk->scan->plan, walk->lane, 0);
    walk_turn(walk, STA_SCAN_WALK_IDLE);
    walk_repeat(walk);
}

/* What the node says of itself before the first page. False: that was not it, or says enough. */
static bool walk_begin(struct sta_scan_walk *walk, struct strata_bytes frame)
{
    struct sta_slot_map *map = NULL;
    if (sta_redirect_is_error(frame)) {
        walk_refused(walk, frame);
        return false;
    }
    if (walk_read_word(walk, frame, &map) < 0) {
        walk_misled(walk);
        return false;
    }
    unsigned waiting = walk->scan->plan.waiting;
    sta_scan_plan_begun(&walk->scan->plan, walk->lane, map);
    sta_slot_map_destroy(&map);
    if (walk->scan->plan.waiting != waiting)
        sta_router_demand_map(walk->scan->router, NULL);
    if (walk_lane(walk)->slots > 0)
        return true;
    walk_disowned(walk);
    return false;
}

static void walk_paged(struct sta_scan_walk *walk, struct strata_bytes replies)
{
    struct sta_scanner *scan = walk->scan;
    struct sta_resp_walk frames = sta_resp_walk(replies);
    struct strata_bytes frame;
    bool first = walk_lane(walk)->cursor == 0;
    if (first)
        walk->connects = walk_connects(walk);
    if (sta_resp_skip(&frames, &frame) != STRATA_OK)
        walk_misled(walk);
    else if (!first && walk->connects != walk_connects(walk))
        walk_failed(walk, STRATA_ERR_LOST, "connections break in the middle of a walk");
    else if (first && scan->single == NULL && !walk_begin(walk, frame))
        return;
    else if (first && scan->single == NULL && sta_resp_skip(&frames, &frame) != STRATA_OK)
        walk_misled(walk);
    else if (sta_redirect_is_error(frame))
        walk_refused(walk, frame);
    else if (sta_scan_page_read(&scan->page, frame, scan->config.prefix) < 0)
        walk_misled(walk);
    else
        walk_take(walk);
}

static void walk_answered(struct sta_scan_walk *walk, int status, struct strata_bytes replies)
{
    if (status != STRATA_OK) {
        walk_failed(walk, status, strata_status_text(status));
        return;
    }
    if (walk->state == STA_SCAN_WALK_PAGE) {
        walk_paged(walk, replies);
        return;
    }
    if (sta_redirect_is_error(replies))
        walk_refused(walk, replies);
    else
        walk_confirmed(walk, replies);
}

static void on_answer(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct sta_scan_walk *walk = STA_CONTAINER(request, struct sta_scan_walk, request);
    struct sta_scanner *scan = walk->scan;
    walk->node->under_way--;
    if (!scan->over)
        walk_answered(walk, status, replies);
    sta_scanner_step(scan);
    sta_scanner_drop(scan);
}

/* ---- life ---- */

void sta_scan_walk_init(struct sta_scan_walk *walk, struct sta_scanner *scan, unsigned lane)
{
    walk->scan = scan;
    walk->lane = lane;
    sta_timer_init(&walk->timer, on_rested);
    sta_buffer_init(&walk->wire, (size_t)1 << 20);
}

void sta_scan_walk_fini(struct sta_scan_walk *walk)
{
    sta_buffer_fini(&walk->wire);
}
