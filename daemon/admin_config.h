/* SPDX-License-Identifier: MIT
 *
 * /config over HTTP: GET shows the options in force, PUT changes some of them.
 *
 *     PUT {"l1_max_size": 500, "log_level_l2": "debug"}
 *
 *     200 {"changed": [{"name": "l1_max_size", "live": true, "before": "unlimited", ...}]}
 *
 *     400 {"error": "l1_tl: not an option; did you mean l1_ttl?"}: nothing has changed
 *
 * Threads: any.
 */
#ifndef STA_ADMIN_CONFIG_H
#define STA_ADMIN_CONFIG_H

#include "strata/bytes.h"

struct sta_adjust;

/* The bytes that a PUT may have. */
#define STA_ADMIN_CONFIG_MOST ((size_t)16 << 10)

/* The answer's status, and its text in *text (to be freed; NULL: out of memory). `adjust` NULL:
 * 404. */
unsigned sta_admin_config_show(struct sta_adjust *adjust, char **text);
unsigned sta_admin_config_change(struct sta_adjust *adjust, struct strata_bytes body, char **text);

#endif
