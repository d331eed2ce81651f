/* SPDX-License-Identifier: MIT
 *
 * The commands, the options that all of them take, and finding one by its name.
 */
#include <string.h>

#include "cli/command.h"
#include "core/error.h"
#include "core/spelling.h"

const struct cli_option cli_command_options[] = {
    [CLI_OPTION_URL] = {"url", "URL",
                        "redis[s]://[[USER]:PASSWORD@]HOST[:PORT][/DB] or unix://PATH"},
    [CLI_OPTION_HOST] = {"host", "HOST", "instead of --url; default 127.0.0.1"},
    [CLI_OPTION_PORT] = {"port", "PORT", "instead of --url; default 6380, stratad's"},
    [CLI_OPTION_TIMEOUT] = {"timeout", "SECONDS", "the most to wait for an answer; default 5"},
    [CLI_OPTION_JSON] = {"json", NULL, "print one JSON document"},
    [CLI_OPTION_HELP] = {"help", NULL, "print this"},
    [CLI_OPTION_VERSION] = {"version", NULL, "print the version"},
    {0},
};

const struct cli_command *const cli_command_table[] = {
    &cli_command_get,     &cli_command_set,        &cli_command_del,
    &cli_command_keys,    &cli_command_invalidate, &cli_command_ping,
    &cli_command_stats,   &cli_command_health,     &cli_command_top,
    &cli_command_latency, &cli_command_doctor,     &cli_command_cluster,
    &cli_command_config,  &cli_command_log_level,  &cli_command_warm,
    &cli_command_replay,  &cli_command_help,       NULL,
};

int cli_command_find(const char *name, const struct cli_command **out, struct strata_error *error)
{
    struct sta_spelling spelling = {.wanted = name};
    for (size_t i = 0; cli_command_table[i] != NULL; i++) {
        if (strcmp(cli_command_table[i]->name, name) == 0) {
            *out = cli_command_table[i];
            return STRATA_OK;
        }
        sta_spelling_offer(&spelling, cli_command_table[i]->name);
    }
    if (spelling.nearest == NULL)
        return sta_error_set(error, STRATA_ERR_INVALID,
                             "unknown command %s; 'strata help' lists the commands", name);
    return sta_error_set(error, STRATA_ERR_INVALID, "unknown command %s; did you mean %s?", name,
                         spelling.nearest);
}

enum cli_exit cli_command_exit(int status)
{
    switch (status) {
    case STRATA_OK:
        return CLI_OK;
    case STRATA_ERR_INVALID:
    case STRATA_ERR_CONFIG:
    case STRATA_ERR_UNSUPPORTED:
        return CLI_USAGE;
    case STRATA_ERR_UNAVAILABLE:
    case STRATA_ERR_UNTRUSTED:
    case STRATA_ERR_LOST:
    case STRATA_ERR_CLOSED:
    case STRATA_ERR_PROTOCOL:
        return CLI_UNCONNECTED;
    case STRATA_ERR_DENIED:
        return CLI_DENIED;
    case STRATA_ERR_TIMEOUT:
        return CLI_TIMEOUT;
    case STRATA_ERR_PARTIAL:
        return CLI_PARTIAL;
    default:
        return CLI_NEGATIVE;
    }
}
