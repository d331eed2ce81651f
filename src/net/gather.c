/* SPDX-License-Identifier: MIT
 *
 * See gather.h.
 */
#include "net/gather.h"

#include "core/clock.h"

/* What a request costs more that is sent by itself: a wake-up of the leader, a send and a receive
 * here and at the server. */
#define GATHER_WORTH_NS 20000u

#define GATHER_EARNED_MOST_NS (8 * STA_NS_MS)
#define GATHER_REST           16u
#define GATHER_DOUBLES_MOST   5u

bool sta_gather_pays(struct sta_gather *gather, uint64_t now_ns)
{
    gather->company = 0;
    return now_ns >= gather->not_until_ns;
}

void sta_gather_note(struct sta_gather *gather, uint64_t from_ns, uint64_t to_ns, unsigned came)
{
    uint64_t took_ns = to_ns - from_ns;
    uint64_t worth_ns = (uint64_t)came * GATHER_WORTH_NS;
    gather->in_vain -= worth_ns > took_ns && gather->in_vain > 0;
    gather->earned_ns += worth_ns;
    if (gather->earned_ns < took_ns) {
        uint64_t missing_ns = took_ns - gather->earned_ns;
        gather->not_until_ns = to_ns + ((missing_ns * GATHER_REST) << gather->in_vain);
        gather->in_vain += gather->in_vain < GATHER_DOUBLES_MOST;
        gather->earned_ns = took_ns;
    }
    gather->earned_ns -= took_ns;
    if (gather->earned_ns > GATHER_EARNED_MOST_NS)
        gather->earned_ns = GATHER_EARNED_MOST_NS;
}
