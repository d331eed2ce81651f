/* SPDX-License-Identifier: MIT
 *
 * TLS on the socket of a client that may wait. For resp_client.c.
 *
 * Memory: what is encrypted and not yet sent.
 * Threads: one owner. After an error the connection is of no use any more.
 */
#ifndef CLI_RESP_TLS_H
#define CLI_RESP_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "net/tls.h"

struct cli_resp_tls;

/* Shakes hands over the connected, non-blocking `fd` until `deadline_ms`; what comes behind is
 * appended to `in`. Errors as those of
 * struct strata_tls_provider, STRATA_ERR_LOST, STRATA_ERR_TIMEOUT, with `reason`
 * (STA_TLS_REASON_CAP). */
int cli_resp_tls_open(struct cli_resp_tls **out, const struct sta_tls *tls, const char *host,
                      int fd, uint64_t deadline_ms, struct sta_buffer *in, char *reason);

/* Says goodbye, where that costs no waiting; the socket stays open. NULL is fine. */
void cli_resp_tls_close(struct cli_resp_tls **tls, int fd);

/* Encrypts from the front of `out` and sends what the socket takes, without waiting. */
int cli_resp_tls_send(struct cli_resp_tls *tls, int fd, struct sta_buffer *out, char *reason);
bool cli_resp_tls_wants_write(const struct cli_resp_tls *tls);

/* Reads once, and appends what came of it to `in`. STRATA_OK also where nothing came. */
int cli_resp_tls_receive(struct cli_resp_tls *tls, int fd, struct sta_buffer *in, char *reason);

#endif
