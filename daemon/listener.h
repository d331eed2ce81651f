/* SPDX-License-Identifier: MIT
 *
 * Opening a listening socket, and saying what went wrong in words that help.
 */
#ifndef STA_LISTENER_H
#define STA_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "strata/status.h"

struct sta_listener {
    int fd;
    bool exposed;          /* reachable from other machines */
    char address[300];     /* as bound: "127.0.0.1:6380", "[::1]:6380", "unix:/run/strata.sock" */
    char unlink_path[112]; /* of a unix socket: to be removed in the end; else empty */
};

/* Nonblocking, close-on-exec, listening. STRATA_ERR_SYSTEM or STRATA_ERR_INVALID with `error`
 * saying why; *out is untouched then. A unix path on which nobody listens is taken over. */
int sta_listener_open(struct sta_listener *out, const char *address, struct strata_error *error);

/* Closes, and removes the path. */
void sta_listener_close(struct sta_listener *listener);

#endif
