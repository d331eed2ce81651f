/* SPDX-License-Identifier: MIT
 *
 * SIGTERM, SIGINT and SIGHUP, heard by a loop. Threads of loops have all signals blocked, so the
 * main thread's loop is the one to give.
 */
#ifndef STA_SIGNALS_H
#define STA_SIGNALS_H

#include "net/loop.h"

struct sta_signals;

/* `heard` is called on the loop's thread for each signal. STRATA_ERR_NOMEM, STRATA_ERR_SYSTEM. */
int sta_signals_create(struct sta_signals **out, struct sta_loop *loop,
                       void (*heard)(void *arg, int number), void *arg);

/* The signals have their default effect again. The memory goes with the loop's next turn, or when
 * the loop is destroyed. */
void sta_signals_destroy(struct sta_signals **signals);

#endif
