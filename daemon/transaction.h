/* SPDX-License-Identifier: MIT
 *
 * MULTI, EXEC and DISCARD. What is queued is kept here, and EXEC sends it as
 * one request on the plain lane of the client's protocol:
 *
 *     MULTI, the commands, EXEC ---->   nothing of another client's stands between them
 *         +OK, +QUEUED..., the array <----   the client is given the last of them
 *
 * Before a cluster all keys have one slot (else CROSSSLOT), and a command about the first of them
 * goes before MULTI: where the slot has moved, its MOVED leads all of it to the new owner, for
 * nothing was carried out. Where the slot is on its way, EXEC may say EXECABORT.
 *
 * Nothing inside is answered from L1. All keys of all commands, read or written, are as those of a
 * write (write_path.h): out of L1 before sending, nothing filled while it is under way, out again
 * before the reply is given. Something that changes the keyspace as a whole empties L1.
 *
 * Ownership: the session owns its transaction, until EXEC moves what is in it into an exchange.
 * Bounds: the bytes of one transaction are at most those of one request (query_limit).
 * Threads: the worker's loop.
 */
#ifndef STA_TRANSACTION_H
#define STA_TRANSACTION_H

#include <stddef.h>

#include "core/buffer.h"
#include "strata/bytes.h"

struct sta_exchange;
struct sta_route;
struct sta_session;
struct sta_transaction;

/* MULTI, EXEC or DISCARD, whether one is open or not. Answers as sta_serve(). */
int sta_transaction_control(struct sta_session *session, const struct strata_bytes *argv,
                            size_t argc);

/* Takes a command into the open transaction, and says QUEUED. */
int sta_transaction_queue(struct sta_session *session, const struct sta_route *route,
                          const struct strata_bytes *argv, size_t argc);

/* A command of the open one was answered with an error: EXEC will not carry it out. */
void sta_transaction_abort(struct sta_session *session);

/* Of the replies to MULTI, the commands and EXEC: what the client is given. */
int sta_transaction_answer(const struct sta_exchange *exchange, struct strata_bytes replies,
                           struct sta_buffer *out);

void sta_transaction_destroy(struct sta_transaction **transaction);

#endif
