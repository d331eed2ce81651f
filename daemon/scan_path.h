/* SPDX-License-Identifier: MIT
 *
 * SCAN before a cluster: a page of the primary that the client's cursor names, with a cursor that
 * leads on to the next page, or the next primary (scan_cursor.h). Answers as sta_serve().
 */
#ifndef STA_SCAN_PATH_H
#define STA_SCAN_PATH_H

#include <stddef.h>

#include "daemon/dispatch.h"
#include "strata/bytes.h"

struct sta_session;

/* argc >= 2. */
int sta_scan_path(struct sta_session *session, const struct sta_route *route,
                  struct strata_bytes *argv, size_t argc);

#endif
