/* SPDX-License-Identifier: MIT
 *
 * From the options that a caller gave to those in force.
 */
#ifndef STA_OPTIONS_H
#define STA_OPTIONS_H

#include "strata/options.h"

/* Fills `out` with `in` and the default of every field that is zero there, after checking bounds
 * and what options say together. Strings and lists stay borrowed from `in` (or are constants);
 * out->owned is NULL. A timeout in the URL goes before socket_timeout_ms. STRATA_OK;
 * STRATA_ERR_CONFIG naming field and what is allowed, or the options that exclude each other;
 * STRATA_ERR_UNSUPPORTED for what this version cannot do. `out` may be `in`. */
int sta_options_resolve(const struct strata_options *in, struct strata_options *out,
                        struct strata_error *error);

#endif
