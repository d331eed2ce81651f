/* SPDX-License-Identifier: MIT
 *
 * Before a cluster: shard channels that a client's own connection is subscribed to go along with
 * their slot. Redis ends each of them unasked where the slot leaves its node. The client is not
 * told: once it has ended all, the connection goes where the slot is (own_home.h), and subscribes
 * to them anew before anything else is sent there.
 *
 * SUNSUBSCRIBE may be on its way then, and what Redis says does not tell which ends were asked for;
 * but it says MOVED behind them where the slot had left first. So a PING goes along, and its answer
 * is behind all that can be about it:
 *
 *     SUNSUBSCRIBE b, PING --->
 *           sunsubscribe a <---   the slot has left: so far of a alone
 *           sunsubscribe b <---   asked for or not: b has ended in any case
 *           MOVED          <---   it was not
 *           PONG           <---   the client is told that b has ended; a is subscribed to anew
 *
 * Threads: the worker's loop.
 */
#ifndef STA_OWN_REJOIN_H
#define STA_OWN_REJOIN_H

#include <stdbool.h>

#include "daemon/subscriptions.h"
#include "strata/bytes.h"

struct sta_exchange;
struct sta_own_lane;

/* A confirmation has come. True: it is not the client's to hear; the lane may have ended. */
bool sta_own_rejoin_hears(struct sta_own_lane *lane, struct strata_bytes frame,
                          enum sta_subscriptions_word word);

/* Connected where they may be: subscribes anew. May end the lane. */
void sta_own_rejoin_join(struct sta_own_lane *lane);

/* Whether this reply is the last one to SUNSUBSCRIBE and its PING. Then lane->parted has what the
 * client is told, and it is subscribed to nothing of that any more. STRATA_OK, STRATA_MORE: not
 * yet, STRATA_ERR_NOMEM. */
int sta_own_rejoin_leaves(struct sta_own_lane *lane, const struct sta_exchange *exchange,
                          struct strata_bytes reply);

/* Goes where they are, if Redis has ended all of them. May end the lane. */
void sta_own_rejoin_settle(struct sta_own_lane *lane);

#endif
