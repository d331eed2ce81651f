/* SPDX-License-Identifier: MIT
 *
 * What a cache tells of itself: each call takes a snapshot and makes of it what was asked for.
 */
#include "strata/observe.h"

#include <jansson.h>
#include <stdlib.h>

#include "api/handle.h"
#include "observe/health.h"
#include "observe/prometheus.h"
#include "observe/snapshot.h"
#include "observe/statistics_json.h"

/* Some 200 series, 16 for each of 64 nodes with names of the longest kind, and 6 for each of 65
 * prefixes. */
#define TEXT_MOST ((size_t)1 << 20)

/* Takes `document`, which may be NULL where memory is out. */
static int text_of(json_t *document, char **text)
{
    char *made =
        document != NULL ? json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(document);
    if (made == NULL)
        return STRATA_ERR_NOMEM;
    *text = made;
    return STRATA_OK;
}

int strata_statistics_json(struct strata *cache, char **text)
{
    struct sta_snapshot snapshot;
    int status =
        sta_snapshot_take(&snapshot, cache->cache,
                          atomic_load_explicit(&cache->metrics_detailed, memory_order_relaxed));
    if (status < 0)
        return status;
    status = text_of(sta_statistics_json(&snapshot), text);
    sta_snapshot_fini(&snapshot);
    return status;
}

int strata_metrics_text(struct strata *cache, char **text)
{
    struct sta_snapshot snapshot;
    struct sta_buffer buffer;
    int status =
        sta_snapshot_take(&snapshot, cache->cache,
                          atomic_load_explicit(&cache->metrics_detailed, memory_order_relaxed));
    if (status < 0)
        return status;
    sta_buffer_init(&buffer, TEXT_MOST);
    status = sta_prometheus_render(&snapshot, &buffer);
    sta_snapshot_fini(&snapshot);
    if (status == STRATA_OK)
        status = sta_buffer_append(&buffer, strata_bytes("", 1));
    if (status < 0) {
        sta_buffer_fini(&buffer);
        return status;
    }
    *text = (char *)buffer.data; /* from the start: nothing was consumed */
    return STRATA_OK;
}

void strata_text_free(char **text)
{
    if (text == NULL)
        return;
    free(*text);
    *text = NULL;
}

int strata_health(struct strata *cache, struct strata_health *out)
{
    struct sta_snapshot snapshot;
    int status = sta_snapshot_take(&snapshot, cache->cache, false);
    if (status < 0)
        return status;
    *out = sta_health_judge(&snapshot);
    sta_snapshot_fini(&snapshot);
    return STRATA_OK;
}

int strata_health_json(struct strata *cache, char **text)
{
    struct strata_health health;
    int status = strata_health(cache, &health);
    return status < 0 ? status : text_of(sta_health_json(&health), text);
}

const char *strata_health_state_name(enum strata_health_state state)
{
    switch (state) {
    case STRATA_HEALTHY:
        return "healthy";
    case STRATA_DEGRADED:
        return "degraded";
    case STRATA_UNHEALTHY:
        return "unhealthy";
    case STRATA_HEALTH_DISABLED:
        return "disabled";
    }
    return "unknown";
}
