/* SPDX-License-Identifier: MIT
 *
 * One command of one client: from its words to the path that answers it.
 */
#ifndef STA_SERVE_H
#define STA_SERVE_H

#include <stddef.h>

#include "strata/bytes.h"

struct sta_session;

/* argc >= 1; argv is readable during the call only. STRATA_OK: answered or under way.
 * STRATA_MORE: nothing was done, to be served again when the client's lane is free. Negative: the
 * client cannot be answered any more (out of memory, output limit). */
int sta_serve(struct sta_session *session, struct strata_bytes *argv, size_t argc);

#endif
