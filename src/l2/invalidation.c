/* SPDX-License-Identifier: MIT
 *
 * See invalidation.h. A frame that begins as an invalidation and cannot be understood is taken for
 * all.
 */
#include "l2/invalidation.h"

#include <string.h>

#include "resp/resp.h"
#include "strata/status.h"

enum sta_invalidation sta_invalidation_read(struct strata_bytes frame,
                                            void (*visit)(void *arg, struct strata_bytes key),
                                            void *arg)
{
    struct sta_resp_walk walk = sta_resp_walk(frame);
    struct sta_resp_value value;
    if (sta_resp_next(&walk, &value) != STRATA_OK || value.count != 2 ||
        sta_resp_next(&walk, &value) != STRATA_OK || value.bytes.len != strlen("invalidate") ||
        memcmp(value.bytes.data, "invalidate", value.bytes.len) != 0)
        return STA_INVALIDATION_NONE;
    int status = sta_resp_next(&walk, &value);
    uint64_t count = status == STRATA_OK && value.type == STA_RESP_ARRAY ? value.count : 0;
    for (uint64_t i = 0; i < count && status == STRATA_OK; i++) {
        status = sta_resp_next(&walk, &value);
        if (status == STRATA_OK)
            visit(arg, value.bytes);
    }
    return count > 0 && status == STRATA_OK ? STA_INVALIDATION_KEYS : STA_INVALIDATION_ALL;
}
