/* SPDX-License-Identifier: MIT
 *
 * What a replay came to, as a table or as JSON.
 */
#ifndef CLI_REPLAY_REPORT_H
#define CLI_REPLAY_REPORT_H

#include <jansson.h>

#include "cli/replay.h"

/* Prints the table on standard output, and what went wrong on standard error. */
void cli_replay_report_print(const struct cli_replay *replay,
                             const struct cli_replay_options *options);

/* The same as a document; NULL where memory is out. */
json_t *cli_replay_report_json(const struct cli_replay *replay,
                               const struct cli_replay_options *options);

#endif
