/* SPDX-License-Identifier: MIT
 *
 * How one node does, in numbers: latency (a moving mean, and quantiles of the last seconds), what
 * is in flight, reconnects, and failures by kind. Pure: `now` passed in.
 *
 * Quantiles come from two small histograms that take turns: one is written for WINDOW, then the
 * other is cleared and written, and both are read. core/histogram.h has 30 KiB of buckets and
 * never forgets; for a thousand nodes, and for a question about now, eight buckets per power of
 * two (an eighth wide at most) from 1 us to 17 s do: 1.4 KiB.
 * Threads: one owner; others read copies. Copies of several lanes or loops are merged.
 */
#ifndef STA_NODE_HEALTH_H
#define STA_NODE_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "strata/status.h"

#define STA_NODE_HEALTH_WINDOW_NS UINT64_C(10000000000)
#define STA_NODE_HEALTH_BUCKETS   176u

/* Why requests fail. */
enum sta_node_health_error {
    STA_NODE_HEALTH_TIMEOUT,
    STA_NODE_HEALTH_LOST,
    STA_NODE_HEALTH_REFUSED,  /* not sent: not connected, or the breaker is open */
    STA_NODE_HEALTH_BUSY,     /* not sent: a queue is full */
    STA_NODE_HEALTH_REDIRECT, /* MOVED, ASK */
    STA_NODE_HEALTH_RETRY,    /* TRYAGAIN, CLUSTERDOWN, LOADING, MASTERDOWN, READONLY */
    STA_NODE_HEALTH_DENIED,
    STA_NODE_HEALTH_SERVER, /* any other error reply */
    STA_NODE_HEALTH_ERRORS
};

struct sta_node_health {
    uint64_t requests;   /* sent */
    uint64_t replies;    /* in time, error replies included */
    uint64_t late;       /* replies to requests that had timed out */
    uint64_t connects;   /* times a connection became ready */
    uint64_t reconnects; /* of these, not the first time of that connection */
    uint64_t errors[STA_NODE_HEALTH_ERRORS];
    uint64_t ewma_ns;       /* of latency: each reply counts a sixteenth; 0 before the first */
    uint64_t last_reply_ns; /* 0: never */
    uint32_t in_flight;
    uint32_t current; /* the window that is written: 0 or 1 */
    uint64_t window_at_ns;
    uint32_t windows[2][STA_NODE_HEALTH_BUCKETS];
};

/* Zeroed is a good start. */

static inline void sta_node_health_sent(struct sta_node_health *health)
{
    health->requests++;
    health->in_flight++;
}

/* A reply to a request that still waited; latency as its caller sees it on the loop. */
void sta_node_health_answered(struct sta_node_health *health, uint64_t latency_ns, uint64_t now_ns);

/* Its latency alone, for who counts requests and replies elsewhere. */
void sta_node_health_timed(struct sta_node_health *health, uint64_t latency_ns, uint64_t now_ns);

/* A request ends without a reply: TIMEOUT, LOST. */
static inline void sta_node_health_dropped(struct sta_node_health *health,
                                           enum sta_node_health_error error)
{
    health->errors[error]++;
    health->in_flight--;
}

/* It was counted as sent and was not: REFUSED, BUSY. */
static inline void sta_node_health_unsent(struct sta_node_health *health,
                                          enum sta_node_health_error error)
{
    health->requests--;
    sta_node_health_dropped(health, error);
}

/* A connection became ready; `again`: it has been before. */
static inline void sta_node_health_connected(struct sta_node_health *health, bool again)
{
    health->connects++;
    health->reconnects += again;
}

/* Anything that is counted and ends no request that was sent: REFUSED, BUSY, kinds of replies. */
static inline void sta_node_health_count(struct sta_node_health *health,
                                         enum sta_node_health_error error)
{
    health->errors[error]++;
}

/* The latency that `fraction` (0..1) of the replies of the last 10 to 20 s did not exceed, as the
 * upper end of its bucket; 0 where there were none. */
uint64_t sta_node_health_quantile(const struct sta_node_health *health, double fraction,
                                  uint64_t now_ns);

/* Adds `from` to `into`: counts are summed, the mean is weighed by what each has in its windows. */
void sta_node_health_merge(struct sta_node_health *into, const struct sta_node_health *from,
                           uint64_t now_ns);

#endif
