/* SPDX-License-Identifier: MIT
 *
 * The door of l2 for callers on any thread: an engine that puts a router (l2/router.h) on a loop
 * that its owner provides and runs. Programs whose threads are loops themselves (stratad's
 * workers) share nothing with this.
 *
 *   any thread: submit() --post--> loop thread: router --> done() on the loop thread
 *   any thread: call()   = submit() and wait
 *
 * Order of life: create the loop, create the engine, start the loop; stop and join the loop,
 * destroy the engine, destroy the loop. So create and destroy never race with the loop.
 */
#ifndef STA_L2_H
#define STA_L2_H

#include "l2/router.h"

struct sta_l2;

struct sta_l2_config {
    struct sta_router_config router; /* what it points at is copied */
};

/* The loop must not be running yet. STRATA_ERR_NOMEM, STRATA_ERR_SYSTEM. */
int sta_l2_create(struct sta_l2 **out, struct sta_loop *loop, const struct sta_l2_config *config,
                  struct sta_log *log);

/* The loop must not be running any more. Every request that still waits, posted ones included,
 * is done with STRATA_ERR_CLOSED, on the calling thread. NULL is fine. */
void sta_l2_destroy(struct sta_l2 **l2);

/* Any thread. done() is called by who leads the loop, never from within this call. */
void sta_l2_submit(struct sta_l2 *l2, struct sta_operation *operation);

/* For who submits many at once: any thread posts a task to the loop; there, the router, or NULL
 * where the engine is closed. */
void sta_l2_post(struct sta_l2 *l2, struct sta_task *task);
struct sta_router *sta_l2_router(const struct sta_l2 *l2);

/* Any thread. */
struct sta_loop *sta_l2_loop(const struct sta_l2 *l2);

/* Any thread. Whether operations need a slot. */
bool sta_l2_is_cluster(const struct sta_l2 *l2);

/* Any thread but the loop's. Sends commands without keys and waits for done(); returns its status,
 * and on STRATA_OK the replies in memory that the caller frees with free(). */
int sta_l2_call(struct sta_l2 *l2, struct strata_bytes wire, unsigned commands,
                uint64_t deadline_ns, struct strata_bytes *replies);

/* Any thread: a copy that the loop thread refreshes at least once a second while it runs, and
 * the state as it is now. */
void sta_l2_statistics(struct sta_l2 *l2, struct sta_connection_statistics *out);
void sta_l2_tracking_statistics(struct sta_l2 *l2, struct sta_tracking_statistics *out);

/* Any thread: whether every server that is connected to tracks what is read, and there is one. As
 * of the last change of a connection. */
bool sta_l2_is_tracked(const struct sta_l2 *l2);

#endif
