/* SPDX-License-Identifier: MIT
 *
 * See looks.h.
 */
#include "cli/looks.h"

#include <stdio.h>
#include <time.h>

#include "cli/output.h"

int cli_looks_read(struct cli_looks *looks, const struct cli_run *run, struct strata_error *error)
{
    const struct cli_option *options = run->command->options;
    *looks = (struct cli_looks){.watching = cli_run_option(run, CLI_LOOKS_WATCH) != NULL,
                                .interval_ms = 1000};
    int status =
        cli_arguments_seconds(&options[CLI_LOOKS_INTERVAL], cli_run_option(run, CLI_LOOKS_INTERVAL),
                              &looks->interval_ms, error);
    return status < 0 ? status
                      : cli_arguments_number(&options[CLI_LOOKS_COUNT],
                                             cli_run_option(run, CLI_LOOKS_COUNT), 1, UINT32_MAX,
                                             &looks->most, error);
}

void cli_looks_pause(const struct cli_looks *looks)
{
    const struct timespec pause = {.tv_sec = (time_t)(looks->interval_ms / 1000),
                                   .tv_nsec = (long)(looks->interval_ms % 1000) * 1000000};
    (void)nanosleep(&pause, NULL);
}

bool cli_looks_again(struct cli_looks *looks)
{
    looks->done++;
    if (!looks->watching || looks->done == looks->most || fflush(stdout) != 0)
        return false;
    cli_looks_pause(looks);
    return true;
}

void cli_looks_clear(const struct cli_looks *looks)
{
    if (looks->watching && cli_output_is_terminal())
        (void)printf("\x1b[H\x1b[J"); /* home, and clear to the end */
}
