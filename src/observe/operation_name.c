/* SPDX-License-Identifier: MIT
 *
 * See operation_name.h.
 */
#include "observe/operation_name.h"

const char *sta_operation_name(enum sta_timing_operation operation)
{
    static const char *const names[STA_TIMING_OPERATIONS] = {
        [STA_TIMING_GET] = "get",
        [STA_TIMING_SET] = "set",
        [STA_TIMING_DELETE] = "delete",
    };
    return names[operation];
}

const char *sta_operation_tier_name(enum sta_timing_tier tier)
{
    return tier == STA_TIMING_L1 ? "l1" : "l2";
}
