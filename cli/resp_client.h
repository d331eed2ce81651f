/* SPDX-License-Identifier: MIT
 *
 * One connection to a RESP server, for a program that may wait: a socket, poll(), TLS where the URL
 * says rediss://, and the resp room's codec, RESP2. A different client than l2's on purpose: the
 * command looks at stratad and Redis from outside, and shares no code with what it measures but the
 * codec.
 *
 *     send() appends a command -> reply() writes all, waits, returns replies one by one, in order
 *
 * pump() and next() are the same without waiting, for callers with several connections.
 *
 * Memory: the commands not yet written and the replies not yet taken; a reply is at most
 * 512 MiB and only as much is held as has arrived.
 * Threads: one owner. After an error other than STRATA_ERR_SERVER and STRATA_ERR_DENIED the
 * connection is of no use any more; close it.
 */
#ifndef CLI_RESP_CLIENT_H
#define CLI_RESP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/target.h"
#include "resp/resp.h"
#include "strata/bytes.h"
#include "strata/status.h"

struct cli_resp_client;

/* Connects, in turn to each address of the host, and introduces itself (AUTH, SELECT) where the
 * URL says so; each step takes `timeout_ms` at most, and looking up a host name as long as the
 * resolver. STRATA_ERR_UNAVAILABLE, STRATA_ERR_UNTRUSTED, STRATA_ERR_DENIED, STRATA_ERR_SERVER,
 * STRATA_ERR_TIMEOUT, STRATA_ERR_LOST, STRATA_ERR_PROTOCOL, STRATA_ERR_NOMEM; `error` names the
 * server. */
int cli_resp_client_open(struct cli_resp_client **out, const struct cli_target *target,
                         uint64_t timeout_ms, struct strata_error *error);

/* Sets the pointer to NULL. NULL is fine. */
void cli_resp_client_close(struct cli_resp_client **client);

/* Appends a command. STRATA_OK; STRATA_ERR_NOMEM or STRATA_ERR_TOO_BIG, and nothing is appended. */
int cli_resp_client_send(struct cli_resp_client *client, const struct strata_bytes *argv,
                         size_t argc, struct strata_error *error);

/* The next reply; of an aggregate its header. Its bytes die with the next call. An error reply is
 * a value too (STRATA_OK). STRATA_ERR_TIMEOUT, STRATA_ERR_LOST, STRATA_ERR_PROTOCOL,
 * STRATA_ERR_NOMEM. */
int cli_resp_client_reply(struct cli_resp_client *client, struct sta_resp_value *value,
                          struct strata_error *error);

/* The whole of the reply that was taken at last: what is in an aggregate is found with a walk. Dies
 * with the next call. */
struct strata_bytes cli_resp_client_frame(const struct cli_resp_client *client);

/* For commands that are answered with text: sends and takes the reply. An error reply is
 * STRATA_ERR_DENIED or STRATA_ERR_SERVER here, with its text in `error`; any other that is no text
 * is STRATA_ERR_PROTOCOL. There must be no replies to come. */
int cli_resp_client_call(struct cli_resp_client *client, const struct strata_bytes *argv,
                         size_t argc, struct sta_resp_value *value, struct strata_error *error);

/* Whether the value is an error reply: then STRATA_ERR_DENIED or STRATA_ERR_SERVER, and its text
 * in `error`; otherwise STRATA_OK. */
int cli_resp_client_check(const struct sta_resp_value *value, struct strata_error *error);

/* What to poll() for. */
int cli_resp_client_fd(const struct cli_resp_client *client);
bool cli_resp_client_wants_write(const struct cli_resp_client *client);

/* Writes what the socket takes, without waiting. Errors as reply(). */
int cli_resp_client_flush(struct cli_resp_client *client, struct strata_error *error);

/* The same, and reads what is there; take it with next() before the next poll(). */
int cli_resp_client_pump(struct cli_resp_client *client, struct strata_error *error);

/* A reply that has been read already; STRATA_MORE where there is none. Otherwise as reply(). */
int cli_resp_client_next(struct cli_resp_client *client, struct sta_resp_value *value,
                         struct strata_error *error);

#endif
