/* SPDX-License-Identifier: MIT
 *
 * See cluster_pattern.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/cluster_pattern.h"

#include <cmocka.h>
#include <stdio.h>

#define KEYS  9000u
#define BATCH 500u

const char *cluster_pattern_key(unsigned n)
{
    static char name[16];
    (void)snprintf(name, sizeof name, "s:%u", n);
    return name;
}

void cluster_pattern_fill(struct strata *cache)
{
    static char names[BATCH][16];
    struct strata_item items[BATCH];
    for (unsigned n = 0; n < KEYS; n += BATCH) {
        for (unsigned i = 0; i < BATCH; i++) {
            (void)snprintf(names[i], sizeof names[i], "s:%u", n + i);
            items[i] = (struct strata_item){.key = strata_text(names[i]),
                                            .value = strata_text("old"),
                                            .ttl_ms = STRATA_UNLIMITED};
        }
        assert_int_equal(strata_set_many(cache, items, BATCH, NULL), STRATA_OK);
    }
    assert_int_equal(rig_set(cache, "other", "x"), STRATA_OK);
}

unsigned cluster_pattern_owner(struct cluster_rig *rig, const char *name)
{
    int owner = redis_cluster_primary(rig->cluster, redis_cluster_slot(rig->cluster, name));
    assert_true(owner >= 0);
    return (unsigned)owner;
}

unsigned cluster_pattern_left(struct cluster_rig *rig)
{
    unsigned left = 0;
    for (unsigned n = 0; n < CLUSTER_PATTERN_WARM; n++) {
        char name[32];
        (void)snprintf(name, sizeof name, CLUSTER_PATTERN_PREFIX "%s", cluster_pattern_key(n));
        redisReply *reply =
            redis_cluster_ask(rig->cluster, cluster_pattern_owner(rig, name), "EXISTS %s", name);
        left += reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
        if (reply != NULL)
            freeReplyObject(reply);
    }
    return left;
}

void cluster_pattern_move_hash(struct cluster_rig *rig)
{
    unsigned slot = redis_cluster_slot(rig->cluster, CLUSTER_PATTERN_HASH);
    unsigned from = cluster_pattern_owner(rig, CLUSTER_PATTERN_HASH);
    for (unsigned to = 0; to < redis_cluster_count(rig->cluster); to++) {
        if (to == from || !redis_cluster_is_primary(rig->cluster, to))
            continue;
        assert_int_equal(redis_cluster_move_slot(rig->cluster, slot, to), 0);
        return;
    }
    fail_msg("there is no other primary");
}
