/* SPDX-License-Identifier: MIT
 *
 * The event hook of a handle (strata/events.h): a thread with a loop, on it a timer that compares
 * what is so with what was told at last, and before a cluster a monitor (l2/cluster_monitor.h).
 */
#ifndef STA_EVENTS_H
#define STA_EVENTS_H

#include "api/handle.h"
#include "strata/events.h"

struct sta_events;

/* Begins to tell. STRATA_ERR_NOMEM, STRATA_ERR_SYSTEM. */
int sta_events_create(struct sta_events **out, struct strata *cache, strata_event_hook hook,
                      void *arg);

/* The hook does not run any more when this returns. NULL is fine. Not from the hook. */
void sta_events_destroy(struct sta_events **events);

/* Tells that the cache was closed with these writes, on this thread. */
void sta_events_tell_lost(strata_event_hook hook, void *arg, uint64_t keys);

#endif
