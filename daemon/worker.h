/* SPDX-License-Identifier: MIT
 *
 * A worker: one thread, one loop, its clients, its lanes to Redis. Workers share L1 and the write
 * window, and nothing else that changes.
 *
 *   RUNNING --drain()--> DRAINING --last client gone, or time over--> ENDED
 *
 * Ready once: the shared lane has reached Redis and Redis has told its commands. The command
 * table is loaded anew whenever the lane comes back; until there is one, commands that stratad
 * does not know by itself have all their arguments taken for keys.
 *
 * Threads: create, start, join and destroy: main. adopt and drain: main, they post. All else: the
 * worker's loop.
 */
#ifndef STA_WORKER_H
#define STA_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/turns.h"
#include "core/buffer.h"
#include "core/list.h"
#include "daemon/cluster_way.h"
#include "daemon/lane.h"
#include "daemon/look_ahead.h"
#include "daemon/node_board.h"
#include "daemon/stats.h"
#include "daemon/tracked_lane.h"
#include "l2/large_answers.h"
#include "net/loop.h"
#include "resp/command_table.h"

struct sta_router;
struct sta_stratad;

enum sta_worker_state { STA_WORKER_RUNNING, STA_WORKER_DRAINING, STA_WORKER_ENDED };

struct sta_worker {
    /* Fixed at creation. */
    struct sta_stratad *stratad;
    struct sta_loop *loop;
    unsigned index;
    struct sta_router *router; /* the way to a cluster; NULL: to a single Redis, by the lanes */

    /* Written by the loop, read by any thread. */
    struct sta_stats stats;
    struct sta_stats_lane lane_stats[STA_LANE_COUNT];
    struct sta_node_board board; /* before a cluster */

    /* The loop's. */
    enum sta_worker_state state;
    uint64_t now_ms;          /* when the input that is being looked at came */
    struct sta_paced_log log; /* of what is said of Redis; the first worker speaks for all */
    struct sta_lane lanes[STA_LANE_COUNT];
    struct sta_tracked_lane tracked; /* the shared one; its stats are read by any thread */
    struct sta_command_table *table; /* NULL: not loaded yet */
    char upstream_version[32];
    struct sta_operation boot; /* HELLO and COMMAND; before a single Redis its request alone */
    bool boot_sent;
    bool booted;      /* asked and answered since the shared lane came up */
    bool upstream_up; /* the shared lane is READY */
    bool told_ready;
    bool told_refused;
    struct sta_list sessions;
    struct sta_large_answers large; /* of which GETs, before a single Redis */
    struct sta_list waiting;        /* answers, for what is known of barriers */
    struct sta_turns turns;         /* reads of what is in doubt, for theirs */
    struct sta_list pool;           /* spare exchanges */
    unsigned pool_count;
    struct sta_list idle_own;  /* own lanes that no client has; the longest idle first */
    unsigned any_turn;         /* of the cluster's nodes: whose turn it is (cluster_way.h) */
    struct strata_bytes *argv; /* of the command being looked at */
    size_t argv_cap;
    struct sta_buffer scratch;   /* inline commands, unescaped */
    struct sta_buffer parts;     /* of an MGET being looked up */
    struct sta_look_ahead ahead; /* of the input being looked at */
    struct sta_timer tick;
    struct sta_timer deadline; /* of draining */

    /* Messages. */
    char refused_reason[160];   /* written before refused_task is posted, never after */
    struct sta_task drain_task; /* main -> worker */
    struct sta_task ready_task; /* worker -> main, each at most once */
    struct sta_task refused_task;
    struct sta_task ended_task;
};

/* STRATA_ERR_NOMEM, STRATA_ERR_SYSTEM. */
int sta_worker_create(struct sta_worker **out, struct sta_stratad *stratad, unsigned index);
void sta_worker_destroy(struct sta_worker **worker);

int sta_worker_start(struct sta_worker *worker);
/* After every worker has ended, or has been told to: its loop stops here. */
void sta_worker_join(struct sta_worker *worker);

/* Takes over an accepted socket; closes it where that fails. */
void sta_worker_adopt(struct sta_worker *worker, int fd);

/* The same for a client of stratad's own, which is let in always, and counts for none. */
void sta_worker_adopt_own(struct sta_worker *worker, int fd);

/* Finishes what is under way and ends. Once. */
void sta_worker_drain(struct sta_worker *worker);

/* The time at the start of this turn of the loop: for what need not be exact. */
uint64_t sta_worker_tick_ms(struct sta_worker *worker);

/* The deadline of a request that is sent now. */
uint64_t sta_worker_deadline_ns(struct sta_worker *worker);

/* Room for `argc` arguments; NULL: out of memory. */
struct strata_bytes *sta_worker_argv(struct sta_worker *worker, size_t argc);

/* Memory for `len` bytes until the next call; NULL: out of memory. */
uint8_t *sta_worker_scratch(struct sta_worker *worker, size_t len);

/* News of Redis: the shared lane's, or the cluster's as a whole. */
void sta_worker_redis_is_up(struct sta_worker *worker);
void sta_worker_redis_is_down(struct sta_worker *worker);

/* News of a lane. */
void sta_worker_lane_changed(struct sta_worker *worker, struct sta_lane *lane,
                             enum sta_connection_state state);

/* A session has gone; `own`: of those that do not count. */
void sta_worker_session_gone(struct sta_worker *worker, bool own);

#endif
