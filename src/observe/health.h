/* SPDX-License-Identifier: MIT
 *
 * Whether a cache is well: a function of its snapshot, and of nothing else.
 *
 *   l2_cache    disabled    switched off
 *               unhealthy   no node answers
 *               degraded    some do not; slots without a server; answers take half the budget
 *   l1_cache    disabled    switched off
 *               unhealthy   it may answer nothing: Redis is silent, and so is what it would tell of
 *                           changes
 *               degraded    that is so for some of its entries; or nobody tells it of changes
 *   overall     as the parts: healthy where all that are enabled are, unhealthy where none works
 */
#ifndef STA_HEALTH_H
#define STA_HEALTH_H

#include <jansson.h>

#include "observe/snapshot.h"
#include "strata/observe.h"

struct strata_health sta_health_judge(const struct sta_snapshot *snapshot);

/* A new reference; NULL where memory is out. */
json_t *sta_health_json(const struct strata_health *health);

#endif
