/* SPDX-License-Identifier: MIT
 *
 * Watching one server; see cluster_member.h.
 */
#include "l2/cluster_member.h"

#include <stdlib.h>

#include "core/clock.h"
#include "strata/status.h"

#define FAILURES_MAX 2u

static const char ping_wire[] = "*1\r\n$4\r\nPING\r\n";

static void member_hears(struct sta_cluster_member *member, enum sta_cluster_view_answer answers)
{
    if (member->answers == answers)
        return;
    member->answers = (uint8_t)answers;
    if (member->told)
        member->heard(member->arg, member);
}

static void member_failed(struct sta_cluster_member *member)
{
    member->failures++;
    if (member->answers != STA_CLUSTER_VIEW_ANSWERS || member->failures >= FAILURES_MAX)
        member_hears(member, STA_CLUSTER_VIEW_SILENT);
}

/* An error reply is an answer, too. The clock is read here and in ping(), and not at the tick's
 * start, for the latency of one round trip is what this is about. */
static void on_pong(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct sta_cluster_member *member = STA_CONTAINER(request, struct sta_cluster_member, ping);
    uint64_t now_ns = sta_clock_now_ns();
    (void)replies;
    member->pinging = false;
    if (status == STRATA_OK) {
        sta_node_health_answered(&member->health, now_ns - member->pinged_ns, now_ns);
        member->failures = 0;
        member_hears(member, STA_CLUSTER_VIEW_ANSWERS);
    } else if (status == STRATA_ERR_TIMEOUT) {
        sta_node_health_dropped(&member->health, STA_NODE_HEALTH_TIMEOUT);
        member_failed(member);
    } else { /* of which on_state() hears */
        sta_node_health_dropped(&member->health, STA_NODE_HEALTH_LOST);
    }
}

void sta_cluster_member_ping(struct sta_cluster_member *member)
{
    if (member->pinging || !sta_cluster_member_is_ready(member))
        return;
    member->pinging = true;
    member->pinged_ns = sta_clock_now_ns();
    member->ping = (struct sta_request){
        .wire = strata_bytes(ping_wire, sizeof ping_wire - 1),
        .commands = 1,
        .deadline_ns = sta_clock_after(member->pinged_ns, member->timeout_ns),
        .done = on_pong,
    };
    sta_node_health_sent(&member->health);
    sta_connection_submit(member->connection, &member->ping);
}

static void on_state(void *arg, enum sta_connection_state state, const char *reason)
{
    struct sta_cluster_member *member = arg;
    (void)reason;
    if (state == STA_CONNECTION_BACKOFF) {
        member_failed(member);
        return;
    }
    sta_node_health_connected(&member->health, member->health.connects > 0);
    sta_cluster_member_ping(member);
}

static const struct sta_connection_events connection_events = {.state = on_state};

int sta_cluster_member_open(struct sta_cluster_member **out, struct sta_loop *loop,
                            struct sta_log *log, const struct sta_connection_config *config,
                            const struct sta_endpoint *endpoint, uint64_t timeout_ns,
                            void (*heard)(void *, struct sta_cluster_member *), void *arg)
{
    struct sta_connection_config own = *config;
    struct sta_cluster_member *member = calloc(1, sizeof *member);
    if (member == NULL)
        return STRATA_ERR_NOMEM;
    sta_list_init(&member->link);
    member->url = *config->url;
    member->url.endpoint = *endpoint;
    member->heard = heard;
    member->arg = arg;
    member->timeout_ns = timeout_ns;
    own.url = &member->url;
    int status =
        sta_connection_open(&member->connection, loop, log, &own, &connection_events, member);
    if (status < 0) {
        free(member);
        return status;
    }
    member->told = true;
    *out = member;
    return STRATA_OK;
}

void sta_cluster_member_close(struct sta_cluster_member **at)
{
    struct sta_cluster_member *member = *at;
    *at = NULL;
    member->told = false;
    sta_list_remove(&member->link);
    sta_connection_close(&member->connection);
    free(member);
}
