/* SPDX-License-Identifier: MIT
 *
 * stratad's statistics, as its command STRATA STATS gives them: a JSON document.
 */
#ifndef CLI_STATS_H
#define CLI_STATS_H

#include <jansson.h>

#include "cli/resp_client.h"

/* The document; the caller owns it. STRATA_ERR_UNSUPPORTED where the server is not stratad;
 * otherwise as cli_resp_client_call(). There must be no replies to come. */
int cli_stats_fetch(struct cli_resp_client *client, json_t **out, struct strata_error *error);

#endif
