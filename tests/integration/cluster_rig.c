/* SPDX-License-Identifier: MIT
 *
 * See cluster_rig.h.
 */
#include "integration/cluster_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/wait.h"

/* Never freed: the caches of a test that failed live on and log, to the end of the process. */
static struct cluster_rig the_rig;

int cluster_rig_start_with(void **state, const struct redis_cluster_config *config)
{
    if (redis_cluster_start(&the_rig.cluster, config) != 0)
        return -1;
    log_record_init(&the_rig.log);
    *state = &the_rig;
    return 0;
}

int cluster_rig_start(void **state)
{
    return cluster_rig_start_with(state, NULL);
}

int cluster_rig_stop(void **state)
{
    struct cluster_rig *rig = *state;
    redis_cluster_stop(&rig->cluster);
    return 0;
}

int cluster_rig_settle(void **state)
{
    struct cluster_rig *rig = *state;
    load_stop_left();
    for (unsigned i = 0; i < 6; i++) {
        if (redis_cluster_pid(rig->cluster, i) != 0)
            redis_cluster_thaw(rig->cluster, i);
        else if (redis_cluster_restart(rig->cluster, i) != 0)
            return -1;
    }
    if (redis_cluster_settle(rig->cluster, CLUSTER_RIG_PATIENT_MS) != 0)
        return -1;
    for (unsigned i = 0; i < 6; i++)
        if (redis_cluster_is_primary(rig->cluster, i) &&
            redis_cluster_tell(rig->cluster, i, "FLUSHALL") != 0)
            return -1;
    log_record_init(&rig->log);
    return 0;
}

struct strata *cluster_rig_open(struct cluster_rig *rig, const char *const *seeds, size_t count,
                                struct strata_options options)
{
    const char *all[REDIS_CLUSTER_NODES];
    struct strata *cache = NULL;
    struct strata_error error;
    if (seeds == NULL)
        for (count = 0; count < 6; count++)
            all[count] = redis_cluster_address(rig->cluster, (unsigned)count);
    options.l1_enabled = options.l1_enabled != 0 ? options.l1_enabled : STRATA_OFF;
    options.cluster_enabled = STRATA_ON;
    options.cluster_nodes = seeds != NULL ? seeds : all;
    options.cluster_node_count = count;
    options.log_sink = log_record_sink;
    options.log_arg = &rig->log;
    if (strata_open(&cache, &options, &error) != STRATA_OK)
        fail_msg("strata_open: %s", error.text);
    return cache;
}

struct strata *cluster_rig_open_plainly(struct cluster_rig *rig)
{
    return cluster_rig_open(rig, NULL, 0, (struct strata_options){0});
}

/* Keys in Redis carry the default prefix. */
static void stored_name(const char *key, char *name, size_t cap)
{
    (void)snprintf(name, cap, "atp:cache:%s", key);
}

static int owner_of(const struct redis_cluster *cluster, const char *key)
{
    char name[128];
    stored_name(key, name, sizeof name);
    return redis_cluster_primary(cluster, redis_cluster_slot(cluster, name));
}

void cluster_rig_key_of(const struct redis_cluster *cluster, unsigned node, const char *prefix,
                        unsigned *n, char *text, size_t cap)
{
    do
        (void)snprintf(text, cap, "%s:%u", prefix, (*n)++);
    while (owner_of(cluster, text) != (int)node);
    --*n;
}

/* In eight parts, so that no primary is ever without slots: it would become a replica. */
void cluster_rig_storm(struct cluster_rig *rig, unsigned round)
{
    const unsigned part = REDIS_CLUSTER_SLOTS / 8;
    unsigned primaries[REDIS_CLUSTER_NODES];
    unsigned count = 0;
    for (unsigned i = 0; i < 6; i++)
        if (redis_cluster_is_primary(rig->cluster, i)) {
            primaries[count++] = i;
            assert_int_equal(redis_cluster_tell(rig->cluster, i, "FLUSHALL"), 0);
        }
    assert_true(count > 0);
    for (unsigned i = 0; i < 8; i++)
        (void)redis_cluster_assign(rig->cluster, i * part, (i + 1) * part - 1,
                                   primaries[(i + round) % count]);
}

int rig_set(struct strata *cache, const char *key, const char *value)
{
    return strata_set(cache, strata_text(key), strata_text(value), 0);
}

int rig_get(struct strata *cache, const char *key)
{
    struct strata_value value = {0};
    int status = strata_get(cache, strata_text(key), &value);
    strata_release(&value);
    return status;
}

void rig_assert_value(struct strata *cache, const char *key, const char *expected)
{
    struct strata_value value = {0};
    int status = strata_get(cache, strata_text(key), &value);
    if (status != STRATA_OK)
        fail_msg("%s: %s", key, strata_status_name(status));
    assert_int_equal(value.bytes.len, strlen(expected));
    assert_memory_equal(value.bytes.data, expected, value.bytes.len);
    strata_release(&value);
}

void rig_assert_stored(const struct redis_cluster *cluster, const char *key, const char *expected)
{
    char name[128];
    int owner = owner_of(cluster, key);
    assert_true(owner >= 0);
    stored_name(key, name, sizeof name);
    redisReply *reply = redis_cluster_ask(cluster, (unsigned)owner, "GET %s", name);
    assert_non_null(reply);
    if (expected == NULL)
        assert_int_equal(reply->type, REDIS_REPLY_NIL);
    else
        assert_string_equal(reply->str, expected);
    freeReplyObject(reply);
}

struct question {
    struct strata *cache;
    const char *key;
};

static bool is_answered(void *arg)
{
    const struct question *question = arg;
    return rig_get(question->cache, question->key) >= 0;
}

bool rig_answers(struct strata *cache, const char *key, unsigned timeout_ms)
{
    struct question question = {.cache = cache, .key = key};
    return wait_until(is_answered, &question, timeout_ms);
}
