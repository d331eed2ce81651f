/* SPDX-License-Identifier: MIT
 *
 * Commands that need a connection of the client's own (own_lane.h), and all others while one is
 * held. Of the keys of what goes this way L1 keeps nothing: they are treated as those of a write
 * (write_path.h), whether they are read or written. A command that blocks is the exception: its
 * keys leave L1 when it is answered, for nothing happens to them before it is served, and what it
 * serves itself from is, until the client hears of it, a change like one by others.
 */
#ifndef STA_OWN_PATH_H
#define STA_OWN_PATH_H

#include <stddef.h>

#include "daemon/dispatch.h"
#include "strata/bytes.h"

struct sta_session;

/* STA_DISPATCH_OWN. Answers as sta_serve(). */
int sta_own_path(struct sta_session *session, const struct sta_route *route,
                 struct strata_bytes *argv, size_t argc);

/* Any command while the session's lane is held, or one is under way behind which nothing may be
 * sent. *done: it was dealt with, and this is the answer; else it goes the way of others. */
int sta_own_path_held(struct sta_session *session, struct strata_bytes *argv, size_t argc,
                      bool *done);

/* HELLO of another protocol while something is held: the connection is to speak it, too. What else
 * HELLO says has been done. Answers as sta_serve(). */
int sta_own_path_hello(struct sta_session *session, int protocol);

/* Sends UNWATCH, for EXEC or DISCARD of watched keys where nothing is carried out; the client is
 * given `error`, or the reply where that is NULL (constant text). Answers as sta_serve(). */
int sta_own_path_unwatch(struct sta_session *session, const char *error);

#endif
