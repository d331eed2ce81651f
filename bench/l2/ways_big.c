/* SPDX-License-Identifier: MIT
 *
 * See ways.h: small gets, one at a time, while another thread gets 10 MB from the same server again
 * and again, or does nothing. What is told is the 99th percentile.
 * A rest lies between two small gets: else whoever is faster asks more often between two large
 * values, and those that meet one are fewer than one in a hundred.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/l2/ways.h"
#include "core/clock.h"
#include "strata/status.h"

#define BIG_BYTES ((size_t)10 << 20)

struct beside {
    struct rig *rig;
    bool hiredis;
    atomic_bool stop;
    atomic_bool failed;
    pthread_t thread;
};

static int big_get(struct beside *beside)
{
    struct strata_value value;
    if (beside->hiredis) {
        redisReply *reply = redisCommand(beside->rig->redis[1], "GET big");
        int failed = reply == NULL || reply->len != BIG_BYTES;
        freeReplyObject(reply);
        return failed ? -1 : 0;
    }
    if (strata_l2_get(beside->rig->public_l2, strata_text("big"), &value) != STRATA_OK)
        return -1;
    int failed = value.bytes.len != BIG_BYTES;
    strata_release(&value);
    return failed ? -1 : 0;
}

static void *fetch(void *arg)
{
    struct beside *beside = arg;
    while (!atomic_load(&beside->stop) && !atomic_load(&beside->failed))
        if (big_get(beside) != 0)
            atomic_store(&beside->failed, true);
    return NULL;
}

static int small_get(struct rig *rig, bool hiredis)
{
    return hiredis ? way_sync_hiredis(rig, 1) : way_sync_l2(rig, 1);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int small_gets(struct rig *rig, unsigned ops, bool hiredis)
{
    static const struct timespec rest = {.tv_nsec = 500000};
    uint64_t *took = calloc(ops, sizeof *took);
    int failed = took == NULL;
    for (unsigned i = 0; i < ops && !failed; i++) {
        (void)nanosleep(&rest, NULL);
        uint64_t began = sta_clock_now_ns();
        failed = small_get(rig, hiredis);
        took[i] = sta_clock_now_ns() - began;
    }
    if (!failed) {
        qsort(took, ops, sizeof *took, compare);
        rig->told_ns = (double)took[ops * 99 / 100];
    }
    free(took);
    return failed ? -1 : 0;
}

static int store_big(struct rig *rig)
{
    if (rig->has_big)
        return 0;
    char *value = malloc(BIG_BYTES);
    if (value == NULL)
        return -1;
    memset(value, 'b', BIG_BYTES);
    redisReply *reply = redisCommand(rig->redis[0], "SET big %b", value, BIG_BYTES);
    rig->has_big = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    free(value);
    return rig->has_big ? 0 : -1;
}

static int small_beside_big(struct rig *rig, unsigned ops, bool hiredis)
{
    struct beside beside = {.rig = rig, .hiredis = hiredis};
    if (store_big(rig) != 0 || pthread_create(&beside.thread, NULL, fetch, &beside) != 0)
        return -1;
    int failed = small_gets(rig, ops, hiredis);
    atomic_store(&beside.stop, true);
    (void)pthread_join(beside.thread, NULL);
    return failed != 0 || beside.failed ? -1 : 0;
}

int way_small_l2(struct rig *rig, unsigned ops)
{
    return small_gets(rig, ops, false);
}

int way_small_hiredis(struct rig *rig, unsigned ops)
{
    return small_gets(rig, ops, true);
}

int way_small_beside_big_l2(struct rig *rig, unsigned ops)
{
    return small_beside_big(rig, ops, false);
}

int way_small_beside_big_hiredis(struct rig *rig, unsigned ops)
{
    return small_beside_big(rig, ops, true);
}
