/* SPDX-License-Identifier: MIT
 *
 * What the files of the modelled Redis share:
 *   sim_redis.c           nodes and their connections
 *   sim_redis_commands.c  what they are asked
 *   sim_redis_keys.c      what they hold
 *   sim_redis_hash.c      the hash of barriers among it
 *   sim_redis_guard.c     what the version guard does with it
 *   sim_redis_tracking.c  whom they tell of changes
 *   sim_redis_cluster.c   which of them serves what
 */
#ifndef SIM_REDIS_INSIDE_H
#define SIM_REDIS_INSIDE_H

#include "core/buffer.h"
#include "core/list.h"
#include "l2/slot.h"
#include "sim/sim_redis.h"

#define SIM_ENTRIES_MOST 256u /* the oracle's keys, the hash of barriers, and names of canaries */
#define SIM_ENTRY_WORDS  (SIM_ENTRIES_MOST / 64u)
#define SIM_NAME_CAP     96u
#define SIM_NOBODY       UINT32_MAX /* a key the oracle does not know; a client that is no reader */

/* Of entries. */
struct sim_set {
    uint64_t words[SIM_ENTRY_WORDS];
};

struct sim_entry {
    struct sim_redis *redis;
    char name[SIM_NAME_CAP];
    size_t name_len;
    uint16_t slot;
    unsigned key;              /* the oracle's, or SIM_NOBODY */
    struct strata_bytes value; /* owned; data NULL: absent */
    uint64_t expire_ms;
    bool is_hash;
    bool moved; /* its slot is moving, and it is at the target already */
};

/* An invalidation on its way: dealt with when so many bytes are. */
struct sim_mark {
    uint64_t end;
    unsigned key; /* SIM_NOBODY: all */
    unsigned state;
};

struct sim_conn {
    struct sta_list link_node;
    struct sim_node *node;
    struct sim_link *link; /* NULL: it has left what it sent, and has gone */
    unsigned reader;       /* whose it is, as it calls itself */
    struct sta_buffer in, out;
    uint64_t sent;
    bool swallowed; /* its invalidations get lost */
    bool asking;    /* ASKING came before the command at hand */

    /* Tracking. */
    bool tracking, bcast, noloop;
    char prefix[SIM_NAME_CAP];
    struct sim_set tracked;
    struct sim_set own; /* told after the reply to the command at hand */
    struct sim_mark *marks;
    size_t mark_first, mark_count, mark_cap;
};

struct sim_node {
    struct sim_redis *redis;
    unsigned index;
    struct sta_list conns;
    struct sim_conn *working_for; /* whose command is being looked at */
    struct sim_set changed;       /* BCAST: since the last time that it was told */
    struct sim_conn *changed_by[SIM_ENTRIES_MOST];
    uint64_t frozen_until_ns, down_until_ns;
};

struct sim_redis {
    struct sim *sim;
    struct sim_net *net;
    struct sim_oracle *oracle;
    struct sim_redis_config config;
    struct sim_node nodes[SIM_NODES_MOST];
    struct sim_entry entries[SIM_ENTRIES_MOST];
    unsigned entry_count;

    /* sim_redis_fall_when_asked() */
    unsigned awaited;
    unsigned awaited_in; /* 0: nobody waits for it */

    /* A cluster's. */
    uint8_t owner[STA_SLOT_COUNT];
    unsigned epoch;
    bool moving; /* one slot at a time */
    uint16_t moving_slot;
    unsigned moving_to;
};

/* ---- sets ---- */

static inline bool sim_set_has(const struct sim_set *set, unsigned entry)
{
    return (set->words[entry / 64] >> entry % 64 & 1) != 0;
}

static inline void sim_set_put(struct sim_set *set, unsigned entry, bool in)
{
    uint64_t bit = UINT64_C(1) << entry % 64;
    set->words[entry / 64] = in ? set->words[entry / 64] | bit : set->words[entry / 64] & ~bit;
}

/* ---- sim_redis.c ---- */

bool sim_node_is_up(const struct sim_node *node);

/* What a node has to say goes out. Last thing after anything that it did. */
void sim_node_send(struct sim_node *node);

/* ---- sim_redis_commands.c ---- */

#define SIM_ARGS_MOST 12u
void sim_command_run(struct sim_conn *conn, const struct strata_bytes *argv, unsigned argc);

/* ---- sim_redis_keys.c ---- */

/* The number of a name's entry, made where there is none. */
unsigned sim_entry_of(struct sim_redis *redis, struct strata_bytes name);
unsigned sim_entry_of_key(struct sim_redis *redis, unsigned key);

/* As it is now: what has expired goes. */
struct sim_entry *sim_entry_look(struct sim_redis *redis, unsigned entry);

void sim_entry_set(struct sim_redis *redis, unsigned entry, struct strata_bytes value,
                   uint64_t ttl_ms);
bool sim_entry_remove(struct sim_redis *redis, unsigned entry);

/* The same, for a client: the oracle hears whose write it is. */
void sim_entry_set_for(struct sim_conn *conn, unsigned entry, struct strata_bytes value,
                       uint64_t ttl_ms);
bool sim_entry_remove_for(struct sim_conn *conn, unsigned entry);

/* It is gone, and nobody is told. */
void sim_entry_lose(struct sim_redis *redis, unsigned entry);

/* All that the node holds goes, and nobody is told. */
void sim_keys_flush(struct sim_node *node);

/* ---- sim_redis_hash.c ---- */

void sim_hash_read(struct sim_conn *conn, struct strata_bytes name);

/* EVAL, with all of its words. */
void sim_hash_script(struct sim_conn *conn, const struct strata_bytes *argv);

/* The oracle hears which barriers are in it. */
void sim_hash_tell(const struct sim_entry *entry);

/* ---- sim_redis_guard.c ---- */

/* Whether this EVAL is the guard's; and carries it out. */
bool sim_guard_is_it(const struct strata_bytes *argv);
void sim_guard_script(struct sim_conn *conn, const struct strata_bytes *argv, unsigned argc);

/* ---- sim_redis_tracking.c ---- */

void sim_tracking_read(struct sim_conn *conn, unsigned entry);
void sim_tracking_changed(struct sim_redis *redis, unsigned entry);
void sim_tracking_flushed(struct sim_node *node);
void sim_tracking_make_room(struct sim_node *node);
void sim_tracking_after_command(struct sim_conn *conn);
void sim_tracking_after_batch(struct sim_node *node);
void sim_tracking_consumed(struct sim_conn *conn, uint64_t total);

/* The key is not at this node any more. */
void sim_tracking_forget(struct sim_node *node, unsigned entry);

/* ---- sim_redis_cluster.c ---- */

void sim_cluster_init(struct sim_redis *redis);
void sim_cluster_heal(struct sim_redis *redis);
bool sim_cluster_is_one(const struct sim_redis *redis);

/* The node where the entry is. */
struct sim_node *sim_redis_owner(struct sim_redis *redis, unsigned entry);

/* False: the connection was told where to go. */
bool sim_cluster_serves(struct sim_conn *conn, unsigned entry);

void sim_cluster_slots(struct sim_conn *conn);
void sim_cluster_info(struct sim_conn *conn);

#endif
