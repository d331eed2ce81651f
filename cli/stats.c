/* SPDX-License-Identifier: MIT
 *
 * Fetching stratad's statistics.
 */
#include "cli/stats.h"

#include "core/error.h"

int cli_stats_fetch(struct cli_resp_client *client, json_t **out, struct strata_error *error)
{
    const struct strata_bytes argv[] = {strata_text("STRATA"), strata_text("STATS")};
    struct sta_resp_value reply;
    struct strata_error refusal;
    int status = cli_resp_client_call(client, argv, 2, &reply, &refusal);
    if (status == STRATA_ERR_SERVER)
        return sta_error_set(error, STRATA_ERR_UNSUPPORTED,
                             "the server is not stratad: it answered STRATA STATS with \"%.200s\"",
                             refusal.text);
    if (status < 0) {
        if (error != NULL)
            *error = refusal;
        return status;
    }
    json_error_t why;
    json_t *document = NULL;
    if (reply.type == STA_RESP_BULK || reply.type == STA_RESP_VERBATIM)
        document =
            json_loadb(reply.bytes.len == 0 ? "" : reply.bytes.data, reply.bytes.len, 0, &why);
    if (!json_is_object(document)) {
        json_decref(document);
        return sta_error_set(error, STRATA_ERR_PROTOCOL,
                             "STRATA STATS was answered with something that is no JSON object");
    }
    *out = document;
    return STRATA_OK;
}

int cli_stats_ask(const struct cli_run *run, json_t **out, struct strata_error *error)
{
    struct cli_resp_client *client = NULL;
    int status = cli_resp_client_open(&client, &run->target, run->timeout_ms, error);
    if (status == STRATA_OK)
        status = cli_stats_fetch(client, out, error);
    cli_resp_client_close(&client);
    /* Not a matter of the command line, unlike other things that are not supported. */
    if (status == STRATA_ERR_UNSUPPORTED)
        error->status = STRATA_ERR_SERVER;
    return status;
}
