/* SPDX-License-Identifier: MIT
 *
 * Whom the modelled Redis tells of changes, and in which order; see sim_redis.h.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resp/resp.h"
#include "sim/sim_redis_inside.h"

#define PUSH_HEAD   ">2\r\n$10\r\ninvalidate\r\n"
#define MARKS_FIRST 16u

/* ---- frames ---- */

static void append(struct sim_conn *conn, struct strata_bytes bytes)
{
    int status = sta_buffer_append(&conn->out, bytes);
    assert(status == 0);
    (void)status;
}

static void append_number(struct sim_conn *conn, char type, size_t number)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%c%zu\r\n", type, number);
    append(conn, strata_text(text));
}

static void marks_make_room(struct sim_conn *conn)
{
    if (conn->mark_count < conn->mark_cap)
        return;
    conn->mark_cap = conn->mark_cap == 0 ? MARKS_FIRST : 2 * conn->mark_cap;
    conn->marks = realloc(conn->marks, conn->mark_cap * sizeof *conn->marks);
    assert(conn->marks != NULL);
}

/* What stands at the end of the output is an invalidation of this key. */
static void mark(struct sim_conn *conn, unsigned key)
{
    marks_make_room(conn);
    conn->marks[conn->mark_count++] = (struct sim_mark){
        .end = conn->sent + sta_buffer_len(&conn->out),
        .key = key,
        .state = sim_oracle_state(conn->node->redis->oracle, key),
    };
}

static void append_names(struct sim_conn *conn, const struct sim_set *names, size_t count)
{
    struct sim_redis *redis = conn->node->redis;
    append(conn, strata_text(PUSH_HEAD));
    append_number(conn, '*', count);
    for (unsigned i = 0; i < redis->entry_count; i++) {
        if (!sim_set_has(names, i))
            continue;
        append_number(conn, '$', redis->entries[i].name_len);
        append(conn, strata_bytes(redis->entries[i].name, redis->entries[i].name_len));
        append(conn, strata_text("\r\n"));
    }
}

static void push_set(struct sim_conn *conn, const struct sim_set *names)
{
    struct sim_redis *redis = conn->node->redis;
    size_t count = 0;
    for (unsigned i = 0; i < redis->entry_count; i++)
        count += sim_set_has(names, i);
    if (count == 0 || conn->swallowed)
        return;
    append_names(conn, names, count);
    for (unsigned i = 0; i < redis->entry_count; i++)
        if (sim_set_has(names, i) && redis->entries[i].key != SIM_NOBODY)
            mark(conn, redis->entries[i].key);
}

static void push_one(struct sim_conn *conn, unsigned entry)
{
    struct sim_set only = {{0}};
    sim_set_put(&only, entry, true);
    push_set(conn, &only);
}

void sim_tracking_consumed(struct sim_conn *conn, uint64_t total)
{
    while (conn->mark_first < conn->mark_count && conn->marks[conn->mark_first].end <= total) {
        const struct sim_mark *mark_at = &conn->marks[conn->mark_first++];
        if (conn->reader != SIM_NOBODY)
            sim_oracle_raise(conn->node->redis->oracle, conn->reader, mark_at->key, mark_at->state);
    }
}

/* ---- the table ---- */

void sim_tracking_read(struct sim_conn *conn, unsigned entry)
{
    if (conn->tracking && !conn->bcast)
        sim_set_put(&conn->tracked, entry, true);
}

static void tell_of_change(struct sim_conn *conn, unsigned entry)
{
    bool own = conn == conn->node->working_for;
    if (!sim_set_has(&conn->tracked, entry))
        return;
    sim_set_put(&conn->tracked, entry, false);
    if (own && !conn->noloop)
        sim_set_put(&conn->own, entry, true);
    else if (!own)
        push_one(conn, entry);
}

void sim_tracking_changed(struct sim_redis *redis, unsigned entry)
{
    struct sim_node *node = sim_redis_owner(redis, entry);
    sim_set_put(&node->changed, entry, true);
    node->changed_by[entry] = node->working_for;
    for (struct sta_list *at = node->conns.next; at != &node->conns; at = at->next)
        tell_of_change(STA_CONTAINER(at, struct sim_conn, link_node), entry);
}

void sim_tracking_forget(struct sim_node *node, unsigned entry)
{
    for (struct sta_list *at = node->conns.next; at != &node->conns; at = at->next)
        sim_set_put(&STA_CONTAINER(at, struct sim_conn, link_node)->tracked, entry, false);
}

static struct sim_set table_of(const struct sim_node *node, unsigned *count)
{
    struct sim_set all = {{0}};
    *count = 0;
    for (struct sta_list *at = node->conns.next; at != &node->conns; at = at->next) {
        const struct sim_conn *conn = STA_CONTAINER(at, struct sim_conn, link_node);
        for (unsigned i = 0; i < SIM_ENTRY_WORDS; i++)
            all.words[i] |= conn->tracked.words[i];
    }
    for (unsigned i = 0; i < SIM_ENTRY_WORDS; i++)
        *count += (unsigned)__builtin_popcountll(all.words[i]);
    return all;
}

static void push_out(struct sim_node *node, unsigned entry)
{
    for (struct sta_list *at = node->conns.next; at != &node->conns; at = at->next) {
        struct sim_conn *conn = STA_CONTAINER(at, struct sim_conn, link_node);
        if (!sim_set_has(&conn->tracked, entry))
            continue;
        sim_set_put(&conn->tracked, entry, false);
        if (!(conn->noloop && conn == node->working_for))
            push_one(conn, entry);
    }
}

void sim_tracking_make_room(struct sim_node *node)
{
    struct sim_redis *redis = node->redis;
    unsigned count;
    struct sim_set table;
    if (redis->config.table_most == 0)
        return;
    for (table = table_of(node, &count); count > redis->config.table_most; count--) {
        unsigned entry = (unsigned)sim_below(redis->sim, redis->entry_count);
        while (!sim_set_has(&table, entry))
            entry = (entry + 1) % redis->entry_count;
        sim_set_put(&table, entry, false);
        push_out(node, entry);
    }
}

/* It says "all", and names nobody: before a cluster, a cache takes it for what it has read here. */
void sim_tracking_flushed(struct sim_node *node)
{
    struct sim_redis *redis = node->redis;
    for (struct sta_list *at = node->conns.next; at != &node->conns; at = at->next) {
        struct sim_conn *conn = STA_CONTAINER(at, struct sim_conn, link_node);
        struct sim_set tracked = conn->tracked;
        conn->tracked = (struct sim_set){{0}};
        if (!conn->tracking || conn->swallowed)
            continue;
        append(conn, strata_text(PUSH_HEAD "_\r\n"));
        for (unsigned i = 0; i < redis->entry_count; i++)
            if (redis->entries[i].key != SIM_NOBODY &&
                (sim_set_has(&tracked, i) || !sim_cluster_is_one(redis)))
                mark(conn, redis->entries[i].key);
    }
}

/* ---- when ---- */

void sim_tracking_after_command(struct sim_conn *conn)
{
    push_set(conn, &conn->own);
    conn->own = (struct sim_set){{0}};
}

static struct sim_set news_for(const struct sim_conn *conn)
{
    const struct sim_node *node = conn->node;
    const struct sim_redis *redis = node->redis;
    size_t len = strlen(conn->prefix);
    struct sim_set news = {{0}};
    for (unsigned i = 0; i < redis->entry_count; i++)
        if (sim_set_has(&node->changed, i) && redis->entries[i].name_len >= len &&
            memcmp(redis->entries[i].name, conn->prefix, len) == 0 &&
            !(conn->noloop && node->changed_by[i] == conn))
            sim_set_put(&news, i, true);
    return news;
}

void sim_tracking_after_batch(struct sim_node *node)
{
    for (struct sta_list *at = node->conns.next; at != &node->conns; at = at->next) {
        struct sim_conn *conn = STA_CONTAINER(at, struct sim_conn, link_node);
        if (!conn->tracking || !conn->bcast)
            continue;
        struct sim_set news = news_for(conn);
        push_set(conn, &news);
    }
    node->changed = (struct sim_set){{0}};
}
