/* SPDX-License-Identifier: MIT
 *
 * Commands that change keys, with L1 on. Each answers as sta_serve().
 *
 *   begin(window) -> invalidate(L1) -> send ... reply -> publish or invalidate(L1) -> end(window)
 *
 * Where reads are tracked, a SET is followed by a GET and a PTTL of the same key: what they bring
 * is tracked from then on, and where it is what was set, it may stay for so long. A SET over a
 * tracked key is named to us before the GET's reply; what is named after it is newer than the
 * value:
 *
 *     SET k v, GET k, PTTL k --->   k = v
 *          OK, push k  <----        k was tracked; the token goes on with what the push left
 *          "v", -1     <----        publish(v)
 *
 * What ended without an answer is invalidated, and its lane is in doubt until a fence has proven
 * that nothing of it is left (lane.h).
 */
#ifndef STA_WRITE_PATH_H
#define STA_WRITE_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/dispatch.h"
#include "l1/l1.h"
#include "strata/bytes.h"

struct sta_exchange;
struct sta_session;

/* Any command with keys that it changes, or may change. */
int sta_write_path_keys(struct sta_session *session, const struct sta_route *route,
                        struct strata_bytes *argv, size_t argc);

/* For a command that blocks, with its keys: they leave L1 when it has ended, and conclude() with
 * them. */
void sta_write_path_leave_late(struct sta_exchange *exchange);

/* SET key value [options]: leaves the value in L1 where the options make it certain. */
int sta_write_path_set(struct sta_session *session, const struct sta_route *route,
                       struct strata_bytes *argv, size_t argc);

/* Redis has named the key, and L1 has let it go under this token, when the replies of `answering`
 * (may be NULL) were next on the connection. */
void sta_write_path_named(struct sta_exchange *answering, const struct sta_key *key,
                          struct sta_l1_token token);

/* FLUSHALL and its like: empties L1, and keeps it empty until the reply has come. */
int sta_write_path_clear(struct sta_session *session, const struct sta_route *route,
                         struct strata_bytes *argv, size_t argc);

/* Sends a transaction whose keys are in the exchange; `clears`: a command of it is as FLUSHALL. */
void sta_write_path_transaction(struct sta_session *session, struct sta_exchange *exchange,
                                enum sta_lane_kind lane, unsigned commands, bool clears);

#endif
