/* SPDX-License-Identifier: MIT
 *
 * See stratad_cluster_rig.h.
 */
#include "integration/stratad_cluster_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/wait.h"

struct stratad_process *stratad_cluster_start(struct cluster_rig *rig, const char *const *more)
{
    const char *args[24] = {"--cluster-enabled", "yes",
                            "--cluster-nodes",   redis_cluster_address(rig->cluster, 0),
                            "--cluster-nodes",   redis_cluster_address(rig->cluster, 1),
                            "--workers",         "2"};
    size_t count = 8;
    char url[64];
    struct stratad_process *stratad = NULL;
    for (; more != NULL && *more != NULL && count < 23; more++)
        args[count++] = *more;
    (void)snprintf(url, sizeof url, "redis://%s", redis_cluster_address(rig->cluster, 0));
    assert_int_equal(stratad_process_start(&stratad, url, args), 0);
    return stratad;
}

static bool is_up(void *client)
{
    redisReply *reply = redisCommand(client, "SET is:up yes");
    bool up = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    return up;
}

struct stratad_process *stratad_cluster_start_patient(struct cluster_rig *rig,
                                                      redisContext **client)
{
    static const char *const more[] = {"--socket-timeout", "20", NULL};
    struct stratad_process *stratad = stratad_cluster_start(rig, more);
    *client = rig_client(stratad);
    assert_true(wait_until(is_up, *client, CLUSTER_RIG_PATIENT_MS));
    return stratad;
}

struct stratad_cluster_bench stratad_cluster_bench_open(void **state)
{
    struct cluster_rig *rig = *state;
    struct stratad_cluster_bench bench = {.cluster = rig->cluster};
    bench.stratad = stratad_cluster_start_patient(rig, &bench.client);
    return bench;
}

struct stratad_cluster_bench stratad_cluster_bench_open_untracked(void **state)
{
    assert_int_equal(setenv("STRATA_TRACKING", "off", 1), 0);
    struct stratad_cluster_bench bench = stratad_cluster_bench_open(state);
    (void)unsetenv("STRATA_TRACKING");
    return bench;
}

void stratad_cluster_bench_close(struct stratad_cluster_bench *bench)
{
    redisFree(bench->client);
    stratad_process_stop(&bench->stratad);
}

unsigned stratad_cluster_owner_of(const struct redis_cluster *cluster, const char *key)
{
    int owner = redis_cluster_primary(cluster, redis_cluster_slot(cluster, key));
    assert_true(owner >= 0);
    return (unsigned)owner;
}

unsigned stratad_cluster_other_primary(const struct redis_cluster *cluster, unsigned node)
{
    unsigned other = 0;
    while (other == node || !redis_cluster_is_primary(cluster, other))
        assert_true(++other < redis_cluster_count(cluster));
    return other;
}

struct stratad_cluster_move stratad_cluster_move_of(struct redis_cluster *cluster, const char *key)
{
    unsigned from = stratad_cluster_owner_of(cluster, key);
    return (struct stratad_cluster_move){cluster, redis_cluster_slot(cluster, key), from,
                                         stratad_cluster_other_primary(cluster, from)};
}

void stratad_cluster_move_there(const struct stratad_cluster_move *move)
{
    assert_int_equal(redis_cluster_move_slot(move->cluster, move->slot, move->to), 0);
}

void stratad_cluster_move_back(const struct stratad_cluster_move *move)
{
    assert_int_equal(redis_cluster_move_slot(move->cluster, move->slot, move->from), 0);
}

void stratad_cluster_move_begin(const struct stratad_cluster_move *move)
{
    assert_int_equal(redis_cluster_begin_move(move->cluster, move->slot, move->to), 0);
}

void stratad_cluster_move_finish(const struct stratad_cluster_move *move)
{
    assert_int_equal(redis_cluster_finish_move(move->cluster, move->slot, move->to), 0);
}

void stratad_cluster_key_of(const struct redis_cluster *cluster, unsigned node, const char *prefix,
                            unsigned *n, char *key, size_t cap)
{
    do
        (void)snprintf(key, cap, "%s:%u", prefix, (*n)++);
    while (redis_cluster_primary(cluster, redis_cluster_slot(cluster, key)) != (int)node);
}

long long stratad_cluster_number(redisContext *client, const char *name)
{
    char quoted[64];
    redisReply *reply = redisCommand(client, "STRATA STATS");
    assert_non_null(reply);
    assert_non_null(reply->str);
    (void)snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *found = strstr(reply->str, quoted);
    assert_non_null(found);
    long long number = atoll(found + strlen(quoted));
    freeReplyObject(reply);
    return number;
}

/* ---- checked clients ---- */

static void load_wrong(struct stratad_cluster_load *load, const char *who, unsigned key,
                       unsigned got, unsigned least)
{
    if (atomic_load(&load->lossy))
        return;
    if (atomic_fetch_add(&load->wrong, 1) == 0)
        (void)snprintf(load->first_wrong, sizeof load->first_wrong,
                       "%s: load:%u was %u after %u had been acknowledged or seen", who, key, got,
                       least);
}

/* False: no answer. */
static bool load_get(struct stratad_cluster_load *load, redisContext *client, unsigned key,
                     unsigned *got)
{
    redisReply *reply = redisCommand(client, "GET load:%u", key);
    bool answered = reply != NULL && reply->type != REDIS_REPLY_ERROR;
    *got = answered && reply->str != NULL ? (unsigned)strtoul(reply->str, NULL, 10) : 0;
    if (!answered)
        atomic_fetch_add(&load->errors, 1);
    freeReplyObject(reply);
    return answered;
}

static bool load_set(struct stratad_cluster_load *load, redisContext *client, unsigned key,
                     unsigned version)
{
    redisReply *reply = redisCommand(client, "SET load:%u %u", key, version);
    bool done = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    if (!done) {
        atomic_fetch_add(&load->errors, 1);
        (void)snprintf(load->last_error, sizeof load->last_error, "%s",
                       reply != NULL ? reply->str : client->errstr);
    }
    freeReplyObject(reply);
    return done;
}

static void *write_on(void *arg)
{
    struct stratad_cluster_load *load = arg;
    redisContext *client = load->clients[0];
    for (unsigned version = 1; !atomic_load(&load->stop); version++) {
        for (unsigned key = 0; key < STRATAD_CLUSTER_KEYS; key++) {
            unsigned got;
            if (!load_set(load, client, key, version))
                continue;
            atomic_store(&load->acked[key], version);
            atomic_fetch_add(&load->written, 1);
            if (load_get(load, client, key, &got) && got < version)
                load_wrong(load, "the writer", key, got, version);
        }
    }
    return NULL;
}

static void *read_on(void *arg)
{
    struct stratad_cluster_load *load = arg;
    unsigned seen[STRATAD_CLUSTER_KEYS] = {0};
    redisContext *client = load->clients[1 + atomic_fetch_add(&load->clients_taken, 1)];
    while (!atomic_load(&load->stop)) {
        for (unsigned key = 0; key < STRATAD_CLUSTER_KEYS; key++) {
            unsigned got, least = atomic_load(&load->acked[key]);
            if (least < seen[key])
                least = seen[key];
            if (!load_get(load, client, key, &got))
                continue;
            if (got < least)
                load_wrong(load, "a reader", key, got, least);
            seen[key] = got;
            atomic_fetch_add(&load->read, 1);
        }
    }
    return NULL;
}

void stratad_cluster_load_start(struct stratad_cluster_load *load,
                                const struct stratad_process *stratad)
{
    memset(load, 0, sizeof *load);
    for (unsigned i = 0; i <= STRATAD_CLUSTER_READERS; i++)
        load->clients[i] = rig_client(stratad);
    assert_int_equal(pthread_create(&load->writer, NULL, write_on, load), 0);
    for (unsigned i = 0; i < STRATAD_CLUSTER_READERS; i++)
        assert_int_equal(pthread_create(&load->readers[i], NULL, read_on, load), 0);
    stratad_cluster_load_goes_on(load, 200);
}

struct progress {
    struct stratad_cluster_load *load;
    unsigned written, read;
};

static bool has_gone_on(void *arg)
{
    const struct progress *wanted = arg;
    return atomic_load(&wanted->load->written) >= wanted->written &&
           atomic_load(&wanted->load->read) >= wanted->read;
}

void stratad_cluster_load_goes_on(struct stratad_cluster_load *load, unsigned count)
{
    struct progress wanted = {load, atomic_load(&load->written) + count,
                              atomic_load(&load->read) + count};
    if (!wait_until(has_gone_on, &wanted, CLUSTER_RIG_PATIENT_MS))
        fail_msg("no more answers; the last error: %s", load->last_error);
}

void stratad_cluster_load_stop(struct stratad_cluster_load *load)
{
    atomic_store(&load->stop, true);
    (void)pthread_join(load->writer, NULL);
    for (unsigned i = 0; i < STRATAD_CLUSTER_READERS; i++)
        (void)pthread_join(load->readers[i], NULL);
    for (unsigned i = 0; i <= STRATAD_CLUSTER_READERS; i++)
        redisFree(load->clients[i]);
    if (atomic_load(&load->wrong) > 0)
        fail_msg("%u answers were wrong, first: %s", atomic_load(&load->wrong), load->first_wrong);
}
