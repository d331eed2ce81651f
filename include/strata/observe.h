/* SPDX-License-Identifier: MIT
 *
 * What a cache tells of itself: all its numbers as JSON or for Prometheus, and whether it is well.
 * docs/metrics.md has every number and every reason.
 *
 *     char *text;
 *     if (strata_metrics_text(cache, &text) == STRATA_OK)
 *         answer_scrape(text);
 *     strata_text_free(&text);
 *
 * Threads: every call is safe from any thread, callbacks too. They ask Redis nothing. What concerns
 * Redis is asked of the cache's I/O thread, which is at work at all times: that takes microseconds,
 * or as long as a callback of yours keeps it.
 * Texts are of the caller's, end with a zero byte, and are UTF-8. A call that fails leaves its out
 * parameter as it was: STRATA_ERR_NOMEM; STRATA_ERR_CLOSED while the cache is being closed.
 */
#ifndef STRATA_OBSERVE_H
#define STRATA_OBSERVE_H

#include "cache.h"
#include "export.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One JSON object: "metrics" (combined, l1, l2), "l1_cache", "l2_cache", "coherence", "latency" and
 * more (docs/metrics.md); with metrics_detailed on "prefixes" as well. */
STRATA_API int strata_statistics_json(struct strata *cache, char **text);

/* Prometheus' text format, version 0.0.4: to be answered with the content type
 * "text/plain; version=0.0.4; charset=utf-8". With metrics_detailed on it has series by node and by
 * prefix of keys. */
STRATA_API int strata_metrics_text(struct strata *cache, char **text);

/* Frees it and sets the pointer to NULL. NULL is fine. */
STRATA_API void strata_text_free(char **text);

/* ---- health ---- */

enum strata_health_state {
    STRATA_HEALTHY = 0,
    STRATA_DEGRADED = 1,       /* works, and something is wrong */
    STRATA_UNHEALTHY = 2,      /* does not work */
    STRATA_HEALTH_DISABLED = 3 /* switched off by configuration */
};

struct strata_health_part {
    enum strata_health_state state;
    const char *reason; /* one word for programs: "silent"; "" where it is healthy; a constant */
    char text[232];     /* for people, one line */
};

struct strata_health {
    struct strata_health_part l1_cache;
    struct strata_health_part l2_cache;
    struct strata_health_part overall; /* healthy: all that is enabled is; unhealthy: nothing is */
};

/* What is so now. */
STRATA_API int strata_health(struct strata *cache, struct strata_health *out);

/* {"l1_cache": {"state": "healthy", "reason": "", "text": ""}, "l2_cache": ..., "overall": ...} */
STRATA_API int strata_health_json(struct strata *cache, char **text);

/* "healthy", "degraded", "unhealthy", "disabled"; constant. */
STRATA_API const char *strata_health_state_name(enum strata_health_state state);

#ifdef __cplusplus
}
#endif

#endif
