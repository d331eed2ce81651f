/* SPDX-License-Identifier: MIT
 *
 * Changing options of a stratad that runs, and printing what came of it.
 */
#ifndef CLI_CHANGE_H
#define CLI_CHANGE_H

#include <jansson.h>

#include "cli/command.h"

/* Sends {option: value, ...}, which is freed (NULL: out of memory), and prints what has changed. */
enum cli_exit cli_change(const struct cli_run *run, const char *address, json_t *settings);

#endif
