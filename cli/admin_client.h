/* SPDX-License-Identifier: MIT
 *
 * Asking stratad's administration over HTTP (docs/metrics.md): one request, one answer, one
 * connection. Where it listens says --admin or STRATA_ADMIN_LISTEN, as it says it to stratad;
 * STRATA_ADMIN_TOKEN is sent along where it is set.
 */
#ifndef CLI_ADMIN_CLIENT_H
#define CLI_ADMIN_CLIENT_H

#include <jansson.h>

#include "cli/command.h"

#define CLI_ADMIN_OPTION                                                                           \
    {                                                                                              \
        "admin", "ADDRESS", "where stratad is administered; default STRATA_ADMIN_LISTEN"           \
    }

/* `method` of `path` with a document (NULL: none), which is not freed. STRATA_OK with the document
 * of the answer, the caller's. STRATA_ERR_CONFIG: refused with an error of stratad's own, which is
 * the text; STRATA_ERR_INVALID: `address` (NULL: the variable) is none; STRATA_ERR_DENIED: the
 * token; and what connecting may come to. */
int cli_admin_ask(const struct cli_run *run, const char *address, const char *method,
                  const char *path, const json_t *body, json_t **out, struct strata_error *error);

#endif
