/* SPDX-License-Identifier: MIT
 *
 * What a command of strata is: an entry of a table, and a function that is given its arguments
 * and says with which code the process ends. One command_<name>.c for each.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/arguments.h"
#include "cli/target.h"
#include "strata/status.h"

/* X(name, code, meaning): the only list of exit codes; `strata help` and docs/cli.md give it. */
#define CLI_EXIT_LIST(X)                                                                           \
    X(OK, 0, "done: everything asked for was found, stored, deleted or answered")                  \
    X(NEGATIVE, 1,                                                                                 \
      "the answer is no: not there, not deleted, an error from the server, wrong "                 \
      "values in a replay; or this machine failed: a file, memory")                                \
    X(USAGE, 2, "the command line or the configuration is not valid; nothing was done")            \
    X(UNCONNECTED, 3,                                                                              \
      "cannot connect, the connection was lost, or the peer speaks no RESP or TLS, or has "        \
      "a certificate that is not trusted")                                                         \
    X(DENIED, 4, "the server refused the user, the password, the certificate or the command")      \
    X(TIMEOUT, 5, "connected, but no answer within --timeout; a write may have happened")          \
    X(PARTIAL, 6,                                                                                  \
      "of several keys some are done as with 0, and some are not; or what was asked is degraded")

enum cli_exit {
#define CLI_EXIT_ENUM(name, code, meaning) CLI_##name = (code),
    CLI_EXIT_LIST(CLI_EXIT_ENUM)
#undef CLI_EXIT_ENUM
};

struct cli_run;

struct cli_command {
    const char *name;
    const char *operands; /* as help shows them: "KEY VALUE" */
    const char *summary;  /* one line */
    const char *text;     /* what else there is to say, lines of at most 80; or NULL */
    size_t least;         /* operands */
    size_t most;
    bool connects;                    /* needs cli_run.target */
    const struct cli_option *options; /* of its own; NULL: none */
    enum cli_exit (*run)(struct cli_run *run);
};

/* One run of a command. */
struct cli_run {
    const struct cli_command *command;
    struct cli_arguments arguments; /* tables[0]: of every command, tables[1]: of this one */
    char **operands;
    size_t count; /* of operands, least..most */
    bool json;
    uint64_t timeout_ms;
    struct cli_target target; /* where the command connects */
};

/* The value of one of the command's own options, by its index in the table. */
static inline const char *cli_run_option(const struct cli_run *run, size_t index)
{
    return run->arguments.values[1][index];
}

/* The options that every command takes, in this order. */
enum cli_common_option {
    CLI_OPTION_URL,
    CLI_OPTION_HOST,
    CLI_OPTION_PORT,
    CLI_OPTION_TIMEOUT,
    CLI_OPTION_JSON,
    CLI_OPTION_HELP,
    CLI_OPTION_VERSION
};
extern const struct cli_option cli_command_options[];

/* All commands, as help lists them; ends with NULL. */
extern const struct cli_command *const cli_command_table[];

extern const struct cli_command cli_command_get;
extern const struct cli_command cli_command_set;
extern const struct cli_command cli_command_del;
extern const struct cli_command cli_command_keys;
extern const struct cli_command cli_command_invalidate;
extern const struct cli_command cli_command_ping;
extern const struct cli_command cli_command_stats;
extern const struct cli_command cli_command_health;
extern const struct cli_command cli_command_top;
extern const struct cli_command cli_command_latency;
extern const struct cli_command cli_command_doctor;
extern const struct cli_command cli_command_cluster;
extern const struct cli_command cli_command_config;
extern const struct cli_command cli_command_log_level;
extern const struct cli_command cli_command_warm;
extern const struct cli_command cli_command_replay;
extern const struct cli_command cli_command_help;

/* The command called `name`. STRATA_ERR_INVALID, with the nearest known one in `error`. */
int cli_command_find(const char *name, const struct cli_command **out, struct strata_error *error);

/* The code that a failed call ends the process with. */
enum cli_exit cli_command_exit(int status);

#endif
