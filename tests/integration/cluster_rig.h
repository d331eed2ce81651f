/* SPDX-License-Identifier: MIT
 *
 * What the tests of the cache before a Redis Cluster share: a cluster for all tests of a program,
 * caches that are led to it, and short ways to say common things. Failures fail the running test.
 */
#ifndef TEST_CLUSTER_RIG_H
#define TEST_CLUSTER_RIG_H

#include <stdbool.h>

#include "integration/load.h"
#include "integration/log_record.h"
#include "strata/strata.h"
#include "support/redis_cluster.h"

#define CLUSTER_RIG_PATIENT_MS 30000u

struct cluster_rig {
    struct redis_cluster *cluster;
    struct log_record log; /* of the caches */
};

/* cmocka group fixtures: a cluster of three primaries with replicas. */
int cluster_rig_start(void **state);
int cluster_rig_start_with(void **state, const struct redis_cluster_config *config);
int cluster_rig_stop(void **state);

/* Test fixture: all nodes of the beginning run and have settled; nothing is stored. */
int cluster_rig_settle(void **state);

/* Opens a cache with these seeds ("host:port"; NULL: all nodes), L1 off and a budget of 5 s unless
 * the options say otherwise. */
struct strata *cluster_rig_open(struct cluster_rig *rig, const char *const *seeds, size_t count,
                                struct strata_options options);

/* The same with all defaults. */
struct strata *cluster_rig_open_plainly(struct cluster_rig *rig);

/* The text "prefix:n" of a key in a slot of the node, the first at or after *n; n is set to it. */
void cluster_rig_key_of(const struct redis_cluster *cluster, unsigned node, const char *prefix,
                        unsigned *n, char *text, size_t cap);

/* Empties all nodes, and gives every slot to another primary than in the round before. Slots that
 * hold a key by then stay. */
void cluster_rig_storm(struct cluster_rig *rig, unsigned round);

int rig_set(struct strata *cache, const char *key, const char *value);
int rig_get(struct strata *cache, const char *key); /* the status */
void rig_assert_value(struct strata *cache, const char *key, const char *expected);

/* What redis itself has under the key, asked of its slot's owner; expected NULL: nothing. */
void rig_assert_stored(const struct redis_cluster *cluster, const char *key, const char *expected);

/* Waits until a get is answered, with a value or a miss. */
bool rig_answers(struct strata *cache, const char *key, unsigned timeout_ms);

#endif
