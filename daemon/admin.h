/* SPDX-License-Identifier: MIT
 *
 * Administration over HTTP: /livez, /readyz, /health, /metrics, /stats and /config, by GET, and
 * /config by PUT (daemon/admin_config.h). One thread of its own serves them, so that a scrape never
 * keeps a client waiting; it reads what the workers count, and changes options that are live.
 *
 * What somebody may cost: 32 connections, 16 KiB each, 5 s of silence and 10 s in all, whatever
 * they send; every answer ends its connection.
 */
#ifndef STA_ADMIN_H
#define STA_ADMIN_H

#include "strata/status.h"

struct sta_admin;
struct sta_stratad;

/* Binds what the daemon's options say. On failure `error` says why; STRATA_ERR_CONFIG: others could
 * reach it, and there is no token. */
int sta_admin_create(struct sta_admin **out, struct sta_stratad *stratad,
                     struct strata_error *error);

/* Begins to answer. The workers exist, and the daemon's loop is this thread's.
 * STRATA_ERR_SYSTEM. */
int sta_admin_start(struct sta_admin *admin);

/* Nothing of it runs any more when this returns. NULL is fine. The loop does not run. */
void sta_admin_destroy(struct sta_admin **admin);

#endif
