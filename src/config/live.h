/* SPDX-License-Identifier: MIT
 *
 * Live options: those that change while a cache or a daemon runs. An option's `fixed` says why it
 * is none of these. Whatever asks for a change (the API, a signal, an administrator), it goes
 * through here: by the names, the parser and the bounds of the start, all of it or nothing.
 *
 * Texts of errors:
 *
 *     l1_ttl="abc": not a number; allowed: seconds, 0.001 to 31536000, fractions allowed,
 *         or unlimited
 *     l1_tl: not an option; did you mean l1_ttl?
 *     redis_url: does not change while running: connections are made with it
 *     l1_quotas: other prefixes than at the start; allowed while running: other bounds for the same
 *     l2_ttl: has no effect in stratad: it is the library's
 */
#ifndef STA_LIVE_H
#define STA_LIVE_H

#include "config/config.h"
#include "config/option_table.h"
#include "core/log.h"
#include "strata/options.h"

/* L1 can become so many times as large as it was made. */
#define STA_LIVE_L1_GROWTH 16u

/* Reads settings into the targets of the sets, which are copies of what is in force. STRATA_OK, and
 * what lists in the targets point to is that of *read, to be destroyed by the caller;
 * STRATA_ERR_INVALID, STRATA_ERR_UNSUPPORTED, STRATA_ERR_CONFIG or STRATA_ERR_NOMEM, with the text
 * in `error`, and the targets are as they were. */
int sta_live_read(struct sta_config **read, const struct sta_option_set *sets, size_t set_count,
                  const struct strata_setting *settings, size_t count, struct strata_error *error);

/* Whether one of them is this option. */
bool sta_live_names(const struct strata_setting *settings, size_t count, const char *name);

/* What live options say together with what the cache was opened with. STRATA_OK,
 * STRATA_ERR_CONFIG. */
int sta_live_check(const struct strata_options *options, uint64_t opened_l1_max_bytes,
                   struct strata_error *error);

/* Of quotas that L1 was not divided for: STRATA_ERR_CONFIG. */
int sta_live_refuse_quotas(struct strata_error *error);

/* ---- of a program that has its config ---- */

/* A copy whose live options may change; of the rest it borrows. NULL: out of memory. */
struct sta_config *sta_live_copy(const struct sta_config *config);

/* Settings into a config, by the names and with the errors of sta_live_read(). Where it fails some
 * of them may have been taken. */
int sta_live_offer(struct sta_config *config, const struct strata_setting *settings, size_t count,
                   struct strata_error *error);

/* What is not the same in two configs of the same tables, in their order, without what does nothing
 * here: an array of
 * {"name": "l1_ttl", "live": true, "before": 300, "after": 60, "origin": "/etc/strata.conf:3"};
 * where live is false, "fixed_because" stands for the values. NULL: out of memory. */
struct json_t *sta_live_differences(const struct sta_config *before,
                                    const struct sta_config *after);

/* The live values of a config into the targets of `sets`, over those of its own tables. */
void sta_live_store(const struct sta_config *config, const struct sta_option_set *sets,
                    size_t set_count);

/* The live values of `from`, and where they came from, into another config of the same tables. What
 * lists of `from` point to is that of `config` from then on. */
void sta_live_adopt(struct sta_config *config, struct sta_config *from);

/* The levels of a log, as the options say. */
void sta_live_log(struct sta_log *log, const struct strata_options *options);

#endif
