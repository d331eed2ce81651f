/* SPDX-License-Identifier: MIT
 *
 * Hearing of what others write. A router whose owner keeps what it reads asks each server to track
 * the reads of its main connection, and tells the owner through a sink which of what he keeps he
 * may still believe. It knows nothing of how he keeps it: he numbers sources, one for a single
 * Redis, one for each of as many ranges of slots before a cluster, and gets with each answer the
 * number of the source that it came from.
 *
 *   read ----> main connection of the slot's owner ----> answer, source n ----> kept under n
 *   push: key                 -> sink.forget(key)
 *   push: all, connection lost, slot gone, server replaced -> sink.doubt(n, ...)
 *   canary came back          -> sink.trust(n, until)
 *
 * A source's entries all came on one connection: when another one answers for it, it is doubted
 * first. Answers that came on another connection than the main one, by an ASK, or from a server
 * that the map does not name any more, belong to no source, and nobody may keep them.
 * Where a server does not track (STA_TRACKING_OFF by its own choice: no rights, too old, a proxy),
 * sources are trusted without end: entries are as good as their TTL. The statistics say so.
 * Threads: the router's loop only.
 */
#ifndef STA_TRACKING_H
#define STA_TRACKING_H

#include <stdbool.h>
#include <stdint.h>

#include "l2/connection.h"
#include "l2/slot.h"

struct sta_node;
struct sta_node_lane;
struct sta_operation;
struct sta_router;

/* Called from within the loop's callbacks, in the order in which the server sent things; must not
 * call the router. */
struct sta_tracking_sink {
    /* `key` as Redis has it: prefix and all. `answering`: whose replies come next on the same
     * connection, or have come in part; NULL: nobody's that is known. */
    void (*forget)(void *arg, struct strata_bytes key, const struct sta_operation *answering);
    /* What came from these sources before now may be old. */
    void (*doubt)(void *arg, uint16_t source);
    /* What came and will come from it may be served until then; STA_NEVER: without end. */
    void (*trust)(void *arg, uint16_t source, uint64_t until_ns);
    /* Whether an answer of so many bytes would be kept, if it may be. NULL: any would. */
    bool (*keeps)(void *arg, size_t len);
};

struct sta_tracking_config {
    enum sta_tracking_mode mode; /* OFF: all that follows is not looked at */
    struct strata_bytes prefix;  /* of the canaries, and of BCAST; borrowed for the router's life */
    uint64_t max_staleness_ns;
    uint16_t first_source; /* > 0 */
    uint16_t sources;      /* how many are this router's; 1 to STA_SLOT_COUNT */
    const struct sta_tracking_sink *sink;
    void *arg;
};

/* STA_TRACKING_NOBODY: the answer may not be kept; else its source; 0: there is no tracking. */
#define STA_TRACKING_NOBODY (-1)
int sta_tracking_source(const struct sta_operation *operation);

/* Whether an answer of this size is kept where it comes on the main connection, and only there. */
bool sta_tracking_keeps(const struct sta_router *router, size_t len);

/* What came from the node is kept, its canary may be written, and for max_staleness there was no
 * proof: whoever waits for an answer waits in vain. */
bool sta_tracking_is_silent(const struct sta_router *router, const struct sta_node *node);

enum sta_tracking_state {
    STA_TRACKING_DISABLED,
    STA_TRACKING_UNKNOWN, /* no server has been reached */
    STA_TRACKING_REFUSED, /* a server that is connected to does not track: TTL only */
    STA_TRACKING_IN_FORCE
};

struct sta_tracking_statistics {
    enum sta_tracking_state state;
    uint64_t forgotten; /* keys that servers named */
    uint64_t flushes;
    uint64_t doubts; /* connections whose entries were doubted as a whole */
    uint64_t proofs; /* canaries that came back */
    uint64_t silent; /* connections that were given up because no canary came back */
};

void sta_tracking_statistics(const struct sta_router *router, struct sta_tracking_statistics *out);

/* ---- the router's ---- */

struct sta_tracking {
    struct sta_node **came_from; /* by source: whose entries there are; NULL: nobody's */
    struct sta_timer timer;
    uint64_t mapped_ns; /* when the question was put whose answer is the map in use */
    uint64_t epoch;     /* the cluster's, with that map; 0: not known */
    uint64_t id;        /* in the names of canaries */
    unsigned search;    /* where the next search for a name begins */
    struct sta_tracking_statistics counts;
};

/* STRATA_ERR_NOMEM. */
int sta_tracking_start(struct sta_router *router);
void sta_tracking_stop(struct sta_router *router);

void sta_tracking_lane_changed(struct sta_router *router, struct sta_node_lane *lane,
                               enum sta_connection_state state);
void sta_tracking_pushed(struct sta_router *router, struct sta_node_lane *lane,
                         struct strata_bytes frame);
void sta_tracking_slots_changed(struct sta_router *router, const struct sta_slot_set *changed);

/* A map was adopted that was asked for at this time. */
void sta_tracking_mapped(struct sta_router *router, uint64_t asked_ns);

/* The node is about to go, or to be used no more. */
void sta_tracking_node_gone(struct sta_router *router, struct sta_node *node);

#endif
