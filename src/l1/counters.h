/* SPDX-License-Identifier: MIT
 *
 * What the tier counts: one table of name and help, from which the counters of a thread, the
 * statistics and whatever shows them are made. All of them only grow.
 */
#ifndef STA_COUNTERS_H
#define STA_COUNTERS_H

#define STA_L1_COUNTERS(X)                                                                         \
    X(hits, "gets that were answered")                                                             \
    STA_L1_MISSES(X)                                                                               \
    STA_L1_WORK(X)

/* Each miss is one of these. */
#define STA_L1_MISSES(X)                                                                           \
    X(misses_absent, "misses of keys that were never here, or so long ago that it is forgotten")   \
    X(misses_expired, "misses of keys whose time was over")                                        \
    X(misses_invalidated,                                                                          \
      "misses of keys that were invalidated, deleted or overwritten elsewhere")                    \
    X(misses_evicted, "misses of keys that had to make room")                                      \
    X(misses_suspect, "misses of keys whose entry is in doubt or hidden")

#define STA_L1_WORK(X)                                                                             \
    X(fills, "entries stored, by whatever call")                                                   \
    X(fills_refused, "stores whose token was no longer current")                                   \
    X(fills_too_big, "stores of more than the tier takes")                                         \
    X(fills_no_room, "stores for which no room could be made")                                     \
    X(evictions_small, "entries evicted from small queues")                                        \
    X(evictions_main, "entries evicted from main queues")                                          \
    X(expirations, "entries removed because their time was over")                                  \
    X(invalidations, "calls of invalidate()")

enum sta_l1_counter {
#define STA_L1_COUNTER_NAME(name, help) STA_L1_##name,
    STA_L1_COUNTERS(STA_L1_COUNTER_NAME)
#undef STA_L1_COUNTER_NAME
        STA_L1_COUNTS
};

#endif
