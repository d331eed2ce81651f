/* SPDX-License-Identifier: MIT
 *
 * Several keys, one command: asking for all of them in one go, and the exit code that follows
 * from the answers.
 */
#ifndef CLI_TALLY_H
#define CLI_TALLY_H

#include <stddef.h>

#include "cli/command.h"
#include "cli/resp_client.h"

/* Keys by what was answered. */
struct cli_tally {
    size_t yes;    /* found, deleted */
    size_t no;     /* not there */
    size_t denied; /* refused: user, password, command */
    size_t failed; /* any other error reply */
};

/* All yes: 0. Some: 6. None: 4 where all were denied, otherwise 1. */
enum cli_exit cli_tally_exit(const struct cli_tally *tally);

/* Sends "`verb` KEY" for every operand of the run, pipelined, and hands each reply to `each`, in
 * order, with `status` of cli_resp_client_check(). Ends with the first key that got no reply at
 * all: that status, and `error`. `each` returns STRATA_OK to go on. */
int cli_tally_ask(const struct cli_run *run, const char *verb,
                  int (*each)(void *arg, const char *key, const struct sta_resp_value *reply,
                              int status, const struct strata_error *error),
                  void *arg, struct strata_error *error);

#endif
