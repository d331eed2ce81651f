/* SPDX-License-Identifier: MIT
 *
 * The listening sockets: opened before anything else is started, polled by the main loop. What is
 * accepted goes to the workers in turn.
 *
 *   bound --start()--> ACCEPTING --no descriptors left--> PAUSED (100 ms) --> ACCEPTING
 *                         '-----------stop()------------> closed, unix paths removed
 */
#ifndef STA_ACCEPTOR_H
#define STA_ACCEPTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "core/log.h"
#include "net/loop.h"
#include "strata/status.h"

struct sta_acceptor;

/* Called on the loop's thread with each accepted socket, which is then the callee's. */
typedef void sta_acceptor_accepted(void *arg, int fd);

/* Binds every address ("host:port", port 0: any free one; "unix:path"). On failure `error` says
 * which and why: STRATA_ERR_SYSTEM, STRATA_ERR_INVALID, STRATA_ERR_NOMEM. A unix path that no
 * process listens on any more is taken over. */
int sta_acceptor_create(struct sta_acceptor **out, struct sta_loop *loop, struct sta_log *log,
                        const char *const *addresses, size_t count, struct strata_error *error);

/* Begins to accept. STRATA_ERR_SYSTEM. */
int sta_acceptor_start(struct sta_acceptor *acceptor, sta_acceptor_accepted *accepted, void *arg);

/* Closes the listeners. May be called twice. */
void sta_acceptor_stop(struct sta_acceptor *acceptor);

/* Stops. The loop must have run once more since, or be destroyed after. */
void sta_acceptor_destroy(struct sta_acceptor **acceptor);

/* The addresses as they were bound, with ", " between them: for people, and for who asked for
 * port 0. Constant for the acceptor's life. */
const char *sta_acceptor_addresses(const struct sta_acceptor *acceptor);

/* Whether one of them can be reached from other machines. */
bool sta_acceptor_is_exposed(const struct sta_acceptor *acceptor);

#endif
