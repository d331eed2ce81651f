/* SPDX-License-Identifier: MIT
 *
 * What a batch answers as a whole, of the status of each of its keys.
 */
#ifndef STA_OUTCOME_H
#define STA_OUTCOME_H

#include <stddef.h>

/* STRATA_OK where none is an error; the error where all are the same; else STRATA_ERR_PARTIAL. */
int sta_outcome_of(const int *statuses, size_t count);

/* The caller's statuses, or memory for them where he gave none (to be given back by free_own());
 * NULL: there is none. */
int *sta_outcome_statuses(int *statuses, size_t count);
void sta_outcome_free_own(int *own, const int *statuses);

/* The batch as a whole failed, and so did each key. `statuses` may be NULL. Returns `status`. */
int sta_outcome_fail(int *statuses, size_t count, int status);

#endif
