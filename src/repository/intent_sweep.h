/* SPDX-License-Identifier: MIT
 *
 * The sweep: carries out intents that were left, and removes those that were carried out.
 */
#ifndef STA_INTENT_SWEEP_H
#define STA_INTENT_SWEEP_H

#include "repository/database.h"

/* The body of the database's thread: sweeps every sweep_ms, or when it is woken, until the database
 * closes; once more at the end for what is done. `arg` is the database. */
void *sta_intent_sweep_thread(void *arg);

#endif
