/* SPDX-License-Identifier: MIT
 *
 * stratad's statistics, as its command STRATA STATS gives them: a JSON document.
 */
#ifndef CLI_STATS_H
#define CLI_STATS_H

#include <jansson.h>

#include "cli/command.h"
#include "cli/resp_client.h"

/* The document; the caller owns it. STRATA_ERR_UNSUPPORTED where the server is not stratad;
 * otherwise as cli_resp_client_call(). There must be no replies to come. */
int cli_stats_fetch(struct cli_resp_client *client, json_t **out, struct strata_error *error);

/* As cli_stats_fetch(), from the server that the command line names, over a connection for this
 * alone. The error of STRATA_ERR_UNSUPPORTED is one of the server (STRATA_ERR_SERVER). */
int cli_stats_ask(const struct cli_run *run, json_t **out, struct strata_error *error);

#endif
