/* SPDX-License-Identifier: MIT
 *
 * Commands that stratad answers itself, in Redis' words where Redis has words for it: PING, ECHO,
 * HELLO, AUTH, SELECT 0, CLIENT (SETNAME, GETNAME, ID, SETINFO), RESET, QUIT, and its own STRATA.
 */
#ifndef STA_LOCAL_COMMANDS_H
#define STA_LOCAL_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/dispatch.h"
#include "strata/bytes.h"

struct sta_buffer;
struct sta_session;

/* Answers as sta_serve(). */
int sta_local_commands_run(struct sta_session *session, enum sta_local_command command,
                           const struct strata_bytes *argv, size_t argc);

/* Whether a client that has not authenticated may say this. */
bool sta_local_commands_open_to_all(const struct strata_bytes *argv, size_t argc);

/* Appends the answer to HELLO in the session's protocol. */
int sta_local_commands_hello(const struct sta_session *session, struct sta_buffer *out);

#endif
