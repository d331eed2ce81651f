/* SPDX-License-Identifier: MIT
 *
 * See events.h. All that is told but a loss is told on one thread, which is the loop's.
 */
#include "api/events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "l2/cluster_monitor.h"
#include "observe/health.h"
#include "observe/snapshot.h"

#define LOOK_NS    (100 * STA_NS_MS)
#define TIMEOUT_NS STA_NS_SEC

struct sta_events {
    /* Fixed at creation. */
    struct strata *cache;
    strata_event_hook hook;
    void *arg;
    struct sta_loop *loop;
    bool running;

    /* The loop thread's. */
    struct sta_timer timer;
    struct sta_cluster_monitor *monitor; /* NULL: no cluster */
    bool seen;                           /* it has told of the cluster as it was at first */
    bool looked;                         /* what follows was told */
    struct strata_health health;
    enum strata_coherence coherence;
    uint64_t parked;
    uint64_t overtaken;
};

/* ---- telling ---- */

static void tell(const struct sta_events *events, struct strata_event event)
{
    event.part = event.part != NULL ? event.part : "";
    event.reason = event.reason != NULL ? event.reason : "";
    atomic_store_explicit(&events->cache->telling, (uintptr_t)pthread_self(), memory_order_relaxed);
    events->hook(events->arg, &event);
    atomic_store_explicit(&events->cache->telling, 0, memory_order_relaxed);
}

static void tell_part(const struct sta_events *events, const char *name,
                      const struct strata_health_part *before, const struct strata_health_part *now)
{
    char text[320];
    if (events->looked && before->state == now->state && strcmp(before->reason, now->reason) == 0)
        return;
    (void)snprintf(text, sizeof text, "%s is %s%s%s", name, strata_health_state_name(now->state),
                   now->text[0] != '\0' ? ": " : "", now->text);
    tell(events, (struct strata_event){
                     .kind = STRATA_EVENT_HEALTH,
                     .text = text,
                     .part = name,
                     .before = events->looked ? before->state : now->state,
                     .state = now->state,
                     .reason = now->reason,
                 });
}

static void tell_coherence(const struct sta_events *events, enum strata_coherence now)
{
    static const char *const texts[] = {
        [STRATA_COHERENCE_TTL] = "L1 does not hear of what others write: it lives by its TTL",
        [STRATA_COHERENCE_UNKNOWN] = "no Redis was reached that could tell of what others write",
        [STRATA_COHERENCE_TRACKING] = "Redis tells of what was read and others change",
        [STRATA_COHERENCE_BCAST] = "Redis tells of all that changes under the prefix",
    };
    if (events->looked && events->coherence == now)
        return;
    tell(events, (struct strata_event){
                     .kind = STRATA_EVENT_COHERENCE,
                     .text = texts[now],
                     .coherence_before = events->looked ? events->coherence : now,
                     .coherence = now,
                 });
}

static void tell_parked(const struct sta_events *events, uint64_t now)
{
    char text[128];
    if (events->parked == now)
        return;
    (void)snprintf(text, sizeof text,
                   "write-behind: Redis refuses the writes of %" PRIu64 " keys, which wait", now);
    tell(events, (struct strata_event){
                     .kind = STRATA_EVENT_PARKED,
                     .text = now > 0 ? text : "write-behind: Redis refuses no writes any more",
                     .keys = now,
                 });
}

static void tell_overtaken(const struct sta_events *events, uint64_t now)
{
    char text[160];
    uint64_t keys = now - events->overtaken;
    if (!events->looked || keys == 0)
        return;
    (void)snprintf(text, sizeof text,
                   "write-behind: the writes of %" PRIu64
                   " keys were dropped, for others have written these keys meanwhile",
                   keys);
    tell(events, (struct strata_event){.kind = STRATA_EVENT_OVERTAKEN, .text = text, .keys = keys});
}

void sta_events_tell_lost(strata_event_hook hook, void *arg, uint64_t keys)
{
    char text[128];
    const struct strata_event event = {
        .kind = STRATA_EVENT_LOST, .text = text, .part = "", .reason = "", .keys = keys};
    (void)snprintf(text, sizeof text,
                   "write-behind: closed, and the writes of %" PRIu64 " keys are lost", keys);
    hook(arg, &event);
}

/* ---- looking, on the loop's thread ---- */

/* Where memory is out nothing is known, and nothing told until the next look. */
static void look(struct sta_events *events)
{
    struct sta_snapshot snapshot;
    if (sta_snapshot_take(&snapshot, events->cache->cache, false) < 0)
        return;
    const struct strata_health health = sta_health_judge(&snapshot);
    tell_part(events, "l1_cache", &events->health.l1_cache, &health.l1_cache);
    tell_part(events, "l2_cache", &events->health.l2_cache, &health.l2_cache);
    tell_part(events, "overall", &events->health.overall, &health.overall);
    tell_coherence(events, snapshot.statistics.coherence);
    tell_parked(events, snapshot.statistics.write_behind.parked);
    tell_overtaken(events, snapshot.statistics.write_behind.overtaken);
    events->health = health;
    events->coherence = snapshot.statistics.coherence;
    events->parked = snapshot.statistics.write_behind.parked;
    events->overtaken = snapshot.statistics.write_behind.overtaken;
    events->looked = true;
    sta_snapshot_fini(&snapshot);
}

static void on_time(struct sta_timer *timer)
{
    struct sta_events *events = STA_CONTAINER(timer, struct sta_events, timer);
    look(events);
    sta_timer_start(events->loop, timer, sta_clock_now_ns() + LOOK_NS);
}

static void on_cluster(void *arg, const struct strata_cluster_event *event)
{
    const struct sta_events *events = arg;
    char text[700];
    (void)snprintf(text, sizeof text, "%s %.255s%s%.255s, %u slots, the cluster is %s",
                   strata_cluster_event_name(event->kind), event->node,
                   event->from[0] != '\0' ? " from " : "", event->from, event->slots,
                   event->cluster_state);
    tell(events,
         (struct strata_event){.kind = STRATA_EVENT_CLUSTER, .text = text, .cluster = event});
}

/* Until there is a first view nobody can be told of what changes. */
static void on_seen(void *arg)
{
    struct sta_events *events = arg;
    const struct sta_cluster_view *view = sta_cluster_monitor_view(events->monitor);
    if (events->seen || view->kind == STA_CLUSTER_VIEW_NOTHING ||
        !sta_cluster_monitor_is_settled(events->monitor))
        return;
    events->seen = true;
    on_cluster(events, &(const struct strata_cluster_event){
                           .kind = STRATA_CLUSTER_STATE,
                           .node = "",
                           .node_id = "",
                           .from = "",
                           .from_id = "",
                           .cluster_state = sta_cluster_view_state(view),
                       });
}

/* ---- life ---- */

static const struct sta_cluster_monitor_events monitor_events = {.event = on_cluster,
                                                                 .seen = on_seen};

static int create_monitor(struct sta_events *events)
{
    const struct strata *cache = events->cache;
    const struct sta_cluster_monitor_config config = {
        .connection = {.url = &cache->url,
                       .tls = cache->tls,
                       .protocol = 2,
                       .name = "strata-events"},
        .seeds = cache->seed_count > 0 ? cache->seeds : &cache->url.endpoint,
        .seed_count = cache->seed_count > 0 ? cache->seed_count : 1,
        .interval_ns = STA_NS_SEC,
        .timeout_ns = TIMEOUT_NS,
    };
    return sta_cluster_monitor_create(&events->monitor, events->loop, &events->cache->log, &config,
                                      &monitor_events, events);
}

static bool is_cluster(const struct strata *cache)
{
    struct sta_l2 *l2 = sta_cache_l2(cache->cache);
    return l2 != NULL && sta_l2_is_cluster(l2);
}

int sta_events_create(struct sta_events **out, struct strata *cache, strata_event_hook hook,
                      void *arg)
{
    struct sta_events *events = calloc(1, sizeof *events);
    if (events == NULL)
        return STRATA_ERR_NOMEM;
    *events = (struct sta_events){.cache = cache, .hook = hook, .arg = arg};
    sta_timer_init(&events->timer, on_time);
    int status = sta_loop_create(&events->loop);
    if (status == STRATA_OK && is_cluster(cache))
        status = create_monitor(events);
    if (status == STRATA_OK) {
        sta_timer_start(events->loop, &events->timer, 0);
        status = sta_loop_start(events->loop, "strata-events");
    }
    if (status < 0)
        goto undo;
    events->running = true;
    *out = events;
    return STRATA_OK;
undo:
    sta_events_destroy(&events);
    return status;
}

void sta_events_destroy(struct sta_events **pointer)
{
    struct sta_events *events = *pointer;
    if (events == NULL)
        return;
    *pointer = NULL;
    if (events->running) {
        sta_loop_stop(events->loop);
        sta_loop_join(events->loop);
    }
    sta_cluster_monitor_destroy(&events->monitor);
    sta_loop_destroy(&events->loop);
    free(events);
}

const char *strata_event_name(enum strata_event_kind kind)
{
    static const char *const names[] = {
        [STRATA_EVENT_HEALTH] = "health",   [STRATA_EVENT_COHERENCE] = "coherence",
        [STRATA_EVENT_CLUSTER] = "cluster", [STRATA_EVENT_PARKED] = "parked",
        [STRATA_EVENT_LOST] = "lost",       [STRATA_EVENT_OVERTAKEN] = "overtaken",
    };
    return (size_t)kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

int strata_set_event_hook(struct strata *cache, strata_event_hook hook, void *arg)
{
    int status = STRATA_OK;
    /* Without the lock: who has it may be waiting for this hook to return. */
    if (atomic_load_explicit(&cache->telling, memory_order_relaxed) == (uintptr_t)pthread_self())
        return STRATA_ERR_INVALID;
    pthread_mutex_lock(&cache->events_lock);
    sta_events_destroy(&cache->events);
    cache->hook = NULL;
    if (hook != NULL)
        status = sta_events_create(&cache->events, cache, hook, arg);
    if (hook != NULL && status == STRATA_OK) {
        cache->hook = hook;
        cache->hook_arg = arg;
    }
    pthread_mutex_unlock(&cache->events_lock);
    return status;
}
