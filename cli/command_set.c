/* SPDX-License-Identifier: MIT
 *
 * strata set: stores one value, from the command line or from standard input.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/route.h"
#include "core/buffer.h"
#include "core/error.h"

/* The largest value that Redis takes. */
#define VALUE_LIMIT ((size_t)512 * 1024 * 1024)

enum { SET_TTL };

static const struct cli_option set_options[] = {
    [SET_TTL] = {"ttl", "SECONDS", "how long the key lives, fractions allowed; default: for ever"},
    {0},
};

/* Reads standard input to its end. */
static int read_input(struct sta_buffer *value, struct strata_error *error)
{
    for (;;) {
        int status = sta_buffer_reserve(value, 1);
        if (status < 0)
            return sta_error_set(error, status, "standard input: %s", strata_status_text(status));
        ssize_t count = read(STDIN_FILENO, sta_buffer_end(value), value->cap - value->tail);
        if (count == 0)
            return STRATA_OK;
        if (count > 0)
            sta_buffer_advance(value, (size_t)count);
        else if (errno != EINTR)
            return sta_error_set(error, STRATA_ERR_SYSTEM, "standard input: %s", strerror(errno));
    }
}

static int set_value(const struct cli_run *run, struct strata_bytes value, uint64_t ttl_ms,
                     struct strata_error *error)
{
    struct cli_route *route = NULL;
    struct sta_resp_value reply;
    char ttl[24];
    (void)snprintf(ttl, sizeof ttl, "%llu", (unsigned long long)ttl_ms);
    const struct strata_bytes argv[] = {strata_text("SET"), strata_text(run->operands[0]), value,
                                        strata_text("PX"), strata_text(ttl)};
    size_t argc = ttl_ms > 0 ? 5 : 3;
    int status = cli_route_open(&route, run, error);
    if (status == STRATA_OK)
        status = cli_route_send(route, argv, argc, error);
    if (status == STRATA_OK)
        status = cli_route_reply(route, argv, argc, &reply, error);
    if (status == STRATA_OK)
        status = cli_resp_client_check(&reply, error);
    if (status == STRATA_OK && reply.type != STA_RESP_SIMPLE)
        status = sta_error_set(error, STRATA_ERR_PROTOCOL,
                               "SET was answered with something that is no text");
    cli_route_close(&route);
    return status;
}

static enum cli_exit run_set(struct cli_run *run)
{
    struct strata_error error;
    struct sta_buffer input;
    uint64_t ttl_ms = 0;
    sta_buffer_init(&input, VALUE_LIMIT + 1);
    struct strata_bytes value = strata_text(run->operands[1]);
    int status =
        cli_arguments_seconds(&set_options[SET_TTL], cli_run_option(run, SET_TTL), &ttl_ms, &error);
    if (status == STRATA_OK && strcmp(run->operands[1], "-") == 0) {
        status = read_input(&input, &error);
        value = sta_buffer_bytes(&input);
    }
    if (status == STRATA_OK)
        status = set_value(run, value, ttl_ms, &error);
    sta_buffer_fini(&input);
    if (status < 0)
        return cli_output_failure(run, &error);
    if (run->json)
        return cli_output_json(json_pack("{s:b}", "stored", 1), CLI_OK);
    (void)puts("OK");
    return CLI_OK;
}

const struct cli_command cli_command_set = {
    .name = "set",
    .operands = "KEY VALUE",
    .summary = "store a value; VALUE '-' reads it from standard input",
    .text = "The value may be anything, up to 512 MiB. A value that begins with two dashes needs\n"
            "'--' before it: strata set -- KEY --VALUE",
    .least = 2,
    .most = 2,
    .connects = true,
    .options = set_options,
    .run = run_set,
};
