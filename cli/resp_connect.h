/* SPDX-License-Identifier: MIT
 *
 * A connected, non-blocking socket to an endpoint, and waiting on one. For resp_client.c.
 */
#ifndef CLI_RESP_CONNECT_H
#define CLI_RESP_CONNECT_H

#include <stdbool.h>
#include <stdint.h>

#include "net/endpoint.h"
#include "strata/status.h"

/* Tries the endpoint's addresses in turn, for `timeout_ms` all together. STRATA_OK and *fd, or
 * STRATA_ERR_UNAVAILABLE with the reason of the last one in `error` (may be NULL). */
int cli_resp_connect(const struct sta_endpoint *endpoint, uint64_t timeout_ms, int *fd,
                     struct strata_error *error);

/* Waits until the socket is ready for some of `events` or has failed; false at the deadline. */
bool cli_resp_wait(int fd, short events, uint64_t deadline_ms);

#endif
