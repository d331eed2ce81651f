/* SPDX-License-Identifier: MIT
 *
 * A command's way through the library, where one server is not enough: a cache whose L1 is off,
 * before the target, or before the cluster that the target is a node of.
 */
#ifndef CLI_CACHE_H
#define CLI_CACHE_H

#include "cli/command.h"
#include "strata/strata.h"

/* Asks the target whether it is a cluster's. `prefix` stands before every key: "" where keys are
 * named as Redis has them; it outlives the call only. STRATA_OK with a cache to close; else what
 * connecting failed with, and `error`. */
int cli_cache_open(const struct cli_run *run, const char *prefix, struct strata **out,
                   struct strata_error *error);

#endif
