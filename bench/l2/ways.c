/* SPDX-License-Identifier: MIT
 *
 * See ways.h: one at a time, and from many threads.
 */
#include "bench/l2/ways.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/clock.h"
#include "strata/status.h"

static const char get[] = "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n";

/* ---- one at a time ---- */

static int hiredis_get(redisContext *redis, unsigned ops)
{
    for (unsigned i = 0; i < ops; i++) {
        redisReply *reply = redisCommand(redis, "GET key");
        if (reply == NULL || reply->len != VALUE_BYTES)
            return -1;
        freeReplyObject(reply);
    }
    return 0;
}

static int l2_get(struct strata_l2 *l2, unsigned ops)
{
    for (unsigned i = 0; i < ops; i++) {
        struct strata_value value;
        if (strata_l2_get(l2, strata_text("key"), &value) != STRATA_OK ||
            value.bytes.len != VALUE_BYTES)
            return -1;
        strata_release(&value);
    }
    return 0;
}

int way_sync_hiredis(struct rig *rig, unsigned ops)
{
    return hiredis_get(rig->redis[0], ops);
}

int way_sync_l2(struct rig *rig, unsigned ops)
{
    return l2_get(rig->public_l2, ops);
}

int way_sync_engine(struct rig *rig, unsigned ops)
{
    for (unsigned i = 0; i < ops; i++) {
        struct strata_bytes replies;
        int status = sta_l2_call(rig->l2, strata_text(get), 1, sta_clock_now_ns() + 5 * STA_NS_SEC,
                                 &replies);
        if (status != STRATA_OK)
            return -1;
        free((void *)(uintptr_t)replies.data);
    }
    return 0;
}

/* ---- from many threads ---- */

struct worker {
    pthread_t thread;
    struct rig *rig;
    unsigned number;
    unsigned ops;
    bool hiredis;
    int failed;
};

static void *work(void *arg)
{
    struct worker *worker = arg;
    worker->failed = worker->hiredis ? hiredis_get(worker->rig->redis[worker->number], worker->ops)
                                     : l2_get(worker->rig->public_l2, worker->ops);
    return NULL;
}

static int threads_run(struct rig *rig, unsigned ops, bool hiredis)
{
    struct worker workers[THREADS];
    int failed = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] =
            (struct worker){.rig = rig, .number = i, .ops = ops / THREADS, .hiredis = hiredis};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            abort(); /* nothing can be measured on this machine */
    }
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        failed |= workers[i].failed;
    }
    return failed;
}

int way_threads_hiredis(struct rig *rig, unsigned ops)
{
    return threads_run(rig, ops, true);
}

int way_threads_l2(struct rig *rig, unsigned ops)
{
    return threads_run(rig, ops, false);
}
