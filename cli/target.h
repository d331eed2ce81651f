/* SPDX-License-Identifier: MIT
 *
 * Which server a command talks to: --url, or --host and --port, or the environment's STRATA_URL,
 * or redis://127.0.0.1:6380/0, where stratad listens.
 */
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include "cli/arguments.h"
#include "l2/redis_url.h"

#define CLI_TARGET_VARIABLE "STRATA_URL"
#define CLI_TARGET_DEFAULT  "redis://127.0.0.1:6380/0"

/* STRATA_OK; STRATA_ERR_INVALID or STRATA_ERR_UNSUPPORTED (TLS) with `error` naming the option or
 * variable. `environment` is what STRATA_URL holds, or NULL. */
int cli_target_resolve(const struct cli_arguments *arguments, const char *environment,
                       struct sta_redis_url *out, struct strata_error *error);

/* The same for one URL; `name` says in `error` where it comes from. */
int cli_target_parse(const char *name, const char *text, struct sta_redis_url *out,
                     struct strata_error *error);

#endif
