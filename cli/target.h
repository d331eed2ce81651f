/* SPDX-License-Identifier: MIT
 *
 * Which server a command talks to: --url, or --host and --port, or the environment's STRATA_URL,
 * or redis://127.0.0.1:6380/0, where stratad listens. What rediss:// needs comes from the URL's
 * options and the environment's STRATA_TLS_ variables.
 */
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include "cli/arguments.h"
#include "l2/redis_url.h"
#include "net/tls.h"

#define CLI_TARGET_VARIABLE "STRATA_URL"
#define CLI_TARGET_DEFAULT  "redis://127.0.0.1:6380/0"

struct cli_target {
    struct sta_redis_url url;
    struct sta_tls *tls; /* NULL: plain */
};

/* STRATA_OK; STRATA_ERR_INVALID, or STRATA_ERR_CONFIG where TLS has files that cannot be used, with
 * `error` naming the option or variable. `environment` is what STRATA_URL holds, or NULL. */
int cli_target_resolve(const struct cli_arguments *arguments, const char *environment,
                       struct cli_target *out, struct strata_error *error);

/* The same for one URL; `name` says in `error` where it comes from. */
int cli_target_parse(const char *name, const char *text, struct cli_target *out,
                     struct strata_error *error);

void cli_target_close(struct cli_target *target);

#endif
