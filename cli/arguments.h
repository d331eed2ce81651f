/* SPDX-License-Identifier: MIT
 *
 * The command line: options from tables, and what is left over. `--name value`, `--name=value`
 * and, where an option takes no value, `--name`; "--" ends the options. A single dash is an
 * ordinary argument, so that values like "-5" and "-" need no quoting.
 *
 * Threads, memory: plain data; everything points into argv.
 */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "strata/status.h"

struct cli_option {
    const char *name;  /* without the dashes; NULL ends a table */
    const char *value; /* what help calls its value; NULL: it takes none */
    const char *help;
};

/* Options in one table. */
#define CLI_OPTIONS_MAX 12

/* An option's values are found at the index it has in its table: the text, "" for an option
 * without value, NULL where it was not given. Given twice, the last counts. */
struct cli_arguments {
    const struct cli_option *tables[2]; /* those of every command, those of this one; or NULL */
    const char *values[2][CLI_OPTIONS_MAX];
};

/* Parses argv[0..argc-1] and moves what is not an option to its front, in order; *count of those.
 * With `until_first`, stops at the first of them (all that follows stays behind it). May be
 * called again, with another table, for what follows. STRATA_OK or STRATA_ERR_INVALID with what
 * is wrong in `error`. */
int cli_arguments_parse(struct cli_arguments *arguments, char **argv, size_t argc, bool until_first,
                        size_t *count, struct strata_error *error);

/* A value as a whole number in least..most; *out keeps what it has where the option is absent.
 * STRATA_OK or STRATA_ERR_INVALID with option, value and what is allowed in `error`. */
int cli_arguments_number(const struct cli_option *option, const char *value, uint64_t least,
                         uint64_t most, uint64_t *out, struct strata_error *error);

/* A value in seconds, fractions allowed, more than 0 and at most ten years, as milliseconds. */
int cli_arguments_seconds(const struct cli_option *option, const char *value, uint64_t *out_ms,
                          struct strata_error *error);

#endif
