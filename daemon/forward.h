/* SPDX-License-Identifier: MIT
 *
 * Commands that go to Redis as they are, and how any reply of Redis becomes the client's.
 */
#ifndef STA_FORWARD_H
#define STA_FORWARD_H

#include <stddef.h>

#include "core/buffer.h"
#include "daemon/dispatch.h"
#include "daemon/exchange.h"
#include "strata/bytes.h"

struct sta_session;

/* Sends the command on the route's lane; L1 is not touched. Answers as sta_serve(). */
int sta_forward(struct sta_session *session, const struct sta_route *route,
                struct strata_bytes *argv, size_t argc);

/* The same with another end. */
int sta_forward_to(struct sta_session *session, const struct sta_route *route,
                   struct strata_bytes *argv, size_t argc, sta_exchange_conclude *conclude);

/* An exchange that holds the command in its wire, argv pointing there, and knows where to send it.
 * NULL: out of memory. */
struct sta_exchange *sta_forward_prepare(struct sta_session *session, const struct sta_route *route,
                                         struct strata_bytes *argv, size_t argc);

/* Adds the keys of the command in the wire. STRATA_ERR_NOMEM; STRATA_MORE: it may not go out
 * yet. */
int sta_forward_add_keys(struct sta_exchange *exchange, const struct sta_route *route,
                         const struct strata_bytes *argv, size_t argc);

/* Appends one reply frame as the exchange's client reads it. */
int sta_forward_reply(const struct sta_exchange *exchange, struct strata_bytes frame,
                      struct sta_buffer *out);

/* Appends the error for a request that ended with `status` < 0, and counts it. `out` may be NULL:
 * then it is only counted. */
int sta_forward_error(const struct sta_exchange *exchange, int status, struct sta_buffer *out);

#endif
