/* SPDX-License-Identifier: MIT
 *
 * The health of the Redis tier, for its users.
 */
#include <stdlib.h>

#include "api/handle.h"
#include "observe/l2_report.h"
#include "strata/l2.h"

int strata_l2_get_health(struct strata_l2 *l2, struct strata_l2_health **health)
{
    return sta_l2_report_create(health, sta_cache_l2(l2->both.cache));
}

void strata_l2_health_free(struct strata_l2_health **health)
{
    if (health == NULL)
        return;
    free(*health);
    *health = NULL;
}

const char *strata_l2_state_name(enum strata_l2_state state)
{
    switch (state) {
    case STRATA_L2_UP:
        return "up";
    case STRATA_L2_CONNECTING:
        return "connecting";
    case STRATA_L2_SICK:
        return "sick";
    case STRATA_L2_DOWN:
        return "down";
    }
    return "unknown";
}
