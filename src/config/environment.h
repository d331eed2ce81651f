/* SPDX-License-Identifier: MIT
 *
 * The environment: variables of the tables, STRATA_CONFIG_FILE, and warnings about names that
 * look like ours (CACHE_*, REDIS_*, STRATA_*) but are not known.
 */
#ifndef STA_ENVIRONMENT_H
#define STA_ENVIRONMENT_H

#include "config/setting.h"

/* Variables of stratad and strata, up to NULL: an application, its sidecar and a terminal may
 * share an environment, so each passes over those of the others. */
extern const char *const sta_environment_programs[];

/* As sta_config_load(). */
int sta_environment_read(struct sta_config *config, const struct sta_config_input *input,
                         struct strata_error *error);

#endif
