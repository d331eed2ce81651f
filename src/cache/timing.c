/* SPDX-License-Identifier: MIT
 *
 * See timing.h. 210 KiB of address space, of which what is never written to takes no memory.
 */
#include "cache/timing.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/clock.h"
#include "strata/status.h"

/* Of gets that L1 ends; a power of two. */
#define COPY_BITS 3u
#define COPIES    (1u << COPY_BITS)

struct sta_timing {
    struct sta_latency hits[COPIES]; /* gets, L1 */
    struct sta_latency others[STA_TIMING_OPERATIONS][STA_TIMING_TIERS];
};

int sta_timing_create(struct sta_timing **out)
{
    struct sta_timing *timing = calloc(1, sizeof *timing);
    if (timing == NULL)
        return STRATA_ERR_NOMEM;
    *out = timing;
    return STRATA_OK;
}

void sta_timing_destroy(struct sta_timing **timing)
{
    free(*timing);
    *timing = NULL;
}

static struct sta_latency *hits_of_this_thread(struct sta_timing *timing)
{
    uint64_t self = (uint64_t)(uintptr_t)pthread_self();
    return &timing->hits[self * UINT64_C(0x9e3779b97f4a7c15) >> (64u - COPY_BITS)];
}

void sta_timing_record_times(struct sta_timing *timing, enum sta_timing_operation operation,
                             enum sta_timing_tier tier, uint64_t begun_ns, uint64_t ended_ns,
                             uint64_t times)
{
    if (timing == NULL)
        return;
    struct sta_latency *latency = operation == STA_TIMING_GET && tier == STA_TIMING_L1
                                      ? hits_of_this_thread(timing)
                                      : &timing->others[operation][tier];
    /* A loop's time is that of its tick, which may have begun before the call. */
    sta_latency_record_times(latency, ended_ns > begun_ns ? ended_ns - begun_ns : 0, times);
}

void sta_timing_record(struct sta_timing *timing, enum sta_timing_operation operation,
                       enum sta_timing_tier tier, uint64_t begun_ns, uint64_t ended_ns)
{
    sta_timing_record_times(timing, operation, tier, begun_ns, ended_ns, 1);
}

void sta_timing_sample(struct sta_timing *timing, enum sta_timing_operation operation,
                       uint64_t begun_ns)
{
    if (timing != NULL)
        sta_timing_record(timing, operation, STA_TIMING_L1, begun_ns, sta_clock_now_ns());
}

void sta_timing_read(const struct sta_timing *timing, enum sta_timing_operation operation,
                     enum sta_timing_tier tier, struct sta_histogram *into)
{
    if (timing == NULL)
        return;
    sta_latency_read(&timing->others[operation][tier], into);
    for (unsigned i = 0; operation == STA_TIMING_GET && tier == STA_TIMING_L1 && i < COPIES; i++)
        sta_latency_read(&timing->hits[i], into);
}
