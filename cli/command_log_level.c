/* SPDX-License-Identifier: MIT
 *
 * strata log-level: what of stratad's rooms is logged, from the next line on.
 */
#include <stdio.h>
#include <string.h>

#include "cli/admin_client.h"
#include "cli/change.h"
#include "cli/command.h"
#include "cli/output.h"
#include "core/error.h"

enum { LEVEL_ADMIN };

static const struct cli_option level_options[] = {
    [LEVEL_ADMIN] = CLI_ADMIN_OPTION,
    {0},
};

static const struct {
    const char *room;
    const char *option;
} rooms[] = {
    {"all", "log_level"},
    {"cache", "log_level_cache"},
    {"daemon", "log_level_daemon"},
    {"l2", "log_level_l2"},
};

static enum cli_exit run_log_level(struct cli_run *run)
{
    struct strata_error error;
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        if (strcmp(rooms[i].room, run->operands[0]) == 0)
            return cli_change(run, cli_run_option(run, LEVEL_ADMIN),
                              json_pack("{s:s}", rooms[i].option, run->operands[1]));
    }
    (void)sta_error_set(&error, STRATA_ERR_INVALID,
                        "%.100s: not a room; allowed: all, cache, daemon, l2", run->operands[0]);
    return cli_output_failure(run, &error);
}

const struct cli_command cli_command_log_level = {
    .name = "log-level",
    .operands = "ROOM LEVEL",
    .summary = "change what stratad logs",
    .text = "ROOM is all, cache, daemon or l2; LEVEL is error, warning, info or debug, and for\n"
            "a single room also same: as all. It is 'strata config set log_level_ROOM LEVEL'.",
    .least = 2,
    .most = 2,
    .options = level_options,
    .run = run_log_level,
};
