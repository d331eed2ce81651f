/* SPDX-License-Identifier: MIT
 *
 * Watching a cluster; see cluster_monitor.h.
 *
 * Members are the servers that we have a connection to: those of the map, and seeds while they are
 * asked. members[i] belongs to map->nodes[i]; `others` are the rest, and go when a map has been
 * adopted or the question is over.
 */
#include "l2/cluster_monitor.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/random.h"
#include "l2/cluster_member.h"
#include "l2/refresh.h"
#include "resp/resp.h"
#include "strata/status.h"

#define OR_DEFAULT(field, value) ((field) != 0 ? (field) : (value))
static const char question_wire[] = "*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n"
                                    "*2\r\n$7\r\nCLUSTER\r\n$5\r\nNODES\r\n"
                                    "*2\r\n$7\r\nCLUSTER\r\n$4\r\nINFO\r\n";
#define QUESTION_COMMANDS 3u

struct sta_cluster_monitor {
    /* Fixed at creation. */
    struct sta_loop *loop;
    struct sta_log *log;
    struct sta_cluster_monitor_config config;
    struct sta_redis_url url;
    char *name;
    struct sta_endpoint *seeds;
    struct sta_cluster_monitor_events events;
    void *arg;

    struct sta_cluster_view view;
    struct sta_list members;
    struct sta_cluster_member *by_index[STA_SLOT_MAP_NODES_MAX];
    bool closing;

    /* Asking. */
    struct sta_refresh refresh;
    struct sta_timer refresh_timer;
    struct sta_request question;
    struct sta_cluster_member *asked; /* NULL: no question is in the air */
    int failure;

    struct sta_timer round_timer;
};

static void monitor_step(struct sta_cluster_monitor *monitor);

/* ---- telling ---- */

static void monitor_compare(struct sta_cluster_monitor *monitor,
                            const struct sta_cluster_view *before)
{
    if (monitor->events.event != NULL)
        sta_cluster_view_compare(before, &monitor->view, monitor->events.event, monitor->arg);
}

static void monitor_seen(struct sta_cluster_monitor *monitor)
{
    if (monitor->events.seen != NULL)
        monitor->events.seen(monitor->arg);
}

/* A node answers, or does not any more. The view before differs in that alone. */
static void on_heard(void *arg, struct sta_cluster_member *member)
{
    struct sta_cluster_monitor *monitor = arg;
    for (uint16_t i = 0; member->listed && i < monitor->view.map->node_count; i++) {
        if (monitor->by_index[i] != member)
            continue;
        struct sta_cluster_view before = monitor->view; /* borrows the map */
        monitor->view.answers[i] = member->answers;
        monitor_compare(monitor, &before);
        monitor_seen(monitor);
    }
}

/* ---- members ---- */

/* The member at this endpoint, made where there is none. */
static int member_at(struct sta_cluster_monitor *monitor, const struct sta_endpoint *endpoint,
                     struct sta_cluster_member **out)
{
    const struct sta_list *all = &monitor->members;
    for (struct sta_list *link = all->next; link != all; link = link->next) {
        struct sta_cluster_member *member = STA_CONTAINER(link, struct sta_cluster_member, link);
        if (sta_endpoint_equal(&member->url.endpoint, endpoint)) {
            *out = member;
            return STRATA_OK;
        }
    }
    int status =
        sta_cluster_member_open(out, monitor->loop, monitor->log, &monitor->config.connection,
                                endpoint, monitor->config.timeout_ns, on_heard, monitor);
    if (status == STRATA_OK)
        sta_list_push_back(&monitor->members, &(*out)->link);
    return status;
}

/* Those that are not in the map go, but for the one that is being asked. */
static void members_prune(struct sta_cluster_monitor *monitor)
{
    struct sta_list *link = monitor->members.next;
    while (link != &monitor->members) {
        struct sta_cluster_member *member = STA_CONTAINER(link, struct sta_cluster_member, link);
        link = link->next;
        if (!member->listed && member != monitor->asked)
            sta_cluster_member_close(&member);
    }
}

static unsigned members_ready(const struct sta_cluster_monitor *monitor, unsigned pick,
                              struct sta_cluster_member **out)
{
    unsigned count = 0;
    const struct sta_list *all = &monitor->members;
    for (struct sta_list *link = all->next; link != all; link = link->next) {
        struct sta_cluster_member *member = STA_CONTAINER(link, struct sta_cluster_member, link);
        if (!sta_cluster_member_is_ready(member))
            continue;
        if (count++ == pick)
            *out = member;
    }
    return count;
}

/* ---- the answer ---- */

/* A member for each node of `map` that has an address: STRATA_OK with all in by_index, or a code
 * and nothing is changed but for members that nobody lists. */
static int view_members(struct sta_cluster_monitor *monitor, const struct sta_slot_map *map,
                        struct sta_cluster_member **by_index)
{
    for (uint16_t i = 0; i < map->node_count; i++) {
        by_index[i] = NULL;
        if (map->nodes[i].endpoint.address[0] == '\0')
            continue;
        int status = member_at(monitor, &map->nodes[i].endpoint, &by_index[i]);
        if (status < 0)
            return status;
    }
    return STRATA_OK;
}

/* What is known of a node that comes under another address: that it was silent, until it
 * answers, so that its return is told. */
static uint8_t answers_before(const struct sta_cluster_view *view, const struct sta_slot_node *node)
{
    for (uint16_t i = 0; view->map != NULL && i < view->map->node_count; i++) {
        if (view->answers[i] == STA_CLUSTER_VIEW_SILENT &&
            sta_slot_map_same_node(&view->map->nodes[i], node))
            return STA_CLUSTER_VIEW_SILENT;
    }
    return STA_CLUSTER_VIEW_UNHEARD;
}

/* Each look is at what another node thinks, and they do not change their minds together: a node
 * that comes back would be up, failed, up. One that answers us has failed only when two looks in
 * a row say so; until then it is suspected. */
static void doubt_failure(struct sta_cluster_member *member, struct sta_slot_node *node)
{
    bool failed = (node->flags & STA_SLOT_MAP_FAIL) != 0;
    member->failed_maps = failed ? member->failed_maps + 1 : 0;
    if (member->failed_maps == 1 && member->answers == STA_CLUSTER_VIEW_ANSWERS) {
        node->flags &= ~(uint32_t)STA_SLOT_MAP_FAIL;
        node->flags |= STA_SLOT_MAP_PFAIL;
    }
}

/* Replaces what is seen; takes the map over where it returns STRATA_OK. */
static int view_replace(struct sta_cluster_monitor *monitor, enum sta_cluster_view_kind kind,
                        struct sta_slot_map *map, const struct sta_topology_info *info)
{
    struct sta_cluster_member *by_index[STA_SLOT_MAP_NODES_MAX];
    struct sta_cluster_view before = monitor->view;
    int status = view_members(monitor, map, by_index);
    if (status < 0)
        return status;
    const struct sta_list *all = &monitor->members;
    for (struct sta_list *link = all->next; link != all; link = link->next)
        STA_CONTAINER(link, struct sta_cluster_member, link)->listed = false;
    monitor->view = (struct sta_cluster_view){.kind = kind, .map = map, .info = *info};
    for (uint16_t i = 0; i < map->node_count; i++) {
        struct sta_cluster_member *member = by_index[i];
        uint8_t answers = STA_CLUSTER_VIEW_UNHEARD;
        if (member != NULL) {
            member->listed = true;
            answers = member->answers;
            doubt_failure(member, &map->nodes[i]);
        }
        if (answers == STA_CLUSTER_VIEW_UNHEARD)
            answers = answers_before(&before, &map->nodes[i]);
        monitor->by_index[i] = member;
        monitor->view.answers[i] = answers;
    }
    monitor_compare(monitor, &before);
    sta_cluster_view_fini(&before);
    return STRATA_OK;
}

/* The server is no cluster's: it is the one node. A cluster that is known is not given up for a
 * seed that says so, nor is another single Redis that answers. */
static int answer_single(struct sta_cluster_monitor *monitor,
                         const struct sta_cluster_member *asked)
{
    const struct sta_topology_info nothing = {.state = STA_TOPOLOGY_UNKNOWN};
    const struct sta_cluster_view *view = &monitor->view;
    struct sta_slot_node node = {.endpoint = asked->url.endpoint,
                                 .flags = STA_SLOT_MAP_MYSELF,
                                 .primary = STA_SLOT_MAP_NONE};
    struct sta_slot_map *map = NULL;
    uint16_t index;
    if (view->kind == STA_CLUSTER_VIEW_CLUSTER ||
        (view->kind == STA_CLUSTER_VIEW_SINGLE && view->answers[0] != STA_CLUSTER_VIEW_SILENT))
        return STRATA_OK;
    int status = sta_slot_map_create(&map);
    if (status == STRATA_OK)
        status = sta_slot_map_add(map, &node, &index);
    if (status == STRATA_OK)
        status = view_replace(monitor, STA_CLUSTER_VIEW_SINGLE, map, &nothing);
    if (status < 0)
        sta_slot_map_destroy(&map);
    return status;
}

/* Takes the map. Where there is no memory for its members the next answer may fit. */
static void answer_judge(struct sta_cluster_monitor *monitor, struct sta_slot_map *map,
                         const struct sta_topology_info *info)
{
    const struct sta_slot_map *now =
        monitor->view.kind == STA_CLUSTER_VIEW_CLUSTER ? monitor->view.map : NULL;
    enum sta_refresh_verdict verdict =
        sta_refresh_answered(&monitor->refresh, now, map, info, sta_loop_now_ns(monitor->loop));
    bool whole = verdict == STA_REFRESH_ADOPT;
    /* A cluster that has no slots yet is one all the same, and there is nothing better to see. */
    if (verdict == STA_REFRESH_EMPTY && (now == NULL || now->covered == 0))
        whole = true;
    if (!whole || view_replace(monitor, STA_CLUSTER_VIEW_CLUSTER, map, info) < 0)
        sta_slot_map_destroy(&map);
}

/* Nobody tells us any more: what was said of the cluster's state is of the past. Who was in it and
 * had which slots may still be so. */
static void monitor_doubt(struct sta_cluster_monitor *monitor)
{
    struct sta_cluster_member *nobody = NULL;
    struct sta_cluster_view before = monitor->view; /* borrows the map */
    if (before.kind != STA_CLUSTER_VIEW_CLUSTER || members_ready(monitor, UINT32_MAX, &nobody) > 0)
        return;
    monitor->view.info = (struct sta_topology_info){.state = STA_TOPOLOGY_UNKNOWN};
    monitor_compare(monitor, &before);
}

/* SLOTS for where to connect, NODES for who there is; where NODES is refused, SLOTS alone. */
static int answer_map(const struct sta_topology_query *query, struct strata_bytes slots_frame,
                      struct strata_bytes nodes_frame, struct sta_slot_map **out)
{
    struct sta_slot_map *slots = NULL, *nodes = NULL;
    int status = sta_topology_parse_slots(&slots, slots_frame, query, NULL);
    if (status < 0)
        return status;
    if (sta_topology_parse_nodes(&nodes, nodes_frame, query, NULL) < 0) {
        *out = slots;
        return STRATA_OK;
    }
    sta_cluster_view_address(nodes, slots);
    sta_slot_map_destroy(&slots);
    *out = nodes;
    return STRATA_OK;
}

static int answer_parse(struct sta_cluster_monitor *monitor, const struct sta_cluster_member *asked,
                        struct strata_bytes replies)
{
    const struct sta_topology_query query = {.asked = &asked->url.endpoint, .tls = asked->url.tls};
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct sta_topology_info info = {.state = STA_TOPOLOGY_UNKNOWN};
    struct strata_bytes frames[QUESTION_COMMANDS];
    struct sta_slot_map *map = NULL;
    for (size_t i = 0; i < QUESTION_COMMANDS; i++) {
        if (sta_resp_skip(&walk, &frames[i]) != STRATA_OK)
            return STRATA_ERR_PROTOCOL;
    }
    int status = answer_map(&query, frames[0], frames[1], &map);
    if (status < 0)
        return status;
    (void)sta_topology_parse_info(&info, frames[2], NULL);
    answer_judge(monitor, map, &info);
    return STRATA_OK;
}

/* Not connected, for a reason: user or password, mostly. */
static int why_unavailable(const struct sta_cluster_member *member)
{
    struct sta_connection_statistics statistics;
    sta_connection_statistics(member->connection, &statistics);
    return statistics.last_failure < 0 ? statistics.last_failure : STRATA_ERR_UNAVAILABLE;
}

static void on_answer(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct sta_cluster_monitor *monitor =
        STA_CONTAINER(request, struct sta_cluster_monitor, question);
    const struct sta_cluster_member *asked = monitor->asked;
    if (monitor->closing)
        return;
    if (status == STRATA_ERR_UNAVAILABLE)
        status = why_unavailable(asked);
    if (status == STRATA_OK)
        status = answer_parse(monitor, asked, replies);
    if (status == STRATA_ERR_SERVER)
        status = answer_single(monitor, asked);
    monitor->failure = status;
    if (monitor->refresh.state == STA_REFRESH_ASKING)
        sta_refresh_failed(&monitor->refresh, sta_loop_now_ns(monitor->loop));
    monitor->asked = NULL;
    if (status < 0)
        monitor_doubt(monitor);
    monitor_seen(monitor);
    monitor_step(monitor);
}

/* ---- the question ---- */

static int question_member(struct sta_cluster_monitor *monitor, const struct sta_refresh_ask *ask,
                           struct sta_cluster_member **out)
{
    if (ask->whom == STA_REFRESH_SEED)
        return member_at(monitor, &monitor->seeds[ask->pick], out);
    assert(ask->whom == STA_REFRESH_NODE); /* nobody sends us MOVED */
    return members_ready(monitor, ask->pick, out) > ask->pick ? STRATA_OK : STRATA_ERR_UNAVAILABLE;
}

static void monitor_ask(struct sta_cluster_monitor *monitor, const struct sta_refresh_ask *ask)
{
    struct sta_cluster_member *member = NULL;
    int status = question_member(monitor, ask, &member);
    if (status < 0) {
        monitor->failure = status;
        sta_refresh_failed(&monitor->refresh, sta_loop_now_ns(monitor->loop));
        return;
    }
    monitor->asked = member;
    monitor->question = (struct sta_request){
        .wire = strata_bytes(question_wire, sizeof question_wire - 1),
        .commands = QUESTION_COMMANDS,
        .deadline_ns = ask->at_ns,
        .done = on_answer,
    };
    sta_connection_try_now(member->connection);
    sta_connection_submit(member->connection, &monitor->question);
}

/* The timer always follows, so that a question that fails from within comes again. */
static void monitor_step(struct sta_cluster_monitor *monitor)
{
    struct sta_cluster_member *nobody = NULL;
    uint64_t now_ns = sta_loop_now_ns(monitor->loop);
    if (monitor->refresh.state == STA_REFRESH_ASKING)
        return;
    struct sta_refresh_ask ask =
        sta_refresh_step(&monitor->refresh, members_ready(monitor, UINT32_MAX, &nobody), now_ns);
    if (ask.whom != STA_REFRESH_NOBODY)
        monitor_ask(monitor, &ask);
    if (monitor->refresh.state != STA_REFRESH_ASKING)
        sta_timer_start(monitor->loop, &monitor->refresh_timer, monitor->refresh.at_ns);
}

static void on_refresh_timer(struct sta_timer *timer)
{
    monitor_step(STA_CONTAINER(timer, struct sta_cluster_monitor, refresh_timer));
}

/* ---- rounds ---- */

/* Seeds that turned out to be nobody's address go here, where none of their callbacks runs. */
static void on_round(struct sta_timer *timer)
{
    struct sta_cluster_monitor *monitor =
        STA_CONTAINER(timer, struct sta_cluster_monitor, round_timer);
    if (monitor->view.kind != STA_CLUSTER_VIEW_NOTHING)
        members_prune(monitor);
    struct sta_list *link = monitor->members.next;
    while (link != &monitor->members) {
        struct sta_cluster_member *member = STA_CONTAINER(link, struct sta_cluster_member, link);
        link = link->next;
        sta_cluster_member_ping(member);
    }
    monitor_seen(monitor);
    sta_timer_start(monitor->loop, timer,
                    sta_clock_after(sta_loop_now_ns(monitor->loop), monitor->config.interval_ns));
}

/* ---- life ---- */

static int monitor_copy_config(struct sta_cluster_monitor *monitor,
                               const struct sta_cluster_monitor_config *config)
{
    assert(config->seed_count > 0);
    monitor->config = *config;
    monitor->config.interval_ns = OR_DEFAULT(config->interval_ns, STA_NS_SEC);
    monitor->config.timeout_ns = OR_DEFAULT(config->timeout_ns, STA_NS_SEC);
    monitor->config.connection.connect_timeout_ns = monitor->config.timeout_ns;
    monitor->url = *config->connection.url;
    monitor->config.connection.url = &monitor->url;
    monitor->name = config->connection.name != NULL ? strdup(config->connection.name) : NULL;
    monitor->config.connection.name = monitor->name;
    monitor->seeds = calloc(config->seed_count, sizeof *monitor->seeds);
    if (monitor->seeds == NULL || (config->connection.name != NULL && monitor->name == NULL))
        return STRATA_ERR_NOMEM;
    memcpy(monitor->seeds, config->seeds, config->seed_count * sizeof *monitor->seeds);
    monitor->config.seeds = monitor->seeds;
    return STRATA_OK;
}

int sta_cluster_monitor_create(struct sta_cluster_monitor **out, struct sta_loop *loop,
                               struct sta_log *log, const struct sta_cluster_monitor_config *config,
                               const struct sta_cluster_monitor_events *events, void *arg)
{
    struct sta_cluster_member *seed;
    struct sta_cluster_monitor *monitor = calloc(1, sizeof *monitor);
    if (monitor == NULL)
        return STRATA_ERR_NOMEM;
    uint64_t now_ns = sta_loop_now_ns(loop);
    monitor->loop = loop;
    monitor->log = log;
    monitor->events = *events;
    monitor->arg = arg;
    sta_list_init(&monitor->members);
    sta_timer_init(&monitor->refresh_timer, on_refresh_timer);
    sta_timer_init(&monitor->round_timer, on_round);
    int status = monitor_copy_config(monitor, config);
    if (status == STRATA_OK)
        status = member_at(monitor, &monitor->seeds[0], &seed);
    if (status < 0) {
        sta_cluster_monitor_destroy(&monitor);
        return status;
    }
    struct sta_refresh_config refresh = {.period_ns = monitor->config.interval_ns,
                                         .timeout_ns = monitor->config.timeout_ns,
                                         .seed_count = (unsigned)config->seed_count};
    sta_refresh_init(&monitor->refresh, &refresh, sta_random_seed(), now_ns);
    sta_timer_start(loop, &monitor->refresh_timer, now_ns);
    sta_timer_start(loop, &monitor->round_timer, now_ns);
    *out = monitor;
    return STRATA_OK;
}

void sta_cluster_monitor_destroy(struct sta_cluster_monitor **at)
{
    struct sta_cluster_monitor *monitor = *at;
    if (monitor == NULL)
        return;
    *at = NULL;
    monitor->closing = true;
    sta_timer_stop(monitor->loop, &monitor->refresh_timer);
    sta_timer_stop(monitor->loop, &monitor->round_timer);
    while (!sta_list_empty(&monitor->members)) {
        struct sta_cluster_member *member =
            STA_CONTAINER(monitor->members.next, struct sta_cluster_member, link);
        sta_cluster_member_close(&member);
    }
    sta_cluster_view_fini(&monitor->view);
    free(monitor->seeds);
    free(monitor->name);
    free(monitor);
}

const struct sta_cluster_view *sta_cluster_monitor_view(const struct sta_cluster_monitor *monitor)
{
    return &monitor->view;
}

const struct sta_node_health *sta_cluster_monitor_health(const struct sta_cluster_monitor *monitor,
                                                         uint16_t index)
{
    static const struct sta_node_health nothing;
    const struct sta_cluster_member *member = monitor->by_index[index];
    return member != NULL ? &member->health : &nothing;
}

bool sta_cluster_monitor_is_settled(const struct sta_cluster_monitor *monitor)
{
    unsigned failed = monitor->refresh.tries - (monitor->refresh.state == STA_REFRESH_ASKING);
    if (monitor->view.kind == STA_CLUSTER_VIEW_NOTHING)
        return failed >= monitor->config.seed_count;
    return sta_cluster_view_is_settled(&monitor->view);
}

int sta_cluster_monitor_failure(const struct sta_cluster_monitor *monitor)
{
    return monitor->failure;
}
