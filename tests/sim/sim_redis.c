/* SPDX-License-Identifier: MIT
 *
 * Nodes of the modelled Redis and their connections; see sim_redis.h.
 */
#include "sim/sim_redis.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim_redis_inside.h"

bool sim_node_is_up(const struct sim_node *node)
{
    uint64_t now_ns = sim_now_ns(node->redis->sim);
    return now_ns >= node->frozen_until_ns && now_ns >= node->down_until_ns;
}

/* ---- out ---- */

static void conn_send(struct sim_conn *conn)
{
    struct strata_bytes out = sta_buffer_bytes(&conn->out);
    if (out.len == 0)
        return;
    if (conn->link != NULL)
        sim_link_send(conn->link, SIM_TO_CLIENT, out.data, out.len);
    conn->sent += out.len;
    sta_buffer_consume(&conn->out, out.len);
}

void sim_node_send(struct sim_node *node)
{
    sim_tracking_after_batch(node);
    for (struct sta_list *at = node->conns.next; at != &node->conns; at = at->next)
        conn_send(STA_CONTAINER(at, struct sim_conn, link_node));
}

/* ---- in ---- */

/* A number after `type`, up to its \r\n; false: it is not whole yet. */
static bool take_number(struct strata_bytes *in, char type, size_t *number)
{
    const char *bytes = in->data;
    const char *end = in->len == 0 ? NULL : memchr(bytes, '\n', in->len);
    if (end == NULL)
        return false;
    assert(bytes[0] == type);
    *number = strtoul(bytes + 1, NULL, 10);
    *in = strata_bytes(end + 1, in->len - (size_t)(end + 1 - bytes));
    return true;
}

static bool take_command(struct strata_bytes *in, struct strata_bytes *argv, size_t *argc)
{
    struct strata_bytes at = *in;
    if (!take_number(&at, '*', argc))
        return false;
    assert(*argc > 0 && *argc <= SIM_ARGS_MOST);
    for (size_t i = 0; i < *argc; i++) {
        size_t len;
        if (!take_number(&at, '$', &len) || at.len < len + 2)
            return false;
        argv[i] = strata_bytes(at.data, len);
        at = strata_bytes((const char *)at.data + len + 2, at.len - len - 2);
    }
    *in = at;
    return true;
}

static void conn_work(struct sim_conn *conn)
{
    struct strata_bytes argv[SIM_ARGS_MOST];
    struct strata_bytes in = sta_buffer_bytes(&conn->in);
    size_t before = in.len;
    size_t argc;
    while (in.len > 0 && take_command(&in, argv, &argc))
        sim_command_run(conn, argv, (unsigned)argc);
    sta_buffer_consume(&conn->in, before - in.len);
}

static void on_received(void *arg, const uint8_t *bytes, size_t len)
{
    struct sim_conn *conn = arg;
    int status = sta_buffer_append(&conn->in, strata_bytes(bytes, len));
    assert(status == 0);
    (void)status;
    if (!sim_node_is_up(conn->node))
        return;
    conn_work(conn);
    sim_node_send(conn->node);
}

static void on_closed(void *arg);

/* What came while it was frozen, by one connection after the other; those of clients that have gone
 * meanwhile end with it. */
static void on_thaw(void *arg)
{
    struct sim_node *node = arg;
    if (!sim_node_is_up(node))
        return;
    bool backwards = sim_chance(node->redis->sim, 500);
    struct sta_list *at = backwards ? node->conns.prev : node->conns.next;
    while (at != &node->conns) {
        struct sim_conn *conn = STA_CONTAINER(at, struct sim_conn, link_node);
        at = backwards ? at->prev : at->next;
        conn_work(conn);
        if (conn->link == NULL)
            on_closed(conn);
    }
    sim_node_send(node);
}

/* ---- connections ---- */

static void *on_accepted(void *server, struct sim_link *link)
{
    struct sim_node *node = server;
    if (sim_now_ns(node->redis->sim) < node->down_until_ns)
        return NULL;
    struct sim_conn *conn = calloc(1, sizeof *conn);
    assert(conn != NULL);
    conn->node = node;
    conn->link = link;
    conn->reader = SIM_NOBODY;
    sta_buffer_init(&conn->in, SIZE_MAX);
    sta_buffer_init(&conn->out, SIZE_MAX);
    sta_list_push_back(&node->conns, &conn->link_node);
    return conn;
}

static void forget_author(struct sim_node *node, const struct sim_conn *conn)
{
    for (unsigned i = 0; i < SIM_ENTRIES_MOST; i++)
        if (node->changed_by[i] == conn)
            node->changed_by[i] = NULL;
}

static void on_closed(void *arg)
{
    struct sim_conn *conn = arg;
    forget_author(conn->node, conn);
    sta_list_remove(&conn->link_node);
    sta_buffer_fini(&conn->in);
    sta_buffer_fini(&conn->out);
    free(conn->marks);
    free(conn);
}

/* A node that is frozen reads what has come before it hears of the end. */
static void on_left(void *arg)
{
    struct sim_conn *conn = arg;
    if (sim_now_ns(conn->node->redis->sim) < conn->node->frozen_until_ns)
        conn->link = NULL;
    else
        on_closed(conn);
}

static void on_consumed(void *arg, uint64_t total)
{
    sim_tracking_consumed(arg, total);
}

const struct sim_peer_events sim_redis_events = {
    .accepted = on_accepted,
    .received = on_received,
    .closed = on_left,
    .consumed = on_consumed,
};

static void conn_close(struct sim_conn *conn)
{
    if (conn->link != NULL)
        sim_link_close(conn->link);
    on_closed(conn);
}

/* ---- another client ---- */

void sim_redis_set(struct sim_redis *redis, unsigned key, size_t len, uint64_t ttl_ms)
{
    uint64_t serial;
    unsigned entry = sim_entry_of_key(redis, key);
    struct sim_node *node = sim_redis_owner(redis, entry);
    struct strata_bytes value = sim_oracle_value(redis->oracle, key, len, &serial);
    if (sim_node_is_up(node)) {
        sim_tracking_make_room(node);
        sim_entry_set(redis, entry, value, ttl_ms);
        sim_node_send(node);
    }
    free((void *)value.data);
}

void sim_redis_delete(struct sim_redis *redis, unsigned key)
{
    unsigned entry = sim_entry_of_key(redis, key);
    struct sim_node *node = sim_redis_owner(redis, entry);
    if (!sim_node_is_up(node))
        return;
    (void)sim_entry_remove(redis, entry);
    sim_node_send(node);
}

void sim_redis_expire(struct sim_redis *redis, unsigned key, uint64_t ttl_ms)
{
    unsigned index = sim_entry_of_key(redis, key);
    struct sim_node *node = sim_redis_owner(redis, index);
    if (!sim_node_is_up(node))
        return;
    const struct sim_entry *entry = sim_entry_look(redis, index);
    if (entry->value.data != NULL)
        sim_entry_set(redis, index, entry->value, ttl_ms);
    sim_node_send(node);
}

void sim_redis_flush(struct sim_redis *redis)
{
    for (unsigned n = 0; n < redis->config.nodes; n++) {
        struct sim_node *node = &redis->nodes[n];
        if (!sim_node_is_up(node))
            continue;
        sim_log(redis->sim, "node %u: flushed", n);
        sim_keys_flush(node);
        sim_tracking_flushed(node);
        sim_node_send(node);
    }
}

void sim_redis_fall_when_asked(struct sim_redis *redis, unsigned tag, unsigned nth)
{
    redis->awaited = SIM_KEYS_MOST + tag;
    redis->awaited_in = nth;
}

/* ---- what befalls a node ---- */

void sim_redis_freeze(struct sim_redis *redis, unsigned index, uint64_t until_ns)
{
    struct sim_node *node = &redis->nodes[index];
    sim_log(redis->sim, "node %u: frozen", index);
    node->frozen_until_ns = until_ns;
    sim_at(redis->sim, until_ns, on_thaw, node);
}

static void node_close_all(struct sim_node *node, bool only_swallowed)
{
    struct sta_list *at = node->conns.next;
    while (at != &node->conns) {
        struct sim_conn *conn = STA_CONTAINER(at, struct sim_conn, link_node);
        at = at->next;
        if (conn->swallowed || !only_swallowed)
            conn_close(conn);
    }
}

void sim_redis_restart(struct sim_redis *redis, unsigned index, uint64_t until_ns, bool empty)
{
    struct sim_node *node = &redis->nodes[index];
    sim_log(redis->sim, "node %u: restarts%s", index, empty ? ", empty" : "");
    node->down_until_ns = until_ns;
    node_close_all(node, false);
    if (empty)
        sim_keys_flush(node);
}

void sim_redis_swallow(struct sim_redis *redis, unsigned index)
{
    struct sim_node *node = &redis->nodes[index];
    sim_log(redis->sim, "node %u: its invalidations get lost", index);
    for (struct sta_list *at = node->conns.next; at != &node->conns; at = at->next)
        STA_CONTAINER(at, struct sim_conn, link_node)->swallowed = true;
}

void sim_redis_kill_client(struct sim_redis *redis, unsigned index, uint64_t pick)
{
    struct sim_node *node = &redis->nodes[index];
    if (!sim_node_is_up(node))
        return;
    for (struct sta_list *at = node->conns.next; at != &node->conns; at = at->next) {
        if (pick-- > 0 || STA_CONTAINER(at, struct sim_conn, link_node)->link == NULL)
            continue;
        struct sim_conn *conn = STA_CONTAINER(at, struct sim_conn, link_node);
        sim_log(redis->sim, "node %u: kills link %u", index, sim_link_id(conn->link));
        conn_close(conn);
        return;
    }
}

void sim_redis_heal(struct sim_redis *redis)
{
    sim_cluster_heal(redis);
    redis->config.met = 0;
    redis->awaited_in = 0;
    for (unsigned n = 0; n < redis->config.nodes; n++) {
        struct sim_node *node = &redis->nodes[n];
        node->frozen_until_ns = 0;
        node->down_until_ns = 0;
        node_close_all(node, true);
        on_thaw(node);
    }
}

/* ---- life ---- */

struct sim_redis *sim_redis_create(struct sim *sim, struct sim_net *net, struct sim_oracle *oracle,
                                   const struct sim_redis_config *config)
{
    struct sim_redis *redis = calloc(1, sizeof *redis);
    assert(redis != NULL && config->nodes <= SIM_NODES_MOST);
    redis->sim = sim;
    redis->net = net;
    redis->oracle = oracle;
    redis->config = *config;
    sim_cluster_init(redis);
    for (unsigned i = 0; i < config->nodes; i++) {
        redis->nodes[i].redis = redis;
        redis->nodes[i].index = i;
        sta_list_init(&redis->nodes[i].conns);
        sim_net_listen(net, (uint16_t)(SIM_PORT + i), &redis->nodes[i]);
    }
    return redis;
}

void sim_redis_destroy(struct sim_redis **at)
{
    struct sim_redis *redis = *at;
    *at = NULL;
    for (unsigned i = 0; i < redis->config.nodes; i++)
        while (!sta_list_empty(&redis->nodes[i].conns))
            on_closed(STA_CONTAINER(redis->nodes[i].conns.next, struct sim_conn, link_node));
    for (unsigned i = 0; i < redis->entry_count; i++)
        free((void *)redis->entries[i].value.data);
    free(redis);
}
