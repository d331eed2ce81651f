/* SPDX-License-Identifier: MIT
 *
 * How operations and tiers are called in labels and JSON. Constants.
 */
#ifndef STA_OPERATION_NAME_H
#define STA_OPERATION_NAME_H

#include "cache/timing.h"

/* "get", "set", "delete". */
const char *sta_operation_name(enum sta_timing_operation operation);

/* "l1", "l2". */
const char *sta_operation_tier_name(enum sta_timing_tier tier);

#endif
