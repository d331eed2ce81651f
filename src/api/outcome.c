/* SPDX-License-Identifier: MIT
 *
 * See outcome.h.
 */
#include "api/outcome.h"

#include <stdbool.h>
#include <stdlib.h>

#include "strata/status.h"

int sta_outcome_of(const int *statuses, size_t count)
{
    int first_error = STRATA_OK;
    size_t errors = 0;
    bool same = true;
    for (size_t i = 0; i < count; i++) {
        if (statuses[i] >= 0)
            continue;
        if (errors++ == 0)
            first_error = statuses[i];
        same = same && statuses[i] == first_error;
    }
    if (errors == 0)
        return STRATA_OK;
    return errors == count && same ? first_error : STRATA_ERR_PARTIAL;
}

int *sta_outcome_statuses(int *statuses, size_t count)
{
    return statuses != NULL ? statuses : malloc(count * sizeof *statuses);
}

void sta_outcome_free_own(int *own, const int *statuses)
{
    if (own != statuses)
        free(own);
}

int sta_outcome_fail(int *statuses, size_t count, int status)
{
    for (size_t i = 0; statuses != NULL && i < count; i++)
        statuses[i] = status;
    return status;
}
