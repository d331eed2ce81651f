/* SPDX-License-Identifier: MIT
 *
 * strata ping: is somebody there, and how far away.
 */
#include <stdio.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/resp_client.h"
#include "core/clock.h"

static enum cli_exit print_pong(const struct cli_run *run, struct strata_bytes reply,
                                uint64_t duration_ns)
{
    char server[300];
    double ms = (double)duration_ns / 1e6;
    sta_redis_url_format(&run->target.url, server, sizeof server);
    if (!run->json) {
        cli_output_value(reply);
        (void)printf(" from %s in %.3f ms\n", server, ms);
        return CLI_OK;
    }
    json_t *document = json_pack("{s:s, s:f}", "server", server, "ms", ms);
    if (document != NULL && cli_output_member(document, "reply", reply) < 0) {
        json_decref(document);
        document = NULL;
    }
    return cli_output_json(document, CLI_OK);
}

static enum cli_exit run_ping(struct cli_run *run)
{
    struct cli_resp_client *client = NULL;
    struct sta_resp_value reply;
    struct strata_error error;
    const struct strata_bytes ping = strata_text("PING");
    int status = cli_resp_client_open(&client, &run->target, run->timeout_ms, &error);
    uint64_t begin_ns = sta_clock_now_ns();
    if (status == STRATA_OK)
        status = cli_resp_client_call(client, &ping, 1, &reply, &error);
    enum cli_exit code = status < 0 ? cli_output_failure(run, &error)
                                    : print_pong(run, reply.bytes, sta_clock_now_ns() - begin_ns);
    cli_resp_client_close(&client);
    return code;
}

const struct cli_command cli_command_ping = {
    .name = "ping",
    .operands = "",
    .summary = "ask whether the server is there, and time the answer",
    .connects = true,
    .run = run_ping,
};
