/* SPDX-License-Identifier: MIT
 *
 * Looking again: the options --watch, --interval and --count of commands that show something that
 * changes, and the pause between two looks. A command that has them has them first in its table:
 *
 *     static const struct cli_option options[] = {CLI_LOOKS_OPTIONS("go on looking"), {0}};
 *
 *     do
 *         look();
 *     while (cli_looks_again(&looks));
 *
 * Threads, memory: plain data of the caller's.
 */
#ifndef CLI_LOOKS_H
#define CLI_LOOKS_H

#include "cli/command.h"

enum { CLI_LOOKS_WATCH, CLI_LOOKS_INTERVAL, CLI_LOOKS_COUNT };

#define CLI_LOOKS_OPTIONS(watch)                                                                   \
    [CLI_LOOKS_WATCH] = {"watch", NULL, watch},                                                    \
    [CLI_LOOKS_INTERVAL] = {"interval", "SECONDS", "between two looks of --watch; default 1"},     \
    [CLI_LOOKS_COUNT] = {"count", "N", "end --watch after N looks"}

struct cli_looks {
    bool watching; /* more than one look */
    uint64_t interval_ms;
    uint64_t most; /* looks; 0: until interrupted */
    uint64_t done;
};

/* What the run's options say. STRATA_OK or STRATA_ERR_INVALID with option, value and what is
 * allowed in `error`. */
int cli_looks_read(struct cli_looks *looks, const struct cli_run *run, struct strata_error *error);

/* After a look. False: it was the last, or standard output is gone. Else the interval has
 * passed. */
bool cli_looks_again(struct cli_looks *looks);

void cli_looks_pause(const struct cli_looks *looks);

/* Before a picture: a terminal that is watched is cleared, so that it is drawn in place. */
void cli_looks_clear(const struct cli_looks *looks);

#endif
