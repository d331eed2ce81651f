/* SPDX-License-Identifier: MIT
 *
 * A progress bar on standard error: drawn only to a terminal, at most ten times a second, and
 * wiped away at the end.
 *
 *     [==============>               ]  47 %   81,234/s
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct cli_progress {
    bool shown;
    uint64_t begin_ns;
    uint64_t next_ns; /* when it is drawn again */
};

void cli_progress_begin(struct cli_progress *progress, uint64_t now_ns);

/* `fraction` of the whole is done, 0.0 to 1.0: `count` pieces. */
void cli_progress_update(struct cli_progress *progress, double fraction, uint64_t count,
                         uint64_t now_ns);

void cli_progress_end(struct cli_progress *progress);

/* Writes a number with commas between thousands. */
#define CLI_PROGRESS_COUNT_CAP 28
const char *cli_progress_count(uint64_t count, char text[CLI_PROGRESS_COUNT_CAP]);

#endif
