/* SPDX-License-Identifier: MIT
 *
 * Connecting: from an endpoint to a connected socket, or a reason why not. Names are resolved off
 * the loop; each address is tried in turn, with an equal share of the time that is left.
 *
 *   START --unix, numeric address---------> TRYING --connected--> done(OK, fd)
 *     '--host name--> RESOLVING --addresses-^ |  ^                   |
 *                        |                    |  '- next address     |
 *                        '---- error, time ---'---> done(error) -----'--> gone
 *
 * Threads: the loop's only.
 */
#ifndef STA_DIAL_H
#define STA_DIAL_H

#include "net/endpoint.h"
#include "net/loop.h"

struct sta_dial;

/* STRATA_OK and the socket, which is now the callee's; or an error, -1 and a text for a log line:
 * STRATA_ERR_UNAVAILABLE, STRATA_ERR_TIMEOUT, STRATA_ERR_NOMEM, STRATA_ERR_SYSTEM. The dial is
 * gone with this call. */
typedef void (*sta_dial_done)(void *arg, int status, int fd, const char *reason);

/* done() comes later, not from within the call. STRATA_ERR_NOMEM. */
int sta_dial_start(struct sta_dial **out, struct sta_loop *loop,
                   const struct sta_endpoint *endpoint, uint64_t deadline_ns, sta_dial_done done,
                   void *arg);

/* Gives up without a call of done(). Sets the pointer to NULL; NULL is fine. */
void sta_dial_cancel(struct sta_dial **dial);

/* What every TCP socket of ours gets: no delay, keepalive. Does nothing to others. */
void sta_dial_tune(int fd);

#endif
