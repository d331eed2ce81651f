/* SPDX-License-Identifier: MIT
 *
 * What a SET leaves behind, read off its arguments: whether "+OK" means that the key now holds
 * exactly the value that was sent, for a time that is known. Pure.
 */
#ifndef STA_SET_OPTIONS_H
#define STA_SET_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "strata/bytes.h"

struct sta_set_options {
    bool known;      /* +OK: the value is the argument, its time to live is ttl_ms */
    uint64_t ttl_ms; /* from when Redis ran it; STA_NEVER: no expiry */
};

/* argv is SET key value [options], argc >= 3.
 *
 *   none, EX, PX    known
 *   NX, XX          known as well: without +OK nothing was set
 *   GET             not: the reply is the old value, and "set or not" has to be concluded
 *   KEEPTTL         not: the remaining time is the old one's
 *   EXAT, PXAT      not: the deadline is on the server's wall clock
 *   anything else   not: Redis will name the error
 */
struct sta_set_options sta_set_options_read(const struct strata_bytes *argv, size_t argc);

/* Whether +OK or :1 means that all keys of a command of this name hold what it says, whatever they
 * held before: SET SETEX PSETEX SETNX MSET MSETNX. */
bool sta_set_options_replaces(struct strata_bytes name);

#endif
