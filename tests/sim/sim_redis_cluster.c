/* SPDX-License-Identifier: MIT
 *
 * Which node of a modelled cluster serves what. All nodes know at once of what changes (gossip that
 * is late is not modelled), so a node that was frozen while another took its slots over sends on. A
 * node that is frozen or down takes none.
 *
 *     SERVED --move--> MOVING: key by key, each named by its old owner --> SERVED there
 *        |                '--given up: what had gone is lost, and nobody is told --> SERVED
 *        '--taken away: nobody is told --> SERVED there
 */
#include <stdio.h>
#include <string.h>

#include "cache/barriers.h"
#include "core/clock.h"
#include "l2/slot.h"
#include "resp/resp.h"
#include "sim/sim_redis_inside.h"

#define EPOCH_CAP 128u

bool sim_cluster_is_one(const struct sim_redis *redis)
{
    return redis->config.nodes > 1;
}

void sim_cluster_init(struct sim_redis *redis)
{
    for (unsigned slot = 0; slot < STA_SLOT_COUNT; slot++)
        redis->owner[slot] = (uint8_t)(slot * redis->config.nodes / STA_SLOT_COUNT);
    redis->epoch = 1;
}

struct sim_node *sim_redis_owner(struct sim_redis *redis, unsigned index)
{
    const struct sim_entry *entry = &redis->entries[index];
    unsigned node = redis->owner[entry->slot];
    if (entry->slot == redis->moving_slot && redis->moving && entry->moved)
        node = redis->moving_to;
    return &redis->nodes[node];
}

/* ---- redirects ---- */

static void redirect(struct sim_conn *conn, const char *word, uint16_t slot, unsigned node)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%s %u 127.0.0.1:%u", word, slot, SIM_PORT + node);
    sta_resp_write_error(&conn->out, text);
}

bool sim_cluster_serves(struct sim_conn *conn, unsigned index)
{
    struct sim_redis *redis = conn->node->redis;
    struct sim_entry *entry = sim_entry_look(redis, index);
    bool moving = redis->moving && redis->moving_slot == entry->slot;
    unsigned owner = redis->owner[entry->slot];
    if (!sim_cluster_is_one(redis))
        return true;
    if (moving && conn->asking && conn->node->index == redis->moving_to) {
        entry->moved |= entry->value.data == NULL;
        return true;
    }
    if (conn->node->index != owner)
        redirect(conn, "MOVED", entry->slot, owner);
    else if (moving && (entry->moved || entry->value.data == NULL))
        redirect(conn, "ASK", entry->slot, redis->moving_to);
    else
        return true;
    return false;
}

/* ---- what they say of themselves ---- */

static unsigned range_end(const struct sim_redis *redis, unsigned slot)
{
    unsigned end = slot;
    while (end + 1 < STA_SLOT_COUNT && redis->owner[end + 1] == redis->owner[slot])
        end++;
    return end;
}

static unsigned range_count(const struct sim_redis *redis)
{
    unsigned count = 0;
    for (unsigned slot = 0; slot < STA_SLOT_COUNT; slot = range_end(redis, slot) + 1)
        count++;
    return count;
}

static void write_range(struct sta_buffer *out, unsigned begin, unsigned end, unsigned node)
{
    char id[41];
    (void)snprintf(id, sizeof id, "%040u", node);
    sta_resp_write_header(out, STA_RESP_ARRAY, 3, 3);
    sta_resp_write_integer(out, begin);
    sta_resp_write_integer(out, end);
    sta_resp_write_header(out, STA_RESP_ARRAY, 3, 3);
    sta_resp_write_bulk(out, strata_text("127.0.0.1"));
    sta_resp_write_integer(out, SIM_PORT + node);
    sta_resp_write_bulk(out, strata_text(id));
}

void sim_cluster_slots(struct sim_conn *conn)
{
    const struct sim_redis *redis = conn->node->redis;
    sta_resp_write_header(&conn->out, STA_RESP_ARRAY, range_count(redis), 3);
    for (unsigned slot = 0, end; slot < STA_SLOT_COUNT; slot = end + 1) {
        end = range_end(redis, slot);
        write_range(&conn->out, slot, end, redis->owner[slot]);
    }
}

void sim_cluster_info(struct sim_conn *conn)
{
    char text[EPOCH_CAP];
    (void)snprintf(text, sizeof text, "cluster_state:ok\r\ncluster_current_epoch:%u\r\n",
                   conn->node->redis->epoch);
    sta_resp_write_bulk(&conn->out, strata_text(text));
}

/* ---- slots that change hands ---- */

/* The node tells nobody of it, neither now nor later. */
static void forget_slot(struct sim_node *node, uint16_t slot)
{
    for (unsigned i = 0; i < node->redis->entry_count; i++)
        if (node->redis->entries[i].slot == slot)
            sim_tracking_forget(node, i);
}

static void give(struct sim_redis *redis, uint16_t slot, unsigned to)
{
    forget_slot(&redis->nodes[redis->owner[slot]], slot);
    redis->owner[slot] = (uint8_t)to;
    redis->epoch++;
}

static void end_move(struct sim_redis *redis, bool given_up)
{
    for (unsigned i = 0; i < redis->entry_count; i++) {
        struct sim_entry *entry = &redis->entries[i];
        if (entry->slot != redis->moving_slot || !entry->moved)
            continue;
        if (given_up) {
            sim_tracking_forget(&redis->nodes[redis->moving_to], i);
            sim_entry_lose(redis, i);
        }
        entry->moved = false;
    }
    redis->moving = false;
    sim_log(redis->sim, "slot %u: %s", redis->moving_slot, given_up ? "stays" : "has moved");
    if (!given_up)
        give(redis, redis->moving_slot, redis->moving_to);
}

static void on_move_ends(void *arg)
{
    struct sim_redis *redis = arg;
    if (redis->moving)
        end_move(redis, sim_chance(redis->sim, 500));
}

static void move_keys(struct sim_redis *redis)
{
    for (unsigned i = 0; i < redis->entry_count; i++) {
        struct sim_entry *entry = sim_entry_look(redis, i);
        if (entry->slot != redis->moving_slot || entry->value.data == NULL)
            continue;
        sim_tracking_changed(redis, i); /* MIGRATE deletes it where it was */
        entry->moved = true;
    }
    sim_node_send(&redis->nodes[redis->owner[redis->moving_slot]]);
}

static void on_keys_move(void *arg)
{
    struct sim_redis *redis = arg;
    if (redis->moving && sim_node_is_up(&redis->nodes[redis->owner[redis->moving_slot]]))
        move_keys(redis);
}

void sim_cluster_move(struct sim_redis *redis, unsigned key, unsigned to, uint64_t until_ns)
{
    uint64_t now_ns = sim_now_ns(redis->sim);
    uint16_t slot = redis->entries[sim_entry_of_key(redis, key)].slot;
    if (redis->moving || redis->owner[slot] == to || !sim_cluster_is_one(redis) ||
        !sim_node_is_up(&redis->nodes[to]))
        return;
    sim_log(redis->sim, "slot %u: moves to node %u", slot, to);
    redis->moving = true;
    redis->moving_slot = slot;
    redis->moving_to = to;
    uint64_t time_ns = until_ns - now_ns;
    sim_at(redis->sim, now_ns + sim_below(redis->sim, time_ns + 1), on_keys_move, redis);
    sim_at(redis->sim, until_ns, on_move_ends, redis);
}

unsigned sim_cluster_owner(struct sim_redis *redis, unsigned key)
{
    return redis->owner[redis->entries[sim_entry_of_key(redis, key)].slot];
}

unsigned sim_cluster_barriers(struct sim_redis *redis)
{
    char name[SIM_NAME_CAP];
    (void)snprintf(name, sizeof name, "%s" STA_BARRIERS_NAME, redis->config.prefix);
    return redis->owner[sta_slot_of(strata_text(name))];
}

void sim_cluster_take(struct sim_redis *redis, unsigned key, unsigned to)
{
    uint16_t slot = redis->entries[sim_entry_of_key(redis, key)].slot;
    if (!sim_cluster_is_one(redis) || redis->owner[slot] == to ||
        !sim_node_is_up(&redis->nodes[to]) || (redis->moving && redis->moving_slot == slot))
        return;
    sim_log(redis->sim, "slot %u: taken away by node %u", slot, to);
    give(redis, slot, to);
}

void sim_cluster_fail_over(struct sim_redis *redis, unsigned from, unsigned to)
{
    if (!sim_cluster_is_one(redis) || from == to || redis->moving ||
        !sim_node_is_up(&redis->nodes[to]))
        return;
    sim_log(redis->sim, "node %u: node %u takes all over", from, to);
    for (unsigned slot = 0; slot < STA_SLOT_COUNT; slot++)
        if (redis->owner[slot] == from)
            redis->owner[slot] = (uint8_t)to;
    for (unsigned i = 0; i < redis->entry_count; i++)
        sim_tracking_forget(&redis->nodes[from], i);
    redis->epoch++;
}

void sim_cluster_heal(struct sim_redis *redis)
{
    if (redis->moving)
        end_move(redis, false);
}
