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
