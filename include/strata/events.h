/* SPDX-License-Identifier: MIT
 *
 * What happens to a cache, told as it happens: one function of yours for all of it.
 *
 *     static void on_event(void *arg, const struct strata_event *event)
 *     {
 *         syslog(LOG_NOTICE, "cache: %s: %s", strata_event_name(event->kind), event->text);
 *     }
 *     strata_set_event_hook(cache, on_event, NULL);
 *
 * A cache with a hook has a thread for it, which looks ten times a second; without one all of this
 * costs nothing. A state is told within two seconds of the fact, both ways, as health says
 * (observe.h).
 */
#ifndef STRATA_EVENTS_H
#define STRATA_EVENTS_H

#include <stdint.h>

#include "cache.h"
#include "cluster.h"
#include "export.h"
#include "observe.h"

#ifdef __cplusplus
extern "C" {
#endif

enum strata_event_kind {
    STRATA_EVENT_HEALTH = 0,    /* the state of a part, or its reason, has changed */
    STRATA_EVENT_COHERENCE = 1, /* how L1 hears of what others write has changed */
    STRATA_EVENT_CLUSTER = 2,   /* a node is down or up, slots have another owner, a failover */
    STRATA_EVENT_PARKED = 3, /* write-behind: Redis refuses `keys`, which wait; 0: none any more */
    STRATA_EVENT_LOST = 4,   /* write-behind: closed with `keys` whose writes are nowhere */
    STRATA_EVENT_OVERTAKEN =
        5 /* write-behind: the writes of `keys` were dropped by the version guard */
};

/* What a kind has no use of is zero, "" or NULL. Everything is readable until the hook returns. */
struct strata_event {
    enum strata_event_kind kind;
    const char *text; /* for people, one line; never keys or values */

    /* HEALTH */
    const char *part; /* "l1_cache", "l2_cache", "overall" */
    enum strata_health_state before;
    enum strata_health_state state;
    const char *reason; /* one word for programs, a constant; "" where it is healthy */

    /* COHERENCE */
    enum strata_coherence coherence_before;
    enum strata_coherence coherence;

    /* CLUSTER */
    const struct strata_cluster_event *cluster;

    /* PARKED, LOST, OVERTAKEN */
    uint64_t keys;
};

/* Runs on a thread of its own, one at a time, in order. It may block, which delays events and
 * nothing else (of states that have changed there and back meanwhile nothing is told), and may call
 * everything that the cache offers, but not set a hook or close the cache. LOST alone comes on the
 * thread that closes the cache, which is not to be called then. */
typedef void (*strata_event_hook)(void *arg, const struct strata_event *event);

/* Sets the hook, in place of the one before; NULL: none. When this returns, the one before does not
 * run and will not. A new one is first told of the parts' health and of the coherence as they are,
 * with `before` the same, and of the state of the cluster as soon as it has been seen: of what
 * changes there before that, nothing is told but nodes that are down. Any thread but the hook's
 * own, which gets STRATA_ERR_INVALID. Before a cluster this watches it as strata_cluster_open()
 * does, with one more connection to each of its nodes. STRATA_ERR_NOMEM, STRATA_ERR_SYSTEM: there
 * is no hook then. */
STRATA_API int strata_set_event_hook(struct strata *cache, strata_event_hook hook, void *arg);

/* "health", "coherence", "cluster", "parked", "lost", "overtaken"; constant. */
STRATA_API const char *strata_event_name(enum strata_event_kind kind);

#ifdef __cplusplus
}
#endif

#endif
