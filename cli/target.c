/* SPDX-License-Identifier: MIT
 *
 * Resolving the server that a command talks to; see target.h.
 */
#include "cli/target.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "config/options.h"
#include "core/error.h"
#include "strata/tls.h"

static int target_open_tls(const char *text, struct sta_tls **out, struct strata_error *error)
{
    struct strata_options options = {.redis_url = text, .tls_provider = strata_tls_openssl()};
    int status = sta_options_read_tls(&options, environ, error);
    return status < 0 ? status : sta_options_open_tls(out, &options, NULL, error);
}

int cli_target_parse(const char *name, const char *text, struct cli_target *out,
                     struct strata_error *error)
{
    struct cli_target target = {.tls = NULL};
    struct strata_error why;
    int status = sta_redis_url_parse(text, &target.url, &why);
    if (status == STRATA_OK && target.url.tls)
        status = target_open_tls(text, &target.tls, &why);
    if (status < 0)
        return sta_error_set(error, status, "%s: %.400s", name, why.text);
    *out = target;
    return STRATA_OK;
}

void cli_target_close(struct cli_target *target)
{
    sta_tls_close(&target->tls);
}

static int target_from_host(const char *host, const char *port, struct cli_target *out,
                            struct strata_error *error)
{
    uint64_t number = 6380;
    int status =
        cli_arguments_number(&cli_command_options[CLI_OPTION_PORT], port, 1, 65535, &number, error);
    if (status < 0)
        return status;
    host = host != NULL ? host : "127.0.0.1";
    char text[320];
    const char *reason;
    struct sta_redis_url url = {0};
    (void)snprintf(text, sizeof text, strchr(host, ':') == NULL ? "%.300s:%u" : "[%.300s]:%u", host,
                   (unsigned)number);
    if (sta_endpoint_parse(text, &url.endpoint, &reason) < 0)
        return sta_error_set(error, STRATA_ERR_INVALID, "--host %.100s: %s", host, reason);
    *out = (struct cli_target){.url = url};
    return STRATA_OK;
}

int cli_target_resolve(const struct cli_arguments *arguments, const char *environment,
                       struct cli_target *out, struct strata_error *error)
{
    const char *url = arguments->values[0][CLI_OPTION_URL];
    const char *host = arguments->values[0][CLI_OPTION_HOST];
    const char *port = arguments->values[0][CLI_OPTION_PORT];
    if (url != NULL && (host != NULL || port != NULL))
        return sta_error_set(error, STRATA_ERR_INVALID,
                             "--url and --host or --port exclude each other");
    if (host != NULL || port != NULL)
        return target_from_host(host, port, out, error);
    if (url != NULL)
        return cli_target_parse("--url", url, out, error);
    if (environment != NULL && environment[0] != '\0')
        return cli_target_parse(CLI_TARGET_VARIABLE, environment, out, error);
    return cli_target_parse("default", CLI_TARGET_DEFAULT, out, error);
}
