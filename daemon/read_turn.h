/* SPDX-License-Identifier: MIT
 *
 * Reads of keys that L1 has in doubt go to Redis by turns, at one rate for all workers
 * (cache/turns.h, docs/design/0015-repair.md). While one waits its client is not read on, so the
 * order of its commands is kept:
 *
 *   entered --its turn--> L1 answers all of it by now --> concluded
 *      |                    '--no--> asks Redis
 *      '--too late--> concluded with STRATA_ERR_BUSY, or by what is in doubt where that is wanted
 *
 * Threads: the worker's loop.
 */
#ifndef STA_READ_TURN_H
#define STA_READ_TURN_H

#include <stddef.h>

struct sta_exchange;
struct sta_session;
struct sta_worker;

void sta_read_turn_init(struct sta_worker *worker);

/* Marks the keys of a read of which L1 has an entry that is in doubt; how many. */
size_t sta_read_turn_mark(struct sta_exchange *exchange);

/* A read that was marked, and has entered: sent, now or in its turn, or concluded. */
void sta_read_turn_submit(struct sta_exchange *exchange, size_t suspects);

/* A read was not sent after all: Redis is away. */
void sta_read_turn_give_back(const struct sta_exchange *exchange);

/* The client goes: what it waits for is dropped with its queue. */
void sta_read_turn_give_up(struct sta_session *session);

#endif
