/* SPDX-License-Identifier: MIT
 *
 * strata: the command for people at a terminal, and for scripts. This file finds out which
 * command is meant and with what, runs it, and makes sure that what it printed has arrived.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/target.h"
#include "core/error.h"
#include "core/standard_fds.h"
#include "strata/version.h"

static int check_operands(const struct cli_run *run, struct strata_error *error)
{
    const struct cli_command *command = run->command;
    if (run->count >= command->least && run->count <= command->most)
        return STRATA_OK;
    return sta_error_set(error, STRATA_ERR_INVALID, "usage: strata %s%s%s", command->name,
                         command->operands[0] != '\0' ? " " : "", command->operands);
}

/* Reads what follows the command's name into `run`. */
static int prepare(struct cli_run *run, struct strata_error *error)
{
    const struct cli_option *timeout = &cli_command_options[CLI_OPTION_TIMEOUT];
    run->arguments.tables[1] = run->command->options;
    int status =
        cli_arguments_parse(&run->arguments, run->operands, run->count, false, &run->count, error);
    if (status < 0 || run->arguments.values[0][CLI_OPTION_HELP] != NULL)
        return status;
    status = check_operands(run, error);
    if (status == STRATA_OK)
        status = cli_arguments_seconds(timeout, run->arguments.values[0][CLI_OPTION_TIMEOUT],
                                       &run->timeout_ms, error);
    if (status == STRATA_OK && run->command->connects)
        status =
            cli_target_resolve(&run->arguments, getenv(CLI_TARGET_VARIABLE), &run->target, error);
    return status;
}

/* Runs the command that the operands begin with. */
static enum cli_exit run_command(struct cli_run *run)
{
    struct strata_error error;
    int status = cli_command_find(run->operands[0], &run->command, &error);
    run->operands++;
    run->count--;
    if (status == STRATA_OK)
        status = prepare(run, &error);
    run->json = run->arguments.values[0][CLI_OPTION_JSON] != NULL;
    if (status < 0)
        return cli_output_failure(run, &error);
    if (run->arguments.values[0][CLI_OPTION_HELP] != NULL)
        return cli_help_command(run->command);
    return run->command->run(run);
}

static enum cli_exit run_all(struct cli_run *run, char **argv, size_t argc)
{
    struct strata_error error;
    int status = cli_arguments_parse(&run->arguments, argv, argc, true, &run->count, &error);
    run->json = run->arguments.values[0][CLI_OPTION_JSON] != NULL;
    if (status < 0)
        return cli_output_failure(run, &error);
    if (run->arguments.values[0][CLI_OPTION_VERSION] != NULL) {
        (void)printf("strata %s\n", STRATA_VERSION);
        return CLI_OK;
    }
    if (run->count > 0 && strcmp(run->operands[0], "-h") != 0)
        return run_command(run);
    if (run->count > 0 || run->arguments.values[0][CLI_OPTION_HELP] != NULL)
        return cli_help_all();
    (void)sta_error_set(&error, STRATA_ERR_INVALID, "which command? 'strata help' lists them");
    return cli_output_failure(run, &error);
}

int main(int argc, char **argv)
{
    struct cli_run run = {
        .arguments.tables[0] = cli_command_options,
        .operands = argv + (argc > 0),
        .timeout_ms = 5000,
    };
    if (sta_standard_fds_open() < 0)
        return CLI_NEGATIVE;
    enum cli_exit code = run_all(&run, run.operands, argc > 0 ? (size_t)argc - 1 : 0);
    cli_target_close(&run.target);
    /* A full disk or a closed pipe shows only here. */
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        cli_output_complain("cannot write: %s", strerror(errno != 0 ? errno : EIO));
        code = code == CLI_OK ? CLI_NEGATIVE : code;
    }
    return code;
}
