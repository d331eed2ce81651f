/* SPDX-License-Identifier: MIT
 *
 * See cache.h.
 */
#include "cli/cache.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/resp_client.h"
#include "config/options.h"
#include "strata/tls.h"

#define URL_CAP 2048

/* What the target was resolved from; of a host and a port, which have no password, their text. */
static const char *target_text(const struct cli_run *run, char *text, size_t cap)
{
    const char *const *given = run->arguments.values[0];
    const char *environment = getenv(CLI_TARGET_VARIABLE);
    if (given[CLI_OPTION_URL] != NULL)
        return given[CLI_OPTION_URL];
    if (given[CLI_OPTION_HOST] == NULL && given[CLI_OPTION_PORT] == NULL && environment != NULL &&
        environment[0] != '\0')
        return environment;
    sta_redis_url_format(&run->target.url, text, cap);
    return text;
}

static bool says_cluster(struct strata_bytes info)
{
    static const char line[] = "cluster_enabled:1";
    return info.len > 0 && memmem(info.data, info.len, line, sizeof line - 1) != NULL;
}

/* A server that does not know INFO, or refuses it, is taken for a single one. A stratad passes INFO
 * on to a node, and is itself one Redis to its clients, whatever it stands before. */
static int ask_for_cluster(const struct cli_run *run, bool *cluster, struct strata_error *error)
{
    const struct strata_bytes info[] = {strata_text("INFO"), strata_text("cluster")};
    const struct strata_bytes stats[] = {strata_text("STRATA"), strata_text("STATS")};
    struct cli_resp_client *client = NULL;
    struct sta_resp_value reply;
    int status = cli_resp_client_open(&client, &run->target, run->timeout_ms, error);
    if (status == STRATA_OK)
        status = cli_resp_client_send(client, info, 2, error);
    if (status == STRATA_OK)
        status = cli_resp_client_reply(client, &reply, error);
    if (status == STRATA_OK)
        *cluster = says_cluster(reply.bytes);
    if (status == STRATA_OK && *cluster)
        status = cli_resp_client_send(client, stats, 2, error);
    if (status == STRATA_OK && *cluster) {
        status = cli_resp_client_reply(client, &reply, error);
        *cluster = reply.type == STA_RESP_ERROR || reply.type == STA_RESP_BULK_ERROR;
    }
    cli_resp_client_close(&client);
    return status;
}

int cli_cache_open(const struct cli_run *run, const char *prefix, struct strata **out,
                   struct strata_error *error)
{
    char text[URL_CAP];
    bool cluster = false;
    struct strata_options options = {
        .l1_enabled = STRATA_OFF,
        .redis_url = target_text(run, text, sizeof text),
        .l2_key_prefix = prefix,
        .socket_timeout_ms = run->timeout_ms,
        .tls_provider = strata_tls_openssl(),
    };
    int status = ask_for_cluster(run, &cluster, error);
    if (status == STRATA_OK)
        status = sta_options_read_tls(&options, environ, error);
    options.cluster_enabled = cluster ? STRATA_ON : STRATA_OFF;
    return status == STRATA_OK ? strata_open(out, &options, error) : status;
}
