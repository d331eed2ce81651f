/* SPDX-License-Identifier: MIT
 *
 * From the options that a caller gave to those in force.
 */
#ifndef STA_OPTIONS_H
#define STA_OPTIONS_H

#include "core/log.h"
#include "net/tls.h"
#include "strata/options.h"

/* Fills `out` with `in` and the default of every field that is zero there, after checking bounds
 * and what options say together. Strings and lists stay borrowed from `in` (or are constants);
 * out->owned is NULL. A timeout in the URL goes before socket_timeout_ms. STRATA_OK;
 * STRATA_ERR_CONFIG naming field and what is allowed, or the options that exclude each other;
 * STRATA_ERR_UNSUPPORTED for what this version cannot do. `out` may be `in`. */
int sta_options_resolve(const struct strata_options *in, struct strata_options *out,
                        struct strata_error *error);

/* The numbers, switches and choices of resolved options, which do not die with anybody's
 * strings. */
void sta_options_keep(struct strata_options *out, const struct strata_options *options);

/* What connections to a rediss:// URL need: tls_provider with the tls_ fields of resolved options,
 * or with what redis_url says in their place. *out is NULL where the URL is none of these. Reads
 * files. STRATA_ERR_UNSUPPORTED where there is no provider, and other errors as sta_tls_open(). */
int sta_options_open_tls(struct sta_tls **out, const struct strata_options *options,
                         const struct sta_log *log, struct strata_error *error);

/* Fills the tls_ fields that have a variable in `environment`, which is borrowed. For programs that
 * read nothing else from there. STRATA_ERR_CONFIG naming the variable. */
int sta_options_read_tls(struct strata_options *out, char *const *environment,
                         struct strata_error *error);

#endif
