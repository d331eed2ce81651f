/* SPDX-License-Identifier: MIT
 *
 * Live options: those that change while a cache or a daemon runs. An option's `fixed` says why it is none
 * of these. Whatever asks for a change (the API, a signal, an administrator), it goes through here: by
 * the names, the parser and the bounds of the start, all of it or nothing.
 *
 * Texts of errors:
 *
 *     l1_ttl="abc": not a number; allowed: seconds, 0.001 to 31536000, or unlimited
 *     l1_tl: not an option; did you mean l1_ttl?
 *     redis_url: does not change while running: connections are made with it
 */
#ifndef STA_LIVE_H
#define STA_LIVE_H

#include "config/option_table.h"
#include "core/log.h"
#include "strata/options.h"

/* L1 can become so many times as large as it was made. */
#define STA_LIVE_L1_GROWTH 16u

/* Reads settings into the targets of the sets, which are copies of what is in force. STRATA_OK;
 * STRATA_ERR_INVALID, STRATA_ERR_UNSUPPORTED, STRATA_ERR_CONFIG or STRATA_ERR_NOMEM, with the text in
 * `error`; the targets may have changed then. */
int sta_live_read(const struct sta_option_set *sets, size_t set_count,
                  const struct strata_setting *settings, size_t count, struct strata_error *error);

/* What live options say together with what the cache was opened with. STRATA_OK, STRATA_ERR_CONFIG. */
int sta_live_check(const struct strata_options *options, uint64_t opened_l1_max_bytes,
                   struct strata_error *error);

/* The levels of a log, as the options say. */
void sta_live_log(struct sta_log *log, const struct strata_options *options);

#endif
