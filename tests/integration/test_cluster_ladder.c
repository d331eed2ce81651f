/* SPDX-License-Identifier: MIT
 *
 * The 1st, 2nd, ... allocation fails while a cluster is made known, while calls go to its nodes,
 * while a slot moves under a call, and while connections are made anew: each call ends with a
 * code, nothing leaks (run under ASan), and everything works again at once. The allocations are
 * those of the whole process, so the I/O thread's are among them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "integration/cluster_rig.h"
#include "support/fail_alloc.h"
#include "support/wait.h"

/* More steps than anything here has allocations. */
#define LADDER_MAX 600u
#define PATIENT_MS CLUSTER_RIG_PATIENT_MS
#define NODES      3u

struct world {
    struct cluster_rig rig;
    char texts[NODES][32]; /* a key on each node */
    struct strata *cache;
};

static int start(void **state)
{
    static const struct redis_cluster_config config = {.no_replicas = true};
    static struct world the_world; /* see cluster_rig.c */
    struct world *world = &the_world;
    if (redis_cluster_start(&world->rig.cluster, &config) != 0)
        return -1;
    log_record_init(&world->rig.log);
    for (unsigned i = 0; i < NODES; i++) {
        unsigned n = 0;
        cluster_rig_key_of(world->rig.cluster, i, "key", &n, world->texts[i],
                           sizeof world->texts[i]);
    }
    *state = world;
    return 0;
}

static int stop(void **state)
{
    struct world *world = *state;
    redis_cluster_stop(&world->rig.cluster);
    return 0;
}

static int try_open(struct world *world, struct strata **cache)
{
    const char *seeds[NODES];
    for (unsigned i = 0; i < NODES; i++)
        seeds[i] = redis_cluster_address(world->rig.cluster, i);
    const struct strata_options options = {
        .l1_enabled = STRATA_OFF,
        .cluster_enabled = STRATA_ON,
        .cluster_nodes = seeds,
        .cluster_node_count = NODES,
        .log_sink = log_record_sink,
        .log_arg = &world->rig.log,
    };
    return strata_open(cache, &options, NULL);
}

/* What may be said where memory is short: that, or that a node could not be had for it. */
static void assert_clean(int status)
{
    assert_true(status >= 0 || status == STRATA_ERR_NOMEM || status == STRATA_ERR_UNAVAILABLE ||
                status == STRATA_ERR_LOST || status == STRATA_ERR_PARTIAL ||
                status == STRATA_ERR_SYSTEM);
}

static bool all_nodes_serve(void *arg)
{
    struct world *world = arg;
    for (unsigned i = 0; i < NODES; i++)
        if (rig_set(world->cache, world->texts[i], "v") != STRATA_OK)
            return false;
    return true;
}

static void assert_works_on(struct world *world)
{
    assert_true(wait_until(all_nodes_serve, world, PATIENT_MS));
    for (unsigned i = 0; i < NODES; i++)
        rig_assert_value(world->cache, world->texts[i], "v");
}

static int get_all(struct world *world)
{
    struct strata_bytes keys[NODES];
    struct strata_value values[NODES];
    int statuses[NODES];
    for (unsigned i = 0; i < NODES; i++)
        keys[i] = strata_text(world->texts[i]);
    int status = strata_get_many(world->cache, keys, NODES, values, statuses);
    for (unsigned i = 0; i < NODES; i++) {
        assert_clean(statuses[i]);
        assert_true(statuses[i] != STRATA_OK || values[i].bytes.len == 1);
        strata_release(&values[i]);
    }
    return status;
}

static void a_cluster_becomes_known_whatever_allocation_fails(void **state)
{
    struct world *world = *state;
    bool through = false;
    for (uint64_t n = 1; n < LADDER_MAX && !through; n++) {
        world->cache = NULL;
        fail_alloc_at(n);
        int status = try_open(world, &world->cache);
        assert_clean(status);
        for (unsigned i = 0; i < NODES && status == STRATA_OK; i++)
            assert_clean(rig_set(world->cache, world->texts[i], "v"));
        through = !fail_alloc_end() && status == STRATA_OK;
        if (status == STRATA_OK)
            assert_works_on(world);
        strata_close(&world->cache);
    }
    assert_true(through);
}

static int set_all(struct world *world)
{
    struct strata_item items[NODES];
    for (unsigned i = 0; i < NODES; i++)
        items[i] = (struct strata_item){strata_text(world->texts[i]), strata_text("v"), 0};
    return strata_set_many(world->cache, items, NODES, NULL);
}

static int read_one(struct world *world)
{
    return rig_get(world->cache, world->texts[1]);
}

static void climb(struct world *world, int (*call)(struct world *world),
                  void (*before)(struct world *world))
{
    bool through = false;
    assert_int_equal(try_open(world, &world->cache), STRATA_OK);
    assert_works_on(world);
    for (uint64_t n = 1; n < LADDER_MAX && !through; n++) {
        if (before != NULL)
            before(world);
        fail_alloc_at(n);
        int status = call(world);
        through = !fail_alloc_end();
        assert_clean(status);
        assert_works_on(world);
    }
    assert_true(through);
    strata_close(&world->cache);
}

static void calls_to_all_nodes_fail_cleanly(void **state)
{
    climb(*state, get_all, NULL);
    climb(*state, set_all, NULL);
    climb(*state, read_one, NULL);
}

/* The node is told to another one, which has the key's slot from then on. */
static void move_the_slot(struct world *world)
{
    char name[64];
    (void)snprintf(name, sizeof name, "atp:cache:%s", world->texts[1]);
    unsigned slot = redis_cluster_slot(world->rig.cluster, name);
    unsigned to = ((unsigned)redis_cluster_primary(world->rig.cluster, slot) + 1) % NODES;
    assert_int_equal(redis_cluster_move_slot(world->rig.cluster, slot, to), 0);
}

static void a_redirect_is_followed_or_fails_cleanly(void **state)
{
    climb(*state, read_one, move_the_slot);
}

static void drop_connections(struct world *world)
{
    for (unsigned i = 0; i < NODES; i++)
        assert_int_equal(redis_cluster_tell(world->rig.cluster, i, "CLIENT KILL TYPE normal"), 0);
}

static void connections_are_made_anew_or_calls_fail_cleanly(void **state)
{
    climb(*state, get_all, drop_connections);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_becomes_known_whatever_allocation_fails),
        cmocka_unit_test(calls_to_all_nodes_fail_cleanly),
        cmocka_unit_test(a_redirect_is_followed_or_fails_cleanly),
        cmocka_unit_test(connections_are_made_anew_or_calls_fail_cleanly),
    };
    return cmocka_run_group_tests_name("cluster_ladder", tests, start, stop);
}
