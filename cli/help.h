/* SPDX-License-Identifier: MIT
 *
 * What `strata help` prints: made from the tables of commands, options and exit codes.
 */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/command.h"

enum cli_exit cli_help_all(void);
enum cli_exit cli_help_command(const struct cli_command *command);

#endif
