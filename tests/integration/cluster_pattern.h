/* SPDX-License-Identifier: MIT
 *
 * What the tests of deletions by pattern before a Redis Cluster share: keys s:0, s:1 ... on all of
 * its nodes, and the slot of the barriers' hash. Failures fail the running test.
 */
#ifndef TEST_CLUSTER_PATTERN_H
#define TEST_CLUSTER_PATTERN_H

#include "integration/cluster_rig.h"

#define CLUSTER_PATTERN_PREFIX "atp:cache:"
#define CLUSTER_PATTERN_HASH   CLUSTER_PATTERN_PREFIX "strata:barriers"
#define CLUSTER_PATTERN_WARM   60u /* keys that are read, and so in L1 */

/* "s:n"; until the next call. */
const char *cluster_pattern_key(unsigned n);

/* Sets thousands of them to "old", and "other" to "x". */
void cluster_pattern_fill(struct strata *cache);

/* How many of the warm keys are in Redis. */
unsigned cluster_pattern_left(struct cluster_rig *rig);

/* The node that has this name, as Redis knows it. */
unsigned cluster_pattern_owner(struct cluster_rig *rig, const char *name);

/* Another primary has the hash from now on. */
void cluster_pattern_move_hash(struct cluster_rig *rig);

#endif
