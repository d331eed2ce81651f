/* SPDX-License-Identifier: MIT
 *
 * Flags: "--name value" or "--name=value", and --config, --help, --version.
 */
#ifndef STA_FLAGS_H
#define STA_FLAGS_H

#include "config/setting.h"

/* As sta_config_load(); stores where the operands begin. */
int sta_flags_read(struct sta_config *config, const struct sta_config_input *input,
                   struct strata_error *error);

#endif
