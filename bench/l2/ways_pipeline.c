/* SPDX-License-Identifier: MIT
 *
 * See ways.h: many in flight.
 */
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>

#include "bench/l2/ways.h"
#include "core/clock.h"
#include "strata/status.h"

static const char get[] = "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n";

int way_pipeline_hiredis(struct rig *rig, unsigned ops)
{
    redisContext *redis = rig->redis[0];
    for (unsigned i = 0; i < ops; i += WINDOW) {
        for (unsigned j = 0; j < WINDOW; j++)
            redisAppendCommand(redis, "GET key");
        for (unsigned j = 0; j < WINDOW; j++) {
            redisReply *reply;
            if (redisGetReply(redis, (void **)&reply) != REDIS_OK)
                return -1;
            freeReplyObject(reply);
        }
    }
    return 0;
}

struct flight {
    struct sta_operation operation;
    struct flights *all;
};

struct flights {
    struct rig *rig;
    unsigned to_submit; /* of who leads the loop once it flies */
    unsigned to_finish;
    bool failed;
    sem_t landed;
    struct flight window[WINDOW];
};

static void on_done(struct sta_operation *operation, int status, struct strata_bytes replies)
{
    struct flights *all = STA_CONTAINER(operation, struct flight, operation)->all;
    all->failed |= status != STRATA_OK || replies.len != VALUE_BYTES + 8;
    if (--all->to_finish == 0) {
        (void)sem_post(&all->landed);
    } else if (all->to_submit > 0) {
        all->to_submit--;
        operation->request.deadline_ns = sta_loop_now_ns(all->rig->loop) + 5 * STA_NS_SEC;
        sta_l2_submit(all->rig->l2, operation);
    }
}

int way_pipeline_engine(struct rig *rig, unsigned ops)
{
    struct flights all = {.rig = rig, .to_submit = ops - WINDOW, .to_finish = ops};
    (void)sem_init(&all.landed, 0, 0);
    for (unsigned i = 0; i < WINDOW; i++) {
        all.window[i].all = &all;
        all.window[i].operation = (struct sta_operation){
            .request = {.wire = strata_text(get), .commands = 1, .deadline_ns = STA_NEVER},
            .repeatable = true,
            .done = on_done};
        sta_l2_submit(rig->l2, &all.window[i].operation);
    }
    while (sem_wait(&all.landed) != 0)
        ; /* interrupted */
    (void)sem_destroy(&all.landed);
    return all.failed ? -1 : 0;
}

int way_pipeline_redis_benchmark(struct rig *rig, unsigned ops)
{
    char command[512];
    char line[256];
    double per_second = 0;
    (void)snprintf(command, sizeof command,
                   "redis-benchmark -s %s -c 1 -P %u -n %u --csv GET key 2>/dev/null", rig->socket,
                   WINDOW, ops);
    FILE *pipe = popen(command, "r");
    if (pipe == NULL)
        return -1;
    while (fgets(line, sizeof line, pipe) != NULL)
        (void)sscanf(line, "\"GET key\",\"%lf\"", &per_second);
    (void)pclose(pipe);
    if (per_second <= 0)
        return -1;
    rig->told_ns = 1e9 / per_second;
    return 0;
}
