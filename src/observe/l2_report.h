/* SPDX-License-Identifier: MIT
 *
 * From what l2 knows of its nodes to what strata_l2_get_health() hands out, in one block of memory
 * that the caller gives to free().
 */
#ifndef STA_L2_REPORT_H
#define STA_L2_REPORT_H

#include "l2/l2_health.h"
#include "strata/l2.h"

/* STRATA_OK, STRATA_ERR_NOMEM. */
int sta_l2_report_make(struct strata_l2_health **out, const struct sta_l2_health *from);

/* The same of an engine as it is now. Threads as sta_l2_health(); its errors. */
int sta_l2_report_create(struct strata_l2_health **out, struct sta_l2 *l2);

#endif
