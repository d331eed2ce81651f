/* SPDX-License-Identifier: MIT
 *
 * Reads through L1, with L1 on. Both answer as sta_serve().
 *
 *   hash -> L1 hit: the reply
 *           L1 miss: token -> GET and PTTL to Redis ... reply -> fill(L1, token) -> the reply
 *
 * GET goes before PTTL in one request: between the two the key may change, and then the deadline
 * is of the newer value, or there is none. The other way round an old deadline, or "no expiry",
 * could come to stand on a new value.
 */
#ifndef STA_READ_PATH_H
#define STA_READ_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/dispatch.h"
#include "strata/bytes.h"

struct sta_exchange;
struct sta_session;

/* argv is GET key. */
int sta_read_path_get(struct sta_session *session, struct strata_bytes *argv);

/* The same without L1. */
int sta_read_path_pass(struct sta_session *session, struct sta_route *route,
                       struct strata_bytes *argv);

/* argv is MGET key [key ...]. What L1 has is taken from there, the rest from Redis in one MGET; so
 * the reply is of one moment for each key, not for all of them together. */
int sta_read_path_mget(struct sta_session *session, const struct sta_route *route,
                       struct strata_bytes *argv, size_t argc);

/* Of a read that has waited, before it is sent: Redis is asked from now on. */
void sta_read_path_ask(struct sta_exchange *exchange, uint64_t now_ms);

/* The same, instead: L1 answers all of it by now, and the exchange is to be concluded before
 * anything else. That it was a miss was counted already, and this look is not. */
bool sta_read_path_take_from_l1(struct sta_exchange *exchange);

#endif
