/* SPDX-License-Identifier: MIT
 *
 * Whether a leader lets others run before it sends (sched_yield). Callers that were answered a
 * moment ago tend to call again. Where they have to share its processor each of them would find
 * the leader asleep, and wake it for one request; after a yield it sends for all of them, and they
 * sleep on.
 *
 * Who yields gives its turn to anybody, a process that never sleeps among them. So there are
 * accounts: who came is worth something, the time that it took is to be paid. Where more was paid
 * than there had been earned, there is none for sixteen times as long as what is missing, so
 * that yields in vain cost a seventeenth of the time at most; and for twice as long each time that
 * they go on to be in vain, so that the slowest calls do not become slower by them. What has been
 * earned before counts up to a limit: a process beside us has its turns anyway, and now and then
 * in a yield.
 * Pure: no clock, no system call.
 */
#ifndef STA_GATHER_H
#define STA_GATHER_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed it is ready. Of who leads. */
struct sta_gather {
    unsigned company;      /* callers that were told since somebody gathered */
    uint64_t earned_ns;    /* and not paid yet */
    unsigned in_vain;      /* how often more was missing than earned, of late */
    uint64_t not_until_ns; /* it did not pay */
};

/* One who follows was told. */
static inline void sta_gather_add(struct sta_gather *gather)
{
    gather->company++;
}

/* Whether anybody might come: nobody reads a clock for a caller that is alone. */
static inline bool sta_gather_has_company(const struct sta_gather *gather)
{
    return gather->company > 0;
}

/* Forgets the company; whether it is to be waited for. */
bool sta_gather_pays(struct sta_gather *gather, uint64_t now_ns);

/* It was, and so many came. */
void sta_gather_note(struct sta_gather *gather, uint64_t from_ns, uint64_t to_ns, unsigned came);

#endif
