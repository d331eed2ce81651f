/* SPDX-License-Identifier: MIT
 *
 * See sim_purge.h.
 */
#include "sim/sim_purge.h"

#include <assert.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/tiers.h"
#include "core/clock.h"
#include "strata/status.h"

#define PAUSE_NS (50 * STA_NS_MS) /* between two attempts at what failed */

struct sim_purge {
    struct sta_list link;
    struct sim_cache *owner;
    struct sim_cache_inside inside;
    struct sim_purge_config config;
    char pattern[SIM_PATTERN_CAP];
    struct sta_barrier barrier;
    struct sta_task task;
    void (*next)(struct sim_purge *purge); /* after a pause */
    uint64_t until_ns;                     /* patience */
    bool told;                             /* the oracle knows of the barrier */
    bool deleted;                          /* all that matched */
    bool keys[SIM_KEYS_MOST];              /* are to be deleted */
    unsigned pending;
};

static bool is_patient(const struct sim_purge *purge)
{
    return sim_now_ns(purge->inside.sim) < purge->until_ns;
}

static void be_patient(struct sim_purge *purge, uint64_t for_ns)
{
    purge->until_ns = sim_now_ns(purge->inside.sim) + for_ns;
}

static void on_pause(void *arg)
{
    struct sim_purge *purge = arg;
    purge->next(purge);
}

static void after(struct sim_purge *purge, uint64_t pause_ns, void (*next)(struct sim_purge *purge))
{
    purge->next = next;
    sim_at(purge->inside.sim, sim_now_ns(purge->inside.sim) + pause_ns, on_pause, purge);
}

/* ---- dropping ---- */

static void over(struct sim_purge *purge)
{
    sim_log(purge->inside.sim, "c%u purge of %s: %s", purge->inside.reader, purge->pattern,
            purge->deleted ? "all is deleted" : "given up");
    sta_list_remove(&purge->link);
    sta_command_fini(&purge->barrier.command);
    free(purge);
}

static void on_drop(struct sta_task *task)
{
    struct sim_purge *purge = STA_CONTAINER(task, struct sim_purge, task);
    sim_barriers_ended(sim_oracle_barriers(purge->inside.oracle), purge->barrier.id,
                       purge->deleted);
    sta_barrier_drop_start(&purge->barrier);
}

static void drop(struct sim_purge *purge)
{
    purge->task.run = on_drop;
    sta_loop_post(sta_cache_loop(purge->inside.cache), &purge->task);
}

static void on_dropped(struct sta_barrier *barrier, int status)
{
    struct sim_purge *purge = STA_CONTAINER(barrier, struct sim_purge, barrier);
    if (status == STRATA_ERR_CLOSED)
        return;
    if (status < 0 && purge->deleted && is_patient(purge))
        after(purge, PAUSE_NS, drop);
    else
        over(purge);
}

static void begin_to_drop(struct sim_purge *purge)
{
    purge->barrier.done = on_dropped;
    be_patient(purge, STA_BARRIERS_TTL_MS * STA_NS_MS);
    drop(purge);
}

/* ---- deleting ---- */

static void delete_keys(struct sim_purge *purge);

static void settle(struct sim_purge *purge)
{
    bool left = false;
    for (unsigned key = 0; key < SIM_KEYS_MOST; key++)
        left |= purge->keys[key];
    purge->deleted = !left;
    if (left && is_patient(purge))
        after(purge, PAUSE_NS, delete_keys);
    else
        begin_to_drop(purge);
}

static void on_deleted(void *arg, unsigned key, int status)
{
    struct sim_purge *purge = arg;
    purge->pending--;
    if (status == STRATA_ERR_CLOSED)
        return;
    purge->keys[key] = status < 0;
    if (purge->pending == 0)
        settle(purge);
}

static void delete_keys(struct sim_purge *purge)
{
    purge->pending = 1; /* ours, until all have begun */
    for (unsigned key = 0; key < SIM_KEYS_MOST; key++) {
        if (!purge->keys[key])
            continue;
        purge->pending++;
        sim_cache_delete(purge->owner, key, (struct sim_deleted){on_deleted, purge});
    }
    if (--purge->pending == 0)
        settle(purge);
}

static void delete_matching(struct sim_purge *purge)
{
    for (unsigned key = 0; key < SIM_KEYS_MOST; key++) {
        const char *name = sim_oracle_key(purge->inside.oracle, key).data;
        purge->keys[key] = name[0] != 0 && fnmatch(purge->pattern, name, 0) == 0;
    }
    be_patient(purge, purge->config.patience_ns);
    delete_keys(purge);
}

/* ---- raising ---- */

static void on_raise(struct sta_task *task)
{
    struct sim_purge *purge = STA_CONTAINER(task, struct sim_purge, task);
    sta_barrier_raise_start(&purge->barrier);
    if (purge->told || purge->barrier.id == 0)
        return;
    purge->told = true;
    sim_barriers_raised(sim_oracle_barriers(purge->inside.oracle), purge->barrier.id,
                        purge->pattern);
}

static void raise_it(struct sim_purge *purge)
{
    purge->task.run = on_raise;
    sta_loop_post(sta_cache_loop(purge->inside.cache), &purge->task);
}

static void on_raised(struct sta_barrier *barrier, int status)
{
    struct sim_purge *purge = STA_CONTAINER(barrier, struct sim_purge, barrier);
    if (status == STRATA_ERR_CLOSED)
        return;
    sim_log(purge->inside.sim, "c%u purge of %s: %s", purge->inside.reader, purge->pattern,
            strata_status_text(status));
    if (status == STRATA_OK)
        after(purge, purge->config.walk_ns,
              purge->config.gives_up ? begin_to_drop : delete_matching);
    else if (is_patient(purge))
        after(purge, PAUSE_NS, raise_it);
    else
        begin_to_drop(purge);
}

/* ---- life ---- */

void sim_purge_start(struct sim_cache *cache, const struct sim_purge_config *config)
{
    struct sim_purge *purge = calloc(1, sizeof *purge);
    assert(purge != NULL);
    purge->owner = cache;
    purge->inside = sim_cache_inside(cache);
    purge->config = *config;
    (void)snprintf(purge->pattern, sizeof purge->pattern, "%s", config->pattern);
    purge->barrier.barriers = &purge->inside.cache->barriers;
    purge->barrier.pattern = strata_text(purge->pattern);
    purge->barrier.done = on_raised;
    sta_list_push_back(purge->inside.purges, &purge->link);
    sim_log(purge->inside.sim, "c%u purge of %s", purge->inside.reader, purge->pattern);
    be_patient(purge, config->patience_ns);
    raise_it(purge);
}

void sim_purge_abandon(struct sta_list *node)
{
    struct sim_purge *purge = STA_CONTAINER(node, struct sim_purge, link);
    sim_call_off(purge->inside.sim, purge);
    sta_list_remove(&purge->link);
    sta_command_fini(&purge->barrier.command);
    free(purge);
}
