/* SPDX-License-Identifier: MIT
 *
 * What a server may send to a pipeline of requests. The first two bytes choose where the stream
 * is cut, and how many replies the requests are owed.
 *
 * Facts: whatever the cuts, the same requests get the same replies and the same pushes come in
 * the same order, and the stream ends the same way; each request ends exactly once; what it gets
 * are as many whole frames as it had commands, and no frame is given to two. The same holds, but
 * for the replies, where requests time out in between; a stream that ended because the replies to
 * one request were too large may then go on, for nobody keeps those of a request that is gone.
 */
#include <stdbool.h>
#include <string.h>

#include "core/clock.h"
#include "fuzz/arrival.h"
#include "l2/pipeline.h"
#include "strata/status.h"

#define REQUESTS    24
#define REPLY_BYTES 4096
#define NO_TIME     10 /* the deadline of every third request of a run with timeouts */

struct asked {
    struct sta_request request;
    struct run *run;
    unsigned done;
};

struct run {
    struct sta_pipeline pipeline;
    struct asked asked[REQUESTS];
    uint64_t digest; /* of all that was called, in order */
    size_t given;    /* bytes given to requests and pushes */
    int status;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
static void digest(struct run *run, unsigned who, struct strata_bytes bytes)
{
    const uint8_t *data = bytes.data;
    run->digest = (run->digest ^ who) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < bytes.len; i++)
        run->digest = (run->digest ^ data[i]) * UINT64_C(0x100000001b3);
    run->given += bytes.len;
}

static unsigned count_frames(struct strata_bytes replies)
{
    struct sta_resp_walk walk = sta_resp_walk(replies);
    unsigned count = 0;
    while (sta_resp_skip(&walk, NULL) == STRATA_OK)
        count++;
    CHECK(walk.rest.len == 0);
    return count;
}

static void on_done(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct asked *asked = STA_CONTAINER(request, struct asked, request);
    CHECK(++asked->done == 1);
    CHECK(status == STRATA_OK || replies.len == 0);
    CHECK(replies.len <= REPLY_BYTES);
    if (status == STRATA_OK)
        CHECK(count_frames(replies) == request->commands);
    digest(asked->run, (unsigned)(asked - asked->run->asked), replies);
}

static void on_push(void *arg, struct strata_bytes frame)
{
    CHECK(count_frames(frame) == 1 && *(const uint8_t *)frame.data == '>');
    digest(arg, REQUESTS, frame);
}

static void run_init(struct run *run, uint8_t owed, bool timeouts)
{
    *run = (struct run){.status = STRATA_OK};
    sta_pipeline_init(&run->pipeline, REQUESTS, REPLY_BYTES, on_push, run);
    for (unsigned i = 0; i < REQUESTS; i++) {
        run->asked[i].run = run;
        run->asked[i].request = (struct sta_request){
            .commands = 1 + (i * owed) % 5,
            .deadline_ns = timeouts && i % 3 == 0 ? NO_TIME : STA_NEVER,
            .done = on_done,
        };
        CHECK(sta_pipeline_push(&run->pipeline, &run->asked[i].request, i) == STRATA_OK);
    }
}

static void run_fini(struct run *run)
{
    sta_pipeline_end(&run->pipeline, REQUESTS / 2, STRATA_ERR_LOST, STRATA_ERR_UNAVAILABLE);
    sta_pipeline_fini(&run->pipeline);
    for (unsigned i = 0; i < REQUESTS; i++)
        CHECK(run->asked[i].done == 1);
}

static void run_feed(struct run *run, struct arrival *arrival, bool timeouts)
{
    uint64_t now_ns = 0;
    while (run->status == STRATA_OK) {
        const char *reason = NULL;
        size_t used = 0;
        struct strata_bytes bytes = arrival_bytes(arrival);
        run->status = sta_pipeline_feed(&run->pipeline, bytes, NULL, &used, &reason);
        CHECK(run->status == STRATA_OK || reason != NULL);
        CHECK(used <= bytes.len);
        arrival->begin += used;
        if (timeouts)
            (void)sta_pipeline_expire(&run->pipeline, now_ns++);
        if (run->status == STRATA_OK && arrival_more(arrival) == 0)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct run runs[3]; /* at once, in pieces, in pieces with timeouts */
    for (unsigned i = 0; i < 3; i++) {
        struct arrival arrival;
        run_init(&runs[i], data[1], i == 2);
        arrival_init(&arrival, data + 2, size - 2, data[0]);
        if (i == 0)
            arrival_all(&arrival);
        run_feed(&runs[i], &arrival, i == 2);
        CHECK(runs[i].given <= size);
        arrival_fini(&arrival);
        run_fini(&runs[i]);
    }
    CHECK(runs[0].digest == runs[1].digest && runs[0].status == runs[1].status);
    CHECK(runs[1].status == runs[2].status || runs[1].status == STRATA_ERR_TOO_BIG);
    return 0;
}
